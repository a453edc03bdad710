/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Building goes on in two processes that share a plan and a socket:
 *
 *	owner                                  pid 1
 *	STAGE_OWNER
 *	clone3 ------------------------------> STAGE_EARLY (needs no ids)
 *	STAGE_ATTACH (id maps, idmaps)
 *	"go" --------------------------------> STAGE_INSIDE
 *	STAGE_BESIDE (v1 cgroups)
 *	their `tasks` -----------------------> STAGE_LAST
 *	                                       forks the command, if there is one; both exec
 *	end of the socket <------------------- (CLOEXEC)
 *
 * What goes wrong inside comes back over the socket as a struct report; the end of the socket
 * without one means that every execve succeeded. The socket ends with the owner as well: pid 1
 * looks after it has asked for its parent-death signal, so that an owner that died before is
 * noticed.
 */
#include "sandbox/launch.h"

#include "base/auto.h"
#include "base/file.h"
#include "base/program.h"
#include "sandbox/inside.h"
#include "sandbox/nslimit.h"
#include "sandbox/step.h"

#include <fcntl.h>
#include <linux/sched.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/wait.h>

static void kill_pidfd(int pidfd)
{
	if (pidfd >= 0)
		syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0);
}

struct start {
	struct build build;
	struct inside inside;
	const struct launch_owner *owner; /* or NULL */
	int owner_sock;                   /* the owner's end */
	int init_pidfd;
	int status_fd;
};

static int make_channels(struct start *s, const struct launch_command *command, struct error *err)
{
	int pair[2], status[2];
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return error_sys(err, errno, "make a socket pair");
	s->owner_sock = pair[0];
	s->inside.sock = pair[1];
	if (!command)
		return 0;
	if (pipe2(status, O_CLOEXEC) < 0)
		return error_sys(err, errno, "make a pipe");
	s->status_fd = status[0];
	s->inside.status_fd = status[1];
	return 0;
}

/*
 * pid 1, in all its namespaces at once but two: the root of a cgroup namespace is the group one is
 * in, so that waits for cgroup_enter; a network namespace takes longer than all others together, so
 * it is made beside (net_make).
 */
static int clone_init(struct start *s, struct error *err)
{
	const struct cgroup *c = &s->build.cgroup;
	struct clone_args args = {
		.flags = CLONE_PIDFD |
			(s->build.plan->namespaces & ~(uint64_t)(CLONE_NEWCGROUP | CLONE_NEWNET)),
		.pidfd = (uintptr_t)&s->init_pidfd,
		.exit_signal = SIGCHLD,
	};
	if (s->owner) {
		args.flags |= CLONE_PARENT;
		args.exit_signal = 0; /* the kernel takes that of the caller */
	}
	if (c->driver->is_born_into && c->dir_fds[0] >= 0) {
		args.flags |= CLONE_INTO_CGROUP;
		args.cgroup = (uint64_t)c->dir_fds[0];
	}
	pid_t pid = (pid_t)syscall(SYS_clone3, &args, sizeof(args));
	if (pid < 0)
		return nslimit_sys(err, errno, "clone pid 1 into its namespaces%s",
			errno == EPERM ? " (are user namespaces allowed here? cay doctor tells)"
				       : "");
	if (pid == 0)
		inside_main(&s->inside, s->owner_sock);
	s->build.init_pid = pid;
	return 0;
}

static void take_passed(const struct report *report, const int *fds, int n, struct box *box)
{
	for (int i = 0; i < n; i++) {
		if (i == 0 && report->kind == REPORT_COMMAND)
			box->command_pidfd = fds[i];
		else if (i == 1 && report->kind == REPORT_COMMAND)
			box->tty_fd = fds[i];
		else if (i == 0 && report->kind == REPORT_LAYER && box->layer_fd < 0)
			box->layer_fd = fds[i];
		else
			close(fds[i]);
	}
}

