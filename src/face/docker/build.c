/* SPDX-License-Identifier: Apache-2.0 */
/*
 * POST /build: the body is the context, the answer a stream of JSON lines as the classic builder of
 * Docker writes them. What fails before the first of them is an ordinary error; later it is
 * {"errorDetail":{"code","message"},"error"}.
 */
#include "face/docker/handlers.h"

#include "base/auto.h"
#include "base/bug.h"
#include "base/num.h"
#include "runtime/build.h"
#include "runtime/inlet.h"
#include "wire/url.h"
#include "wire/utf8.h"

enum { LINE_MAX_BYTES = 2 * 1024 * 1024 };

struct building {
	struct inlet in; /* to a build */
	bool is_quiet, has_begun;
	char tail[4]; /* a character that is not whole yet */
	size_t n_tail;
};

static void begin(struct building *b)
{
	if (!b->has_begun)
		http_stream_begin(b->in.r, 200, "application/json", -1);
	b->has_begun = true;
}

static void say(struct building *b, struct str text)
{
	auto_buf struct buf line = BUF_INIT(LINE_MAX_BYTES);
	struct jsonw w = JSONW(&line);
	begin(b);
	jsonw_open(&w);
	jsonw_key_str(&w, "stream", text);
	jsonw_close(&w);
	buf_puts(&line, "\r\n");
	http_stream_write(b->in.r, buf_str(&line));
}

static void on_said(void *arg, struct str text)
{
	struct building *b = arg;
	auto_buf struct buf whole = BUF_INIT(LINE_MAX_BYTES);
	if (b->is_quiet)
		return;
	buf_add(&whole, b->tail, b->n_tail);
	buf_put(&whole, text);
	text = buf_str(&whole);
	b->n_tail = utf8_incomplete_tail(text);
	memcpy(b->tail, text.ptr + text.len - b->n_tail, b->n_tail);
	text.len -= b->n_tail;
	if (text.len)
		say(b, text);
	if (http_stream_is_full(b->in.r))
		build_pause(b->in.to, true);
}

static void on_done(void *arg, const struct image *image)
{
	struct building *b = arg;
	auto_free char *id = mem_printf("sha256:%s\n", image->id);
	auto_free char *aux = mem_printf("{\"aux\":{\"ID\":\"sha256:%s\"}}\r\n", image->id);
	b->in.to = NULL;
	if (b->is_quiet)
		say(b, str_from(id));
	http_stream_write(b->in.r, str_from(aux));
	docker_event(docker_of(b->in.r), "image", "build", image->id, NULL, NULL);
	http_stream_end(b->in.r, true);
}

static void on_failed(void *arg, const struct error *err)
{
	struct building *b = arg;
	auto_buf struct buf line = BUF_INIT(8192);
	struct jsonw w = JSONW(&line);
	int code = build_exit_code(b->in.to);
	b->in.to = NULL;
	if (!b->has_begun) {
		docker_fail_error(b->in.r, err);
		return;
	}
	jsonw_open(&w);
	jsonw_key(&w, "errorDetail");
	jsonw_open(&w);
	if (code)
		jsonw_key_int(&w, "code", code);
	jsonw_key_str(&w, "message", str_from(err->text));
	jsonw_close(&w);
	jsonw_key_str(&w, "error", str_from(err->text));
	jsonw_close(&w);
	buf_puts(&line, "\r\n");
	http_stream_write(b->in.r, buf_str(&line));
	http_stream_end(b->in.r, true);
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
	if (!b->in.to)
		return;
	build_cancel(take_ptr(b->in.to));
	if (b->has_begun)
		http_stream_end(b->in.r, false);
	else
		docker_fail(b->in.r, 499, "the client went away");
}

/* ---- what was asked for ---- */

static int check_offered(struct http_request *r, struct error *err)
{
	static const struct {
		const char *name, *why;
	} rows[] = {
		{ "remote", "a context that is fetched" },
		{ "squash", "squashing layers" },
		{ "outputs", "output other than an image" },
		{ "extrahosts", "names of /etc/hosts" },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct str value = http_query(r, rows[i].name);
		if (!value.len || str_is(value, "0") || str_is(value, "false") ||
			str_is(value, "False") || str_is(value, "null") || str_is(value, "[]"))
			continue;
		return error_set(err, ERROR_UNSUPPORTED, "%s=%.*s: %s is not offered", rows[i].name,
			STR_ARG(str_first(value, 60)), rows[i].why);
	}
	if (runtime_has_other_images(docker_of(r)->rt))
		return error_set(err, ERROR_UNSUPPORTED,
			"images are the backend's own: let its engine build them");
	if (str_is(http_query(r, "version"), "2"))
		return error_set(err, ERROR_UNSUPPORTED,
			"BuildKit is not offered: set DOCKER_BUILDKIT=0");
	return 0;
}

