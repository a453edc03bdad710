/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. Each request is answered before the next is read, but CREATE, which is
 * answered when the sandbox is made, and DESTROY, when it is gone. Replies that find no room in the
 * socket wait in `outbox`, news of ended sandboxes in their members. While anything waits, nothing
 * is read: a server that does not listen is not served, and the outbox holds no more than one reply
 * and those to the creates that were under way. Nothing is read either while the stock's queue is
 * full.
 */
#include "sandbox/desk.h"

#include "base/auto.h"
#include "base/bug.h"
#include "base/file.h"
#include "base/log.h"
#include "sandbox/notify.h"
#include "sandbox/request.h"
#include "sandbox/server.h"

#include <fcntl.h>
#include <sys/socket.h>

static struct monitor_reply reply_to(const struct monitor_request *request)
{
	return (struct monitor_reply){
		.version = MONITOR_VERSION,
		.op = request->op,
		.serial = request->serial,
	};
}

static struct monitor_reply reply_about(const struct member *m, uint32_t op, uint64_t serial)
{
	struct monitor_reply reply = {
		.version = MONITOR_VERSION,
		.op = op,
		.serial = serial,
		.end_reason = m->reason,
		.init_pid = m->state == MEMBER_ENDED ? 0 : m->box.init_pid,
		.enforced = m->enforced,
	};
	memcpy(reply.id, m->id, sizeof(reply.id));
	return reply;
}

static void watch_end(struct desk *d)
{
	if (d->is_watching)
		poller_remove(d->poller, &d->source);
	d->is_watching = false;
}

/*
 * 1: sent, 0: no room now; negative: the server is past talking to. If it lives nevertheless (the
 * kernel had no memory for the message), it waits for an answer that will not come: it is told to
 * end, and the next one adopts.
 */
static int send_now(struct desk *d, const struct monitor_reply *reply, const int fds[LETTER_FDS])
{
	struct error err;
	struct str bytes = str_from_len((const char *)reply, sizeof(*reply));
	int n = 0;
	while (n < LETTER_FDS && fds[n] >= 0)
		n++;
	if (fd_send(d->fd, bytes, fds, n, &err) == 0)
		return 1;
	if (err.sys == EAGAIN)
		return 0;
	shutdown(d->fd, SHUT_RDWR);
	watch_end(d);
	return -1;
}

/* second_fd: goes with it only behind a first. */
static void reply_send_both(struct desk *d, const struct monitor_reply *reply, int fd,
	int second_fd)
{
	const int fds[LETTER_FDS] = { fd, second_fd };
	if (list_is_empty(&d->outbox) && send_now(d, reply, fds) != 0)
		return;
	struct letter *l = mem_new(struct letter);
	l->reply = *reply;
	for (int i = 0; i < LETTER_FDS; i++)
		l->fds[i] = fds[i] < 0 ? -1 : fcntl(fds[i], F_DUPFD_CLOEXEC, 0);
	list_append(&d->outbox, &l->link);
}

static void reply_send(struct desk *d, const struct monitor_reply *reply, int fd)
{
	reply_send_both(d, reply, fd, -1);
}

static void letter_free(struct letter *l)
{
	list_remove(&l->link);
	for (int i = 0; i < LETTER_FDS; i++)
		close_fd(l->fds[i]);
	free(l);
}

static void outbox_clear(struct desk *d)
{
	struct letter *l, *next;
	list_for_each_safe(l, next, &d->outbox, link) {
		letter_free(l);
	}
}

static void on_hello(struct desk *d, const struct monitor_request *request)
{
	struct monitor_reply reply = reply_to(request);
	reply.count = stock_number(d->stock);
	d->has_greeted = true;
	reply_send(d, &reply, -1);
}

static void on_ready(struct desk *d)
{
	if (!d->has_served)
		notify_say("READY=1");
	d->has_served = true;
	if (d->ready_fd >= 0) {
		if (dprintf(d->ready_fd, "%s\n", d->ready) < 0)
			log_warn("ready.write", "error=%s", strerror(errno));
		d->ready_fd = close_fd(d->ready_fd);
	}
}

static int on_adopt(struct desk *d, const struct monitor_request *request, struct error *err)
{
	struct member *m = stock_numbered(d->stock, request->index);
	if (!m)
		return error_set(err, ERROR_NOT_FOUND, "sandbox number %u is gone", request->index);
	struct monitor_reply reply = reply_about(m, request->op, request->serial);
	reply_send_both(d, &reply, m->control_fd, m->boundary.fd);
	return 0;
}

/* A path in the state directory, as the server sees it, becomes the host's. */
static int translate(const struct desk *d, char path[SPEC_PATH_SIZE], struct error *err)
{
	static const struct str seen = { SERVER_STATE_DIR "/", sizeof(SERVER_STATE_DIR) };
	char copy[SPEC_PATH_SIZE];
	if (!d->state_dir || !str_starts(str_from(path), seen))
		return 0;
	memcpy(copy, path, sizeof(copy));
	int n = snprintf(path, SPEC_PATH_SIZE, "%s/%s", d->state_dir, copy + seen.len);
	return n < SPEC_PATH_SIZE ? 0
				  : error_set(err, ERROR_INVALID, "the path is too long: %s", copy);
}

