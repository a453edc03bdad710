/* SPDX-License-Identifier: Apache-2.0 */
/*
 * GET …/endpoints/{port}, and what the endpoints lead to. Every endpoint is an address of this
 * server, so it is the same whether or not one through the server is asked for; what opens it is a
 * header that is told with it or, with ?expires=, a part of the address, which then ends by itself.
 */
#include "face/opensandbox/endpoint.h"

#include "base/auto.h"
#include "base/clock.h"
#include "base/num.h"
#include "face/opensandbox/handlers.h"
#include "http/origin.h"
#include "runtime/port.h"

enum { SIGNED_SECONDS_MAX = 366 * 24 * 3600 };

static const char *header_of(enum osb_kind kind)
{
	return kind == OSB_KIND_EXECD     ? PORT_EXECD_HEADER
		: kind == OSB_KIND_EGRESS ? PORT_EGRESS_HEADER
					  : PORT_OPENSANDBOX_HEADER;
}

static enum osb_kind kind_of(int port)
{
	return port == OSB_EXECD     ? OSB_KIND_EXECD
		: port == OSB_EGRESS ? OSB_KIND_EGRESS
				     : OSB_KIND_PORT;
}

static void purpose_of(const struct sandbox *s, enum osb_kind kind, int port,
	char ret[PORT_PURPOSE_SIZE])
{
	if (kind == OSB_KIND_PORT)
		port_purpose(s, port, ret);
	else
		snprintf(ret, PORT_PURPOSE_SIZE, "osb %s %s",
			kind == OSB_KIND_EXECD ? "execd" : "egress", s->id);
}

bool osb_endpoint_opens(struct http_request *r, enum osb_kind kind)
{
	const struct sandbox *s = osb_find(osb_of(r), http_param(r, "id"));
	struct str ticket = http_param(r, "ticket");
	char purpose[PORT_PURPOSE_SIZE];
	int port = 0;
	if (!s || (kind == OSB_KIND_PORT && port_parse(http_param(r, "port"), &port, NULL) < 0))
		return false;
	purpose_of(s, kind, port, purpose);
	if (ticket.ptr)
		return ticket_end(ticket) && port_opens(r, purpose, ticket);
	return port_opens(r, purpose, http_header(r, header_of(kind)));
}

/* -1: answered. */
static int take_expires(struct http_request *r, int64_t *ret)
{
	struct str text = http_query(r, "expires");
	int64_t now_s = clock_wall_ms() / 1000;
	struct error err;
	*ret = 0;
	if (!text.len)
		return 0;
	if (num_parse_i64(text, now_s + 1, now_s + SIGNED_SECONDS_MAX, ret, &err) == 0 &&
		!str_is(http_query(r, "use_server_proxy"), "true"))
		return 0;
	osb_fail(r, 400, "INVALID_REQUEST",
		"expires must be a time in the future, and stand without use_server_proxy");
	return -1;
}

void osb_endpoint(struct http_request *r)
{
	const struct sandbox *s = osb_sandbox(r);
	auto_buf struct buf body = BUF_INIT(16 * 1024), url = BUF_INIT(8192);
	struct jsonw w = JSONW(&body);
	char purpose[PORT_PURPOSE_SIZE], ticket[TICKET_UNTIL_SIZE];
	int64_t until_s;
	struct error err;
	int port;
	if (!s || take_expires(r, &until_s) < 0)
		return;
	if (port_parse(http_param(r, "port"), &port, &err) < 0) {
		osb_fail_error(r, &err);
		return;
	}
	enum osb_kind kind = kind_of(port);
	if (until_s && kind != OSB_KIND_PORT) {
		osb_fail(r, 400, "INVALID_REQUEST", "port %d is not signed for", port);
		return;
	}
	purpose_of(s, kind, port, purpose);
	http_put_origin(r, &url);
	ptrdiff_t slashes = str_find(buf_str(&url), STR("://"));
	buf_drop_front(&url, slashes >= 0 ? (size_t)slashes + 3 : 0);
	if (until_s && r->grant.role == ROLE_SANDBOX)
		until_s = MIN(until_s, r->grant.until_s);
	if (until_s)
		ticket_make_until(r, str_from(purpose), until_s, ticket);
	else
		port_make_ticket(r, purpose, ticket);
	if (until_s && ticket[0])
		buf_printf(&url, "/opensandbox/sandboxes/%s/signed/%s/%d", s->id, ticket, port);
	else
		buf_printf(&url, "/opensandbox/sandboxes/%s/proxy/%d", s->id, port);
	jsonw_open(&w);
	jsonw_key_str(&w, "endpoint", buf_str(&url));
	if (ticket[0] && !until_s) {
		jsonw_key(&w, "headers");
		jsonw_open(&w);
		jsonw_key_str(&w, header_of(kind), str_from(ticket));
		jsonw_close(&w);
	}
	jsonw_close(&w);
	http_reply_json(r, 200, &body);
}

/* ---- passing on ---- */

/* Where the part that is upstream's begins in the path, as it was sent. */
static size_t path_at(struct str path, int segments)
{
	int slashes = 0;
	for (size_t i = 0; i < path.len; i++)
		if (path.ptr[i] == '/' && ++slashes > segments)
			return i;
	return path.len;
}

void osb_port_pass(struct http_request *r)
{
	/* /opensandbox/sandboxes/ID/proxy/PORT, /opensandbox/sandboxes/ID/signed/TICKET/PORT */
	size_t at = path_at(r->path, http_param(r, "ticket").ptr ? 6 : 5);
	struct sandbox *s = osb_execd_sandbox(r);
	struct error err;
	int port;
	if (!s)
		return;
	if (port_parse(http_param(r, "port"), &port, &err) < 0) {
		osb_fail_error(r, &err);
		return;
	}
	if (kind_of(port) != OSB_KIND_PORT) {
		osb_fail(r, 404, "NOT_FOUND", "%.*s is not offered at port %d",
			STR_ARG(str_first(str_skip(r->path, at), 200)), port);
		return;
	}
	const struct port_view view = {
		.path = at < r->path.len ? str_skip(r->path, at) : STR("/"),
		.prefix = arena_str(&r->arena, str_first(r->path, at)),
		.cookie = PORT_COOKIE,
		.query = PORT_QUERY,
	};
	port_forward(s, r, port, &view);
}
