/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A pack is in box->packs from toolbox_add_pack on, so that its name is taken while it loads; its
 * tools are in box->tools when it has been loaded. Where two packs have a tool of one name, the
 * first one's counts, and comes back to nobody when that is removed: a name never changes what it
 * means behind a caller's back.
 */
#include "executor/toolbox.h"

#include "base/auto.h"
#include "base/bug.h"
#include "base/clock.h"
#include "executor/executor.h"

enum { SCHEMA_MAX = 256 * 1024 };

struct toolbox *toolbox_new(struct executor *e)
{
	struct toolbox *box = mem_new(struct toolbox);
	box->executor = e;
	list_init(&box->packs);
	return box;
}

void toolbox_free(struct toolbox *box)
{
	struct error gone;
	if (!box)
		return;
	error_set(&gone, ERROR_GONE, "the sandbox is going away");
	while (!list_is_empty(&box->packs))
		tool_pack_remove(list_get_first(&box->packs, struct tool_pack, link), &gone);
	map_fini(&box->tools);
	free(box);
}

struct tool *toolbox_find(struct toolbox *box, struct str name)
{
	return map_find(&box->tools, name);
}

struct tool_pack *toolbox_find_pack(struct toolbox *box, struct str name)
{
	struct tool_pack *pack;
	list_for_each(pack, &box->packs, link)
		if (str_is(name, pack->name))
			return pack;
	return NULL;
}

int toolbox_add_pack(struct toolbox *box, const struct tool_kind *kind, struct str name,
	struct tool_pack **ret, struct error *err)
{
	if (toolbox_find_pack(box, name))
		return error_set(err, ERROR_EXISTS, "there is a pack %.*s already",
			STR_ARG(str_first(name, 200)));
	if (box->n_packs >= TOOL_PACKS_MAX)
		return error_set(err, ERROR_LIMIT, "the sandbox has %d packs of tools",
			TOOL_PACKS_MAX);
	struct tool_pack *pack = mem_new(struct tool_pack);
	pack->box = box;
	pack->kind = kind;
	pack->name = str_dup(name);
	list_init(&pack->tools);
	list_init(&pack->uses);
	list_append(&box->packs, &pack->link);
	box->n_packs++;
	*ret = pack;
	return 0;
}

/* ---- tools ---- */

void tool_remove(struct tool *tool)
{
	struct toolbox *box = tool->pack->box;
	if (toolbox_find(box, str_from(tool->name)) == tool)
		map_remove(&box->tools, str_from(tool->name));
	list_remove(&tool->link);
	json_free(tool->schema);
	free(tool->schema_json);
	free(tool->name);
	free(tool);
}

static void hide(struct tool_pack *pack, struct str name)
{
	pack->hidden = mem_realloc(pack->hidden, (pack->n_hidden + 1) * sizeof(char *));
	pack->hidden[pack->n_hidden++] = str_dup(name);
}

int tool_pack_add(struct tool_pack *pack, const struct json *schema, struct error *err)
{
	const struct json *function = json_find(schema, "function");
	struct str name = json_str(json_find(function, "name"));
	auto_buf struct buf text = BUF_INIT(SCHEMA_MAX);
	if (!name.ptr)
		return error_set(err, ERROR_INVALID, "a tool without a name");
	if (tool_check_name(name, err) < 0)
		return -1;
	if (toolbox_find(pack->box, name)) {
		hide(pack, name);
		return 0;
	}
	if (pack->box->tools.count >= TOOL_TOOLS_MAX)
		return error_set(err, ERROR_LIMIT, "the sandbox has %d tools", TOOL_TOOLS_MAX);
	json_write(schema, &text);
	if (text.is_full)
		return error_set(err, ERROR_TOO_LARGE, "tool %.*s: a schema of over %d bytes",
			STR_ARG(name), SCHEMA_MAX);
	struct tool *tool = mem_new(struct tool);
	if (json_parse(buf_str(&text), &tool->schema, err) < 0) {
		free(tool);
		return -1;
	}
	tool->pack = pack;
	tool->name = str_dup(name);
	tool->schema_json = buf_take(&text);
	list_append(&pack->tools, &tool->link);
	map_put(&pack->box->tools, name, tool);
	return 0;
}

/* ---- packs ---- */

static void free_strings(char **strings)
{
	for (size_t i = 0; strings && strings[i]; i++)
		free(strings[i]);
	free(strings);
}

