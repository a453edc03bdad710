/* SPDX-License-Identifier: Apache-2.0 */
#include "http/client_socket.h"

#include "base/auto.h"
#include "base/bug.h"
#include "wire/json.h"
#include "wire/sse.h"

#include <curl/curl.h>

enum {
	CONNECT_MS = 10000,
	EVENT_MAX = 32 * 1024 * 1024,
};

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
	if (set_url(c, url, err) < 0) {
		http_client_free(c);
		return -1;
	}
	c->curl = curl_easy_init();
	BUG_IF(!c->curl, "libcurl cannot start");
	*ret = c;
	return 0;
}

void http_client_free(struct http_client *c)
{
	if (!c)
		return;
	curl_easy_cleanup(c->curl);
	free(c->base);
	free(c->host);
	free(c->prefix);
	free(c->unix_path);
	free(c->token);
	free(c);
}

/* What every handle of ours has in common. */
static void set_common(struct http_client *c, CURL *easy)
{
	curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_MS);
	curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
	curl_easy_setopt(easy, CURLOPT_PROXY, "");
	curl_easy_setopt(easy, CURLOPT_NOPROXY, "*");
	if (c->unix_path)
		curl_easy_setopt(easy, CURLOPT_UNIX_SOCKET_PATH, c->unix_path);
}

const char *client_where(const struct http_client *c)
{
	return c->unix_path ? c->unix_path : c->base;
}

static int failed(const struct http_client *c, CURLcode code, struct error *err)
{
	const char *where = client_where(c);
	switch (code) {
	case CURLE_OPERATION_TIMEDOUT:
		return error_set(err, ERROR_TIMEOUT, "%s: no answer in time", where);
	case CURLE_COULDNT_CONNECT:
	case CURLE_COULDNT_RESOLVE_HOST:
	case CURLE_SEND_ERROR:
	case CURLE_RECV_ERROR:
	case CURLE_GOT_NOTHING:
	case CURLE_PARTIAL_FILE:
		return error_set(err, ERROR_UNAVAILABLE, "%s: %s", where, curl_easy_strerror(code));
	default:
		return error_set(err, ERROR_PROTOCOL, "%s: %s", where, curl_easy_strerror(code));
	}
}

int client_refused(int status, struct str body, struct error *err)
{
	auto_json struct json *j = NULL;
	if (json_parse(body, &j, NULL) == 0 && json_kind(json_find(j, "error")) == JSON_KIND_OBJECT)
		return json_to_error(json_find(j, "error"), err);
	return error_set(err, ERROR_PROTOCOL, "the server answered %d: %.*s", status,
		STR_ARG(str_first(str_trim(body), 200)));
}

/* One call while it runs. */
struct transfer {
	struct http_client *client;
	struct http_call *call;
	struct buf refusal; /* the body of a bad answer */
	struct sse_parser events;
	struct error *err;
	bool is_ended; /* by a callback, or by the reply's ceiling: *err is filled */
};

static bool is_good(struct transfer *t)
{
	long status = 0;
	curl_easy_getinfo(t->client->curl, CURLINFO_RESPONSE_CODE, &status);
	t->call->ret_status = (int)status;
	return status < 400;
}

static int on_event(void *arg, const struct sse_event *e, struct error *err)
{
	struct http_call *call = arg;
	return call->on_event(call->arg, e->event, e->data, err);
}

static int pass_body(struct transfer *t, struct str piece)
{
	struct http_call *call = t->call;
	if (call->on_event)
		return sse_parse(&t->events, piece, on_event, call, t->err);
	if (call->on_body)
		return call->on_body(call->arg, piece, t->err);
	if (call->reply && buf_put(call->reply, piece) < 0)
		return error_set(t->err, ERROR_TOO_LARGE, "the answer is over %zu bytes",
			call->reply->limit);
	return 0;
}

static size_t on_write(char *bytes, size_t size, size_t n, void *arg)
{
	struct transfer *t = arg;
	struct str piece = str_from_len(bytes, size * n);
	if (!is_good(t)) {
		buf_put(&t->refusal, str_first(piece, t->refusal.limit - t->refusal.len));
		return piece.len;
	}
	t->is_ended = pass_body(t, piece) < 0;
	return t->is_ended ? 0 : piece.len;
}

static size_t on_read(char *to, size_t size, size_t n, void *arg)
{
	struct transfer *t = arg;
	ssize_t r;
	do
		r = read(t->call->body_fd, to, size * n);
	while (r < 0 && errno == EINTR);
	if (r >= 0)
		return (size_t)r;
	error_sys(t->err, errno, "read what is to be sent");
	t->is_ended = true;
	return CURL_READFUNC_ABORT;
}

static void add_header(struct curl_slist **list, const char *name, const char *value)
{
	auto_free char *line = mem_printf("%s%s", name, value);
	struct curl_slist *longer = curl_slist_append(*list, line);
	BUG_IF(!longer, "out of memory");
	*list = longer;
}

static struct curl_slist *make_headers(struct http_client *c, const struct http_call *call)
{
	struct curl_slist *list = NULL;
	if (c->token)
		add_header(&list, "Authorization: Bearer ", c->token);
	if (call->accept)
		add_header(&list, "Accept: ", call->accept);
	add_header(&list, "Content-Type:", call->content_type ? call->content_type : "");
	if (call->body.ptr)
		add_header(&list, "Expect:", ""); /* it is at hand: no round trip to ask */
	return list;
}

