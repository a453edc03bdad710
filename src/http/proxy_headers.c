/* SPDX-License-Identifier: Apache-2.0 */
#include "http/proxy_headers.h"

#include "base/auto.h"
#include "http/conn.h"
#include "http/origin.h"
#include "http/places.h"
#include "wire/url.h"

/* Of one connection alone (RFC 9110 7.6.1), or written anew by us. */
static const char *const connection_headers[] = { "Connection", "Keep-Alive", "Proxy-Connection",
	"Proxy-Authenticate", "Proxy-Authorization", "Proxy-Authentication-Info", "TE", "Trailer",
	"Transfer-Encoding", "Upgrade", "Content-Length", NULL };

/* A client may not say these to upstream: they are ours to say, or were answered by us. */
static const char *const request_headers[] = { "Host", "Expect", "Forwarded", "X-Forwarded-For",
	"X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-Prefix", "X-Real-IP", NULL };

/*
 * Within our own origin these would speak for all of it: delete its storage, pin its TLS, let a
 * worker answer for other paths, have a browser report or prefetch elsewhere, open it to other
 * origins.
 */
static const char *const origin_headers[] = { "Service-Worker-Allowed", "Clear-Site-Data",
	"Strict-Transport-Security", "Public-Key-Pins", "Alt-Svc", "Report-To",
	"Reporting-Endpoints", "NEL", "Origin-Agent-Cluster", "Access-Control-Allow-Origin",
	"Access-Control-Allow-Credentials", "Access-Control-Allow-Headers",
	"Access-Control-Allow-Methods", "Access-Control-Expose-Headers", "Set-Cookie2", NULL };

static bool is_listed(const char *const *names, struct str name)
{
	for (; *names; names++)
		if (str_eq_nocase(name, str_from(*names)))
			return true;
	return false;
}

/* True if a Connection header of the message declares this header to be of the connection alone. */
static bool is_declared(const struct http1_head *head, struct str name)
{
	char text[128];
	if (name.len >= sizeof(text))
		return false;
	memcpy(text, name.ptr, name.len);
	text[name.len] = '\0';
	for (size_t i = 0; i < head->n_headers; i++)
		if (str_eq_nocase(head->headers[i].name, STR("Connection")) &&
			http1_has_token(head->headers[i].value, text))
			return true;
	return false;
}

static bool is_of_connection(const struct http1_head *head, struct str name)
{
	return is_listed(connection_headers, name) || is_declared(head, name);
}

static bool holds_token(const struct http_request *r, struct str value)
{
	const char *token = r->server ? r->server->token : NULL;
	struct str shown = exchange_of(r)->token;
	return (token && str_find(value, str_from(token)) >= 0) ||
		(shown.ptr && str_find(value, shown) >= 0);
}

/* ---- the request ---- */

static void put_query(struct http_request *r, const struct proxy_target *target, struct buf *b)
{
	struct str rest = r->query, piece;
	char sep = '?';
	if (r->query.ptr && !r->query.len)
		buf_putc(b, '?');
	while (rest.len && str_split(&rest, '&', &piece)) {
		ptrdiff_t eq = str_find_char(piece, '=');
		struct str name = eq < 0 ? piece : str_first(piece, (size_t)eq);
		if ((target->query && str_is(name, target->query)) || holds_token(r, piece))
			continue;
		buf_putc(b, sep);
		buf_put(b, piece);
		sep = '&';
	}
}

/* Without our own; nothing at all if none is left. */
static void put_cookie(const struct http_request *r, const struct proxy_target *target,
	struct str value, struct buf *b)
{
	struct str piece;
	bool is_first = true;
	while (str_split(&value, ';', &piece)) {
		piece = str_trim(piece);
		ptrdiff_t eq = str_find_char(piece, '=');
		struct str name = eq < 0 ? piece : str_trim(str_first(piece, (size_t)eq));
		if (!piece.len || (target->cookie && str_is(name, target->cookie)) ||
			holds_token(r, piece))
			continue;
		buf_puts(b, is_first ? "Cookie: " : "; ");
		buf_put(b, piece);
		is_first = false;
	}
	if (!is_first)
		buf_puts(b, "\r\n");
}

static void put_request_header(const struct http_request *r, const struct proxy_target *target,
	const struct http1_header *h, struct buf *b)
{
	const struct http1_head *head = &exchange_of(r)->head;
	if (is_of_connection(head, h->name) || is_listed(request_headers, h->name))
		return;
	if (target->headers && is_listed(target->headers, h->name))
		return;
	if (str_eq_nocase(h->name, STR("Cookie")))
		put_cookie(r, target, h->value, b);
	else if (str_eq_nocase(h->name, STR("Origin")))
		buf_printf(b, "Origin: http://%s\r\n", target->host);
	else if (!holds_token(r, h->value))
		buf_printf(b, "%.*s: %.*s\r\n", STR_ARG(h->name), STR_ARG(h->value));
}

static void put_forwarded(const struct http_request *r, const struct proxy_target *target,
	struct buf *b)
{
	struct str host = http_header(r, "Host");
	buf_printf(b, "X-Forwarded-Host: %.*s\r\nX-Forwarded-Proto: %s\r\n", STR_ARG(host),
		http_is_tls(r) ? "https" : "http");
	auto_buf struct buf peer = BUF_INIT(64);
	if (exchange_of(r)->conn)
		server_put_peer(exchange_of(r)->conn, &peer);
	if (peer.len)
		buf_printf(b, "X-Forwarded-For: %s\r\n", peer.ptr);
	if (target->prefix)
		buf_printf(b, "X-Forwarded-Prefix: %s\r\n", target->prefix);
}

