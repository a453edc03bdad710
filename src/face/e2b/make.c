/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What POST /sandboxes asks for, as a wish for a sandbox and as its note. What a wish may say is
 * the table; what is not offered, and what nobody here knows of, is refused by name: a
 * restriction that was passed over would be a promise that is not kept.
 */
#include "face/e2b/state.h"

#include "base/auto.h"
#include "base/clock.h"
#include "runtime/images.h"

enum { RULES_MAX = 256 };

struct asked {
	struct str template_id;
	int64_t timeout;
	bool pauses, pauses_with_memory;
	const struct json *resumes;
	bool is_secure;
	const struct json *internet; /* nobody said so is not the same as false */
	const struct json *network;
	struct field_map metadata, env;
	const struct json *mcp; /* started by the SDK, as a command */
	const struct json *iam, *volumes;
};

#define AT(member) FIELD_AT(struct asked, member)

static const struct field asked_fields[] = {
	{ "templateID", FIELD_STRING, AT(template_id) },
	{ "timeout", FIELD_INT, AT(timeout), .min = 0, .max = E2B_TIMEOUT_MAX_S,
		.standard = "300" },
	{ "autoPause", FIELD_BOOL, AT(pauses) },
	{ "autoPauseMemory", FIELD_BOOL, AT(pauses_with_memory), .standard = "true" },
	{ "autoResume", FIELD_JSON, AT(resumes) },
	{ "secure", FIELD_BOOL, AT(is_secure) }, /* it always is */
	{ "allow_internet_access", FIELD_JSON, AT(internet) },
	{ "network", FIELD_JSON, AT(network) },
	{ "metadata", FIELD_MAP, AT(metadata) },
	{ "envVars", FIELD_MAP, AT(env) },
	{ "mcp", FIELD_JSON, AT(mcp) },
	{ "iam", FIELD_JSON, AT(iam) },
	{ "volumeMounts", FIELD_JSON, AT(volumes) },
	{ 0 },
};

struct asked_network {
	bool is_public;
	struct field_strings allow, deny;
	const struct json *proxy, *rules;
	struct str mask_host;
};

#define NETWORK_AT(member) FIELD_AT(struct asked_network, member)

static const struct field network_fields[] = {
	{ "allowPublicTraffic", FIELD_BOOL, NETWORK_AT(is_public) },
	{ "allowOut", FIELD_STRINGS, NETWORK_AT(allow) },
	{ "denyOut", FIELD_STRINGS, NETWORK_AT(deny) },
	{ "egressProxy", FIELD_JSON, NETWORK_AT(proxy) },
	{ "rules", FIELD_JSON, NETWORK_AT(rules) },
	{ "maskRequestHost", FIELD_STRING, NETWORK_AT(mask_host) },
	{ 0 },
};

/* Templates of E2B's own, which stand for what a wish without an image gets. */
static const char *const standard_templates[] = { "", "base", "code-interpreter-v1" };

static bool is_standard(struct str name)
{
	for (size_t i = 0; i < ARRAY_LEN(standard_templates); i++)
		if (str_is(name, standard_templates[i]))
			return true;
	return false;
}

/* One of the server's images by that name counts, also for a template of E2B's own. */
static int take_template(struct e2b *e, struct e2b_wish *wish, struct str name, struct error *err)
{
	bool is_known = !runtime_has_other_images(e->rt) && name.len &&
		images_find(runtime_images(e->rt), name, err);
	wish->box->template_id = str_dup(name.len ? name : STR("base"));
	if (!is_known && is_standard(name))
		return 0;
	if (!is_known && !runtime_has_other_images(e->rt))
		return error_set(err, ERROR_NOT_FOUND,
			"template '%.*s' not found: templates are the server's images (cay image)",
			STR_ARG(str_first(name, 80)));
	wish->create->image = name;
	wish->create->said |= CREATE_SAID_IMAGE;
	return 0;
}

static bool is_something(const struct json *value)
{
	return value && json_kind(value) != JSON_KIND_NULL && json_len(value) > 0;
}

static int refuse(const char *what, const char *why, struct error *err)
{
	return error_set(err, ERROR_UNSUPPORTED, "%s is not offered: %s", what, why);
}

/* ---- the network ---- */

