/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. A client is a loop of its own with a fetcher on it; a call runs the loop
 * until it is answered. What the body of a request is read from may block: nobody else waits.
 */
#include "http/client_socket.h"

#include "base/auto.h"
#include "base/bug.h"
#include "http/fetch.h"
#include "wire/json.h"
#include "wire/sse.h"

enum { EVENT_MAX = 32 * 1024 * 1024, HEADERS_MAX = 4 };

static int set_url(struct http_client *c, const char *url, struct error *err)
{
	struct str s = str_from(url);
	if (str_starts(s, STR("unix:"))) {
		c->unix_path = str_dup(str_skip(s, 5));
		c->base = mem_strdup("http://localhost");
		c->host = mem_strdup("localhost");
		c->prefix = mem_strdup("");
		if (c->unix_path[0] == '/')
			return 0;
		return error_set(err, ERROR_INVALID, "'%s': unix: wants an absolute path", url);
	}
	while (str_ends(s, STR("/")))
		s.len--;
	ptrdiff_t scheme = str_find(s, STR("://"));
	struct str name = str_first(s, scheme < 0 ? 0 : (size_t)scheme);
	if (!str_is(name, "http") && !str_is(name, "https"))
		return error_set(err, ERROR_INVALID,
			"'%s': a URL starts with http://, https:// or unix:", url);
	struct str rest = str_skip(s, (size_t)scheme + 3);
	ptrdiff_t slash = str_find_char(rest, '/');
	c->base = str_dup(s);
	c->host = str_dup(slash < 0 ? rest : str_first(rest, (size_t)slash));
	c->prefix = str_dup(slash < 0 ? STR("") : str_skip(rest, (size_t)slash));
	return 0;
}

int http_client_new(const char *url, const char *token, struct http_client **ret, struct error *err)
{
	struct http_client *c = mem_new(struct http_client);
	c->token = token ? mem_strdup(token) : NULL;
	if (set_url(c, url, err) < 0 || loop_new(&c->loop, err) < 0) {
		http_client_free(c);
		return -1;
	}
	c->fetcher = fetcher_new(c->loop);
	*ret = c;
	return 0;
}

void http_client_free(struct http_client *c)
{
	if (!c)
		return;
	fetcher_free(c->fetcher);
	loop_free(c->loop);
	free(c->base);
	free(c->host);
	free(c->prefix);
	free(c->unix_path);
	free(c->token);
	free(c);
}

void http_client_set_tls(struct http_client *c, const struct fetch_tls *tls)
{
	c->tls = tls;
}

const char *client_where(const struct http_client *c)
{
	return c->unix_path ? c->unix_path : c->base;
}

int client_refused(int status, struct str body, struct error *err)
{
	auto_json struct json *j = NULL;
	if (json_parse(body, &j, NULL) == 0 && json_kind(json_find(j, "error")) == JSON_KIND_OBJECT)
		return json_to_error(json_find(j, "error"), err);
	struct str why = json_str(json_find(j, "message"));
	enum error_code code = status == 403 ? ERROR_FORBIDDEN : ERROR_PROTOCOL;
	return error_set(err, code, "the server answered %d: %.*s", status,
		STR_ARG(str_first(str_trim(why.len ? why : body), 200)));
}

/* One call while it runs. */
struct transfer {
	struct http_client *client;
	struct http_call *call;
	struct fetch *fetch;
	struct buf refusal; /* the body of a bad answer */
	struct sse_parser events;
	struct error error;
	bool is_over;
};

static int on_event(void *arg, const struct sse_event *e, struct error *err)
{
	struct http_call *call = arg;
	return call->on_event(call->arg, e->event, e->data, err);
}

static int on_body(void *arg, struct str piece, struct error *err)
{
	struct transfer *t = arg;
	struct http_call *call = t->call;
	if (fetch_status(t->fetch) >= 400 && !call->takes_errors) {
		buf_put(&t->refusal, str_first(piece, t->refusal.limit - t->refusal.len));
		return 0;
	}
	if (call->on_event)
		return sse_parse(&t->events, piece, on_event, call, err);
	if (call->on_body)
		return call->on_body(call->arg, piece, err);
	if (call->reply && buf_put(call->reply, piece) < 0)
		return error_set(err, ERROR_TOO_LARGE, "the answer is over %zu bytes",
			call->reply->limit);
	return 0;
}

static ssize_t on_pull(void *arg, char *to, size_t size, struct error *err)
{
	struct transfer *t = arg;
	ssize_t r;
	do
		r = read(t->call->body_fd, to, size);
	while (r < 0 && errno == EINTR);
	return r < 0 ? error_sys(err, errno, "read what is to be sent") : r;
}

static void on_progress(void *arg, int64_t bytes)
{
	struct transfer *t = arg;
	if (t->call->on_progress)
		t->call->on_progress(t->call->arg, bytes);
}

