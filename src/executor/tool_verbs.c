/* SPDX-License-Identifier: Apache-2.0 */
#include "executor/tool_verbs.h"

#include "base/auto.h"
#include "base/bug.h"
#include "executor/executor.h"
#include "executor/toolbox.h"

enum { NAME_MAX_BYTES = 4096, CONFIG_MAX = 4 * 1024 * 1024, CALL_MAX = FRAME_PAYLOAD_MAX };

static void fail(struct call *call, struct error *err)
{
	error_wrap(err, "%s", call->verb->action->name);
	call_fail(call, err);
}

/* ---- add ---- */

/* "module.Class{…}": the constructor's arguments belong to the name, as CAMEL writes it. */
static void put_pack_name(const struct tool_add_params *p, struct buf *b)
{
	buf_put(b, p->entrypoint.ptr ? p->entrypoint : p->action.ptr ? p->action : p->name);
	if (p->entrypoint.ptr && json_len(p->arguments))
		json_write(p->arguments, b);
}

static int check_add(const struct tool_add_params *p, struct error *err)
{
	int n = (p->entrypoint.ptr != NULL) + (p->argv.n != 0) + (p->action.ptr != NULL);
	if (n != 1)
		return error_set(err, ERROR_INVALID,
			"a pack is one of entrypoint, argv and action; %d are given", n);
	if (p->arguments && json_kind(p->arguments) != JSON_KIND_OBJECT)
		return error_set(err, ERROR_INVALID, "arguments: an object is wanted, not %s",
			json_kind_name(json_kind(p->arguments)));
	if (!p->entrypoint.ptr && (json_len(p->arguments) || p->paths.n || p->python.ptr))
		return error_set(err, ERROR_INVALID,
			"arguments, paths and python belong to an entrypoint");
	if (!p->argv.n && (p->name.ptr || p->description.ptr || p->parameters))
		return error_set(err, ERROR_INVALID,
			"name, description and parameters belong to argv: what others are called they say themselves");
	if (p->argv.n > TOOL_ARGV_MAX)
		return error_set(err, ERROR_INVALID, "argv: more than %d words", TOOL_ARGV_MAX);
	return 0;
}

/* guest.arguments of the pack's interpreter. */
static int put_config(const struct tool_add_params *p, struct buf *b, struct error *err)
{
	struct jsonw w = JSONW(b);
	jsonw_open(&w);
	jsonw_key_str(&w, "entrypoint", p->entrypoint);
	if (p->arguments) {
		jsonw_key(&w, "arguments");
		json_write(p->arguments, b);
		w.needs_comma = true;
	}
	jsonw_key(&w, "paths");
	jsonw_open_array(&w);
	for (size_t i = 0; i < p->paths.n; i++)
		jsonw_str(&w, p->paths.items[i]);
	jsonw_close_array(&w);
	jsonw_close(&w);
	return b->is_full
		? error_set(err, ERROR_TOO_LARGE, "over %d bytes of arguments", CONFIG_MAX)
		: 0;
}

static int fill_pack(struct tool_pack *pack, const struct tool_add_params *p, struct error *err)
{
	struct executor *e = pack->box->executor;
	auto_buf struct buf config = BUF_INIT(CONFIG_MAX);
	pack->timeout_ms = p->timeout_ms;
	pack->cwd = executor_path(e, p->cwd);
	pack->python = p->python.ptr ? str_dup(p->python) : NULL;
	pack->argv = mem_new_n(char *, p->argv.n + 1);
	for (size_t i = 0; i < p->argv.n; i++)
		pack->argv[i] = str_dup(p->argv.items[i]);
	if (env_set_all(&pack->env, &p->env, err) < 0 || put_config(p, &config, err) < 0)
		return -1;
	pack->arguments_json = buf_take(&config);
	return 0;
}

/* The one tool of a program or an action; it must be new. */
static int add_single(struct tool_pack *pack, const struct tool_add_params *p, struct error *err)
{
	auto_buf struct buf text = BUF_INIT(CONFIG_MAX);
	auto_json struct json *schema = NULL;
	int r = p->action.ptr ? tool_inner_schema(p, &text, err)
			      : tool_program_schema(p, &text, err);
	if (r < 0 || json_parse(buf_str(&text), &schema, err) < 0 ||
		tool_pack_add(pack, schema, err) < 0)
		return -1;
	if (list_is_empty(&pack->tools))
		return error_set(err, ERROR_EXISTS, "another pack has a tool of that name");
	return 0;
}

static void add_start(struct call *call, const void *params)
{
	const struct tool_add_params *p = params;
	struct toolbox *box = call->executor->tools;
	auto_buf struct buf name = BUF_INIT(NAME_MAX_BYTES);
	const struct tool_kind *kind = p->entrypoint.ptr ? &tool_python
		: p->action.ptr                          ? &tool_inner
							 : &tool_program;
	struct tool_pack *pack, *old;
	struct error err, replaced;
	if (check_add(p, &err) < 0) {
		fail(call, &err);
		return;
	}
	put_pack_name(p, &name);
	old = p->replace ? toolbox_find_pack(box, buf_str(&name)) : NULL;
	if (old) {
		error_set(&replaced, ERROR_CONFLICT, "pack %.200s was replaced", old->name);
		tool_pack_remove(old, &replaced);
	}
	if (toolbox_add_pack(box, kind, buf_str(&name), &pack, &err) < 0) {
		fail(call, &err);
		return;
	}
	pack->adder = call;
	call->state = pack;
	if (fill_pack(pack, p, &err) < 0 || (kind != &tool_python && add_single(pack, p, &err) < 0))
		toolbox_refused(pack, &err);
	else
		kind->load(pack);
}

