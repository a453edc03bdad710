/* SPDX-License-Identifier: Apache-2.0 */
/*
 * GET /files, and what envd tells of itself. A file is read by the executor, as the sandbox's user;
 * for another user, root mostly, a program of the sandbox's does it.
 */
#include "face/e2b/handlers.h"
#include "face/e2b/rpc.h"

#include "action/file_actions.h"
#include "action/process_actions.h"
#include "base/auto.h"
#include "base/bug.h"

void e2b_health(struct http_request *r)
{
	if (e2b_box_of_data(r))
		e2b_empty(r, 204);
}

struct download {
	struct http_request *r;
	struct e2b *e2b;
	char id[ID_SIZE];
	struct runtime_call *call;
	bool is_begun;
};

static void download_free(struct download *d)
{
	if (d->call)
		runtime_call_cancel(d->call);
	free(d);
}

static void on_closed(void *arg)
{
	struct download *d = arg;
	struct http_request *r = d->r;
	bool is_begun = d->is_begun;
	download_free(d);
	if (is_begun)
		http_stream_end(r, false);
	else
		e2b_fail(r, 499, "the client went away");
}

static void on_drain(void *arg)
{
	struct download *d = arg;
	if (d->call)
		runtime_call_pause(d->call, false);
}

static void begin(struct download *d, int64_t size)
{
	if (!d->is_begun)
		http_stream_begin(d->r, 200, "application/octet-stream", size);
	d->is_begun = true;
}

static void on_head(void *arg, struct str text)
{
	auto_json struct json *head = NULL;
	if (json_parse(text, &head, NULL) < 0)
		return;
	const struct json *size = json_find(head, "size");
	begin(arg, json_kind(size) == JSON_KIND_INT ? json_int(size) : -1);
}

static void on_data(void *arg, uint8_t channel, struct str bytes)
{
	struct download *d = arg;
	if (channel == 2)
		return; /* of a program: the exit status says enough */
	begin(d, -1);
	http_stream_write(d->r, bytes);
	if (http_stream_is_full(d->r))
		runtime_call_pause(d->call, true);
}

static void on_result(void *arg, struct str text)
{
	struct download *d = arg;
	auto_json struct json *result = NULL;
	d->call = NULL;
	bool is_whole = json_parse(text, &result, NULL) == 0 &&
		!json_bool(json_find(result, "truncated"));
	const struct json *code = json_find(result, "exit_code");
	bool has_failed = json_find(result, "status") &&
		(json_kind(code) != JSON_KIND_INT || json_int(code));
	if (has_failed && !d->is_begun) {
		e2b_fail(d->r, 404, "path '%.*s' does not exist, or is no file",
			STR_ARG(str_first(http_query(d->r, "path"), 200)));
	} else {
		begin(d, -1);
		http_stream_end(d->r, is_whole && !has_failed);
	}
	download_free(d);
}

static void on_error(void *arg, const struct error *err)
{
	struct download *d = arg;
	d->call = NULL;
	if (d->is_begun)
		http_stream_end(d->r, false);
	else if (!e2b_box_find(d->e2b, str_from(d->id)))
		e2b_gone(d->r, str_from(d->id));
	else
		e2b_fail_error(d->r, err);
	download_free(d);
}

static void put_program(struct jsonw *w, struct str user, struct str path)
{
	jsonw_key(w, "argv");
	jsonw_open_array(w);
	jsonw_str(w, STR("cat"));
	jsonw_str(w, STR("--"));
	jsonw_str(w, path);
	jsonw_close_array(w);
	jsonw_key_str(w, "user", user);
	jsonw_key_str(w, "cwd", STR("/"));
	jsonw_key_int(w, "log_bytes", 1024);
}

void e2b_files_get(struct http_request *r)
{
	static const struct http_ops ops = { .on_drain = on_drain, .on_closed = on_closed };
	static const struct call_sink sink = {
		.data = on_data,
		.event = on_head,
		.result = on_result,
		.error = on_error,
	};
	const struct e2b_box *b = e2b_box_of_data(r);
	struct str path, user;
	auto_buf struct buf params = BUF_INIT(16 * E2B_PATH_MAX);
	struct jsonw w = JSONW(&params);
	const char *home;
	struct error err;
	if (!b)
		return;
	path = http_query(r, "path");
	if (e2b_take_user(r, &user, &home, &err) < 0) {
		e2b_fail_error(r, &err);
		return;
	}
	if (path.len > E2B_PATH_MAX || str_has_nul(path)) {
		e2b_fail(r, 400, "path is too long");
		return;
	}
	path = e2b_path(&r->arena, home, path);
	jsonw_open(&w);
	if (user.len) {
		put_program(&w, user, path);
	} else {
		jsonw_key_str(&w, "path", path);
		jsonw_key_str(&w, "format", STR("raw"));
	}
	jsonw_close(&w);
	struct download *d = mem_new(struct download);
	d->r = r;
	d->e2b = b->e2b;
	snprintf(d->id, sizeof(d->id), "%s", b->id);
	http_listen(r, &ops, d);
	d->call = runtime_perform(e2b_box_sandbox(b), user.len ? &exec_action : &download_action,
		buf_str(&params), &sink, d);
}

/* ---- what envd tells ---- */

static void on_env(struct rpc *rpc, const struct json *result)
{
	struct str out = json_str(json_find(result, "stdout")), line;
	auto_buf struct buf body = BUF_INIT(E2B_PARAMS_MAX);
	struct jsonw w = JSONW(&body);
	jsonw_open(&w);
	while (out.len && str_split(&out, '\0', &line)) {
		ptrdiff_t equals = str_find_char(line, '=');
		if (equals <= 0)
			continue;
		jsonw_key_dyn(&w, str_first(line, (size_t)equals));
		jsonw_str(&w, str_skip(line, (size_t)equals + 1));
	}
	jsonw_close(&w);
	e2b_rpc_reply(rpc, &body);
}

void e2b_envs(struct http_request *r)
{
	auto_buf struct buf params = BUF_INIT(256);
	struct rpc *rpc = e2b_rpc_new(r);
	buf_puts(&params, "{\"argv\":[\"env\",\"-0\"],\"capture\":true}");
	if (rpc)
		e2b_rpc_perform(rpc, &exec_action, &params, on_env);
}

static void on_usage(void *arg, const struct monitor_usage *usage, const struct error *err)
{
	struct http_request *r = arg;
	const struct e2b_box *b = e2b_box_of_data(r);
	auto_buf struct buf body = BUF_INIT(4096);
	struct jsonw w = JSONW(&body);
	if (!b)
		return;
	if (err) {
		e2b_fail_error(r, err);
		return;
	}
	jsonw_open(&w);
	e2b_put_usage(&w, b, usage);
	jsonw_close(&w);
	http_reply_json(r, 200, &body);
}

void e2b_use(struct http_request *r)
{
	const struct e2b_box *b = e2b_box_of_data(r);
	if (b)
		runtime_usage(e2b_box_sandbox(b), on_usage, r);
}
