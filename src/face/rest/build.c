/* SPDX-License-Identifier: Apache-2.0 */
/*
 * POST /v1/builds: the body is the context, a tar archive; the answer is the image, or an event
 * stream if the client accepts one: the build's output as data of channel 1, then result or error.
 */
#include "face/rest/handlers.h"

#include "base/auto.h"
#include "base/bug.h"
#include "face/rest/images_far.h"
#include "face/rest/sse.h"
#include "runtime/build_extend.h"
#include "runtime/inlet.h"

struct build_query {
	struct str base, extras; /* in place of a context */
	struct str dockerfile, tags, args, labels, target, platform, network, allow;
	bool no_cache;
	int64_t memory_bytes, disk_bytes, timeout_ms, max_bytes;
};

static const char *const network_words[] = { "loopback", "none", "host", "proxy", NULL };

const struct field build_query[] = {
	{ "base", FIELD_STRING, FIELD_AT(struct build_query, base),
		.help = "in place of a context: an image that `extras` are added to; its names hold a digest of both" },
	{ "extras", FIELD_STRING, FIELD_AT(struct build_query, extras),
		.help = "with base: shell commands, a JSON array of strings" },
	{ "dockerfile", FIELD_STRING, FIELD_AT(struct build_query, dockerfile),
		.standard = "Dockerfile", .help = "its path in the context" },
	{ "tags", FIELD_STRING, FIELD_AT(struct build_query, tags),
		.help = "names of the image, with commas between them" },
	{ "args", FIELD_STRING, FIELD_AT(struct build_query, args),
		.help = "values of ARG, a JSON object of strings" },
	{ "labels", FIELD_STRING, FIELD_AT(struct build_query, labels),
		.help = "labels of the image, a JSON object of strings" },
	{ "target", FIELD_STRING, FIELD_AT(struct build_query, target),
		.help = "the last stage to be built" },
	{ "platform", FIELD_STRING, FIELD_AT(struct build_query, platform),
		.help = "that of the machine; every other is refused" },
	{ "network", FIELD_STRING, FIELD_AT(struct build_query, network), .standard = "none",
		.words = network_words, .help = "of RUN" },
	{ "allow", FIELD_STRING, FIELD_AT(struct build_query, allow),
		.help = "with network proxy: what RUN may connect to, with commas between them" },
	{ "no_cache", FIELD_BOOL, FIELD_AT(struct build_query, no_cache), .standard = "false",
		.help = "do every step anew" },
	{ "memory_bytes", FIELD_INT, FIELD_AT(struct build_query, memory_bytes), .min = 0,
		.max = INT64_MAX / 2, .standard = "0", .help = "of each step; 0: 4 GiB" },
	{ "disk_bytes", FIELD_INT, FIELD_AT(struct build_query, disk_bytes), .min = 0,
		.max = INT64_MAX / 2, .standard = "0", .help = "that a step writes; 0: 8 GiB" },
	{ "timeout_ms", FIELD_INT, FIELD_AT(struct build_query, timeout_ms), .min = 0,
		.max = BUILD_MAX_MS, .standard = "0", .help = "of it all; 0: an hour" },
	{ "max_bytes", FIELD_INT, FIELD_AT(struct build_query, max_bytes), .min = 0,
		.max = INT64_MAX / 2, .standard = "0",
		.help = "of the unpacked context, and of each layer; 0: 16 GiB" },
	{ 0 },
};

struct building {
	struct inlet in; /* to a build */
	struct sse sse;  /* .r NULL: it has not begun */
	bool is_stream;
};

static void end_stream(struct building *b, const char *event, struct str json)
{
	sse_flush(&b->sse);
	sse_send(&b->sse, 0, event, json);
	http_stream_end(b->in.r, true);
}

static void on_said(void *arg, struct str text)
{
	struct building *b = arg;
	if (!b->is_stream)
		return;
	if (!b->sse.r)
		sse_begin(&b->sse, b->in.r);
	sse_send_data(&b->sse, 1, text);
	if (http_stream_is_full(b->in.r))
		build_pause(b->in.to, true);
}

static void on_done(void *arg, const struct image *image)
{
	struct building *b = arg;
	auto_buf struct buf json = BUF_INIT(REST_JSON_MAX);
	struct jsonw w = JSONW(&json);
	b->in.to = NULL;
	image_write(runtime_images(rest_of(b->in.r)->runtime), image, &w);
	if (b->sse.r)
		end_stream(b, "result", buf_str(&json));
	else
		http_reply_json(b->in.r, 201, &json);
}

static void on_failed(void *arg, const struct error *err)
{
	struct building *b = arg;
	auto_buf struct buf json = BUF_INIT(8192);
	struct jsonw w = JSONW(&json);
	b->in.to = NULL;
	if (!b->sse.r) {
		http_reply_error(b->in.r, err);
		return;
	}
	jsonw_error(&w, err);
	end_stream(b, "error", buf_str(&json));
}

