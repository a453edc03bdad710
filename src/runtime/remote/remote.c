/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. A member is a sandbox there. What is being done to it is its errand, one at a time: a chain
 * of questions, each asked when the one before is answered, that ends with end_errand.
 *
 *	create   GET /sessions/S → running: wait; paused: POST /resume, wait; else POST /start, wait
 *	wait     GET /runtime/R until it is ready, then GET URL/alive until it answers; pauses that grow
 *	pause    POST /pause          resume   POST /resume, wait        destroy  POST /stop
 *	wake     as resume, for an action that found it paused
 *
 * The API has no other way to tell that a runtime has become ready than to be asked again. A member that could not
 * be made is stopped there, as far as it got.
 */
#include "runtime/remote/remote.h"

#include "base/auto.h"
#include "base/bug.h"
#include "base/clock.h"
#include "base/list.h"
#include "runtime/remote/wish.h"
#include "runtime/remote/site.h"
#include "runtime/sandbox.h"

#include <ctype.h>

enum { WAIT_FIRST_MS = 50, WAIT_MAX_MS = 2000 };

struct remote {
	struct backend base;
	struct loop *loop;
	struct asker asker;
	char *url;
	char *key; /* a header line, or NULL */
	bool is_server;
	struct list members; /* member::link */
	size_t n_members;
	struct list answers; /* answer::link */
	struct list usages;  /* usage::link */
	backend_fn *started;
	void *started_arg;
};

struct member;
typedef void errand_fn(struct member *m, const struct error *err);

struct member {
	struct list link; /* remote::members */
	struct remote *remote;
	char id[ID_SIZE];
	char *session;
	char *runtime_id;
	struct site site;
	struct ask *ask;
	struct timer *timer;
	int64_t deadline_ms, wait_ms;
	errand_fn *errand; /* its end; NULL: nothing is being done */
	backend_fn *done;
	void *arg;
	struct buf start_json; /* of a create */
	char *workdir;         /* the same: known to the site once it is started with it */
	bool is_waking;
};

struct answer {
	struct list link; /* remote::answers */
	struct remote *remote;
	backend_fn *done;
	void *arg;
	struct backend_reply reply;
};

static const struct backend_ops remote_ops;

static struct remote *remote_from(struct backend *b)
{
	BUG_IF(b->ops != &remote_ops, "a backend that is not a remote one");
	return container_of(b, struct remote, base);
}

/* ---- answers ---- */

static void answer_free(struct answer *a)
{
	list_remove(&a->link);
	loop_undefer(a->remote->loop, a);
	free(a);
}

static void answer_now(void *arg)
{
	struct answer *a = arg;
	struct answer copy = *a;
	answer_free(a);
	copy.done(copy.arg, &copy.reply);
}

static struct backend_reply *answer_later(struct remote *r, const char *id, backend_fn *done,
	void *arg)
{
	struct answer *a = mem_new(struct answer);
	a->remote = r;
	a->done = done;
	a->arg = arg;
	snprintf(a->reply.id, sizeof(a->reply.id), "%s", id);
	a->reply.enforced.limits = (struct spec_limits){ SPEC_UNLIMITED, SPEC_UNLIMITED,
		SPEC_UNLIMITED, SPEC_UNLIMITED, SPEC_UNLIMITED };
	list_append(&r->answers, &a->link);
	loop_defer(r->loop, answer_now, a);
	return &a->reply;
}

/* ---- members ---- */

static struct member *find(struct remote *r, const char *id)
{
	struct member *m;
	list_for_each(m, &r->members, link)
		if (strcmp(m->id, id) == 0)
			return m;
	return NULL;
}

static void wake(void *arg);
static const struct site_ops api_site = { .wake = wake };
static const struct site_ops server_site = { .wake = NULL };

static void on_timer(void *arg);

static struct member *member_new(struct remote *r, const char *id, struct str session)
{
	struct member *m = mem_new(struct member);
	m->remote = r;
	snprintf(m->id, sizeof(m->id), "%s", id);
	m->session = str_dup(session);
	m->timer = timer_new(r->loop, on_timer, m);
	buf_init(&m->start_json, REMOTE_START_MAX);
	site_init(&m->site, &r->asker, r->is_server ? &server_site : &api_site, m);
	list_append(&r->members, &m->link);
	r->n_members++;
	return m;
}

