/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. Where one of the two fails, the other one's pipe breaks, and it fails for
 * that (ERROR_CANCELLED), perhaps first. So that failure is kept until the other one has told what
 * happened. Who never tells has the deadline of who asked.
 *
 * What is hashed comes out of one pipe, and goes on into a socket. It is bytes in memory of ours in
 * between: what lies in a pipe may be pages that its writer can still change (vmsplice), so neither
 * tee nor splice would hash what arrives.
 */
#include "runtime/haul.h"

#include "action/image_actions.h"
#include "base/auto.h"
#include "base/bug.h"
#include "base/file.h"
#include "runtime/disk.h"
#include "runtime/internal.h"

#include <fcntl.h>
#include <sys/socket.h>

enum { PIPE_SIZE = 1024 * 1024, STEP = 256 * 1024, STEPS_PER_TURN = 4 };

struct haul {
	const struct haul_ops *ops;
	void *arg;
	struct runtime_call *from, *to; /* NULL: over */
	struct error broken;            /* for which one of them has failed */
	struct haul_result result;
	/* Of what is hashed: */
	int in_fd, out_fd; /* -1 */
	struct watch *in_watch, *out_watch;
	struct sha256 hash;
	char *bytes; /* STEP of them */
	size_t n, sent;
};

/* ---- the end ---- */

static void stop_hashing(struct haul *h)
{
	watch_free(take_ptr(h->in_watch));
	watch_free(take_ptr(h->out_watch));
	h->in_fd = close_fd(h->in_fd);
	h->out_fd = close_fd(h->out_fd);
}

void haul_cancel(struct haul *h)
{
	if (!h)
		return;
	if (h->from)
		runtime_call_cancel(h->from);
	if (h->to)
		runtime_call_cancel(h->to);
	stop_hashing(h);
	free(h->bytes);
	free(h);
}

static void fail(struct haul *h, const struct error *err)
{
	const struct haul_ops *ops = h->ops;
	void *arg = h->arg;
	struct error copy = *err;
	if (copy.code == ERROR_CANCELLED)
		copy.code = ERROR_UNAVAILABLE; /* nobody wished for it */
	haul_cancel(h);
	ops->failed(arg, &copy);
}

/* One of the two has come to its end. */
static void look_for_end(struct haul *h)
{
	if (h->from || h->to)
		return;
	if (h->broken.code != ERROR_OK) {
		fail(h, &h->broken);
		return;
	}
	const struct haul_ops *ops = h->ops;
	void *arg = h->arg;
	struct haul_result result = h->result;
	if (h->bytes)
		sha256_end(&h->hash, result.digest);
	haul_cancel(h);
	ops->done(arg, &result);
}

static void take_failure(struct haul *h, const struct error *err)
{
	if (err->code != ERROR_CANCELLED) {
		fail(h, err);
		return;
	}
	if (h->broken.code == ERROR_OK)
		h->broken = *err;
	look_for_end(h);
}

static void on_from_failed(void *arg, const struct error *err)
{
	struct haul *h = arg;
	h->from = NULL;
	take_failure(h, err);
}

/* It writes to a directory of the server's. */
static void on_to_failed(void *arg, const struct error *err)
{
	struct haul *h = arg;
	struct error copy = *err;
	h->to = NULL;
	disk_blame(&copy);
	take_failure(h, &copy);
}

static void on_read(void *arg, struct str text)
{
	struct haul *h = arg;
	auto_json struct json *result = NULL;
	h->from = NULL;
	json_parse(text, &result, NULL);
	h->result.foreign = json_int(json_find(result, "foreign"));
	if (h->ops->read)
		h->ops->read(h->arg);
	look_for_end(h);
}

static void on_laid(void *arg, struct str text)
{
	struct haul *h = arg;
	auto_json struct json *result = NULL;
	h->to = NULL;
	json_parse(text, &result, NULL);
	h->result.entries = json_int(json_find(result, "entries"));
	h->result.written_bytes = json_int(json_find(result, "written_bytes"));
	look_for_end(h);
}

