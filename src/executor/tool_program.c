/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Packs of kind program: each call is a process of its own, which gets a JSON object on its input.
 * What it writes on its output is the result, as it is if it is JSON, else as a string. A status
 * other than 0 is an error.
 */
#include "executor/toolbox.h"

#include "base/auto.h"
#include "base/bug.h"
#include "base/clock.h"
#include "executor/executor.h"
#include "executor/process.h"

struct program_call {
	struct tool_use use;
	struct process_watch watch;
	struct process *process;
	int64_t timeout_ms;
};

int tool_program_schema(const struct tool_add_params *p, struct buf *b, struct error *err)
{
	if (!p->name.ptr)
		return error_set(err, ERROR_INVALID, "a program needs a name to be a tool");
	if (p->parameters && json_kind(p->parameters) != JSON_KIND_OBJECT)
		return error_set(err, ERROR_INVALID, "parameters: a JSON Schema is an object");
	struct jsonw w = JSONW(b);
	jsonw_open(&w);
	jsonw_key_str(&w, "type", STR("function"));
	jsonw_key(&w, "function");
	jsonw_open(&w);
	jsonw_key_str(&w, "name", p->name);
	jsonw_key_str(&w, "description", p->description.ptr ? p->description : STR(""));
	jsonw_key(&w, "parameters");
	if (p->parameters)
		json_write(p->parameters, b);
	else
		buf_puts(b,
			"{\"type\":\"object\",\"properties\":{},\"additionalProperties\":true}");
	w.needs_comma = true;
	jsonw_close(&w);
	jsonw_close(&w);
	return 0;
}

static void program_load(struct tool_pack *pack)
{
	toolbox_added(pack);
}

/* ---- the end ---- */

/* Not within its on_end: the process is still being ended there. */
static void remove_later(void *arg)
{
	struct process *p = arg;
	process_remove(p);
	process_release(p);
}

static void end(struct program_call *pc)
{
	if (pc->process) {
		process_unwatch(&pc->watch);
		process_remove(pc->process);
	}
	tool_use_end(&pc->use);
	free(pc);
}

static void put_channel(const struct process *p, uint8_t channel, struct buf *b)
{
	struct log_entry entry;
	for (uint64_t at = 0; process_log_read(&p->log, at, &entry);
		at = entry.at + entry.bytes.len)
		if (entry.channel == channel)
			buf_put(b, entry.bytes);
}

static void put_output(struct str text, struct buf *b)
{
	auto_json struct json *json = NULL;
	struct jsonw w = JSONW(b);
	if (json_parse(text, &json, NULL) == 0)
		json_write(json, b);
	else
		jsonw_str(&w, text);
}

static void put_failure(const struct process *p, struct str words, struct buf *b)
{
	if (p->signo)
		buf_printf(b, "it was killed by signal %s", signal_name(p->signo));
	else
		buf_printf(b, "it ended with status %d", p->exit_code);
	words = str_trim(words);
	for (ptrdiff_t at; (at = str_find_char(words, '\n')) >= 0;)
		words = str_skip(words, (size_t)at + 1);
	if (words.len)
		buf_printf(b, ": %.*s", STR_ARG(str_first(words, 1000)));
}

