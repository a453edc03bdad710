/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/create.h"
#include "wire/allow.h"

#include "base/auto.h"
#include "runtime/plugin.h"

enum {
	TIMEOUT_MAX_MS = 1000000000, /* eleven days */
	ENV_BYTES_MAX = 128 * 1024,  /* what Linux takes for one variable */
};

static const char *const user_words[] = { "agent", "root", NULL };
static const char *const network_words[] = { "loopback", "none", "host", "proxy", "bridge", "pasta",
	NULL };
/* What may be asked for; an image being taken in has a mode of its own. */
static const char *const mode_words[] = { "ro", "rw", "copy", NULL };

struct create_body {
	struct str name, image, workdir, user, network, network_name, hostname, gpus;
	const struct json *mounts, *limits, *guard, *plugins, *repo, *secrets;
	struct field_map env, labels;
	struct field_strings require, allow, networks;
	int64_t timeout_ms, idle_timeout_ms;
};

#define AT(member) FIELD_AT(struct create_body, member)
/* clang-format off */
const struct field create_fields[] = {
	{ "name", FIELD_STRING, AT(name),
		.help = "a name of its own, unique among the living: letters, digits, '-', '_', '.'" },
	{ "image", FIELD_STRING, AT(image), .standard = "host",
		.help = "its root: 'host', a copy-on-write view of the host's tools, or the absolute path of a directory or tar archive, or the name or id of an image of the server's" },
	{ "workdir", FIELD_STRING, AT(workdir), .help = "where sessions start, made if missing; standard: the image's, else /workspace" },
	{ "mounts", FIELD_JSON, AT(mounts),
		.help = "[{\"source\":…,\"target\":…,\"mode\":\"ro\"|\"rw\"|\"copy\"}]" },
	{ "env", FIELD_MAP, AT(env), FIELD_SECRET, .help = "environment of everything that runs in it" },
	{ "secrets", FIELD_JSON, AT(secrets), FIELD_SECRET,
		.help = "{NAME: value}: variables, too, whose values become <secret_hidden> in everything that is reported or logged. "
			"{NAME: {\"value\",\"hosts\":[…],\"header\":\"Authorization\"}}: with network proxy, the variable holds a placeholder, "
			"which becomes the value in that header of requests to those hosts: NAME, *.NAME (over TLS), http://NAME, each with :PORT or without" },
	{ "user", FIELD_STRING, AT(user), .standard = "agent", .words = user_words, .help = "who runs in it" },
	{ "limits", FIELD_JSON, AT(limits),
		.help = "{\"memory_bytes\",\"pids\",\"cpu_milli\",\"disk_bytes\",\"disk_inodes\"}: 0 the default, -1 none" },
	{ "network", FIELD_STRING, AT(network), .standard = "loopback", .words = network_words,
		.help = "what it can reach: loopback (itself), none, host (all that the host can), proxy (what `allow` names), "
			"or bridge (as root) and pasta (else): the addresses that `allow` has" },
	{ "allow", FIELD_STRINGS, AT(allow),
		.help = "with network proxy: NAME, *.NAME, ADDRESS or ADDRESS/BITS, each with :PORT, or without for 80 and 443; "
			"with bridge and pasta addresses of IPv4 alone, over TCP and UDP" },
	{ "network_name", FIELD_STRING, AT(network_name),
		.help = "with network bridge: sandboxes of the same name (a-z, 0-9) reach each other" },
	{ "networks", FIELD_STRINGS, AT(networks),
		.help = "of a backend that has some (docker): networks of the engine that it is connected to, instead of loopback" },
	{ "gpus", FIELD_STRING, AT(gpus), .help = "all, a number, or names with commas between, or device= and numbers or names: of a backend that has some (docker)" },
	{ "hostname", FIELD_STRING, AT(hostname), .standard = "cay", .help = "its host name" },
	{ "labels", FIELD_MAP, AT(labels), .help = "the caller's own notes" },
	{ "timeout_ms", FIELD_INT, AT(timeout_ms), .min = 0, .max = TIMEOUT_MAX_MS,
		.help = "ends so long after it was asked for; 0: never" },
	{ "idle_timeout_ms", FIELD_INT, AT(idle_timeout_ms), .min = 0, .max = TIMEOUT_MAX_MS,
		.help = "ends when no action was under way for so long; 0: never" },
	{ "repo", FIELD_JSON, AT(repo), FIELD_SECRET,
		.help = "cloned before the answer: {\"url\",\"directory\",\"branch\",\"depth\",\"token\",\"user\",\"setup\"}, as …/git/clone takes it" },
	{ "guard", FIELD_JSON, AT(guard),
		.help = "who judges actions before they are performed: {\"mode\":\"off\"|\"rules\"|\"llm\",\"threshold\",\"confirm\","
			"\"confirm_timeout_ms\",\"ignore\"}; standard: the server's" },
	{ "plugins", FIELD_JSON, AT(plugins),
		.help = "what is loaded before it is ready: agent_skills, browser, jupyter, vscode, and manifests of one's own "
			"({\"name\",\"program\":[…],\"files\":{…}}: a program that speaks MCP)" },
	{ "require", FIELD_STRINGS, AT(require), .help = "controls without which it must not be made: see capabilities" },
	{ 0 },
};
#undef AT

