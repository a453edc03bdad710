/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. A post is a message on its way, until its reply is over. What a reply says
 * of a request's failure becomes that request's error, so that the others and the session go on, as
 * when it ends or breaks off without an answer; a server that cannot be reached ends the link, and
 * with it all of them. A request that is cancelled takes its post along.
 *
 *	FIRST → STREAMABLE            the first message was taken
 *	FIRST → OPENING → STREAMING   it was refused: a stream is opened, which says where to post
 *
 * Messages that come while it is not known how to send them wait in `waiting`. The link is freed
 * when nobody is within a callback of it: `depth`.
 */
#include "runtime/mcp_web.h"

#include "base/auto.h"
#include "base/bug.h"
#include "base/list.h"
#include "runtime/mcp.h"
#include "wire/sse.h"

enum {
	POSTS_MAX = 2 * MCP_REQUESTS_MAX,
	HEADERS_MAX = 64,
	WORDS_MAX = 150, /* of a reply, in an error */
	LEAVE_MS = 2000,
	SESSION_MAX = 1024,
};

enum state { FIRST, STREAMABLE, OPENING, STREAMING };

struct mcp_web {
	struct mcp_link link;
	struct loop *loop;
	struct fetcher *fetcher;
	enum state state;
	char *url, *post_url; /* the second is of HTTP with SSE */
	char **headers;
	char *session; /* its header; NULL: there is none */
	char *version; /* the same, of what the two have agreed on */
	struct list posts;
	int n_posts;
	struct list waiting; /* struct post::link, not begun */
	struct fetch *stream;
	struct sse_parser events; /* of the stream */
	const struct mcp_link_events *ops;
	void *arg; /* NULL: let go of */
	int depth;
	bool is_over, has_unwanted;
};

struct post {
	struct list link; /* mcp_web::posts or ::waiting */
	struct mcp_web *web;
	struct fetch *fetch;
	struct buf line, answer;
	struct sse_parser events;
	int64_t id; /* of the request; 0: it is none */
	bool is_hello;
	bool is_unwanted; /* freed as soon as nobody is within a callback */
};

static void post_free(struct post *p)
{
	p->web->n_posts--;
	list_remove(&p->link);
	fetch_cancel(p->fetch);
	buf_fini(&p->line);
	buf_fini(&p->answer);
	sse_parser_fini(&p->events);
	free(p);
}

static void free_posts(struct list *posts)
{
	while (!list_is_empty(posts))
		post_free(list_get_first(posts, struct post, link));
}

static void web_free(struct mcp_web *web)
{
	loop_undefer(web->loop, web);
	free_posts(&web->posts);
	free_posts(&web->waiting);
	fetch_cancel(web->stream);
	sse_parser_fini(&web->events);
	for (char **h = web->headers; *h; h++)
		free(*h);
	free(web->headers);
	free(web->session);
	free(web->version);
	free(web->post_url);
	free(web->url);
	free(web);
}

static void enter(struct mcp_web *web)
{
	web->depth++;
}

static void free_unwanted(struct mcp_web *web)
{
	struct post *p, *next;
	list_for_each_safe(p, next, &web->posts, link)
		if (p->is_unwanted)
			post_free(p);
	web->has_unwanted = false;
}

static void leave(struct mcp_web *web)
{
	if (--web->depth > 0)
		return;
	if (web->is_over)
		web_free(web);
	else if (web->has_unwanted)
		free_unwanted(web);
}

/* Within enter and leave. */
static void web_end(struct mcp_web *web, const struct error *why)
{
	void *arg = take_ptr(web->arg);
	web->is_over = true;
	if (arg)
		web->ops->on_end(arg, why);
}

/* The answer to initialize names the revision; what is sent later shall, too. */
static void learn_version(struct mcp_web *web, struct str line)
{
	auto_json struct json *tree = NULL;
	if (json_check_values(line, MCP_VALUES_MAX, NULL) < 0 || json_parse(line, &tree, NULL) < 0)
		return;
	struct str version = json_str(json_find(json_find(tree, "result"), "protocolVersion"));
	if (mcp_revision_is_known(version))
		web->version = mem_printf("MCP-Protocol-Version: %.*s", STR_ARG(version));
}

static void give(struct mcp_web *web, struct str line)
{
	if (!web->version)
		learn_version(web, line);
	if (web->arg && line.len)
		web->ops->on_line(web->arg, line);
}

