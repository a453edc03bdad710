/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a head that has arrived to a handler that runs. The checks stand in one list, in the order
 * of their cost to an attacker: framing, Host and Origin, route, token, body. The first that fails
 * answers.
 */
#include "http/conn.h"

#include "base/auto.h"
#include "base/bug.h"
#include "base/clock.h"
#include "http/places.h"
#include "http/turns.h"
#include "wire/json.h"
#include "wire/url.h"

/* Of one request: room for all that some results of an executor's, of 16 MiB each, may hold. */
enum { ARENA_MAX = 96 * 1024 * 1024 };

static void release(struct exchange *x)
{
	if (x->server)
		places_forget(x);
	buf_fini(&x->body);
	buf_fini(&x->headers);
	arena_fini(&x->r.arena);
	free(x);
}

void exchanges_release(void *arg)
{
	struct list *over = arg;
	while (!list_is_empty(over)) {
		struct exchange *x = list_get_first(over, struct exchange, link);
		list_remove(&x->link);
		release(x);
	}
}

/*
 * A handler often looks at its request once more after it has answered: not for long, but it may.
 */
void exchange_free(struct exchange *x)
{
	struct http_server *s = x->server;
	BUG_IF(x->is_over, "a request was answered twice");
	x->is_over = true;
	x->conn = NULL;
	if (!s) {
		release(x);
		return;
	}
	s->n_requests--;
	list_remove(&x->turn);
	list_remove(&x->link);
	loop_undefer(s->loop, x);
	if (list_is_empty(&s->over))
		loop_defer(s->loop, exchanges_release, &s->over);
	list_append(&s->over, &x->link);
}

void exchange_abandon(struct exchange *x)
{
	x->conn = NULL;
	x->is_closed = true;
	if (x->is_handled)
		reply_closed(x);
	else
		exchange_free(x);
}

static void run_handler(struct exchange *x)
{
	x->is_handled = true;
	x->r.route->handle(&x->r);
}

static struct exchange *exchange_new(struct http_conn *c)
{
	struct exchange *x = mem_new(struct exchange);
	x->conn = c;
	x->server = c->server;
	x->r.server = c->server;
	x->r.arena = ARENA_INIT(ARENA_MAX);
	x->r.body = STR("");
	x->is_closed = c->is_eof;
	buf_init(&x->body, 0);
	buf_init(&x->headers, HTTP_HEAD_MAX);
	list_init(&x->turn);
	list_append(&c->server->exchanges, &x->link);
	c->server->n_requests++;
	c->server->requests_total++;
	c->current = x;
	return x;
}

static void go_below(struct exchange *x, const char *prefix)
{
	struct str path = x->r.path;
	x->r.path = str_from_len(arena_printf(&x->r.arena, "%s%.*s", prefix, STR_ARG(path)),
		strlen(prefix) + path.len);
}

/* RFC 9112 3.2: exactly one Host. Its list keeps pages that rebind a name of theirs to us out. */
static int check_host(struct exchange *x, struct error *err)
{
	struct str host = STR_NONE;
	for (size_t i = 0; i < x->head.n_headers; i++) {
		if (!str_eq_nocase(x->head.headers[i].name, STR("Host")))
			continue;
		if (host.ptr)
			return error_set(err, ERROR_INVALID, "HTTP: two Host headers");
		host = x->head.headers[i].value;
	}
	if (!host.ptr && x->head.minor == 1)
		return error_set(err, ERROR_INVALID, "HTTP: no Host header");
	x->r.face = server_face_of_host(x->server, host);
	if (x->r.face && x->r.face->host_route)
		x->r.route = x->r.face->host_route;
	else if (x->r.face)
		go_below(x, x->r.face->host_prefix);
	else if (x->conn->peer && !names_has_host(&x->server->names, host))
		return error_set(err, ERROR_FORBIDDEN,
			"Host '%.*s' is not one of this server's names; more of them: serve.names in cay.toml",
			STR_ARG(str_first(host, 100)));
	return 0;
}

static bool is_origin_of(struct str origin, struct str host)
{
	ptrdiff_t at = str_find(origin, STR("://"));
	return at > 0 && str_eq_nocase(str_skip(origin, (size_t)at + 3), host);
}

static int check_origin(struct exchange *x, struct error *err)
{
	struct str origin = http1_find(&x->head, "Origin");
	if (!origin.ptr)
		return 0;
	if (x->r.route ? is_origin_of(origin, http1_find(&x->head, "Host"))
		       : names_has_origin(&x->server->names, origin))
		return 0;
	return error_set(err, ERROR_FORBIDDEN, "Origin '%.*s' may not call this server",
		STR_ARG(str_first(origin, 100)));
}