static bool is_everything(struct str rule)
{
	return str_is(rule, "0.0.0.0/0") || str_is(rule, "::/0");
}

/*
 * Deny everything: no way out but to what is allowed. A list of what is allowed without that is the
 * same here, where nothing is allowed that nobody named.
 */
static int take_rules(struct e2b_wish *wish, const struct asked_network *n, bool is_offline,
	struct error *err)
{
	struct create *create = wish->create;
	bool denies = is_offline;
	for (size_t i = 0; i < n->deny.n; i++) {
		if (!is_everything(n->deny.items[i]))
			return refuse("network.denyOut", "of single addresses; use allowOut", err);
		denies = true;
	}
	if (n->allow.n > RULES_MAX)
		return error_set(err, ERROR_LIMIT, "network.allowOut: over %d rules", RULES_MAX);
	wish->box->is_offline = denies && !n->allow.n;
	if (!denies && !n->allow.n)
		return 0; /* the server's standard */
	create->allow = n->allow;
	create->spec.network = n->allow.n ? NETWORK_PROXY : NETWORK_LOOPBACK;
	create->said |= CREATE_SAID_NETWORK;
	return 0;
}

static int take_network(struct e2b_wish *wish, const struct asked *a, struct error *err)
{
	void *params;
	if (fields_decode(network_fields, sizeof(struct asked_network), "network", a->network,
		    wish->arena, &params, err) < 0)
		return -1;
	const struct asked_network *n = params;
	if (is_something(n->proxy))
		return refuse("network.egressProxy", "a proxy of the caller's is not used", err);
	if (is_something(n->rules))
		return refuse("network.rules", "see secrets with hosts in cay's own API", err);
	if (n->mask_host.len)
		return refuse("network.maskRequestHost", "the host's name is passed on as it is",
			err);
	wish->box->is_public = n->is_public;
	bool is_offline = json_kind(a->internet) == JSON_KIND_BOOL && !json_bool(a->internet);
	return take_rules(wish, n, is_offline, err);
}

/* ---- the rest ---- */

static int take_metadata(struct e2b_wish *wish, const struct json *body, struct error *err)
{
	auto_buf struct buf text = BUF_INIT(CREATE_NOTE_BYTES / 2);
	const struct json *metadata = json_find(body, "metadata");
	if (!json_len(metadata))
		return 0;
	if (json_write(metadata, &text) < 0)
		return error_set(err, ERROR_TOO_LARGE, "metadata: over %d bytes",
			CREATE_NOTE_BYTES / 2);
	return json_parse(buf_str(&text), &wish->box->metadata, err);
}

static int take_life(struct e2b_wish *wish, const struct asked *a, struct error *err)
{
	struct e2b_box *b = wish->box;
	if (a->pauses && !a->pauses_with_memory)
		return refuse("autoPauseMemory=false", "a paused sandbox keeps its memory", err);
	b->pauses = a->pauses;
	b->resumes = json_bool(json_find(a->resumes, "enabled"));
	wish->timeout_s = a->timeout;
	b->started_ms = clock_wall_ms();
	e2b_box_set_end(b, wish->timeout_s);
	return 0;
}

int e2b_wish_read(struct e2b *e, const struct json *body, struct e2b_wish *wish, struct error *err)
{
	struct create *create = wish->create;
	void *params;
	if (fields_decode(asked_fields, sizeof(struct asked), "the wish", body, wish->arena,
		    &params, err) < 0)
		return -1;
	const struct asked *a = params;
	if (is_something(a->iam))
		return refuse("iam", "sandboxes have no identity of their own", err);
	if (is_something(a->volumes))
		return refuse("volumeMounts", "there are no volumes", err);
	if (take_template(e, wish, a->template_id, err) < 0 || take_network(wish, a, err) < 0 ||
		take_life(wish, a, err) < 0 || take_metadata(wish, body, err) < 0)
		return -1;
	create->env = a->env;
	create->labels = a->metadata;
	create->said |= CREATE_SAID_WORKDIR | CREATE_SAID_USER;
	e2b_prepare_spec(e, &create->spec);
	return 0;
}

void e2b_wish_fini(struct e2b_wish *wish)
{
	json_free(wish->box->metadata);
	free(wish->box->template_id);
}