/* ---- what comes ---- */

/* The request alone fails, in the server's own form. */
static void refuse(struct mcp_web *web, int64_t id, struct str words)
{
	auto_buf struct buf text = BUF_INIT(8192), number = BUF_INIT(32);
	auto_json struct json *json = NULL;
	buf_printf(&number, "%lld", (long long)id);
	if (id == 0 || json_parse(buf_str(&number), &json, NULL) < 0)
		return;
	jsonrpc_put_error(&text, json, JSONRPC_INTERNAL_ERROR, words);
	give(web, buf_str(&text));
}

static void refuse_broken(struct mcp_web *web, int64_t id, const struct error *why)
{
	struct error err = *why;
	error_wrap(&err, "its reply broke off without an answer");
	refuse(web, id, str_from(err.text));
}

static int on_event(void *arg, const struct sse_event *event, struct error *err)
{
	struct post *p = arg;
	if (str_is(event->event, "message"))
		give(p->web, event->data);
	return p->web->arg ? 0 : error_set(err, ERROR_CANCELLED, "nobody listens any more");
}

static bool is_stream(const struct post *p)
{
	return str_starts(str_from(fetch_type(p->fetch)), STR("text/event-stream"));
}

/*
 * The server takes the first message: it speaks the newer transport, and says which session this
 * is.
 */
static void welcome(struct mcp_web *web, const struct post *p)
{
	int status = fetch_status(p->fetch);
	if (web->state != FIRST || status < 200 || status >= 300)
		return;
	const char *session = fetch_header(p->fetch, "Mcp-Session-Id");
	web->state = STREAMABLE;
	if (session[0] && strlen(session) <= SESSION_MAX)
		web->session = mem_printf("Mcp-Session-Id: %s", session);
}

static int on_body(void *arg, struct str piece, struct error *err)
{
	struct post *p = arg;
	struct mcp_web *web = p->web;
	int r;
	enter(web);
	welcome(web, p);
	if (fetch_status(p->fetch) == 200 && is_stream(p))
		r = sse_parse(&p->events, piece, on_event, p, err);
	else
		r = buf_put(&p->answer, piece) == 0
			? 0
			: error_set(err, ERROR_PROTOCOL, "it sent a message of more than %d bytes",
				  MCP_MESSAGE_MAX);
	leave(web);
	return r;
}

static void begin(struct post *p);
static void open_stream(struct mcp_web *web);

static void begin_waiting(struct mcp_web *web)
{
	while (!list_is_empty(&web->waiting))
		begin(list_get_first(&web->waiting, struct post, link));
}

/* The first one was refused as servers of the older transport do. */
static bool is_for_stream(const struct mcp_web *web, const struct post *p, int status)
{
	return web->state == FIRST && p->is_hello &&
		(status == 400 || status == 404 || status == 405);
}

static void put_refusal(const struct post *p, int status, struct buf *b)
{
	struct str words = str_first(str_trim(buf_str(&p->answer)), WORDS_MAX);
	buf_printf(b, "it answered %d%s%.*s", status, words.len ? ": " : "", STR_ARG(words));
}

static void take_reply(struct mcp_web *web, struct post *p, int status, bool was_stream)
{
	auto_buf struct buf words = BUF_INIT(1024);
	struct error err;
	put_refusal(p, status, &words);
	if (status >= 200 && status < 300) {
		if (status == 200 && !was_stream && web->state == STREAMABLE)
			give(web, str_trim(buf_str(&p->answer)));
		if (web->state == STREAMABLE) /* if that was no answer, there will be none */
			refuse(web, p->id, STR("its reply ended without an answer"));
	} else if (status == 404 && web->session) {
		error_set(&err, ERROR_UNAVAILABLE, "its session is over");
		web_end(web, &err);
	} else if (p->is_hello || p->id == 0) {
		error_set(&err, status == 401 ? ERROR_UNAUTHORIZED : ERROR_UNAVAILABLE, "%s",
			words.ptr);
		web_end(web, &err);
	} else {
		refuse(web, p->id, buf_str(&words));
	}
}

