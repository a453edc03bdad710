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

/* A read-only mount, somebody else's group: nothing was handed to us. */
static bool is_refusal(int sys)
{
	return sys == EROFS || sys == EACCES || sys == EPERM;
}

int delegation_settle(struct error *err)
{
	char dir[HOST_PATH_SIZE], path[HOST_PATH_SIZE + 32];
	if (!host_own_v2(dir) || !(host_is_delegated(dir) || is_top_of_container(dir)))
		return 0;
	snprintf(path, sizeof(path), "%s/supervisor", dir);
	if (mkdir(path, 0755) < 0 && errno != EEXIST)
		return is_refusal(errno) ? 0 : error_sys(err, errno, "mkdir %s", path);
	snprintf(path, sizeof(path), "%s/supervisor/cgroup.procs", dir);
	auto_fd int fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, "0", 1) != 1)
		return is_refusal(errno) ? 0 : error_sys(err, errno, "enter %s", path);
	return 0;
}