/* Reads reports until the end; the first failure is the one that counts. */
static int await_exec(struct start *s, struct box *box, bool *ret_is_command, struct error *err)
{
	int r = 0;
	for (;;) {
		struct report report;
		struct error failure;
		int fds[2], n_fds = 2;
		ssize_t n = fd_recv(s->owner_sock, &report, sizeof(report), fds, &n_fds, &failure);
		if (n == 0)
			return r;
		if (n < 0 && failure.sys == ECONNRESET)
			continue; /* said once: it ended without reading "go" */
		if (n < 0)
			return error_set(err, failure.code, "%s", failure.text);
		if (n != (ssize_t)sizeof(report))
			return error_set(err, ERROR_INTERNAL, "pid 1 sent a report that is none");
		take_passed(&report, fds, n_fds, box);
		if (report.kind == REPORT_COMMAND || report.kind == REPORT_LAYER || r < 0)
			continue;
		report.error.text[ERROR_TEXT_MAX - 1] = '\0';
		if (err)
			*err = report.error;
		if (ret_is_command)
			*ret_is_command = report.kind == REPORT_EXEC_FAILED;
		r = -1;
	}
}

/* If pid 1 is gone, what it said before is the cause: await_exec reads it. */
static int send_to_init(struct start *s, const int *fds, int n, struct error *err)
{
	struct error failure;
	if (fd_send(s->owner_sock, STR("go"), fds, n, &failure) == 0)
		return 0;
	if (failure.sys != EPIPE && failure.sys != ECONNRESET)
		return error_set(err, failure.code, "%s", failure.text);
	shutdown(s->owner_sock, SHUT_WR); /* it must not wait for what did not come */
	return 0;
}

static int send_groups(struct start *s, struct error *err)
{
	int fds[PART_MAX], n = 0;
	for (int i = 0; i < PART_MAX; i++)
		if (s->build.cgroup.tasks_fds[i] >= 0)
			fds[n++] = s->build.cgroup.tasks_fds[i];
	return send_to_init(s, fds, n, err);
}

static int tell_owner(const struct start *s, struct error *err)
{
	struct box box = BOX_INIT;
	box.init_pid = s->build.init_pid;
	box.init_pidfd = s->init_pidfd;
	box.slot_fd = s->build.slot_fd;
	return s->owner ? s->owner->born(s->owner->sock, &box, err) : 0;
}

/* The owner's part while pid 1 builds. */
static int help_init(struct start *s, struct error *err)
{
	if (tell_owner(s, err) < 0 || build_walk(&s->build, STAGE_ATTACH, err) < 0 ||
		send_to_init(s, NULL, 0, err) < 0)
		return -1;
	return build_walk(&s->build, STAGE_BESIDE, err) < 0 ? -1 : send_groups(s, err);
}

static int build_up(struct start *s, const struct launch_command *command, struct box *box,
	bool *ret_is_command, struct error *err)
{
	if (program_open("cay-init", &s->inside.init_fd, err) < 0 ||
		make_channels(s, command, err) < 0)
		return -1;
	if (build_walk(&s->build, STAGE_OWNER, err) < 0)
		return -1;
	s->inside.build = &s->build;
	if (clone_init(s, err) < 0)
		return -1;
	s->inside.sock = close_fd(s->inside.sock);
	s->inside.status_fd = close_fd(s->inside.status_fd);
	if (help_init(s, err) < 0) {
		/* If pid 1 has failed before, that is the cause: it may be why we did. */
		struct error cause;
		kill_pidfd(s->init_pidfd);
		if (await_exec(s, box, ret_is_command, &cause) < 0 && err)
			*err = cause;
		return -1;
	}
	return await_exec(s, box, ret_is_command, err);
}

static void fill_enforced(const struct start *s, const struct plan *plan, const struct lock *lock,
	struct box *box)
{
	box->enforced = plan->enforced;
	if (lock)
		box->enforced.controls |= lock_controls(lock);
	if (plan->ids == IDS_RANGE) {
		box->enforced.uid += s->build.uid_base;
		box->enforced.gid += s->build.uid_base;
	} else if (plan->ids == IDS_PAIR) {
		box->enforced.uid = plan->host.subids.uid + s->build.slot;
		box->enforced.gid = plan->host.subids.gid + s->build.slot;
	}
}

