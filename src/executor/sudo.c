/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. One listening socket; one connection per use of sudo, whose first and only
 * message is the request and whose hang-up means that nobody waits any more. A connection goes
 * WAITING → RUNNING → gone. The socket is a file in the sandbox: whoever removes it, which takes
 * root, has no sudo until it is set up again.
 */
#include "executor/sudo.h"

#include "base/auto.h"
#include "base/bug.h"
#include "base/file.h"
#include "executor/executor.h"
#include "executor/sudo_args.h"
#include "executor/sudo_wire.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#define PROGRAM "/usr/bin/sudo"

enum { STEP_MS = 2000, FDS = 3 };

struct sudo {
	struct executor *executor;
	int fd;
	struct acceptor *acceptor;
	struct list calls; /* sudo_call::link */
	int n_calls;
};

struct sudo_call {
	struct list link;
	struct sudo *sudo;
	int fd;
	struct watch *watch;
	struct ucred peer;
	struct child child; /* pidfd -1: none yet */
	struct watch *child_watch;
	struct timer *timer; /* the next, stronger signal */
	int n_signals;
};

static void call_free(struct sudo_call *c)
{
	list_remove(&c->link);
	c->sudo->n_calls--;
	watch_free(c->watch);
	watch_free(c->child_watch);
	timer_free(c->timer);
	close_fd(c->fd);
	close_fd(c->child.pidfd);
	free(c);
}

static void answer(struct sudo_call *c, int status, const char *text)
{
	struct sudo_reply reply = { .status = status };
	int n = snprintf(reply.text, sizeof(reply.text), "%s", text);
	size_t size = offsetof(struct sudo_reply, text) +
		(size_t)MIN(n, (int)sizeof(reply.text) - 1);
	send(c->fd, &reply, size, MSG_NOSIGNAL | MSG_DONTWAIT);
	call_free(c);
}

static void refuse(struct sudo_call *c, const struct error *err)
{
	char text[sizeof(err->text) + 8];
	snprintf(text, sizeof(text), "%s\n", err->text);
	answer(c, 1, text);
}

/* ---- the command ---- */

static void on_exit_of_child(void *arg, int events)
{
	struct sudo_call *c = arg;
	int code, status;
	if (child_reap(&c->child, &code, &status))
		answer(c, code == CLD_EXITED ? status : 128 + status, "");
}

/* As a person would: Ctrl-C first, then less and less kindly. */
static void on_timer(void *arg)
{
	static const int signals[] = { SIGINT, SIGTERM, SIGKILL };
	struct sudo_call *c = arg;
	int at = MIN(c->n_signals, (int)ARRAY_LEN(signals) - 1);
	c->n_signals++;
	child_signal(&c->child, signals[at], true, NULL);
	timer_set(c->timer, STEP_MS);
}

static const char *const kept[] = { "COLORTERM", "DISPLAY", "LANG", "LANGUAGE", "LC_ALL",
	"LC_CTYPE", "LINES", "COLUMNS", "TERM", "TZ", NULL };

static bool is_kept(struct str name)
{
	for (size_t i = 0; kept[i]; i++)
		if (str_is(name, kept[i]))
			return true;
	return false;
}

static int add_vars(struct env *env, const char *const *vars, bool all, struct error *err)
{
	for (; *vars; vars++) {
		struct str var = str_from(*vars);
		ptrdiff_t equals = str_find_char(var, '=');
		if (equals <= 0)
			continue;
		struct str name = str_first(var, (size_t)equals);
		if ((all || is_kept(name)) &&
			env_set(env, name, str_skip(var, (size_t)equals + 1), err) < 0)
			return -1;
	}
	return 0;
}

/*
 * The sandbox's own variables, the caller's few (or all), who is become, who asked, what was
 * assigned.
 */
