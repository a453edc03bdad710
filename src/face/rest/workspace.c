/* SPDX-License-Identifier: Apache-2.0 */
/* What a new sandbox is prepared with, …/setup and …/env. */
#include "face/rest/handlers.h"

#include "action/executor_actions.h"
#include "action/session_actions.h"
#include "base/auto.h"
#include "runtime/prepare.h"

/* Preparing a sandbox on its way to its creator. In the request's arena. */
struct birth {
	struct http_request *r;
	const char *id;
	struct error error;
};

static void on_taken_back(void *arg, const struct error *err)
{
	struct birth *b = arg;
	http_reply_error(b->r, &b->error);
}

/* Nobody gets a sandbox without what was to be in it. */
static void on_prepared(void *arg, struct str json, const struct error *err)
{
	struct birth *b = arg;
	struct error gone;
	struct sandbox *s = runtime_find(rest_of(b->r)->runtime, str_from(b->id), &gone);
	if (!s) {
		http_reply_error(b->r, err ? err : &gone);
		return;
	}
	if (err) {
		b->error = *err;
		runtime_destroy(s, on_taken_back, b);
		return;
	}
	rest_reply_sandbox(b->r, 201, s);
}

static int decode_clone(const struct json *repo, struct arena *arena, struct git_clone *ret,
	struct error *err)
{
	void *params;
	if (fields_decode(git_clone_fields, sizeof(*ret), "create: repo", repo, arena, &params,
		    err) < 0)
		return -1;
	*ret = *(const struct git_clone *)params;
	return 0;
}

int workspace_check(const struct json *repo, struct arena *arena, struct error *err)
{
	struct git_clone ignored;
	return json_kind(repo) == JSON_KIND_NULL ? 0 : decode_clone(repo, arena, &ignored, err);
}

bool workspace_prepare(struct http_request *r, struct sandbox *s, const struct json *body)
{
	struct prepare_wish wish = { 0 };
	const struct json *repo = json_find(body, "repo");
	if (json_kind(repo) != JSON_KIND_NULL)
		wish.clones = decode_clone(repo, &r->arena, &wish.clone, NULL) == 0;
	else
		wish.clones = git_standard_clone(&wish.clone);
	wish.inits = !wish.clones && git_standard_init();
	if (!wish.clones && !wish.inits)
		return false;
	struct birth *b = arena_new(&r->arena, struct birth);
	b->r = r;
	b->id = arena_str(&r->arena, str_from(s->id));
	prepare_start(s, &wish, on_prepared, b);
	return true;
}

/* …/setup */

struct setting_up {
	struct http_request *r;
	struct prepare *prepare; /* NULL: it is over */
};

static void on_set_up(void *arg, struct str json, const struct error *err)
{
	struct setting_up *u = arg;
	u->prepare = NULL;
	if (err)
		http_reply_error(u->r, err);
	else
		http_reply(u->r, 200, "application/json", json);
}

static void on_closed(void *arg)
{
	struct setting_up *u = arg;
	struct error err;
	if (!u->prepare)
		return;
	prepare_cancel(u->prepare);
	u->prepare = NULL;
	error_set(&err, ERROR_CANCELLED, "the client went away");
	http_reply_error(u->r, &err);
}

void setup_post(struct http_request *r)
{
	static const struct http_ops ops = { .on_closed = on_closed };
	struct sandbox *s = rest_sandbox(r);
	auto_json struct json *body = NULL;
	void *params;
	if (!s)
		return;
	if (rest_body(r, "setup", git_init_fields, sizeof(struct git_place), &body, &params) < 0)
		return;
	struct setting_up *u = arena_new(&r->arena, struct setting_up);
	u->r = r;
	u->prepare = prepare_setup(s, ((const struct git_place *)params)->directory, on_set_up, u);
	http_listen(r, &ops, u);
}

/*
 * …/env: configure for what is started later; an export, which no event shows, for the main
 * session.
 */

struct environment_body {
	struct field_map env, secrets;
};

#define AT(member) FIELD_AT(struct environment_body, member)
const struct field environment_fields[] = {
	{ "env", FIELD_MAP, AT(env), FIELD_SECRET, .help = "variables; an empty value unsets" },
	{ "secrets", FIELD_MAP, AT(secrets), FIELD_SECRET,
		.help = "variables whose values are hidden from now on" },
	{ 0 },
};
#undef AT

static void on_environment(void *arg, struct str json, const struct error *err)
{
	struct http_request *r = arg;
	if (err)
		http_reply_error(r, err);
	else
		http_reply(r, 200, "application/json", json);
}

void environment_post(struct http_request *r)
{
	struct sandbox *s = rest_sandbox(r);
	auto_json struct json *body = NULL;
	void *params;
	if (!s)
		return;
	if (rest_body(r, "env", environment_fields, sizeof(struct environment_body), &body,
		    &params) < 0)
		return;
	const struct environment_body *b = params;
	runtime_set_env(s, &b->env, &b->secrets, on_environment, r);
}