static void member_free(struct member *m)
{
	list_remove(&m->link);
	m->remote->n_members--;
	ask_drop(m->ask);
	timer_free(m->timer);
	site_fini(&m->site);
	buf_fini(&m->start_json);
	free(m->session);
	free(m->workdir);
	free(m->runtime_id);
	free(m);
}

/* Takes a runtime object: where it is and what it is called. */
static int take_runtime(struct member *m, const struct json *runtime, struct error *err)
{
	struct str id = json_str(json_find(runtime, "runtime_id"));
	struct str url = json_str(json_find(runtime, "url"));
	struct str key = json_str(json_find(runtime, "session_api_key"));
	if (!id.len || !str_starts(url, STR("http")) || str_has_nul(url) || str_has_nul(key) ||
		str_find_char(key, '\n') >= 0)
		return error_set(err, ERROR_PROTOCOL,
			"the runtime API gave no runtime_id, or no url, of a runtime");
	free(m->runtime_id);
	m->runtime_id = str_dup(id);
	site_set(&m->site, url, key);
	return 0;
}

/* ---- errands ---- */

static void ask(struct member *m, const char *method, const char *url, struct str json,
	int64_t timeout_ms, bool is_harmless, int tries, ask_fn *done)
{
	struct ask_plan plan = {
		.method = method,
		.url = url,
		.json = json,
		.keys = { m->remote->key ?: m->site.key, m->remote->key ? m->site.key : NULL },
		.timeout_ms = timeout_ms,
		.tries = tries,
		.is_harmless = is_harmless,
		.done = done,
		.arg = m,
	};
	BUG_IF(m->ask, "two questions about one sandbox at once");
	m->ask = ask_new(&m->remote->asker, &plan);
}

static void ask_api(struct member *m, const char *method, const char *path, struct str json,
	bool is_harmless, ask_fn *done)
{
	auto_free char *url = mem_printf("%s%s", m->remote->url, path);
	ask(m, method, url, json, REMOTE_API_MS, is_harmless, 0, done);
}

/* {"runtime_id":…} */
static void post_runtime(struct member *m, const char *path, ask_fn *done)
{
	auto_buf struct buf b = BUF_INIT(64 * 1024);
	struct jsonw w = JSONW(&b);
	jsonw_open(&w);
	jsonw_key_str(&w, "runtime_id", str_from(m->runtime_id));
	jsonw_close(&w);
	ask_api(m, "POST", path, buf_str(&b), true, done);
}

static void end_errand(struct member *m, const struct error *err)
{
	errand_fn *errand = m->errand;
	m->errand = NULL;
	timer_clear(m->timer);
	errand(m, err);
}

/* ---- waiting ---- */

static void ask_status(struct member *m);

static void ask_again_later(struct member *m, const char *status)
{
	struct error err;
	if (clock_mono_ms() < m->deadline_ms) {
		timer_set(m->timer, m->wait_ms);
		m->wait_ms = MIN(2 * m->wait_ms, (int64_t)WAIT_MAX_MS);
		return;
	}
	error_set(&err, ERROR_NOT_READY, "Runtime (ID=%s) is not yet ready. Status: %s",
		m->runtime_id ?: m->session, status);
	end_errand(m, &err);
}

static void on_alive(void *arg, int status, struct str body, const struct error *err)
{
	struct member *m = arg;
	m->ask = NULL;
	if (!err)
		end_errand(m, NULL);
	else if (err->code == ERROR_UNAUTHORIZED || err->code == ERROR_PROTOCOL)
		end_errand(m, err);
	else
		ask_again_later(m, err->text);
}

static void ask_alive(struct member *m)
{
	auto_free char *url = mem_printf("%s/alive", m->site.url);
	ask(m, "GET", url, STR_NONE, REMOTE_ALIVE_MS, true, 1, on_alive);
}

static void judge_pod(struct member *m, struct str pod)
{
	static const char *const fatal[] = { "failed", "unknown", "crashloopbackoff" };
	char word[32];
	struct error err;
	snprintf(word, sizeof(word), "%.*s", STR_ARG(str_first(pod, sizeof(word) - 1)));
	for (char *c = word; *c; c++)
		*c = (char)tolower((unsigned char)*c);
	for (size_t i = 0; i < ARRAY_LEN(fatal); i++) {
		if (strcmp(word, fatal[i]) != 0)
			continue;
		if (i == 2)
			error_set(&err, ERROR_UNAVAILABLE,
				"Runtime crashed and is being restarted, potentially due to memory "
				"usage. Please try again.");
		else
			error_set(&err, ERROR_UNAVAILABLE,
				"Runtime is unavailable (status: %s). Please try again.", word);
		end_errand(m, &err);
		return;
	}
	if (strcmp(word, "ready") == 0)
		ask_alive(m);
	else
		ask_again_later(m, word);
}

