/* SPDX-License-Identifier: Apache-2.0 */
/*
 * networkPolicy. OpenSandbox's sidecar goes through rules in their order, allow and deny; a network
 * of cay's is closed but for what is allowed. So what "deny" by default leaves open becomes that
 * list, and a rule that takes something from what another allows is refused, as is "allow" by
 * default with exceptions: cay would give more than was asked for. No policy, or "allow" without
 * exceptions, is the server's standard.
 *
 * A sandbox's policy is told as it was asked for, and rules can be added to it and taken from it if
 * it denies by default.
 */
#include "face/opensandbox/handlers.h"

#include "base/auto.h"
#include "wire/allow.h"

static bool is_deny(struct str action)
{
	return str_is(action, "deny");
}

/* Whether `target` is allowed by one of the rules. */
static bool is_allowed(const struct json *rules, struct str target)
{
	struct allow_rule rule;
	auto_free char *name = str_dup(target);
	for (size_t i = 0; i < json_len(rules); i++) {
		const struct json *r = json_at(rules, i);
		struct str allowed = json_str(json_find(r, "target"));
		if (is_deny(json_str(json_find(r, "action"))) ||
			allow_rule_parse(allowed, &rule, NULL) < 0)
			continue;
		if (str_eq(allowed, target) || allow_rule_has_name(&rule, name) ||
			str_starts(target, STR("*.")))
			return true;
	}
	return false;
}

struct rule_asked {
	struct str action, target;
};

static const struct field rule_fields[] = {
	{ "action", FIELD_STRING, FIELD_AT(struct rule_asked, action), FIELD_REQUIRED },
	{ "target", FIELD_STRING, FIELD_AT(struct rule_asked, target), FIELD_REQUIRED },
	{ 0 },
};

struct policy_asked {
	struct str standard;
	const struct json *rules;
};

static const struct field policy_fields[] = {
	{ "defaultAction", FIELD_STRING, FIELD_AT(struct policy_asked, standard) },
	{ "egress", FIELD_JSON, FIELD_AT(struct policy_asked, rules) },
	{ 0 },
};

static int take_rule(const struct json *rules, const struct json *rule, struct arena *arena,
	struct field_strings *allow, struct error *err)
{
	struct allow_rule parsed;
	void *params;
	if (fields_decode(rule_fields, sizeof(struct rule_asked), "it", rule, arena, &params, err) <
		0)
		return -1;
	const struct rule_asked *asked = params;
	struct str action = asked->action, target = asked->target;
	if (!is_deny(action) && !str_is(action, "allow"))
		return error_set(err, ERROR_INVALID, "its action must be allow or deny");
	if (!target.len || allow_rule_parse(target, &parsed, err) < 0)
		return error_set(err, ERROR_INVALID, "its target '%.*s' is no name",
			STR_ARG(str_first(target, 100)));
	if (is_deny(action) && is_allowed(rules, target))
		return error_set(err, ERROR_UNSUPPORTED,
			"'%.*s' cannot be denied beside what is allowed: list the names that are",
			STR_ARG(str_first(target, 100)));
	if (!is_deny(action))
		allow->items[allow->n++] = target;
	return 0;
}

static int check_shape(const struct json *policy, struct arena *arena, struct error *err)
{
	void *params;
	if (fields_decode(policy_fields, sizeof(struct policy_asked), "networkPolicy", policy,
		    arena, &params, err) < 0)
		return -1;
	const struct policy_asked *asked = params;
	struct str standard = asked->standard;
	enum json_kind rules = json_kind(asked->rules);
	if ((standard.len && !is_deny(standard) && !str_is(standard, "allow")) ||
		(rules != JSON_KIND_ARRAY && rules != JSON_KIND_NULL))
		return error_set(err, ERROR_INVALID,
			"networkPolicy must be {defaultAction: allow|deny, egress: [rules]}");
	if (json_len(json_find(policy, "egress")) > ALLOW_RULES_MAX)
		return error_set(err, ERROR_LIMIT, "networkPolicy: over %d rules", ALLOW_RULES_MAX);
	return 0;
}

static int check_open(const struct json *rules, struct error *err)
{
	for (size_t i = 0; i < json_len(rules); i++)
		if (!str_is(json_str(json_find(json_at(rules, i), "action")), "allow"))
			return error_set(err, ERROR_UNSUPPORTED,
				"networkPolicy: exceptions from \"allow\" are not offered: deny, and "
				"list what is allowed");
	return 0;
}

int osb_policy_read(const struct json *policy, struct arena *arena, struct create *create,
	struct error *err)
{
	const struct json *rules = json_find(policy, "egress");
	if (json_kind(policy) == JSON_KIND_NULL)
		return 0;
	if (check_shape(policy, arena, err) < 0)
		return -1;
	if (json_len(policy) == 0)
		return 0;
	if (str_is(json_str(json_find(policy, "defaultAction")), "allow"))
		return check_open(rules, err);
	struct field_strings allow = { arena_new_n(arena, struct str, json_len(rules) + 1), 0 };
	for (size_t i = 0; i < json_len(rules); i++)
		if (take_rule(rules, json_at(rules, i), arena, &allow, err) < 0)
			return error_wrap(err, "networkPolicy: rule %zu", i + 1);
	create->allow = allow;
	create->spec.network = NETWORK_PROXY; /* also of nothing: more may be allowed later */
	create->said |= CREATE_SAID_NETWORK;
	return 0;
}