void tool_pack_remove(struct tool_pack *pack, const struct error *why)
{
	struct call *adder = take_ptr(pack->adder);
	struct error copy = *why;
	if (pack->kind->reset)
		pack->kind->reset(pack, &copy);
	BUG_IF(!list_is_empty(&pack->uses), "a pack of tools goes away under its calls");
	while (!list_is_empty(&pack->tools))
		tool_remove(list_get_first(&pack->tools, struct tool, link));
	if (pack->kind->free)
		pack->kind->free(pack);
	list_remove(&pack->link);
	pack->box->n_packs--;
	for (size_t i = 0; i < pack->n_hidden; i++)
		free(pack->hidden[i]);
	free(pack->hidden);
	env_fini(&pack->env);
	free_strings(pack->argv);
	free(pack->cwd);
	free(pack->python);
	free(pack->arguments_json);
	free(pack->name);
	free(pack);
	if (adder) {
		adder->state = NULL;
		call_fail(adder, &copy);
	}
}

static void put_strings(struct jsonw *w, const char *key, char *const *strings, size_t n)
{
	jsonw_key(w, key);
	jsonw_open_array(w);
	for (size_t i = 0; i < n; i++)
		jsonw_str(w, str_from(strings[i]));
	jsonw_close_array(w);
}

void tool_pack_put(const struct tool_pack *pack, struct jsonw *w, bool has_schemas)
{
	const struct tool *tool;
	jsonw_open(w);
	jsonw_key_str(w, "pack", str_from(pack->name));
	jsonw_key_str(w, "kind", str_from(pack->kind->name));
	jsonw_key_str(w, "state", pack->is_stopped ? STR("stopped") : STR("ready"));
	jsonw_key_int(w, "calls", (int64_t)pack->n_calls);
	jsonw_key_int(w, "starts", pack->starts);
	jsonw_key(w, "error");
	if (pack->error.code == ERROR_OK)
		jsonw_null(w);
	else
		jsonw_str(w, str_from(pack->error.text));
	jsonw_key(w, "tools");
	jsonw_open_array(w);
	list_for_each(tool, &pack->tools, link)
		jsonw_str(w, str_from(tool->name));
	jsonw_close_array(w);
	put_strings(w, "hidden", pack->hidden, pack->n_hidden);
	jsonw_key_int(w, "timeout_ms", pack->timeout_ms);
	if (has_schemas) {
		jsonw_key(w, "schemas");
		jsonw_open_array(w);
		list_for_each(tool, &pack->tools, link)
			jsonw_raw(w, str_from(tool->schema_json));
		jsonw_close_array(w);
	}
	jsonw_close(w);
}

void toolbox_added(struct tool_pack *pack)
{
	struct call *call = pack->adder;
	auto_buf struct buf b = BUF_INIT(FRAME_PAYLOAD_MAX);
	struct jsonw w = JSONW(&b);
	tool_pack_put(pack, &w, true);
	if (b.is_full) {
		struct error err;
		error_set(&err, ERROR_TOO_LARGE, "the schemas do not fit into a reply");
		toolbox_refused(pack, &err);
		return;
	}
	call->state = pack->adder = NULL;
	call_finish(call, buf_str(&b));
}

void toolbox_refused(struct tool_pack *pack, const struct error *err)
{
	struct error copy = *err;
	error_wrap(&copy, "%.200s", pack->name);
	tool_pack_remove(pack, &copy);
}

/* ---- calls ---- */

void tool_raise(struct call *call, const char *type, struct str message, int64_t started_us)
{
	const struct tool_answer a = { .error_type = str_from(type), .error_message = message };
	tool_finish(call, &a, started_us);
}

void tool_use_begin(struct tool_use *use, struct tool_pack *pack, struct call *call)
{
	use->pack = pack;
	use->call = call;
	use->started_us = clock_mono_us();
	list_append(&pack->uses, &use->link);
	pack->n_calls++;
	call->state = use;
}

void tool_use_end(struct tool_use *use)
{
	list_remove(&use->link);
	use->pack->n_calls--;
	if (use->call)
		use->call->state = NULL;
}

void tool_finish(struct call *call, const struct tool_answer *a, int64_t started_us)
{
	auto_buf struct buf b = BUF_INIT(FRAME_PAYLOAD_MAX);
	struct jsonw w = JSONW(&b);
	jsonw_open(&w);
	jsonw_key(&w, "output");
	if (a->output.ptr)
		jsonw_str(&w, a->output);
	else
		jsonw_null(&w);
	jsonw_key(&w, "error");
	if (a->output.ptr) {
		jsonw_null(&w);
	} else {
		jsonw_open(&w);
		jsonw_key_str(&w, "type", a->error_type);
		jsonw_key_str(&w, "message", a->error_message);
		jsonw_key_str(&w, "traceback", a->error_traceback);
		jsonw_close(&w);
	}
	jsonw_key_str(&w, "stdout", a->out);
	jsonw_key_str(&w, "stderr", a->err);
	jsonw_key_int(&w, "duration_us", clock_mono_us() - started_us);
	jsonw_close(&w);
	if (b.is_full) {
		struct error err;
		error_set(&err, ERROR_TOO_LARGE, "what the tool gave does not fit into a reply");
		call_fail(call, &err);
	} else {
		call_finish(call, buf_str(&b));
	}
}