static int on_create(struct desk *d, struct monitor_request *request, struct error *err)
{
	struct spec *spec = &request->spec;
	if (d->is_closing)
		return error_set(err, ERROR_UNAVAILABLE, "the supervisor is stopping");
	if (translate(d, spec->image_path, err) < 0 || translate(d, spec->layers_path, err) < 0)
		return -1;
	for (uint32_t i = 0; i < spec->n_mounts; i++)
		if (translate(d, spec->mounts[i].source, err) < 0)
			return -1;
	return stock_create(d->stock, spec, request->serial, err); /* see desk_made */
}

static struct member *find(struct desk *d, const struct monitor_request *request, struct error *err)
{
	struct member *m = stock_find(d->stock, request->id);
	if (!m)
		error_set(err, ERROR_NOT_FOUND, "no sandbox %s", request->id);
	return m;
}

/* One that dies is let die: to freeze it now would keep it for ever. */
static struct member *find_living(struct desk *d, const struct monitor_request *request,
	struct error *err)
{
	struct member *m = find(d, request, err);
	if (m && m->state != MEMBER_LIVING) {
		error_set(err, ERROR_CONFLICT, "sandbox %s is ending", m->id);
		return NULL;
	}
	return m;
}

static int on_destroy(struct desk *d, const struct monitor_request *request, struct error *err)
{
	struct member *m = find(d, request, err);
	if (!m)
		return -1;
	if (m->is_awaited)
		return error_set(err, ERROR_CONFLICT, "sandbox %s is being destroyed", m->id);
	m->is_awaited = true;
	m->destroy_serial = request->serial;
	stock_end(m, END_DESTROYED);
	return 0; /* answered by tell */
}

static int on_usage(struct desk *d, const struct monitor_request *request, struct error *err)
{
	struct member *m = find(d, request, err);
	if (!m)
		return -1;
	struct launch_usage u;
	launch_usage(&m->box, &u);
	struct monitor_reply reply = reply_about(m, request->op, request->serial);
	reply.usage = (struct monitor_usage){
		.memory_bytes = u.memory_bytes,
		.memory_peak_bytes = u.memory_peak_bytes,
		.pids = u.pids,
		.cpu_us = u.cpu_us,
		.disk_bytes = u.disk_bytes,
		.disk_inodes = u.disk_inodes,
		.oom_kills = u.oom_kills,
	};
	reply_send(d, &reply, -1);
	return 0;
}

static int on_freeze(struct desk *d, const struct monitor_request *request, struct error *err)
{
	struct member *m = find_living(d, request, err);
	if (!m || launch_freeze(&m->box, request->flag, err) < 0)
		return -1;
	struct monitor_reply reply = reply_about(m, request->op, request->serial);
	reply.count = launch_is_frozen(&m->box);
	reply_send(d, &reply, -1);
	return 0;
}

/* A second time gives the same one: it has its secrets already. */
static int on_boundary(struct desk *d, const struct monitor_request *request, struct error *err)
{
	struct member *m = find_living(d, request, err);
	if (!m ||
		(m->boundary.fd < 0 &&
			boundary_start(&m->boundary, &m->box.cgroup, d->stock->host.is_root, err) <
				0))
		return -1;
	struct monitor_reply reply = reply_about(m, request->op, request->serial);
	reply_send(d, &reply, m->boundary.fd);
	return 0;
}

static int on_decisions(struct desk *d, const struct monitor_request *request, struct error *err)
{
	struct member *m = find_living(d, request, err);
	if (!m)
		return -1;
	if (m->uplink.decisions_fd < 0)
		return error_set(err, ERROR_UNSUPPORTED, "nobody tells what its network decides");
	struct monitor_reply reply = reply_about(m, request->op, request->serial);
	reply_send_both(d, &reply, m->uplink.decisions_fd, m->uplink.pasta.pidfd);
	return 0;
}

static int on_host(struct desk *d, const struct monitor_request *request, struct error *err)
{
	struct monitor_reply reply = reply_to(request);
	if (stock_offer(d->stock, &reply.enforced, err) < 0)
		return -1;
	reply_send(d, &reply, -1);
	return 0;
}

