/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What epoll says carries descriptor and generation, not a pointer: a source may be removed, and
 * its descriptor have another one, between what happened and when it is told. What poll(2) says is
 * put into the same list, and whoever was in it goes to the end of those that wait, so that many
 * cannot keep out the last.
 */
#include "base/poller.h"

#include "base/auto.h"
#include "base/bug.h"

#include <poll.h>

/* The same bits in both: what one wait says the other's reader understands. */
_Static_assert(EPOLLIN == POLLIN && EPOLLOUT == POLLOUT, "");
_Static_assert(EPOLLERR == POLLERR && EPOLLHUP == POLLHUP, "");

int poller_init(struct poller *p, struct error *err)
{
	*p = (struct poller){ .epoll_fd = epoll_create1(EPOLL_CLOEXEC) };
	list_init(&p->refused);
	return p->epoll_fd < 0 ? error_sys(err, errno, "make an epoll instance") : 0;
}

void poller_fini(struct poller *p)
{
	free(take_ptr(p->by_fd));
	p->n_by_fd = 0;
	p->epoll_fd = close_fd(p->epoll_fd);
}

static struct source *find(const struct poller *p, int fd)
{
	return (size_t)fd < p->n_by_fd ? p->by_fd[fd] : NULL;
}

static void remember(struct poller *p, struct source *source)
{
	size_t fd = (size_t)source->fd;
	if (fd >= p->n_by_fd) {
		size_t n = MAX(2 * p->n_by_fd, fd + 16);
		struct source **by_fd = mem_new_n(struct source *, n);
		for (size_t i = 0; i < p->n_by_fd; i++)
			by_fd[i] = p->by_fd[i];
		free(p->by_fd);
		p->by_fd = by_fd;
		p->n_by_fd = n;
	}
	BUG_IF(p->by_fd[fd], "a descriptor that is watched twice");
	p->by_fd[fd] = source;
}

static int control(const struct poller *p, const struct source *source, int op)
{
	struct epoll_event e = { .events = source->events,
		.data.u64 = (uint64_t)source->generation << 32 | (uint32_t)source->fd };
	return epoll_ctl(p->epoll_fd, op, source->fd, &e);
}

/* True if epoll takes it. */
static bool ask(const struct poller *p, const struct source *source, int op)
{
	int r = control(p, source, op);
	BUG_IF(r < 0 && errno != ENOSPC && errno != ENOMEM, "a descriptor that cannot be watched");
	return r == 0;
}

void poller_add(struct poller *p, struct source *source, int fd, uint32_t events)
{
	source->fd = fd;
	source->events = events;
	source->generation = ++p->generation;
	list_init(&source->refused);
	remember(p, source);
	p->n_sources++;
	if (!ask(p, source, EPOLL_CTL_ADD))
		list_append(&p->refused, &source->refused);
}

void poller_set(struct poller *p, struct source *source, uint32_t events)
{
	BUG_IF(find(p, source->fd) != source, "a watched descriptor is not watched");
	source->events = events;
	if (!list_is_empty(&source->refused) || ask(p, source, EPOLL_CTL_MOD))
		return;
	control(p, source, EPOLL_CTL_DEL);
	list_append(&p->refused, &source->refused);
}

void poller_remove(struct poller *p, struct source *source)
{
	if (source->fd < 0 || find(p, source->fd) != source)
		return;
	if (list_is_empty(&source->refused))
		control(p, source, EPOLL_CTL_DEL);
	list_remove(&source->refused);
	p->by_fd[source->fd] = NULL;
	p->n_sources--;
}

/* As many as there is room for again. */
static void retry(struct poller *p)
{
	struct source *source;
	while ((source = list_first(&p->refused, struct source, refused)) &&
		ask(p, source, EPOLL_CTL_ADD))
		list_remove(&source->refused);
}

static size_t list_refused(struct poller *p, struct pollfd *fds)
{
	size_t n = 0;
	struct source *source;
	list_for_each(source, &p->refused, refused)
		fds[n++] = (struct pollfd){ source->fd, (short)source->events, 0 };
	return n;
}

static void note(struct poller *p, const struct pollfd *polled)
{
	struct source *source = find(p, polled->fd);
	if (!source || !polled->revents || p->n_said == POLLER_BATCH / 2)
		return;
	p->said[p->n_said++] = (struct epoll_event){ .events = (uint32_t)polled->revents,
		.data.u64 = (uint64_t)source->generation << 32 | (uint32_t)source->fd };
	list_remove(&source->refused);
	list_append(&p->refused, &source->refused);
}

static void look(struct poller *p, int timeout_ms)
{
	struct epoll_event *said = p->said + p->n_said;
	int n = epoll_wait(p->epoll_fd, said, POLLER_BATCH - p->n_said, timeout_ms);
	if (n > 0)
		p->n_said += n;
}

/* For those that epoll refused, and for epoll itself. */
static void wait_crowded(struct poller *p, int timeout_ms)
{
	auto_free struct pollfd *fds = mem_new_n(struct pollfd, p->n_sources + 1);
	size_t n = list_refused(p, fds);
	fds[n] = (struct pollfd){ p->epoll_fd, POLLIN, 0 };
	if (poll(fds, n + 1, timeout_ms) <= 0)
		return;
	for (size_t i = 0; i < n; i++)
		note(p, &fds[i]);
	if (fds[n].revents)
		look(p, 0);
}

bool poller_wait(struct poller *p, int timeout_ms)
{
	p->n_said = 0;
	retry(p);
	if (list_is_empty(&p->refused))
		look(p, timeout_ms);
	else
		wait_crowded(p, timeout_ms);
	return p->n_said > 0;
}

void poller_tell(struct poller *p)
{
	for (int i = 0; i < p->n_said; i++) {
		int fd = (int)(uint32_t)p->said[i].data.u64;
		struct source *source = find(p, fd);
		if (source && source->generation == p->said[i].data.u64 >> 32)
			source->ready(source, p->said[i].events);
		else if (!source) /* closed before it was removed, while a child has it, too */
			epoll_ctl(p->epoll_fd, EPOLL_CTL_DEL, fd, NULL);
	}
	p->n_said = 0;
}

bool poller_turn(struct poller *p, int timeout_ms)
{
	bool has_news = poller_wait(p, timeout_ms);
	poller_tell(p);
	return has_news;
}
