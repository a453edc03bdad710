/* SPDX-License-Identifier: Apache-2.0 */
#include "executor/pod.h"

#include "base/auto.h"
#include "base/bug.h"
#include "base/file.h"
#include "base/num.h"

#include <fcntl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>

enum { COPY_STEP = 1 << 20, CGROUP_FILE_MAX = 64 * 1024 };

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

/*
 * Names of version 2 and of version 1 of cgroups, and the word before the number, if it is a
 * table.
 */
static int64_t read_number(const char *const paths[2], const char *word, int64_t scale_of_second)
{
	for (int i = 0; i < 2; i++) {
		auto_buf struct buf b = BUF_INIT(CGROUP_FILE_MAX);
		struct str rest, line;
		int64_t n;
		if (file_read(AT_FDCWD, paths[i], &b, NULL) < 0)
			continue;
		rest = buf_str(&b);
		while (str_split(&rest, '\n', &line)) {
			bool is_table = i == 0 && word;
			struct str key;
			if (is_table && (!str_split(&line, ' ', &key) || !str_is(key, word)))
				continue;
			if (num_parse_i64(line, 0, INT64_MAX, &n, NULL) == 0)
				return i ? n / scale_of_second : n;
		}
	}
	return -1;
}

#define CGROUP "/sys/fs/cgroup/"

void pod_usage(struct door_usage *ret)
{
	static const char *const memory[] = { CGROUP "memory.current",
		CGROUP "memory/memory.usage_in_bytes" };
	static const char *const peak[] = { CGROUP "memory.peak",
		CGROUP "memory/memory.max_usage_in_bytes" };
	static const char *const pids[] = { CGROUP "pids.current", CGROUP "pids/pids.current" };
	static const char *const cpu[] = { CGROUP "cpu.stat", CGROUP "cpuacct/cpuacct.usage" };
	*ret = (struct door_usage){ read_number(memory, NULL, 1), read_number(peak, NULL, 1),
		read_number(pids, NULL, 1), read_number(cpu, "usage_usec", 1000) };
}

void pod_tell_failure(const struct error *failure)
{
	auto_fd int fd = open(POD_LAST_WORD, O_WRONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd >= 0)
		file_write_all(fd, str_from(failure->text), NULL);
}
