/* SPDX-License-Identifier: Apache-2.0 */
/*
 * run, exec, cell, configure, info.
 *
 * How a command went is told in two places: the exit code (-1: it goes on, or was not run), and a
 * suffix in words that says why. The words are those of the original server; another one's that
 * mean nothing here are a command that goes on. Hidden, so that nothing is cut from the output.
 */
#include "runtime/remote/verbs.h"

#include "action/executor_actions.h"
#include "action/kernel_actions.h"
#include "action/process_actions.h"
#include "action/session_actions.h"
#include "base/auto.h"
#include "base/bug.h"
#include "base/clock.h"
#include "wire/base64.h"
#include "wire/frame.h"

enum { INFO_MS = 10000, CONFIGURE_MS = 30000, QUOTED_MAX = 8 * 1024 * 1024 };

static int64_t duration_ms(const struct far *far)
{
	return clock_mono_ms() - far->started_ms;
}

/* ---- run ---- */

static const char *status_of(const struct json *observation)
{
	const struct json *metadata = json_find(json_find(observation, "extras"), "metadata");
	struct str suffix = json_str(json_find(metadata, "suffix"));
	if (far_exit_code(observation) >= 0)
		return "exited";
	return str_find(suffix, STR("has no new output after")) >= 0 ? "quiet" : "running";
}

static void put_run(const struct far *far, const struct json *observation, struct buf *b)
{
	const struct run_params *p = far->params;
	const struct json *extras = json_find(observation, "extras");
	const struct json *metadata = json_find(extras, "metadata");
	int64_t code = far_exit_code(observation);
	struct str python = json_str(json_find(metadata, "py_interpreter_path"));
	struct str cwd = json_str(json_find(metadata, "working_dir"));
	struct jsonw w = JSONW(b);
	jsonw_open(&w);
	jsonw_key_str(&w, "status", str_from(status_of(observation)));
	jsonw_key(&w, "exit_code");
	if (code >= 0)
		jsonw_int(&w, code);
	else
		jsonw_null(&w);
	jsonw_key_str(&w, "output", json_str(json_find(observation, "content")));
	jsonw_key_int(&w, "truncated_bytes", 0);
	jsonw_key_int(&w, "truncated_lines", 0);
	jsonw_key_str(&w, "session", p->session);
	jsonw_key_str(&w, "command", p->command.ptr ? p->command : STR(""));
	jsonw_key_str(&w, "cwd", cwd.len ? cwd : str_from(far->site->workdir ?: ""));
	jsonw_key_int(&w, "background_pid", json_int(json_find(metadata, "pid")));
	jsonw_key_str(&w, "python", python.ptr ? python : STR(""));
	jsonw_key_int(&w, "duration_ms", duration_ms(far));
	jsonw_key_bool(&w, "is_new_shell", false);
	jsonw_close(&w);
}

static void on_run(struct far *far, const struct json *observation)
{
	auto_buf struct buf b = BUF_INIT(FRAME_PAYLOAD_MAX);
	const struct json *metadata = json_find(json_find(observation, "extras"), "metadata");
	struct str suffix = json_str(json_find(metadata, "suffix"));
	struct str content = json_str(json_find(observation, "content"));
	struct error err;
	bool is_run = str_is(json_str(json_find(observation, "observation")), "run");
	if (!is_run || (far_exit_code(observation) < 0 && str_starts(content, STR("ERROR: ")))) {
		far_fail_observation(far, observation);
		return;
	}
	if (str_find(suffix, STR("is NOT executed")) >= 0) {
		error_set(&err, ERROR_CONFLICT, "run: the session runs another command");
		far_fail(far, &err);
		return;
	}
	put_run(far, observation, &b);
	far_finish(far, &b);
}

bool far_refuses_run(struct far *far, const struct run_params *p)
{
	bool refuses = !p->open || p->or_run || p->queue || p->syntax || p->expect.n;
	if (refuses)
		far_refuse(far,
			"way to look for what is expected, to check a command, or to queue it");
	return refuses;
}

