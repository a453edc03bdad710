/* SPDX-License-Identifier: Apache-2.0 */
/* cay py: a cell in a kernel of a sandbox, its output as it comes. */
#include "cli/client.h"

#include "base/auto.h"
#include "base/bug.h"
#include "cli/options.h"
#include "cli/stream.h"

enum { CODE_MAX = 8 * 1024 * 1024, PARAMS_MAX = 15 * 1024 * 1024, READ_STEP = 64 * 1024 };

static int read_code(struct buf *code, struct error *err)
{
	for (;;) {
		char *room = buf_room(code, READ_STEP);
		ssize_t n = room ? read(STDIN_FILENO, room, READ_STEP) : 0;
		if (!room)
			return error_set(err, ERROR_TOO_LARGE, "more than %d bytes of code",
				CODE_MAX);
		if (n < 0 && errno != EINTR)
			return error_sys(err, errno, "read standard input");
		if (n == 0)
			return 0;
		if (n > 0)
			buf_grown(code, (size_t)n);
	}
}

static int put_params(struct jsonw *w, const struct py_options *o, struct str code,
	struct error *err)
{
	jsonw_open(w);
	jsonw_key_str(w, "code", code);
	jsonw_key_str(w, "kernel", str_from(o->kernel));
	if (o->spec)
		jsonw_key_str(w, "spec", str_from(o->spec));
	if (o->workdir)
		jsonw_key_str(w, "cwd", str_from(o->workdir));
	jsonw_key_int(w, "timeout_ms", o->timeout_ms);
	jsonw_key_bool(w, "capture", o->common.json);
	jsonw_close(w);
	return w->b->is_full
		? error_set(err, ERROR_TOO_LARGE, "the code does not fit into a request")
		: 0;
}

static int exit_status(const struct json *result)
{
	static const struct {
		const char *status;
		int exit;
	} statuses[] = {
		{ "ok", 0 },
		{ "interrupted", 130 },
		{ "timed_out", 124 },
	};
	struct str status = json_str(json_find(result, "status"));
	for (size_t i = 0; i < ARRAY_LEN(statuses); i++)
		if (str_is(status, statuses[i].status))
			return statuses[i].exit;
	return 1;
}

static int py_at_once(struct remote *s, const char *sandbox, struct str params, struct error *err)
{
	auto_json struct json *result = NULL;
	auto_buf struct buf text = BUF_INIT(REMOTE_REPLY_MAX);
	if (remote_act(s, sandbox, "cell", params, &result, err) < 0)
		return -1;
	json_write(result, &text);
	if (out_line(buf_str(&text), err) < 0)
		return -1;
	return exit_status(result);
}

static int py_streaming(struct remote *s, const struct py_options *o, const char *sandbox,
	struct str params, struct error *err)
{
	struct stream stream = {
		.sandbox = sandbox,
		.action = "cell",
		.params = params,
		.has_signals = true,
		.is_raw = o->raw,
		.detach_key = -1,
	};
	auto_json struct json *answer = NULL;
	if (stream_run(s, &stream, &answer, err) < 0)
		return -1;
	const struct json *result = json_find(answer, "result");
	struct str status = json_str(json_find(result, "status"));
	struct str why = json_str(json_find(json_find(result, "error"), "value"));
	if (str_is(status, "timed_out"))
		out_note("py: interrupted: --timeout was over");
	else if (str_is(status, "ended"))
		out_note("py: %.*s", STR_ARG(str_first(why, 300)));
	return exit_status(result);
}

int py_main(struct invocation *in, struct error *err)
{
	const struct py_options *o = in->values;
	auto_buf struct buf code = BUF_INIT(CODE_MAX);
	auto_buf struct buf params = BUF_INIT(PARAMS_MAX);
	auto_remote struct remote s = REMOTE_INIT;
	struct jsonw w = JSONW(&params);
	if (in->n_args > 1)
		buf_puts(&code, in->args[1]);
	else if (read_code(&code, err) < 0)
		return -1;
	if (put_params(&w, o, buf_str(&code), err) < 0 || remote_open(in, &s, err) < 0)
		return -1;
	if (o->common.json)
		return py_at_once(&s, in->args[0], buf_str(&params), err);
	return py_streaming(&s, o, in->args[0], buf_str(&params), err);
}
