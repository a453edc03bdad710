/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/kube/pump.h"

#include "base/auto.h"
#include "base/bug.h"
#include "event/loop.h"
#include "wire/frame.h"
#include "wire/json.h"

#include <sys/socket.h>

enum { ERROR_FRAME_MAX = 4096, NEAR = 0, FAR = 1 };

/* From one end to the other. */
struct way {
	struct buf bytes; /* taken and not given yet */
	bool has_ended;   /* nothing more comes */
};

struct pump {
	struct list link; /* pump_house::pumps */
	struct pump_house *house;
	struct knock *knock; /* NULL: the executor is reached */
	int fds[2];          /* ours, of the caller's socket; the executor's */
	struct watch *watches[2];
	struct way ways[2]; /* from that end */
};

static void pump_free(struct pump *p)
{
	list_remove(&p->link);
	knock_free(p->knock);
	for (int i = 0; i < 2; i++) {
		watch_free(p->watches[i]);
		close_fd(p->fds[i]);
		buf_fini(&p->ways[i].bytes);
	}
	free(p);
}

void pump_house_init(struct pump_house *h, struct loop *loop)
{
	h->loop = loop;
	list_init(&h->pumps);
}

void pump_house_fini(struct pump_house *h)
{
	while (!list_is_empty(&h->pumps))
		pump_free(list_get_first(&h->pumps, struct pump, link));
}

/* ---- moving bytes ---- */

/* False: that end is gone. */
static bool take(struct pump *p, int from)
{
	struct way *way = &p->ways[from];
	size_t room = PUMP_BYTES - way->bytes.len;
	if (way->has_ended || !room)
		return true;
	ssize_t n = recv(p->fds[from], buf_room(&way->bytes, room), room, MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return true;
	if (n < 0)
		return false;
	buf_grown(&way->bytes, (size_t)n);
	way->has_ended = n == 0;
	return true;
}

static bool give(struct pump *p, int from)
{
	struct way *way = &p->ways[from];
	if (!way->bytes.len)
		return true;
	ssize_t n = send(p->fds[!from], way->bytes.ptr, way->bytes.len,
		MSG_DONTWAIT | MSG_NOSIGNAL);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return true;
	if (n < 0)
		return false;
	buf_drop_front(&way->bytes, (size_t)n);
	return true;
}

static int wanted(const struct pump *p, int end)
{
	const struct way *from = &p->ways[end], *to = &p->ways[!end];
	return (!from->has_ended && from->bytes.len < PUMP_BYTES ? LOOP_READ : 0) |
		(to->bytes.len ? LOOP_WRITE : 0);
}

/* An end that says no more is gone as soon as the other has all of it: calls know no half. */
static bool is_over(const struct pump *p)
{
	for (int i = 0; i < 2; i++)
		if (p->ways[i].has_ended && !p->ways[i].bytes.len)
			return true;
	return false;
}

static void turn(struct pump *p, int end)
{
	bool is_good = take(p, end) && give(p, end) && give(p, !end);
	if (!is_good || is_over(p)) {
		pump_free(p);
		return;
	}
	for (int i = 0; i < 2; i++)
		watch_set(p->watches[i], wanted(p, i));
}

static void on_near(void *arg, int events)
{
	turn(arg, NEAR);
}

static void on_far(void *arg, int events)
{
	turn(arg, FAR);
}

/* ---- its beginning ---- */

static void on_opened(void *arg, int fd)
{
	struct pump *p = arg;
	p->knock = NULL;
	p->fds[FAR] = fd;
	p->watches[NEAR] = watch_new(p->house->loop, p->fds[NEAR], LOOP_READ, on_near, p);
	p->watches[FAR] = watch_new(p->house->loop, fd, LOOP_READ, on_far, p);
}

/* The socket is new: an error fits into it. */
static void on_failed(void *arg, const struct error *err)
{
	struct pump *p = arg;
	struct error own = *err;
	auto_buf struct buf json = BUF_INIT(ERROR_FRAME_MAX), frame = BUF_INIT(ERROR_FRAME_MAX);
	struct jsonw w = JSONW(&json);
	p->knock = NULL;
	own.code = ERROR_UNAVAILABLE;
	jsonw_error(&w, &own);
	frame_put(&frame, FRAME_ERROR, 0, buf_str(&json));
	if (send(p->fds[NEAR], frame.ptr, frame.len, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		errno = 0; /* who asked is gone */
	pump_free(p);
}

int pump_open(struct pump_house *h, const struct reach *reach, const char *secret, int *ret_fd,
	struct error *err)
{
	static const struct knock_ops ops = { on_opened, on_failed };
	int ends[2];
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) < 0)
		return error_sys(err, errno, "make a call socket");
	struct pump *p = mem_new(struct pump);
	*p = (struct pump){ .house = h, .fds = { ends[0], -1 } };
	for (int i = 0; i < 2; i++)
		buf_init(&p->ways[i].bytes, PUMP_BYTES + 1);
	list_append(&h->pumps, &p->link);
	p->knock = knock_new(h->loop, reach, DOOR_CALL, secret, &ops, p);
	*ret_fd = ends[1];
	return 0;
}
