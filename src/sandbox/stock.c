/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. A member has two pidfds in the poller: of pid 1, which is readable once
 * every process of the sandbox's pid namespace is gone, and of the executor, which lives outside of
 * that namespace. If one of them ends, the other is killed. When both are gone, launch_reap removes
 * the rest, and the member is ENDED. Nothing here waits for a process.
 *
 * What is to be made is given to the crew; while all of that are busy, it waits in `queue` with its
 * spec. The pool is refilled by hands that nobody else has work for.
 */
#include "sandbox/stock.h"

#include "base/auto.h"
#include "base/bug.h"
#include "base/buf.h"
#include "base/log.h"
#include "base/program.h"
#include "sandbox/image.h"
#include "sandbox/subids.h"

#include <sys/stat.h>

static void crew_built(struct crew *crew, void *job, const struct box *box, int control_fd,
	const struct error *err);

void stock_init_none(struct stock *s)
{
	*s = (struct stock)STOCK_INIT;
	list_init(&s->members);
	list_init(&s->idle);
	list_init(&s->queue);
}

/* An executor that is not for everybody to execute is none for an agent with a uid of its own. */
static void open_ids(struct stock *s)
{
	struct error err;
	struct stat st;
	if (s->host.is_root || fstat(s->executor_fd, &st) < 0)
		return;
	if (!(st.st_mode & S_IXOTH))
		error_set(&err, ERROR_UNSUPPORTED, "cay-executor is not executable for others");
	else if (subids_open(&s->host, &s->host.subids, &s->ids_fd, &err) == 0)
		return;
	log_info("supervisor.ids", "agents have the user's own uid: %s", err.text);
}

/* What unpacked archives are made of is where we put it; the locks are nobody else's. */
static int add_ours(struct stock *s, struct error *err)
{
	auto_buf struct buf cache = BUF_INIT(HOST_PATH_SIZE);
	struct error none; /* no cache: no archive is unpacked, and whoever asks for one is told */
	if (image_put_cache_dir(&s->host, &cache, &none) == 0 &&
		hostpaths_add_ours(&s->paths, cache.ptr, HOSTPATH_IMAGE, err) < 0)
		return -1;
	return hostpaths_add_ours(&s->paths, s->host.run_dir, HOSTPATH_NONE, err);
}

int stock_init(struct stock *s, struct poller *poller, int pool, const struct hostpaths *paths,
	struct error *err)
{
	stock_init_none(s);
	s->poller = poller;
	s->pool = MIN(pool, STOCK_POOL_MAX);
	s->paths = *paths;
	if (host_init(&s->host, err) < 0)
		return error_wrap(err, "look at the host");
	if (program_open("cay-executor", &s->executor_fd, err) < 0)
		return -1;
	open_ids(s);
	if (add_ours(s, err) < 0 ||
		crew_init(&s->crew, poller, &s->host, &s->paths, s->executor_fd, s->ids_fd, err) <
			0)
		return -1;
	s->crew.built = crew_built;
	s->crew.owner = s;
	return 0;
}

void stock_fini(struct stock *s)
{
	BUG_IF(s->count != 0, "a stock goes away while sandboxes are left in it");
	crew_fini(&s->crew);
	router_fini(&s->router);
	map_fini(&s->by_id);
	s->executor_fd = close_fd(s->executor_fd);
	s->ids_fd = close_fd(s->ids_fd);
}

static int *count_of(struct stock *s, enum member_state state)
{
	static int nowhere;
	return state == MEMBER_READY ? &s->ready : state == MEMBER_LIVING ? &s->living : &nowhere;
}

static void state_set(struct member *m, enum member_state state)
{
	--*count_of(m->stock, m->state);
	m->state = state;
	++*count_of(m->stock, m->state);
}

static void watch_end(struct member *m)
{
	poller_remove(m->stock->poller, &m->init_source);
	poller_remove(m->stock->poller, &m->executor_source);
}

/* Nothing of it runs any more: launch_reap will not have to wait. */
static void finish(struct member *m)
{
	int64_t oom_kills = 0;
	boundary_stop(&m->boundary); /* these may be in a group that goes */
	uplink_detach(&m->stock->router, &m->uplink);
	launch_reap(&m->box, &oom_kills);
	m->control_fd = close_fd(m->control_fd);
	if (oom_kills > 0 && m->reason == END_EXITED)
		m->reason = END_OUT_OF_MEMORY;
	state_set(m, MEMBER_ENDED);
	if (m->was_ready)
		m->stock->is_pool_held = true;
	m->stock->ended(m->stock, m);
}

static void one_ended(struct member *m, struct source *source, int pidfd, pid_t *pid)
{
	poller_remove(m->stock->poller, source);
	launch_wait(pid, pidfd);
	stock_end(m, END_EXITED);
	if (--m->n_running == 0)
		finish(m);
}

