/* SPDX-License-Identifier: Apache-2.0 */
#include "guard/settings.h"

#include "action/action.h"
#include "guard/rules.h"

enum { CONFIRM_MAX_MS = 86400000 };

static const char *const mode_words[] = { "off", "rules", "llm", NULL };

struct body {
	struct str mode;
	int64_t threshold, confirm_timeout_ms;
	bool confirm;
	struct field_strings ignore;
};

#define AT(member) FIELD_AT(struct body, member)
/* clang-format off */
static const struct field fields[] = {
	{ "mode", FIELD_STRING, AT(mode), .words = mode_words, .help = "who judges" },
	{ "threshold", FIELD_INT, AT(threshold), .min = 0, .max = 3, .help = "the highest score that is let through" },
	{ "confirm", FIELD_BOOL, AT(confirm), .help = "wait for an approver instead of blocking" },
	{ "confirm_timeout_ms", FIELD_INT, AT(confirm_timeout_ms), .min = 1, .max = CONFIRM_MAX_MS,
		.help = "then it counts as rejected" },
	{ "ignore", FIELD_STRINGS, AT(ignore), .help = "rules that do not count" },
	{ 0 },
};
/* clang-format on */
#undef AT

static enum guard_mode mode_of(struct str word)
{
	int i = 0;
	while (!str_is(word, mode_words[i]))
		i++;
	return (enum guard_mode)i;
}

static bool is_said(const struct json *json, const char *name)
{
	return json_kind(json_find(json, name)) != JSON_KIND_NULL;
}

/* A wish for settings is a wish to be guarded, unless it says otherwise. */
static enum guard_mode mode_said(const struct json *json, const struct body *body,
	const struct guard_settings *base)
{
	if (is_said(json, "mode"))
		return mode_of(body->mode);
	return base->mode == GUARD_OFF && json_len(json) ? GUARD_RULES : base->mode;
}

int settings_from_json(const struct json *json, const struct guard_settings *base,
	struct guard_settings *ret, struct error *err)
{
	auto_arena struct arena arena = ARENA_INIT(1024 * 1024);
	struct guard_settings s = *base;
	void *params;
	if (fields_decode(fields, sizeof(struct body), "guard", json, &arena, &params, err) < 0)
		return -1;
	const struct body *body = params;
	s.mode = mode_said(json, body, base);
	if (is_said(json, "threshold"))
		s.threshold = body->threshold;
	if (is_said(json, "confirm"))
		s.confirm = body->confirm;
	if (is_said(json, "confirm_timeout_ms"))
		s.confirm_timeout_ms = body->confirm_timeout_ms;
	for (size_t i = 0; i < body->ignore.n; i++) {
		enum rule rule;
		if (rule_parse(body->ignore.items[i], &rule, err) < 0)
			return error_wrap(err, "guard: ignore");
		s.ignored |= 1ull << rule;
	}
	*ret = s;
	return 0;
}

void settings_write(const struct guard_settings *s, struct buf *b)
{
	struct jsonw w = JSONW(b);
	jsonw_open(&w);
	jsonw_key_str(&w, "mode", str_from(mode_words[s->mode]));
	jsonw_key_int(&w, "threshold", s->threshold);
	jsonw_key_bool(&w, "confirm", s->confirm);
	jsonw_key_int(&w, "confirm_timeout_ms", s->confirm_timeout_ms);
	jsonw_key(&w, "ignore");
	jsonw_open_array(&w);
	for (int i = 0; i < RULE_MAX; i++)
		if (s->ignored & 1ull << i)
			jsonw_str(&w, str_from(rule_word((enum rule)i)));
	jsonw_close_array(&w);
	jsonw_close(&w);
}

int settings_check(const struct guard_settings *demanded, const struct guard_settings *wished,
	struct error *err)
{
	if (wished->mode < demanded->mode)
		return error_set(err, ERROR_FORBIDDEN, "mode %s is less than the server's, %s",
			mode_words[wished->mode], mode_words[demanded->mode]);
	if (demanded->mode == GUARD_OFF)
		return 0;
	if (wished->threshold > demanded->threshold)
		return error_set(err, ERROR_FORBIDDEN, "threshold %d is above the server's, %d",
			(int)wished->threshold, (int)demanded->threshold);
	if (wished->ignored & ~demanded->ignored)
		return error_set(err, ERROR_FORBIDDEN,
			"a rule is ignored that the server's guard does not ignore");
	return 0;
}