/* Who adds it went away: it is not wanted. */
static void add_drop(struct call *call)
{
	struct tool_pack *pack = call->state;
	struct error err;
	if (!pack)
		return;
	error_set(&err, ERROR_CANCELLED, "its caller went away while it was loaded");
	pack->adder = NULL;
	tool_pack_remove(pack, &err);
}

const struct verb tool_add_verb = { .action = &tool_add_action,
	.start = add_start,
	.drop = add_drop };

/* ---- call ---- */

static void call_start(struct call *call, const void *params)
{
	const struct tool_call_params *p = params;
	struct tool *tool = toolbox_find(call->executor->tools, p->tool);
	auto_buf struct buf text = BUF_INIT(CALL_MAX);
	struct error err;
	if (!tool) {
		error_set(&err, ERROR_NOT_FOUND, "no tool '%.*s'", STR_ARG(str_first(p->tool, 80)));
		fail(call, &err);
		return;
	}
	if (tool_put_call(p, &text, &err) < 0) {
		fail(call, &err);
		return;
	}
	const struct tool_wish wish = {
		.text = buf_str(&text),
		.timeout_ms = p->timeout_ms ? p->timeout_ms : tool->pack->timeout_ms,
	};
	tool->pack->kind->call(tool, call, &wish);
}

static void call_drop(struct call *call)
{
	struct tool_use *use = call->state;
	if (use)
		use->pack->kind->drop(use);
}

const struct verb tool_call_verb = { .action = &tool_call_action,
	.start = call_start,
	.drop = call_drop };

/* ---- the small ones ---- */

static void list_start(struct call *call, const void *params)
{
	auto_buf struct buf b = BUF_INIT(FRAME_PAYLOAD_MAX);
	struct jsonw w = JSONW(&b);
	struct toolbox *box = call->executor->tools;
	struct tool_pack *pack;
	struct tool *tool;
	struct error err;
	jsonw_open(&w);
	jsonw_key(&w, "packs");
	jsonw_open_array(&w);
	list_for_each(pack, &box->packs, link)
		if (!pack->adder)
			tool_pack_put(pack, &w, false);
	jsonw_close_array(&w);
	jsonw_key(&w, "tools");
	jsonw_open_array(&w);
	list_for_each(pack, &box->packs, link)
		list_for_each(tool, &pack->tools, link)
			jsonw_raw(&w, str_from(tool->schema_json));
	jsonw_close_array(&w);
	jsonw_close(&w);
	if (b.is_full) {
		error_set(&err, ERROR_TOO_LARGE,
			"the schemas of all tools do not fit into a reply");
		fail(call, &err);
	} else {
		call_finish(call, buf_str(&b));
	}
}

const struct verb tool_list_verb = { .action = &tool_list_action, .start = list_start };

static void remove_start(struct call *call, const void *params)
{
	const struct tool_remove_params *p = params;
	struct toolbox *box = call->executor->tools;
	struct tool_pack *pack = toolbox_find_pack(box, p->name);
	struct tool *tool = pack ? NULL : toolbox_find(box, p->name);
	struct error err;
	if (pack && pack->adder) {
		error_set(&err, ERROR_CONFLICT, "%.200s is being loaded", pack->name);
		fail(call, &err);
	} else if (pack) {
		error_set(&err, ERROR_GONE, "pack %.200s was removed", pack->name);
		tool_pack_remove(pack, &err);
		call_finish(call, STR("{}"));
	} else if (tool) {
		tool_remove(tool);
		call_finish(call, STR("{}"));
	} else {
		error_set(&err, ERROR_NOT_FOUND, "no pack or tool '%.*s'",
			STR_ARG(str_first(p->name, 80)));
		fail(call, &err);
	}
}

const struct verb tool_remove_verb = { .action = &tool_remove_action, .start = remove_start };

static int reset(struct tool_pack *pack)
{
	struct error err;
	if (!pack->kind->reset || pack->adder)
		return 0;
	error_set(&err, ERROR_CONFLICT, "pack %.200s was reset", pack->name);
	pack->kind->reset(pack, &err);
	return 1;
}

static void reset_start(struct call *call, const void *params)
{
	const struct tool_reset_params *p = params;
	struct toolbox *box = call->executor->tools;
	auto_buf struct buf b = BUF_INIT(64);
	struct tool_pack *pack;
	struct error err;
	int n = 0;
	if (p->pack.ptr) {
		pack = toolbox_find_pack(box, p->pack);
		if (!pack) {
			error_set(&err, ERROR_NOT_FOUND, "no pack '%.*s'",
				STR_ARG(str_first(p->pack, 80)));
			fail(call, &err);
			return;
		}
		n = reset(pack);
	} else {
		list_for_each(pack, &box->packs, link)
			n += reset(pack);
	}
	buf_printf(&b, "{\"packs\":%d}", n);
	call_finish(call, buf_str(&b));
}

const struct verb tool_reset_verb = { .action = &tool_reset_action, .start = reset_start };
