/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tool_actions: named functions with a JSON Schema that an agent may call, and what implements
 * them.
 *
 * Tools come in packs. A pack is made by one tool_add and is one of
 *
 *	python   an entrypoint, `module.attribute` or `module.Class{"constructor":"arguments"}`: a function, a list
 *	         of functions, or an object whose get_tools() gives them; loaded into an interpreter of its own
 *	         inside the sandbox, which lives until the pack is removed, reset, or dies
 *	program  an executable: the arguments come as a JSON object on its input, what it writes is the output
 *	action   an action of the sandbox under its own name
 *
 *	{"pack":"camel.toolkits.MathToolkit","kind":"python","state":"ready","calls":0,"starts":1,
 *	 "error":null,"tools":["math_add",…],"hidden":[],"timeout_ms":600000}
 *
 * `state` is ready, or stopped: its interpreter is started by the next call. `hidden` are tools of
 * the pack whose name another pack had before.
 *
 * What a tool's function does, also that it raises, is a result; only what keeps it from being
 * called, or from coming to an end, is an error.
 */
#pragma once

#include "action/action.h"

enum {
	TOOL_PACKS_MAX = 64, /* in one sandbox */
	TOOL_TOOLS_MAX = 2048,
	TOOL_NAME_MAX = 64,
	TOOL_ARGV_MAX = 64,                /* words of a program's command line */
	TOOL_CALLS_MAX = 64,               /* side by side in one pack; others wait */
	TOOL_STDOUT_MAX = 1024 * 1024,     /* kept of what a call prints */
	TOOL_OUTPUT_MAX = 7 * 1024 * 1024, /* of a result, which may double in a reply */
};

struct tool_add_params {
	struct str entrypoint;
	const struct json *arguments;
	struct field_strings paths;
	struct str python;
	struct field_strings argv;
	struct str action;
	struct str name, description;
	const struct json *parameters;
	struct field_map env;
	struct str cwd;
	int64_t timeout_ms;
	bool replace;
};

struct tool_list_params {
	bool unused;
};

struct tool_call_params {
	struct str tool;
	const struct json *args, *kwargs;
	struct str call;
	int64_t timeout_ms;
};

struct tool_remove_params {
	struct str name;
};

struct tool_reset_params {
	struct str pack;
};

extern const struct action tool_add_action, tool_call_action, tool_list_action, tool_remove_action,
	tool_reset_action;

/* Whether it is a path that a tool server answers itself. */
bool tool_name_is_taken(struct str name);
/*
 * Letters, digits, _ and -, at most TOOL_NAME_MAX, and none of the paths that a tool server has
 * itself.
 */
int tool_check_name(struct str name, struct error *err);
/* The text of {"args":[…],"kwargs":{…}}: that of `call`, else of `args` and `kwargs`. */
int tool_put_call(const struct tool_call_params *p, struct buf *b, struct error *err);
