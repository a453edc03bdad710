/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Packs of kind action: the call goes on as a call of that action, whose result becomes the tool's
 * output.
 */
#include "executor/toolbox.h"

#include "base/auto.h"
#include "base/clock.h"

static const struct field *capture_field(const struct action *action)
{
	for (const struct field *f = action->fields; f->name; f++)
		if (strcmp(f->name, "capture") == 0)
			return f;
	return NULL;
}

/* Not those that stream without end, that set the sandbox up, or that call tools. */
static bool can_be_tool(const struct action *action)
{
	static const char *const groups[] = { "executor", "tool", "network" };
	for (size_t i = 0; i < ARRAY_LEN(groups); i++)
		if (strcmp(action->group, groups[i]) == 0)
			return false;
	bool streams = action->flags & (ACTION_STREAMS_OUT | ACTION_STREAMS_IN);
	return !streams || capture_field(action);
}

int tool_inner_schema(const struct tool_add_params *p, struct buf *b, struct error *err)
{
	const struct action *action = action_find(p->action);
	if (!action || !can_be_tool(action))
		return error_set(err, ERROR_INVALID, "%.*s is %s",
			STR_ARG(str_first(p->action, 60)),
			action ? "no action that can be a tool" : "no action");
	struct jsonw w = JSONW(b);
	jsonw_open(&w);
	jsonw_key_str(&w, "type", STR("function"));
	jsonw_key(&w, "function");
	jsonw_open(&w);
	jsonw_key_str(&w, "name", str_from(action->name));
	jsonw_key_str(&w, "description", str_from(action->summary));
	jsonw_key(&w, "parameters");
	fields_schema(action->fields, &w);
	jsonw_close(&w);
	jsonw_close(&w);
	return 0;
}

static void inner_load(struct tool_pack *pack)
{
	toolbox_added(pack);
}

/* The result of the action, which is JSON, as text in that of the tool. */
static void wrap(struct call *call, struct str result, struct buf *b)
{
	struct jsonw w = JSONW(b);
	jsonw_open(&w);
	jsonw_key_str(&w, "output", result);
	jsonw_key(&w, "error");
	jsonw_null(&w);
	jsonw_key_str(&w, "stdout", STR(""));
	jsonw_key_str(&w, "stderr", STR(""));
	jsonw_key_int(&w, "duration_us", clock_mono_us() - call->wrap_started_us);
	jsonw_close(&w);
}

static void inner_call(struct tool *tool, struct call *call, const struct tool_wish *wish)
{
	const struct action *action = action_find(str_from(tool->name));
	auto_buf struct buf params = BUF_INIT(FRAME_PAYLOAD_MAX);
	struct error err;
	int64_t started_us = clock_mono_us();
	if (tool_bind(tool->name, tool->schema, wish->text, &params, &err) < 0) {
		tool_raise(call, "TypeError", str_from(err.text), started_us);
		return;
	}
	if (capture_field(action)) {
		bool is_empty = params.len == 2;
		buf_cut(&params, params.len - 1);
		buf_printf(&params, "%s\"capture\":true}", is_empty ? "" : ",");
	}
	call->wrap_started_us = started_us;
	call_become(call, action, buf_str(&params), wrap);
}

const struct tool_kind tool_inner = {
	.name = "action",
	.load = inner_load,
	.call = inner_call,
};
