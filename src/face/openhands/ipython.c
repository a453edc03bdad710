/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The action `run_ipython`: a cell in the sandbox's one kernel. Its content is what the cell
 * printed and showed, in order and with nothing between, as the original puts the messages of its
 * kernel together.
 *
 * The kernel follows the shell: where that has changed its directory since the last cell, so does
 * the kernel; what a cell does to its own directory stays until then. The first cell of a sandbox
 * opens the kernel, with the functions for agents if that plugin was asked for; prepare.c has done
 * so already where the plugins are known.
 */
#include "face/openhands/ipython.h"

#include "action/kernel_actions.h"
#include "base/auto.h"
#include "base/bug.h"
#include "face/openhands/cursor.h"
#include "face/openhands/kinds.h"
#include "face/openhands/observation.h"
#include "face/openhands/prepare.h"
#include "face/openhands/request.h"
#include "runtime/runtime.h"

#include <ctype.h>

enum { PARAMS_MAX = 16 * 1024 * 1024, CONTENT_MAX = 32 * 1024 * 1024 };

#define NOTHING "[Code executed successfully with no output]"

struct ipython_args {
	struct str code;
	bool has_extra;
	const struct json *ignored;
};

static const struct field ipython_fields[] = {
	{ "code", FIELD_STRING, FIELD_AT(struct ipython_args, code), FIELD_REQUIRED,
		.help = "the cell" },
	{ "include_extra", FIELD_BOOL, FIELD_AT(struct ipython_args, has_extra), .standard = "true",
		.help = "tell the directory and the interpreter too" },
	REQUEST_IGNORED(struct ipython_args, "thought"),
	REQUEST_IGNORED(struct ipython_args, "confirmation_state"),
	REQUEST_IGNORED(struct ipython_args, "is_confirmed"),
	REQUEST_IGNORED(struct ipython_args, "security_risk"),
	REQUEST_IGNORED(struct ipython_args, "kernel_init_code"),
	REQUEST_IGNORED(struct ipython_args, "timestamp"),
	{ 0 },
};

/* ---- the content ---- */

/* ESC [ d (;d){0,2} m: what the original takes out of it. Its length, or 0. */
static size_t colour_len(struct str s)
{
	size_t i = 2;
	if (!str_starts(s, STR("\033[")))
		return 0;
	for (int n = 0; n < 3; n++) {
		size_t first = i;
		while (i < s.len && isdigit((unsigned char)s.ptr[i]))
			i++;
		if (i == first || i == s.len)
			return 0;
		if (s.ptr[i] == 'm')
			return i + 1;
		if (s.ptr[i++] != ';')
			return 0;
	}
	return 0;
}

void ipython_put_uncoloured(struct buf *b, struct str s)
{
	while (s.len) {
		size_t colour = colour_len(s);
		ptrdiff_t next = colour ? 0 : str_find_char(str_skip(s, 1), '\033');
		struct str plain = str_first(s, next < 0 ? s.len : (size_t)next + 1);
		if (!colour)
			buf_put(b, plain);
		s = str_skip(s, colour ? colour : plain.len);
	}
}

static void put_output(struct buf *b, const struct json *output)
{
	struct str type = json_str(json_find(output, "type"));
	const struct json *traceback = json_find(output, "traceback");
	if (str_is(type, "stream"))
		buf_put(b, json_str(json_find(output, "text")));
	else if (str_is(type, "gap"))
		buf_printf(b, "\n[... %lld bytes are left out here ...]\n",
			(long long)json_int(json_find(output, "bytes")));
	else if (str_is(type, "display_data") || str_is(type, "execute_result"))
		buf_put(b, json_str(json_find(json_find(output, "data"), "text/plain")));
	for (size_t i = 0; i < json_len(traceback); i++) {
		buf_puts(b, i ? "\n" : "");
		buf_put(b, json_str(json_at(traceback, i)));
	}
}

static void put_content(struct buf *b, const struct job *job, const struct json *result)
{
	auto_buf struct buf coloured = BUF_INIT(CONTENT_MAX);
	const struct json *outputs = json_find(result, "outputs");
	struct str status = json_str(json_find(result, "status"));
	if (str_is(status, "timed_out")) {
		buf_printf(b, "[Execution timed out (%s seconds).]", job->timeout_text);
		return;
	}
	for (size_t i = 0; i < json_len(outputs); i++)
		put_output(&coloured, json_at(outputs, i));
	if (str_is(status, "ended")) {
		buf_puts(&coloured, coloured.len ? "\n[" : "[");
		buf_put(&coloured, json_str(json_find(json_find(result, "error"), "value")));
		buf_puts(&coloured, ". The next cell starts a new one, with nothing of the old.]");
	}
	if (coloured.len == 0)
		buf_puts(&coloured, NOTHING);
	ipython_put_uncoloured(b, buf_str(&coloured));
	while (b->len && isspace((unsigned char)b->ptr[b->len - 1]))
		buf_cut(b, b->len - 1);
}

/* Views into the result, in the request's arena. */
static struct field_strings images_of(const struct job *job, const struct json *result)
{
	const struct json *outputs = json_find(result, "outputs");
	struct arena *arena = &job->request->arena;
	struct field_strings images = { arena_new_n(arena, struct str, json_len(outputs) + 1), 0 };
	for (size_t i = 0; i < json_len(outputs); i++) {
		const struct json *data = json_find(json_at(outputs, i), "data");
		struct str png = json_str(json_find(data, "image/png"));
		if (png.len)
			images.items[images.n++] = png;
	}
	return images;
}