static void on_done(void *arg, const struct error *err)
{
	struct post *p = arg;
	struct mcp_web *web = p->web;
	int status = fetch_status(p->fetch);
	bool was_stream = is_stream(p);
	if (!err)
		welcome(web, p);
	p->fetch = NULL;
	enter(web);
	if (err && err->code == ERROR_UNAVAILABLE && web->state == STREAMABLE && status && p->id) {
		refuse_broken(web, p->id, err); /* that one's alone */
	} else if (err) {
		web_end(web, err);
	} else if (is_for_stream(web, p, status)) {
		list_remove(&p->link);
		list_append(&web->waiting, &p->link);
		buf_reset(&p->answer);
		open_stream(web);
		leave(web);
		return;
	} else {
		take_reply(web, p, status, was_stream);
	}
	post_free(p);
	if (!web->is_over && web->state == STREAMABLE)
		begin_waiting(web);
	leave(web);
}

/* ---- what goes ---- */

static size_t put_headers(const struct mcp_web *web, const char **all)
{
	size_t n = 0;
	for (char **h = web->headers; *h; h++)
		all[n++] = *h;
	if (web->session)
		all[n++] = web->session;
	if (web->version)
		all[n++] = web->version;
	return n;
}

static void begin(struct post *p)
{
	static const struct fetch_ops ops = { .on_body = on_body, .on_done = on_done };
	struct mcp_web *web = p->web;
	const char *headers[HEADERS_MAX + 5];
	size_t n = put_headers(web, headers);
	headers[n++] = "Content-Type: application/json";
	headers[n++] = "Accept: application/json, text/event-stream";
	headers[n] = NULL;
	const struct fetch_request request = {
		.method = "POST",
		.url = web->post_url ? web->post_url : web->url,
		.headers = headers,
		.body = buf_str(&p->line),
	};
	list_remove(&p->link);
	list_append(&web->posts, &p->link);
	p->fetch = fetch_new(web->fetcher, &request, &ops, p);
}

/* What a message is: a request's number, or whom it cancels. */
static int64_t read_line(struct str line, bool *ret_is_hello, int64_t *ret_cancelled)
{
	auto_json struct json *tree = NULL;
	struct jsonrpc m;
	*ret_is_hello = false;
	*ret_cancelled = 0;
	if (json_parse(line, &tree, NULL) < 0 || jsonrpc_read(tree, &m, NULL) < 0)
		return 0;
	*ret_is_hello = m.kind == JSONRPC_REQUEST && str_is(m.method, "initialize");
	if (m.kind == JSONRPC_NOTIFICATION && str_is(m.method, "notifications/cancelled"))
		*ret_cancelled = json_int(json_find(m.params, "requestId"));
	return m.kind == JSONRPC_REQUEST ? json_int(m.id) : 0;
}

static void drop_request(struct mcp_web *web, int64_t id)
{
	struct post *p;
	list_for_each(p, &web->posts, link)
		p->is_unwanted |= p->id == id;
	web->has_unwanted = true;
	enter(web);
	leave(web);
}

static int web_send(struct mcp_link *link, struct str line, struct error *err)
{
	struct mcp_web *web = container_of(link, struct mcp_web, link);
	int64_t cancelled;
	if (web->n_posts >= POSTS_MAX)
		return error_set(err, ERROR_LIMIT, "%d messages are on their way to it", POSTS_MAX);
	struct post *p = mem_new(struct post);
	p->web = web;
	p->id = read_line(line, &p->is_hello, &cancelled);
	buf_init(&p->line, MCP_MESSAGE_MAX);
	buf_init(&p->answer, MCP_MESSAGE_MAX);
	sse_parser_init(&p->events, MCP_MESSAGE_MAX);
	buf_put(&p->line, line);
	list_init(&p->link);
	web->n_posts++;
	list_append(&web->waiting, &p->link);
	if (p->is_hello || web->state == STREAMABLE || web->state == STREAMING)
		begin(p);
	if (cancelled)
		drop_request(web, cancelled);
	return 0;
}

/* ---- HTTP with SSE ---- */

/* Where to post: on the same server, else a key would be told to another. */
static int take_endpoint(struct mcp_web *web, struct str where, struct error *err)
{
	struct str url = str_from(web->url);
	ptrdiff_t host = str_find_char(url, ':') + 3; /* "http://" or "https://" */
	ptrdiff_t slash = str_find_char(str_skip(url, (size_t)host), '/');
	struct str origin = slash < 0 ? url : str_first(url, (size_t)(host + slash));
	bool is_same = str_starts(where, origin) &&
		(where.len == origin.len || where.ptr[origin.len] == '/');
	for (size_t i = 0; i < where.len; i++)
		if ((unsigned char)where.ptr[i] <= 0x20)
			return error_set(err, ERROR_PROTOCOL, "it names no URL to post to");
	if (str_starts(where, STR("/")) && !str_starts(where, STR("//")))
		web->post_url = mem_printf("%.*s%.*s", STR_ARG(origin), STR_ARG(where));
	else if (is_same)
		web->post_url = str_dup(where);
	else
		return error_set(err, ERROR_PROTOCOL, "it wants messages posted elsewhere: %.*s",
			STR_ARG(str_first(where, 100)));
	return 0;
}

