/* SPDX-License-Identifier: Apache-2.0 */
#include "executor/syntax.h"

#include "base/auto.h"
#include "base/bug.h"
#include "base/file.h"
#include "executor/executor.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>

struct syntax {
	struct executor *executor;
	struct child child;
	int output_fd; /* a file without a name */
	struct watch *watch;
	struct timer *timer;
	syntax_fn *done;
	void *arg;
};

void syntax_drop(struct syntax *s)
{
	if (!s)
		return;
	watch_free(s->watch);
	timer_free(s->timer);
	if (s->child.pidfd >= 0) {
		child_signal(&s->child, SIGKILL, true, NULL);
		child_wait(&s->child);
	}
	close_fd(s->output_fd);
	free(s);
}

static void on_exit_of_child(void *arg, int events)
{
	struct syntax *s = arg;
	static char bytes[SYNTAX_OUTPUT_MAX]; /* one thread, not kept */
	int code, status;
	if (!child_reap(&s->child, &code, &status))
		return;
	ssize_t n = pread(s->output_fd, bytes, sizeof(bytes), 0);
	const struct syntax_verdict verdict = {
		.exit_code = code == CLD_EXITED ? status : 128 + status,
		.output = str_from_len(bytes, (size_t)MAX(n, (ssize_t)0)),
	};
	syntax_fn *done = s->done;
	arg = s->arg;
	syntax_drop(s);
	done(arg, &verdict, NULL);
}

static void on_timeout(void *arg)
{
	struct syntax *s = arg;
	syntax_fn *done = s->done;
	struct error err;
	error_set(&err, ERROR_TIMEOUT, "bash takes over %d ms to read the command", SYNTAX_MAX_MS);
	arg = s->arg;
	syntax_drop(s);
	done(arg, NULL, &err);
}

static int open_file(struct str content, int *ret_fd, struct error *err)
{
	auto_fd int fd = memfd_create("command", MFD_CLOEXEC);
	if (fd < 0)
		return error_sys(err, errno, "make a file for a command");
	for (size_t done = 0; done < content.len;) {
		ssize_t n = pwrite(fd, content.ptr + done, content.len - done, (off_t)done);
		if (n <= 0)
			return error_sys(err, errno, "write a command down");
		done += (size_t)n;
	}
	*ret_fd = take_fd(&fd);
	return 0;
}

static int start(struct syntax *s, struct str command, struct error *err)
{
	static const char *const argv[] = { "bash", "-n", NULL };
	struct executor *e = s->executor;
	auto_env struct env env = { 0 };
	auto_fd int command_fd = -1;
	if (open_file(command, &command_fd, err) < 0 || open_file(STR_NONE, &s->output_fd, err) < 0)
		return -1;
	env_copy(&env, &e->env);
	env_unset(&env, STR("BASH_ENV")); /* it would be read, too */
	struct spawn_plan plan = {
		.argv = argv,
		.envp = env_vector(&env),
		.path = env_get(&env, STR("PATH")),
		.cwd = "/",
		.stdio_fds = { command_fd, s->output_fd, s->output_fd },
		.user = &e->user,
		.confine = &e->confine,
	};
	return spawn(&plan, &s->child, err);
}

int syntax_check(struct executor *e, struct str command, syntax_fn *done, void *arg,
	struct syntax **ret, struct error *err)
{
	struct syntax *s = mem_new(struct syntax);
	s->executor = e;
	s->done = done;
	s->arg = arg;
	s->child.pidfd = s->output_fd = -1;
	if (start(s, command, err) < 0) {
		syntax_drop(s);
		return error_wrap(err, "check the syntax of a command");
	}
	s->watch = watch_new(e->loop, s->child.pidfd, LOOP_READ, on_exit_of_child, s);
	s->timer = timer_new(e->loop, on_timeout, s);
	timer_set(s->timer, SYNTAX_MAX_MS);
	*ret = s;
	return 0;
}