static void on_status(void *arg, int status, struct str body, const struct error *err)
{
	struct member *m = arg;
	auto_json struct json *runtime = NULL;
	struct error e;
	m->ask = NULL;
	if (err)
		end_errand(m, err);
	else if (json_parse(body, &runtime, &e) < 0 ||
		!json_str(json_find(runtime, "pod_status")).len) {
		error_set(&e, ERROR_PROTOCOL, "the runtime API did not tell a pod_status");
		end_errand(m, &e);
	} else {
		judge_pod(m, json_str(json_find(runtime, "pod_status")));
	}
}

static void ask_status(struct member *m)
{
	auto_buf struct buf path = BUF_INIT(64 * 1024);
	if (m->remote->is_server) {
		ask_alive(m);
		return;
	}
	buf_puts(&path, "/runtime/");
	wish_put_segment(&path, m->runtime_id);
	ask_api(m, "GET", path.ptr, STR_NONE, true, on_status);
}

static void on_timer(void *arg)
{
	ask_status(arg);
}

static void wait_ready(struct member *m)
{
	m->deadline_ms = clock_mono_ms() + REMOTE_READY_MS;
	m->wait_ms = WAIT_FIRST_MS;
	ask_status(m);
}

/* ---- create ---- */

static void on_start(void *arg, int status, struct str body, const struct error *err)
{
	struct member *m = arg;
	auto_json struct json *runtime = NULL;
	struct error e;
	m->ask = NULL;
	if (err) {
		e = *err;
		error_wrap(&e, "POST /start");
		end_errand(m, &e);
	} else if (json_parse(body, &runtime, &e) < 0 || take_runtime(m, runtime, &e) < 0) {
		end_errand(m, &e);
	} else {
		m->site.workdir = take_ptr(m->workdir);
		m->remote->base.events->started(m->remote->base.events_arg, m->id);
		wait_ready(m);
	}
}

static void start(struct member *m)
{
	ask_api(m, "POST", "/start", buf_str(&m->start_json), false, on_start);
}

static void on_resume(void *arg, int status, struct str body, const struct error *err)
{
	struct member *m = arg;
	m->ask = NULL;
	if (err)
		end_errand(m, err);
	else
		wait_ready(m);
}

static void on_session(void *arg, int status, struct str body, const struct error *err)
{
	struct member *m = arg;
	auto_json struct json *runtime = NULL;
	struct error e;
	m->ask = NULL;
	if (err && err->code == ERROR_NOT_FOUND) {
		start(m);
		return;
	}
	if (err || json_parse(body, &runtime, &e) < 0) {
		end_errand(m, err ? err : &e);
		return;
	}
	struct str is = json_str(json_find(runtime, "status"));
	bool is_running = str_is(is, "running"), is_paused = str_is(is, "paused");
	if (!is_running && !is_paused) {
		start(m);
	} else if (take_runtime(m, runtime, &e) < 0) {
		end_errand(m, &e);
	} else {
		m->remote->base.events->started(m->remote->base.events_arg, m->id);
		if (is_paused)
			post_runtime(m, "/resume", on_resume);
		else
			wait_ready(m);
	}
}

static void on_ignored(void *arg, int status, struct str body, const struct error *err)
{
}

/* Nobody will ever ask for it. */
static void stop_there(struct member *m)
{
	auto_buf struct buf b = BUF_INIT(64 * 1024);
	auto_free char *url = mem_printf("%s/stop", m->remote->url);
	struct jsonw w = JSONW(&b);
	if (!m->runtime_id || m->remote->is_server)
		return;
	jsonw_open(&w);
	jsonw_key_str(&w, "runtime_id", str_from(m->runtime_id));
	jsonw_close(&w);
	const struct ask_plan plan = {
		.method = "POST",
		.url = url,
		.json = buf_str(&b),
		.keys = { m->remote->key },
		.timeout_ms = REMOTE_API_MS,
		.is_harmless = true,
		.done = on_ignored,
	};
	ask_new(&m->remote->asker, &plan);
}