static void run_start(struct far *far)
{
	const struct run_params *p = far->params;
	auto_buf struct buf command = BUF_INIT(QUOTED_MAX);
	if (far_refuses_run(far, p))
		return;
	if (!str_is(p->session, "main")) {
		far_refuse(far, "session but main");
		return;
	}
	if (str_find_char(p->keys, ' ') >= 0) {
		far_refuse(far, "way to press several keys at once");
		return;
	}
	if (p->cwd.len && !p->fresh) {
		buf_puts(&command, "cd -- ");
		far_put_quoted(&command, p->cwd);
		buf_puts(&command, " && eval ");
		far_put_quoted(&command, p->command);
	} else {
		buf_put(&command, p->keys.len ? p->keys : p->command);
	}
	struct jsonw w = far_args(far, "run");
	jsonw_key_str(&w, "command", buf_str(&command));
	jsonw_key_bool(&w, "is_input", p->input || p->keys.len);
	jsonw_key_bool(&w, "hidden", true);
	jsonw_key_bool(&w, "blocking", p->quiet_ms == 0);
	if (p->fresh) {
		jsonw_key_bool(&w, "is_static", true);
		if (p->cwd.len)
			jsonw_key_str(&w, "cwd", p->cwd);
	}
	far_act(far, &w, p->timeout_ms, on_run);
}

const struct far_verb far_run = { .action = &run_action, .start = run_start };

/* ---- exec ---- */

void far_send(struct far *far, uint8_t channel, struct str bytes)
{
	while (bytes.len) {
		struct str piece = str_first(bytes, FRAME_DATA_MAX);
		channel_send(far->channel, FRAME_DATA, channel, piece);
		bytes = str_skip(bytes, piece.len);
	}
}

static void put_process(const struct far *far, struct str output, int64_t code, bool is_tty,
	struct buf *b)
{
	const struct exec_params *p = far->params;
	struct jsonw w = JSONW(b);
	jsonw_open(&w);
	jsonw_key_str(&w, "process", STR(""));
	jsonw_key_str(&w, "name", p->name.ptr ? p->name : STR(""));
	jsonw_key_int(&w, "pid", -1);
	jsonw_key(&w, "argv");
	jsonw_open_array(&w);
	for (size_t i = 0; i < p->argv.n; i++)
		jsonw_str(&w, p->argv.items[i]);
	jsonw_close_array(&w);
	jsonw_key_str(&w, "cwd", p->cwd.len ? p->cwd : str_from(far->site->workdir ?: ""));
	jsonw_key_str(&w, "status", STR("exited"));
	jsonw_key(&w, "exit_code");
	if (code >= 0)
		jsonw_int(&w, code);
	else
		jsonw_null(&w);
	jsonw_key(&w, "signal");
	if (code >= 0)
		jsonw_null(&w);
	else
		jsonw_str(&w, STR("KILL"));
	jsonw_key_bool(&w, "timed_out", code < 0);
	jsonw_key_int(&w, "stdout_bytes", (int64_t)output.len);
	jsonw_key_int(&w, "stderr_bytes", 0);
	jsonw_key_int(&w, "dropped_bytes", 0);
	jsonw_key_bool(&w, "is_tty", is_tty);
	jsonw_key_int(&w, "started_ms", clock_wall_ms() - duration_ms(far));
	jsonw_key_int(&w, "duration_ms", duration_ms(far));
	if (p->capture) {
		jsonw_key_str(&w, "stdout", output);
		jsonw_key_str(&w, "stderr", STR(""));
	}
	jsonw_close(&w);
}

/* The far end has one stream for both, told at the end. */
void far_finish_exec(struct far *far, struct str output, int64_t code, bool is_tty)
{
	const struct exec_params *p = far->params;
	auto_buf struct buf b = BUF_INIT(FRAME_PAYLOAD_MAX);
	if (!p->capture)
		far_send(far, 1, output);
	put_process(far, output, code, is_tty, &b);
	far_finish(far, &b);
}

static void on_exec(struct far *far, const struct json *observation)
{
	if (!str_is(json_str(json_find(observation, "observation")), "run")) {
		far_fail_observation(far, observation);
		return;
	}
	if (!far_has_ended(observation)) {
		far_fail_unended(far);
		return;
	}
	far_finish_exec(far, far_said(observation), far_exit_code(observation), true);
}

