/* SPDX-License-Identifier: Apache-2.0 */
#include "action/tool_actions.h"

#define PACK_RESULT                                                                                    \
	"pack, kind (python, program, action), state (ready, stopped), calls (under way), starts (of " \
	"its interpreter), error (why the last one ended, or null), tools, hidden, timeout_ms"

static const struct field add_fields[] = {
	{ "entrypoint", FIELD_STRING, FIELD_AT(struct tool_add_params, entrypoint),
		.help = "Python: module.attribute, or module.Class{\"argument\":\"of its constructor\"}" },
	{ "arguments", FIELD_JSON, FIELD_AT(struct tool_add_params, arguments),
		.help = "an object: more arguments of the constructor" },
	{ "paths", FIELD_STRINGS, FIELD_AT(struct tool_add_params, paths),
		.help = "directories in the sandbox where modules are looked for first" },
	{ "python", FIELD_STRING, FIELD_AT(struct tool_add_params, python),
		.help = "the interpreter, by path or by name; standard: python3" },
	{ "argv", FIELD_STRINGS, FIELD_AT(struct tool_add_params, argv),
		.help = "a program of the sandbox and its arguments: takes a JSON object on its input and writes the "
			"result, as JSON or as text" },
	{ "action", FIELD_STRING, FIELD_AT(struct tool_add_params, action),
		.help = "an action that the sandbox performs, under its own name" },
	{ "name", FIELD_STRING, FIELD_AT(struct tool_add_params, name),
		.help = "of the tool that is a program" },
	{ "description", FIELD_STRING, FIELD_AT(struct tool_add_params, description),
		.help = "of the tool that is a program" },
	{ "parameters", FIELD_JSON, FIELD_AT(struct tool_add_params, parameters),
		.help = "JSON Schema of the arguments of the tool that is a program; without one, any object" },
	{ "env", FIELD_MAP, FIELD_AT(struct tool_add_params, env), FIELD_SECRET,
		.help = "variables for the interpreter or program, on top of the sandbox's" },
	{ "cwd", FIELD_STRING, FIELD_AT(struct tool_add_params, cwd),
		.help = "where it runs, and where modules are looked for last; standard: the sandbox's workdir" },
	{ "timeout_ms", FIELD_INT, FIELD_AT(struct tool_add_params, timeout_ms), .min = 1,
		.max = 86400000, .standard = "600000",
		.help = "deadline of a call that says none" },
	{ "replace", FIELD_BOOL, FIELD_AT(struct tool_add_params, replace), .standard = "false",
		.help = "first remove the pack that has this name" },
	{ 0 },
};

const struct action tool_add_action = {
	.name = "tool_add",
	.group = "tool",
	.summary = "make functions, a program or an action callable as tools",
	.result = "the pack: " PACK_RESULT "; schemas: an array of OpenAI function schemas",
	.fields = add_fields,
	.params_size = sizeof(struct tool_add_params),
};

static const struct field list_fields[] = { { 0 } };

const struct action tool_list_action = {
	.name = "tool_list",
	.group = "tool",
	.summary = "list tools",
	.result =
		"packs: an array of " PACK_RESULT
		"; tools: an array of OpenAI function schemas, in the order in which they were added",
	.fields = list_fields,
	.params_size = sizeof(struct tool_list_params),
	.flags = ACTION_READS,
};

static const struct field call_fields[] = {
	{ "tool", FIELD_STRING, FIELD_AT(struct tool_call_params, tool), FIELD_REQUIRED,
		.help = "name of the tool" },
	{ "args", FIELD_JSON, FIELD_AT(struct tool_call_params, args),
		.help = "an array: arguments by position" },
	{ "kwargs", FIELD_JSON, FIELD_AT(struct tool_call_params, kwargs),
		.help = "an object: arguments by name" },
	{ "call", FIELD_STRING, FIELD_AT(struct tool_call_params, call), FIELD_BINARY,
		.help = "instead of both, the text of a JSON object that has them, as Python reads JSON (NaN, and "
			"integers of any size)" },
	{ "timeout_ms", FIELD_INT, FIELD_AT(struct tool_call_params, timeout_ms), .min = 0,
		.max = 86400000, .standard = "0", .help = "deadline; 0: the pack's" },
	{ 0 },
};

