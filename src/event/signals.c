/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The handler writes the signal's number into a pipe that the loop reads. The pipe is the
 * process's: what is forked has the handler too until it executes something, so that looks whose
 * signal it is.
 */
#include "event/parts.h"

#include "base/auto.h"
#include "base/bug.h"

#include <fcntl.h>
#include <signal.h>

struct signal_watch {
	struct list link; /* signals::all */
	struct signals *of;
	int signo;
	uint64_t told; /* of the last signal that it was told of */
	loop_fn *fn;
	void *arg;
};

static int ends[2] = { -1, -1 };
static pid_t owner;

static void on_signal(int signo)
{
	int saved = errno;
	unsigned char byte = (unsigned char)signo;
	/* Where it is full there is a signal to be told of anyway. */
	if (getpid() == owner && write(ends[1], &byte, 1) < 0)
		byte = 0;
	errno = saved;
}

static struct signal_watch *find(struct signals *all, int signo)
{
	struct signal_watch *s;
	list_for_each(s, &all->all, link)
		if (s->signo == signo)
			return s;
	return NULL;
}

/* Any of them may be freed meanwhile, and the loop's last with it. */
static void tell(struct signals *all, int signo)
{
	static uint64_t n_told;
	uint64_t number = ++n_told;
	struct signal_watch *s;
	do {
		list_for_each(s, &all->all, link)
			if (s->signo == signo && s->told != number)
				break;
		if (&s->link == &all->all)
			return;
		s->told = number;
		s->fn(s->arg);
	} while (!list_is_empty(&all->all));
}

static void on_pipe(void *arg, int events)
{
	struct signals *all = arg;
	unsigned char bytes[64];
	ssize_t n = read(ends[0], bytes, sizeof(bytes));
	for (ssize_t i = 0; i < n; i++)
		tell(all, bytes[i]);
}

static void set_handler(int signo, void (*handler)(int))
{
	struct sigaction action = { .sa_handler = handler, .sa_flags = SA_RESTART };
	sigfillset(&action.sa_mask);
	BUG_IF(sigaction(signo, &action, NULL) < 0, "a signal that cannot be caught");
}

static void open_pipe(struct loop *loop, struct signals *all)
{
	BUG_IF(ends[0] >= 0, "two loops ask for signals");
	BUG_IF(pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0, "no pipe for signals");
	owner = getpid();
	list_init(&all->all);
	all->pipe = watch_new(loop, ends[0], LOOP_READ, on_pipe, all);
}

static void close_pipe(struct signals *all)
{
	watch_free(take_ptr(all->pipe));
	ends[0] = close_fd(ends[0]);
	ends[1] = close_fd(ends[1]);
}

struct signal_watch *signal_new(struct loop *loop, int signo, loop_fn *fn, void *arg)
{
	struct signals *all = loop_signals(loop);
	if (!all->pipe)
		open_pipe(loop, all);
	struct signal_watch *s = mem_new(struct signal_watch);
	*s = (struct signal_watch){ .of = all, .signo = signo, .fn = fn, .arg = arg };
	list_append(&all->all, &s->link);
	set_handler(signo, on_signal);
	return s;
}

void signal_free(struct signal_watch *s)
{
	if (!s)
		return;
	struct signals *all = s->of;
	list_remove(&s->link);
	if (!find(all, s->signo))
		set_handler(s->signo, SIG_DFL);
	if (list_is_empty(&all->all))
		close_pipe(all);
	free(s);
}
