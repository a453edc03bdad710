/* SPDX-License-Identifier: Apache-2.0 */
#include "sandbox/poller.h"

#include "base/auto.h"
#include "base/bug.h"

int poller_init(struct poller *p, struct error *err)
{
	p->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	return p->epoll_fd < 0 ? error_sys(err, errno, "make an epoll instance") : 0;
}

void poller_fini(struct poller *p)
{
	p->epoll_fd = close_fd(p->epoll_fd);
}

int poller_add(struct poller *p, int fd, struct source *source, uint32_t events, struct error *err)
{
	struct epoll_event e = { .events = events, .data.ptr = source };
	if (epoll_ctl(p->epoll_fd, EPOLL_CTL_ADD, fd, &e) == 0)
		return 0;
	if (errno == ENOSPC) /* of no disk */
		return error_set(err, ERROR_LIMIT,
			"epoll takes no more descriptors of this user (fs.epoll.max_user_watches)");
	return error_sys(err, errno, "wait for descriptor %d", fd);
}

void poller_set(struct poller *p, int fd, struct source *source, uint32_t events)
{
	struct epoll_event e = { .events = events, .data.ptr = source };
	BUG_IF(epoll_ctl(p->epoll_fd, EPOLL_CTL_MOD, fd, &e) < 0,
		"a watched descriptor is not watched");
}

void poller_remove(struct poller *p, int fd)
{
	if (fd >= 0)
		epoll_ctl(p->epoll_fd, EPOLL_CTL_DEL, fd, NULL);
}

bool poller_turn(struct poller *p, int timeout_ms)
{
	struct epoll_event e;
	int n = epoll_wait(p->epoll_fd, &e, 1, timeout_ms);
	BUG_IF(n < 0 && errno != EINTR, "epoll_wait failed");
	if (n == 1) {
		struct source *source = e.data.ptr;
		source->ready(source, e.events);
	}
	return n != 0;
}