/* ---- tokens ---- */

static int admit(const struct http_request *r, const struct grant *g, struct error *err)
{
	const struct http_route *route = r->route;
	if (g->until_s <= clock_wall_ms() / 1000)
		return error_set(err, ERROR_UNAUTHORIZED, "the token has ended");
	if (!route || route->role != g->role)
		return error_set(err, ERROR_FORBIDDEN, "a token for %s is not good for this",
			g->role == ROLE_SANDBOX ? "one sandbox" : "one file");
	if (g->role != ROLE_SANDBOX)
		return 0;
	/* Whether there is another sandbox of that name it does not learn. */
	const char *sandbox = r->face->sandbox_of ? r->face->sandbox_of(r) : NULL;
	if (sandbox && str_is(g->sandbox, sandbox))
		return 0;
	return error_set(err, ERROR_FORBIDDEN, "the token is for another sandbox");
}

static void pin_sandbox(struct http_request *r, const struct grant *g)
{
	for (size_t i = 0; r->face->sandbox_param && i < r->match.n_params; i++)
		if (str_is(r->match.names[i], r->face->sandbox_param))
			r->match.values[i] = g->sandbox;
}

static bool is_admitted(struct exchange *x, struct str token)
{
	struct grant grant;
	struct error *err = &x->denied;
	if (grant_parse(token, x->server->token, &x->r.arena, &grant, err) < 0)
		return false;
	x->r.grant = grant; /* a face may say of a path that it is about the token's sandbox */
	if (admit(&x->r, &grant, err) < 0) {
		x->r.grant = (struct grant){ 0 };
		return false;
	}
	x->denied.code = ERROR_OK;
	if (grant.role == ROLE_SANDBOX) {
		pin_sandbox(&x->r, &grant);
		x->until_s = grant.until_s; /* a file that is being fetched by a link still comes */
	}
	x->token = token;
	return true;
}

bool http_token_is_valid(const struct http_request *r, struct str token)
{
	const struct http_server *s = r->server;
	if (!s || !s->token || str_eq_secret(token, str_from(s->token))) {
		exchange_of(r)->is_own = true;
		return true;
	}
	return grant_is_token(token) && is_admitted(exchange_of(r), token);
}

void http_end_at(struct http_request *r, int64_t until_s)
{
	exchange_of(r)->until_s = until_s;
}

void http_be_guest(struct http_request *r, struct str sandbox_id)
{
	const char *id = arena_str(&r->arena, sandbox_id);
	r->grant = (struct grant){ .role = ROLE_SANDBOX,
		.sandbox = str_from_len(id, sandbox_id.len),
		.until_s = INT64_MAX / 1000 };
}

int http_put_token(const struct http_request *r, const struct grant *grant, struct buf *b,
	struct error *err)
{
	if (!r->server || !r->server->token)
		return error_set(err, ERROR_UNSUPPORTED,
			"this server asks for no token, so there is none that is narrower");
	return grant_put(grant, r->server->token, b, err);
}

int http_tcp_port(const struct http_request *r)
{
	return r->server ? r->server->names.tcp_port : 0;
}

struct str http_bearer(const struct http_request *r)
{
	struct str value = http_header(r, "Authorization");
	if (!str_eq_nocase(str_first(value, 7), STR("Bearer ")))
		return STR_NONE;
	return str_trim(str_skip(value, 7));
}

static int check_bearer(const struct http_request *r, struct error *err)
{
	struct str value = http_bearer(r);
	if (http_token_is_valid(r, value))
		return 0;
	return error_set(err, ERROR_UNAUTHORIZED,
		value.ptr ? "the token is wrong" : "a token is wanted: 'Authorization: Bearer …'");
}

static int check_token(struct exchange *x, struct error *err)
{
	bool has_own = x->r.face && x->r.face->authorize;
	int r = has_own ? x->r.face->authorize(&x->r, err) : check_bearer(&x->r, err);
	if (r < 0 && x->denied.code != ERROR_OK)
		*err = x->denied; /* it says more */
	return r;
}

/*
 * The face whose prefix is the longest that the path starts with, else one that owns it otherwise;
 * NULL if there is none.
 */
static const struct http_face *face_for(const struct http_server *s, struct str path)
{
	const struct http_face *best = NULL;
	for (int i = 0; i < s->n_faces; i++) {
		struct str prefix = str_from(s->faces[i]->prefix);
		if (prefix.ptr && str_starts(path, prefix) &&
			(!best || prefix.len > strlen(best->prefix)))
			best = s->faces[i];
	}
	for (int i = 0; i < s->n_faces && !best; i++)
		if (s->faces[i]->owns_path && s->faces[i]->owns_path(s->faces[i], path))
			best = s->faces[i];
	return best;
}