struct mount_body {
	struct str source, target, mode;
};

#define AT(member) FIELD_AT(struct mount_body, member)
static const struct field mount_fields[] = {
	{ "source", FIELD_STRING, AT(source), FIELD_REQUIRED | FIELD_PATH, .help = "absolute, on the host" },
	{ "target", FIELD_STRING, AT(target), FIELD_REQUIRED | FIELD_PATH, .help = "absolute, in the sandbox" },
	{ "mode", FIELD_STRING, AT(mode), .standard = "ro", .words = mode_words,
		.help = "ro, rw (changes reach the host) or copy (they do not)" },
	{ 0 },
};
#undef AT

#define LIMIT(member, text) \
	{ #member, FIELD_INT, FIELD_AT(struct spec_limits, member), .min = -1, .max = INT64_MAX / 2, .help = text }
static const struct field limit_fields[] = {
	LIMIT(memory_bytes, "memory"),
	LIMIT(pids, "processes and threads"),
	LIMIT(cpu_milli, "thousandths of a core"),
	LIMIT(disk_bytes, "everything it writes"),
	LIMIT(disk_inodes, "files it makes"),
	{ 0 },
};
/* clang-format on */

static uint32_t word_index(const char *const *words, struct str word)
{
	uint32_t i = 0;
	while (words[i] && !str_is(word, words[i]))
		i++;
	return i;
}

static int copy_text(struct str from, char *to, size_t size, const char *what, struct error *err)
{
	if (from.len >= size)
		return error_set(err, ERROR_INVALID, "create: '%s' has %zu bytes; the limit is %zu",
			what, from.len, size - 1);
	memcpy(to, from.ptr ? from.ptr : "", from.len);
	to[from.len] = '\0';
	return 0;
}

static int read_mount(const struct json *item, struct arena *arena, struct spec_mount *ret,
	struct error *err)
{
	struct mount_body *m;
	void *params;
	if (fields_decode(mount_fields, sizeof(*m), "create: mounts", item, arena, &params, err) <
		0)
		return -1;
	m = params;
	ret->mode = word_index(mode_words, m->mode);
	if (copy_text(m->source, ret->source, sizeof(ret->source), "mounts.source", err) < 0)
		return -1;
	return copy_text(m->target, ret->target, sizeof(ret->target), "mounts.target", err);
}

static int read_mounts(const struct json *mounts, struct arena *arena, struct spec *spec,
	struct error *err)
{
	if (json_kind(mounts) == JSON_KIND_NULL)
		return 0;
	if (json_kind(mounts) != JSON_KIND_ARRAY)
		return error_set(err, ERROR_INVALID, "create: 'mounts' must be an array, not %s",
			json_kind_name(json_kind(mounts)));
	size_t n = json_len(mounts);
	if (n > SPEC_MOUNTS_MAX)
		return error_set(err, ERROR_INVALID, "create: %zu mounts; the limit is %d", n,
			SPEC_MOUNTS_MAX);
	for (size_t i = 0; i < n; i++)
		if (read_mount(json_at(mounts, i), arena, &spec->mounts[i], err) < 0)
			return -1;
	spec->n_mounts = (uint32_t)n;
	return 0;
}

static int read_image(struct str image, struct create *create, struct error *err)
{
	struct spec *spec = &create->spec;
	if (str_is(image, "host"))
		return 0;
	if (!str_starts(image, STR("/"))) {
		create->image = image;
		return 0;
	}
	spec->image = IMAGE_DIR;
	return copy_text(image, spec->image_path, sizeof(spec->image_path), "image", err);
}

static int read_require(const struct field_strings *words, struct spec *spec, struct error *err)
{
	for (size_t i = 0; i < words->n; i++) {
		enum control control;
		if (control_parse(words->items[i].ptr, &control, err) < 0)
			return error_wrap(err, "create: require");
		spec->required |= 1ull << control;
	}
	return 0;
}

static int check_map(const struct field_map *map, size_t n_max, size_t bytes_max, const char *what,
	struct error *err)
{
	if (map->n > n_max)
		return error_set(err, ERROR_INVALID, "create: %zu %s; the limit is %zu", map->n,
			what, n_max);
	for (size_t i = 0; i < map->n; i++)
		if (map->keys[i].len == 0 || map->keys[i].len + map->values[i].len > bytes_max)
			return error_set(err, ERROR_INVALID,
				"create: %s: '%.*s' is empty or over %zu bytes", what,
				STR_ARG(str_first(map->keys[i], 40)), bytes_max);
	return 0;
}

static int check_env(const struct field_map *env, struct error *err)
{
	for (size_t i = 0; i < env->n; i++)
		if (str_find_char(env->keys[i], '=') >= 0)
			return error_set(err, ERROR_INVALID, "create: env: '%.*s' holds '='",
				STR_ARG(str_first(env->keys[i], 40)));
	return check_map(env, CREATE_ENV_MAX, ENV_BYTES_MAX, "env", err);
}

static bool is_name_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
		c == '-' || c == '_' || c == '.';
}