const struct action tool_call_action = {
	.name = "tool_call",
	.group = "tool",
	.summary = "call a tool",
	.result =
		"output: the text of a JSON value, or null if it raised; error: null, or type, message and "
		"traceback of what it raised; stdout, stderr: what it and its children printed; duration_us. A "
		"caller that goes away cancels the call",
	.fields = call_fields,
	.params_size = sizeof(struct tool_call_params),
};

static const struct field remove_fields[] = {
	{ "name", FIELD_STRING, FIELD_AT(struct tool_remove_params, name), FIELD_REQUIRED,
		.help = "of a pack, which goes with all of its tools, or of one tool" },
	{ 0 },
};

const struct action tool_remove_action = {
	.name = "tool_remove",
	.group = "tool",
	.summary = "forget a pack or a tool",
	.result = "the empty object",
	.fields = remove_fields,
	.params_size = sizeof(struct tool_remove_params),
};

static const struct field reset_fields[] = {
	{ "pack", FIELD_STRING, FIELD_AT(struct tool_reset_params, pack),
		.help = "its name; standard: every pack" },
	{ 0 },
};

const struct action tool_reset_action = {
	.name = "tool_reset",
	.group = "tool",
	.summary = "end interpreters of packs, so that the next call starts with fresh state",
	.result = "packs: how many were reset",
	.fields = reset_fields,
	.params_size = sizeof(struct tool_reset_params),
};

bool tool_name_is_taken(struct str name)
{
	static const char *const taken[] = { "health", "docs", "redoc", "openapi.json", NULL };
	for (const char *const *t = taken; *t; t++)
		if (str_is(name, *t))
			return true;
	return false;
}

int tool_check_name(struct str name, struct error *err)
{
	static const char allowed[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-";
	if (tool_name_is_taken(name))
		return error_set(err, ERROR_INVALID,
			"a tool cannot be called '%.*s': a tool server has that path itself",
			STR_ARG(name));
	if (name.len == 0 || name.len > TOOL_NAME_MAX || str_has_nul(name))
		return error_set(err, ERROR_INVALID,
			"a tool's name has 1 to %d characters, not %zu", TOOL_NAME_MAX, name.len);
	for (size_t i = 0; i < name.len; i++)
		if (!strchr(allowed, name.ptr[i]))
			return error_set(err, ERROR_INVALID,
				"'%.*s' is no name of a tool: letters, digits, _ and - are allowed",
				STR_ARG(name));
	return 0;
}

static int put_arguments(const char *key, const struct json *value, enum json_kind kind,
	struct buf *b, struct error *err)
{
	if (value && json_kind(value) != kind)
		return error_set(err, ERROR_INVALID, "%s: an %s is wanted, not %s", key,
			json_kind_name(kind), json_kind_name(json_kind(value)));
	buf_printf(b, "\"%s\":", key);
	if (value)
		json_write(value, b);
	else
		buf_puts(b, kind == JSON_KIND_ARRAY ? "[]" : "{}");
	return 0;
}

int tool_put_call(const struct tool_call_params *p, struct buf *b, struct error *err)
{
	if (p->call.ptr && (p->args || p->kwargs))
		return error_set(err, ERROR_INVALID, "call goes with neither args nor kwargs");
	if (p->call.ptr)
		return buf_put(b, p->call);
	buf_putc(b, '{');
	if (put_arguments("args", p->args, JSON_KIND_ARRAY, b, err) < 0)
		return -1;
	buf_putc(b, ',');
	if (put_arguments("kwargs", p->kwargs, JSON_KIND_OBJECT, b, err) < 0)
		return -1;
	buf_putc(b, '}');
	return 0;
}
