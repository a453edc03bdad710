/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. Each builder has a SOCK_SEQPACKET socket: a spec goes in, one or two answers
 * come out. BORN brings pid 1 and the lock on the slot, and comes before pid 1 is told to go on;
 * DONE brings the rest.
 *
 * A builder that is killed: before BORN, pid 1 misses its word and ends by itself, and a sweep
 * finds the groups (supervise.c). After BORN, the supervisor has what it takes to kill pid 1 and to
 * remove the groups. An executor ends by itself if the control socket does so before the first
 * call.
 *
 * A supervisor that is killed: a builder has asked for a signal then, and so have, at the end, pid
 * 1 and the executor, who then look whether the builder's socket has hung up, which is earlier than
 * the signal would have been sent. It has not while somebody whom the supervisor has just forked
 * (a janitor, a server) has still its copy of the other end; so pid 1 keeps the end of a pipe that
 * hangs up some time, and the executor has its control socket.
 */
#include "sandbox/crew.h"

#include "base/auto.h"
#include "base/bug.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "sandbox/image.h"

#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

enum answer_kind { ANSWER_BORN = 1, ANSWER_DONE, ANSWER_FAILED };

struct answer {
	uint32_t kind;
	uint32_t groups;     /* enum cgroup_kind */
	uint32_t group_dirs; /* 1 << PART_x for each that comes along */
	uint32_t has_groups;
	int32_t init_pid, executor_pid;
	uint64_t namespaces;
	struct enforced enforced;
	struct error error; /* FAILED */
};

enum { BORN_FDS = 2, DONE_FDS = 2 + PART_COUNT };
_Static_assert((int)DONE_FDS <= (int)FD_PASS_MAX,
	"a box takes more descriptors than one message carries");

/* The builder's side */

static int answer_send(int sock, const struct answer *a, const int *fds, int n, struct error *err)
{
	return fd_send(sock, str_from_len((const char *)a, sizeof(*a)), fds, n, err);
}

static int born(int sock, const struct box *box, struct error *err)
{
	struct answer a = { .kind = ANSWER_BORN, .init_pid = box->init_pid };
	int fds[BORN_FDS] = { box->init_pidfd, box->slot_fd };
	return answer_send(sock, &a, fds, box->slot_fd >= 0 ? 2 : 1, err); /* no groups, no slot */
}

static int done(int sock, const struct plan *plan, const struct box *box, int control_fd,
	struct error *err)
{
	struct answer a = {
		.kind = ANSWER_DONE,
		.groups = plan->parts ? plan->host.cgroup.kind : CGROUP_NONE,
		.has_groups = box->has_groups,
		.init_pid = box->init_pid,
		.executor_pid = box->executor_pid,
		.namespaces = box->namespaces,
		.enforced = box->enforced,
	};
	int fds[DONE_FDS] = { box->executor_pidfd, control_fd }, n = 2;
	for (int i = 0; i < PART_COUNT; i++) {
		if (box->cgroup.dir_fds[i] < 0 ||
			i == PART_CPU) /* its limit is set, and all it is for */
			continue;
		a.group_dirs |= 1U << i;
		fds[n++] = box->cgroup.dir_fds[i];
	}
	return answer_send(sock, &a, fds, n, err);
}

/* The box is the supervisor's now: what is left here are duplicates. */
static void let_go(struct box *box)
{
	cgroup_close(&box->cgroup);
	close_fd(box->slot_fd);
	close_fd(box->init_pidfd);
	close_fd(box->executor_pidfd);
}

static int build_planned(const struct crew *c, int sock, const struct plan *plan, struct error *err)
{
	const struct launch_owner owner = { .sock = sock, .life_fd = c->end_fds[0], .born = born };
	struct lock lock;
	struct box box;
	int pair[2];
	if (lock_make(&plan->spec, &lock, err) < 0 ||
		launch_start(plan, &lock, NULL, &owner, &box, NULL, err) < 0)
		return -1;
	int r = socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair);
	if (r < 0)
		r = error_sys(err, errno, "make the control socket");
	else {
		auto_fd int ours = pair[0], theirs = pair[1];
		const char *extra[] = { "--workdir", plan->spec.workdir, NULL };
		r = launch_executor(&box, &lock, c->executor_fd, theirs, &owner, extra, err);
		if (r == 0)
			r = done(sock, plan, &box, ours, err);
	}
	if (r < 0) {
		launch_kill(&box);
		launch_reap(&box, NULL);
		return -1;
	}
	let_go(&box);
	return 0;
}

