/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What POST /containers/create asks for, as a wish for a sandbox and as the record that inspect
 * shows. What is not honoured is in one of two tables: some of it is refused, because who asks
 * relies on it; the rest is a warning in the reply.
 */
#include "face/docker/handlers.h"

#include "base/auto.h"
#include "base/bug.h"
#include "base/clock.h"
#include "base/num.h"
#include "runtime/images.h"

struct making {
	const struct json *body, *host, *image; /* image: its Config; NULL */
	struct arena *arena;
	struct create *create;
	struct jsonw warnings;
};

/* ---- what is not honoured ---- */

struct not_honoured {
	const char *key;
	const char *standard; /* a string that asks for nothing special; NULL: the empty one */
	const char *why;
	bool is_refused;
};

static const struct not_honoured rows[] = {
	{ "Privileged", NULL, "a sandbox is never privileged", true },
	{ "Devices", NULL, "no device of the host is handed out", true },
	{ "DeviceRequests", NULL, "no device of the host is handed out", true },
	{ "PidMode", "private", "a sandbox has its own processes", true },
	{ "UsernsMode", "private", "a sandbox has its own users", true },
	{ "UTSMode", "private", "a sandbox has its own name", true },
	{ "IpcMode", "private", "a sandbox has its own IPC", true },
	{ "CgroupnsMode", "private", "a sandbox has its own view of cgroups", true },
	{ "VolumesFrom", NULL, "there are no volumes: bind a directory", true },
	{ "VolumeDriver", NULL, "there are no volumes: bind a directory", true },
	{ "CapAdd", NULL, "a sandbox has its own fixed capabilities", false },
	{ "ReadonlyRootfs", NULL, "the file system is the sandbox's own copy, and writable",
		false },
	{ "Tmpfs", NULL, "all that a sandbox writes is on a tmpfs already", false },
	{ "Ulimits", NULL, "the limits of a sandbox are fixed", false },
	{ "Sysctls", NULL, "not set", false },
	{ "Dns", NULL, "there is no name server", false },
	{ "ExtraHosts", NULL, "/etc/hosts is fixed", false },
	{ "Links", NULL, "sandboxes do not reach each other", false },
	{ "CpusetCpus", NULL, "the scheduler chooses", false },
	{ "CpuShares", NULL, "only NanoCpus and CpuQuota are limits", false },
	{ "OomScoreAdj", NULL, "not set", false },
	{ "GroupAdd", NULL, "not set", false },
	{ NULL, NULL, NULL, false },
};

static bool asks_for_something(const struct json *value, const char *standard)
{
	switch (json_kind(value)) {
	case JSON_KIND_BOOL:
		return json_bool(value);
	case JSON_KIND_INT:
	case JSON_KIND_REAL:
		return json_int(value) != 0;
	case JSON_KIND_STR:
		return json_str(value).len && !str_is(json_str(value), standard ? standard : "");
	case JSON_KIND_ARRAY:
	case JSON_KIND_OBJECT:
		return json_len(value) > 0;
	default:
		return false;
	}
}

static void warn(struct making *m, const char *what, const char *why)
{
	jsonw_str(&m->warnings,
		str_from(arena_printf(m->arena, "%s is not honoured: %s", what, why)));
}

static int check_honoured(struct making *m, struct error *err)
{
	for (const struct not_honoured *row = rows; row->key; row++) {
		if (!asks_for_something(json_find(m->host, row->key), row->standard))
			continue;
		if (row->is_refused)
			return error_set(err, ERROR_INVALID, "HostConfig.%s is not offered: %s",
				row->key, row->why);
		warn(m, row->key, row->why);
	}
	struct str restart = json_str(json_find(json_find(m->host, "RestartPolicy"), "Name"));
	if (restart.len && !str_is(restart, "no"))
		warn(m, "RestartPolicy", "what has ended stays so");
	return 0;
}

/* ---- mounts ---- */

static int copy_path(struct str from, char *to, const char *what, struct error *err)
{
	while (from.len > 1 && from.ptr[from.len - 1] == '/')
		from.len--;
	if (from.len >= SPEC_PATH_SIZE)
		return error_set(err, ERROR_INVALID, "%s: a path of %zu bytes", what, from.len);
	memcpy(to, from.ptr, from.len);
	to[from.len] = '\0';
	return 0;
}