static void set_body(CURL *easy, struct transfer *t)
{
	struct http_call *call = t->call;
	if (call->body.ptr || str_is(STR("POST"), call->method)) {
		if (call->body.ptr || call->body_fd <= 0) {
			curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE,
				(curl_off_t)call->body.len);
			curl_easy_setopt(easy, CURLOPT_POSTFIELDS,
				call->body.ptr ? call->body.ptr : "");
			return;
		}
	}
	if (call->body_fd <= 0)
		return;
	curl_easy_setopt(easy, CURLOPT_UPLOAD, 1L);
	curl_easy_setopt(easy, CURLOPT_READFUNCTION, on_read);
	curl_easy_setopt(easy, CURLOPT_READDATA, t);
	curl_easy_setopt(easy, CURLOPT_INFILESIZE_LARGE,
		call->body_size > 0 ? (curl_off_t)call->body_size : (curl_off_t)-1);
}

static void save_type(struct http_client *c, struct http_call *call)
{
	char *type = NULL;
	curl_easy_getinfo(c->curl, CURLINFO_CONTENT_TYPE, &type);
	struct str s = str_from(type);
	ptrdiff_t end = str_find_char(s, ';');
	if (end >= 0)
		s = str_first(s, (size_t)end);
	s = str_trim(s);
	snprintf(call->ret_type, sizeof(call->ret_type), "%.*s", STR_ARG(s));
}

static int on_progress(void *arg, curl_off_t down_total, curl_off_t down, curl_off_t up_total,
	curl_off_t up)
{
	struct http_call *call = ((struct transfer *)arg)->call;
	call->on_progress(call->arg, down + up);
	return 0;
}

static void set_progress(CURL *easy, struct transfer *t)
{
	if (!t->call->on_progress)
		return;
	curl_easy_setopt(easy, CURLOPT_NOPROGRESS, 0L);
	curl_easy_setopt(easy, CURLOPT_XFERINFOFUNCTION, on_progress);
	curl_easy_setopt(easy, CURLOPT_XFERINFODATA, t);
}

static int perform(struct http_client *c, struct transfer *t)
{
	struct http_call *call = t->call;
	auto_free char *url = mem_printf("%s%s", c->base, call->path);
	struct curl_slist *headers = make_headers(c, call);
	CURL *easy = c->curl;
	curl_easy_reset(easy); /* options only: the connection stays open */
	set_common(c, easy);
	curl_easy_setopt(easy, CURLOPT_URL, url);
	curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L);
	set_body(easy, t);
	set_progress(easy, t);
	curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, call->method);
	curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_write);
	curl_easy_setopt(easy, CURLOPT_WRITEDATA, t);
	curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)call->timeout_ms);
	CURLcode code = curl_easy_perform(easy);
	curl_slist_free_all(headers);
	bool is_bad = !is_good(t);
	save_type(c, call);
	if (t->is_ended)
		return -1;
	/* A server that refuses an upload may close before it has read all of it. */
	if (is_bad)
		return client_refused(call->ret_status, buf_str(&t->refusal), t->err);
	return code == CURLE_OK ? 0 : failed(c, code, t->err);
}

int http_client_call(struct http_client *c, struct http_call *call, struct error *err)
{
	struct error unused = { 0 };
	struct transfer t = { .client = c, .call = call, .err = err ? err : &unused };
	buf_init(&t.refusal, ERROR_BODY_MAX);
	sse_parser_init(&t.events, EVENT_MAX);
	int r = perform(c, &t);
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

int client_socket_open(struct http_client *c, struct client_socket *ret, struct error *err)
{
	curl_socket_t fd;
	CURL *easy = curl_easy_init();
	BUG_IF(!easy, "libcurl cannot start");
	ret->curl = easy;
	set_common(c, easy);
	curl_easy_setopt(easy, CURLOPT_URL, c->base);
	curl_easy_setopt(easy, CURLOPT_CONNECT_ONLY, 1L);
	CURLcode code = curl_easy_perform(easy);
	if (code != CURLE_OK)
		return failed(c, code, err);
	curl_easy_getinfo(easy, CURLINFO_ACTIVESOCKET, &fd);
	ret->fd = fd;
	return 0;
}

void client_socket_close(struct client_socket *s)
{
	curl_easy_cleanup(s->curl);
	s->curl = NULL;
}

ssize_t client_socket_recv(struct client_socket *s, char *to, size_t len)
{
	size_t n = 0;
	CURLcode code = curl_easy_recv(s->curl, to, len, &n);
	if (code == CURLE_AGAIN)
		return 0;
	return code == CURLE_OK && n > 0 ? (ssize_t)n : -1;
}

ssize_t client_socket_send(struct client_socket *s, struct str bytes)
{
	size_t n = 0;
	CURLcode code = curl_easy_send(s->curl, bytes.ptr, bytes.len, &n);
	if (code == CURLE_AGAIN)
		return 0;
	return code == CURLE_OK ? (ssize_t)n : -1;
}