static void exec_start(struct far *far)
{
	const struct exec_params *p = far->params;
	auto_buf struct buf command = BUF_INIT(QUOTED_MAX);
	if (p->has_stdin || p->detach || p->tty || p->user.len || p->env_replaces) {
		far_refuse(far,
			"process with input, a terminal, a user or an environment of its own, or in the background");
		return;
	}
	if (p->env.n)
		buf_puts(&command, "env ");
	for (size_t i = 0; i < p->env.n; i++) {
		auto_free char *pair = mem_printf("%.*s=%.*s", STR_ARG(p->env.keys[i]),
			STR_ARG(p->env.values[i]));
		far_put_quoted(&command, str_from(pair));
		buf_putc(&command, ' ');
	}
	for (size_t i = 0; i < p->argv.n; i++) {
		far_put_quoted(&command, p->argv.items[i]);
		buf_putc(&command, ' ');
	}
	far_put_end(&command);
	struct jsonw w = far_args(far, "run");
	jsonw_key_str(&w, "command", buf_str(&command));
	jsonw_key_bool(&w, "is_static", true);
	jsonw_key_bool(&w, "hidden", true);
	jsonw_key_bool(&w, "blocking", true);
	if (p->cwd.len || far->site->workdir)
		jsonw_key_str(&w, "cwd", p->cwd.len ? p->cwd : str_from(far->site->workdir));
	far_act(far, &w, p->timeout_ms, on_exec);
}

const struct far_verb far_exec = { .action = &exec_action, .start = exec_start };

/* ---- cell ---- */

static void put_images(struct jsonw *w, const struct json *urls)
{
	static const struct str png = { "data:image/png;base64,", 22 };
	for (size_t i = 0; i < json_len(urls); i++) {
		struct str url = json_str(json_at(urls, i));
		if (!str_starts(url, png))
			continue;
		jsonw_open(w);
		jsonw_key_str(w, "type", STR("display_data"));
		jsonw_key(w, "data");
		jsonw_open(w);
		jsonw_key_str(w, "image/png", str_skip(url, png.len));
		jsonw_close(w);
		jsonw_key(w, "metadata");
		jsonw_open(w);
		jsonw_close(w);
		jsonw_close(w);
	}
}

static void put_outputs(struct jsonw *w, const struct json *observation, struct str text)
{
	jsonw_key(w, "outputs");
	jsonw_open_array(w);
	if (text.len) {
		jsonw_open(w);
		jsonw_key_str(w, "type", STR("stream"));
		jsonw_key_str(w, "name", STR("stdout"));
		jsonw_key_str(w, "text", text);
		jsonw_close(w);
	}
	put_images(w, json_find(json_find(observation, "extras"), "image_urls"));
	jsonw_close_array(w);
}

/* What the server says in place of an output. */
static bool is_nothing(struct str text)
{
	return str_is(text, "[Code executed successfully with no output]");
}

static bool is_timeout(struct str text)
{
	return str_starts(text, STR("[Execution timed out (")) &&
		str_ends(text, STR(" seconds).]"));
}

static void on_cell(struct far *far, const struct json *observation)
{
	const struct cell_params *p = far->params;
	struct str text = json_str(json_find(observation, "content"));
	auto_buf struct buf b = BUF_INIT(FRAME_PAYLOAD_MAX);
	struct jsonw w = JSONW(&b);
	if (!str_is(json_str(json_find(observation, "observation")), "run_ipython")) {
		far_fail_observation(far, observation);
		return;
	}
	bool is_over_time = is_timeout(text);
	if (is_over_time || is_nothing(text))
		text = STR("");
	if (!p->capture)
		far_send(far, 1, text);
	jsonw_open(&w);
	/* Whether it failed is not said: an observation of a cell is always a success. */
	jsonw_key_str(&w, "status", is_over_time ? STR("timed_out") : STR("ok"));
	jsonw_key(&w, "execution_count");
	jsonw_null(&w);
	jsonw_key(&w, "error");
	jsonw_null(&w);
	jsonw_key_str(&w, "text", text);
	if (p->capture)
		put_outputs(&w, observation, text);
	jsonw_key_int(&w, "truncated_bytes", 0);
	jsonw_key_str(&w, "kernel", p->kernel);
	jsonw_key_str(&w, "spec", STR("python"));
	jsonw_key_str(&w, "python", STR(""));
	jsonw_key_bool(&w, "is_new_kernel", false);
	jsonw_key_int(&w, "duration_ms", duration_ms(far));
	jsonw_close(&w);
	far_finish(far, &b);
}

