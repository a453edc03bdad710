/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A spec may have come in a message from a process that nobody trusts, so every string is first
 * checked to end within its array, and every number to be one that means something.
 */
#include "sandbox/spec.h"

#include "base/auto.h"
#include "base/file.h"
#include "base/num.h"
#include "base/str.h"

#include <ctype.h>

enum {
	MEMORY_MIN = 4 << 20, /* less does not hold a shell */
	PIDS_MIN = 4,
	DISK_MIN = 1 << 20,
	CPU_MILLI_MIN = 10, /* the kernel's smallest quota */
	INODES_MIN = 256,
};

static const struct control_row {
	const char *word;
	const char *text;
} controls[CONTROL_MAX] = {
#define CONTROL(name, word, text) { word, text },
#include "sandbox/control.def"
#undef CONTROL
};

const char *control_name(enum control c)
{
	return c < CONTROL_MAX ? controls[c].word : "unknown";
}

const char *control_text(enum control c)
{
	return c < CONTROL_MAX ? controls[c].text : "unknown";
}

int control_parse(const char *name, enum control *ret, struct error *err)
{
	for (unsigned i = 0; i < CONTROL_MAX; i++)
		if (!strcmp(controls[i].word, name)) {
			*ret = (enum control)i;
			return 0;
		}
	return error_set(err, ERROR_INVALID, "there is no control '%.60s'", name);
}

static int check_text(const char *text, size_t size, const char *what, struct error *err)
{
	size_t len = strnlen(text, size);
	if (len == size)
		return error_set(err, ERROR_INVALID, "%s is over %zu bytes", what, size - 1);
	for (size_t i = 0; i < len; i++)
		if (iscntrl((unsigned char)text[i]))
			return error_set(err, ERROR_INVALID, "%s has a control character", what);
	return 0;
}

/*
 * Absolute, no empty, "." or ".." component, no slash at the end; "/" itself is no place to put
 * things.
 */
static int check_path(const char *path, const char *what, struct error *err)
{
	if (check_text(path, SPEC_PATH_SIZE, what, err) < 0)
		return -1;
	if (path[0] != '/')
		return error_set(err, ERROR_INVALID, "%s '%s' is not absolute", what, path);
	if (!path[1])
		return error_set(err, ERROR_INVALID, "%s is /", what);
	struct str rest = str_from(path + 1), part;
	while (str_split(&rest, '/', &part))
		if (part.len == 0 || str_is(part, ".") || str_is(part, ".."))
			return error_set(err, ERROR_INVALID,
				"%s '%s' has an empty, '.' or '..' component", what, path);
	return 0;
}

static int check_target(const char *path, const char *what, struct error *err)
{
	static const char *const ours[] = { "/proc", "/dev", "/sys" };
	if (check_path(path, what, err) < 0)
		return -1;
	for (size_t i = 0; i < ARRAY_LEN(ours); i++)
		if (file_beneath(path, ours[i]))
			return error_set(err, ERROR_INVALID, "%s '%s' is in %s, which is cay's own",
				what, path, ours[i]);
	return 0;
}

static int check_mount(const struct spec *spec, uint32_t i, struct error *err)
{
	const struct spec_mount *m = &spec->mounts[i];
	if (check_path(m->source, "source", err) < 0 || check_target(m->target, "target", err) < 0)
		return error_wrap(err, "mount %u", i + 1);
	if (m->mode > MOUNT_LAYER)
		return error_set(err, ERROR_INVALID, "mount %u: unknown mode %u", i + 1, m->mode);
	for (uint32_t k = 0; k < i; k++)
		if (!strcmp(spec->mounts[k].target, m->target))
			return error_set(err, ERROR_INVALID, "mount %u: '%s' is mounted twice",
				i + 1, m->target);
	return 0;
}

static int check_mounts(const struct spec *spec, struct error *err)
{
	if (spec->n_mounts > SPEC_MOUNTS_MAX)
		return error_set(err, ERROR_INVALID, "more than %d mounts", SPEC_MOUNTS_MAX);
	for (uint32_t i = 0; i < spec->n_mounts; i++)
		if (check_mount(spec, i, err) < 0)
			return -1;
	return 0;
}

static int check_hostname(const struct spec *spec, struct error *err)
{
	const char *name = spec->hostname;
	if (check_text(name, SPEC_NAME_SIZE, "hostname", err) < 0)
		return -1;
	for (const char *p = name; *p; p++)
		if (!isalnum((unsigned char)*p) && *p != '-' && *p != '.')
			return error_set(err, ERROR_INVALID,
				"hostname '%s' has other characters than a-z, 0-9, '-' and '.'",
				name);
	if (name[0] == '-' || name[0] == '.')
		return error_set(err, ERROR_INVALID, "hostname '%s' begins with '%c'", name,
			name[0]);
	return 0;
}

