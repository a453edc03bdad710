/* SPDX-License-Identifier: Apache-2.0 */
/*
 * docker cp: GET, HEAD and PUT …/archive, as the actions stat, download and upload. The path's
 * facts go into a header, before the body; so both begin with a stat.
 */
#include "face/docker/handlers.h"

#include "action/file_actions.h"
#include "base/auto.h"
#include "base/bug.h"
#include "base/clock.h"
#include "base/num.h"
#include "runtime/inlet.h"
#include "wire/base64.h"

struct transfer {
	struct inlet in; /* to a call; of a download, it only holds the call */
	char id[ID_SIZE];
	struct str path;
	bool is_begun, is_head;
};

/* Bits of Go's os.FileMode. */
enum { GO_DIR = 1U << 31, GO_SYMLINK = 1U << 27 };

static void fail(void *arg, const struct error *err)
{
	struct transfer *t = arg;
	t->in.to = NULL;
	if (t->is_begun)
		http_stream_end(t->in.r, false);
	else if (err->code == ERROR_NOT_FOUND)
		docker_fail(t->in.r, 404, "Could not find the file %.*s in container %s: %s",
			STR_ARG(str_first(t->path, 1000)), t->id, err->text);
	else
		docker_fail_error(t->in.r, err);
}

static void on_closed(void *arg)
{
	struct transfer *t = arg;
	struct error err;
	if (t->in.to)
		runtime_call_cancel(t->in.to);
	error_set(&err, ERROR_CANCELLED, "the client went away");
	fail(t, &err);
}

static struct sandbox *sandbox_of(struct transfer *t)
{
	struct error err;
	struct sandbox *s = runtime_find(docker_of(t->in.r)->rt, str_from(t->id), &err);
	if (!s)
		fail(t, &err);
	return s;
}

static void put_path(struct jsonw *w, struct str path)
{
	while (path.len > 1 && path.ptr[path.len - 1] == '/')
		path.len--;
	if (str_starts(path, STR("/"))) {
		jsonw_key_str(w, "path", path);
		return;
	}
	auto_buf struct buf b = BUF_INIT(2 * SPEC_PATH_SIZE + 8192);
	buf_putc(&b, '/');
	buf_put(&b, path);
	jsonw_key_str(w, "path", buf_str(&b));
}

static void stat_path(struct transfer *t, bool follow, const struct call_sink *sink)
{
	auto_buf struct buf params = BUF_INIT(65536);
	struct jsonw w = JSONW(&params);
	struct sandbox *s = sandbox_of(t);
	if (!s)
		return;
	jsonw_open(&w);
	put_path(&w, t->path);
	jsonw_key_bool(&w, "follow", follow);
	jsonw_close(&w);
	t->in.to = runtime_perform(s, &stat_action, buf_str(&params), sink, t);
}

static struct transfer *begin(struct http_request *r)
{
	struct container *c = container_of_request(r);
	if (!c)
		return NULL;
	struct str path = http_query(r, "path");
	if (!path.len) {
		docker_fail(r, 400, "Bad parameter: path is missing");
		return NULL;
	}
	struct transfer *t = arena_new(&r->arena, struct transfer);
	t->in = (struct inlet){ .r = r, .kind = &inlet_call };
	t->path = path;
	t->is_head = str_is(r->method, "HEAD");
	memcpy(t->id, c->id, sizeof(t->id));
	return t;
}

/* ---- out ---- */

/* The last component as it was asked for; "." for "/dir/.". */
static struct str base_name(struct str path)
{
	while (path.len > 1 && path.ptr[path.len - 1] == '/')
		path.len--;
	for (size_t i = path.len; i > 0; i--)
		if (path.ptr[i - 1] == '/')
			return path.len == 1 ? path : str_skip(path, i);
	return path;
}

static void put_stat_header(struct transfer *t, const struct json *stat)
{
	auto_buf struct buf b = BUF_INIT(32768), header = BUF_INIT(65536);
	struct jsonw w = JSONW(&b);
	struct str type = json_str(json_find(stat, "type"));
	int64_t mode = 0;
	struct str octal = json_str(json_find(stat, "mode"));
	for (size_t i = 0; i < octal.len; i++)
		mode = mode * 8 + (octal.ptr[i] - '0');
	mode &= 0777;
	if (str_is(type, "directory"))
		mode |= (int64_t)GO_DIR;
	if (str_is(type, "symlink"))
		mode |= GO_SYMLINK;
	jsonw_open(&w);
	jsonw_key_str(&w, "name", base_name(t->path));
	jsonw_key_int(&w, "size", json_int(json_find(stat, "size")));
	jsonw_key_int(&w, "mode", mode);
	docker_key_time(&w, "mtime", json_int(json_find(stat, "mtime_ms")));
	jsonw_key_str(&w, "linkTarget", json_str(json_find(stat, "target")));
	jsonw_close(&w);
	base64_encode(buf_str(&b), &header);
	if (!header.is_full && header.len < HTTP_HEAD_MAX / 2)
		http_reply_header(t->in.r, "X-Docker-Container-Path-Stat", header.ptr);
}

