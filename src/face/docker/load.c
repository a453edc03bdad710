/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How images come in: docker load (what docker save wrote, or an OCI layout), docker import (a root
 * file system), and docker pull, which finds what is there already: there is no registry.
 *
 * Answers are streams of JSON lines; an error after the head is {"error","errorDetail"}, which
 * clients look for.
 */
#include "face/docker/handlers.h"

#include "base/auto.h"
#include "base/bug.h"
#include "runtime/import.h"
#include "runtime/inlet.h"
#include "wire/url.h"

struct loading {
	struct inlet in; /* to an import */
	bool is_load;
};

static struct images *images_of(const struct http_request *r)
{
	return runtime_images(docker_of(r)->rt);
}

static void say(struct http_request *r, const char *key, const char *text)
{
	auto_buf struct buf b = BUF_INIT(8192);
	struct jsonw w = JSONW(&b);
	jsonw_open(&w);
	jsonw_key_str(&w, key, str_from(text));
	jsonw_close(&w);
	buf_puts(&b, "\r\n");
	http_stream_write(r, buf_str(&b));
}

static void on_done(void *arg, const char *const *ids, size_t n)
{
	struct loading *l = arg;
	struct http_request *r = l->in.r;
	l->in.to = NULL;
	http_stream_begin(r, 200, "application/json", -1);
	for (size_t i = 0; i < n; i++) {
		struct error err;
		const struct image *image = images_find(images_of(r), str_from(ids[i]), &err);
		size_t at = 0;
		const char *name = image ? images_next_name(images_of(r), image, &at) : NULL;
		auto_free char *text = l->is_load
			? mem_printf("Loaded image%s%s\n",
				  name ? ": " : " ID: sha256:", name ? name : ids[i])
			: mem_printf("sha256:%s", ids[i]);
		say(r, l->is_load ? "stream" : "status", text);
		docker_event(docker_of(r), "image", l->is_load ? "load" : "import", ids[i], "name",
			name ? name : "");
	}
	http_stream_end(r, true);
}

static void on_failed(void *arg, const struct error *err)
{
	struct loading *l = arg;
	l->in.to = NULL;
	docker_fail_error(l->in.r, err);
}

static void on_closed(void *arg)
{
	struct loading *l = arg;
	import_cancel(take_ptr(l->in.to));
	docker_fail(l->in.r, 499, "the client went away");
}

static void take(struct http_request *r, const struct import_wish *wish, bool is_load)
{
	static const struct import_ops import_ops = { inlet_drain, on_done, on_failed };
	static const struct http_ops http_ops = {
		.on_body = inlet_body,
		.on_body_end = inlet_end,
		.on_closed = on_closed,
	};
	struct loading *l = arena_new(&r->arena, struct loading);
	l->is_load = is_load;
	l->in = (struct inlet){ r, &inlet_import, import_new(images_of(r), wish, &import_ops, l) };
	http_listen(r, &http_ops, l);
}

void images_load(struct http_request *r)
{
	take(r, &(struct import_wish){ .kind = IMPORT_ARCHIVE }, true);
}

/* ---- docker import --change ---- */

static void put_command(struct jsonw *w, struct str text)
{
	auto_json struct json *list = NULL;
	if (json_parse(text, &list, NULL) == 0 && json_kind(list) == JSON_KIND_ARRAY) {
		jsonw_raw(w, text);
		return;
	}
	jsonw_open_array(w);
	jsonw_str(w, STR("/bin/sh"));
	jsonw_str(w, STR("-c"));
	jsonw_str(w, text);
	jsonw_close_array(w);
}

static void put_variable(struct jsonw *w, struct str text)
{
	auto_buf struct buf pair = BUF_INIT(65536);
	ptrdiff_t space = str_find_char(text, ' '), sign = str_find_char(text, '=');
	buf_put(&pair, text);
	if (space > 0 && (sign < 0 || space < sign))
		pair.ptr[space] = '='; /* "ENV NAME VALUE" */
	jsonw_str(w, buf_str(&pair));
}