static int check_limits(const struct spec_limits *l, struct error *err)
{
	const struct {
		const char *name;
		int64_t value, min;
	} rows[] = {
		{ "memory", l->memory_bytes, MEMORY_MIN },
		{ "pids", l->pids, PIDS_MIN },
		{ "cpu", l->cpu_milli, CPU_MILLI_MIN },
		{ "disk", l->disk_bytes, DISK_MIN },
		{ "inodes", l->disk_inodes, INODES_MIN },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (rows[i].value != 0 && rows[i].value != SPEC_UNLIMITED &&
			rows[i].value < rows[i].min)
			return error_set(err, ERROR_INVALID, "the %s limit is below %lld",
				rows[i].name, (long long)rows[i].min);
	return 0;
}

/* A name becomes one of a set of rules. */
static int check_net(const struct spec *spec, struct error *err)
{
	const struct spec_net *net = &spec->net;
	bool is_routed = spec->network == NETWORK_BRIDGE || spec->network == NETWORK_PASTA;
	if (net->n_allow > SPEC_ALLOW_MAX)
		return error_set(err, ERROR_LIMIT, "%u addresses are allowed; the limit is %d",
			net->n_allow, SPEC_ALLOW_MAX);
	if (net->n_allow && !is_routed)
		return error_set(err, ERROR_INVALID,
			"addresses are for the networks bridge and pasta");
	for (uint32_t i = 0; i < net->n_allow; i++)
		if (net->allow[i].bits > 32)
			return error_set(err, ERROR_INVALID, "a range of %u bits",
				net->allow[i].bits);
	if (net->name[0] && spec->network != NETWORK_BRIDGE)
		return error_set(err, ERROR_INVALID, "a named network is for the network bridge");
	for (const char *c = net->name; *c; c++)
		if (!(*c >= 'a' && *c <= 'z') && !(*c >= '0' && *c <= '9'))
			return error_set(err, ERROR_INVALID,
				"the name of a network has letters a to z and digits, not '%s'",
				net->name);
	return 0;
}

static int check_words(const struct spec *spec, struct error *err)
{
	if (spec->network > NETWORK_PASTA)
		return error_set(err, ERROR_INVALID, "unknown network mode %u", spec->network);
	if (check_net(spec, err) < 0)
		return -1;
	if (spec->user > USER_ROOT)
		return error_set(err, ERROR_INVALID, "unknown user mode %u", spec->user);
	/* Beyond the range there are other sandboxes' ids. */
	if (spec->owner_uid >= SPEC_UIDS)
		return error_set(err, ERROR_INVALID, "owner %u: a sandbox has %d ids",
			spec->owner_uid, SPEC_UIDS);
	if (spec->required >> CONTROL_MAX)
		return error_set(err, ERROR_INVALID, "an unknown control is required");
	return 0;
}

bool spec_layer_parse(const char *name, uint32_t *ret_uid)
{
	enum { DIGEST = 64 };
	int64_t uid = 0;
	if (strspn(name, "0123456789abcdef") != DIGEST || strlen(name) >= SPEC_LAYER_SIZE)
		return false;
	if (name[DIGEST] &&
		(name[DIGEST] != '-' || name[DIGEST + 1] == '0' ||
			num_parse_i64(str_from(name + DIGEST + 1), 1, SPEC_UIDS - 1, &uid, NULL) <
				0))
		return false;
	*ret_uid = (uint32_t)uid;
	return true;
}

static int check_layers(const struct spec *spec, struct error *err)
{
	if (spec->n_layers > SPEC_LAYERS_MAX)
		return error_set(err, ERROR_INVALID, "an image of %u layers; the limit is %d",
			spec->n_layers, SPEC_LAYERS_MAX);
	if (spec->keeps_layer > LAYER_OF_SNAPSHOT)
		return error_set(err, ERROR_INVALID, "unknown use of a layer %u",
			spec->keeps_layer);
	if (spec->n_layers == 0)
		return spec->image == IMAGE_LAYERS
			? error_set(err, ERROR_INVALID, "an image of layers without a layer")
			: 0;
	uint32_t uid;
	for (uint32_t i = 0; i < spec->n_layers; i++)
		if (!memchr(spec->layers[i], '\0', SPEC_LAYER_SIZE) ||
			!spec_layer_parse(spec->layers[i], &uid))
			return error_set(err, ERROR_INVALID, "layer %u has no digest as its name",
				i + 1);
	return check_path(spec->layers_path, "layers", err);
}

static int check_image(const struct spec *spec, struct error *err)
{
	if (check_layers(spec, err) < 0)
		return -1;
	switch (spec->image) {
	case IMAGE_HOST:
	case IMAGE_LAYERS:
		return 0;
	case IMAGE_DIR:
		return check_path(spec->image_path, "image", err);
	default:
		return error_set(err, ERROR_INVALID, "unknown kind of image %u", spec->image);
	}
}

int spec_check(const struct spec *spec, struct error *err)
{
	if (check_text(spec->id, ID_SIZE, "id", err) < 0)
		return -1;
	if (spec->id[0] && !id_is_valid(str_from(spec->id)))
		return error_set(err, ERROR_INVALID, "'%s' is no id", spec->id);
	if (check_hostname(spec, err) < 0 || check_image(spec, err) < 0 ||
		check_mounts(spec, err) < 0)
		return -1;
	if (spec->workdir[0] && check_target(spec->workdir, "workdir", err) < 0)
		return -1;
	return check_words(spec, err) < 0 || check_limits(&spec->limits, err) < 0 ? -1 : 0;
}
