/* SPDX-License-Identifier: Apache-2.0 */
#include "sandbox/server.h"

#include "base/auto.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/program.h"
#include "sandbox/caps.h"
#include "sandbox/monitor.h"

#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

enum {
	STEADY_MS = 10000, /* who ran for so long did not crash at once */
	PAUSE_FIRST_MS = 100,
	PAUSE_MAX_MS = 30000,
};

int server_init(struct server *s, struct poller *poller, const char *state_dir, bool has_own_uid,
	struct error *err)
{
	*s = (struct server){
		.poller = poller,
		.state_dir = state_dir,
		.has_own_uid = has_own_uid,
		.program_fd = -1,
		.hold_fd = -1,
		.pidfd = -1,
		.monitor_fd = -1,
	};
	return program_open("cayd", &s->program_fd, err);
}

void server_fini(struct server *s)
{
	s->program_fd = close_fd(s->program_fd);
	s->pidfd = close_fd(s->pidfd);
	s->monitor_fd = close_fd(s->monitor_fd);
	for (int i = 0; i < s->n_listeners; i++)
		close_fd(s->listener_fds[i]);
	s->n_listeners = 0;
}

static int plan_restart(struct server *s)
{
	int64_t now = clock_mono_ms();
	if (now - s->started_ms >= STEADY_MS)
		s->pause_ms = 0;
	s->restart_ms = now + s->pause_ms;
	int64_t pause = s->pause_ms;
	s->pause_ms = MIN(MAX(2 * s->pause_ms, PAUSE_FIRST_MS), PAUSE_MAX_MS);
	return (int)pause;
}

static void server_ready(struct source *source, uint32_t events)
{
	struct server *s = container_of(source, struct server, source);
	int status = 0;
	if (waitpid(s->pid, &status, WNOHANG) != s->pid)
		return;
	poller_remove(s->poller, &s->source);
	s->pidfd = close_fd(s->pidfd);
	s->pid = 0;
	const char *how = WIFSIGNALED(status) ? "signal" : "exit";
	int which = WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status);
	if (s->is_stopping)
		log_info("server.ended", "%s=%d", how, which);
	else
		log_error("server.ended", "%s=%d restart_ms=%d", how, which, plan_restart(s));
	s->ended(s);
	s->monitor_fd = close_fd(s->monitor_fd);
}

int server_become(uid_t uid, struct error *err)
{
	if (caps_bound(USER_AGENT, err) < 0)
		return -1;
	if (setgroups(0, NULL) < 0)
		return error_sys(err, errno, "give up groups");
	if (setresgid(uid, uid, uid) < 0 || setresuid(uid, uid, uid) < 0)
		return error_sys(err, errno, "become user %u", uid);
	return caps_set(USER_AGENT, err);
}

/*
 * The state directory may lie where another uid cannot go (below /root, in a private temporary
 * directory). A mount namespace of its own shows it to the server at one place that it can reach.
 */
static int show_state(const char *state_dir, struct error *err)
{
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0)
		return error_sys(err, errno, "make a mount namespace for the server");
	if (file_mkdirs(SERVER_STATE_DIR, 0755, err) < 0)
		return -1;
	if (mount(state_dir, SERVER_STATE_DIR, NULL, MS_BIND, NULL) < 0)
		return error_sys(err, errno, "show %s to the server", state_dir);
	return 0;
}

/*
 * Puts fds[i] at i + first, and closes what is above. They are moved out of each other's way
 * before.
 */
static int arrange(int *fds, int n, int first, struct error *err)
{
	for (int i = 0; i < n; i++) {
		fds[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, first + n);
		if (fds[i] < 0)
			return error_sys(err, errno, "duplicate a descriptor");
	}
	for (int i = 0; i < n; i++)
		if (dup2(fds[i], first + i) < 0)
			return error_sys(err, errno, "place descriptor %d", first + i);
	return 0;
}

static int child_prepare(struct server *s, int monitor_fd, int *ret_program_fd, struct error *err)
{
	int fds[3 + SERVER_LISTENERS_MAX];
	int n = 0;
	fds[n++] = monitor_fd;
	fds[n++] = s->hold_fd;
	for (int i = 0; i < s->n_listeners; i++)
		fds[n++] = s->listener_fds[i];
	fds[n++] = s->program_fd;
	if (arrange(fds, n, MONITOR_FD, err) < 0)
		return -1;
	*ret_program_fd = MONITOR_FD + n - 1;
	syscall(SYS_close_range, *ret_program_fd + 1, ~0U, 0);
	if (fcntl(*ret_program_fd, F_SETFD, FD_CLOEXEC) < 0)
		return error_sys(err, errno, "set CLOEXEC");
	sigset_t none;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	if (s->has_own_uid &&
		(show_state(s->state_dir, err) < 0 || server_become(SERVER_UID, err) < 0))
		return -1;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return error_sys(err, errno, "set no_new_privs");
	/* After the ids: changing them clears it. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
		return error_sys(err, errno, "die with the supervisor");
	return 0;
}

_Noreturn static void child(struct server *s, int monitor_fd, pid_t parent)
{
	struct error err;
	int program_fd;
	char count[16], pool[16];
	snprintf(count, sizeof(count), "%d", s->n_listeners);
	snprintf(pool, sizeof(pool), "%d", MAX(s->pool, 0));
	const char *state_dir = s->has_own_uid ? SERVER_STATE_DIR : s->state_dir;
	const char *argv[11] = { "cayd", "--state", state_dir, "--listeners", count };
	int n = 5;
	if (s->has_docker)
		argv[n++] = "--docker";
	if (s->backend) {
		argv[n++] = "--backend";
		argv[n++] = s->backend;
		argv[n++] = "--pool";
		argv[n++] = pool;
	}
	if (child_prepare(s, monitor_fd, &program_fd, &err) < 0) {
		log_error("server.start", "error=%s", err.text);
		_exit(127);
	}
	if (getppid() != parent)
		_exit(127);
	syscall(SYS_execveat, program_fd, "", argv, environ, AT_EMPTY_PATH);
	log_error("server.start", "error=exec cayd: %s", strerror(errno));
	_exit(127);
}

int server_start(struct server *s, struct error *err)
{
	int pair[2];
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return error_sys(err, errno, "make the monitor's socket");
	auto_fd int ours = pair[0], theirs = pair[1];
	if (fd_set_nonblock(ours, err) < 0)
		return -1;
	pid_t parent = getpid(), pid = fork();
	if (pid < 0)
		return error_sys(err, errno, "fork the server");
	if (pid == 0)
		child(s, theirs, parent);
	s->pid = pid;
	s->started_ms = clock_mono_ms();
	s->restart_ms = 0;
	s->pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	s->source.ready = server_ready;
	if (s->pidfd < 0) {
		server_kill(s);
		waitpid(pid, NULL, 0);
		s->pid = 0;
		s->pidfd = close_fd(s->pidfd);
		return error_set(err, ERROR_INTERNAL, "cannot watch the server");
	}
	poller_add(s->poller, &s->source, s->pidfd, EPOLLIN);
	s->monitor_fd = take_fd(&ours);
	return 0;
}

static void send_signal(struct server *s, int signo)
{
	if (s->pid > 0)
		kill(s->pid, signo);
}

void server_stop(struct server *s)
{
	s->is_stopping = true;
	s->restart_ms = 0;
	send_signal(s, SIGTERM);
}

void server_kill(struct server *s)
{
	send_signal(s, SIGKILL);
}
