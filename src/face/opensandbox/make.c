/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What POST /v1/sandboxes asks for, as a wish for a sandbox and as its note. What a wish may say is
 * the table; what is not offered, and what nobody here knows of, is refused by name: a restriction
 * that was passed over would be a promise that is not kept.
 */
#include "face/opensandbox/state.h"

#include "base/auto.h"
#include "base/clock.h"
#include "base/num.h"
#include "runtime/images.h"

enum {
	TIMEOUT_MIN_S = 60,
	TIMEOUT_MAX_S = 366 * 24 * 3600,
	METADATA_VALUE_MAX = 63,
	ENTRYPOINT_MAX = 256,
};

struct asked {
	const struct json *image, *platform, *timeout, *limits, *entrypoint, *policy, *credentials,
		*volumes, *extensions;
	struct str snapshot;
	struct field_map env, metadata;
	bool is_secure; /* it always is */
};

#define AT(member) FIELD_AT(struct asked, member)

static const struct field asked_fields[] = {
	{ "image", FIELD_JSON, AT(image) },
	{ "snapshotId", FIELD_STRING, AT(snapshot) },
	{ "platform", FIELD_JSON, AT(platform) },
	{ "timeout", FIELD_JSON, AT(timeout) },
	{ "resourceLimits", FIELD_JSON, AT(limits) },
	{ "env", FIELD_MAP, AT(env) },
	{ "metadata", FIELD_MAP, AT(metadata) },
	{ "entrypoint", FIELD_JSON, AT(entrypoint) },
	{ "networkPolicy", FIELD_JSON, AT(policy) },
	{ "credentialProxy", FIELD_JSON, AT(credentials) },
	{ "secureAccess", FIELD_BOOL, AT(is_secure) },
	{ "volumes", FIELD_JSON, AT(volumes) },
	{ "extensions", FIELD_JSON, AT(extensions) },
	{ 0 },
};

/* ---- the image ---- */

/*
 * OpenSandbox's own, whatever the registry and the tag, stands for what a wish without an image
 * gets: it is there for its interpreters, which kernels of ours are.
 */
static bool is_standard(struct str uri)
{
	struct str rest = uri, part, last = STR_NONE, before = STR_NONE;
	while (rest.len && str_split(&rest, '/', &part)) {
		before = last;
		last = part;
	}
	ptrdiff_t colon = str_find_char(last, ':');
	if (colon >= 0)
		last = str_first(last, (size_t)colon);
	return str_is(last, "code-interpreter") && str_is(before, "opensandbox");
}

struct image_asked {
	struct str uri;
	const struct json *auth;
};

static const struct field image_fields[] = {
	{ "uri", FIELD_STRING, FIELD_AT(struct image_asked, uri) },
	{ "auth", FIELD_JSON, FIELD_AT(struct image_asked, auth) },
	{ 0 },
};

static int take_image(struct osb *o, struct osb_wish *wish, const struct asked *a,
	struct error *err)
{
	struct images *images = runtime_images(o->rt);
	void *params;
	if (fields_decode(image_fields, sizeof(struct image_asked), "image", a->image, wish->arena,
		    &params, err) < 0)
		return -1;
	const struct image_asked *asked = params;
	struct str uri = asked->uri;
	if (!uri.len == !a->snapshot.len)
		return error_set(err, ERROR_INVALID,
			"exactly one of image and snapshotId must be given");
	if (json_kind(asked->auth) != JSON_KIND_NULL)
		return error_set(err, ERROR_UNSUPPORTED,
			"image.auth is not offered: images are the server's (cay image)");
	wish->image = uri;
	wish->snapshot = a->snapshot;
	if (a->snapshot.len) {
		const struct image *image = images_find(images, a->snapshot, err);
		if (!image || !image->snapshot_of)
			return error_set(err, ERROR_NOT_FOUND, "Snapshot %.*s not found",
				STR_ARG(str_first(a->snapshot, 100)));
		wish->create->image = a->snapshot;
		wish->create->said |= CREATE_SAID_IMAGE;
		return 0;
	}
	bool is_known = runtime_has_other_images(o->rt) || images_find(images, uri, err);
	if (!is_known && is_standard(uri)) {
		wish->is_stand_in = true;
		return 0;
	}
	if (!is_known)
		return error_set(err, ERROR_NOT_FOUND,
			"image %.*s not found: import it (cay image import), or let another stand in "
			"for it (cay image tag host %.*s)",
			STR_ARG(str_first(uri, 80)), STR_ARG(str_first(uri, 80)));
	wish->create->image = uri;
	wish->create->said |= CREATE_SAID_IMAGE;
	return 0;
}