static void save_type(const char *type, struct http_call *call)
{
	struct str s = str_from(type);
	ptrdiff_t end = str_find_char(s, ';');
	if (end >= 0)
		s = str_first(s, (size_t)end);
	s = str_trim(s);
	snprintf(call->ret_type, sizeof(call->ret_type), "%.*s", STR_ARG(s));
}

static void on_done(void *arg, const struct error *err)
{
	struct transfer *t = arg;
	t->call->ret_status = fetch_status(t->fetch);
	save_type(fetch_type(t->fetch), t->call);
	if (err)
		t->error = *err;
	t->is_over = true;
	loop_stop(t->client->loop);
}

static int perform(struct http_client *c, struct transfer *t, struct error *err)
{
	static const struct fetch_ops from_fd = { on_pull, on_body, on_progress, on_done },
				      from_memory = { NULL, on_body, on_progress, on_done };
	struct http_call *call = t->call;
	auto_free char *url = mem_printf("%s%s", c->base, call->path);
	auto_free char *token = mem_printf("Authorization: Bearer %s", c->token ? c->token : "");
	auto_free char *accept = mem_printf("Accept: %s", call->accept ? call->accept : "");
	auto_free char *type = mem_printf("Content-Type:%s%s", call->content_type ? " " : "",
		call->content_type ?: "");
	const char *headers[HEADERS_MAX] = { type };
	int n = 1;
	if (c->token)
		headers[n++] = token;
	if (call->accept)
		headers[n++] = accept;
	const struct fetch_request request = {
		.method = call->method,
		.url = url,
		.unix_path = c->unix_path,
		.headers = headers,
		.body = call->body,
		.pull_size = call->body_size,
		.timeout_ms = call->timeout_ms,
	};
	bool pulls = !call->body.ptr && call->body_fd > 0;
	t->fetch = fetch_new(c->fetcher, &request, pulls ? &from_fd : &from_memory, t);
	while (!t->is_over)
		loop_run(c->loop);
	/* An error of a callback's is the cause, whatever the status. */
	if (t->error.code != ERROR_OK) {
		if (err)
			*err = t->error;
		return -1;
	}
	bool is_refused = call->ret_status >= 400 && !call->takes_errors;
	return is_refused ? client_refused(call->ret_status, buf_str(&t->refusal), err) : 0;
}

int http_client_call(struct http_client *c, struct http_call *call, struct error *err)
{
	struct transfer t = { .client = c, .call = call };
	buf_init(&t.refusal, ERROR_BODY_MAX);
	sse_parser_init(&t.events, EVENT_MAX);
	int r = perform(c, &t, err);
	sse_parser_fini(&t.events);
	buf_fini(&t.refusal);
	return r;
}

int http_client_get(struct http_client *c, const char *path, struct buf *reply, struct error *err)
{
	struct http_call call = { .method = "GET", .path = path, .reply = reply };
	return http_client_call(c, &call, err);
}

int http_client_post(struct http_client *c, const char *path, struct str json, struct buf *reply,
	struct error *err)
{
	struct http_call call = {
		.method = "POST",
		.path = path,
		.reply = reply,
		.body = json,
		.content_type = json.ptr ? "application/json" : NULL,
	};
	return http_client_call(c, &call, err);
}

int http_client_delete(struct http_client *c, const char *path, struct buf *reply,
	struct error *err)
{
	struct http_call call = { .method = "DELETE", .path = path, .reply = reply };
	return http_client_call(c, &call, err);
}

struct loop *http_client_loop(const struct http_client *c)
{
	return c->loop;
}

struct later {
	struct fetch *fetch;
	char *json;
	struct buf reply;
	http_later_fn *done;
	void *arg;
};

static int on_later_body(void *arg, struct str piece, struct error *err)
{
	struct later *l = arg;
	return buf_put(&l->reply, piece) == 0
		? 0
		: error_set(err, ERROR_TOO_LARGE, "the answer is over %zu bytes", l->reply.limit);
}

static void on_later_done(void *arg, const struct error *err)
{
	struct later *l = arg;
	l->done(l->arg, fetch_status(l->fetch), buf_str(&l->reply), err);
	buf_fini(&l->reply);
	free(l->json);
	free(l);
}

void http_client_later(struct http_client *c, const char *method, const char *path, struct str json,
	size_t reply_max, http_later_fn *done, void *arg)
{
	static const struct fetch_ops ops = { .on_body = on_later_body, .on_done = on_later_done };
	auto_free char *url = mem_printf("%s%s", c->base, path);
	auto_free char *token = mem_printf("Authorization: Bearer %s", c->token ? c->token : "");
	const char *headers[] = { "Content-Type: application/json", "Accept: application/json",
		c->token ? token : NULL, NULL };
	struct later *l = mem_new(struct later);
	l->json = str_dup(json);
	l->done = done;
	l->arg = arg;
	buf_init(&l->reply, reply_max);
	const struct fetch_request request = {
		.method = method,
		.url = url,
		.unix_path = c->unix_path,
		.headers = headers,
		.body = { l->json, json.len },
	};
	l->fetch = fetch_new(c->fetcher, &request, &ops, l);
}
