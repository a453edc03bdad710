/* SPDX-License-Identifier: Apache-2.0 */
#include "base/program.h"

#include "base/auto.h"

#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

static const char *program_dir;

void program_set_dir(const char *dir)
{
	program_dir = dir;
}

/* 0, or an errno. */
static int try_open(const char *dir, const char *below, const char *name, int *ret_fd)
{
	char path[PATH_MAX];
	if ((size_t)snprintf(path, sizeof(path), "%s/%s%s", dir, below, name) >= sizeof(path))
		return ENAMETOOLONG;
	auto_fd int fd = open(path, O_PATH | O_CLOEXEC);
	struct stat st;
	if (fd < 0 || fstat(fd, &st) < 0)
		return errno;
	if (!S_ISREG(st.st_mode) || !(st.st_mode & 0111))
		return EACCES;
	*ret_fd = take_fd(&fd);
	return 0;
}

static int own_dir(char *ret_dir, size_t size, struct error *err)
{
	ssize_t n = readlink("/proc/self/exe", ret_dir, size - 1);
	if (n <= 0)
		return error_sys(err, errno, "find the running program");
	ret_dir[n] = '\0';
	char *slash = strrchr(ret_dir, '/');
	if (!slash)
		return error_set(err, ERROR_INTERNAL, "the running program has no directory");
	*slash = '\0';
	return 0;
}

int program_open(const char *name, int *ret_fd, struct error *err)
{
	char dir[PATH_MAX];
	if (program_dir) {
		int sys = try_open(program_dir, "", name, ret_fd);
		return sys ? error_sys(err, sys, "open %s/%s", program_dir, name) : 0;
	}
	if (own_dir(dir, sizeof(dir), err) < 0)
		return -1;
	int sys = try_open(dir, "", name, ret_fd);
	if (sys == ENOENT)
		sys = try_open(dir, "../libexec/cay/", name, ret_fd);
	return sys ? error_sys(err, sys, "open %s, neither in %s nor in ../libexec/cay", name, dir)
		   : 0;
}
