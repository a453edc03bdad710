/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What POST /sandbox asks for, as a wish for a sandbox and as its note. What is not offered is
 * refused by a row.
 */
#include "face/daytona/state.h"

#include "base/auto.h"
#include "base/num.h"
#include "runtime/images.h"

#define GIB ((int64_t)1 << 30)

enum { MINUTES_MAX = 10 * 366 * 24 * 60, CPU_MAX = 4096, GIB_MAX = 1 << 20 };

static const struct {
	const char *key, *why;
} refused[] = {
	{ "gpu", "there are no GPUs" },
	{ "gpuType", "there are no GPUs" },
	{ "kvm", "a sandbox has no /dev/kvm" },
	{ "linkedSandbox", "sandboxes do not reach each other" },
	{ "otelEndpointOverride", "nothing is sent to collectors" },
	{ "outboundProxyUrl", "a proxy of the caller's is not used; see domainAllowList" },
	{ "secrets", "there is no store of secrets; use env" },
	{ "volumes", "there are no volumes" },
};

static bool asks_for_something(const struct json *value)
{
	switch (json_kind(value)) {
	case JSON_KIND_BOOL:
		return json_bool(value);
	case JSON_KIND_INT:
	case JSON_KIND_REAL:
		return json_int(value) != 0;
	case JSON_KIND_STR:
		return json_str(value).len > 0;
	case JSON_KIND_ARRAY:
	case JSON_KIND_OBJECT:
		return json_len(value) > 0;
	default:
		return false;
	}
}

static int check_offered(const struct json *body, struct error *err)
{
	for (size_t i = 0; i < ARRAY_LEN(refused); i++)
		if (asks_for_something(json_find(body, refused[i].key)))
			return error_set(err, ERROR_INVALID, "%s is not offered: %s",
				refused[i].key, refused[i].why);
	return 0;
}

/* An integer of the body, or the standard if it is not said. */
static int take_int(const struct json *body, const char *key, int64_t min, int64_t max,
	int64_t standard, int64_t *ret, struct error *err)
{
	const struct json *value = json_find(body, key);
	*ret = standard;
	if (json_kind(value) == JSON_KIND_NULL)
		return 0;
	if (json_kind(value) != JSON_KIND_INT || json_int(value) < min || json_int(value) > max)
		return error_set(err, ERROR_INVALID, "%s must be an integer of %lld to %lld", key,
			(long long)min, (long long)max);
	*ret = json_int(value);
	return 0;
}

/* ---- the image ---- */

/*
 * "FROM python:3.11\n" and nothing else, which is what an SDK makes of the name of an image;
 * STR_NONE: more.
 */
static struct str image_of_dockerfile(struct str text)
{
	struct str line, found = STR_NONE;
	while (text.len && str_split(&text, '\n', &line)) {
		line = str_trim(line);
		if (!line.len || line.ptr[0] == '#')
			continue;
		if (found.ptr || !str_eq_nocase(str_first(line, 5), STR("FROM ")))
			return STR_NONE;
		found = str_trim(str_skip(line, 5));
	}
	return str_find_char(found, ' ') >= 0 ? STR_NONE : found;
}

int make_from_build_info(const struct json *info, struct making *m, struct error *err)
{
	struct str text = json_str(json_find(info, "dockerfileContent"));
	const struct json *hashes = json_find(info, "contextHashes");
	if (!str_trim(text).len)
		return error_set(err, ERROR_INVALID, "buildInfo has no dockerfileContent");
	if (json_len(hashes) > BUILD_CONTEXTS_MAX)
		return error_set(err, ERROR_LIMIT, "over %d contexts", BUILD_CONTEXTS_MAX);
	m->dockerfile = text;
	m->contexts = hashes;
	return 0;
}