static int on_stream_event(void *arg, const struct sse_event *event, struct error *err)
{
	struct mcp_web *web = arg;
	if (str_is(event->event, "endpoint") && web->state == OPENING) {
		if (take_endpoint(web, str_trim(event->data), err) < 0)
			return -1;
		web->state = STREAMING;
		begin_waiting(web);
	} else if (str_is(event->event, "message")) {
		give(web, event->data);
	}
	return web->arg ? 0 : error_set(err, ERROR_CANCELLED, "nobody listens any more");
}

static int on_stream_body(void *arg, struct str piece, struct error *err)
{
	struct mcp_web *web = arg;
	enter(web);
	int r = fetch_status(web->stream) == 200
		? sse_parse(&web->events, piece, on_stream_event, web, err)
		: 0;
	leave(web);
	return r;
}

static void on_stream_done(void *arg, const struct error *failure)
{
	struct mcp_web *web = arg;
	struct error err;
	int status = fetch_status(web->stream);
	web->stream = NULL;
	if (failure)
		err = *failure;
	else if (status != 200)
		error_set(&err, status == 401 ? ERROR_UNAUTHORIZED : ERROR_UNAVAILABLE,
			"it answered %d", status);
	else
		error_set(&err, ERROR_UNAVAILABLE, "its stream ended");
	enter(web);
	web_end(web, &err);
	leave(web);
}

static void open_stream(struct mcp_web *web)
{
	static const struct fetch_ops ops = { .on_body = on_stream_body,
		.on_done = on_stream_done };
	const char *headers[HEADERS_MAX + 4];
	size_t n = put_headers(web, headers);
	headers[n++] = "Accept: text/event-stream";
	headers[n] = NULL;
	const struct fetch_request request = { .method = "GET",
		.url = web->url,
		.headers = headers };
	web->state = OPENING;
	web->stream = fetch_new(web->fetcher, &request, &ops, web);
}

/* ---- the beginning and the end ---- */

static void nothing_more(void *arg, const struct error *err)
{
}

/* The session is given up; whether the server hears of it does not matter any more. */
static void say_goodbye(struct mcp_web *web)
{
	static const struct fetch_ops ops = { .on_done = nothing_more };
	const char *headers[HEADERS_MAX + 3];
	size_t n = put_headers(web, headers);
	headers[n] = NULL;
	const struct fetch_request request = {
		.method = "DELETE",
		.url = web->url,
		.headers = headers,
		.timeout_ms = LEAVE_MS,
	};
	fetch_new(web->fetcher, &request, &ops, NULL);
}

static void web_let_go(struct mcp_link *link, bool is_urgent)
{
	struct mcp_web *web = container_of(link, struct mcp_web, link);
	web->arg = NULL;
	web->is_over = true;
	if (web->session)
		say_goodbye(web);
	if (web->depth == 0)
		web_free(web);
}

static const struct mcp_link_ops link_ops = { .send = web_send, .let_go = web_let_go };

struct mcp_link *mcp_web_new(struct loop *loop, struct fetcher *fetcher, const char *url,
	const char *const *headers, const struct mcp_link_events *events, void *arg)
{
	struct mcp_web *web = mem_new(struct mcp_web);
	size_t n = 0;
	web->link.ops = &link_ops;
	web->loop = loop;
	web->fetcher = fetcher;
	web->url = mem_strdup(url);
	web->ops = events;
	web->arg = arg;
	list_init(&web->posts);
	list_init(&web->waiting);
	sse_parser_init(&web->events, MCP_MESSAGE_MAX);
	while (headers && headers[n])
		n++;
	BUG_IF(n > HEADERS_MAX, "more headers than are let in");
	web->headers = mem_new_n(char *, n + 1);
	for (size_t i = 0; i < n; i++)
		web->headers[i] = mem_strdup(headers[i]);
	return &web->link;
}
