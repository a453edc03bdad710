/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a tool server says of itself. Each page asks the sandbox for its tools and is written from
 * the answer.
 */
#include "action/tool_actions.h"
#include "base/auto.h"
#include "face/camel/state.h"

typedef void page_fn(struct http_request *r, const struct json *list);

struct page {
	struct http_request *r;
	struct runtime_call *call; /* NULL: it is over */
	page_fn *write;
};

static void on_result(void *arg, struct str text)
{
	struct page *page = arg;
	auto_json struct json *list = NULL;
	struct error err;
	page->call = NULL;
	if (json_parse(text, &list, &err) < 0)
		camel_reply_detail(page->r, 500, err.text);
	else
		page->write(page->r, list);
}

static void on_error(void *arg, const struct error *err)
{
	struct page *page = arg;
	page->call = NULL;
	camel_reply_detail(page->r, 503, err->text);
}

static void on_closed(void *arg)
{
	struct page *page = arg;
	if (!page->call)
		return;
	runtime_call_cancel(page->call);
	page->call = NULL;
	camel_reply_detail(page->r, 503, "the client went away");
}

static void ask(struct http_request *r, page_fn *write)
{
	static const struct http_ops ops = { .on_closed = on_closed };
	static const struct call_sink sink = { .result = on_result, .error = on_error };
	struct sandbox *s = camel_sandbox(r);
	if (!s)
		return;
	struct page *page = arena_new(&r->arena, struct page);
	page->r = r;
	page->write = write;
	page->call = runtime_perform(s, &tool_list_action, STR_NONE, &sink, page);
	http_listen(r, &ops, page);
}

static const struct json *tool_at(const struct json *list, size_t i)
{
	return json_find(json_at(json_find(list, "tools"), i), "function");
}

static struct str name_of(const struct json *tool)
{
	return json_str(json_find(tool, "name"));
}

/* ---- /health ---- */

static void write_health(struct http_request *r, const struct json *list)
{
	const struct json *packs = json_find(list, "packs"), *tool;
	auto_buf struct buf b = BUF_INIT(HTTP_REPLY_MAX);
	struct jsonw w = JSONW(&b);
	jsonw_open(&w);
	jsonw_key_str(&w, "status", STR("ok"));
	jsonw_key(&w, "toolkits");
	jsonw_open_array(&w);
	for (size_t i = 0; i < json_len(packs); i++) {
		const struct json *pack = json_at(packs, i);
		if (str_is(json_str(json_find(pack, "kind")), "python"))
			jsonw_str(&w, json_str(json_find(pack, "pack")));
	}
	jsonw_close_array(&w);
	jsonw_key(&w, "endpoints");
	jsonw_open_array(&w);
	for (size_t i = 0; (tool = tool_at(list, i)); i++)
		jsonw_str(&w, name_of(tool));
	jsonw_close_array(&w);
	jsonw_close(&w);
	http_reply_json(r, 200, &b);
}

void camel_health(struct http_request *r)
{
	ask(r, write_health);
}

/* ---- /openapi.json ---- */

static void put_operation(struct jsonw *w, const struct json *tool)
{
	auto_buf struct buf text = BUF_INIT(256);
	buf_printf(&text, "/%.*s", STR_ARG(name_of(tool)));
	jsonw_key_dyn(w, buf_str(&text));
	jsonw_open(w);
	jsonw_key(w, "post");
	jsonw_open(w);
	jsonw_key_str(w, "summary", STR("Endpoint"));
	jsonw_key_str(w, "description", json_str(json_find(tool, "description")));
	buf_reset(&text);
	buf_printf(&text, "endpoint_%.*s_post", STR_ARG(name_of(tool)));
	jsonw_key_str(w, "operationId", buf_str(&text));
	jsonw_key(w, "requestBody");
	jsonw_raw(w,
		STR("{\"content\":{\"application/json\":{\"schema\":{\"type\":\"object\",\"title\":\"Data\","
		    "\"required\":[\"args\",\"kwargs\"],\"properties\":{\"args\":{\"type\":\"array\"},"
		    "\"redirect_stdout\":{},\"kwargs\":"));
	w->needs_comma = false;
	json_write(json_find(tool, "parameters"), w->b);
	buf_puts(w->b, "}}}},\"required\":true}");
	w->needs_comma = true;
	jsonw_key(w, "responses");
	jsonw_raw(w,
		STR("{\"200\":{\"description\":\"Successful Response\",\"content\":{\"application/json\":{\"schema\":"
		    "{\"type\":\"object\",\"properties\":{\"output\":{\"type\":\"string\"},\"stdout\":{\"type\":"
		    "\"string\"}}}}}},\"422\":{\"description\":\"Validation Error\"},\"500\":{\"description\":"
		    "\"Internal Server Error\"}}"));
	jsonw_close(w);
	jsonw_close(w);
}