void proxy_put_request(struct http_request *r, const struct proxy_target *target,
	struct str protocol, struct buf *b)
{
	const struct http1_head *head = &exchange_of(r)->head;
	buf_printf(b, "%.*s %.*s", STR_ARG(r->method), STR_ARG(target->path));
	put_query(r, target, b);
	buf_printf(b, " HTTP/1.1\r\nHost: %s\r\n", target->host);
	for (size_t i = 0; i < head->n_headers; i++)
		put_request_header(r, target, &head->headers[i], b);
	put_forwarded(r, target, b);
	if (protocol.len)
		buf_printf(b, "Connection: Upgrade\r\nUpgrade: %.*s\r\n", STR_ARG(protocol));
	else
		buf_puts(b, "Connection: close\r\n");
	if (r->body_length < 0)
		buf_puts(b, "Transfer-Encoding: chunked\r\n");
	else if (r->body_length > 0 || http_header(r, "Content-Length").ptr)
		buf_printf(b, "Content-Length: %lld\r\n", (long long)r->body_length);
	buf_puts(b, "\r\n");
}

/* ---- the answer ---- */

static void add(struct http_request *r, struct str name, struct str value)
{
	buf_printf(&exchange_of(r)->headers, "%.*s: %.*s\r\n", STR_ARG(name), STR_ARG(value));
}

/* The cookie's attributes, its path below our prefix, its domain nobody's but this host. */
static void add_cookie(struct http_request *r, const struct proxy_target *target, struct str value)
{
	auto_buf struct buf b = BUF_INIT(2 * HTTP_HEAD_MAX);
	struct str piece, path = STR("/");
	str_split(&value, ';', &piece);
	ptrdiff_t eq = str_find_char(piece, '=');
	struct str name = eq < 0 ? piece : str_trim(str_first(piece, (size_t)eq));
	if (target->cookie && str_is(name, target->cookie))
		return;
	/* A browser takes these with Path=/ alone. */
	if (target->prefix && str_eq_nocase(str_first(name, 7), STR("__Host-")))
		return;
	buf_put(&b, piece);
	while (value.len && str_split(&value, ';', &piece)) {
		struct str attribute = str_trim(piece);
		if (str_eq_nocase(str_first(attribute, 7), STR("Domain=")))
			continue;
		if (str_eq_nocase(str_first(attribute, 5), STR("Path=")))
			path = str_skip(attribute, 5);
		else
			buf_printf(&b, "; %.*s", STR_ARG(attribute));
	}
	if (!str_starts(path, STR("/")))
		path = STR("/");
	buf_printf(&b, "; Path=%s%.*s", target->prefix ? target->prefix : "", STR_ARG(path));
	add(r, STR("Set-Cookie"), buf_str(&b));
}

/* Where upstream means itself, it means the place where it is seen. */
static void add_location(struct http_request *r, const struct proxy_target *target, struct str name,
	struct str value)
{
	auto_buf struct buf b = BUF_INIT(2 * HTTP_HEAD_MAX);
	auto_buf struct buf own = BUF_INIT(512);
	buf_printf(&own, "http://%s", target->host);
	struct str rest = value;
	bool is_own = str_starts(value, buf_str(&own)) &&
		(value.len == own.len || strchr("/?#", value.ptr[own.len]));
	if (is_own)
		rest = str_skip(value, own.len);
	else if (!str_starts(value, STR("/")) || str_starts(value, STR("//"))) {
		add(r, name, value);
		return;
	}
	buf_printf(&b, "%s%s%.*s", target->prefix ? target->prefix : "",
		str_starts(rest, STR("/")) ? "" : "/", STR_ARG(rest));
	add(r, name, buf_str(&b));
}

static void take_header(struct http_request *r, const struct proxy_target *target,
	const struct http1_header *h)
{
	if (target->prefix && is_listed(origin_headers, h->name))
		return;
	if (str_eq_nocase(h->name, STR("Set-Cookie")))
		add_cookie(r, target, h->value);
	else if (str_eq_nocase(h->name, STR("Location")) ||
		str_eq_nocase(h->name, STR("Content-Location")))
		add_location(r, target, h->name, h->value);
	else
		add(r, h->name, h->value);
}

int proxy_take_reply(struct http_request *r, const struct proxy_target *target,
	const struct http1_head *head, struct error *err)
{
	/* Every policy of several applies: none of upstream's can take this one back. */
	if (target->prefix)
		http_reply_header(r, "Content-Security-Policy",
			"sandbox allow-downloads allow-forms allow-modals allow-popups allow-scripts");
	for (size_t i = 0; i < head->n_headers; i++)
		if (!is_of_connection(head, head->headers[i].name))
			take_header(r, target, &head->headers[i]);
	struct buf *headers = &exchange_of(r)->headers;
	if (!headers->is_full)
		return 0;
	buf_reset(headers);
	return error_set(err, ERROR_PROTOCOL, "the headers of its answer have over %zu bytes",
		headers->limit);
}
