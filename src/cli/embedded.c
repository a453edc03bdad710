/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/embedded.h"

#include "base/auto.h"
#include "base/bug.h"
#include "base/file.h"
#include "base/keeper.h"
#include "base/program.h"
#include "sandbox/listen.h"
#include "sandbox/monitor.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

enum { LOG_MAX = 64 * 1024 }; /* of it, what is looked at for the reason of a failed start */

bool embedded_is_for(struct str url)
{
	return str_starts(url, STR("openhands+http")) || str_starts(url, STR("action+http")) ||
		str_starts(url, STR("daytona+http")) || str_is(url, "daytona");
}

/* The caller's CAY_TOKEN is the other side's key; the server's own is a new one. */
static void set_keys(const struct embedded *e)
{
	const char *given = getenv("CAY_TOKEN");
	if (given && given[0]) {
		setenv("SANDBOX_API_KEY", given, 0);
		setenv("SESSION_API_KEY", given, 0);
	}
	setenv("CAY_TOKEN", e->token, 1);
}

_Noreturn static void child(const struct embedded *e, const char *dir, const char *backend_url,
	int program_fd, int listen_fd, int lifeline_fd)
{
	struct error err;
	auto_free char *state = mem_printf("%s/state", dir);
	const char *argv[] = { "cayd", "--state", state, "--listeners", "1", "--backend",
		backend_url, NULL };
	const struct keeper keeper = { .lifeline_fd = lifeline_fd,
		.given_fd = listen_fd,
		.temporary = dir };
	int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null_fd < 0 || mkdir(state, 0700) < 0 || keeper_start(&keeper, &err) < 0)
		_exit(127);
	int program = fcntl(program_fd, F_DUPFD_CLOEXEC, LISTEN_FD + 1);
	int listener = fcntl(listen_fd, F_DUPFD_CLOEXEC, LISTEN_FD + 1);
	dup2(null_fd, STDIN_FILENO);
	dup2(null_fd, STDOUT_FILENO);
	dup2(e->log_fd, STDERR_FILENO);
	dup2(null_fd, MONITOR_FD); /* there is no supervisor */
	dup2(null_fd, HOLD_FD);    /* nor does the directory outlive us */
	dup2(listener, LISTEN_FD);
	set_keys(e);
	syscall(SYS_execveat, program, "", argv, environ, AT_EMPTY_PATH);
	_exit(127);
}

int embedded_start(const char *backend_url, struct embedded *ret, struct error *err)
{
	const char *tmp = getenv("TMPDIR");
	auto_free char *dir = mem_printf("%s/cay-embedded-XXXXXX",
		tmp && tmp[0] == '/' ? tmp : "/tmp");
	auto_fd int program_fd = -1, listen_fd = -1;
	int lifeline[2];
	*ret = (struct embedded)EMBEDDED_INIT;
	id_make(ret->token);
	if (program_open("cayd", &program_fd, err) < 0)
		return -1;
	if (!mkdtemp(dir))
		return error_sys(err, errno, "make %s", dir);
	ret->url = mem_printf("unix:%s/cay.sock", dir);
	auto_free char *log = mem_printf("%s/log", dir);
	ret->log_fd = open(log, O_RDWR | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC, 0600);
	if (ret->log_fd < 0)
		error_sys(err, errno, "make %s", log);
	if (ret->log_fd < 0 || listen_unix(ret->url + 5, &listen_fd, err) < 0 ||
		pipe2(lifeline, O_CLOEXEC) < 0) {
		file_remove_tree(AT_FDCWD, dir, NULL);
		return error_wrap(err, "start a server");
	}
	auto_fd int end = lifeline[0];
	ret->lifeline_fd = lifeline[1];
	ret->keeper_pid = fork();
	if (ret->keeper_pid < 0)
		return error_sys(err, errno, "fork a server");
	if (ret->keeper_pid == 0) {
		close(lifeline[1]);
		child(ret, dir, backend_url, program_fd, listen_fd, end);
	}
	return 0;
}

/* By descriptor: the keeper may have removed the file already. */
void embedded_explain(const struct embedded *e, struct error *err)
{
	auto_buf struct buf log = BUF_INIT(LOG_MAX);
	ssize_t n = pread(e->log_fd, buf_room(&log, LOG_MAX), LOG_MAX, 0);
	if (n <= 0)
		return;
	buf_grown(&log, (size_t)n);
	ptrdiff_t at = str_find(buf_str(&log), STR("server.failed "));
	if (at < 0)
		return;
	struct str why = str_skip(buf_str(&log), (size_t)at + 14);
	ptrdiff_t line = str_find_char(why, '\n');
	error_set(err, ERROR_UNAVAILABLE, "%.*s",
		STR_ARG(str_first(why, line < 0 ? why.len : (size_t)line)));
}

void embedded_stop(struct embedded *e)
{
	close_fd(e->lifeline_fd);
	if (e->keeper_pid > 0)
		waitpid(e->keeper_pid, NULL, 0);
	close_fd(e->log_fd);
	free(e->url);
	*e = (struct embedded)EMBEDDED_INIT;
}