static int make_env(const struct sudo_call *c, const struct sudo_request *r,
	const struct user *user, struct env *env, struct error *err)
{
	char number[16];
	env_copy(env, &c->sudo->executor->env);
	if (add_vars(env, r->envp, r->keeps_env, err) < 0)
		return -1;
	if (!r->keeps_env || r->is_login)
		env_set(env, STR("HOME"), str_from(user->home), NULL);
	env_set(env, STR("USER"), str_from(user->name), NULL);
	env_set(env, STR("LOGNAME"), str_from(user->name), NULL);
	env_set(env, STR("SUDO_USER"), str_from(c->sudo->executor->user.name), NULL);
	snprintf(number, sizeof(number), "%u", c->peer.uid);
	env_set(env, STR("SUDO_UID"), str_from(number), NULL);
	snprintf(number, sizeof(number), "%u", c->peer.gid);
	env_set(env, STR("SUDO_GID"), str_from(number), NULL);
	return add_vars(env, r->assigns, true, err);
}

/* -i and -s put a shell before the words; both take the words as one line of its. */
static const char *const *make_argv(const struct sudo_request *r, const struct user *user,
	struct arena *arena)
{
	if (!r->is_login && !r->is_shell)
		return r->argv;
	const char **argv = arena_new_n(arena, const char *, 5);
	size_t n = 0;
	argv[n++] = user->shell[0] ? user->shell : "/bin/sh";
	if (r->is_login)
		argv[n++] = "-l";
	if (!*r->argv)
		return argv;
	auto_buf struct buf line = BUF_INIT(4 * SUDO_REQUEST_MAX);
	for (const char *const *word = r->argv; *word; word++) {
		buf_puts(&line, word == r->argv ? "" : " ");
		for (const char *ch = *word; *ch; ch++) {
			if (strchr(" \t\n\"'\\$`&|;<>()*?[]#~!{}", *ch))
				buf_putc(&line, '\\');
			buf_putc(&line, *ch);
		}
	}
	argv[n++] = "-c";
	argv[n] = arena_str(arena, buf_str(&line));
	return argv;
}

static int run(struct sudo_call *c, const struct sudo_request *r, const int fds[FDS],
	struct arena *arena, struct error *err)
{
	struct executor *e = c->sudo->executor;
	struct user user;
	auto_env struct env env = { 0 };
	if (user_find(str_from(r->user), &user, err) < 0 || make_env(c, r, &user, &env, err) < 0)
		return -1;
	struct spawn_plan plan = {
		.argv = make_argv(r, &user, arena),
		.envp = env_vector(&env),
		.path = env_get(&env, STR("PATH")),
		.cwd = r->is_login ? user.home : r->cwd,
		.stdio_fds = { fds[0], fds[1], fds[2] },
		.user = &user,
		.confine = &e->confine,
	};
	if (spawn(&plan, &c->child, err) == 0)
		return 0;
	return err->code == ERROR_NOT_FOUND
		? error_set(err, ERROR_NOT_FOUND, "%s: command not found", plan.argv[0])
		: -1;
}

static void start(struct sudo_call *c, struct str bytes, const int fds[FDS])
{
	auto_arena struct arena arena = ARENA_INIT(4 << 20);
	struct sudo_request r;
	struct error err;
	if (sudo_parse(bytes, &arena, &r, &err) < 0) {
		refuse(c, &err);
	} else if (r.answer) {
		answer(c, 0, r.answer);
	} else if (run(c, &r, fds, &arena, &err) < 0) {
		error_wrap(&err, "sudo");
		refuse(c, &err);
	} else {
		c->child_watch = watch_new(c->sudo->executor->loop, c->child.pidfd, LOOP_READ,
			on_exit_of_child, c);
	}
}

/* ---- who asks ---- */

/* A second message, or a hang-up: what runs is to end. */
static void on_hangup(struct sudo_call *c)
{
	watch_free(c->watch);
	c->watch = NULL;
	if (c->child.pidfd < 0) {
		call_free(c);
		return;
	}
	c->timer = timer_new(c->sudo->executor->loop, on_timer, c);
	on_timer(c);
}

