/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. What an action does is in one or two of its parameters: a table says which,
 * and of what kind they are. A tool says by the names of its parameters what they are. Each kind
 * has a judge; the judges set bits, and the worst bit is the score.
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
	KIND_PROGRAM, /* of a browser */
	KIND_UNSEEN,
	KIND_ENV,    /* variables, some of which are run */
	KIND_SCRIPT, /* text of a file: judged if the path says that it will be run */
	KIND_ARGS,   /* of a tool, by position */
	KIND_NAMED,  /* of a tool, by name */
	KIND_CALL,   /* both, as JSON text */
};

/* clang-format off */
static const struct parameter {
	const char *action, *name;
	enum kind kind;
} parameters[] = {
	{ "append",         "content",  KIND_SCRIPT },
	{ "append",         "path",     KIND_WRITE },
	{ "browse",         "download_dir",    KIND_WRITE },
	{ "browse",         "program",         KIND_PROGRAM },
	{ "browse",         "screenshot_path", KIND_WRITE },
	{ "browse",         "url",      KIND_URL },
	{ "cell",           "code",     KIND_CODE },
	{ "configure",      "env",      KIND_ENV },
	{ "convert",        "path",     KIND_READ },
	{ "download",       "path",     KIND_READ },
	{ "edit",           "file_text", KIND_SCRIPT },
	{ "edit",           "new_str",  KIND_SCRIPT },
	{ "edit",           "path",     KIND_WRITE },
	{ "exec",           "argv",     KIND_ARGV },
	{ "exec",           "env",      KIND_ENV },
	{ "grep",           "path",     KIND_READ },
	{ "move",           "path",     KIND_WRITE },
	{ "move",           "to",       KIND_WRITE },
	{ "process_input",  "stream",   KIND_UNSEEN },
	{ "process_input",  "text",     KIND_SHELL },
	{ "read",           "path",     KIND_READ },
	{ "remove",         "path",     KIND_REMOVE },
	{ "run",            "command",  KIND_SHELL },
	{ "session_attach", NULL,       KIND_UNSEEN },
	{ "session_input",  "text",     KIND_SHELL },
	{ "session_open",   "env",      KIND_ENV },
	{ "tool_add",       "argv",     KIND_ARGV },
	{ "tool_add",       "env",      KIND_ENV },
	{ "tool_call",      "args",     KIND_ARGS },
	{ "tool_call",      "call",     KIND_CALL },
	{ "tool_call",      "kwargs",   KIND_NAMED },
	{ "upload",         "path",     KIND_WRITE },
	{ "write",          "content",  KIND_SCRIPT },
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

/* Variables that a shell, the loader or git runs, or loads, by themselves. */
static void judge_env(struct judging *j, const struct json *env)
{
	static const char *const run[] = { "PROMPT_COMMAND", "PS0", "PS1", "PS4", "GIT_SSH_COMMAND",
		"GIT_ASKPASS", "GIT_EDITOR", "EDITOR", "PAGER" };
	static const char *const loaded[] = { "BASH_ENV", "ENV", "LD_PRELOAD", "LD_AUDIT",
		"PYTHONSTARTUP", "PERL5OPT", "NODE_OPTIONS" };
	for (size_t i = 0; i < ARRAY_LEN(run); i++)
		judge_shell(j, json_str(json_find(env, run[i])));
	for (size_t i = 0; i < ARRAY_LEN(loaded); i++)
		if (json_str(json_find(env, loaded[i])).len)
			judge_hit(j, RULE_DYNAMIC_CODE);
}

/* What is written is no act yet; a script is meant to become one. */
static void judge_script_text(struct judging *j, struct str text, const struct json *params)
{
	struct str path = json_str(json_find(params, "path")), rest = text, first;
	if (!str_split(&rest, '\n', &first) || !str_starts(first, STR("#!")))
		first = STR("");
	bool is_shell = str_ends(path, STR(".sh")) || str_ends(path, STR(".bash")) ||
		str_find(first, STR("sh")) >= 0;
	bool is_python = str_ends(path, STR(".py")) || str_find(first, STR("python")) >= 0;
	if (is_shell)
		judge_shell(j, text);
	if (is_python)
		judge_code(j, text);
}

/* Nobody says what a tool makes of its first argument: it is taken for all that it may be. */
static void judge_args(struct judging *j, const struct json *args)
{
	for (size_t i = 0; i < MIN(json_len(args), 64u) && json_kind(args) == JSON_KIND_ARRAY;
		i++) {
		struct str text = json_str(json_at(args, i));
		if (text.len > JUDGE_TEXT_MAX) {
			judge_hit(j, RULE_TOO_LARGE);
			return;
		}
		judge_shell(j, text);
		judge_code(j, text);
		if (str_starts(text, STR("/")) || str_starts(text, STR("~")))
			judge_path(j, text, PATH_WRITE);
	}
}

static void judge_named(struct judging *j, const struct json *arguments);

static void judge_call_text(struct judging *j, struct str text)
{
	auto_json struct json *call = NULL;
	if (json_parse(text, &call, NULL) == 0) {
		judge_args(j, json_find(call, "args"));
		judge_named(j, json_find(call, "kwargs"));
		return;
	}
	judge_shell(j, text);
	judge_code(j, text);
	judge_hit(j, RULE_DYNAMIC_CODE);
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
	case KIND_PROGRAM:
		judge_browser(j, text);
		break;
	case KIND_UNSEEN:
		if (json_bool(value))
			judge_hit(j, RULE_UNSEEN_INPUT);
		break;
	case KIND_ENV:
		judge_env(j, value);
		break;
	case KIND_SCRIPT:
		judge_script_text(j, text, params);
		break;
	case KIND_ARGS:
		judge_args(j, value);
		break;
	case KIND_NAMED:
		judge_named(j, value);
		break;
	case KIND_CALL:
		if (text.len)
			judge_call_text(j, text);
		break;
	}
}

static void judge_named(struct judging *j, const struct json *arguments)
{
	for (size_t i = 0; i < ARRAY_LEN(tool_parameters); i++)
		judge_value(j, tool_parameters[i].kind,
			json_find(arguments, tool_parameters[i].name), arguments);
}

static void judge_all(struct judging *j, struct str name, const struct json *params);

/* A tool that is called like an action may be that action (tool_add): it is judged as one, too. */
static void judge_inner(struct judging *j, const struct json *params)
{
	struct str tool = json_str(json_find(params, "tool"));
	auto_json struct json *call = NULL;
	if (!rules_know(tool) || str_is(tool, "tool_call"))
		return;
	judge_all(j, tool, json_find(params, "kwargs"));
	if (json_parse(json_str(json_find(params, "call")), &call, NULL) == 0)
		judge_all(j, tool, json_find(call, "kwargs"));
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
	if (str_is(name, "tool_call"))
		judge_inner(j, params);
	if (!rules_know(name))
		judge_named(j, params);
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