static void build(const struct crew *c, int sock, struct spec *spec)
{
	static struct plan plan; /* large */
	struct answer failed = { .kind = ANSWER_FAILED };
	int r = image_resolve(c->host, c->paths, spec, &failed.error);
	if (r == 0)
		r = plan_make(spec, c->host, PLAN_IS_KEPT, &plan, &failed.error);
	if (r == 0) {
		plan.paths = c->paths;
		r = build_planned(c, sock, &plan, &failed.error);
		plan_fini(&plan);
	}
	/* Whoever waits for an answer that cannot be given sees our end instead. */
	if (r < 0 && answer_send(sock, &failed, NULL, 0, NULL) < 0)
		_exit(EXIT_FAILURE);
}

/*
 * Descriptors of the supervisor's would keep alive what it closes; a few of them are ours as well.
 */
static void keep_fds(int *fds[], int n)
{
	enum { FIRST = 3 };
	for (int next = FIRST, i; next < INT_MAX; next = i) { /* there may be no room for more */
		i = INT_MAX;
		for (int k = 0; k < n; k++)
			if (*fds[k] >= next)
				i = MIN(i, *fds[k]);
		if (i > next)
			syscall(SYS_close_range, next, (unsigned)i - 1, 0);
		i += i < INT_MAX;
	}
	for (int i = 0; i < n; i++)
		*fds[i] = fcntl(*fds[i], F_DUPFD_CLOEXEC, FIRST + n);
	for (int i = 0; i < n; i++)
		*fds[i] = dup3(*fds[i], FIRST + i, O_CLOEXEC);
	syscall(SYS_close_range, FIRST + n, ~0U, 0);
}

/*
 * Where all ids for agents are mapped. Who changes namespaces is not to lose the right to look at
 * itself by it.
 */
static int enter_ids(const struct crew *c)
{
	if (c->ids_fd < 0)
		return 0;
	return setns(c->ids_fd, CLONE_NEWUSER) < 0 ? -1 : prctl(PR_SET_DUMPABLE, 1);
}

static _Noreturn void builder_main(struct crew *c, int sock)
{
	static struct spec spec;
	struct error err;
	if (enter_ids(c) < 0)
		_exit(125);
	int *fds[] = { &sock, &c->executor_fd, &c->life_fds[1], &c->end_fds[0] };
	keep_fds(fds, ARRAY_LEN(fds));
	prctl(PR_SET_NAME, "cay-builder");
	struct pollfd p = { .fd = sock };
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || (poll(&p, 1, 0) == 1 && (p.revents & POLLHUP)))
		_exit(125);
	for (;;) {
		int n_fds = 0;
		ssize_t n = fd_recv(sock, &spec, sizeof(spec), NULL, &n_fds, &err);
		if (n != (ssize_t)sizeof(spec))
			_exit(n == 0 ? 0 : 125);
		build(c, sock, &spec);
	}
}

/* The supervisor's side */

static void job_over(struct builder *b, int control_fd, const struct error *err)
{
	void *job = b->job;
	struct box box = b->box;
	b->job = NULL;
	b->box = BOX_INIT;
	b->crew->built(b->crew, job, &box, control_fd, err);
}

static void builder_kill(struct builder *b)
{
	if (b->pidfd >= 0)
		syscall(SYS_pidfd_send_signal, b->pidfd, SIGKILL, NULL, 0);
}

/* Killed, as one that is stopped or traced would not see the end of its socket. */
static void builder_stop(struct builder *b)
{
	poller_remove(b->crew->poller, &b->source);
	b->sock = close_fd(b->sock);
	builder_kill(b);
	b->pidfd = close_fd(b->pidfd);
	b->pid = 0; /* it is waited for with the orphans */
}

/* It was killed, or failed in the middle; or what it said could not be taken: why. */
static void builder_died(struct builder *b, const struct error *why)
{
	struct error err;
	log_error("builder.ended", "pid=%d%s%s", (int)b->pid, why ? " " : "", why ? why->text : "");
	builder_stop(b);
	if (!b->job)
		return;
	b->crew->died_ms = clock_mono_ms();
	if (why)
		err = *why;
	else
		error_set(&err, ERROR_INTERNAL, "the process that built the sandbox was killed");
	launch_kill(&b->box);
	job_over(b, -1, &err);
}

static bool take_born(struct builder *b, const struct answer *a, const int *fds, int n)
{
	if (n < 1 || n > BORN_FDS)
		return false;
	b->box.init_pid = a->init_pid;
	b->box.init_pidfd = fds[0];
	b->box.slot_fd = n == BORN_FDS ? fds[1] : -1;
	return true;
}

static bool take_done(struct builder *b, const struct answer *a, const int *fds, int n)
{
	if (n != 2 + __builtin_popcount(a->group_dirs) || b->box.init_pid != a->init_pid)
		return false;
	struct box *box = &b->box;
	box->executor_pid = a->executor_pid;
	box->executor_pidfd = fds[0];
	box->has_groups = a->has_groups;
	box->namespaces = a->namespaces;
	box->enforced = a->enforced;
	box->cgroup.driver = cgroup_driver((enum cgroup_kind)a->groups);
	for (int i = 0, from = 2; i < PART_COUNT; i++)
		if (a->group_dirs & 1U << i)
			box->cgroup.dir_fds[i] = fds[from++];
	job_over(b, fds[1], NULL);
	return true;
}