/* ---- the sidecar's API ---- */

static bool is_open(const struct json *policy)
{
	return json_len(policy) == 0 ||
		str_is(json_str(json_find(policy, "defaultAction")), "allow");
}

static void reply_policy(struct http_request *r, const struct json *policy)
{
	auto_buf struct buf body = BUF_INIT(OSB_BODY_MAX);
	struct jsonw w = JSONW(&body);
	bool is_all = is_open(policy);
	jsonw_open(&w);
	jsonw_key_str(&w, "status", STR("ok"));
	jsonw_key_str(&w, "mode", is_all ? STR("allow_all") : STR("deny_all"));
	jsonw_key_str(&w, "enforcementMode", STR("dns"));
	jsonw_key(&w, "policy");
	jsonw_open(&w);
	jsonw_key_str(&w, "defaultAction", is_all ? STR("allow") : STR("deny"));
	if (json_kind(json_find(policy, "egress")) == JSON_KIND_ARRAY)
		osb_key_json(&w, "egress", json_find(policy, "egress"));
	jsonw_close(&w);
	jsonw_close(&w);
	http_reply_json(r, 200, &body);
}

void osb_policy_get(struct http_request *r)
{
	const struct sandbox *s = osb_execd_sandbox(r);
	auto_json struct json *note = s ? osb_note(s) : NULL;
	if (s)
		reply_policy(r, json_find(note, "policy"));
}

static struct str target_of(const struct json *rule)
{
	return json_kind(rule) == JSON_KIND_STR ? json_str(rule)
						: json_str(json_find(rule, "target"));
}

/* Whether one of the first n of the list is about this target. */
static bool has_target(const struct json *list, size_t n, struct str target)
{
	for (size_t i = 0; i < n; i++)
		if (str_eq_nocase(target_of(json_at(list, i)), target))
			return true;
	return false;
}

static void put_rules(struct jsonw *w, const struct json *from, const struct json *without,
	size_t n_without)
{
	for (size_t i = 0; i < json_len(from); i++) {
		const struct json *rule = json_at(from, i);
		auto_buf struct buf text = BUF_INIT(64 * 1024);
		bool is_first = from != without;
		if (has_target(without, is_first ? n_without : i, target_of(rule)) ||
			json_write(rule, &text) < 0)
			continue;
		jsonw_raw(w, buf_str(&text));
	}
}

/* The rules of the body before what stays of those that there are; or only what stays. */
static void put_changed(struct buf *b, const struct json *policy, const struct json *body,
	bool adds)
{
	struct jsonw w = JSONW(b);
	jsonw_open(&w);
	jsonw_key_str(&w, "defaultAction", STR("deny"));
	jsonw_key(&w, "egress");
	jsonw_open_array(&w);
	if (adds)
		put_rules(&w, body, body, 0);
	put_rules(&w, json_find(policy, "egress"), body, json_len(body));
	jsonw_close_array(&w);
	jsonw_close(&w);
}

static void change(struct http_request *r, bool adds)
{
	struct sandbox *s = osb_execd_sandbox(r);
	auto_json struct json *body = s ? osb_body_of(r, JSON_KIND_ARRAY) : NULL;
	auto_json struct json *note = body ? osb_note(s) : NULL, *changed = NULL;
	auto_buf struct buf text = BUF_INIT(CREATE_NOTE_BYTES), kept = BUF_INIT(CREATE_NOTE_BYTES);
	struct create *create = arena_new(&r->arena, struct create);
	struct error err;
	if (!note)
		return;
	const struct json *policy = json_find(note, "policy");
	if (is_open(policy) || json_len(body) == 0 || json_len(body) > ALLOW_RULES_MAX) {
		osb_fail(r, is_open(policy) ? 409 : 400,
			is_open(policy) ? "CONFLICT" : "INVALID_REQUEST_BODY", "%s",
			is_open(policy) ? "the sandbox was made without a policy that denies"
					: "no rules, or too many");
		return;
	}
	put_changed(&text, policy, body, adds);
	if (json_parse(buf_str(&text), &changed, &err) < 0 ||
		osb_policy_read(changed, &r->arena, create, &err) < 0 ||
		osb_note_with(note, "policy", buf_str(&text), &kept, &err) < 0 ||
		runtime_set_allow(s, &create->allow, &err) < 0 ||
		runtime_set_note(s, buf_str(&kept), &err) < 0) {
		osb_execd_error(r, &err);
		return;
	}
	reply_policy(r, changed);
}

void osb_policy_patch(struct http_request *r)
{
	change(r, true);
}

void osb_policy_delete(struct http_request *r)
{
	change(r, false);
}
