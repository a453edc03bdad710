/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What listens inside a sandbox, seen from outside: /daytona/preview/{id}/{port}/…, and the links to it. A link's
 * token opens that port of that sandbox alone; it is shown in Daytona's header, or in the address once, and is a
 * cookie from then on. A public sandbox's ports are open to whoever reaches the server.
 */
#include "face/daytona/handlers.h"

#include "base/auto.h"
#include "http/ticket.h"
#include "runtime/port.h"

enum { SEGMENTS_BEFORE = 4 /* /daytona/preview/ID/PORT */ };

struct place {
	struct box *box;
	struct sandbox *sandbox;
	int port;
	char purpose[PORT_PURPOSE_SIZE];
};

/* -1: answered. */
static int find_place(struct http_request *r, struct place *ret)
{
	struct error err;
	if (port_parse(http_param(r, "port"), &ret->port, &err) < 0) {
		daytona_fail(r, 400, NULL, "%s", err.text);
		return -1;
	}
	ret->box = box_of_request(r);
	if (!ret->box)
		return -1;
	ret->sandbox = box_sandbox(ret->box);
	port_purpose(ret->sandbox, ret->port, ret->purpose);
	return 0;
}

static void put_path(const struct http_request *r, const struct place *place, struct buf *b)
{
	daytona_put_origin(r, b);
	buf_printf(b, "/daytona/preview/%s/%d/", place->box->id, place->port);
}

void previews_get(struct http_request *r)
{
	struct place place;
	char ticket[TICKET_SIZE];
	auto_buf struct buf body = BUF_INIT(16 * 1024), url = BUF_INIT(8192);
	struct jsonw w = JSONW(&body);
	if (find_place(r, &place) < 0)
		return;
	ticket_make(r, str_from(place.purpose), ticket);
	put_path(r, &place, &url);
	jsonw_open(&w);
	jsonw_key_str(&w, "sandboxId", str_from(place.box->id));
	jsonw_key_str(&w, "url", buf_str(&url));
	jsonw_key_str(&w, "token", str_from(ticket));
	jsonw_close(&w);
	http_reply_json(r, 200, &body);
}

/* It does not expire before the server's token is changed. */
void previews_signed(struct http_request *r)
{
	struct place place;
	char ticket[TICKET_SIZE];
	auto_buf struct buf body = BUF_INIT(16 * 1024), url = BUF_INIT(8192);
	struct jsonw w = JSONW(&body);
	if (find_place(r, &place) < 0)
		return;
	ticket_make(r, str_from(place.purpose), ticket);
	put_path(r, &place, &url);
	if (ticket[0])
		buf_printf(&url, "?%s=%s", PORT_QUERY, ticket);
	jsonw_open(&w);
	jsonw_key_str(&w, "sandboxId", str_from(place.box->id));
	jsonw_key_int(&w, "port", place.port);
	jsonw_key_str(&w, "token", str_from(ticket));
	jsonw_key_str(&w, "url", buf_str(&url));
	jsonw_close(&w);
	http_reply_json(r, 200, &body);
}

/* ---- passing on ---- */

static size_t path_at(struct str path)
{
	int slashes = 0;
	for (size_t i = 0; i < path.len; i++)
		if (path.ptr[i] == '/' && ++slashes > SEGMENTS_BEFORE)
			return i;
	return path.len;
}

/* True if there is such a place. */
static bool find_quietly(struct http_request *r, struct place *ret)
{
	*ret = (struct place){ .box = box_find(daytona_of(r), http_param(r, "id")) };
	ret->sandbox = ret->box ? box_sandbox(ret->box) : NULL;
	if (!ret->sandbox || port_parse(http_param(r, "port"), &ret->port, NULL) < 0)
		return false;
	port_purpose(ret->sandbox, ret->port, ret->purpose);
	return true;
}

/* Who may not does not learn which sandboxes there are. */
bool previews_may_look(struct http_request *r)
{
	struct place place;
	struct str shown = http_header(r, "X-Daytona-Preview-Token");
	if (!find_quietly(r, &place))
		return false;
	struct str purpose = str_from(place.purpose);
	return place.box->is_public || (shown.ptr && ticket_is_valid(r, purpose, shown)) ||
		ticket_is_valid(r, purpose, port_find_cookie(r, PORT_COOKIE)) ||
		ticket_is_valid(r, purpose, http_query(r, PORT_QUERY));
}

void previews_pass(struct http_request *r)
{
	struct place place;
	size_t at = path_at(r->path);
	struct str ticket = http_query(r, PORT_QUERY);
	if (find_place(r, &place) < 0)
		return;
	box_touch(place.box);
	const char *prefix = arena_str(&r->arena, str_first(r->path, at));
	if (ticket.ptr && str_is(r->method, "GET") && !http_header(r, "Upgrade").ptr &&
		ticket_is_valid(r, str_from(place.purpose), ticket)) {
		port_take_ticket(r, ticket, prefix);
		return;
	}
	if (place.box->state != BOX_STARTED) {
		daytona_fail(r, 409, NULL, "sandbox %s is %s, not started", place.box->id,
			box_state_name(place.box));
		return;
	}
	const struct port_view view = {
		.path = at < r->path.len ? str_skip(r->path, at) : STR("/"),
		.prefix = prefix,
		.cookie = PORT_COOKIE,
		.query = PORT_QUERY,
	};
	port_forward(place.sandbox, r, place.port, &view);
}
