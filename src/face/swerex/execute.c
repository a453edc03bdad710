/* SPDX-License-Identifier: Apache-2.0 */
/* /execute: as Python's subprocess.run, without input. */
#include "action/process_actions.h"
#include "base/auto.h"
#include "base/num.h"
#include "face/swerex/state.h"
#include "wire/pycall.h"

#include <math.h>

enum { PARAMS_MAX = 4 * SWEREX_BODY_MAX, MESSAGE_BYTES = 8 * SWEREX_OUTPUT_MAX };

struct execution {
	const struct json *command, *env;
	struct str error_msg, cwd;
	double timeout_s;
	bool is_shell, checks, merges;
};

static void put_command(struct buf *b, const struct json *command)
{
	pycall_put_json(b, command);
}

static void raise_timeout(struct turn *turn, const struct execution *x)
{
	char seconds[NUM_REAL_SIZE];
	num_print_real(seconds, x->timeout_s);
	turn_raise_text(turn, FAULT("CommandTimeoutError"),
		"Timeout (%ss) exceeded while running command", seconds);
}

static void raise_non_zero(struct turn *turn, const struct execution *x, int64_t code,
	struct str out, struct str err)
{
	auto_buf struct buf text = BUF_INIT(MESSAGE_BYTES);
	if (x->error_msg.len) {
		buf_put(&text, x->error_msg);
		buf_puts(&text, ": ");
	}
	buf_puts(&text, "Command ");
	put_command(&text, x->command);
	buf_printf(&text, " failed with exit code %lld. Stdout:\n", (long long)code);
	pycall_put_repr(&text, out);
	buf_puts(&text, "\nStderr:\n");
	pycall_put_repr(&text, err);
	turn_raise(turn, FAULT("NonZeroExitCodeError"), &text, NULL);
}

/* What the log does not hold any more is said where errors are. */
static void put_stderr(const struct execution *x, const struct json *result, struct str text,
	int64_t dropped, struct jsonw *w)
{
	auto_buf struct buf b = BUF_INIT(HTTP_REPLY_MAX);
	buf_put(&b, text);
	if (dropped > 0)
		buf_printf(&b, "%s[the middle of the output is missing: %lld bytes]\n",
			b.len && b.ptr[b.len - 1] != '\n' ? "\n" : "", (long long)dropped);
	jsonw_key_str(w, "stderr", buf_str(&b));
}

static void on_done(struct turn *turn, const struct json *result)
{
	const struct execution *x = turn->state;
	struct str out = json_str(json_find(result, "stdout"));
	struct str err = json_str(json_find(result, "stderr"));
	auto_buf struct buf b = BUF_INIT(HTTP_REPLY_MAX);
	struct jsonw w = JSONW(&b);
	if (json_bool(json_find(result, "timed_out"))) {
		raise_timeout(turn, x);
		return;
	}
	int signo = process_signal_number(result);
	int64_t code = signo ? -signo : json_int(json_find(result, "exit_code"));
	if (x->checks && code) {
		raise_non_zero(turn, x, code, out, err);
		return;
	}
	jsonw_open(&w);
	jsonw_key_str(&w, "stdout", out);
	put_stderr(x, result, err, json_int(json_find(result, "dropped_bytes")), &w);
	jsonw_key_int(&w, "exit_code", code);
	jsonw_close(&w);
	turn_reply_buf(turn, &b);
}

static bool is_command(const struct json *command)
{
	bool is_good = json_kind(command) == JSON_KIND_STR || json_len(command) > 0;
	if (json_kind(command) == JSON_KIND_OBJECT)
		return false;
	for (size_t i = 0; is_good && i < json_len(command); i++)
		is_good = json_kind(json_at(command, i)) == JSON_KIND_STR;
	return is_good;
}

static void put_argv(const struct execution *x, struct jsonw *w)
{
	jsonw_key(w, "argv");
	jsonw_open_array(w);
	if (x->is_shell) {
		jsonw_str(w, STR("/bin/sh"));
		jsonw_str(w, STR("-c"));
	}
	if (json_kind(x->command) == JSON_KIND_STR)
		jsonw_str(w, json_str(x->command));
	else
		for (size_t i = 0; i < json_len(x->command); i++)
			jsonw_str(w, json_str(json_at(x->command, i)));
	jsonw_close_array(w);
}

static void put_env(const struct json *env, struct jsonw *w)
{
	const struct json *value;
	struct str name;
	void *it = NULL;
	jsonw_key(w, "env");
	jsonw_open(w);
	while ((value = json_next(env, &it, &name))) {
		jsonw_key_dyn(w, name);
		jsonw_str(w, json_str(value));
	}
	jsonw_close(w);
	jsonw_key_bool(w, "env_replaces", true);
}

static void start(struct turn *turn, struct execution *x)
{
	auto_buf struct buf params = BUF_INIT(PARAMS_MAX);
	struct jsonw w = JSONW(&params);
	jsonw_open(&w);
	put_argv(x, &w);
	if (x->env)
		put_env(x->env, &w);
	if (x->cwd.len)
		jsonw_key_str(&w, "cwd", x->cwd);
	if (x->timeout_s >= 0)
		jsonw_key_int(&w, "timeout_ms",
			MAX((int64_t)ceil(x->timeout_s * 1000), (int64_t)1));
	jsonw_key_bool(&w, "capture", true);
	jsonw_key_bool(&w, "merge", x->merges);
	jsonw_key_int(&w, "log_bytes", SWEREX_OUTPUT_MAX);
	jsonw_key_str(&w, "invalid", STR("escape"));
	jsonw_close(&w);
	turn->state = x;
	turn_perform(turn, &exec_action, &params, on_done);
}

static bool take_cwd(struct turn *turn, struct str *ret)
{
	const struct json *cwd = json_find(turn->body, "cwd");
	*ret = STR_NONE;
	return json_kind(cwd) == JSON_KIND_NULL || body_str(turn, "cwd", "", ret);
}

static void execute(struct turn *turn)
{
	struct execution *x = arena_new(&turn->r->arena, struct execution);
	x->command = json_find(turn->body, "command");
	if (!x->command) {
		body_refuse(turn, "command", "missing", "Field required");
		return;
	}
	if (!is_command(x->command)) {
		body_refuse(turn, "command", "string_type",
			"Input should be a valid string or a list of them");
		return;
	}
	if (!body_seconds(turn, "timeout", -1, &x->timeout_s) ||
		!body_bool(turn, "shell", &x->is_shell) || !body_bool(turn, "check", &x->checks) ||
		!body_str(turn, "error_msg", "", &x->error_msg) ||
		!body_map(turn, "env", &x->env) || !take_cwd(turn, &x->cwd) ||
		!body_bool(turn, "merge_output_streams", &x->merges))
		return;
	start(turn, x);
}

void swerex_execute(struct http_request *r)
{
	turn_begin(r, execute);
}
