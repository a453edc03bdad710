/* SPDX-License-Identifier: Apache-2.0 */
/*
 * GET /files/download: a file, or with Range one part of it. It is looked at first, since a part of
 * it is announced by where it lies in the whole; if that has shrunk since, the answer ends early,
 * which is how a client notices.
 */
#include "action/file_actions.h"
#include "base/auto.h"
#include "base/bug.h"
#include "face/opensandbox/handlers.h"
#include "face/opensandbox/range.h"
#include "wire/url.h"

static void put_name(struct http_request *r)
{
	struct str path = http_query(r, "path");
	auto_buf struct buf b = BUF_INIT(16 * OSB_PATH_MAX);
	ptrdiff_t slash;
	while ((slash = str_find_char(path, '/')) >= 0)
		path = str_skip(path, (size_t)slash + 1);
	buf_puts(&b, "attachment; filename=\"");
	url_encode(path, &b);
	buf_puts(&b, "\"; filename*=UTF-8''");
	url_encode(path, &b);
	http_reply_header(r, "Content-Disposition", b.ptr);
}

static void begin(struct chore *e, const struct json *head)
{
	const struct osb_range *range = e->state;
	char part[96];
	put_name(e->r);
	http_reply_header(e->r, "Accept-Ranges", "bytes");
	if (range->is_part) {
		snprintf(part, sizeof(part), "bytes %lld-%lld/%lld", (long long)range->start,
			(long long)(range->start + range->length - 1), (long long)range->size);
		http_reply_header(e->r, "Content-Range", part);
	}
	http_stream_begin(e->r, range->is_part ? 206 : 200, "application/octet-stream",
		range->is_part ? range->length : chore_flow_size(head));
}

static void on_size(struct chore *e, const struct json *file)
{
	static const struct chore_flow flow = { .begin = begin };
	auto_buf struct buf params = BUF_INIT(64 * 1024), size = BUF_INIT(64);
	struct jsonw w = JSONW(&params);
	struct http_request *r = e->r;
	struct osb_range *range = arena_new(&r->arena, struct osb_range);
	if (osb_range_read(http_header(r, "Range"), json_count(json_find(file, "size")), range) <
		0) {
		buf_printf(&size, "bytes */%lld", (long long)json_count(json_find(file, "size")));
		http_reply_header(r, "Content-Range", size.ptr);
		osb_fail(r, 416, "UNKNOWN", "the range cannot be satisfied");
		return;
	}
	jsonw_open(&w);
	jsonw_key_str(&w, "path", osb_path(r, http_query(r, "path")));
	jsonw_key_str(&w, "format", STR("raw"));
	if (range->is_part) { /* the whole file is asked of backends that give no parts, too */
		jsonw_key_int(&w, "offset", range->start);
		jsonw_key_int(&w, "length", range->length);
	}
	jsonw_close(&w);
	e->state = range;
	chore_flow(e, &download_action, &params, &flow);
}

void osb_files_download(struct http_request *r)
{
	struct str path;
	struct chore *e = osb_chore(r);
	if (!e || !osb_need_query(r, "path", &path))
		return;
	if (!osb_path_is_good(path))
		osb_execd_invalid(r, "path is too long");
	else
		chore_perform_path(e, &stat_action, osb_path(r, path), "", on_size);
}
