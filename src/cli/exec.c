/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/client.h"

#include "base/auto.h"
#include "cli/options.h"
#include "cli/stream.h"
#include "cli/terminal.h"

enum { PARAMS_MAX = 1024 * 1024 };

static int put_params(struct jsonw *w, const struct invocation *in, struct error *err)
{
	const struct exec_options *o = in->values;
	jsonw_open(w);
	jsonw_key(w, "argv");
	jsonw_open_array(w);
	for (int i = 1; i < in->n_args; i++)
		jsonw_str(w, str_from(in->args[i]));
	jsonw_close_array(w);
	if (client_put_env(w, &o->env, err) < 0)
		return -1;
	if (o->workdir)
		jsonw_key_str(w, "cwd", str_from(o->workdir));
	if (o->user)
		jsonw_key_str(w, "user", str_from(o->user));
	jsonw_key_int(w, "timeout_ms", o->timeout_ms);
	jsonw_key_bool(w, "stdin", o->input);
	jsonw_key_bool(w, "detach", o->detach);
	jsonw_key_bool(w, "capture", o->common.json && !o->detach);
	jsonw_key_bool(w, "tty", o->tty);
	if (o->tty) {
		int64_t cols, rows;
		terminal_size(&cols, &rows);
		jsonw_key_int(w, "cols", cols);
		jsonw_key_int(w, "rows", rows);
	}
	jsonw_close(w);
	return w->b->is_full
		? error_set(err, ERROR_TOO_LARGE, "more than %d bytes of arguments", PARAMS_MAX)
		: 0;
}

static int check_options(const struct exec_options *o, struct error *err)
{
	if (o->detach && (o->input || o->tty))
		return error_set(err, ERROR_INVALID,
			"--detach goes with neither --stdin nor --tty");
	if (o->common.json && (o->input || o->tty))
		return error_set(err, ERROR_INVALID, "--json goes with neither --stdin nor --tty");
	return 0;
}

/* One request, one answer: the process's id, or all of its output as JSON. */
static int exec_at_once(struct remote *s, const struct invocation *in, struct str params,
	struct error *err)
{
	const struct exec_options *o = in->values;
	auto_json struct json *process = NULL;
	auto_buf struct buf text = BUF_INIT(REMOTE_REPLY_MAX);
	if (remote_act(s, in->args[0], "exec", params, &process, err) < 0)
		return -1;
	if (o->common.json)
		json_write(process, &text);
	else
		clean_put(&text, json_str(json_find(process, "process")), false, true);
	if (out_line(buf_str(&text), err) < 0)
		return -1;
	return o->detach ? 0 : client_exit_status(process);
}

static int exec_streaming(struct remote *s, const struct invocation *in, struct str params,
	struct error *err)
{
	const struct exec_options *o = in->values;
	struct stream stream = {
		.sandbox = in->args[0],
		.action = "exec",
		.params = params,
		.has_input = o->input,
		.has_signals = true,
		.has_size = o->tty,
		.is_raw = o->tty || o->raw,
		.detach_key = -1,
	};
	auto_json struct json *answer = NULL;
	if (o->tty && o->input && isatty(STDIN_FILENO) && terminal_make_raw(STDIN_FILENO, err) < 0)
		return -1;
	int status = stream_run(s, &stream, &answer, err);
	terminal_restore();
	if (status < 0)
		return -1;
	const struct json *process = json_find(answer, "result");
	if (json_bool(json_find(process, "timed_out")))
		fprintf(stderr, "cay: exec: killed: --timeout was over\n");
	return client_exit_status(process);
}

int exec_main(struct invocation *in, struct error *err)
{
	const struct exec_options *o = in->values;
	auto_buf struct buf params = BUF_INIT(PARAMS_MAX);
	auto_remote struct remote s = REMOTE_INIT;
	struct jsonw w = JSONW(&params);
	if (check_options(o, err) < 0 || put_params(&w, in, err) < 0 ||
		remote_open(in, &s, err) < 0)
		return -1;
	if (o->detach || o->common.json)
		return exec_at_once(&s, in, buf_str(&params), err);
	return exec_streaming(&s, in, buf_str(&params), err);
}
