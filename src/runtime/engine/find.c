/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/engine/find.h"

#include "base/auto.h"

#include <sys/stat.h>

enum { PATH_BYTES_MAX = 4096 };

static int take(struct str place, struct buf *ret, struct error *err)
{
	struct str path = place;
	if (str_starts(place, STR("unix://")))
		path = str_skip(place, 7);
	else if (str_starts(place, STR("unix:")))
		path = str_skip(place, 5);
	if (!str_starts(path, STR("/")))
		return error_set(err, ERROR_UNSUPPORTED,
			"an engine at '%.*s': only one of this machine, on a Unix socket; there, run `cay serve` beside the engine",
			STR_ARG(str_first(place, 60)));
	return buf_put(ret, path) < 0
		? error_set(err, ERROR_INVALID, "a path of %zu bytes", path.len)
		: 0;
}

static bool is_there(const char *path)
{
	struct stat st;
	return stat(path, &st) == 0 && S_ISSOCK(st.st_mode);
}

int engine_find(const char *given, struct buf *ret, struct error *err)
{
	static const struct {
		bool is_users;
		const char *path;
	} usual[] = {
		{ true, "/docker.sock" },
		{ false, "/run/docker.sock" },
		{ true, "/podman/podman.sock" },
		{ false, "/run/podman/podman.sock" },
	};
	const char *host = getenv("DOCKER_HOST"), *own = getenv("XDG_RUNTIME_DIR");
	if (given && given[0])
		return take(str_from(given), ret, err);
	if (host && host[0])
		return take(str_from(host), ret, err) < 0 ? error_wrap(err, "DOCKER_HOST") : 0;
	for (size_t i = 0; i < ARRAY_LEN(usual); i++) {
		auto_buf struct buf path = BUF_INIT(PATH_BYTES_MAX);
		if (usual[i].is_users && !(own && own[0] == '/'))
			continue;
		buf_printf(&path, "%s%s", usual[i].is_users ? own : "", usual[i].path);
		if (is_there(path.ptr))
			return buf_put(ret, buf_str(&path));
	}
	return error_set(err, ERROR_UNAVAILABLE,
		"no engine: neither DOCKER_HOST nor a socket of docker or podman in /run; name one with --backend docker=PATH");
}