static void on_stream_drain(void *arg)
{
	struct building *b = arg;
	if (b->in.to)
		build_pause(b->in.to, false);
}

static void on_closed(void *arg)
{
	struct building *b = arg;
	struct error err;
	if (!b->in.to)
		return;
	build_cancel(take_ptr(b->in.to));
	if (b->sse.r) {
		http_stream_end(b->in.r, false);
		return;
	}
	error_set(&err, ERROR_CANCELLED, "the client went away");
	http_reply_error(b->in.r, &err);
}

static struct field_strings split(struct http_request *r, struct str text)
{
	struct field_strings list = { 0 };
	struct str rest = text, piece;
	size_t n = 1;
	for (size_t i = 0; i < text.len; i++)
		n += text.ptr[i] == ',';
	list.items = arena_new_n(&r->arena, struct str, n);
	while (rest.len && str_split(&rest, ',', &piece))
		if (piece.len)
			list.items[list.n++] = (struct str){ arena_str(&r->arena, piece),
				piece.len };
	return list;
}

static int make_wish(struct http_request *r, const struct build_query *q, struct build_wish *ret,
	struct error *err)
{
	static const enum network_mode modes[] = { NETWORK_LOOPBACK, NETWORK_NONE, NETWORK_HOST,
		NETWORK_PROXY };
	*ret = (struct build_wish){ .dockerfile = q->dockerfile,
		.has_context = true,
		.tags = split(r, q->tags),
		.allow = split(r, q->allow),
		.target = q->target,
		.platform = q->platform,
		.no_cache = q->no_cache,
		.limits = { .memory_bytes = q->memory_bytes, .disk_bytes = q->disk_bytes },
		.timeout_ms = q->timeout_ms,
		.max_bytes = q->max_bytes };
	for (size_t i = 0; network_words[i]; i++)
		if (str_is(q->network, network_words[i]))
			ret->network = modes[i];
	return build_map_from_json(q->args, "args", &r->arena, &ret->args, err) < 0
		? -1
		: build_map_from_json(q->labels, "labels", &r->arena, &ret->labels, err);
}

static int take_extras(struct http_request *r, const struct build_query *q, struct build_wish *wish,
	struct image **ret_there, struct error *err)
{
	auto_json struct json *list = NULL;
	struct field_strings commands = { arena_new_n(&r->arena, struct str, BUILD_EXTRAS_MAX + 1),
		0 };
	if (json_parse(q->extras, &list, err) < 0)
		return error_wrap(err, "extras");
	for (size_t i = 0; i < json_len(list) && commands.n <= BUILD_EXTRAS_MAX; i++)
		commands.items[commands.n++] = json_str(json_at(list, i));
	return build_extend(runtime_images(rest_of(r)->runtime), q->base, &commands, &r->arena,
		wish, ret_there, err);
}

/* What is there already is the answer. */
static void reply_there(struct building *b, const struct image *image)
{
	if (b->is_stream)
		sse_begin(&b->sse, b->in.r);
	on_done(b, image);
}

void builds_post(struct http_request *r)
{
	static const struct build_ops build_ops = { inlet_drain, on_said, on_done, on_failed };
	static const struct http_ops http_ops = {
		.on_body = inlet_body,
		.on_body_end = inlet_end,
		.on_drain = on_stream_drain,
		.on_closed = on_closed,
	};
	struct build_wish wish;
	struct error err;
	void *query;
	if (rest_query(r, build_query, sizeof(struct build_query), &query) < 0)
		return;
	const struct build_query *q = query;
	struct image *there = NULL;
	if (make_wish(r, q, &wish, &err) < 0 ||
		(q->base.len && take_extras(r, q, &wish, &there, &err) < 0)) {
		http_reply_error(r, &err);
		return;
	}
	if (images_are_far(r)) {
		images_far_work(r, &(struct library_wish){ .what = LIBRARY_BUILD, .build = &wish });
		return;
	}
	struct building *b = arena_new(&r->arena, struct building);
	b->in.r = r;
	b->is_stream = http_accepts(r, "text/event-stream");
	if (there && !wish.no_cache) {
		reply_there(b, there);
		return;
	}
	b->in.kind = wish.has_context ? &inlet_build : NULL;
	b->in.to = build_new(runtime_images(rest_of(r)->runtime), &wish, &build_ops, b);
	http_listen(r, &http_ops, b);
}

void builds_prune(struct http_request *r)
{
	auto_buf struct buf b = BUF_INIT(256);
	struct jsonw w = JSONW(&b);
	jsonw_open(&w);
	jsonw_key_int(&w, "freed_bytes", images_drop_cache(runtime_images(rest_of(r)->runtime)));
	jsonw_close(&w);
	http_reply_json(r, 200, &b);
}
