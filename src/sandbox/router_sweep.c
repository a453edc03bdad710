/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a router may leave in the host's network. Its device goes with its namespace and its table
 * with the process that owns it, so there is nothing unless the kernel failed us: this looks.
 */
#include "sandbox/router.h"

#include "base/auto.h"
#include "base/bug.h"
#include "sandbox/rtnl.h"

#include <dirent.h>
#include <fcntl.h>
#include <net/if.h>
#include <sys/file.h>

static int sweep_one(int dir_fd, const char *name, bool is_dry_run,
	void (*found)(void *ctx, const char *what), void *ctx, struct error *err)
{
	auto_fd int fd = openat(dir_fd, name, O_RDWR | O_NOFOLLOW | O_CLOEXEC), net = -1;
	if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) < 0)
		return 0; /* somebody's */
	if (if_nametoindex(name) != 0) {
		auto_free char *what = mem_printf("network device %s", name);
		if (found)
			found(ctx, what);
		if (!is_dry_run && (rtnl_open(&net, err) < 0 || rtnl_delete(net, name, err) < 0))
			return -1;
	}
	if (!is_dry_run)
		unlinkat(dir_fd, name, 0);
	return 0;
}

int router_sweep(const char *run_dir, bool is_dry_run, void (*found)(void *ctx, const char *what),
	void *ctx, struct error *err)
{
	auto_free char *path = mem_printf("%s/routers", run_dir);
	DIR *dir = opendir(path);
	int r = 0;
	if (!dir)
		return errno == ENOENT ? 0 : error_sys(err, errno, "open %s", path);
	for (struct dirent *e; r == 0 && (e = readdir(dir));)
		if (e->d_name[0] != '.')
			r = sweep_one(dirfd(dir), e->d_name, is_dry_run, found, ctx, err);
	closedir(dir);
	return r;
}