static int add_mount(struct making *m, struct str source, struct str target, bool is_read_only,
	struct error *err)
{
	struct spec *spec = &m->create->spec;
	if (spec->n_mounts == SPEC_MOUNTS_MAX)
		return error_set(err, ERROR_INVALID, "more than %d mounts", SPEC_MOUNTS_MAX);
	if (!str_starts(source, STR("/")))
		return error_set(err, ERROR_INVALID,
			"invalid mount '%.*s': there are no named volumes, only directories with an absolute path",
			STR_ARG(str_first(source, 100)));
	struct spec_mount *mount = &spec->mounts[spec->n_mounts++];
	mount->mode = is_read_only ? MOUNT_READ_ONLY : MOUNT_WRITABLE;
	if (copy_path(source, mount->source, "mount", err) < 0)
		return -1;
	return copy_path(target, mount->target, "mount", err);
}

/* SOURCE:TARGET[:ro,z,…] */
static int add_bind(struct making *m, struct str bind, struct error *err)
{
	struct str rest = bind, source = STR_NONE, target = STR_NONE, option;
	bool is_read_only = false;
	str_split(&rest, ':', &source);
	str_split(&rest, ':', &target);
	if (!target.len)
		return error_set(err, ERROR_INVALID, "invalid bind '%.*s': SOURCE:TARGET[:ro]",
			STR_ARG(str_first(bind, 200)));
	while (rest.len && str_split(&rest, ',', &option))
		is_read_only = is_read_only || str_is(option, "ro");
	return add_mount(m, source, target, is_read_only, err);
}

static int add_mount_object(struct making *m, const struct json *mount, struct error *err)
{
	struct str type = json_str(json_find(mount, "Type"));
	struct str source = json_str(json_find(mount, "Source"));
	if (str_is(type, "tmpfs") || (str_is(type, "volume") && !source.len)) {
		warn(m, "a mount without source",
			"the container's own file system is there instead");
		return 0;
	}
	if (!str_is(type, "bind"))
		return error_set(err, ERROR_INVALID,
			"a mount of type '%.*s' is not offered: only bind",
			STR_ARG(str_first(type, 40)));
	return add_mount(m, source, json_str(json_find(mount, "Target")),
		json_bool(json_find(mount, "ReadOnly")), err);
}

static int add_mounts(struct making *m, struct error *err)
{
	const struct json *binds = json_find(m->host, "Binds"),
			  *mounts = json_find(m->host, "Mounts");
	for (size_t i = 0; i < json_len(binds); i++)
		if (add_bind(m, json_str(json_at(binds, i)), err) < 0)
			return -1;
	for (size_t i = 0; i < json_len(mounts); i++)
		if (add_mount_object(m, json_at(mounts, i), err) < 0)
			return -1;
	return 0;
}

/* ---- limits and network ---- */

static int64_t limit_of(const struct making *m, const char *key)
{
	int64_t value = json_int(json_find(m->host, key));
	return value < 0 ? SPEC_UNLIMITED : value;
}

static void set_limits(struct making *m)
{
	struct spec_limits *l = &m->create->spec.limits;
	int64_t quota = json_int(json_find(m->host, "CpuQuota"));
	int64_t period = json_int(json_find(m->host, "CpuPeriod"));
	int64_t nano = json_int(json_find(m->host, "NanoCpus"));
	l->memory_bytes = limit_of(m, "Memory");
	l->pids = limit_of(m, "PidsLimit");
	if (nano > 0)
		l->cpu_milli = MAX(nano / 1000000, 1);
	else if (quota > 0)
		l->cpu_milli = MAX(quota * 1000 / (period > 0 ? period : 100000), 1);
}

static int set_network(struct making *m, struct error *err)
{
	struct str mode = json_str(json_find(m->host, "NetworkMode"));
	struct spec *spec = &m->create->spec;
	bool is_off = json_bool(json_find(m->body, "NetworkDisabled"));
	/* Docker's "none" has a loopback as well. */
	if (is_off || !mode.len || str_is(mode, "none") || str_is(mode, "default") ||
		str_is(mode, "bridge"))
		spec->network = NETWORK_LOOPBACK;
	else if (str_is(mode, "host"))
		spec->network = NETWORK_HOST;
	else
		return error_set(err, ERROR_INVALID, "network %.*s not found",
			STR_ARG(str_first(mode, 64)));
	return 0;
}

/* ---- the process ---- */

