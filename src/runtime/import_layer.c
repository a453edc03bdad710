/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/import_layer.h"

#include "action/file_actions.h"
#include "base/auto.h"
#include "base/bug.h"
#include "runtime/images.h"
#include "wire/sha256.h"

struct import_layer {
	const struct import_layer_ops *ops;
	void *arg;
	struct runtime_call *from, *to; /* NULL: over */
	struct sha256 hash;
};

void import_layer_cancel(struct import_layer *l)
{
	if (!l)
		return;
	if (l->from)
		runtime_call_cancel(l->from);
	if (l->to)
		runtime_call_cancel(l->to);
	free(l);
}

static void fail(struct import_layer *l, const struct error *err)
{
	const struct import_layer_ops *ops = l->ops;
	void *arg = l->arg;
	struct error copy = *err;
	import_layer_cancel(l);
	ops->failed(arg, &copy);
}

static void on_from_error(void *arg, const struct error *err)
{
	struct import_layer *l = arg;
	l->from = NULL;
	fail(l, err);
}

static void on_to_error(void *arg, const struct error *err)
{
	struct import_layer *l = arg;
	l->to = NULL;
	fail(l, err);
}

static void on_bytes(void *arg, uint8_t channel, struct str bytes)
{
	struct import_layer *l = arg;
	sha256_add(&l->hash, bytes);
	if (!l->to)
		return;
	runtime_call_send(l->to, 0, bytes);
	if (runtime_call_is_full(l->to))
		runtime_call_pause(l->from, true);
}

static void on_drain(void *arg)
{
	struct import_layer *l = arg;
	if (l->from)
		runtime_call_pause(l->from, false);
}

static void on_read(void *arg, struct str text)
{
	struct import_layer *l = arg;
	auto_json struct json *result = NULL;
	struct error err;
	l->from = NULL;
	json_parse(text, &result, NULL);
	if (json_bool(json_find(result, "truncated"))) {
		error_set(&err, ERROR_INVALID, "a layer ended early");
		fail(l, &err);
	} else if (l->to) {
		runtime_call_eof(l->to, 0);
	}
}

static void on_made(void *arg, struct str text)
{
	struct import_layer *l = arg;
	auto_json struct json *result = NULL;
	char digest[SHA256_HEX_SIZE];
	const struct import_layer_ops *ops = l->ops;
	arg = l->arg;
	l->to = NULL;
	json_parse(text, &result, NULL);
	sha256_end(&l->hash, digest);
	import_layer_cancel(l);
	ops->done(arg, digest, json_int(json_find(result, "written_bytes")));
}

static struct runtime_call *download(struct import_layer *l, struct sandbox *s, const char *path)
{
	static const struct call_sink sink = {
		.data = on_bytes,
		.result = on_read,
		.error = on_from_error,
	};
	auto_buf struct buf params = BUF_INIT(8192);
	struct jsonw w = JSONW(&params);
	jsonw_open(&w);
	jsonw_key_str(&w, "path", str_from(path));
	jsonw_close(&w);
	return runtime_perform(s, &download_action, buf_str(&params), &sink, l);
}

static struct runtime_call *upload(struct import_layer *l, struct sandbox *s, const char *path,
	int64_t max_bytes)
{
	static const struct call_sink sink = {
		.drain = on_drain,
		.result = on_made,
		.error = on_to_error,
	};
	auto_buf struct buf params = BUF_INIT(8192);
	struct jsonw w = JSONW(&params);
	jsonw_open(&w);
	jsonw_key_str(&w, "path", str_from(path));
	jsonw_key_str(&w, "kind", STR("tar"));
	jsonw_key_bool(&w, "layer", true);
	jsonw_key_int(&w, "max_bytes", max_bytes);
	jsonw_close(&w);
	return runtime_perform(s, &upload_action, buf_str(&params), &sink, l);
}

struct import_layer *import_layer_new(struct sandbox *s, const char *from, const char *to,
	int64_t max_bytes, const struct import_layer_ops *ops, void *arg)
{
	struct import_layer *l = mem_new(struct import_layer);
	l->ops = ops;
	l->arg = arg;
	sha256_init(&l->hash);
	l->to = upload(l, s, to, max_bytes);
	l->from = download(l, s, from);
	return l;
}
