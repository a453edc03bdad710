/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. A member is one executor with its keeper, the process that we start. We hold
 * its control socket, its lifeline and a pidfd: closing the lifeline ends it, and once the pidfd is
 * readable nothing of it is left. Warm members, each with a temporary workspace of its own, wait in
 * `spares` for a create that names no workspace; one that was taken is replaced when the loop is
 * idle next.
 *
 * No pid namespace holds the processes of a sandbox together, only that they descend from its
 * keeper. That is how they are counted, and stopped for a pause.
 */
#include "runtime/local.h"

#include "base/auto.h"
#include "base/bug.h"
#include "base/family.h"
#include "base/file.h"
#include "base/list.h"
#include "base/log.h"
#include "base/program.h"
#include "event/loop.h"
#include "runtime/answers.h"
#include "runtime/handover.h"
#include "sandbox/bare.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

enum { CONTROL_FD = 3, LIFELINE_FD = 4, MEMBERS_MAX = 1024 };

struct local {
	struct backend base;
	struct loop *loop;
	struct local_config config;
	int program_fd;
	struct list members; /* member::link: handed out */
	struct list spares;
	struct answers answers;
	size_t n_members, n_spares;
	bool fills; /* filling up is deferred */
};

struct member {
	struct list link; /* local::members or ::spares */
	struct local *local;
	char id[ID_SIZE];
	char *workspace;
	bool is_temporary;
	pid_t keeper;
	int pidfd, control_fd, lifeline_fd;
	struct handover handover;
	struct watch *watch;
	backend_fn *destroyed; /* who waits for its end; NULL: nobody */
	void *destroyed_arg;
};

static const struct backend_ops local_ops, cli_ops;

static struct local *local_from(struct backend *b)
{
	BUG_IF(b->ops != &local_ops && b->ops != &cli_ops, "a backend that is not a local one");
	return container_of(b, struct local, base);
}

static struct backend_reply *answer_later(struct local *l, const char *id, backend_fn *done,
	void *arg)
{
	struct backend_reply *reply = answers_add(&l->answers, id, done, arg);
	reply->enforced.uid = geteuid();
	reply->enforced.gid = getegid();
	return reply;
}

/* ---- members ---- */

static struct member *find(struct local *l, const char *id)
{
	struct member *m;
	list_for_each(m, &l->members, link)
		if (strcmp(m->id, id) == 0)
			return m;
	return NULL;
}

/* Its keeper goes on by itself, to the end of everything that is in it. */
static void member_free(struct member *m)
{
	list_remove(&m->link);
	watch_free(m->watch);
	close_fd(m->pidfd);
	handover_fini(&m->handover);
	close_fd(m->control_fd);
	close_fd(m->lifeline_fd);
	free(m->workspace);
	free(m);
}

static void fill_later(struct local *l);

static void on_ended(void *arg, int events)
{
	struct member *m = arg;
	struct local *l = m->local;
	backend_fn *destroyed = m->destroyed;
	void *destroyed_arg = m->destroyed_arg;
	bool was_out = m->id[0] != '\0';
	struct backend_reply reply = { 0 };
	memcpy(reply.id, m->id, sizeof(reply.id));
	waitpid(m->keeper, NULL, 0);
	*(was_out ? &l->n_members : &l->n_spares) -= 1;
	member_free(m);
	if (destroyed)
		destroyed(destroyed_arg, &reply);
	else if (was_out)
		l->base.events->ended(l->base.events_arg, reply.id, END_EXITED);
	else
		log_warn("local.spare", "a warm executor ended");
}