/* Who has no token does not learn which routes there are. */
static int find_route(struct exchange *x, struct error *err)
{
	auto_buf struct buf allow = BUF_INIT(256);
	struct error other;
	if (x->r.route)
		return x->r.route->flags & HTTP_NO_AUTH ? 0 : check_token(x, err);
	int r = router_match(x->server->router, x->r.method, x->r.path, &x->r.arena, &x->r.match,
		&allow, &other);
	x->r.route = x->r.match.route;
	x->r.face = x->r.match.face ? x->r.match.face : face_for(x->server, x->r.path);
	if ((r < 0 || !(x->r.route->flags & HTTP_NO_AUTH)) && check_token(x, err) < 0)
		return -1;
	if (r == 0)
		return 0;
	if (allow.len)
		http_reply_header(&x->r, "Allow", allow.ptr);
	*err = other;
	return -1;
}

static int64_t body_max(const struct exchange *x)
{
	return x->r.route->body_max ? x->r.route->body_max : HTTP_BODY_MAX;
}

static int too_large(struct exchange *x, struct error *err)
{
	return error_set(err, ERROR_TOO_LARGE, "a body for this route may have %lld bytes",
		(long long)body_max(x));
}

static int check_body(struct exchange *x, struct error *err)
{
	return x->head.content_length > body_max(x) ? too_large(x, err) : 0;
}

static int check_place(struct exchange *x, struct error *err)
{
	return x->r.route->flags & HTTP_NO_AUTH ? 0 : places_admit(x, err);
}

static int check_upgrade(struct exchange *x, struct error *err)
{
	if (!(x->r.route->flags & HTTP_WEBSOCKET))
		return 0;
	if (x->r.route->flags & HTTP_PLAIN_TOO && !http_header(&x->r, "Upgrade").ptr)
		return 0;
	if (x->head.minor != 1 || x->conn->input == INPUT_BODY ||
		!http1_has_token(http_header(&x->r, "Connection"), "upgrade") ||
		!http1_has_token(http_header(&x->r, "Upgrade"), "websocket"))
		return error_set(err, ERROR_INVALID, "this route wants a WebSocket upgrade");
	if (!str_is(http_header(&x->r, "Sec-WebSocket-Version"), "13") ||
		http_header(&x->r, "Sec-WebSocket-Key").len != 24)
		return error_set(err, ERROR_INVALID, "WebSocket: version 13 and a key are wanted");
	return 0;
}

static int (*const checks[])(struct exchange *x, struct error *err) = {
	check_host,
	check_origin,
	find_route,
	check_place,
	check_body,
	check_upgrade,
};

static int check_all(struct exchange *x, struct error *err)
{
	for (size_t i = 0; i < ARRAY_LEN(checks); i++)
		if (checks[i](x, err) < 0)
			return -1;
	return 0;
}

static void set_input(struct http_conn *c, const struct http1_head *head)
{
	bool has_body = head->is_chunked || head->content_length > 0;
	c->input = has_body ? INPUT_BODY : INPUT_DONE;
	c->body_left = head->is_chunked ? -1 : head->content_length;
	if (!head->keeps_alive)
		c->is_last = true;
}

static void start_body(struct http_conn *c, struct exchange *x)
{
	static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";
	if (c->input == INPUT_BODY && http1_has_token(http_header(&x->r, "Expect"), "100-continue"))
		conn_send(c, &(struct iovec){ (char *)(uintptr_t)go_on, sizeof(go_on) - 1 }, 1);
	if (!(x->r.route->flags & HTTP_STREAMS_BODY))
		x->body.limit = (size_t)body_max(x);
	else
		run_handler(x);
}

void request_begin(struct http_conn *c, struct str bytes)
{
	struct error err;
	struct exchange *x = exchange_new(c);
	bytes.ptr = arena_str(&x->r.arena, bytes);
	if (http1_parse_request(bytes, &x->head, &err) < 0) {
		reply_refuse(c, err.code == ERROR_LIMIT ? 431 : 400, &err);
		return;
	}
	set_input(c, &x->head);
	x->r.method = x->head.method;
	x->r.path = x->head.path;
	x->r.query = x->head.query;
	x->r.body_length = x->head.is_chunked ? -1 : MAX(x->head.content_length, 0);
	x->is_head = str_is(x->r.method, "HEAD");
	if (check_all(x, &err) < 0) {
		if (x->head.content_length > 0 && http1_find(&x->head, "Expect").ptr)
			c->is_last = true; /* the body may come, or not */
		http_reply_error(&x->r, &err);
		return;
	}
	start_body(c, x);
	if (c->current && c->input == INPUT_DONE)
		request_body_end(c->current);
}