/* One instruction of a Dockerfile. */
static int put_change(struct jsonw *w, struct jsonw *env, struct str text, struct error *err)
{
	static const struct {
		const char *word, *key;
	} texts[] = { { "WORKDIR", "WorkingDir" }, { "USER", "User" },
		{ "STOPSIGNAL", "StopSignal" } };
	ptrdiff_t space = str_find_char(text, ' ');
	struct str word = space < 0 ? text : str_first(text, (size_t)space);
	struct str rest = space < 0 ? STR("") : str_trim(str_skip(text, (size_t)space));
	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		if (str_eq_nocase(word, str_from(texts[i].word))) {
			jsonw_key_str(w, texts[i].key, rest);
			return 0;
		}
	if (str_eq_nocase(word, STR("ENV")))
		put_variable(env, rest);
	else if (str_eq_nocase(word, STR("CMD")) || str_eq_nocase(word, STR("ENTRYPOINT"))) {
		jsonw_key(w, str_eq_nocase(word, STR("CMD")) ? "Cmd" : "Entrypoint");
		put_command(w, rest);
	} else
		return error_set(err, ERROR_INVALID,
			"change '%.*s': only CMD, ENTRYPOINT, ENV, USER, WORKDIR and STOPSIGNAL are offered",
			STR_ARG(str_first(text, 100)));
	return 0;
}

int image_put_changes(struct http_request *r, struct buf *config, struct error *err)
{
	auto_buf struct buf list = BUF_INIT(HTTP_HEAD_MAX), key = BUF_INIT(HTTP_HEAD_MAX),
			    text = BUF_INIT(HTTP_HEAD_MAX);
	struct jsonw w = JSONW(config), env = JSONW(&list);
	struct str rest = r->query, name, value;
	jsonw_open(&w);
	jsonw_open_array(&env);
	while (url_query_next(&rest, &name, &value)) {
		buf_reset(&key);
		buf_reset(&text);
		if (url_decode(name, URL_QUERY, &key, err) < 0 ||
			url_decode(value, URL_QUERY, &text, err) < 0)
			return -1;
		if (str_is(buf_str(&key), "changes") &&
			put_change(&w, &env, buf_str(&text), err) < 0)
			return -1;
	}
	jsonw_close_array(&env);
	jsonw_key(&w, "Env");
	jsonw_raw(&w, buf_str(&list));
	jsonw_close(&w);
	return 0;
}

/* ---- pull and import ---- */

static void pull(struct http_request *r, struct str name, struct str tag)
{
	auto_buf struct buf full = BUF_INIT(2048);
	struct error err;
	bool is_digest = str_starts(tag, STR("sha256:"));
	buf_printf(&full, "%.*s%s%.*s", STR_ARG(name), tag.len ? is_digest ? "@" : ":" : "",
		STR_ARG(tag));
	const struct image *image = images_find(images_of(r), buf_str(&full), &err);
	if (!image) {
		docker_fail(r, 404,
			"pull access denied for %.*s, repository does not exist: there is no registry here; images are loaded (docker load) or imported (docker import, cay image import)",
			STR_ARG(str_first(name, 200)));
		return;
	}
	auto_free char *status = mem_printf("Status: Image is up to date for %s", full.ptr);
	http_stream_begin(r, 200, "application/json", -1);
	say(r, "status", status);
	http_stream_end(r, true);
}

void images_create(struct http_request *r)
{
	struct str source = http_query(r, "fromSrc"), from = http_query(r, "fromImage");
	struct str repo = http_query(r, "repo"), tag = http_query(r, "tag");
	auto_buf struct buf name = BUF_INIT(2048), config = BUF_INIT(4 * HTTP_HEAD_MAX);
	struct error err;
	if (from.len) {
		pull(r, from, tag);
		return;
	}
	if (!str_is(source, "-")) {
		docker_fail(r, 400, "only an image that is sent along can be imported: fromSrc=-");
		return;
	}
	if (image_put_changes(r, &config, &err) < 0) {
		docker_fail_error(r, &err);
		return;
	}
	if (repo.len)
		buf_printf(&name, "%.*s%s%.*s", STR_ARG(repo), tag.len ? ":" : "", STR_ARG(tag));
	const struct import_wish wish = {
		.kind = IMPORT_TREE,
		.name = buf_str(&name),
		.config_json = buf_str(&config),
	};
	take(r, &wish, false);
}