static const struct json *own_or_image(const struct making *m, const char *key)
{
	const struct json *own = json_find(m->body, key);
	return asks_for_something(own, NULL) ? own : json_find(m->image, key);
}

/* [""] is Docker's way to ask for no entrypoint. */
static bool is_no_entrypoint(const struct json *j)
{
	return json_len(j) == 1 && json_kind(j) == JSON_KIND_ARRAY && !json_str(json_at(j, 0)).len;
}

/* A string is a list of one. */
static void put_list(struct jsonw *w, const char *key, const struct json *list)
{
	if (json_kind(list) == JSON_KIND_STR) {
		jsonw_key(w, key);
		jsonw_open_array(w);
		jsonw_str(w, json_str(list));
		jsonw_close_array(w);
	} else {
		docker_key_json(w, key, list);
	}
}

static void put_command(struct making *m, struct jsonw *w)
{
	const struct json *entrypoint = json_find(m->body, "Entrypoint");
	const struct json *cmd = json_find(m->body, "Cmd");
	bool has_own = asks_for_something(entrypoint, NULL);
	if (!has_own)
		entrypoint = json_find(m->image, "Entrypoint");
	if (is_no_entrypoint(entrypoint))
		entrypoint = NULL;
	if (!asks_for_something(cmd, NULL))
		cmd = has_own ? NULL : json_find(m->image, "Cmd");
	put_list(w, "Entrypoint", entrypoint);
	put_list(w, "Cmd", cmd);
}

static struct str key_of(struct str pair)
{
	ptrdiff_t at = str_find_char(pair, '=');
	return at < 0 ? pair : str_first(pair, (size_t)at);
}

static bool has_key(const struct json *list, struct str key)
{
	for (size_t i = 0; i < json_len(list); i++)
		if (str_eq(key_of(json_str(json_at(list, i))), key))
			return true;
	return false;
}

/* The last of several with one name counts. "K" alone asks for none. */
void config_put_pairs(const struct json *list, const struct json *later, struct jsonw *w)
{
	for (size_t i = 0; i < json_len(list); i++) {
		struct str pair = json_str(json_at(list, i)), key = key_of(pair);
		bool is_last = !has_key(later, key);
		for (size_t k = i + 1; k < json_len(list) && is_last; k++)
			is_last = !str_eq(key_of(json_str(json_at(list, k))), key);
		if (is_last && key.len && key.len < pair.len)
			jsonw_str(w, pair);
	}
}

void config_put_env(const struct json *list, struct jsonw *w)
{
	jsonw_open(w);
	for (size_t i = 0; i < json_len(list); i++) {
		struct str pair = json_str(json_at(list, i)), key = key_of(pair);
		bool is_last = true;
		for (size_t k = i + 1; k < json_len(list) && is_last; k++)
			is_last = !str_eq(key_of(json_str(json_at(list, k))), key);
		if (!is_last || !key.len || key.len == pair.len)
			continue;
		jsonw_key_dyn(w, key);
		jsonw_str(w, str_skip(pair, key.len + 1));
	}
	jsonw_close(w);
}

static void put_config(struct making *m, struct jsonw *w)
{
	static const char *const flags[] = { "AttachStdin", "AttachStdout", "AttachStderr", "Tty",
		"OpenStdin", "StdinOnce" };
	static const char *const objects[] = { "ExposedPorts", "Volumes" };
	const struct json *own = json_find(m->body, "Env");
	jsonw_open(w);
	jsonw_key_str(w, "Hostname", str_from(m->create->spec.hostname));
	jsonw_key_str(w, "Domainname", STR(""));
	jsonw_key_str(w, "User", json_str(own_or_image(m, "User")));
	for (size_t i = 0; i < ARRAY_LEN(flags); i++)
		jsonw_key_bool(w, flags[i], json_bool(json_find(m->body, flags[i])));
	for (size_t i = 0; i < ARRAY_LEN(objects); i++)
		docker_key_json(w, objects[i], own_or_image(m, objects[i]));
	jsonw_key(w, "Env");
	jsonw_open_array(w);
	config_put_pairs(json_find(m->image, "Env"), own, w);
	config_put_pairs(own, NULL, w);
	jsonw_close_array(w);
	put_command(m, w);
	jsonw_key_str(w, "Image", json_str(json_find(m->body, "Image")));
	jsonw_key_str(w, "WorkingDir", json_str(own_or_image(m, "WorkingDir")));
	docker_key_json(w, "Labels", own_or_image(m, "Labels"));
	struct str signal = json_str(own_or_image(m, "StopSignal"));
	if (signal.len)
		jsonw_key_str(w, "StopSignal", signal);
	if (json_find(m->body, "StopTimeout"))
		docker_key_json(w, "StopTimeout", json_find(m->body, "StopTimeout"));
	jsonw_close(w);
}

