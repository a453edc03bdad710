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

/* ---- files ---- */

static void begin(struct chore *e, const struct json *head)
{
	http_stream_begin(e->r, 200, "application/octet-stream", chore_flow_size(head));
}

/* Of the program as well, of which the exit status says enough. */
static int check(struct chore *e, const struct json *result, struct error *err)
{
	const struct json *code = json_find(result, "exit_code");
	bool is_program = json_find(result, "status");
	if (is_program && (json_kind(code) != JSON_KIND_INT || json_int(code)))
		return error_set(err, ERROR_NOT_FOUND, "path '%.*s' does not exist, or is no file",
			STR_ARG(str_first(http_query(e->r, "path"), 200)));
	if (json_bool(json_find(result, "truncated")))
		return error_set(err, ERROR_CONFLICT, "the file has shrunk");
	return 0;
}

static void fail(struct http_request *r, const struct error *err)
{
	if (e2b_box_of_data(r))
		e2b_fail_error(r, err);
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
	static const struct chore_flow flow = { .begin = begin, .check = check };
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
	chore_flow(chore_new(r, b->e2b->rt, b->id, fail),
		user.len ? &exec_action : &download_action, &params, &flow);
}

/* ---- what envd tells ---- */

static void on_env(struct chore *e, const struct json *result)
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
	e2b_rpc_reply(e, &body);
}

void e2b_envs(struct http_request *r)
{
	auto_buf struct buf params = BUF_INIT(256);
	struct chore *e = e2b_chore(r);
	buf_puts(&params, "{\"argv\":[\"env\",\"-0\"],\"capture\":true}");
	if (e)
		chore_perform(e, &exec_action, &params, on_env);
}

static void tell_usage(struct http_request *r, const struct sandbox *s, const struct sample *sample)
{
	auto_buf struct buf body = BUF_INIT(4096);
	struct jsonw w = JSONW(&body);
	jsonw_open(&w);
	e2b_put_usage(&w, s, sample);
	jsonw_close(&w);
	http_reply_json(r, 200, &body);
}

void e2b_use(struct http_request *r)
{
	static const struct sampler_ops ops = { tell_usage, e2b_fail_error };
	const struct e2b_box *b = e2b_box_of_data(r);
	if (b)
		sampler_start(r, e2b_of(r)->rt, e2b_of(r)->loop, b->id, SAMPLER_ONCE, &ops);
}