/* Each either answers, now or later, or fails. */
static int dispatch(struct desk *d, struct monitor_request *request, struct error *err)
{
	switch (request->op) {
	case MONITOR_ADOPT:
		return on_adopt(d, request, err);
	case MONITOR_CREATE:
		return on_create(d, request, err);
	case MONITOR_DESTROY:
		return on_destroy(d, request, err);
	case MONITOR_USAGE:
		return on_usage(d, request, err);
	case MONITOR_FREEZE:
		return on_freeze(d, request, err);
	case MONITOR_BOUNDARY:
		return on_boundary(d, request, err);
	case MONITOR_DECISIONS:
		return on_decisions(d, request, err);
	case MONITOR_HOST:
		return on_host(d, request, err);
	case MONITOR_READY:
		on_ready(d);
		return 0;
	default:
		on_hello(d, request);
		return 0;
	}
}

static void handle(struct desk *d, struct monitor_request *request)
{
	struct error err;
	if (request_check(request, &err) == 0 && dispatch(d, request, &err) == 0)
		return;
	struct monitor_reply reply = reply_to(request);
	reply.error = err;
	reply_send(d, &reply, -1);
}

static void watch_set(struct desk *d)
{
	if (!d->is_watching)
		return;
	bool has_news = !list_is_empty(&d->outbox) || (d->untold > 0 && d->has_greeted);
	uint32_t events = has_news ? EPOLLOUT : stock_is_busy(d->stock) ? 0 : EPOLLIN;
	if (events != d->events)
		poller_set(d->poller, &d->source, events);
	d->events = events;
}

static void server_is_hostile(struct desk *d, const struct error *err)
{
	log_error("server.protocol", "error=%s", err->text);
	watch_end(d);
	d->hostile(d);
}

static void monitor_read(struct desk *d)
{
	static struct monitor_request bytes, request;
	struct error err;
	int n_fds = 0;
	ssize_t n = fd_recv(d->fd, &bytes, sizeof(bytes), NULL, &n_fds, &err);
	if (n == 0) {
		watch_end(d); /* it is ending; its pidfd tells */
		return;
	}
	if (n < 0 && err.sys == EAGAIN)
		return;
	if (n > 0 && request_parse(str_from_len((char *)&bytes, (size_t)n), &request, &err) == 0) {
		if (d->has_greeted == (request.op != MONITOR_HELLO)) {
			handle(d, &request);
			return;
		}
		error_set(&err, ERROR_PROTOCOL, "a second HELLO, or none at first");
	}
	server_is_hostile(d, &err);
}

/* News of one ended sandbox: the reply to who destroyed it, else ENDED. False: not now. */
static bool tell(struct desk *d, struct member *m)
{
	struct monitor_reply reply = m->is_awaited
		? reply_about(m, MONITOR_DESTROY, m->destroy_serial)
		: reply_about(m, MONITOR_ENDED, 0);
	static const int none[LETTER_FDS] = { -1, -1 };
	if (send_now(d, &reply, none) <= 0)
		return false;
	stock_drop(m);
	d->untold--;
	return true;
}

static void monitor_write(struct desk *d)
{
	struct letter *l, *next_letter;
	struct member *m, *next;
	list_for_each_safe(l, next_letter, &d->outbox, link) {
		if (send_now(d, &l->reply, l->fds) == 0)
			return;
		letter_free(l);
	}
	list_for_each_safe(m, next, &d->stock->members, link) {
		if (d->untold == 0)
			break;
		if (m->state == MEMBER_ENDED && !tell(d, m))
			break;
	}
}

static void monitor_ready(struct source *source, uint32_t events)
{
	struct desk *d = container_of(source, struct desk, source);
	if (events & EPOLLOUT)
		monitor_write(d);
	else
		monitor_read(d);
	watch_set(d);
}

int desk_open(struct desk *d, int fd, struct error *err)
{
	BUG_IF(d->is_watching || !list_is_empty(&d->outbox), "a desk is opened while it is open");
	d->fd = fd;
	d->source.ready = monitor_ready;
	poller_add(d->poller, &d->source, fd, EPOLLIN);
	d->is_watching = true;
	d->events = EPOLLIN;
	return 0;
}

void desk_close(struct desk *d)
{
	struct member *m;
	watch_end(d);
	outbox_clear(d);
	d->has_greeted = false;
	d->fd = -1;
	stock_forsake(d->stock);
	/* Who asked for these is gone; the next one is told that they ended, and why. */
	list_for_each(m, &d->stock->members, link) {
		m->is_awaited = false;
	}
}

void desk_ended(struct desk *d, struct member *m)
{
	if (m->was_ready || d->is_closing) {
		stock_drop(m);
		return;
	}
	d->untold++;
	bool is_next = d->untold == 1 && list_is_empty(&d->outbox);
	if (!(is_next && d->is_watching && d->has_greeted && tell(d, m)))
		watch_set(d);
}

void desk_made(struct desk *d, struct member *m, const struct error *err)
{
	struct monitor_reply reply = reply_about(m, MONITOR_CREATE, m->create_serial);
	if (err) {
		reply = (struct monitor_reply){ .version = MONITOR_VERSION,
			.op = MONITOR_CREATE,
			.serial = m->create_serial,
			.error = *err };
	}
	reply_send(d, &reply, m->control_fd);
	watch_set(d);
}