static void tell(struct member *m, const struct error *err)
{
	struct backend_reply *reply = answer_later(m->remote, m->id, m->done, m->arg);
	if (err)
		reply->error = *err;
}

/* From now on it is called what a restarted server would call it. */
static void on_created(struct member *m, const struct error *err)
{
	char id[ID_SIZE];
	wish_id(str_from(m->remote->is_server ? m->remote->url : m->session), id);
	if (!err)
		memcpy(m->id, id, sizeof(m->id));
	tell(m, err);
	if (!err)
		return;
	stop_there(m);
	member_free(m);
}

static void begin(struct member *m, errand_fn *errand, backend_fn *done, void *arg)
{
	m->errand = errand;
	m->done = done;
	m->arg = arg;
}

static bool has_session(struct remote *r, const char *session)
{
	struct member *m;
	list_for_each(m, &r->members, link)
		if (strcmp(m->session, session) == 0)
			return true;
	return false;
}

static void create_in_api(struct remote *r, const struct sandbox *s, const struct spec *spec,
	backend_fn *done, void *arg)
{
	auto_buf struct buf path = BUF_INIT(64 * 1024);
	struct member *m = member_new(r, s->id, str_from(s->name[0] ? s->name : s->id));
	begin(m, on_created, done, arg);
	wish_put_start(&m->start_json, m->session, s, spec);
	m->workdir = mem_strdup(spec->workdir[0] ? spec->workdir : "/workspace");
	buf_puts(&path, "/sessions/");
	wish_put_segment(&path, m->session);
	ask_api(m, "GET", path.ptr, STR_NONE, true, on_session);
}

static void create_on_server(struct remote *r, const struct sandbox *s, backend_fn *done, void *arg)
{
	struct member *m = member_new(r, s->id, STR("server"));
	begin(m, on_created, done, arg);
	site_set(&m->site, str_from(r->url), str_from(r->key ? strchr(r->key, ' ') + 1 : NULL));
	r->base.events->started(r->base.events_arg, m->id);
	wait_ready(m);
}

static void remote_create(struct backend *b, const struct sandbox *s, const struct spec *spec,
	backend_fn *done, void *arg)
{
	struct remote *r = remote_from(b);
	struct error err;
	int ok = wish_check(spec, &err);
	const struct member *other = list_first(&r->members, struct member, link);
	if (ok == 0 && r->is_server && other)
		ok = error_set(&err, ERROR_LIMIT,
			"the action server is one sandbox, and that is there: %s", other->id);
	if (ok == 0 && has_session(r, s->name[0] ? s->name : s->id))
		ok = error_set(&err, ERROR_EXISTS, "the session %s is there already", s->name);
	if (ok == 0 && r->n_members >= REMOTE_MEMBERS_MAX)
		ok = error_set(&err, ERROR_LIMIT, "%d sandboxes", REMOTE_MEMBERS_MAX);
	if (ok < 0)
		answer_later(r, s->id, done, arg)->error = err;
	else if (r->is_server)
		create_on_server(r, s, done, arg);
	else
		create_in_api(r, s, spec, done, arg);
}

/* ---- destroy, pause, resume, wake ---- */

static struct member *find_idle(struct remote *r, const char *id, backend_fn *done, void *arg)
{
	struct member *m = find(r, id);
	struct error err;
	if (m && !m->errand)
		return m;
	if (m)
		error_set(&err, ERROR_CONFLICT, "sandbox %s: something is being done with it", id);
	else
		error_set(&err, ERROR_NOT_FOUND, "sandbox %s is gone", id);
	answer_later(r, id, done, arg)->error = err;
	return NULL;
}

static void on_stopped(struct member *m, const struct error *err)
{
	bool is_gone = !err || err->code == ERROR_NOT_FOUND;
	tell(m, is_gone ? NULL : err);
	if (is_gone)
		member_free(m);
}

static void on_posted(void *arg, int status, struct str body, const struct error *err)
{
	struct member *m = arg;
	m->ask = NULL;
	end_errand(m, err);
}

static void remote_destroy(struct backend *b, const char *id, backend_fn *done, void *arg)
{
	struct remote *r = remote_from(b);
	struct member *m = find_idle(r, id, done, arg);
	if (!m)
		return;
	begin(m, on_stopped, done, arg);
	if (r->is_server)
		end_errand(m, NULL); /* it is not ours to end: it is forgotten */
	else
		post_runtime(m, "/stop", on_posted);
}