int create_check_name(struct str name, struct error *err)
{
	bool is_good = name.len > 0 && name.len < SPEC_NAME_SIZE && !strchr("-_.", name.ptr[0]) &&
		!id_is_valid(name);
	for (size_t i = 0; i < name.len && is_good; i++)
		is_good = is_name_char(name.ptr[i]);
	if (!is_good)
		return error_set(err, ERROR_INVALID,
			"create: '%.*s' is no name: letters, digits, '-', '_' and '.', at most %d, beginning with a letter or digit, and not like an id",
			STR_ARG(str_first(name, 70)), SPEC_NAME_SIZE - 1);
	return 0;
}

static bool is_routed(const struct spec *spec)
{
	return spec->network == NETWORK_BRIDGE || spec->network == NETWORK_PASTA;
}

/* What may be a name is its engine's to say. */
static int check_networks(const struct create *create, struct error *err)
{
	const struct field_strings *list = &create->networks;
	if (list->n > CREATE_NETWORKS_MAX)
		return error_set(err, ERROR_LIMIT, "create: %zu networks; the limit is %d", list->n,
			CREATE_NETWORKS_MAX);
	if (list->n && create->spec.network != NETWORK_LOOPBACK)
		return error_set(err, ERROR_INVALID,
			"create: 'networks' stand in place of the network 'loopback', not of another one");
	for (size_t i = 0; i < list->n; i++)
		if (!list->items[i].len || list->items[i].len >= SPEC_NAME_SIZE)
			return error_set(err, ERROR_INVALID, "create: networks: '%.*s' is no name",
				STR_ARG(str_first(list->items[i], 60)));
	return 0;
}

static int check_allow(const struct create *create, struct error *err)
{
	struct allow allow = { 0 };
	int r = 0;
	if (is_routed(&create->spec))
		return 0; /* it is in the spec */
	if (create->allow.n && create->spec.network != NETWORK_PROXY)
		return error_set(err, ERROR_INVALID,
			"'allow' is for the network 'proxy', or 'bridge' or 'pasta'");
	for (size_t i = 0; r == 0 && i < create->allow.n; i++)
		r = allow_add(&allow, create->allow.items[i], err);
	allow_fini(&allow);
	return r;
}

int create_check(const struct create *create, struct error *err)
{
	if (create->name.len && create_check_name(create->name, err) < 0)
		return -1;
	if (plugins_check(create->plugins, err) < 0 || check_env(&create->env, err) < 0 ||
		check_env(&create->secrets, err) < 0 || create_check_swaps(create, err) < 0 ||
		check_map(&create->labels, CREATE_LABELS_MAX, CREATE_LABEL_BYTES, "labels", err) <
			0)
		return -1;
	if (create->gpus.len >= SPEC_NAME_SIZE)
		return error_set(err, ERROR_INVALID, "create: 'gpus' has %zu bytes",
			create->gpus.len);
	if (create->note.len > CREATE_NOTE_BYTES)
		return error_set(err, ERROR_TOO_LARGE, "create: a note of %zu bytes",
			create->note.len);
	if (check_networks(create, err) < 0)
		return -1;
	if (spec_check(&create->spec, err) < 0 || check_allow(create, err) < 0)
		return error_wrap(err, "create");
	return 0;
}

