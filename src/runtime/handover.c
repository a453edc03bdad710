/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/handover.h"

#include "base/auto.h"
#include "base/bug.h"
#include "base/file.h"

#include <fcntl.h>
#include <sys/socket.h>

struct end {
	struct list link; /* handover::waiting */
	int fds[2];       /* the second one may be -1 */
};

static void end_free(struct end *end)
{
	list_remove(&end->link);
	close_fd(end->fds[0]);
	close_fd(end->fds[1]);
	free(end);
}

static void rest(struct handover *h)
{
	watch_free(take_ptr(h->watch));
	h->fd = close_fd(h->fd);
}

static int give(int control_fd, const int fds[2], struct error *err)
{
	return fd_send(control_fd, STR("C"), fds, fds[1] < 0 ? 1 : 2, err);
}

static void on_room(void *arg, int events)
{
	struct handover *h = arg;
	struct end *end;
	while ((end = list_first(&h->waiting, struct end, link))) {
		struct error err;
		if (give(h->fd, end->fds, &err) < 0 && err.sys == EAGAIN)
			return;
		end_free(end); /* given, or nobody is there any more: then its caller sees it end */
	}
	rest(h);
}

/* Another descriptor of the control socket: the first one may be watched already. */
static int wait_for_room(struct handover *h, int control_fd, struct error *err)
{
	if (h->watch)
		return 0;
	h->fd = fcntl(control_fd, F_DUPFD_CLOEXEC, 3);
	if (h->fd < 0)
		return error_sys(err, errno, "watch a control socket");
	h->watch = watch_new(h->loop, h->fd, LOOP_WRITE, on_room, h);
	return 0;
}

static int close_both(const int fds[2])
{
	close_fd(fds[0]);
	close_fd(fds[1]);
	return 0;
}

/* Takes the descriptors. */
static int give_or_wait(struct handover *h, int control_fd, int fds[2], struct error *err)
{
	if (control_fd >= 0 && list_is_empty(&h->waiting)) {
		if (give(control_fd, fds, err) == 0)
			return close_both(fds);
		if (err->sys != EAGAIN || wait_for_room(h, control_fd, err) < 0)
			return close_both(fds) - 1;
	}
	struct end *end = mem_new(struct end);
	memcpy(end->fds, fds, sizeof(end->fds));
	list_append(&h->waiting, &end->link);
	return 0;
}

int handover_call(struct handover *h, int control_fd, int stream_fd, int *ret_fd, struct error *err)
{
	int ends[2];
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) < 0)
		return error_sys(err, errno, "make a call socket");
	auto_fd int ours = ends[0];
	auto_fd int theirs = ends[1];
	int copy_fd = stream_fd < 0 ? -1 : fcntl(stream_fd, F_DUPFD_CLOEXEC, 3);
	if (stream_fd >= 0 && copy_fd < 0)
		return error_sys(err, errno, "hand over a pipe");
	if (give_or_wait(h, control_fd, (int[2]){ take_fd(&theirs), copy_fd }, err) < 0)
		return -1;
	*ret_fd = take_fd(&ours);
	return 0;
}

void handover_init(struct handover *h, struct loop *loop)
{
	*h = (struct handover){ .loop = loop, .fd = -1 };
	list_init(&h->waiting);
}

void handover_begin(struct handover *h, int control_fd)
{
	if (!list_is_empty(&h->waiting) && wait_for_room(h, control_fd, NULL) < 0)
		handover_fini(h);
}

void handover_fini(struct handover *h)
{
	while (!list_is_empty(&h->waiting))
		end_free(list_get_first(&h->waiting, struct end, link));
	rest(h);
}
