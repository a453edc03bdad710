/* SPDX-License-Identifier: Apache-2.0 */
/*
 * process.Process/Start and /Connect: what a process writes, as it writes it. Start waits for
 * its process and slows it down where the client is slow; Connect sees what comes from then on,
 * and misses what it does not take. Neither ends a process by going away, but Start's deadline
 * kills it.
 */
#include "face/e2b/process.h"

#include "action/process_actions.h"
#include "base/auto.h"
#include "base/bug.h"
#include "face/e2b/handlers.h"
#include "face/e2b/rpc.h"
#include "wire/base64.h"
#include "wire/frame.h"

enum { EXEC_TIMEOUT_MAX_MS = 86400000, ARGS_MAX = 4096 };

struct follow {
	struct e2b_stream stream;
	struct e2b *e2b;
	char id[ID_SIZE];
	struct runtime_call *call; /* NULL: it is over */
	bool is_tty, is_connect;
	struct e2b_selector selector; /* of Connect, until it is found */
};

static void follow_free(struct follow *f)
{
	if (f->call)
		runtime_call_cancel(f->call);
	free(f->selector.tag);
	free(f);
}

/* ---- events ---- */

static void send_start(struct follow *f, const struct json *process)
{
	auto_buf struct buf b = BUF_INIT(256);
	buf_printf(&b, "{\"event\":{\"start\":{\"pid\":%lld}}}",
		(long long)json_int(json_find(process, "pid")));
	e2b_stream_send(&f->stream, buf_str(&b));
}

static void on_data(void *arg, uint8_t channel, struct str bytes)
{
	struct follow *f = arg;
	auto_buf struct buf b = BUF_INIT(2 * FRAME_PAYLOAD_MAX);
	buf_printf(&b, "{\"event\":{\"data\":{\"%s\":\"",
		f->is_tty              ? "pty"
			: channel == 2 ? "stderr"
				       : "stdout");
	base64_encode(bytes, &b);
	buf_puts(&b, "\"}}}");
	e2b_stream_send(&f->stream, buf_str(&b));
	if (e2b_stream_is_full(&f->stream))
		runtime_call_pause(f->call, true);
}

static void on_drain(void *arg)
{
	struct follow *f = arg;
	if (f->call)
		runtime_call_pause(f->call, false);
}

static void on_closed(void *arg)
{
	follow_free(arg);
}

static const struct {
	const char *name, *text;
} signals[] = {
	{ "HUP", "hangup" },
	{ "INT", "interrupt" },
	{ "QUIT", "quit" },
	{ "ILL", "illegal instruction" },
	{ "TRAP", "trace/breakpoint trap" },
	{ "ABRT", "aborted" },
	{ "BUS", "bus error" },
	{ "FPE", "floating point exception" },
	{ "KILL", "killed" },
	{ "USR1", "user defined signal 1" },
	{ "SEGV", "segmentation fault" },
	{ "USR2", "user defined signal 2" },
	{ "PIPE", "broken pipe" },
	{ "ALRM", "alarm clock" },
	{ "TERM", "terminated" },
};

static const char *text_of(struct str signal)
{
	for (size_t i = 0; i < ARRAY_LEN(signals); i++)
		if (str_is(signal, signals[i].name))
			return signals[i].text;
	return "a signal";
}

/* As Go's os.ProcessState says it, which is what clients know. */
static void send_end(struct follow *f, const struct json *process)
{
	auto_buf struct buf b = BUF_INIT(4096), status = BUF_INIT(256);
	struct jsonw w = JSONW(&b);
	const struct json *code = json_find(process, "exit_code");
	struct str limit = json_str(json_find(process, "limit"));
	bool has_exited = json_kind(code) == JSON_KIND_INT;
	if (has_exited)
		buf_printf(&status, "exit status %lld", (long long)json_int(code));
	else
		buf_printf(&status, "signal: %s", text_of(json_str(json_find(process, "signal"))));
	buf_puts(&b, "{\"event\":{\"end\":");
	jsonw_open(&w);
	if (!has_exited || json_int(code))
		jsonw_key_int(&w, "exitCode", has_exited ? json_int(code) : -1);
	if (has_exited)
		jsonw_key_bool(&w, "exited", true);
	jsonw_key_str(&w, "status", buf_str(&status));
	if (limit.len)
		buf_printf(&status, " (the sandbox's limit: %.*s)", STR_ARG(limit));
	if (!has_exited || json_int(code))
		jsonw_key_str(&w, "error", buf_str(&status));
	jsonw_close(&w);
	buf_puts(&b, "}}");
	e2b_stream_send(&f->stream, buf_str(&b));
}