/* In the forked child: only async-signal-safe calls. */
_Noreturn static void become_keeper(int program_fd, int control_fd, int lifeline_fd, char **argv)
{
	sigset_t none;
	/* Out of the way of the places they go to. */
	int program = fcntl(program_fd, F_DUPFD_CLOEXEC, LIFELINE_FD + 1);
	int control = fcntl(control_fd, F_DUPFD_CLOEXEC, LIFELINE_FD + 1);
	int lifeline = fcntl(lifeline_fd, F_DUPFD_CLOEXEC, LIFELINE_FD + 1);
	if (dup2(control, CONTROL_FD) < 0 || dup2(lifeline, LIFELINE_FD) < 0)
		_exit(127);
	setsid();
	for (int signo = 1; signo < NSIG; signo++)
		signal(signo, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	/*
	 * What is not ours to pass on: an embedding program may hold descriptors without CLOEXEC.
	 */
	for (int i = LIFELINE_FD + 1; i < program; i++)
		close(i);
	syscall(SYS_close_range, program + 1, ~0U, 0);
	syscall(SYS_execveat, program, "", argv, environ, AT_EMPTY_PATH);
	_exit(127);
}

static int spawn_keeper(struct member *m, int control_fd, int lifeline_fd, struct error *err)
{
	char kind[] = "local", stateless[] = "cli", temporary[] = "--temporary";
	char *argv[] = { (char[]){ "cay-executor" }, (char[]){ "--kind" },
		m->local->config.is_stateless ? stateless : kind, (char[]){ "--lifeline-fd" },
		(char[]){ "4" }, (char[]){ "--workspace" }, m->workspace,
		m->is_temporary ? temporary : NULL, m->workspace, NULL };
	pid_t pid = fork();
	if (pid < 0)
		return error_sys(err, errno, "fork an executor");
	if (pid == 0)
		become_keeper(m->local->program_fd, control_fd, lifeline_fd, argv);
	m->keeper = pid;
	m->pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (m->pidfd >= 0)
		return 0;
	error_sys(err, errno, "watch an executor");
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	return -1;
}

static int connect_member(struct member *m, struct error *err)
{
	int control[2], lifeline[2];
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, control) < 0)
		return error_sys(err, errno, "make a control socket");
	m->control_fd = control[0];
	auto_fd int theirs = control[1];
	if (pipe2(lifeline, O_CLOEXEC) < 0)
		return error_sys(err, errno, "make a lifeline");
	m->lifeline_fd = lifeline[1];
	auto_fd int end = lifeline[0];
	return spawn_keeper(m, theirs, end, err);
}

/* workspace NULL: a temporary one. The member hangs on `home`. */
static struct member *member_new(struct local *l, struct list *home, const char *workspace,
	struct error *err)
{
	struct member *m = mem_new(struct member);
	m->local = l;
	handover_init(&m->handover, l->loop);
	m->is_temporary = !workspace;
	m->pidfd = m->control_fd = m->lifeline_fd = -1;
	list_append(home, &m->link);
	if (bare_workspace(workspace, &m->workspace, err) < 0 || connect_member(m, err) < 0) {
		if (m->is_temporary && m->workspace)
			rmdir(m->workspace);
		member_free(m);
		return NULL;
	}
	m->watch = watch_new(l->loop, m->pidfd, LOOP_READ, on_ended, m);
	return m;
}

static void fill(void *arg)
{
	struct local *l = arg;
	struct error err;
	l->fills = false;
	if (l->n_spares >= (size_t)l->config.warm)
		return;
	if (!member_new(l, &l->spares, NULL, &err)) {
		log_warn("local.spare", "%s", err.text);
		return; /* the next create tries again */
	}
	l->n_spares++;
	fill_later(l);
}

static void fill_later(struct local *l)
{
	if (l->fills)
		return;
	l->fills = true;
	loop_defer(l->loop, fill, l);
}

static struct member *take_member(struct local *l, const char *workspace, struct error *err)
{
	struct member *spare = workspace ? NULL : list_first(&l->spares, struct member, link);
	if (l->n_members >= MEMBERS_MAX) {
		error_set(err, ERROR_LIMIT, "%d sandboxes without isolation; that is the limit",
			MEMBERS_MAX);
		return NULL;
	}
	if (!spare)
		return member_new(l, &l->members, workspace, err);
	list_remove(&spare->link);
	list_append(&l->members, &spare->link);
	l->n_spares--;
	fill_later(l);
	return spare;
}

/* ---- the operations ---- */

static void local_start(struct backend *b, backend_fn *done, void *arg)
{
	struct local *l = local_from(b);
	log_warn("backend.no_isolation", BARE_WARNING);
	struct backend_reply *reply = answer_later(l, "", done, arg);
	if (l->program_fd < 0 && program_open("cay-executor", &l->program_fd, &reply->error) == 0)
		fill_later(l);
}