/* ?t= may be there more than once. */
static int take_tags(struct http_request *r, struct build_wish *wish, struct error *err)
{
	struct str rest = r->query, name, value;
	wish->tags.items = arena_new_n(&r->arena, struct str, BUILD_TAGS_MAX + 1);
	while (rest.ptr && url_query_next(&rest, &name, &value)) {
		auto_buf struct buf text = BUF_INIT(HTTP_HEAD_MAX);
		if (!str_is(name, "t"))
			continue;
		if (wish->tags.n == BUILD_TAGS_MAX)
			return error_set(err, ERROR_LIMIT, "over %d names", BUILD_TAGS_MAX);
		if (url_decode(value, URL_QUERY, &text, err) < 0)
			return -1;
		if (text.len)
			wish->tags.items[wish->tags.n++] = (struct str){
				arena_str(&r->arena, buf_str(&text)), text.len
			};
	}
	return 0;
}

/* "default" is no network here; "proxy:NAME,NAME" what it may connect to. */
static int take_network(struct http_request *r, struct build_wish *wish, struct error *err)
{
	struct str mode = http_query(r, "networkmode"), name;
	wish->network = NETWORK_NONE;
	if (!mode.len || str_is(mode, "default") || str_is(mode, "bridge") || str_is(mode, "none"))
		return 0;
	if (str_is(mode, "host")) {
		wish->network = NETWORK_HOST;
		return 0;
	}
	if (!str_starts(mode, STR("proxy:")))
		return error_set(err, ERROR_UNSUPPORTED,
			"networkmode %.*s: none, host and proxy:NAME,… are offered",
			STR_ARG(str_first(mode, 60)));
	wish->network = NETWORK_PROXY;
	mode = str_skip(mode, 6);
	wish->allow.items = arena_new_n(&r->arena, struct str, mode.len + 1);
	while (mode.len && str_split(&mode, ',', &name))
		if (name.len)
			wish->allow.items[wish->allow.n++] = name;
	return 0;
}

static int take_number(struct http_request *r, const char *name, int64_t *ret, struct error *err)
{
	struct str value = http_query(r, name);
	if (!value.len || str_is(value, "0") || str_is(value, "-1"))
		return 0;
	return num_parse_i64(value, 1, INT64_MAX / 2, ret, err) < 0 ? error_wrap(err, "%s", name)
								    : 0;
}

static int make_wish(struct http_request *r, struct build_wish *wish, struct error *err)
{
	*wish = (struct build_wish){ .dockerfile = http_query(r, "dockerfile"),
		.has_context = true,
		.target = http_query(r, "target"),
		.platform = http_query(r, "platform"),
		.no_cache = docker_flag(r, "nocache", false) };
	if (check_offered(r, err) < 0 || take_tags(r, wish, err) < 0 ||
		take_network(r, wish, err) < 0)
		return -1;
	if (take_number(r, "memory", &wish->limits.memory_bytes, err) < 0)
		return -1;
	return build_map_from_json(http_query(r, "buildargs"), "buildargs", &r->arena, &wish->args,
		       err) < 0
		? -1
		: build_map_from_json(http_query(r, "labels"), "labels", &r->arena, &wish->labels,
			  err);
}

void images_build(struct http_request *r)
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
	if (make_wish(r, &wish, &err) < 0) {
		docker_fail_error(r, &err);
		return;
	}
	struct building *b = arena_new(&r->arena, struct building);
	b->is_quiet = docker_flag(r, "q", false);
	b->in = (struct inlet){ r, &inlet_build,
		build_new(runtime_images(docker_of(r)->rt), &wish, &build_ops, b) };
	http_listen(r, &http_ops, b);
}

void builds_prune_docker(struct http_request *r)
{
	auto_buf struct buf b = BUF_INIT(256);
	struct jsonw w = JSONW(&b);
	jsonw_open(&w);
	jsonw_key(&w, "CachesDeleted");
	jsonw_open_array(&w);
	jsonw_close_array(&w);
	jsonw_key_int(&w, "SpaceReclaimed", images_drop_cache(runtime_images(docker_of(r)->rt)));
	jsonw_close(&w);
	http_reply_json(r, 200, &b);
}