static int check_platform(const struct json *platform, struct error *err)
{
	struct str os = json_str(json_find(platform, "os")),
		   arch = json_str(json_find(platform, "arch"));
	if (json_kind(platform) == JSON_KIND_NULL ||
		(str_is(os, "linux") && str_is(arch, images_architecture())))
		return 0;
	return error_set(err, ERROR_UNSUPPORTED,
		"platform %.*s/%.*s is not offered: this is linux/%s", STR_ARG(str_first(os, 20)),
		STR_ARG(str_first(arch, 20)), images_architecture());
}

static int check_entrypoint(const struct json *entrypoint, struct error *err)
{
	if (json_kind(entrypoint) == JSON_KIND_NULL)
		return 0;
	size_t n = json_kind(entrypoint) == JSON_KIND_ARRAY ? json_len(entrypoint) : 0;
	for (size_t i = 0; i < n; i++)
		if (!json_str(json_at(entrypoint, i)).ptr ||
			str_has_nul(json_str(json_at(entrypoint, i))))
			n = 0;
	if (!n || n > ENTRYPOINT_MAX)
		return error_set(err, ERROR_INVALID, "entrypoint must be a list of 1 to %d strings",
			ENTRYPOINT_MAX);
	return 0;
}

/* ---- limits ---- */

static int take_limit(struct str name, struct str text, struct spec_limits *limits,
	struct error *err)
{
	bool is_cpu = str_is(name, "cpu");
	int64_t *to = is_cpu                        ? &limits->cpu_milli
		: str_is(name, "memory")            ? &limits->memory_bytes
		: str_is(name, "ephemeral-storage") ? &limits->disk_bytes
						    : NULL;
	if (!to)
		return error_set(err, ERROR_UNSUPPORTED,
			"resourceLimits.%.*s is not offered: cpu, memory, ephemeral-storage, gpu",
			STR_ARG(str_first(name, 60)));
	if (num_parse_quantity(text, is_cpu ? 1000 : 1, to, err) < 0 ||
		(*to <= 0 && error_set(err, ERROR_INVALID, "it must be more than nothing") < 0))
		return error_wrap(err, "resourceLimits.%.*s", STR_ARG(name));
	return 0;
}

/*
 * SDKs say these where their caller said nothing, so that is no reason to refuse a sandbox where
 * the host has no such limits.
 */
static void forgive_standards(const struct osb *o, const struct json *asked,
	struct spec_limits *limits)
{
	uint64_t controls = runtime_host(o->rt)->controls;
	if (json_len(asked) != 2 || !str_is(json_str(json_find(asked, "cpu")), "1") ||
		!str_is(json_str(json_find(asked, "memory")), "2Gi"))
		return;
	if (!(controls & UINT64_C(1) << CONTROL_CPU))
		limits->cpu_milli = 0;
	if (!(controls & UINT64_C(1) << CONTROL_MEMORY))
		limits->memory_bytes = 0;
}

static int take_limits(struct osb *o, struct osb_wish *wish, const struct json *limits,
	struct error *err)
{
	const struct json *value;
	struct str name;
	void *it = NULL;
	if (json_kind(limits) != JSON_KIND_OBJECT && json_kind(limits) != JSON_KIND_NULL)
		return error_set(err, ERROR_INVALID, "resourceLimits must be an object");
	while ((value = json_next(limits, &it, &name))) {
		struct str text = json_str(value);
		if (str_is(name, "gpu") && text.len && !str_is(text, "0"))
			wish->create->gpus = text;
		else if (!str_is(name, "gpu") &&
			take_limit(name, text, &wish->create->spec.limits, err) < 0)
			return -1;
	}
	forgive_standards(o, limits, &wish->create->spec.limits);
	return 0;
}

/* ---- volumes ---- */

static bool has_dots(struct str path)
{
	struct str part;
	while (path.len && str_split(&path, '/', &part))
		if (str_is(part, ".."))
			return true;
	return false;
}

struct volume_asked {
	struct str name, target, below;
	const struct json *host, *pvc, *ossfs;
	bool is_read_only;
};