/* pid 1, and with it all that was in its namespace. */
static void init_ready(struct source *source, uint32_t events)
{
	struct member *m = container_of(source, struct member, init_source);
	one_ended(m, source, m->box.init_pidfd, &m->box.init_pid);
}

static void executor_ready(struct source *source, uint32_t events)
{
	struct member *m = container_of(source, struct member, executor_source);
	one_ended(m, source, m->box.executor_pidfd, &m->box.executor_pid);
}

static void watch_start(struct member *m)
{
	struct poller *p = m->stock->poller;
	m->init_source.ready = init_ready;
	m->executor_source.ready = executor_ready;
	m->n_running = 2;
	poller_add(p, &m->init_source, m->box.init_pidfd, EPOLLIN);
	poller_add(p, &m->executor_source, m->box.executor_pidfd, EPOLLIN);
}

static void forget(struct member *m)
{
	map_remove(&m->stock->by_id, str_from(m->id));
	list_remove(&m->link);
	m->stock->count--;
	free(m->spec);
	free(m);
}

/* What was left of it when its builder died: pid 1 at most, and that is killed. */
static void bury(struct member *m)
{
	m->was_ready = true;
	m->n_running = 1;
	m->init_source.ready = init_ready;
	state_set(m, MEMBER_ENDING);
	poller_add(m->stock->poller, &m->init_source, m->box.init_pidfd, EPOLLIN);
}

static void make_failed(struct member *m, const struct error *err)
{
	struct stock *s = m->stock;
	if (m->is_asked) {
		s->made(s, m, err);
	} else {
		s->is_pool_held = true;
		s->refilling--;
		log_warn("pool.held", "error=%s", err->text);
	}
	if (m->box.init_pid > 0)
		bury(m);
	else
		forget(m);
}

static void give(struct member *m)
{
	struct stock *s = m->stock;
	list_remove(&m->link);
	list_append(&s->members, &m->link);
	state_set(m, MEMBER_LIVING);
	s->is_pool_held = false;
}

static void make_next(struct stock *s);

static int attach(struct stock *s, struct member *m, struct error *err)
{
	if (!uplink_is_wanted(m->network))
		return 0;
	return uplink_attach(&s->router, m->network, &m->net, &m->box, s->host.run_dir, &m->uplink,
		err);
}

static void crew_built(struct crew *crew, void *job, const struct box *box, int control_fd,
	const struct error *err)
{
	struct stock *s = crew->owner;
	struct member *m = job;
	struct error failure;
	m->box = *box;
	m->control_fd = control_fd;
	m->enforced = box->enforced;
	if (!err) {
		watch_start(m);
		if (attach(s, m, &failure) < 0) {
			watch_end(m);
			launch_kill(&m->box);
			err = &failure;
		}
	}
	if (err) {
		make_failed(m, err);
	} else if (m->is_asked) {
		give(m);
		s->made(s, m, NULL);
	} else {
		s->refilling--;
		state_set(m, MEMBER_READY);
		if (m->is_unwanted)
			stock_end(m, END_DESTROYED);
	}
	make_next(s);
}

/* Gives work to all hands that are free. */
static void make_next(struct stock *s)
{
	struct member *m;
	struct error err;
	while (crew_has_idle(&s->crew) && (m = list_first(&s->queue, struct member, link))) {
		auto_free struct spec *spec = take_ptr(m->spec);
		list_remove(&m->link);
		list_append(&s->idle, &m->link);
		s->queued--;
		if (crew_build(&s->crew, spec, m, &err) < 0)
			make_failed(m, &err);
	}
}

static struct member *make_later(struct stock *s, const struct spec *spec)
{
	struct member *m = mem_new(struct member);
	*m = (struct member){ .stock = s,
		.state = MEMBER_MAKING,
		.box = BOX_INIT,
		.spec = mem_new(struct spec),
		.boundary = BOUNDARY_INIT,
		.uplink = UPLINK_INIT,
		.network = spec->network,
		.net = spec->net,
		.control_fd = -1 };
	*m->spec = *spec;
	snprintf(m->id, sizeof(m->id), "%s", spec->id);
	list_append(&s->queue, &m->link);
	map_put(&s->by_id, str_from(m->id), m);
	s->count++;
	s->queued++;
	return m;
}

static bool is_default(const char *text, const char *standard)
{
	return !*text || !strcmp(text, standard);
}

static bool limit_fits(int64_t asked, int64_t in_force)
{
	return asked == 0 || asked == in_force;
}