static void finish(struct follow *f, const struct json *process)
{
	struct error err;
	if (!f->is_connect && json_bool(json_find(process, "timed_out"))) {
		error_set(&err, ERROR_TIMEOUT, "the time for the command is over");
		e2b_stream_end(&f->stream, &err);
	} else {
		send_end(f, process);
		e2b_stream_end(&f->stream, NULL);
	}
	follow_free(f);
}

/* What went with its sandbox ends as if the machine were gone: that is how clients know. */
static void on_error(void *arg, const struct error *err)
{
	struct follow *f = arg;
	struct error own = *err;
	f->call = NULL;
	if (!e2b_box_find(f->e2b, str_from(f->id)) || err->code == ERROR_GONE) {
		e2b_stream_cut(&f->stream);
	} else {
		if (!f->is_connect && own.code == ERROR_NOT_FOUND)
			own.code = ERROR_INVALID;
		e2b_stream_end(&f->stream, &own);
	}
	follow_free(f);
}

/* ---- start ---- */

static void on_started(void *arg, struct str text)
{
	struct follow *f = arg;
	auto_json struct json *event = NULL;
	if (json_parse(text, &event, NULL) == 0 &&
		str_is(json_str(json_find(event, "event")), "started"))
		send_start(f, json_find(event, "process"));
}

static void on_exit_of_process(void *arg, struct str text)
{
	struct follow *f = arg;
	auto_json struct json *process = NULL;
	f->call = NULL;
	json_parse(text, &process, NULL);
	finish(f, process);
}

static void put_strings(struct jsonw *w, const char *key, const struct json *map)
{
	const struct json *value;
	struct str name;
	void *it = NULL;
	jsonw_key(w, key);
	jsonw_open(w);
	while (json_kind(map) == JSON_KIND_OBJECT && (value = json_next(map, &it, &name))) {
		jsonw_key_dyn(w, name);
		jsonw_str(w, json_str(value));
	}
	jsonw_close(w);
}

static void put_argv(struct jsonw *w, const struct json *process)
{
	const struct json *args = json_find(process, "args");
	jsonw_key(w, "argv");
	jsonw_open_array(w);
	jsonw_str(w, json_str(json_find(process, "cmd")));
	for (size_t i = 0; i < json_len(args) && i < ARGS_MAX; i++)
		jsonw_str(w, json_str(json_at(args, i)));
	jsonw_close_array(w);
}

static int put_start(struct http_request *r, const struct json *body, struct buf *params,
	struct error *err)
{
	const struct json *process = json_find(body, "process"), *size;
	const struct json *pty = json_find(body, "pty"), *input = json_find(body, "stdin");
	struct jsonw w = JSONW(params);
	struct str cwd = json_str(json_find(process, "cwd")), user;
	struct str tag = json_str(json_find(body, "tag"));
	const char *home;
	if (!json_str(json_find(process, "cmd")).len)
		return error_set(err, ERROR_INVALID, "process.cmd is wanted");
	if (json_len(json_find(process, "args")) > ARGS_MAX)
		return error_set(err, ERROR_LIMIT, "process.args: over %d", ARGS_MAX);
	if (e2b_take_user(r, &user, &home, err) < 0)
		return -1;
	jsonw_open(&w);
	put_argv(&w, process);
	put_strings(&w, "env", json_find(process, "envs"));
	jsonw_key_str(&w, "cwd", e2b_path(&r->arena, home, cwd));
	if (user.len)
		jsonw_key_str(&w, "user", user);
	if (tag.len)
		jsonw_key_str(&w, "name", tag);
	if (json_kind(pty) == JSON_KIND_OBJECT) {
		size = json_find(pty, "size");
		jsonw_key_bool(&w, "tty", true);
		jsonw_key_int(&w, "cols", MIN(MAX(json_int(json_find(size, "cols")), 2), 2000));
		jsonw_key_int(&w, "rows", MIN(MAX(json_int(json_find(size, "rows")), 2), 1000));
	}
	jsonw_key_bool(&w, "stdin", json_kind(input) != JSON_KIND_BOOL || json_bool(input));
	jsonw_key_bool(&w, "announce", true);
	jsonw_key_int(&w, "timeout_ms", MIN(e2b_stream_timeout_ms(r), EXEC_TIMEOUT_MAX_MS));
	jsonw_close(&w);
	return params->is_full ? error_set(err, ERROR_TOO_LARGE, "the command is too large") : 0;
}

