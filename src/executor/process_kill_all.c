/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. A child of ours is in the sandbox's pid namespace and we are not: it has no
 * parent there, and "everybody" is the sandbox without pid 1. In a container we are its pid 1
 * ourselves. Where a child has any other parent, everybody would be everything that this user runs.
 *
 * The child sends the signal and stays until nobody is left. Those who are being killed may stop
 * it, so it is told to go on, or kill it, so another one is sent. To a second child the first would
 * be somebody, too: one call is at work at a time, and those after it wait.
 */
#include "executor/process_verbs.h"

#include "action/process_actions.h"
#include "base/auto.h"
#include "base/bug.h"
#include "base/clock.h"
#include "executor/executor.h"
#include "executor/fork.h"
#include "executor/orphans.h"

#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>

enum { LOOK_MS = 20, PATIENCE_MS = 10000, CHILDREN_MAX = 100 };

enum { ALL_GONE, CANNOT, NO_NAMESPACE };

struct killing {
	struct list link; /* executor::killings */
	struct call *call;
	int pidfd; /* of the child; -1: there is none */
	pid_t pid;
	struct watch *watch;
	struct timer *look;
	int64_t end_ms;
	int n_children;
};

static _Noreturn void kill_everybody(void)
{
	if (getppid() > 1)
		_exit(NO_NAMESPACE);
	if (kill(-1, SIGKILL) < 0 && errno != ESRCH)
		_exit(CANNOT);
	while (kill(-1, 0) == 0)
		poll(NULL, 0, 1);
	_exit(ALL_GONE);
}

static void reap(struct killing *k, siginfo_t *ret)
{
	watch_free(take_ptr(k->watch));
	waitid(P_PIDFD, (id_t)k->pidfd, ret, WEXITED);
	k->pidfd = close_fd(k->pidfd);
	orphans_disown(k->pid);
}

static void end(struct killing *k, enum error_code code, const char *why)
{
	struct error err;
	if (code == ERROR_OK) {
		call_finish(k->call, STR("{}"));
		return;
	}
	error_set(&err, code, "process_kill_all: %s", why);
	call_fail(k->call, &err);
}

static void send_child(struct killing *k);

static void on_child_end(void *arg, int events)
{
	struct killing *k = arg;
	siginfo_t info = { 0 };
	reap(k, &info);
	if (info.si_code != CLD_EXITED && k->n_children < CHILDREN_MAX)
		send_child(k);
	else if (info.si_code == CLD_EXITED && info.si_status == ALL_GONE)
		end(k, ERROR_OK, NULL);
	else if (info.si_code == CLD_EXITED && info.si_status == NO_NAMESPACE)
		end(k, ERROR_UNSUPPORTED, "the sandbox has no pid namespace of its own");
	else
		end(k, ERROR_INTERNAL, "the signal could not be sent");
}

static void on_look(void *arg)
{
	struct killing *k = arg;
	if (clock_mono_ms() >= k->end_ms) {
		end(k, ERROR_UNAVAILABLE, "the signal is out, and some do not end");
		return;
	}
	timer_set(k->look, fork_continue(k->pidfd, LOOK_MS));
}

static void send_child(struct killing *k)
{
	struct error err;
	k->pid = fork_child(-1, &k->pidfd, &err);
	if (k->pid == 0)
		kill_everybody();
	if (k->pid < 0) {
		end(k, err.code, err.text);
		return;
	}
	k->n_children++;
	k->watch = watch_new(k->call->executor->loop, k->pidfd, LOOP_READ, on_child_end, k);
	timer_set(k->look, LOOK_MS);
}

static void begin(struct killing *k)
{
	k->look = timer_new(k->call->executor->loop, on_look, k);
	k->end_ms = clock_mono_ms() + PATIENCE_MS;
	send_child(k);
}

static void start(struct call *call, const void *params)
{
	struct list *all = &call->executor->killings;
	struct killing *k = mem_new(struct killing);
	bool is_first = list_is_empty(all);
	*k = (struct killing){ .call = call, .pidfd = -1 };
	call->state = k;
	list_append(all, &k->link);
	if (is_first)
		begin(k);
}

static void begin_next(struct executor *e)
{
	struct killing *k = list_first(&e->killings, struct killing, link);
	if (k && !k->look)
		begin(k);
}

static void drop(struct call *call)
{
	struct killing *k = take_ptr(call->state);
	siginfo_t info;
	if (k->pidfd >= 0) {
		syscall(SYS_pidfd_send_signal, k->pidfd, SIGKILL, NULL, 0);
		reap(k, &info);
	}
	timer_free(k->look);
	list_remove(&k->link);
	free(k);
	begin_next(call->executor);
}

const struct verb process_kill_all_verb = {
	.action = &process_kill_all_action,
	.start = start,
	.drop = drop,
};
