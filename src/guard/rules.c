/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. What an action does is in one or two of its parameters: a table says which, and of
 * what kind they are. A tool says by the names of its parameters what they are. Each kind has a judge; the
 * judges set bits, and the worst bit is the score.
 */
#include "guard/rules.h"

#include "base/auto.h"
#include "guard/judges.h"

static const struct {
	const char *word, *reason;
	int score;
} rows[RULE_MAX] = {
#define RULE(name, word, score, reason) [RULE_##name] = { word, reason, score },
#include "guard/rule.def"
#undef RULE
};

const char *rule_word(enum rule rule)
{
	return rows[rule].word;
}

int rule_score(enum rule rule)
{
	return rows[rule].score;
}

const char *rule_reason(enum rule rule)
{
	return rows[rule].reason;
}

int rule_parse(struct str word, enum rule *ret, struct error *err)
{
	for (int i = 0; i < RULE_MAX; i++)
		if (str_is(word, rows[i].word)) {
			*ret = (enum rule)i;
			return 0;
		}
	return error_set(err, ERROR_INVALID, "there is no rule '%.*s'",
		STR_ARG(str_first(word, 40)));
}

const char *risk_name(int score)
{
	static const char *const names[] = { "NONE", "LOW", "MEDIUM", "HIGH" };
	return names[MAX(0, MIN(score, 3))];
}

enum kind {
	KIND_SHELL,
	KIND_ARGV,
	KIND_CODE,
	KIND_READ,
	KIND_WRITE,
	KIND_REMOVE,
	KIND_URL,
	KIND_UNSEEN
};

/* clang-format off */
static const struct parameter {
	const char *action, *name;
	enum kind kind;
} parameters[] = {
	{ "append",         "path",     KIND_WRITE },
	{ "browse",         "url",      KIND_URL },
	{ "cell",           "code",     KIND_CODE },
	{ "configure",      "workdir",  KIND_READ },
	{ "download",       "path",     KIND_READ },
	{ "edit",           "path",     KIND_WRITE },
	{ "exec",           "argv",     KIND_ARGV },
	{ "move",           "path",     KIND_WRITE },
	{ "move",           "to",       KIND_WRITE },
	{ "process_input",  "stream",   KIND_UNSEEN },
	{ "process_input",  "text",     KIND_SHELL },
	{ "read",           "path",     KIND_READ },
	{ "remove",         "path",     KIND_REMOVE },
	{ "run",            "command",  KIND_SHELL },
	{ "session_attach", NULL,       KIND_UNSEEN },
	{ "session_input",  "text",     KIND_SHELL },
	{ "upload",         "path",     KIND_WRITE },
	{ "write",          "path",     KIND_WRITE },
};

/* Of tools, whose actions are not known. */
static const struct parameter tool_parameters[] = {
	{ NULL, "argv",       KIND_ARGV },
	{ NULL, "cmd",        KIND_SHELL },
	{ NULL, "code",       KIND_CODE },
	{ NULL, "command",    KIND_SHELL },
	{ NULL, "file",       KIND_WRITE },
	{ NULL, "file_path",  KIND_WRITE },
	{ NULL, "filename",   KIND_WRITE },
	{ NULL, "path",       KIND_WRITE },
	{ NULL, "script",     KIND_SHELL },
	{ NULL, "source",     KIND_CODE },
	{ NULL, "uri",        KIND_URL },
	{ NULL, "url",        KIND_URL },
};
/* clang-format on */

bool rules_know(struct str action)
{
	for (size_t i = 0; i < ARRAY_LEN(parameters); i++)
		if (str_is(action, parameters[i].action))
			return true;
	return false;
}

static void judge_argv(struct judging *j, const struct json *value, const struct json *params)
{
	size_t n = json_len(value);
	if (n > JUDGE_WORDS_MAX) {
		judge_hit(j, RULE_TOO_LARGE);
		return;
	}
	struct str *argv = arena_new_n(j->arena, struct str, n + 1);
	for (size_t i = 0; i < n; i++)
		argv[i] = json_str(json_at(value, i));
	if (json_kind(value) == JSON_KIND_ARRAY && n)
		judge_program(j, argv, n, json_bool(json_find(params, "stdin")));
}

static void judge_value(struct judging *j, enum kind kind, const struct json *value,
	const struct json *params)
{
	struct str text = json_str(value);
	if (text.len > JUDGE_TEXT_MAX) {
		judge_hit(j, RULE_TOO_LARGE);
		return;
	}
	switch (kind) {
	case KIND_SHELL:
		judge_shell(j, text);
		break;
	case KIND_ARGV:
		judge_argv(j, value, params);
		break;
	case KIND_CODE:
		judge_code(j, text);
		break;
	case KIND_READ:
	case KIND_WRITE:
	case KIND_REMOVE:
		judge_path(j, text,
			kind == KIND_READ            ? PATH_READ
				: kind == KIND_WRITE ? PATH_WRITE
						     : PATH_REMOVE);
		break;
	case KIND_URL:
		judge_url(j, text);
		break;
	case KIND_UNSEEN:
		if (json_bool(value))
			judge_hit(j, RULE_UNSEEN_INPUT);
		break;
	}
}

static void judge_all(struct judging *j, struct str name, const struct json *params)
{
	for (size_t i = 0; i < ARRAY_LEN(parameters); i++) {
		const struct parameter *p = &parameters[i];
		if (!str_is(name, p->action))
			continue;
		if (p->name)
			judge_value(j, p->kind, json_find(params, p->name), params);
		else
			judge_hit(j, RULE_UNSEEN_INPUT);
	}
	if (str_is(name, "remove") && json_bool(json_find(params, "recursive")))
		judge_hit(j, RULE_REMOVE_TREE);
	if (rules_know(name))
		return;
	for (size_t i = 0; i < ARRAY_LEN(tool_parameters); i++)
		judge_value(j, tool_parameters[i].kind, json_find(params, tool_parameters[i].name),
			params);
}

void rules_judge(struct str name, const struct json *params, uint64_t ignored, struct risk *ret)
{
	auto_arena struct arena arena = ARENA_INIT(JUDGE_ARENA_MAX);
	struct judging j = { .arena = &arena };
	judge_all(&j, name, params);
	*ret = (struct risk){ .score = RISK_LOW,
		.rules = j.rules & ~ignored,
		.worst = RULE_MAX,
		.reason = "no rule speaks against it" };
	for (int i = 0; i < RULE_MAX; i++)
		if (ret->rules & 1ull << i && rows[i].score > ret->score) {
			ret->score = rows[i].score;
			ret->worst = (enum rule)i;
			ret->reason = rows[i].reason;
		}
}