/* What the kernel decides by: addresses of IPv4. */
static int read_address(struct str text, struct spec_allow *ret, struct error *err)
{
	struct allow_rule rule;
	if (allow_rule_parse(text, &rule, err) < 0)
		return -1;
	if (rule.name[0])
		return error_set(err, ERROR_INVALID,
			"allow: '%.*s': names are for the network 'proxy'; here it takes addresses",
			STR_ARG(str_first(text, 80)));
	if (netaddr_to_v4(&rule.range.address, &ret->address) < 0 || rule.range.bits < 96)
		return error_set(err, ERROR_UNSUPPORTED, "allow: '%.*s': IPv6 is closed here",
			STR_ARG(str_first(text, 80)));
	ret->bits = (uint8_t)(rule.range.bits - 96);
	ret->port = rule.port;
	ret->is_private = netrange_is_private(&rule.range);
	return 0;
}

static int read_net(const struct create_body *body, struct spec *spec, struct error *err)
{
	struct spec_net *net = &spec->net;
	if (!is_routed(spec))
		return body->network_name.len
			? error_set(err, ERROR_INVALID,
				  "create: 'network_name' is for the network 'bridge'")
			: 0;
	if (body->allow.n > SPEC_ALLOW_MAX)
		return error_set(err, ERROR_LIMIT, "create: allow: %zu addresses; the limit is %d",
			body->allow.n, SPEC_ALLOW_MAX);
	for (; net->n_allow < body->allow.n; net->n_allow++)
		if (read_address(body->allow.items[net->n_allow], &net->allow[net->n_allow], err) <
			0)
			return error_wrap(err, "create");
	return copy_text(body->network_name, net->name, sizeof(net->name), "network_name", err);
}

static int read_spec(const struct create_body *body, struct arena *arena, struct create *create,
	struct error *err)
{
	struct spec *spec = &create->spec;
	void *limits;
	if (fields_decode(limit_fields, sizeof(struct spec_limits), "create: limits", body->limits,
		    arena, &limits, err) < 0)
		return -1;
	spec->limits = *(struct spec_limits *)limits;
	spec->user = word_index(user_words, body->user);
	spec->network = word_index(network_words, body->network);
	if (read_net(body, spec, err) < 0 || read_image(body->image, create, err) < 0 ||
		read_mounts(body->mounts, arena, spec, err) < 0 ||
		read_require(&body->require, spec, err) < 0)
		return -1;
	if (copy_text(body->workdir, spec->workdir, sizeof(spec->workdir), "workdir", err) < 0)
		return -1;
	return copy_text(body->hostname, spec->hostname, sizeof(spec->hostname), "hostname", err);
}

static uint32_t said_in(const struct json *json)
{
	static const struct {
		const char *name;
		uint32_t flag;
	} names[] = {
		{ "image", CREATE_SAID_IMAGE },
		{ "workdir", CREATE_SAID_WORKDIR },
		{ "mounts", CREATE_SAID_MOUNTS },
		{ "user", CREATE_SAID_USER },
		{ "network", CREATE_SAID_NETWORK },
		{ "timeout_ms", CREATE_SAID_TIMEOUT },
		{ "idle_timeout_ms", CREATE_SAID_IDLE },
		{ "networks", CREATE_SAID_NETWORKS },
		{ "gpus", CREATE_SAID_GPUS },
	};
	uint32_t said = 0;
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (json_kind(json_find(json, names[i].name)) != JSON_KIND_NULL)
			said |= names[i].flag;
	return said;
}

int create_from_json(const struct json *json, struct arena *arena, struct create *ret,
	struct error *err)
{
	void *params;
	if (fields_decode(create_fields, sizeof(struct create_body), "create", json, arena, &params,
		    err) < 0)
		return -1;
	const struct create_body *body = params;
	struct create *create = arena_new(arena, struct create);
	if (read_spec(body, arena, create, err) < 0 ||
		create_read_secrets(body->secrets, arena, create, err) < 0)
		return -1;
	create->said = said_in(json);
	create->name = body->name;
	create->env = body->env;
	create->labels = body->labels;
	create->allow = body->allow;
	create->networks = body->networks;
	create->gpus = body->gpus;
	create->guard = body->guard;
	create->repo = body->repo;
	create->plugins = body->plugins;
	create->timeout_ms = body->timeout_ms;
	create->idle_timeout_ms = body->idle_timeout_ms;
	*ret = *create;
	return 0;
}

