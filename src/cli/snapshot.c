/* SPDX-License-Identifier: Apache-2.0 */
/* cay snapshot and cay fork. */
#include "cli/client.h"

#include "base/auto.h"

enum { BODY_MAX = 16 * 1024 * 1024, PATH_BYTES_MAX = 4096 };

static int ask(struct remote *s, const char *key, const char *verb, const struct buf *body,
	struct buf *reply, struct error *err)
{
	auto_buf struct buf path = BUF_INIT(PATH_BYTES_MAX);
	remote_put_path(&path, key, verb);
	return body->is_full
		? error_set(err, ERROR_TOO_LARGE, "more than %d bytes of options", BODY_MAX)
		: remote_post(s, path.ptr, buf_str(body), reply, err);
}

int snapshot_main(struct invocation *in, struct error *err)
{
	const struct snapshot_options *o = in->values;
	auto_buf struct buf body = BUF_INIT(BODY_MAX), reply = BUF_INIT(REMOTE_REPLY_MAX);
	auto_remote struct remote s = REMOTE_INIT;
	auto_json struct json *image = NULL;
	struct jsonw w = JSONW(&body);
	jsonw_open(&w);
	if (in->n_args > 1)
		jsonw_key_str(&w, "name", str_from(in->args[1]));
	if (o->live)
		jsonw_key_bool(&w, "live", true);
	jsonw_close(&w);
	if (remote_open(in, &s, err) < 0 ||
		ask(&s, in->args[0], "/snapshot", &body, &reply, err) < 0)
		return -1;
	if (o->common.json)
		return out_line(buf_str(&reply), err);
	if (json_parse(buf_str(&reply), &image, err) < 0)
		return -1;
	return out_line(json_str(json_find(image, "id")), err);
}

static int put_wish(struct jsonw *w, const struct fork_options *o, struct error *err)
{
	jsonw_open(w);
	if (o->count > 1)
		jsonw_key_int(w, "count", o->count);
	if (o->live)
		jsonw_key_bool(w, "live", true);
	jsonw_key(w, "create");
	jsonw_open(w);
	if (o->name)
		jsonw_key_str(w, "name", str_from(o->name));
	if (o->timeout_ms)
		jsonw_key_int(w, "timeout_ms", o->timeout_ms);
	if (o->idle_timeout_ms)
		jsonw_key_int(w, "idle_timeout_ms", o->idle_timeout_ms);
	if (client_put_env(w, &o->env, err) < 0)
		return -1;
	jsonw_close(w);
	jsonw_close(w);
	return 0;
}

int fork_main(struct invocation *in, struct error *err)
{
	const struct fork_options *o = in->values;
	auto_buf struct buf body = BUF_INIT(BODY_MAX), reply = BUF_INIT(REMOTE_REPLY_MAX);
	auto_remote struct remote s = REMOTE_INIT;
	auto_json struct json *answer = NULL;
	struct jsonw w = JSONW(&body);
	if (put_wish(&w, o, err) < 0 || remote_open(in, &s, err) < 0 ||
		ask(&s, in->args[0], "/fork", &body, &reply, err) < 0 ||
		json_parse(buf_str(&reply), &answer, err) < 0)
		return -1;
	const struct json *made = json_find(answer, "sandboxes");
	if (o->common.json) {
		buf_reset(&reply);
		json_write(made, &reply);
		return out_line(buf_str(&reply), err);
	}
	for (size_t i = 0; i < json_len(made); i++)
		if (out_line(json_str(json_find(json_at(made, i), "id")), err) < 0)
			return -1;
	return 0;
}
