/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. waitid(2) shows the first of our dead children without reaping it. An orphan
 * is reaped, and the next one looked at; at a child of our own we stop, as we cannot look past it.
 * It will be waited for, and then orphans_disown looks again: so nothing stays, and nothing is
 * asked for in vain.
 */
#include "executor/orphans.h"

#include "base/auto.h"
#include "base/bug.h"
#include "base/map.h"

#include <signal.h>
#include <sys/wait.h>

static struct {
	struct loop *loop; /* NULL: not ours to do */
	struct signal_watch *watch;
	struct map own; /* pid, as its bytes → itself */
} o;

static char nobody; /* what the map's values point to */

static struct str key_of(const pid_t *pid)
{
	return str_from_len((const char *)pid, sizeof(*pid));
}

static void reap(void *arg)
{
	for (;;) {
		siginfo_t info = { 0 };
		if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) < 0 || info.si_pid == 0)
			return;
		if (map_find(&o.own, key_of(&info.si_pid)))
			return;
		waitid(P_PID, (id_t)info.si_pid, &info, WEXITED | WNOHANG);
	}
}

/* At the end of the turn: who waits for a child of our own does so in this one. */
static void reap_later(void *arg)
{
	loop_undefer(o.loop, &o);
	loop_defer(o.loop, reap, &o);
}

void orphans_watch(struct loop *loop)
{
	o.loop = loop;
	o.watch = signal_new(loop, SIGCHLD, reap_later, &o);
}

void orphans_unwatch(void)
{
	if (!o.loop)
		return;
	loop_undefer(o.loop, &o);
	signal_free(take_ptr(o.watch));
	map_fini(&o.own);
	o.own = (struct map){ 0 };
	o.loop = NULL;
}

void orphans_own(pid_t pid)
{
	if (o.loop && pid > 0)
		map_put(&o.own, key_of(&pid), &nobody);
}

void orphans_disown(pid_t pid)
{
	if (o.loop && map_remove(&o.own, key_of(&pid)))
		reap_later(NULL);
}