/* It has waited for all that it made. */
static bool take_failed(struct builder *b, const struct answer *a)
{
	launch_reap(&b->box, NULL);
	job_over(b, -1, &a->error);
	return true;
}

static bool take_answer(struct builder *b, const struct answer *a, const int *fds, int n)
{
	switch (a->kind) {
	case ANSWER_BORN:
		return take_born(b, a, fds, n);
	case ANSWER_DONE:
		return take_done(b, a, fds, n);
	default:
		return a->kind == ANSWER_FAILED && n == 0 && take_failed(b, a);
	}
}

static void builder_ready(struct source *source, uint32_t events)
{
	struct builder *b = container_of(source, struct builder, source);
	struct answer a;
	struct error err;
	int fds[FD_PASS_MAX], n_fds = FD_PASS_MAX;
	ssize_t n = fd_recv(b->sock, &a, sizeof(a), fds, &n_fds, &err);
	if (n < 0 && err.sys == EAGAIN)
		return;
	if (n == (ssize_t)sizeof(a) && b->job && take_answer(b, &a, fds, n_fds))
		return;
	while (n_fds > 0)
		close(fds[--n_fds]);
	builder_died(b, n < 0 && err.code == ERROR_LIMIT ? &err : NULL);
}

static int builder_start(struct crew *c, struct builder *b, struct error *err)
{
	int pair[2];
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return error_sys(err, errno, "make a builder's socket");
	auto_fd int ours = pair[0], theirs = pair[1];
	b->source.ready = builder_ready;
	if (fd_set_nonblock(ours, err) < 0)
		return -1;
	pid_t pid = fork();
	if (pid < 0)
		return error_sys(err, errno, "fork a builder");
	if (pid == 0)
		builder_main(c, theirs);
	b->pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (b->pidfd < 0) {
		error_sys(err, errno, "watch a builder");
		kill(pid, SIGKILL);
		return -1;
	}
	b->pid = pid;
	poller_add(c->poller, &b->source, ours, EPOLLIN);
	b->sock = take_fd(&ours);
	return 0;
}

int crew_init(struct crew *c, struct poller *poller, const struct host *host,
	const struct hostpaths *paths, int executor_fd, int ids_fd, struct error *err)
{
	*c = (struct crew){ .poller = poller,
		.host = host,
		.paths = paths,
		.executor_fd = executor_fd,
		.ids_fd = ids_fd,
		.life_fds = { -1, -1 },
		.end_fds = { -1, -1 } };
	for (int i = 0; i < CREW_SIZE; i++)
		c->builders[i] =
			(struct builder){ .crew = c, .sock = -1, .pidfd = -1, .box = BOX_INIT };
	if (pipe2(c->life_fds, O_CLOEXEC) < 0 || pipe2(c->end_fds, O_CLOEXEC) < 0)
		return error_sys(err, errno, "make a pipe");
	for (int i = 0; i < CREW_SIZE; i++)
		if (builder_start(c, &c->builders[i], err) < 0)
			return -1;
	return 0;
}

void crew_fini(struct crew *c)
{
	for (int i = 0; c->poller && i < CREW_SIZE; i++) {
		struct builder *b = &c->builders[i];
		BUG_IF(b->job, "a crew goes away while it builds");
		pid_t pid = b->pid;
		builder_kill(b);
		launch_wait(&pid, b->pidfd);
		builder_stop(b);
	}
	for (int i = 0; i < 2; i++) {
		c->life_fds[i] = close_fd(c->life_fds[i]);
		c->end_fds[i] = close_fd(c->end_fds[i]);
	}
}

void crew_kill(struct crew *c)
{
	for (int i = 0; i < CREW_SIZE; i++)
		if (c->builders[i].job)
			builder_kill(&c->builders[i]);
}

static int find_idle(const struct crew *c)
{
	for (int i = 0; i < CREW_SIZE; i++)
		if (!c->builders[i].job)
			return i;
	return -1;
}

bool crew_has_idle(const struct crew *c)
{
	return find_idle(c) >= 0;
}

/* One that died while it had nothing to do is noticed here, or was before. */
int crew_build(struct crew *c, const struct spec *spec, void *job, struct error *err)
{
	int idle = find_idle(c);
	BUG_IF(idle < 0, "work for a crew that has no hands free");
	struct builder *b = &c->builders[idle];
	struct str bytes = str_from_len((const char *)spec, sizeof(*spec));
	if (b->pid && fd_send(b->sock, bytes, NULL, 0, err) < 0)
		builder_died(b, NULL);
	if (!b->pid && (builder_start(c, b, err) < 0 || fd_send(b->sock, bytes, NULL, 0, err) < 0))
		return -1;
	b->job = job;
	return 0;
}