static void local_create(struct backend *b, const struct sandbox *s, const struct spec *spec,
	backend_fn *done, void *arg)
{
	struct local *l = local_from(b);
	struct backend_reply *reply = answer_later(l, spec->id, done, arg);
	const char *workspace;
	if (bare_check(spec, &workspace, &reply->error) < 0)
		return;
	struct member *m = take_member(l, workspace, &reply->error);
	if (!m)
		return;
	l->n_members++;
	memcpy(m->id, spec->id, sizeof(m->id));
	reply->init_pid = m->keeper;
}

static void local_destroy(struct backend *b, const char *id, backend_fn *done, void *arg)
{
	struct local *l = local_from(b);
	struct member *m = find(l, id);
	if (!m || m->destroyed) {
		struct backend_reply *reply = answer_later(l, id, done, arg);
		error_set(&reply->error, ERROR_NOT_FOUND, "sandbox %s is gone", id);
		return;
	}
	m->destroyed = done;
	m->destroyed_arg = arg;
	m->lifeline_fd = close_fd(m->lifeline_fd);
}

/*
 * All but the keeper, which must see its lifeline. A shell is stopped before its children and goes
 * on after them, or it would take them for jobs that somebody else has stopped.
 */
static void local_freeze(struct backend *b, const char *id, bool is_frozen, backend_fn *done,
	void *arg)
{
	struct local *l = local_from(b);
	struct member *m = find(l, id);
	struct backend_reply *reply = answer_later(l, id, done, arg);
	if (!m)
		error_set(&reply->error, ERROR_GONE, "sandbox %s is gone", id);
	else
		family_signal(m->keeper, is_frozen ? SIGSTOP : SIGCONT, !is_frozen);
}

static void local_usage(struct backend *b, const char *id, backend_fn *done, void *arg)
{
	struct local *l = local_from(b);
	struct member *m = find(l, id);
	struct backend_reply *reply = answer_later(l, id, done, arg);
	struct family_usage usage = { 0 };
	if (!m)
		error_set(&reply->error, ERROR_GONE, "sandbox %s is gone", id);
	else
		family_usage(m->keeper, &usage);
	reply->usage = (struct monitor_usage){ .memory_bytes = usage.memory_bytes,
		.memory_peak_bytes = -1,
		.pids = usage.processes,
		.cpu_us = usage.cpu_us,
		.disk_bytes = -1,
		.disk_inodes = -1 };
}

static int local_open_call(struct backend *b, const char *id, int *ret_fd, struct error *err)
{
	struct member *m = find(local_from(b), id);
	if (!m)
		return error_set(err, ERROR_GONE, "sandbox %s has no executor any more", id);
	if (handover_call(&m->handover, m->control_fd, -1, ret_fd, err) < 0)
		return error_wrap(err, "start a call in sandbox %s", id);
	return 0;
}

static void local_free(struct backend *b)
{
	struct local *l = local_from(b);
	answers_fini(&l->answers);
	while (!list_is_empty(&l->members))
		member_free(list_get_first(&l->members, struct member, link));
	while (!list_is_empty(&l->spares))
		member_free(list_get_first(&l->spares, struct member, link));
	loop_undefer(l->loop, l);
	close_fd(l->program_fd);
	free(l);
}

#define OPS(word)                                                                       \
	{                                                                               \
		.name = word, .start = local_start, .create = local_create,             \
		.destroy = local_destroy, .freeze = local_freeze, .usage = local_usage, \
		.open_call = local_open_call, .free = local_free,                       \
	}

static const struct backend_ops local_ops = OPS("local"), cli_ops = OPS("cli");

struct backend *local_backend_new(struct loop *loop, const struct local_config *config)
{
	struct local *l = mem_new(struct local);
	l->base.ops = config->is_stateless ? &cli_ops : &local_ops;
	l->loop = loop;
	l->config = *config;
	l->config.warm = MIN(MAX(config->warm, 0), LOCAL_WARM_MAX);
	l->program_fd = -1;
	list_init(&l->members);
	list_init(&l->spares);
	answers_init(&l->answers, loop);
	return &l->base;
}