static int take_image(struct daytona *d, struct making *m, struct error *err)
{
	const struct json *build = json_find(m->body, "buildInfo");
	struct str name = json_str(json_find(m->body, "snapshot"));
	if (json_kind(build) == JSON_KIND_OBJECT) {
		if (make_from_build_info(build, m, err) < 0)
			return -1;
		name = json_len(m->contexts) ? STR_NONE : image_of_dockerfile(m->dockerfile);
		if (!name.len && !m->built.len)
			return 0; /* it is to be built */
		m->dockerfile = STR_NONE;
	}
	if (m->built.len) {
		m->create->image = m->built;
		m->create->said |= CREATE_SAID_IMAGE;
		return 0;
	}
	if (!name.len)
		return 0;
	if (!runtime_has_other_images(d->rt) && !images_find(runtime_images(d->rt), name, err))
		return error_set(err, ERROR_NOT_FOUND,
			"Snapshot %.*s not found: import it (cay image import), or let another stand "
			"in for it (cay image tag host %.*s)",
			STR_ARG(str_first(name, 80)), STR_ARG(str_first(name, 80)));
	m->box->snapshot = str_dup(name);
	m->create->image = name;
	m->create->said |= CREATE_SAID_IMAGE;
	return 0;
}

/* ---- the rest of the wish ---- */

static int take_map(struct making *m, const char *key, struct field_map *ret, struct error *err)
{
	const struct json *map = json_find(m->body, key), *value;
	struct str name;
	void *it = NULL;
	*ret = (struct field_map){ 0 };
	if (json_kind(map) == JSON_KIND_NULL)
		return 0;
	size_t n = json_kind(map) == JSON_KIND_OBJECT ? json_len(map) : SIZE_MAX;
	if (n > CREATE_ENV_MAX)
		return error_set(err, ERROR_INVALID, "%s must be an object of at most %d strings",
			key, CREATE_ENV_MAX);
	ret->keys = arena_new_n(m->arena, struct str, n + 1);
	ret->values = arena_new_n(m->arena, struct str, n + 1);
	while ((value = json_next(map, &it, &name))) {
		if (json_kind(value) != JSON_KIND_STR || str_has_nul(json_str(value)))
			return error_set(err, ERROR_INVALID, "%s.%.*s is no string", key,
				STR_ARG(str_first(name, 80)));
		ret->keys[ret->n] = name;
		ret->values[ret->n++] = json_str(value);
	}
	return 0;
}

static int take_user(struct making *m, struct error *err)
{
	struct str user = json_str(json_find(m->body, "user"));
	struct create *create = m->create;
	if (str_is(user, "root"))
		create->spec.user = USER_ROOT;
	else if (user.len && !str_is(user, "daytona") && !str_is(user, "agent"))
		return error_set(err, ERROR_INVALID,
			"user '%.*s' is not offered: root, or agent (also as daytona)",
			STR_ARG(str_first(user, 60)));
	m->box->user = str_dup(str_is(user, "root") ? user : STR("agent"));
	create->said |= CREATE_SAID_USER | CREATE_SAID_WORKDIR;
	snprintf(create->spec.workdir, sizeof(create->spec.workdir), "%s", DAYTONA_HOME);
	/* Where everything of Daytona's expects itself to be at home. */
	size_t n = create->env.n;
	struct field_map env = { arena_new_n(m->arena, struct str, n + 1),
		arena_new_n(m->arena, struct str, n + 1), 0 };
	if (create->spec.user == USER_AGENT) {
		env.keys[0] = STR("HOME");
		env.values[0] = STR(DAYTONA_HOME);
		env.n = 1;
	}
	for (size_t i = 0; i < n; i++) {
		if (str_is(create->env.keys[i], "HOME"))
			env.n = 0; /* the first and only one so far: theirs counts */
	}
	for (size_t i = 0; i < n; i++) {
		env.keys[env.n] = create->env.keys[i];
		env.values[env.n++] = create->env.values[i];
	}
	create->env = env;
	return 0;
}