static const struct field volume_fields[] = {
	{ "name", FIELD_STRING, FIELD_AT(struct volume_asked, name) },
	{ "mountPath", FIELD_STRING, FIELD_AT(struct volume_asked, target), FIELD_REQUIRED },
	{ "subPath", FIELD_STRING, FIELD_AT(struct volume_asked, below) },
	{ "readOnly", FIELD_BOOL, FIELD_AT(struct volume_asked, is_read_only) },
	{ "host", FIELD_JSON, FIELD_AT(struct volume_asked, host) },
	{ "pvc", FIELD_JSON, FIELD_AT(struct volume_asked, pvc) },
	{ "ossfs", FIELD_JSON, FIELD_AT(struct volume_asked, ossfs) },
	{ 0 },
};

static const struct field host_fields[] = {
	{ "path", FIELD_STRING, 0, FIELD_REQUIRED },
	{ 0 },
};

/* Of the kinds there are, we have one. */
static int find_host(const struct volume_asked *asked, struct arena *arena, struct str *ret,
	struct error *err)
{
	void *path;
	if (!asked->host || asked->pvc || asked->ossfs)
		return error_set(err, ERROR_UNSUPPORTED,
			"no other kind of volume is offered than host");
	if (fields_decode(host_fields, sizeof(*ret), "host", asked->host, arena, &path, err) < 0)
		return -1;
	*ret = *(const struct str *)path;
	return ret->len ? 0 : error_set(err, ERROR_INVALID, "its host.path is empty");
}

/* What may be lent of the host is the supervisor's to say (docs/decisions/0043). */
static int take_volume(struct osb_wish *wish, const struct json *volume, struct error *err)
{
	struct spec *spec = &wish->create->spec;
	void *params;
	struct str host;
	if (fields_decode(volume_fields, sizeof(struct volume_asked), "it", volume, wish->arena,
		    &params, err) < 0)
		return -1;
	const struct volume_asked *asked = params;
	struct str target = asked->target, below = asked->below;
	if (find_host(asked, wish->arena, &host, err) < 0)
		return -1;
	if (spec->n_mounts == SPEC_MOUNTS_MAX)
		return error_set(err, ERROR_LIMIT, "over %d volumes", SPEC_MOUNTS_MAX);
	struct spec_mount *m = &spec->mounts[spec->n_mounts];
	if (host.len + below.len + 2 > sizeof(m->source) || target.len >= sizeof(m->target) ||
		str_has_nul(host) || str_has_nul(target) || str_has_nul(below) || has_dots(below) ||
		str_starts(below, STR("/")))
		return error_set(err, ERROR_INVALID,
			"a path of it is too long, or leads elsewhere");
	snprintf(m->source, sizeof(m->source), "%.*s%s%.*s", STR_ARG(host), below.len ? "/" : "",
		STR_ARG(below));
	snprintf(m->target, sizeof(m->target), "%.*s", STR_ARG(target));
	m->mode = asked->is_read_only ? MOUNT_READ_ONLY : MOUNT_WRITABLE;
	spec->n_mounts++;
	wish->create->said |= CREATE_SAID_MOUNTS;
	return 0;
}

static int take_volumes(struct osb_wish *wish, const struct json *volumes, struct error *err)
{
	if (json_kind(volumes) != JSON_KIND_ARRAY && json_kind(volumes) != JSON_KIND_NULL)
		return error_set(err, ERROR_INVALID, "volumes must be a list");
	for (size_t i = 0; i < json_len(volumes); i++) {
		const struct json *volume = json_at(volumes, i);
		struct str name = json_str(json_find(volume, "name"));
		if (take_volume(wish, volume, err) < 0)
			return error_wrap(err, "volume '%.*s'", STR_ARG(str_first(name, 63)));
	}
	return 0;
}

/* ---- the rest ---- */

static int take_timeout(struct osb_wish *wish, const struct json *timeout, struct error *err)
{
	int64_t s = json_int(timeout);
	if (json_kind(timeout) == JSON_KIND_NULL)
		return 0;
	if (json_kind(timeout) != JSON_KIND_INT || s < TIMEOUT_MIN_S || s > TIMEOUT_MAX_S)
		return error_set(err, ERROR_INVALID, "timeout must be %d to %d seconds, or null",
			TIMEOUT_MIN_S, TIMEOUT_MAX_S);
	wish->create->timeout_ms = s * 1000;
	return 0;
}

static bool is_label_byte(char c, bool is_at_an_end)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
		(!is_at_an_end && (c == '-' || c == '_' || c == '.'));
}