bool request_takes_body(const struct exchange *x)
{
	bool is_stream = x->r.route->flags & HTTP_STREAMS_BODY;
	return !is_stream || (!x->is_paused && x->ops && x->ops->on_body);
}

void request_body(struct exchange *x, struct str piece)
{
	struct error err;
	if (x->conn->body_seen > body_max(x)) {
		too_large(x, &err);
		reply_refuse(x->conn, 413, &err);
	} else if (x->r.route->flags & HTTP_STREAMS_BODY) {
		x->ops->on_body(x->ops_arg, piece);
	} else if (places_is_over(x->conn)) {
		error_set(&err, ERROR_LIMIT,
			"over %d bytes wait already in requests and answers of this sandbox, or of all",
			HTTP_GUEST_BYTES);
		reply_refuse(x->conn, 429, &err);
	} else {
		buf_put(&x->body, piece);
		places_count(x->conn);
	}
}

/* As text it has its length; as a tree, a hundred times that. */
static int check_values(const struct exchange *x, struct error *err)
{
	if (!x->conn || !x->conn->guest || x->r.route->flags & HTTP_TAKES_TEXT)
		return 0;
	return json_check_values(buf_str(&x->body), HTTP_GUEST_VALUES, err);
}

void request_handle(struct exchange *x)
{
	struct error err;
	x->r.body = buf_str(&x->body);
	if (check_values(x, &err) < 0)
		http_reply_error(&x->r, &err);
	else
		run_handler(x);
}

void request_body_end(struct exchange *x)
{
	x->is_body_whole = true;
	if (!(x->r.route->flags & HTTP_STREAMS_BODY)) {
		if (!turns_wait(x))
			request_handle(x);
	} else if (x->ops && x->ops->on_body_end && !x->body_end_told) {
		x->body_end_told = true;
		x->ops->on_body_end(x->ops_arg);
	}
}

static void tell_late(void *arg)
{
	struct exchange *x = arg;
	if (x->is_closed && !x->closed_told) {
		reply_closed(x);
		return;
	}
	/* Of other rows the handler is what the end of the body has run, and runs once. */
	if (x->r.route->flags & HTTP_STREAMS_BODY && x->is_body_whole && !x->body_end_told)
		request_body_end(x);
}

void http_listen(struct http_request *r, const struct http_ops *ops, void *arg)
{
	struct exchange *x = exchange_of(r);
	x->ops = ops;
	x->ops_arg = arg;
	bool is_late = x->is_closed || (x->is_body_whole && r->route->flags & HTTP_STREAMS_BODY);
	if (is_late && x->server)
		loop_defer(x->server->loop, tell_late, x);
	if (x->conn)
		conn_touch(x->conn);
}

void http_pause_body(struct http_request *r, bool is_paused)
{
	struct exchange *x = exchange_of(r);
	x->is_paused = is_paused;
	if (x->conn)
		conn_touch(x->conn);
}

struct str http_param(const struct http_request *r, const char *name)
{
	for (size_t i = 0; i < r->match.n_params; i++)
		if (str_is(r->match.names[i], name))
			return r->match.values[i];
	return STR_NONE;
}

struct str http_query(struct http_request *r, const char *name)
{
	auto_buf struct buf value = BUF_INIT(HTTP_HEAD_MAX);
	if (!r->query.ptr || url_query_find(r->query, name, &value, NULL) != 1)
		return STR_NONE;
	return (struct str){ arena_str(&r->arena, buf_str(&value)), value.len };
}

struct str http_header(const struct http_request *r, const char *name)
{
	return http1_find(&exchange_of(r)->head, name);
}

bool http_next_header(const struct http_request *r, size_t *i, struct str *ret_name,
	struct str *ret_value)
{
	const struct http1_head *head = &exchange_of(r)->head;
	if (*i >= (size_t)head->n_headers)
		return false;
	*ret_name = head->headers[*i].name;
	*ret_value = head->headers[(*i)++].value;
	return true;
}

bool http_accepts(const struct http_request *r, const char *type)
{
	struct str rest = http_header(r, "Accept"), piece;
	while (str_split(&rest, ',', &piece)) {
		ptrdiff_t end = str_find_char(piece, ';');
		if (end >= 0)
			piece = str_first(piece, (size_t)end);
		if (str_eq_nocase(str_trim(piece), str_from(type)))
			return true;
	}
	return false;
}

bool http_is_closed(const struct http_request *r)
{
	const struct exchange *x = exchange_of(r);
	return x->is_closed || !x->conn;
}