static void cell_start(struct far *far)
{
	const struct cell_params *p = far->params;
	if (!str_is(p->kernel, "default") || p->cwd.len ||
		(p->spec.len && !str_is(p->spec, "python"))) {
		far_refuse(far, "kernel but its own");
		return;
	}
	if (p->env.n) {
		far_refuse(far, "variables for one cell");
		return;
	}
	struct jsonw w = far_args(far, "run_ipython");
	jsonw_key_str(&w, "code", p->code);
	jsonw_key_bool(&w, "include_extra", false);
	far_act(far, &w, p->timeout_ms, on_cell);
}

const struct far_verb far_cell = { .action = &cell_action, .start = cell_start };

/* ---- configure ---- */

static void on_configured(struct far *far, const struct json *observation)
{
	auto_buf struct buf b = BUF_INIT(64 * 1024);
	struct jsonw w = JSONW(&b);
	if (far_exit_code(observation) != 0) {
		far_fail_observation(far, observation);
		return;
	}
	jsonw_open(&w);
	jsonw_key_str(&w, "workdir", str_from(far->site->workdir ?: ""));
	jsonw_key_str(&w, "user",
		json_str(json_find(json_find(json_find(observation, "extras"), "metadata"),
			"username")));
	jsonw_close(&w);
	far_finish(far, &b);
}

static void configure_start(struct far *far)
{
	const struct configure_params *p = far->params;
	auto_buf struct buf command = BUF_INIT(QUOTED_MAX);
	if (p->user.len) {
		far_refuse(far, "other user");
		return;
	}
	buf_puts(&command, ":");
	for (size_t i = 0; i < p->env.n; i++) {
		buf_printf(&command, "; %s %.*s", p->env.values[i].len ? "export" : "unset",
			STR_ARG(p->env.keys[i]));
		if (!p->env.values[i].len)
			continue;
		buf_putc(&command, '=');
		far_put_quoted(&command, p->env.values[i]);
	}
	if (p->workdir.len) {
		buf_puts(&command, "; cd -- ");
		far_put_quoted(&command, p->workdir);
	}
	struct jsonw w = far_args(far, "run");
	jsonw_key_str(&w, "command", buf_str(&command));
	jsonw_key_bool(&w, "hidden", true);
	jsonw_key_bool(&w, "blocking", true);
	far_act(far, &w, CONFIGURE_MS, on_configured);
}

const struct far_verb far_configure = { .action = &configure_action, .start = configure_start };

/* ---- info ---- */

static void on_info(struct far *far, const struct json *info)
{
	const struct json *resources = json_find(info, "resources");
	const struct json *disk = json_find(resources, "disk");
	auto_buf struct buf b = BUF_INIT(64 * 1024);
	struct jsonw w = JSONW(&b);
	jsonw_open(&w);
	jsonw_key_str(&w, "workdir", str_from(far->site->workdir ?: ""));
	jsonw_key_int(&w, "uptime_ms", (int64_t)(1000 * json_double(json_find(info, "uptime"))));
	jsonw_key_int(&w, "idle_ms", (int64_t)(1000 * json_double(json_find(info, "idle_time"))));
	jsonw_key_int(&w, "disk_bytes", json_int(json_find(disk, "used")));
	jsonw_key_int(&w, "disk_limit_bytes", json_int(json_find(disk, "total")));
	jsonw_key_int(&w, "rss_bytes", json_int(json_find(json_find(resources, "memory"), "rss")));
	jsonw_close(&w);
	far_finish(far, &b);
}

static void info_start(struct far *far)
{
	far_ask(far, "GET", "/server_info", STR_NONE, INFO_MS, on_info);
}

const struct far_verb far_info = { .action = &info_action, .start = info_start };
