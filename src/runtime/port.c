/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/port.h"

#include "action/network_actions.h"
#include "base/auto.h"
#include "base/bug.h"
#include "base/num.h"
#include "http/origin.h"
#include "http/ticket.h"

/* One call and one proxy; the proxy ends both. */
struct passage {
	struct runtime_call *call; /* NULL: it has ended */
	struct proxy *proxy;
};

/* ---- from the sandbox ---- */

static void on_data(void *arg, uint8_t channel, struct str bytes)
{
	struct passage *p = arg;
	proxy_receive(p->proxy, bytes);
}

static void on_event(void *arg, struct str json)
{
	struct passage *p = arg;
	auto_json struct json *event = NULL;
	if (json_parse(json, &event, NULL) == 0 &&
		str_is(json_str(json_find(event, "event")), "eof"))
		proxy_end(p->proxy, NULL);
}

static void on_drain(void *arg)
{
	struct passage *p = arg;
	proxy_drained(p->proxy);
}

static void on_result(void *arg, struct str json)
{
	struct passage *p = arg;
	p->call = NULL;
	proxy_end(p->proxy, NULL);
}

static void on_error(void *arg, const struct error *err)
{
	struct passage *p = arg;
	p->call = NULL;
	proxy_end(p->proxy, err);
}

static const struct call_sink sink = { on_data, on_event, on_drain, on_result, on_error };

/* ---- from the proxy ---- */

static void to_sandbox(void *arg, struct str bytes)
{
	struct passage *p = arg;
	if (p->call)
		runtime_call_send(p->call, 0, bytes);
}

static bool is_full(void *arg)
{
	struct passage *p = arg;
	return p->call && runtime_call_is_full(p->call);
}

static void hold(void *arg, bool is_paused)
{
	struct passage *p = arg;
	if (p->call)
		runtime_call_pause(p->call, is_paused);
}

static void to_eof(void *arg)
{
	struct passage *p = arg;
	if (p->call)
		runtime_call_eof(p->call, 0);
}

static void close_passage(void *arg)
{
	struct passage *p = arg;
	if (p->call)
		runtime_call_cancel(p->call);
	free(p);
}

static const struct proxy_ops ops = { to_sandbox, is_full, hold, to_eof, close_passage };

void port_forward(struct sandbox *s, struct http_request *r, int port, const struct port_view *view)
{
	static const char *const headers[] = { PORT_HEADER, PORT_DAYTONA_HEADER,
		PORT_OPENSANDBOX_HEADER, PORT_EXECD_HEADER, PORT_EGRESS_HEADER, NULL };
	char params[64], host[32], who[ID_SIZE + 40];
	snprintf(params, sizeof(params), "{\"port\":%d}", port);
	snprintf(host, sizeof(host), "localhost:%d", port);
	snprintf(who, sizeof(who), "port %d of sandbox %s", port, s->id);
	const struct proxy_target target = {
		.path = view->path,
		.host = host,
		.prefix = view->prefix,
		.cookie = view->cookie,
		.query = view->query,
		.headers = headers,
		.who = who,
	};
	struct passage *p = mem_new(struct passage);
	p->call = runtime_perform(s, &connect_action, str_from(params), &sink, p);
	p->proxy = proxy_new(r, &target, &ops, p);
}

int port_parse(struct str text, int *ret, struct error *err)
{
	int64_t port;
	if (num_parse_i64(text, 1, 65535, &port, NULL) < 0)
		return error_set(err, ERROR_INVALID, "'%.*s' is no port: 1 to 65535 are",
			STR_ARG(str_first(text, 20)));
	*ret = (int)port;
	return 0;
}

void port_purpose(const struct sandbox *s, int port, char ret[PORT_PURPOSE_SIZE])
{
	snprintf(ret, PORT_PURPOSE_SIZE, "port %s %d", s->id, port);
}

void port_purpose_of_all(struct str sandbox_id, char ret[PORT_PURPOSE_SIZE])
{
	snprintf(ret, PORT_PURPOSE_SIZE, "ports %.*s", STR_ARG(str_first(sandbox_id, ID_LEN)));
}

void port_put_url(const struct http_request *r, const struct sandbox *s, int port, struct buf *b)
{
	if (!http_tcp_port(r))
		return;
	buf_printf(b, "%s://%d-%s.", http_is_tls(r) ? "https" : "http", port, s->id);
	http_put_domain(r, b);
	buf_putc(b, '/');
}

void port_make_ticket(const struct http_request *r, const char *purpose,
	char ret[TICKET_UNTIL_SIZE])
{
	if (r->grant.role == ROLE_SANDBOX)
		ticket_make_until(r, str_from(purpose), r->grant.until_s, ret);
	else
		ticket_make(r, str_from(purpose), ret);
}

bool port_opens(struct http_request *r, const char *purpose, struct str ticket)
{
	if (ticket.ptr && ticket_is_valid_until(r, str_from(purpose), ticket)) {
		http_end_at(r, ticket_end(ticket));
		return true;
	}
	return ticket_is_valid(r, str_from(purpose), ticket);
}

void port_put_link(const struct http_request *r, const struct sandbox *s, int port, struct buf *b)
{
	char purpose[PORT_PURPOSE_SIZE], ticket[TICKET_UNTIL_SIZE];
	port_put_url(r, s, port, b);
	port_purpose(s, port, purpose);
	port_make_ticket(r, purpose, ticket);
	if (b->len && ticket[0])
		buf_printf(b, "?" PORT_QUERY "=%s", ticket);
}

void port_take_ticket(struct http_request *r, struct str ticket, const char *cookie_path)
{
	auto_buf struct buf to = BUF_INIT(2 * HTTP_HEAD_MAX);
	auto_buf struct buf cookie = BUF_INIT(4096);
	struct str rest = r->query, piece;
	char sep = '?';
	buf_printf(&to, "/%.*s", STR_ARG(str_skip(r->path, strspn(r->path.ptr, "/"))));
	while (rest.len && str_split(&rest, '&', &piece)) {
		if (str_starts(piece, STR(PORT_QUERY "=")))
			continue;
		buf_putc(&to, sep);
		buf_put(&to, piece);
		sep = '&';
	}
	buf_printf(&cookie, PORT_COOKIE "=%.*s; Path=%s; HttpOnly; SameSite=Lax%s", STR_ARG(ticket),
		cookie_path, http_is_tls(r) ? "; Secure" : "");
	http_reply_header(r, "Set-Cookie", cookie.ptr);
	http_reply_header(r, "Location", to.ptr);
	http_reply(r, 303, NULL, STR(""));
}

/*
 * A browser shows cookies with what any page has it fetch from the same site, and names below one
 * domain are one: the page of one sandbox would be let into another one. Browsers say who asks
 * (https://www.w3.org/TR/fetch-metadata/); a link may be followed from everywhere.
 */
static bool is_fetched_by_others(const struct http_request *r)
{
	struct str site = http_header(r, "Sec-Fetch-Site");
	return site.ptr && !str_is(site, "same-origin") && !str_is(site, "none") &&
		!str_is(http_header(r, "Sec-Fetch-Mode"), "navigate");
}

struct str port_find_cookie(const struct http_request *r, const char *name)
{
	struct str rest = http_header(r, "Cookie"), piece;
	if (is_fetched_by_others(r))
		return STR_NONE;
	while (rest.len && str_split(&rest, ';', &piece)) {
		piece = str_trim(piece);
		ptrdiff_t eq = str_find_char(piece, '=');
		if (eq > 0 && str_is(str_first(piece, (size_t)eq), name))
			return str_skip(piece, (size_t)eq + 1);
	}
	return STR_NONE;
}