static void answer(struct job *job, const struct json *result)
{
	const struct ipython_args *args = job->args;
	struct cursor *c = job->cursor;
	auto_buf struct buf content = BUF_INIT(CONTENT_MAX);
	struct str python = json_str(json_find(result, "python"));
	put_content(&content, job, result);
	if (args->has_extra) {
		buf_printf(&content, "\n[Jupyter current working directory: %s]", c->cwd);
		buf_puts(&content, "\n[Jupyter Python interpreter: ");
		buf_put(&content, python.len ? python : str_from(ipython_spec(job->rt, c->id)));
		buf_puts(&content, "]");
	}
	struct ipython_observation o = {
		.code = args->code,
		.content = buf_str(&content),
		.images = images_of(job, result),
	};
	auto_buf struct buf b = JOB_OBSERVATION_INIT;
	observation_put_ipython(&b, &o);
	job_answer(job, &b);
}

/* ---- what is asked of the core ---- */

static struct str plugins_of(struct runtime *rt, const char *id)
{
	const struct sandbox *s = runtime_find(rt, str_from(id), NULL);
	return s ? sandbox_label(s, STR(LABEL_PLUGINS)) : STR_NONE;
}

/* A sandbox that this face has not prepared says nothing of plugins: it has what there is. */
static bool has_plugin(struct str plugins, const char *name)
{
	struct str one;
	if (!plugins.ptr)
		return true;
	while (str_split(&plugins, ',', &one))
		if (str_is(one, name))
			return true;
	return false;
}

const char *ipython_spec(struct runtime *rt, const char *id)
{
	const struct sandbox *s = runtime_find(rt, str_from(id), NULL);
	bool is_prepared = s && sandbox_label(s, STR(LABEL_PLUGINS)).ptr && !sandbox_is_bare(s);
	return is_prepared ? PREPARE_PYTHON : "python";
}

bool ipython_put_open(struct runtime *rt, const char *id, bool waits, struct buf *params)
{
	struct str plugins = plugins_of(rt, id);
	struct jsonw w = JSONW(params);
	jsonw_open(&w);
	jsonw_key_str(&w, "spec", str_from(ipython_spec(rt, id)));
	jsonw_key_bool(&w, "skills", has_plugin(plugins, "agent_skills"));
	jsonw_key_bool(&w, "wait", waits);
	jsonw_close(&w);
	return has_plugin(plugins, "jupyter");
}

/* Without is_moved the kernel stays where it is. */
static void ask(struct job *job, bool is_moved, job_step_fn *next)
{
	const struct ipython_args *args = job->args;
	auto_buf struct buf params = BUF_INIT(PARAMS_MAX);
	struct jsonw w = JSONW(&params);
	jsonw_open(&w);
	jsonw_key_str(&w, "code", args->code);
	if (is_moved)
		jsonw_key_str(&w, "cwd", str_from(job->cursor->cwd));
	jsonw_key_int(&w, "timeout_ms", job->timeout_ms);
	jsonw_key_bool(&w, "history", false);
	jsonw_key_bool(&w, "capture", true);
	jsonw_key_int(&w, "output_bytes", CELL_OUTPUT_MAX);
	jsonw_close(&w);
	job_perform(job, &cell_action, &params, next);
}

static void on_cell(struct job *job, const struct json *result, const struct error *err)
{
	struct cursor *c = job->cursor;
	if (err) {
		job_refuse(job, str_from(err->text));
		return;
	}
	if (str_is(json_str(json_find(result, "status")), "ended")) {
		free(c->kernel_cwd); /* the next one starts somewhere else */
		c->kernel_cwd = NULL;
	}
	answer(job, result);
}

/* The shell's directory is gone: the kernel stays where it is. */
static void on_moved_cell(struct job *job, const struct json *result, const struct error *err)
{
	struct cursor *c = job->cursor;
	free(c->kernel_cwd);
	c->kernel_cwd = mem_strdup(c->cwd);
	if (err && err->code == ERROR_NOT_FOUND)
		ask(job, false, on_cell);
	else
		on_cell(job, result, err);
}

static void begin(struct job *job)
{
	struct cursor *c = job->cursor;
	bool is_moved = !c->kernel_cwd || strcmp(c->kernel_cwd, c->cwd) != 0;
	ask(job, is_moved, is_moved ? on_moved_cell : on_cell);
}

static void on_open(struct job *job, const struct json *result, const struct error *err)
{
	if (err &&
		err->code != ERROR_CONFLICT) { /* somebody else has opened it, as something else */
		job_refuse(job, str_from(err->text));
		return;
	}
	job->cursor->has_kernel = true;
	begin(job);
}

static void ipython_start(struct job *job, const void *args)
{
	struct cursor *c = job->cursor;
	auto_buf struct buf params = BUF_INIT(4096);
	if (job_is_cli(job))
		job_refuse(job, STR("Executing IPython cells is not implemented in CLIRuntime. "));
	else if (!ipython_put_open(job->rt, c->id, false, &params))
		job_fail(job, "JupyterRequirement not found. Unable to run IPython action.");
	else if (c->has_kernel)
		begin(job);
	else
		job_perform(job, &kernel_open_action, &params, on_open);
}

const struct job_kind run_ipython_kind = {
	.name = "run_ipython",
	.fields = ipython_fields,
	.args_size = sizeof(struct ipython_args),
	.start = ipython_start,
};
