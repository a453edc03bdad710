/* SPDX-License-Identifier: Apache-2.0 */
/* What owners that were killed left behind, found by their records and by names. */
#include "sandbox/launch.h"

#include "base/auto.h"
#include "base/bug.h"
#include "base/file.h"
#include "sandbox/etc.h"
#include "sandbox/router.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/stat.h>

static int open_dir(const char *path, DIR **ret)
{
	*ret = opendir(path);
	return *ret ? 0 : -1;
}

enum { NAP_MS = 10, PATIENCE_MS = 2000 };

/* A slot that nobody holds: its record tells what is left. Returns 1 if somebody has it. */
static int sweep_slot(int dir_fd, const char *name, const struct cgroup_remove *how)
{
	auto_fd int fd = openat(dir_fd, name, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;
	if (fd < 0 || fstat(fd, &st) < 0 || st.st_size == 0)
		return 0;
	if (flock(fd, LOCK_EX | LOCK_NB) < 0)
		return 1;
	return cgroup_remove_recorded(fd, how);
}

static int sweep_slots(const struct host *host, const struct cgroup_remove *how, int *ret_n_held,
	struct error *err)
{
	auto_free char *path = mem_printf("%s/slots", host->run_dir);
	DIR *dir;
	*ret_n_held = 0;
	if (open_dir(path, &dir) < 0)
		return errno == ENOENT ? 0 : error_sys(err, errno, "open %s", path);
	int r = 0, n_held = 0;
	for (struct dirent *e; (e = readdir(dir));) {
		int swept = e->d_name[0] == '.' ? 0 : sweep_slot(dirfd(dir), e->d_name, how);
		n_held += swept > 0;
		if (swept < 0)
			r = error_set(err, ERROR_CONFLICT,
				"some cgroups of slot %s cannot be removed", e->d_name);
	}
	*ret_n_held = n_held;
	closedir(dir);
	return r;
}

/* Copies of /etc but the present one, and those that were not finished. */
static bool is_outdated(const char *name)
{
	char present[32];
	snprintf(present, sizeof(present), "etc-%016llx", (unsigned long long)etc_stamp());
	return !strncmp(name, "new-", 4) ||
		(!strncmp(name, "etc-", 4) && strcmp(name, present) != 0);
}

/* One that a sandbox uses is locked by its owner (etc.c). */
static int sweep_copy(const struct host *host, int dir_fd, const char *name,
	const struct cgroup_remove *how, struct error *err)
{
	auto_fd int fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) < 0)
		return 0;
	auto_free char *path = mem_printf("%s/%s", host->run_dir, name);
	if (how->found)
		how->found(how->ctx, path);
	return how->is_dry_run ? 0 : file_remove_tree(dir_fd, name, err);
}

static int sweep_copies(const struct host *host, const struct cgroup_remove *how, struct error *err)
{
	DIR *dir;
	if (open_dir(host->run_dir, &dir) < 0)
		return error_sys(err, errno, "open %s", host->run_dir);
	int r = 0;
	for (struct dirent *e; r == 0 && (e = readdir(dir));)
		if (is_outdated(e->d_name))
			r = sweep_copy(host, dirfd(dir), e->d_name, how, err);
	closedir(dir);
	return r;
}

int launch_sweep(const struct host *host, bool is_dry_run,
	void (*found)(void *ctx, const char *what), void *ctx, struct error *err)
{
	struct cgroup_remove how = { .is_dry_run = is_dry_run, .found = found, .ctx = ctx };
	int n_held;
	if (sweep_slots(host, &how, &n_held, err) < 0 ||
		router_sweep(host->run_dir, is_dry_run, found, ctx, err) < 0)
		return -1;
	return sweep_copies(host, &how, err);
}

void launch_sweep_patiently(const struct host *host)
{
	struct cgroup_remove how = { 0 };
	int n_held = 0;
	launch_sweep(host, false, NULL, NULL, NULL);
	for (int ms = NAP_MS; ms < PATIENCE_MS; ms *= 2) {
		if (sweep_slots(host, &how, &n_held, NULL) == 0 && n_held == 0)
			return;
		poll(NULL, 0, ms);
	}
}