int launch_start(const struct plan *plan, const struct lock *lock,
	const struct launch_command *command, const struct launch_owner *owner, struct box *ret,
	bool *ret_is_command, struct error *err)
{
	struct start s = { .owner = owner, .owner_sock = -1, .init_pidfd = -1, .status_fd = -1 };
	s.inside = (struct inside){ .command = command,
		.lock = lock,
		.sock = -1,
		.owner_sock = owner ? owner->sock : -1,
		.life_fd = owner ? owner->life_fd : -1,
		.status_fd = -1,
		.init_fd = -1 };
	struct box box = BOX_INIT;
	if (ret_is_command)
		*ret_is_command = false;
	build_init(&s.build, plan);
	int r = build_up(&s, command, &box, ret_is_command, err);

	box.init_pid = s.build.init_pid;
	box.init_pidfd = s.init_pidfd;
	box.status_fd = s.status_fd;
	box.slot_fd = s.build.slot_fd;
	box.etc_fd = s.build.etc_fd;
	box.cgroup = s.build.cgroup;
	box.namespaces = plan->namespaces;
	box.has_groups = plan->ids != IDS_SINGLE;
	fill_enforced(&s, plan, lock, &box);
	build_fini(&s.build);
	close_fd(s.owner_sock);
	close_fd(s.inside.sock);
	close_fd(s.inside.status_fd);
	close_fd(s.inside.init_fd);
	if (r < 0) {
		launch_kill(&box);
		launch_reap(&box, NULL);
		return -1;
	}
	*ret = box;
	return 0;
}

int launch_freeze(struct box *box, bool is_frozen, struct error *err)
{
	return box->cgroup.driver->freeze(&box->cgroup, is_frozen, err);
}

bool launch_is_frozen(const struct box *box)
{
	const struct cgroup_driver *driver = box->cgroup.driver;
	return driver->is_frozen && driver->is_frozen(&box->cgroup);
}

/*
 * statfs of its "/" gives what the work area holds: an overlay shows its upper layer's file system.
 */
static void disk_usage(const struct box *box, struct launch_usage *ret)
{
	char path[48];
	snprintf(path, sizeof(path), "/proc/%d/root", (int)box->init_pid);
	struct statfs st;
	auto_fd int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	bool is_its = syscall(SYS_pidfd_send_signal, box->init_pidfd, 0, NULL, 0) == 0;
	if (fd < 0 || !is_its || fstatfs(fd, &st) < 0)
		return;
	ret->disk_bytes = (int64_t)(st.f_blocks - st.f_bfree) * st.f_bsize;
	ret->disk_inodes = (int64_t)(st.f_files - st.f_ffree);
}

void launch_usage(const struct box *box, struct launch_usage *ret)
{
	*ret = (struct launch_usage){ -1, -1, -1, -1, -1, -1, 0 };
	box->cgroup.driver->usage(&box->cgroup, ret);
	disk_usage(box, ret);
}

/*
 * The executor first: while it lives, its dead children wait for it, and pid 1 cannot end before
 * them.
 */
void launch_kill(struct box *box)
{
	kill_pidfd(box->executor_pidfd);
	kill_pidfd(box->init_pidfd);
	box->cgroup.driver->kill(&box->cgroup);
}

/* By its pidfd: the owner may have waited for it before, and somebody else have its number now. */
void launch_wait(pid_t *pid, int pidfd)
{
	struct pollfd p = { .fd = pidfd, .events = POLLIN };
	siginfo_t info;
	if (*pid > 0) {
		while (poll(&p, 1, -1) < 0 && errno == EINTR)
			;
		waitid(P_PIDFD, (id_t)pidfd, &info, WEXITED | WNOHANG);
	}
	*pid = 0;
}

void launch_reap(struct box *box, int64_t *ret_oom_kills)
{
	launch_wait(&box->executor_pid, box->executor_pidfd);
	launch_wait(&box->init_pid, box->init_pidfd);
	struct launch_usage usage = { 0 };
	box->cgroup.driver->usage(&box->cgroup, &usage);
	if (ret_oom_kills)
		*ret_oom_kills = usage.oom_kills;
	cgroup_close(&box->cgroup);
	if (box->slot_fd >= 0)
		cgroup_remove_recorded(box->slot_fd, NULL);
	close_fd(box->slot_fd);
	close_fd(box->etc_fd);
	close_fd(box->init_pidfd);
	close_fd(box->executor_pidfd);
	close_fd(box->command_pidfd);
	close_fd(box->status_fd);
	close_fd(box->tty_fd);
	close_fd(box->layer_fd);
	*box = BOX_INIT;
}
