/* SPDX-License-Identifier: Apache-2.0 */
#include "sandbox/request.h"

#include "base/auto.h"
#include "base/bug.h"

enum { USES_ID = 1, USES_FLAG = 2, USES_INDEX = 4, USES_SPEC = 8 };

/*
 * What of the message each operation looks at; an operation without a row is none of the server's.
 */
static const struct {
	uint32_t op;
	unsigned uses;
} operations[] = {
	{ MONITOR_HELLO, 0 },
	{ MONITOR_ADOPT, USES_INDEX },
	{ MONITOR_CREATE, USES_SPEC },
	{ MONITOR_DESTROY, USES_ID },
	{ MONITOR_USAGE, USES_ID },
	{ MONITOR_FREEZE, USES_ID | USES_FLAG },
	{ MONITOR_BOUNDARY, USES_ID },
	{ MONITOR_DECISIONS, USES_ID },
	{ MONITOR_HOST, 0 },
	{ MONITOR_READY, 0 },
};

static int uses_of(uint32_t op)
{
	for (size_t i = 0; i < ARRAY_LEN(operations); i++)
		if (operations[i].op == op)
			return (int)operations[i].uses;
	return -1;
}

int request_parse(struct str message, struct monitor_request *ret_request, struct error *err)
{
	if (message.len != sizeof(*ret_request))
		return error_set(err, ERROR_PROTOCOL, "a message of %zu bytes, not %zu",
			message.len, sizeof(*ret_request));
	memcpy(ret_request, message.ptr, sizeof(*ret_request));
	if (ret_request->version != MONITOR_VERSION)
		return error_set(err, ERROR_PROTOCOL, "a message of version %u, not %d",
			ret_request->version, MONITOR_VERSION);
	if (uses_of(ret_request->op) < 0)
		return error_set(err, ERROR_PROTOCOL, "no operation %u", ret_request->op);
	return 0;
}

static bool is_ended(const char *text, size_t size)
{
	return memchr(text, '\0', size) != NULL;
}

static int check_id(const char *id, struct error *err)
{
	if (!is_ended(id, ID_SIZE) || !id_is_valid(str_from(id)))
		return error_set(err, ERROR_INVALID, "that is no id");
	return 0;
}

/* Before any string of it is looked at as a string: each must have an end. */
static int check_spec(const struct spec *spec, struct error *err)
{
	bool is_sound = is_ended(spec->hostname, sizeof(spec->hostname)) &&
		is_ended(spec->image_path, sizeof(spec->image_path)) &&
		is_ended(spec->layers_path, sizeof(spec->layers_path)) &&
		is_ended(spec->workdir, sizeof(spec->workdir)) &&
		is_ended(spec->net.name, sizeof(spec->net.name)) &&
		spec->n_mounts <= SPEC_MOUNTS_MAX && spec->n_layers <= SPEC_LAYERS_MAX;
	for (uint32_t i = 0; is_sound && i < spec->n_layers; i++)
		is_sound = is_ended(spec->layers[i], sizeof(spec->layers[i]));
	for (uint32_t i = 0; is_sound && i < spec->n_mounts; i++)
		is_sound = is_ended(spec->mounts[i].source, sizeof(spec->mounts[i].source)) &&
			is_ended(spec->mounts[i].target, sizeof(spec->mounts[i].target));
	if (!is_sound)
		return error_set(err, ERROR_INVALID,
			"the spec holds a text without an end, or too many mounts");
	return spec_check(spec, err);
}

int request_check(const struct monitor_request *request, struct error *err)
{
	int uses = uses_of(request->op);
	BUG_IF(uses < 0, "a request was not parsed before it is checked");
	if ((uses & USES_ID) && check_id(request->id, err) < 0)
		return -1;
	if ((uses & USES_FLAG) && request->flag > 1)
		return error_set(err, ERROR_INVALID, "a flag is 0 or 1");
	if ((uses & USES_SPEC) &&
		(check_id(request->spec.id, err) < 0 || check_spec(&request->spec, err) < 0))
		return -1;
	return 0;
}
