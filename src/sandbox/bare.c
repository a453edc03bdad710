/* SPDX-License-Identifier: Apache-2.0 */
#include "sandbox/bare.h"

#include "base/auto.h"
#include "base/bug.h"

#include <limits.h>
#include <sys/stat.h>

static int refuse(struct error *err, const char *what)
{
	return error_set(err, ERROR_UNSUPPORTED,
		"%s cannot be had without isolation: use the backend native", what);
}

static int check_mounts(const struct spec *spec, const char **ret_workspace, struct error *err)
{
	const char *workdir = spec->workdir[0] ? spec->workdir : "/workspace";
	*ret_workspace = NULL;
	for (uint32_t i = 0; i < spec->n_mounts; i++) {
		const struct spec_mount *m = &spec->mounts[i];
		if (strcmp(m->target, workdir) != 0)
			return refuse(err, "a mount other than the workspace");
		if (m->mode != MOUNT_WRITABLE)
			return refuse(err, "a workspace that is a copy or read-only (mode rw can)");
		*ret_workspace = m->source;
	}
	return 0;
}

int bare_check(const struct spec *spec, const char **ret_workspace, struct error *err)
{
	const struct spec_limits *limits = &spec->limits;
	const int64_t asked[] = { limits->memory_bytes, limits->pids, limits->cpu_milli,
		limits->disk_bytes, limits->disk_inodes };
	for (size_t i = 0; i < ARRAY_LEN(asked); i++)
		if (asked[i] > 0)
			return refuse(err, "a limit");
	if (spec->required)
		return refuse(err, "a required control");
	if (spec->image != IMAGE_HOST)
		return refuse(err, "an image");
	if (spec->network == NETWORK_NONE)
		return refuse(err, "a sandbox without network");
	if (spec->network > NETWORK_HOST)
		return refuse(err, "a network of allowed targets");
	if (spec->user == USER_ROOT && geteuid() != 0)
		return refuse(err, "user root");
	return check_mounts(spec, ret_workspace, err);
}

static int make_temporary(char **ret_path, struct error *err)
{
	const char *tmp = getenv("TMPDIR");
	auto_free char *path = mem_printf("%s/cay-local-XXXXXX",
		tmp && tmp[0] == '/' ? tmp : "/tmp");
	if (!mkdtemp(path))
		return error_sys(err, errno, "make %s", path);
	*ret_path = realpath(path, NULL);
	return *ret_path ? 0 : error_sys(err, errno, "find %s", path);
}

int bare_workspace(const char *given, char **ret_path, struct error *err)
{
	struct stat st;
	if (!given)
		return make_temporary(ret_path, err);
	auto_free char *path = realpath(given, NULL);
	if (!path || stat(path, &st) < 0)
		return error_sys(err, errno, "workspace %s", given);
	if (!S_ISDIR(st.st_mode))
		return error_sys(err, ENOTDIR, "workspace %s", given);
	if (strcmp(path, "/") == 0)
		return error_set(err, ERROR_INVALID,
			"workspace /: all of the machine is no workspace");
	*ret_path = take_ptr(path);
	return 0;
}
