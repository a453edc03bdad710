/* SPDX-License-Identifier: Apache-2.0 */
/*
 * networkPolicy. OpenSandbox's sidecar goes through rules in their order, allow and deny; a network
 * of cay's is closed but for what is allowed. So what "deny" by default leaves open becomes that
 * list, and a rule that takes something from what another allows is refused, as is "allow" by
 * default with exceptions: cay would give more than was asked for. No policy, or "allow" without
 * exceptions, is the server's standard.
 *
 * A sandbox's policy is told as it was asked for. It is not changed while the sandbox lives.
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

static int take_rule(const struct json *rules, const struct json *rule, struct field_strings *allow,
	struct error *err)
{
	struct str action = json_str(json_find(rule, "action")),
		   target = json_str(json_find(rule, "target"));
	struct allow_rule parsed;
	if (!is_deny(action) && !str_is(action, "allow"))
		return error_set(err, ERROR_INVALID, "its action must be allow or deny");
	if (!target.len || str_has_nul(target) || allow_rule_parse(target, &parsed, err) < 0)
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

static int check_shape(const struct json *policy, struct error *err)
{
	struct str standard = json_str(json_find(policy, "defaultAction"));
	enum json_kind rules = json_kind(json_find(policy, "egress"));
	if (json_kind(policy) != JSON_KIND_OBJECT ||
		(standard.len && !is_deny(standard) && !str_is(standard, "allow")) ||
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
	if (check_shape(policy, err) < 0)
		return -1;
	if (json_len(policy) == 0)
		return 0;
	if (str_is(json_str(json_find(policy, "defaultAction")), "allow"))
		return check_open(rules, err);
	struct field_strings allow = { arena_new_n(arena, struct str, json_len(rules) + 1), 0 };
	for (size_t i = 0; i < json_len(rules); i++)
		if (take_rule(rules, json_at(rules, i), &allow, err) < 0)
			return error_wrap(err, "networkPolicy: rule %zu", i + 1);
	create->allow = allow;
	create->spec.network = allow.n ? NETWORK_PROXY : NETWORK_LOOPBACK;
	create->said |= CREATE_SAID_NETWORK;
	return 0;
}

/* As the sidecar tells it. */
void osb_policy_get(struct http_request *r)
{
	const struct sandbox *s = osb_execd_sandbox(r);
	auto_json struct json *note = s ? osb_note(s) : NULL;
	const struct json *policy = json_find(note, "policy");
	auto_buf struct buf body = BUF_INIT(OSB_BODY_MAX);
	struct jsonw w = JSONW(&body);
	if (!s)
		return;
	struct str standard = json_str(json_find(policy, "defaultAction"));
	bool is_open = json_len(policy) == 0 || str_is(standard, "allow");
	jsonw_open(&w);
	jsonw_key_str(&w, "status", STR("ok"));
	jsonw_key_str(&w, "mode", is_open ? STR("allow_all") : STR("deny_all"));
	jsonw_key_str(&w, "enforcementMode", STR("dns"));
	jsonw_key(&w, "policy");
	jsonw_open(&w);
	jsonw_key_str(&w, "defaultAction", is_open ? STR("allow") : STR("deny"));
	if (json_kind(json_find(policy, "egress")) == JSON_KIND_ARRAY)
		osb_key_json(&w, "egress", json_find(policy, "egress"));
	jsonw_close(&w);
	jsonw_close(&w);
	http_reply_json(r, 200, &body);
}
