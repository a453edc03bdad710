/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /v1/guard and /v1/confirmations. Two tokens: that of the server acts, that of the approver
 * approves. Who acts may see what waits to be approved; who approves may not act.
 */
#include "face/rest/handlers.h"

#include "base/auto.h"
#include "guard/guard.h"
#include "guard/rules.h"

#define CONFIRMATIONS "/v1/confirmations"

static bool is_approver(const struct http_request *r)
{
	const char *token = rest_of(r)->approver_token;
	return token && str_eq_secret(http_bearer(r), str_from(token));
}

int rest_authorize(struct http_request *r, struct error *err)
{
	struct str link = http_param(r, "token"); /* of a row with ROLE_READ or ROLE_WRITE */
	struct str token = link.ptr ? link : http_bearer(r);
	bool is_reading = str_is(r->method, "GET") || str_is(r->method, "HEAD");
	bool is_theirs = str_starts(r->path, STR(CONFIRMATIONS));
	bool may_approver = is_theirs || (is_reading && str_is(r->path, "/v1/events"));
	if (is_approver(r))
		return may_approver ? 0
				    : error_set(err, ERROR_FORBIDDEN,
					      "the approver's token approves; it does not act");
	if (!http_token_is_valid(r, token))
		return error_set(err, ERROR_UNAUTHORIZED,
			token.ptr ? "the token is wrong"
				  : "a token is wanted: 'Authorization: Bearer …'");
	if (is_theirs && !is_reading && rest_of(r)->approver_token)
		return error_set(err, ERROR_FORBIDDEN,
			"this token acts, and does not approve what it does: that takes the approver's token");
	return 0;
}

static struct guard *guard_of(struct http_request *r)
{
	struct guard *guard = rest_of(r)->guard;
	struct error err;
	if (guard)
		return guard;
	error_set(&err, ERROR_UNSUPPORTED, "this server has no guard");
	http_reply_error(r, &err);
	return NULL;
}

void guard_get(struct http_request *r)
{
	struct guard *guard = guard_of(r);
	auto_buf struct buf b = BUF_INIT(REST_JSON_MAX);
	struct jsonw w = JSONW(&b);
	if (!guard)
		return;
	guard_write(guard, &w);
	http_reply_json(r, 200, &b);
}

void confirmations_get(struct http_request *r)
{
	struct guard *guard = guard_of(r);
	auto_buf struct buf b = BUF_INIT(HTTP_REPLY_MAX);
	struct jsonw w = JSONW(&b);
	if (!guard)
		return;
	jsonw_open(&w);
	jsonw_key(&w, "confirmations");
	guard_write_waiting(guard, &w);
	jsonw_close(&w);
	http_reply_json(r, 200, &b);
}

struct decision_body {
	struct str reason;
};

const struct field decision_fields[] = {
	{ "reason", FIELD_STRING, FIELD_AT(struct decision_body, reason),
		.help = "why; it becomes part of the verdict" },
	{ 0 },
};

static void decide(struct http_request *r, bool is_confirmed)
{
	struct guard *guard = guard_of(r);
	auto_json struct json *body = NULL;
	struct error err;
	void *params;
	if (!guard)
		return;
	if (rest_body(r, "decision", decision_fields, sizeof(struct decision_body), &body,
		    &params) < 0)
		return;
	if (guard_decide(guard, http_param(r, "confirmation"), is_confirmed,
		    ((const struct decision_body *)params)->reason, &err) < 0) {
		http_reply_error(r, &err);
		return;
	}
	http_reply(r, 200, "application/json",
		is_confirmed ? STR("{\"verdict\":\"confirmed\"}")
			     : STR("{\"verdict\":\"rejected\"}"));
}

void confirmations_confirm(struct http_request *r)
{
	decide(r, true);
}

void confirmations_reject(struct http_request *r)
{
	decide(r, false);
}

struct assess_body {
	struct str name, description;
	const struct json *arguments;
};

#define AT(member) FIELD_AT(struct assess_body, member)
const struct field assess_fields[] = {
	{ "name", FIELD_STRING, AT(name), FIELD_REQUIRED, .help = "of an action or a tool" },
	{ "description", FIELD_STRING, AT(description), .help = "what the tool does" },
	{ "arguments", FIELD_JSON, AT(arguments),
		.help = "an object: what it would be called with" },
	{ 0 },
};
#undef AT

struct assessment {
	struct http_request *r;
	struct guard_score *score; /* NULL: it is over */
};

static void on_score(void *arg, int score, struct str by, struct str reason,
	const struct error *err)
{
	struct assessment *a = arg;
	auto_buf struct buf b = BUF_INIT(64 * 1024);
	struct jsonw w = JSONW(&b);
	a->score = NULL;
	if (err) {
		http_reply_error(a->r, err);
		return;
	}
	jsonw_open(&w);
	jsonw_key_int(&w, "score", score);
	jsonw_key_str(&w, "risk", str_from(risk_name(score)));
	jsonw_key_str(&w, "by", by);
	jsonw_key_str(&w, "reason", reason);
	jsonw_close(&w);
	http_reply_json(a->r, 200, &b);
}

static void on_closed(void *arg)
{
	struct assessment *a = arg;
	struct error err;
	if (!a->score)
		return;
	guard_score_cancel(a->score);
	a->score = NULL;
	error_set(&err, ERROR_CANCELLED, "the client went away");
	http_reply_error(a->r, &err);
}

void guard_assess(struct http_request *r)
{
	static const struct http_ops ops = { .on_closed = on_closed };
	struct guard *guard = guard_of(r);
	auto_json struct json *body = NULL;
	void *params;
	if (!guard)
		return;
	if (rest_body(r, "assess", assess_fields, sizeof(struct assess_body), &body, &params) < 0)
		return;
	const struct assess_body *p = params;
	struct assessment *a = arena_new(&r->arena, struct assessment);
	a->r = r;
	a->score = guard_score(guard, p->name, p->description, p->arguments, on_score, a);
	http_listen(r, &ops, a);
}
