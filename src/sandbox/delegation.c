/* SPDX-License-Identifier: Apache-2.0 */
#include "sandbox/delegation.h"

#include "base/auto.h"
#include "base/file.h"
#include "sandbox/host.h"

#include <fcntl.h>
#include <sys/stat.h>

/* Only the one at the top of the machine has no type, and needs none of this. */
static bool is_top_of_container(const char *dir)
{
	return !strcmp(dir, HOST_CGROUPS) && access(HOST_CGROUPS "/cgroup.type", F_OK) == 0;
}

/* A user's manager cannot mark what it hands on: what we are alone in, and may write, is ours. */
static bool is_alone(const char *dir)
{
	char path[HOST_PATH_SIZE + 32], own[16];
	auto_buf struct buf b = BUF_INIT(4096);
	snprintf(path, sizeof(path), "%s/cgroup.procs", dir);
	snprintf(own, sizeof(own), "%d\n", (int)getpid());
	return geteuid() != 0 && file_read(AT_FDCWD, path, &b, NULL) == 0 &&
		str_is(buf_str(&b), own);
}

/* A read-only mount, somebody else's group: nothing was handed to us. */
static bool is_refusal(int sys)
{
	return sys == EROFS || sys == EACCES || sys == EPERM;
}

int delegation_settle(struct error *err)
{
	char dir[HOST_PATH_SIZE], path[HOST_PATH_SIZE + 32];
	if (!host_own_v2(dir) ||
		!(host_is_delegated(dir) || is_top_of_container(dir) || is_alone(dir)))
		return 0;
	snprintf(path, sizeof(path), "%s" HOST_KEEPERS, dir);
	if (mkdir(path, 0755) < 0 && errno != EEXIST)
		return is_refusal(errno) ? 0 : error_sys(err, errno, "mkdir %s", path);
	snprintf(path, sizeof(path), "%s" HOST_KEEPERS "/cgroup.procs", dir);
	auto_fd int fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, "0", 1) != 1)
		return is_refusal(errno) ? 0 : error_sys(err, errno, "enter %s", path);
	return 0;
}