static void remote_freeze(struct backend *b, const char *id, bool is_frozen, backend_fn *done,
	void *arg)
{
	struct remote *r = remote_from(b);
	struct member *m = find_idle(r, id, done, arg);
	if (!m)
		return;
	if (r->is_server) {
		error_set(&answer_later(r, id, done, arg)->error, ERROR_UNSUPPORTED,
			"an action server cannot be paused: that takes a runtime API");
		return;
	}
	begin(m, tell, done, arg);
	if (is_frozen)
		post_runtime(m, "/pause", on_posted);
	else
		post_runtime(m, "/resume", on_resume);
}

static void on_woken(struct member *m, const struct error *err)
{
	site_is_awake(&m->site, err);
}

static void wake(void *arg)
{
	struct member *m = arg;
	struct error err;
	if (m->errand) {
		error_set(&err, ERROR_NOT_READY, "something is being done with it");
		site_is_awake(&m->site, &err);
		return;
	}
	begin(m, on_woken, NULL, NULL);
	post_runtime(m, "/resume", on_resume);
}

/* ---- usage ---- */

struct usage {
	struct list link; /* remote::usages */
	struct remote *remote;
	char id[ID_SIZE];
	backend_fn *done;
	void *arg;
};

static void on_usage(void *arg, int status, struct str body, const struct error *err)
{
	struct usage *u = arg;
	auto_json struct json *info = NULL;
	struct backend_reply *reply = answer_later(u->remote, u->id, u->done, u->arg);
	if (err)
		reply->error = *err;
	else if (json_parse(body, &info, &reply->error) == 0)
		reply->usage = (struct monitor_usage){
			.memory_bytes = json_int(json_find(
				json_find(json_find(info, "resources"), "memory"), "rss")),
			.memory_peak_bytes = -1,
			.pids = -1,
			.cpu_us = -1,
			.disk_bytes = -1,
			.disk_inodes = -1,
		};
	list_remove(&u->link);
	free(u);
}

static void remote_usage(struct backend *b, const char *id, backend_fn *done, void *arg)
{
	struct remote *r = remote_from(b);
	struct member *m = find(r, id);
	if (!m) {
		error_set(&answer_later(r, id, done, arg)->error, ERROR_NOT_FOUND,
			"sandbox %s is gone", id);
		return;
	}
	struct usage *u = mem_new(struct usage);
	*u = (struct usage){ .remote = r, .done = done, .arg = arg };
	list_append(&r->usages, &u->link);
	memcpy(u->id, m->id, sizeof(u->id));
	auto_free char *url = mem_printf("%s/server_info", m->site.url);
	const struct ask_plan plan = {
		.method = "GET",
		.url = url,
		.keys = { m->site.key },
		.timeout_ms = REMOTE_ALIVE_MS,
		.is_harmless = true,
		.done = on_usage,
		.arg = u,
	};
	ask_new(&r->asker, &plan);
}

/* ---- the start ---- */

static void finish_start(struct remote *r, const struct error *err)
{
	struct backend_reply *reply = answer_later(r, "", r->started, r->started_arg);
	if (err) {
		reply->error = *err;
		error_wrap(&reply->error, "%s", r->url);
	}
}

static void adopt(struct remote *r, struct member *m, bool is_paused)
{
	struct backend_reply reply = { .is_paused = is_paused };
	memcpy(reply.id, m->id, sizeof(reply.id));
	snprintf(reply.name, sizeof(reply.name), "%s", m->session);
	r->base.events->adopt(r->base.events_arg, &reply);
}

static void adopt_runtime(struct remote *r, const struct json *runtime)
{
	struct str session = json_str(json_find(runtime, "session_id"));
	struct str status = json_str(json_find(runtime, "status"));
	bool is_paused = str_is(status, "paused");
	char id[ID_SIZE];
	if (!session.len || str_has_nul(session) || r->n_members >= REMOTE_MEMBERS_MAX ||
		(!is_paused && !str_is(status, "running")))
		return;
	wish_id(session, id);
	if (find(r, id))
		return;
	struct member *m = member_new(r, id, session);
	struct error err;
	if (take_runtime(m, runtime, &err) < 0)
		member_free(m);
	else
		adopt(r, m, is_paused);
}