static void on_end(struct process_watch *watch)
{
	struct program_call *pc = container_of(watch, struct program_call, watch);
	const struct process *p = pc->process;
	struct call *call = pc->use.call;
	int64_t started_us = pc->use.started_us;
	auto_buf struct buf out = BUF_INIT(PROCESS_LOG_MAX), words = BUF_INIT(PROCESS_LOG_MAX),
			    text = BUF_INIT(FRAME_PAYLOAD_MAX);
	put_channel(p, 1, &out);
	put_channel(p, 2, &words);
	struct tool_answer a = { .err = str_first(buf_str(&words), TOOL_STDOUT_MAX) };
	bool is_good = p->exit_code == 0 && !p->signo;
	bool is_late = p->has_timed_out, is_cut = p->log.dropped_bytes > 0;
	struct error err;
	if (is_late)
		error_set(&err, ERROR_TIMEOUT, "the tool did not end within %lld ms",
			(long long)pc->timeout_ms);
	if (is_good && !is_cut) {
		put_output(buf_str(&out), &text);
		a.output = buf_str(&text);
	} else {
		if (is_good)
			buf_printf(&text, "it wrote more than %d bytes", TOOL_OUTPUT_MAX);
		else
			put_failure(p, buf_str(&words), &text);
		a.out = str_first(buf_str(&out), TOOL_STDOUT_MAX);
		a.error_type = STR("ProgramError");
		a.error_message = buf_str(&text);
	}
	process_hold(pc->process);
	loop_defer(pc->use.pack->box->executor->loop, remove_later, take_ptr(pc->process));
	end(pc);
	if (is_late)
		call_fail(call, &err);
	else
		tool_finish(call, &a, started_us);
}

/* ---- the beginning ---- */

static int start(struct tool_pack *pack, struct program_call *pc, struct str input,
	struct error *err)
{
	struct str argv[TOOL_ARGV_MAX];
	struct exec_params params = {
		.argv = { argv, 0 },
		.cwd = str_from(pack->cwd),
		.has_stdin = true,
		.timeout_ms = pc->timeout_ms,
		.cols = 80,
		.rows = 24,
		.log_bytes = 2 * TOOL_OUTPUT_MAX,
	};
	for (size_t i = 0; pack->argv[i]; i++)
		argv[params.argv.n++] = str_from(pack->argv[i]);
	auto_arena struct arena arena = ARENA_INIT(2 * ENV_BYTES_MAX);
	params.env.keys = arena_new_n(&arena, struct str, pack->env.n);
	params.env.values = arena_new_n(&arena, struct str, pack->env.n);
	for (; params.env.n < pack->env.n; params.env.n++) {
		struct str var = str_from(pack->env.vars[params.env.n]);
		ptrdiff_t at = str_find_char(var, '=');
		params.env.keys[params.env.n] = str_first(var, (size_t)at);
		params.env.values[params.env.n] = str_skip(var, (size_t)at + 1);
	}
	if (process_start(pack->box->executor, &params, &pc->process, err) < 0)
		return -1;
	pc->watch.on_end = on_end;
	if (process_write(pc->process, input, err) < 0)
		return -1;
	process_write_eof(pc->process);
	process_watch_add(pc->process, &pc->watch);
	return 0;
}

static void program_call(struct tool *tool, struct call *call, const struct tool_wish *wish)
{
	auto_buf struct buf object = BUF_INIT(FRAME_PAYLOAD_MAX);
	struct error err;
	if (tool_bind(tool->name, tool->schema, wish->text, &object, &err) < 0) {
		tool_raise(call, "TypeError", str_from(err.text), clock_mono_us());
		return;
	}
	if (tool->pack->n_calls >= TOOL_CALLS_MAX) {
		error_set(&err, ERROR_LIMIT, "%d calls of %s are under way", TOOL_CALLS_MAX,
			tool->name);
		call_fail(call, &err);
		return;
	}
	struct program_call *pc = mem_new(struct program_call);
	list_init(&pc->watch.link);
	pc->timeout_ms = wish->timeout_ms;
	tool_use_begin(&pc->use, tool->pack, call);
	if (start(tool->pack, pc, buf_str(&object), &err) < 0) {
		end(pc);
		call_fail(call, &err);
	}
}

static void program_drop(struct tool_use *use)
{
	end(container_of(use, struct program_call, use));
}

static void program_reset(struct tool_pack *pack, const struct error *why)
{
	while (!list_is_empty(&pack->uses)) {
		struct tool_use *use = list_get_first(&pack->uses, struct tool_use, link);
		struct call *call = use->call;
		end(container_of(use, struct program_call, use));
		call_fail(call, why);
	}
}

const struct tool_kind tool_program = {
	.name = "program",
	.load = program_load,
	.call = program_call,
	.drop = program_drop,
	.reset = program_reset,
};