static struct follow *follow_new(struct http_request *r, const struct e2b_box *b)
{
	struct follow *f = mem_new(struct follow);
	f->e2b = b->e2b;
	snprintf(f->id, sizeof(f->id), "%s", b->id);
	e2b_stream_init(&f->stream, r, b->e2b->loop);
	f->stream.on_drain = on_drain;
	f->stream.on_closed = on_closed;
	f->stream.arg = f;
	return f;
}

void e2b_process_start(struct http_request *r)
{
	static const struct call_sink sink = {
		.data = on_data,
		.event = on_started,
		.result = on_exit_of_process,
		.error = on_error,
	};
	const struct e2b_box *b = e2b_box_of_data(r);
	auto_json struct json *body = b ? e2b_stream_request(r) : NULL;
	auto_buf struct buf params = BUF_INIT(E2B_PARAMS_MAX);
	struct error err;
	if (!body)
		return;
	struct follow *f = follow_new(r, b);
	f->is_tty = json_kind(json_find(body, "pty")) == JSON_KIND_OBJECT;
	if (put_start(r, body, &params, &err) < 0) {
		e2b_stream_end(&f->stream, &err);
		follow_free(f);
		return;
	}
	f->call = runtime_perform(e2b_box_sandbox(b), &exec_action, buf_str(&params), &sink, f);
}

/* ---- connect ---- */

static void on_log_end(void *arg, struct str text)
{
	struct follow *f = arg;
	auto_json struct json *result = NULL;
	f->call = NULL;
	json_parse(text, &result, NULL);
	finish(f, json_find(result, "process"));
}

static void follow_log(struct follow *f, const struct json *process)
{
	static const struct call_sink sink = {
		.data = on_data,
		.result = on_log_end,
		.error = on_error,
	};
	struct e2b_box *b = e2b_box_find(f->e2b, str_from(f->id));
	auto_buf struct buf params = BUF_INIT(4096);
	struct jsonw w = JSONW(&params);
	jsonw_open(&w);
	jsonw_key_str(&w, "process", json_str(json_find(process, "process")));
	jsonw_key_int(&w, "after",
		json_count(json_find(process, "stdout_bytes")) +
			json_count(json_find(process, "stderr_bytes")));
	jsonw_key_bool(&w, "follow", true);
	jsonw_close(&w);
	f->is_tty = json_bool(json_find(process, "is_tty"));
	send_start(f, process);
	f->call = runtime_perform(e2b_box_sandbox(b), &process_logs_action, buf_str(&params), &sink,
		f);
}

static void on_listed(void *arg, struct str text)
{
	struct follow *f = arg;
	auto_json struct json *result = NULL;
	struct error err;
	f->call = NULL;
	json_parse(text, &result, NULL);
	const struct json *process = e2b_selector_find(&f->selector, result, true, &err);
	if (!e2b_box_find(f->e2b, str_from(f->id))) {
		e2b_stream_cut(&f->stream);
		follow_free(f);
	} else if (!process) {
		e2b_stream_end(&f->stream, &err);
		follow_free(f);
	} else {
		follow_log(f, process);
	}
}

void e2b_process_connect(struct http_request *r)
{
	static const struct call_sink sink = { .result = on_listed, .error = on_error };
	const struct e2b_box *b = e2b_box_of_data(r);
	auto_json struct json *body = b ? e2b_stream_request(r) : NULL;
	struct error err;
	if (!body)
		return;
	struct follow *f = follow_new(r, b);
	f->is_connect = true;
	if (e2b_selector_read(&f->selector, json_find(body, "process"), &err) < 0) {
		e2b_stream_end(&f->stream, &err);
		follow_free(f);
		return;
	}
	e2b_stream_set_deadline(&f->stream, b->e2b->loop, e2b_stream_timeout_ms(r));
	f->call = runtime_perform(e2b_box_sandbox(b), &process_list_action, STR_NONE, &sink, f);
}