static void write_openapi(struct http_request *r, const struct json *list)
{
	auto_buf struct buf b = BUF_INIT(HTTP_REPLY_MAX);
	struct jsonw w = JSONW(&b);
	const struct json *tool;
	jsonw_open(&w);
	jsonw_key_str(&w, "openapi", STR("3.1.0"));
	jsonw_key(&w, "info");
	jsonw_raw(&w, STR("{\"title\":\"cay tool server\",\"version\":\"0.1.0\"}"));
	jsonw_key(&w, "paths");
	jsonw_open(&w);
	jsonw_key(&w, "/health");
	jsonw_raw(&w,
		STR("{\"get\":{\"summary\":\"Health Check\",\"operationId\":\"health_check_health_get\","
		    "\"responses\":{\"200\":{\"description\":\"Successful Response\"}}}}"));
	for (size_t i = 0; (tool = tool_at(list, i)); i++)
		put_operation(&w, tool);
	jsonw_close(&w);
	jsonw_close(&w);
	http_reply_json(r, 200, &b);
}

void camel_openapi(struct http_request *r)
{
	ask(r, write_openapi);
}

/* ---- /docs ---- */

static void put_html(struct buf *b, struct str text)
{
	for (size_t i = 0; i < text.len; i++) {
		char c = text.ptr[i];
		if (c == '<')
			buf_puts(b, "&lt;");
		else if (c == '&')
			buf_puts(b, "&amp;");
		else
			buf_putc(b, c);
	}
}

/* One page, without a script or anything from elsewhere. */
static void write_docs(struct http_request *r, const struct json *list)
{
	auto_buf struct buf b = BUF_INIT(HTTP_REPLY_MAX);
	const struct json *tool;
	buf_puts(&b,
		"<!DOCTYPE html>\n<meta charset=utf-8>\n<title>Tools</title>\n<h1>Tools</h1>\n"
		"<p>POST /NAME {\"args\": [], \"kwargs\": {}, \"redirect_stdout\": false}; also "
		"<a href=openapi.json>openapi.json</a></p>\n");
	for (size_t i = 0; (tool = tool_at(list, i)); i++) {
		auto_buf struct buf schema = BUF_INIT(HTTP_REPLY_MAX);
		json_write(json_find(tool, "parameters"), &schema);
		buf_puts(&b, "<h2>");
		put_html(&b, name_of(tool));
		buf_puts(&b, "</h2>\n<pre>");
		put_html(&b, json_str(json_find(tool, "description")));
		buf_puts(&b, "</pre>\n<pre>");
		put_html(&b, buf_str(&schema));
		buf_puts(&b, "</pre>\n");
	}
	http_reply(r, 200, "text/html; charset=utf-8", buf_str(&b));
}

void camel_docs(struct http_request *r)
{
	ask(r, write_docs);
}

/* ---- GET of a tool ---- */

static void write_refusal(struct http_request *r, const struct json *list)
{
	const struct json *tool;
	for (size_t i = 0; (tool = tool_at(list, i)); i++)
		if (str_eq(name_of(tool), http_param(r, "tool"))) {
			http_reply_header(r, "Allow", "POST");
			camel_reply_detail(r, 405, "Method Not Allowed");
			return;
		}
	camel_reply_detail(r, 404, "Not Found");
}

void camel_get_tool(struct http_request *r)
{
	ask(r, write_refusal);
}
