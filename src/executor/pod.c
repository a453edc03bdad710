/* SPDX-License-Identifier: Apache-2.0 */
#include "executor/pod.h"

#include "base/auto.h"
#include "base/bug.h"
#include "base/file.h"

#include <fcntl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>

enum { COPY_STEP = 1 << 20 };

static int copy_all(int from, int to, struct error *err)
{
	ssize_t n;
	while ((n = sendfile(to, from, NULL, COPY_STEP)) != 0)
		if (n < 0 && errno != EINTR)
			return error_sys(err, errno, "copy the program");
	return 0;
}

/* By another name first: who starts it never finds a part of it. */
int pod_install(const char *dir, struct error *err)
{
	auto_fd int from = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	auto_fd int dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (from < 0)
		return error_sys(err, errno, "open the running program");
	if (dir_fd < 0)
		return error_sys(err, errno, "open %s", dir);
	auto_fd int to = openat(dir_fd, ".cay-executor", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC,
		0755);
	if (to < 0)
		return error_sys(err, errno, "make a file in %s", dir);
	if (copy_all(from, to, err) < 0)
		return -1;
	if (fchmod(to, 0755) < 0 || renameat(dir_fd, ".cay-executor", dir_fd, "cay-executor") < 0)
		return error_sys(err, errno, "install into %s", dir);
	return 0;
}

char *pod_workdir(void)
{
	char *cwd = getcwd(NULL, 0);
	if (cwd && cwd[0] == '/' && cwd[1])
		return cwd;
	free(cwd);
	return mem_strdup(POD_WORKDIR);
}

void pod_set_home(void)
{
	const char *home = getenv("HOME");
	bool is_good = home && home[0] == '/' && home[1] && access(home, W_OK | X_OK) == 0;
	if (!is_good && access(POD_HOME, W_OK | X_OK) == 0)
		setenv("HOME", POD_HOME, 1);
}

void pod_tell_failure(const struct error *failure)
{
	auto_fd int fd = open(POD_LAST_WORD, O_WRONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd >= 0)
		file_write_all(fd, str_from(failure->text), NULL);
}