static void on_data(void *arg, uint8_t channel, struct str bytes)
{
	struct transfer *t = arg;
	if (!t->is_begun)
		http_stream_begin(t->in.r, 200, "application/x-tar", -1);
	t->is_begun = true;
	http_stream_write(t->in.r, bytes);
	if (http_stream_is_full(t->in.r))
		runtime_call_pause(t->in.to, true);
}

static void on_drain(void *arg)
{
	struct transfer *t = arg;
	if (t->in.to)
		runtime_call_pause(t->in.to, false);
}

static void on_downloaded(void *arg, struct str text)
{
	struct transfer *t = arg;
	t->in.to = NULL;
	if (!t->is_begun)
		http_stream_begin(t->in.r, 200, "application/x-tar", -1);
	http_stream_end(t->in.r, true);
}

static void on_found(void *arg, struct str text)
{
	static const struct call_sink sink = {
		.data = on_data,
		.result = on_downloaded,
		.error = fail,
	};
	struct transfer *t = arg;
	auto_json struct json *stat = NULL;
	t->in.to = NULL;
	json_parse(text, &stat, NULL);
	put_stat_header(t, stat);
	if (t->is_head) {
		http_reply(t->in.r, 200, "application/x-tar", STR_NONE);
		return;
	}
	struct sandbox *s = sandbox_of(t);
	if (!s)
		return;
	auto_buf struct buf params = BUF_INIT(65536);
	struct jsonw w = JSONW(&params);
	struct str name = base_name(t->path);
	jsonw_open(&w);
	put_path(&w, t->path);
	jsonw_key_str(&w, "format", STR("tar"));
	jsonw_key_str(&w, "prefix", str_is(name, "/") ? STR(".") : name);
	jsonw_close(&w);
	t->in.to = runtime_perform(s, &download_action, buf_str(&params), &sink, t);
}

void archive_get(struct http_request *r)
{
	static const struct http_ops ops = { .on_drain = on_drain, .on_closed = on_closed };
	static const struct call_sink sink = { .result = on_found, .error = fail };
	struct transfer *t = begin(r);
	if (!t)
		return;
	http_listen(r, &ops, t);
	stat_path(t, false, &sink);
}

/* ---- in ---- */

static void on_uploaded(void *arg, struct str text)
{
	struct transfer *t = arg;
	t->in.to = NULL;
	http_reply(t->in.r, 200, NULL, STR_NONE);
}

static void on_place(void *arg, struct str text)
{
	static const struct http_ops ops = {
		.on_body = inlet_body,
		.on_body_end = inlet_end,
		.on_closed = on_closed,
	};
	static const struct call_sink sink = {
		.drain = inlet_drain,
		.result = on_uploaded,
		.error = fail,
	};
	struct transfer *t = arg;
	auto_json struct json *stat = NULL;
	t->in.to = NULL;
	json_parse(text, &stat, NULL);
	if (!str_is(json_str(json_find(stat, "type")), "directory")) {
		docker_fail(t->in.r, 400, "extraction point is not a directory");
		return;
	}
	struct sandbox *s = sandbox_of(t);
	if (!s)
		return;
	auto_buf struct buf params = BUF_INIT(65536);
	struct jsonw w = JSONW(&params);
	jsonw_open(&w);
	put_path(&w, t->path);
	jsonw_key_str(&w, "kind", STR("tar"));
	jsonw_close(&w);
	t->in.to = runtime_perform(s, &upload_action, buf_str(&params), &sink, t);
	http_listen(t->in.r, &ops, t);
}

void archive_put(struct http_request *r)
{
	static const struct http_ops ops = { .on_closed = on_closed };
	static const struct call_sink sink = { .result = on_place, .error = fail };
	struct transfer *t = begin(r);
	if (!t)
		return;
	http_listen(r, &ops, t);
	stat_path(t, true, &sink);
}