/* The user of the sandbox and its root; no other account. */
static bool may_ask(const struct sudo_call *c)
{
	return c->peer.uid == 0 || c->peer.uid == c->sudo->executor->user.uid;
}

static void on_request(void *arg, int events)
{
	static char bytes[SUDO_REQUEST_MAX]; /* one thread, not kept */
	struct sudo_call *c = arg;
	int fds[FD_PASS_MAX], n_fds = FD_PASS_MAX;
	struct error err;
	ssize_t n = fd_recv(c->fd, bytes, sizeof(bytes), fds, &n_fds, &err);
	if (n < 0 && (err.sys == EAGAIN || err.sys == EINTR))
		return;
	if (n <= 0 || c->child.pidfd >= 0) {
		on_hangup(c);
	} else if (!may_ask(c)) {
		answer(c, 1, "sudo: this account may not become another\n");
	} else if (n_fds != FDS) {
		answer(c, 1, "sudo: the request has not the form of one\n");
	} else {
		start(c, str_from_len(bytes, (size_t)n), fds);
	}
	for (int i = 0; n >= 0 && i < n_fds; i++)
		close(fds[i]);
}

static void on_connection(void *arg, int taken_fd)
{
	struct sudo *s = arg;
	struct ucred peer;
	socklen_t size = sizeof(peer);
	auto_fd int fd = taken_fd;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0)
		return;
	if (s->n_calls >= SUDO_CALLS_MAX)
		return; /* it sees its connection closed, and says so */
	struct sudo_call *c = mem_new(struct sudo_call);
	c->sudo = s;
	c->peer = peer;
	c->child.pidfd = -1;
	c->fd = take_fd(&fd);
	c->watch = watch_new(s->executor->loop, c->fd, LOOP_READ, on_request, c);
	list_append(&s->calls, &c->link);
	s->n_calls++;
}

/* ---- setting up ---- */

static int open_socket(int *ret_fd, struct error *err)
{
	struct sockaddr_un name = { .sun_family = AF_UNIX, .sun_path = SUDO_SOCKET };
	auto_fd int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return error_sys(err, errno, "make a socket");
	unlink(SUDO_SOCKET);
	if (bind(fd, (struct sockaddr *)&name, sizeof(name)) < 0 || chmod(SUDO_SOCKET, 0666) < 0 ||
		listen(fd, SUDO_CALLS_MAX) < 0)
		return error_sys(err, errno, "listen at %s", SUDO_SOCKET);
	*ret_fd = take_fd(&fd);
	return 0;
}

int sudo_new(struct executor *e, struct sudo **ret, struct error *err)
{
	struct str program = { (const char *)sudo_program, sudo_program_size };
	auto_fd int fd = -1;
	if (geteuid() != 0)
		return error_set(err, ERROR_FORBIDDEN, "nobody in this sandbox can become root");
	if (file_replace(AT_FDCWD, PROGRAM, program, 0755, err) < 0 || open_socket(&fd, err) < 0)
		return error_wrap(err, "set up sudo");
	struct sudo *s = mem_new(struct sudo);
	s->executor = e;
	s->fd = take_fd(&fd);
	list_init(&s->calls);
	s->acceptor = acceptor_new(e->loop, s->fd, on_connection, s);
	*ret = s;
	return 0;
}

void sudo_free(struct sudo *s)
{
	struct sudo_call *c, *next;
	if (!s)
		return;
	list_for_each_safe(c, next, &s->calls, link) {
		if (c->child.pidfd >= 0) {
			child_signal(&c->child, SIGKILL, true, NULL);
			child_wait(&c->child);
		}
		call_free(c);
	}
	acceptor_free(s->acceptor);
	close_fd(s->fd);
	free(s);
}