/* Would making this spec give the same as what is ready: the default spec under another id? */
static bool fits(const struct spec *spec, const struct enforced *has)
{
	const struct spec_limits *want = &spec->limits, *got = &has->limits;
	return spec->image == IMAGE_HOST && spec->network == NETWORK_LOOPBACK &&
		spec->user == USER_AGENT && spec->n_mounts == 0 && spec->n_layers == 0 &&
		spec->keeps_layer != LAYER_OF_IMAGE && is_default(spec->hostname, "cay") &&
		is_default(spec->workdir, "/workspace") && !(spec->required & ~has->controls) &&
		limit_fits(want->memory_bytes, got->memory_bytes) &&
		limit_fits(want->pids, got->pids) && limit_fits(want->cpu_milli, got->cpu_milli) &&
		limit_fits(want->disk_bytes, got->disk_bytes) &&
		limit_fits(want->disk_inodes, got->disk_inodes);
}

static struct member *find_ready(struct stock *s, const struct spec *spec)
{
	struct member *m;
	list_for_each(m, &s->idle, link)
		if (m->state == MEMBER_READY) /* they are all alike */
			return fits(spec, &m->enforced) ? m : NULL;
	return NULL;
}

int stock_create(struct stock *s, const struct spec *spec, uint64_t serial, struct error *err)
{
	if (map_find(&s->by_id, str_from(spec->id)))
		return error_set(err, ERROR_EXISTS, "sandbox %s exists", spec->id);
	struct member *m = find_ready(s, spec);
	if (m) {
		m->create_serial = serial;
		give(m);
		s->made(s, m, NULL);
		return 0;
	}
	if (s->count >= STOCK_MAX)
		return error_set(err, ERROR_LIMIT, "there are %d sandboxes already", s->count);
	m = make_later(s, spec);
	m->is_asked = true;
	m->create_serial = serial;
	make_next(s);
	return 0;
}

bool stock_is_busy(const struct stock *s)
{
	return s->queued >= STOCK_QUEUE_MAX;
}

/* What a builder is at cannot be called off; it goes when it is made. */
void stock_forsake(struct stock *s)
{
	struct member *m, *next;
	list_for_each_safe(m, next, &s->queue, link) {
		s->queued--;
		s->refilling -= !m->is_asked;
		forget(m);
	}
	list_for_each(m, &s->idle, link) {
		if (m->state != MEMBER_MAKING)
			continue;
		s->refilling += m->is_asked;
		m->is_asked = false;
		m->is_unwanted = true;
	}
}

struct member *stock_find(const struct stock *s, const char *id)
{
	struct member *m = map_find(&s->by_id, str_from(id));
	return m && (m->state == MEMBER_LIVING || m->state == MEMBER_ENDING) ? m : NULL;
}

void stock_end(struct member *m, enum end_reason reason)
{
	if (m->state == MEMBER_MAKING || m->state == MEMBER_ENDING || m->state == MEMBER_ENDED)
		return;
	m->was_ready = m->state == MEMBER_READY;
	m->reason = reason;
	state_set(m, MEMBER_ENDING);
	launch_kill(&m->box);
}

void stock_end_all(struct stock *s)
{
	struct member *m;
	stock_forsake(s);
	list_for_each(m, &s->members, link) {
		stock_end(m, END_DESTROYED);
	}
	list_for_each(m, &s->idle, link) {
		stock_end(m, END_DESTROYED);
	}
}

void stock_drop(struct member *m)
{
	BUG_IF(m->state != MEMBER_ENDED, "a sandbox is forgotten before it is gone");
	forget(m);
}

uint32_t stock_number(struct stock *s)
{
	uint32_t n = 0;
	struct member *m;
	list_for_each(m, &s->members, link) {
		m->adopt_index = m->state == MEMBER_LIVING ? n++ : UINT32_MAX;
	}
	return n;
}

struct member *stock_numbered(const struct stock *s, uint32_t index)
{
	struct member *m;
	list_for_each(m, &s->members, link) {
		if (m->state == MEMBER_LIVING && m->adopt_index == index)
			return m;
	}
	return NULL;
}

bool stock_wants_refill(const struct stock *s)
{
	return s->ready + s->refilling < s->pool && !s->is_pool_held && s->count < STOCK_MAX &&
		crew_has_idle(&s->crew);
}

void stock_refill(struct stock *s)
{
	static struct spec spec = { .keeps_layer = LAYER_OF_SNAPSHOT };
	id_make(spec.id);
	make_later(s, &spec);
	s->refilling++;
	make_next(s);
}

int stock_offer(const struct stock *s, struct enforced *ret, struct error *err)
{
	static struct plan plan;
	static struct spec spec;
	struct lock lock;
	id_make(spec.id);
	if (plan_make(&spec, &s->host, PLAN_IS_KEPT, &plan, err) < 0)
		return -1;
	int r = lock_make(&plan.spec, &lock, err);
	*ret = plan.enforced;
	ret->controls |= r == 0 ? lock_controls(&lock) : 0;
	plan_fini(&plan);
	return r;
}
