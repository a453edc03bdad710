/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where a connection cannot be taken for want of descriptors or memory, an acceptor rests: asked
 * again at once it would fail at once again, and the loop would do little else.
 */
#include "event/loop.h"

#include "base/auto.h"
#include "base/bug.h"

#include <sys/socket.h>

enum { REST_MS = 100 };

struct acceptor {
	int fd;
	struct watch *watch;
	struct timer *rest;
	bool is_resting, is_paused;
	acceptor_fn *fn;
	void *arg;
};

static void listen_on(struct acceptor *a)
{
	watch_set(a->watch, a->is_resting || a->is_paused ? 0 : LOOP_READ);
}

static void on_rested(void *arg)
{
	struct acceptor *a = arg;
	a->is_resting = false;
	listen_on(a);
}

static bool is_nothing(int sys)
{
	return sys == EAGAIN || sys == EINTR || sys == ECONNABORTED;
}

static void on_connection(void *arg, int events)
{
	struct acceptor *a = arg;
	int fd = accept4(a->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd >= 0) {
		a->fn(a->arg, fd);
	} else if (!is_nothing(errno)) {
		a->is_resting = true;
		listen_on(a);
		timer_set(a->rest, REST_MS);
	}
}

struct acceptor *acceptor_new(struct loop *loop, int listen_fd, acceptor_fn *fn, void *arg)
{
	struct acceptor *a = mem_new(struct acceptor);
	*a = (struct acceptor){ .fd = listen_fd, .fn = fn, .arg = arg };
	a->rest = timer_new(loop, on_rested, a);
	a->watch = watch_new(loop, listen_fd, LOOP_READ, on_connection, a);
	return a;
}

void acceptor_pause(struct acceptor *a, bool is_paused)
{
	a->is_paused = is_paused;
	listen_on(a);
}

void acceptor_free(struct acceptor *a)
{
	if (!a)
		return;
	watch_free(a->watch);
	timer_free(a->rest);
	free(a);
}