static int take_limits(struct making *m, struct error *err)
{
	struct spec_limits *limits = &m->create->spec.limits;
	int64_t cpu, memory, disk;
	if (take_int(m->body, "cpu", 1, CPU_MAX, 0, &cpu, err) < 0 ||
		take_int(m->body, "memory", 1, GIB_MAX, 0, &memory, err) < 0 ||
		take_int(m->body, "disk", 1, GIB_MAX, 0, &disk, err) < 0)
		return -1;
	limits->cpu_milli = cpu * 1000;
	limits->memory_bytes = memory * GIB;
	limits->disk_bytes = disk * GIB;
	return 0;
}

/*
 * Names and ranges become rules; Daytona's allow every port that is asked for over HTTP, as cay's
 * do.
 */
static int add_rules(struct making *m, const char *key, struct error *err)
{
	struct str list = json_str(json_find(m->body, key)), rule;
	struct field_strings *allow = &m->create->allow;
	while (list.len && str_split(&list, ',', &rule)) {
		rule = str_trim(rule);
		if (!rule.len)
			continue;
		if (allow->n == 256)
			return error_set(err, ERROR_INVALID, "%s: more than 256 rules", key);
		allow->items[allow->n++] = rule;
	}
	return 0;
}

static int take_network(struct making *m, struct error *err)
{
	struct create *create = m->create;
	create->allow.items = arena_new_n(m->arena, struct str, 256);
	if (json_bool(json_find(m->body, "networkBlockAll"))) {
		create->spec.network = NETWORK_LOOPBACK;
		create->said |= CREATE_SAID_NETWORK;
		return 0;
	}
	if (add_rules(m, "domainAllowList", err) < 0 || add_rules(m, "networkAllowList", err) < 0)
		return -1;
	if (create->allow.n == 0)
		return 0; /* the server's standard */
	create->spec.network = NETWORK_PROXY;
	create->said |= CREATE_SAID_NETWORK;
	return 0;
}

static int take_intervals(struct making *m, struct error *err)
{
	struct box *b = m->box;
	int64_t ttl;
	if (take_int(m->body, "autoStopInterval", 0, MINUTES_MAX, DAYTONA_AUTO_STOP_MINUTES,
		    &b->auto_stop, err) < 0 ||
		take_int(m->body, "autoArchiveInterval", 0, MINUTES_MAX,
			DAYTONA_AUTO_ARCHIVE_MINUTES, &b->auto_archive, err) < 0 ||
		take_int(m->body, "autoDeleteInterval", -1, MINUTES_MAX, -1, &b->auto_delete, err) <
			0 ||
		take_int(m->body, "ttlMinutes", 0, MINUTES_MAX, 0, &ttl, err) < 0)
		return -1;
	if (asks_for_something(json_find(m->body, "autoPauseInterval")))
		return error_set(err, ERROR_INVALID,
			"autoPauseInterval is not offered: use autoStopInterval");
	box_set_ttl(b, ttl);
	return 0;
}

static int parse_copy(const struct json *part, struct json **ret, struct error *err)
{
	auto_buf struct buf b = BUF_INIT(DAYTONA_BODY_MAX);
	if (!part || json_write(part, &b) < 0)
		return 0;
	return json_parse(buf_str(&b), ret, err);
}

int make_from_body(struct daytona *d, struct making *m, struct error *err)
{
	struct box *b = m->box;
	struct create *create = m->create;
	struct str target = json_str(json_find(m->body, "target"));
	if (check_offered(m->body, err) < 0 || take_map(m, "env", &create->env, err) < 0 ||
		take_map(m, "labels", &create->labels, err) < 0 || take_user(m, err) < 0 ||
		take_limits(m, err) < 0 || take_network(m, err) < 0 || take_intervals(m, err) < 0 ||
		take_image(d, m, err) < 0 ||
		parse_copy(json_find(m->body, "env"), &b->env, err) < 0 ||
		parse_copy(json_find(m->body, "labels"), &b->labels, err) < 0)
		return -1;
	create->name = json_str(json_find(m->body, "name"));
	b->is_own = true;
	b->is_public = json_bool(json_find(m->body, "public"));
	b->target = str_dup(target.len ? target : STR("local"));
	return 0;
}