static bool is_label(struct str s)
{
	for (size_t i = 0; i < s.len; i++)
		if (!is_label_byte(s.ptr[i], i == 0 || i == s.len - 1))
			return false;
	return s.len <= METADATA_VALUE_MAX;
}

/* As labels of Kubernetes, which OpenSandbox makes of them. */
int osb_check_metadata(struct str key, struct str value, struct error *err)
{
	ptrdiff_t slash = str_find_char(key, '/');
	struct str name = slash >= 0 ? str_skip(key, (size_t)slash + 1) : key;
	if (str_starts(key, STR("opensandbox.io/")))
		return error_set(err, ERROR_INVALID, "metadata key '%.*s' has a reserved prefix",
			STR_ARG(str_first(key, 100)));
	if (key.len > 317 || !name.len || !is_label(name) || slash == 0)
		return error_set(err, ERROR_INVALID, "metadata key '%.*s' is invalid",
			STR_ARG(str_first(key, 100)));
	if (!is_label(value))
		return error_set(err, ERROR_INVALID,
			"metadata value '%.*s' is invalid: at most %d letters, digits, '-', '_', '.'",
			STR_ARG(str_first(value, 100)), METADATA_VALUE_MAX);
	return 0;
}

static int take_metadata(struct osb_wish *wish, const struct asked *a, struct error *err)
{
	for (size_t i = 0; i < a->metadata.n; i++)
		if (osb_check_metadata(a->metadata.keys[i], a->metadata.values[i], err) < 0)
			return -1;
	wish->create->labels = a->metadata;
	return 0;
}

int osb_wish_read(struct osb *o, struct osb_wish *wish, struct error *err)
{
	struct create *create = wish->create;
	void *params;
	if (fields_decode(asked_fields, sizeof(struct asked), "the request", wish->body,
		    wish->arena, &params, err) < 0)
		return -1;
	const struct asked *a = params;
	const struct json *enabled = json_find(a->credentials, "enabled");
	if (json_bool(enabled) ||
		(json_kind(enabled) != JSON_KIND_BOOL && json_kind(enabled) != JSON_KIND_NULL))
		return error_set(err, ERROR_UNSUPPORTED,
			"credentialProxy is not offered: see secrets with hosts in cay's own API");
	if (json_str(json_find(a->extensions, "poolRef")).len)
		return error_set(err, ERROR_UNSUPPORTED, "extensions.poolRef is not offered");
	if (take_image(o, wish, a, err) < 0 || check_platform(a->platform, err) < 0 ||
		check_entrypoint(a->entrypoint, err) < 0 ||
		take_timeout(wish, a->timeout, err) < 0 ||
		take_limits(o, wish, a->limits, err) < 0 ||
		take_volumes(wish, a->volumes, err) < 0 || take_metadata(wish, a, err) < 0 ||
		osb_policy_read(a->policy, wish->arena, create, err) < 0)
		return -1;
	create->env = a->env;
	if (runtime_host(o->rt)->controls)
		create->spec.user = USER_ROOT;
	create->said |= CREATE_SAID_USER;
	return 0;
}

void osb_wish_put_note(const struct osb_wish *wish, struct buf *note)
{
	struct jsonw w = JSONW(note);
	const struct json *metadata = json_find(wish->body, "metadata"),
			  *entrypoint = json_find(wish->body, "entrypoint"),
			  *policy = json_find(wish->body, "networkPolicy");
	int64_t timeout_ms = wish->create->timeout_ms;
	jsonw_open(&w);
	jsonw_key_str(&w, "face", STR("opensandbox"));
	if (wish->snapshot.len)
		jsonw_key_str(&w, "snapshot", wish->snapshot);
	else
		jsonw_key_str(&w, "image", wish->image);
	if (json_kind(entrypoint) == JSON_KIND_ARRAY) {
		osb_key_json(&w, "entrypoint", entrypoint);
	} else {
		jsonw_key(&w, "entrypoint");
		jsonw_raw(&w, STR("[\"tail\",\"-f\",\"/dev/null\"]"));
	}
	if (json_kind(metadata) == JSON_KIND_OBJECT) {
		osb_key_json(&w, "metadata", metadata);
	} else {
		jsonw_key(&w, "metadata");
		jsonw_raw(&w, STR("{}"));
	}
	osb_key_json(&w, "policy", policy);
	jsonw_key_int(&w, "end_ms", timeout_ms ? clock_wall_ms() + timeout_ms : 0);
	jsonw_close(&w);
}