/* ---- what is hashed ---- */

/* What it has to give on. False: not now, or no more. */
static bool send_on(struct haul *h)
{
	while (h->sent < h->n) {
		ssize_t n = send(h->out_fd, h->bytes + h->sent, h->n - h->sent,
			MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno != EAGAIN)
			stop_hashing(h); /* the taker ended: the giver is to see it */
		if (n < 0)
			return false;
		h->sent += (size_t)n;
	}
	h->n = h->sent = 0;
	return true;
}

static bool take_some(struct haul *h)
{
	ssize_t n = read(h->in_fd, h->bytes, STEP);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	if (n <= 0) {
		stop_hashing(h);
		return false;
	}
	sha256_add(&h->hash, str_from_len(h->bytes, (size_t)n));
	h->n = (size_t)n;
	return true;
}

static void on_flow(void *arg, int events)
{
	struct haul *h = arg;
	for (int i = 0; i < STEPS_PER_TURN; i++)
		if (!send_on(h) || !take_some(h))
			break;
	if (h->in_fd < 0)
		return;
	watch_set(h->in_watch, h->n ? 0 : LOOP_READ);
	watch_set(h->out_watch, h->n ? LOOP_WRITE : 0);
}

/* ---- the beginning ---- */

static int make_pipe(int *ret_read_fd, int *ret_write_fd, struct error *err)
{
	int ends[2];
	if (pipe2(ends, O_CLOEXEC) < 0)
		return error_sys(err, errno, "make a pipe");
	fcntl(ends[1], F_SETPIPE_SZ,
		PIPE_SIZE); /* faster, where the user's pipes may be so large */
	*ret_read_fd = ends[0];
	*ret_write_fd = ends[1];
	return 0;
}

/* In place of *read_fd, which it takes, another one, of what has been hashed. */
static int start_hashing(struct haul *h, struct loop *loop, int *read_fd, struct error *err)
{
	int ends[2];
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
		return error_sys(err, errno, "make a socket");
	h->in_fd = *read_fd;
	h->out_fd = ends[0];
	*read_fd = ends[1];
	if (fd_set_nonblock(h->in_fd, err) < 0)
		return -1;
	sha256_init(&h->hash);
	h->bytes = mem_alloc(STEP);
	h->in_watch = watch_new(loop, h->in_fd, LOOP_READ, on_flow, h);
	h->out_watch = watch_new(loop, h->out_fd, 0, on_flow, h);
	return 0;
}

static void start(struct haul *h, const struct haul_wish *wish, int read_fd, int write_fd)
{
	static const struct call_sink from_sink = { .result = on_read, .error = on_from_failed },
				      to_sink = { .result = on_laid, .error = on_to_failed };
	auto_buf struct buf params = BUF_INIT(8192);
	struct jsonw w = JSONW(&params);
	jsonw_open(&w);
	jsonw_key_str(&w, "path", str_from(wish->path));
	jsonw_key_int(&w, "max_bytes", wish->max_bytes);
	jsonw_close(&w);
	h->to = call_perform_with(wish->to, &lay_action, buf_str(&params), read_fd, &to_sink, h);
	h->from = call_perform_with(wish->from, &layer_action, wish->layer_json, write_fd,
		&from_sink, h);
}

struct haul *haul_new(const struct haul_wish *wish, const struct haul_ops *ops, void *arg,
	struct error *err)
{
	auto_fd int read_fd = -1, write_fd = -1;
	if (make_pipe(&read_fd, &write_fd, err) < 0)
		return NULL;
	struct haul *h = mem_new(struct haul);
	h->ops = ops;
	h->arg = arg;
	h->in_fd = h->out_fd = -1;
	if (wish->is_hashed && start_hashing(h, wish->from->runtime->loop, &read_fd, err) < 0) {
		haul_cancel(h);
		return NULL;
	}
	start(h, wish, read_fd, write_fd);
	return h;
}