/*
 * "/" is the standard of Docker's and no place that a sandbox can begin in: each process is told
 * its own.
 */
static int set_place(struct making *m, struct error *err)
{
	struct spec *spec = &m->create->spec;
	struct str dir = json_str(own_or_image(m, "WorkingDir"));
	struct str host = json_str(json_find(m->body, "Hostname"));
	if (dir.len && !str_starts(dir, STR("/")))
		return error_set(err, ERROR_INVALID,
			"the working directory '%.*s' is invalid, it needs to be an absolute path",
			STR_ARG(str_first(dir, 200)));
	if (copy_path(str_is(dir, "/") || !dir.len ? STR("/tmp") : dir, spec->workdir, "WorkingDir",
		    err) < 0)
		return -1;
	snprintf(spec->hostname, sizeof(spec->hostname), "%.*s",
		STR_ARG(host.len ? str_first(host, SPEC_NAME_SIZE - 1) : STR("container")));
	return 0;
}

/* As it was asked for, with what clients look at without asking whether it is there. */
static void put_host(struct making *m, struct jsonw *w)
{
	const struct json *value;
	struct str key;
	void *it = NULL;
	jsonw_open(w);
	while (json_kind(m->host) == JSON_KIND_OBJECT && (value = json_next(m->host, &it, &key))) {
		auto_buf struct buf b = BUF_INIT(DOCKER_BODY_MAX);
		json_write(value, &b);
		jsonw_key_dyn(w, key);
		jsonw_raw(w, buf_str(&b));
	}
	if (!json_find(m->host, "LogConfig")) {
		jsonw_key(w, "LogConfig");
		jsonw_raw(w, STR("{\"Type\":\"json-file\",\"Config\":{}}"));
	}
	if (!json_find(m->host, "NetworkMode"))
		jsonw_key_str(w, "NetworkMode", STR("default"));
	if (!json_find(m->host, "AutoRemove"))
		jsonw_key_bool(w, "AutoRemove", false);
	jsonw_close(w);
}

static void put_note(struct making *m, const struct image *image, struct buf *note)
{
	auto_free char *id = mem_printf("sha256:%s", image->id);
	struct jsonw w = JSONW(note);
	jsonw_open(&w);
	jsonw_key_str(&w, "face", STR("docker"));
	jsonw_key_str(&w, "name", m->create->name);
	jsonw_key_str(&w, "image", json_str(json_find(m->body, "Image")));
	jsonw_key_str(&w, "image_id", str_from(id));
	jsonw_key_str(&w, "state", STR("created"));
	jsonw_key_int(&w, "created_ms", clock_wall_ms());
	jsonw_key(&w, "config");
	put_config(m, &w);
	jsonw_key(&w, "host");
	put_host(m, &w);
	jsonw_close(&w);
}

int config_from_body(struct docker *d, const struct json *body, struct str name,
	struct arena *arena, struct create *create, struct buf *note, struct buf *warnings,
	struct error *err)
{
	struct making m = {
		.body = body,
		.host = json_find(body, "HostConfig"),
		.arena = arena,
		.create = create,
		.warnings = JSONW(warnings),
	};
	const struct image *image;
	struct str ref = json_str(json_find(body, "Image"));
	if (!ref.len)
		return error_set(err, ERROR_INVALID, "no image is named");
	if (image_find(d, ref, &image, err) < 0)
		return -1;
	m.image = image->config;
	create->image = str_from(arena_str(arena, str_from(image->id)));
	create->said = UINT32_MAX; /* Docker has standards of its own */
	create->name = name;
	create->spec.user = USER_ROOT;
	jsonw_open_array(&m.warnings);
	if (check_honoured(&m, err) < 0 || add_mounts(&m, err) < 0 || set_network(&m, err) < 0 ||
		set_place(&m, err) < 0)
		return -1;
	set_limits(&m);
	jsonw_close_array(&m.warnings);
	put_note(&m, image, note);
	create->note = buf_str(note);
	if (note->is_full)
		return error_set(err, ERROR_TOO_LARGE, "the configuration is too large");
	return 0;
}
