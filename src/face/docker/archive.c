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
#include "face/chore.h"
#include "wire/base64.h"

struct transfer {
	struct str path;
	bool is_head;
};

/* Bits of Go's os.FileMode. */
enum { GO_DIR = 1U << 31, GO_SYMLINK = 1U << 27 };

static void on_failed(struct chore *e, const struct error *err)
{
	const struct transfer *t = e->state;
	if (err->code == ERROR_NOT_FOUND)
		docker_fail(e->r, 404, "Could not find the file %.*s in container %s: %s",
			STR_ARG(str_first(t->path, 1000)), e->id, err->text);
	else
		docker_fail_error(e->r, err);
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

static void stat_path(struct chore *e, bool follow, chore_fn *then)
{
	const struct transfer *t = e->state;
	auto_buf struct buf params = BUF_INIT(65536);
	struct jsonw w = JSONW(&params);
	jsonw_open(&w);
	put_path(&w, t->path);
	jsonw_key_bool(&w, "follow", follow);
	jsonw_close(&w);
	chore_perform(e, &stat_action, &params, then);
}

static struct chore *begin(struct http_request *r)
{
	const struct container *c = container_of_request(r);
	if (!c)
		return NULL;
	struct transfer *t = arena_new(&r->arena, struct transfer);
	t->path = http_query(r, "path");
	t->is_head = str_is(r->method, "HEAD");
	if (!t->path.len) {
		docker_fail(r, 400, "Bad parameter: path is missing");
		return NULL;
	}
	struct chore *e = chore_new(r, docker_of(r)->rt, c->id, docker_fail_error);
	e->state = t;
	e->failed = on_failed;
	return e;
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

static void put_stat_header(struct chore *e, const struct json *stat)
{
	auto_buf struct buf b = BUF_INIT(32768), header = BUF_INIT(65536);
	const struct transfer *t = e->state;
	struct jsonw w = JSONW(&b);
	struct str type = json_str(json_find(stat, "type"));
	struct str octal = json_str(json_find(stat, "mode"));
	int64_t mode = strtol(octal.ptr ? octal.ptr : "0", NULL, 8) & 0777;
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
		http_reply_header(e->r, "X-Docker-Container-Path-Stat", header.ptr);
}

static void begin_tar(struct chore *e, const struct json *head)
{
	http_stream_begin(e->r, 200, "application/x-tar", -1);
}

static void on_found(struct chore *e, const struct json *stat)
{
	static const struct chore_flow flow = { .begin = begin_tar };
	const struct transfer *t = e->state;
	put_stat_header(e, stat);
	if (t->is_head) {
		http_reply(e->r, 200, "application/x-tar", STR_NONE);
		return;
	}
	auto_buf struct buf params = BUF_INIT(65536);
	struct jsonw w = JSONW(&params);
	struct str name = base_name(t->path);
	jsonw_open(&w);
	put_path(&w, t->path);
	jsonw_key_str(&w, "format", STR("tar"));
	jsonw_key_str(&w, "prefix", str_is(name, "/") ? STR(".") : name);
	jsonw_close(&w);
	chore_flow(e, &download_action, &params, &flow);
}

void archive_get(struct http_request *r)
{
	struct chore *e = begin(r);
	if (e)
		stat_path(e, false, on_found);
}

/* ---- in ---- */

static void on_uploaded(struct chore *e, const struct json *result)
{
	http_reply(e->r, 200, NULL, STR_NONE);
}

static void on_place(struct chore *e, const struct json *stat)
{
	const struct transfer *t = e->state;
	if (!str_is(json_str(json_find(stat, "type")), "directory")) {
		docker_fail(e->r, 400, "extraction point is not a directory");
		return;
	}
	auto_buf struct buf params = BUF_INIT(65536);
	struct jsonw w = JSONW(&params);
	jsonw_open(&w);
	put_path(&w, t->path);
	jsonw_key_str(&w, "kind", STR("tar"));
	jsonw_close(&w);
	chore_feed(e, &upload_action, &params, on_uploaded);
}

void archive_put(struct http_request *r)
{
	struct chore *e = begin(r);
	if (e)
		stat_path(e, true, on_place);
}