static void write_limits(const struct spec_limits *limits, struct jsonw *w)
{
	jsonw_open(w);
	for (const struct field *f = limit_fields; f->name; f++)
		jsonw_key_int(w, f->name,
			*(const int64_t *)(const void *)((const char *)limits + f->offset));
	jsonw_close(w);
}

static void write_mounts(const struct spec *spec, struct jsonw *w)
{
	jsonw_open_array(w);
	for (uint32_t i = 0; i < spec->n_mounts; i++) {
		jsonw_open(w);
		jsonw_key_str(w, "source", str_from(spec->mounts[i].source));
		jsonw_key_str(w, "target", str_from(spec->mounts[i].target));
		jsonw_key_str(w, "mode",
			str_from(spec->mounts[i].mode == MOUNT_LAYER
					? "layer"
					: mode_words[spec->mounts[i].mode]));
		jsonw_close(w);
	}
	jsonw_close_array(w);
}

static void write_controls(uint64_t controls, struct jsonw *w)
{
	jsonw_open_array(w);
	for (int i = 0; i < CONTROL_MAX; i++)
		if (controls & 1ull << i)
			jsonw_str(w, str_from(control_name((enum control)i)));
	jsonw_close_array(w);
}

void enforced_write(const struct enforced *enforced, struct jsonw *w)
{
	jsonw_open(w);
	jsonw_key(w, "controls");
	write_controls(enforced->controls, w);
	jsonw_key(w, "limits");
	write_limits(&enforced->limits, w);
	jsonw_key_int(w, "uid", enforced->uid);
	jsonw_key_int(w, "gid", enforced->gid);
	jsonw_close(w);
}

static void write_list(const char *key, const struct field_strings *list, struct jsonw *w)
{
	if (!list->n)
		return;
	jsonw_key(w, key);
	jsonw_open_array(w);
	for (size_t i = 0; i < list->n; i++)
		jsonw_str(w, list->items[i]);
	jsonw_close_array(w);
}

void create_write(const struct create *create, struct str guard, struct jsonw *w)
{
	const struct spec *spec = &create->spec;
	jsonw_open(w);
	if (create->image.len) {
		jsonw_key_str(w, "image", create->image);
		if (create->image_id[0])
			jsonw_key_str(w, "image_id", str_from(create->image_id));
	} else {
		jsonw_key_str(w, "image",
			str_from(spec->image == IMAGE_DIR ? spec->image_path : "host"));
	}
	jsonw_key_str(w, "workdir", str_from(spec->workdir[0] ? spec->workdir : "/workspace"));
	jsonw_key(w, "mounts");
	write_mounts(spec, w);
	jsonw_key(w, "env");
	jsonw_open_array(w);
	for (size_t i = 0; i < create->env.n; i++)
		jsonw_str(w, create->env.keys[i]);
	jsonw_close_array(w);
	jsonw_key(w, "secrets");
	jsonw_open_array(w);
	for (size_t i = 0; i < create->secrets.n; i++)
		jsonw_str(w, create->secrets.keys[i]);
	for (size_t i = 0; i < create->n_swaps; i++)
		jsonw_str(w, create->swaps[i].name);
	jsonw_close_array(w);
	if (create->n_swaps)
		create_write_swaps(create, w);
	jsonw_key_str(w, "user", str_from(user_words[spec->user]));
	jsonw_key(w, "limits");
	write_limits(&spec->limits, w);
	jsonw_key_str(w, "network", str_from(network_words[spec->network]));
	write_list("allow", &create->allow, w);
	write_list("networks", &create->networks, w);
	if (create->gpus.len)
		jsonw_key_str(w, "gpus", create->gpus);
	if (spec->net.name[0])
		jsonw_key_str(w, "network_name", str_from(spec->net.name));
	jsonw_key_str(w, "hostname", str_from(spec->hostname[0] ? spec->hostname : "cay"));
	jsonw_key(w, "require");
	write_controls(spec->required, w);
	if (json_len(create->plugins)) {
		jsonw_key(w, "plugins");
		plugins_put_spec(create->plugins, w);
	}
	if (guard.len) {
		jsonw_key(w, "guard");
		jsonw_raw(w, guard);
	}
	jsonw_close(w);
}
