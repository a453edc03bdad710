/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What listens inside a sandbox, seen from outside: /daytona/preview/{id}/{port}/…, and the links
 * to it. A link's token opens that port of that sandbox alone; it is shown in Daytona's header, or
 * in the address once, and is a cookie from then on. A public sandbox's ports are open to whoever
 * reaches the server.
 *
 * A signed link's token is a ticket with an end, good here alone. One that was told to expire
 * earlier is kept in the box's note until it would have expired by itself.
 */
#include "face/daytona/handlers.h"

#include "base/auto.h"
#include "base/clock.h"
#include "base/num.h"
#include "http/ticket.h"
#include "runtime/port.h"

enum {
	SEGMENTS_BEFORE = 4, /* /daytona/preview/ID/PORT */
	SIGNED_SECONDS = 60, /* as Daytona's */
	SIGNED_SECONDS_MAX = 24 * 3600,
	REVOKED_MAX = 64,
};

struct place {
	struct box *box;
	struct sandbox *sandbox;
	int port;
	char purpose[PORT_PURPOSE_SIZE];
	char signed_purpose[PORT_PURPOSE_SIZE + 16]; /* nobody else would know that one has ended */
};

static void set_purposes(struct place *place)
{
	port_purpose(place->sandbox, place->port, place->purpose);
	snprintf(place->signed_purpose, sizeof(place->signed_purpose), "daytona's %s",
		place->purpose);
}

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
	set_purposes(ret);
	return 0;
}

static void put_path(const struct http_request *r, const struct place *place, struct buf *b)
{
	http_put_origin(r, b);
	buf_printf(b, "/daytona/preview/%s/%d/", place->box->id, place->port);
}

void previews_get(struct http_request *r)
{
	struct place place;
	char ticket[TICKET_UNTIL_SIZE];
	auto_buf struct buf body = BUF_INIT(16 * 1024), url = BUF_INIT(8192);
	struct jsonw w = JSONW(&body);
	if (find_place(r, &place) < 0)
		return;
	port_make_ticket(r, place.purpose, ticket);
	put_path(r, &place, &url);
	jsonw_open(&w);
	jsonw_key_str(&w, "sandboxId", str_from(place.box->id));
	jsonw_key_str(&w, "url", buf_str(&url));
	jsonw_key_str(&w, "token", str_from(ticket));
	jsonw_close(&w);
	http_reply_json(r, 200, &body);
}

/* ---- signed links ---- */

static bool is_revoked(const struct box *b, struct str token)
{
	struct str rest = str_from(b->revoked ?: ""), word;
	while (rest.len && str_split(&rest, ' ', &word))
		if (str_eq(word, token))
			return true;
	return false;
}

static bool is_signed(const struct http_request *r, const struct place *place, struct str token)
{
	return ticket_is_valid_until(r, str_from(place->signed_purpose), token) &&
		!is_revoked(place->box, token);
}

void previews_signed(struct http_request *r)
{
	struct place place;
	char token[TICKET_UNTIL_SIZE];
	auto_buf struct buf body = BUF_INIT(16 * 1024), url = BUF_INIT(8192);
	struct jsonw w = JSONW(&body);
	struct str text = http_query(r, "expiresInSeconds");
	int64_t seconds = SIGNED_SECONDS;
	if (text.len && num_parse_i64(text, 1, SIGNED_SECONDS_MAX, &seconds, NULL) < 0) {
		daytona_fail(r, 400, NULL, "expiresInSeconds is a number of 1 to %d",
			SIGNED_SECONDS_MAX);
		return;
	}
	if (find_place(r, &place) < 0)
		return;
	int64_t until_s = clock_wall_ms() / 1000 + seconds;
	if (r->grant.role == ROLE_SANDBOX)
		until_s = MIN(until_s, r->grant.until_s);
	ticket_make_until(r, str_from(place.signed_purpose), until_s, token);
	put_path(r, &place, &url);
	if (token[0])
		buf_printf(&url, "?%s=%s", PORT_QUERY, token);
	jsonw_open(&w);
	jsonw_key_str(&w, "sandboxId", str_from(place.box->id));
	jsonw_key_int(&w, "port", place.port);
	jsonw_key_str(&w, "token", str_from(token));
	jsonw_key_str(&w, "url", buf_str(&url));
	jsonw_close(&w);
	http_reply_json(r, 200, &body);
}

/* What has expired by itself is forgotten. */
static int end_link(struct box *b, struct str token, struct error *err)
{
	auto_buf struct buf kept = BUF_INIT(REVOKED_MAX * TICKET_UNTIL_SIZE);
	struct str rest = str_from(b->revoked ?: ""), word;
	int n = 0;
	while (rest.len && str_split(&rest, ' ', &word))
		if (ticket_end(word) * 1000 > clock_wall_ms() && n++ < REVOKED_MAX)
			buf_printf(&kept, "%.*s ", STR_ARG(word));
	if (n >= REVOKED_MAX)
		return error_set(err, ERROR_LIMIT, "%d links of it were ended already: wait", n);
	buf_put(&kept, token);
	free(b->revoked);
	b->revoked = str_dup(buf_str(&kept));
	return box_save(b, err);
}

void previews_expire(struct http_request *r)
{
	struct str token = http_param(r, "token");
	struct place place;
	struct error err;
	if (find_place(r, &place) < 0)
		return;
	if (!is_signed(r, &place, token))
		daytona_fail(r, 404, NULL, "no such link to port %d, or it has expired",
			place.port);
	else if (end_link(place.box, token, &err) < 0)
		daytona_fail_error(r, &err);
	else
		daytona_empty(r, 200);
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
	set_purposes(ret);
	return true;
}

static bool opens(struct http_request *r, const struct place *place, struct str token)
{
	return token.ptr && !is_revoked(place->box, token) &&
		(port_opens(r, place->purpose, token) ||
			port_opens(r, place->signed_purpose, token));
}

/* Who may not does not learn which sandboxes there are. */
bool previews_may_look(struct http_request *r)
{
	struct place place;
	struct str shown = http_header(r, PORT_DAYTONA_HEADER);
	if (!find_quietly(r, &place))
		return false;
	return place.box->is_public || opens(r, &place, shown) ||
		opens(r, &place, port_find_cookie(r, PORT_COOKIE)) ||
		opens(r, &place, http_query(r, PORT_QUERY));
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
		opens(r, &place, ticket)) {
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