static void on_list(void *arg, int status, struct str body, const struct error *err)
{
	struct remote *r = arg;
	auto_json struct json *list = NULL;
	struct error e;
	/* An API that cannot list what it has is one whose sandboxes are found by their names. */
	if (err && err->code != ERROR_NOT_FOUND) {
		finish_start(r, err);
		return;
	}
	if (!err && json_parse(body, &list, &e) < 0) {
		error_wrap(&e, "GET /list");
		e.code = ERROR_PROTOCOL;
		finish_start(r, &e);
		return;
	}
	const struct json *runtimes = json_find(list, "runtimes");
	for (size_t i = 0; i < json_len(runtimes); i++)
		adopt_runtime(r, json_at(runtimes, i));
	finish_start(r, NULL);
}

static void on_server_alive(void *arg, int status, struct str body, const struct error *err)
{
	struct remote *r = arg;
	char id[ID_SIZE];
	if (err) {
		finish_start(r, err);
		return;
	}
	wish_id(str_from(r->url), id);
	struct member *m = member_new(r, id, STR("default"));
	site_set(&m->site, str_from(r->url), str_from(r->key ? strchr(r->key, ' ') + 1 : NULL));
	adopt(r, m, false);
	finish_start(r, NULL);
}

static void remote_start(struct backend *b, backend_fn *done, void *arg)
{
	struct remote *r = remote_from(b);
	auto_free char *url = mem_printf("%s%s", r->url, r->is_server ? "/alive" : "/list");
	const struct ask_plan plan = {
		.method = "GET",
		.url = url,
		.keys = { r->key },
		.timeout_ms = r->is_server ? REMOTE_ALIVE_MS : REMOTE_API_MS,
		.is_harmless = true,
		.done = r->is_server ? on_server_alive : on_list,
		.arg = r,
	};
	r->started = done;
	r->started_arg = arg;
	ask_new(&r->asker, &plan);
}

/* ---- the rest ---- */

static int remote_open_call(struct backend *b, const char *id, int *ret_fd, struct error *err)
{
	struct member *m = find(remote_from(b), id);
	if (!m)
		return error_set(err, ERROR_GONE, "sandbox %s is gone", id);
	return site_open_call(&m->site, ret_fd, err);
}

static void remote_free(struct backend *b)
{
	struct remote *r = remote_from(b);
	while (!list_is_empty(&r->answers))
		answer_free(list_get_first(&r->answers, struct answer, link));
	while (!list_is_empty(&r->members))
		member_free(list_get_first(&r->members, struct member, link));
	asker_fini(&r->asker);
	while (!list_is_empty(&r->usages)) {
		struct usage *u = list_get_first(&r->usages, struct usage, link);
		list_remove(&u->link);
		free(u);
	}
	free(r->url);
	free(r->key);
	free(r);
}

static const struct backend_ops remote_ops = {
	.name = "remote",
	.is_shared = true,
	.start = remote_start,
	.create = remote_create,
	.destroy = remote_destroy,
	.freeze = remote_freeze,
	.usage = remote_usage,
	.open_call = remote_open_call,
	.free = remote_free,
};

int remote_backend_new(struct loop *loop, const struct remote_config *config, struct backend **ret,
	struct error *err)
{
	struct str url = str_from(config->url), key = str_from(config->key);
	while (str_ends(url, STR("/")))
		url.len--;
	if (!str_starts(url, STR("http://")) && !str_starts(url, STR("https://")))
		return error_set(err, ERROR_INVALID, "'%.*s' is no http:// or https:// URL",
			STR_ARG(str_first(url, 100)));
	if (str_find_char(key, '\n') >= 0 || str_find_char(key, '\r') >= 0)
		return error_set(err, ERROR_INVALID, "the key holds a line break");
	struct remote *r = mem_new(struct remote);
	r->base.ops = &remote_ops;
	r->loop = loop;
	r->url = str_dup(url);
	r->is_server = config->is_server;
	if (key.len)
		r->key = mem_printf("%s: %.*s", r->is_server ? "X-Session-API-Key" : "X-API-Key",
			STR_ARG(key));
	list_init(&r->members);
	list_init(&r->answers);
	list_init(&r->usages);
	asker_init(&r->asker, loop);
	*ret = &r->base;
	return 0;
}
