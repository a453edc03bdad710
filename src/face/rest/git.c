/* SPDX-License-Identifier: Apache-2.0 */
/* …/git/… and …/microagents: each decodes its wish, asks the core, and answers what that says. */
#include "face/rest/handlers.h"

#include "base/auto.h"
#include "runtime/git.h"

/* In the request's arena. */
struct asking {
	struct http_request *r;
	struct git *git; /* NULL: it is over */
};

static void on_done(void *arg, struct str json, const struct error *err)
{
	struct asking *a = arg;
	a->git = NULL;
	if (err)
		http_reply_error(a->r, err);
	else
		http_reply(a->r, 200, "application/json", json);
}

static void on_closed(void *arg)
{
	struct asking *a = arg;
	struct error err;
	if (!a->git)
		return;
	git_cancel(a->git);
	a->git = NULL;
	error_set(&err, ERROR_CANCELLED, "the client went away");
	http_reply_error(a->r, &err);
}

static void listen(struct asking *a)
{
	static const struct http_ops ops = { .on_closed = on_closed };
	http_listen(a->r, &ops, a);
}

/* Sandbox and wish, of the body or of the query; NULL: the request has been answered. */
static struct sandbox *begin(struct http_request *r, const struct field *fields, size_t size,
	void **ret_wish, struct asking **ret_asking)
{
	bool is_get = str_is(r->method, "GET") || str_is(r->method, "HEAD");
	struct sandbox *s = rest_sandbox(r);
	auto_json struct json *body = NULL;
	if (!s)
		return NULL;
	struct asking *a = arena_new(&r->arena, struct asking);
	a->r = r;
	*ret_asking = a;
	if (is_get)
		return rest_query(r, fields, size, ret_wish) < 0 ? NULL : s;
	if (rest_body(r, "git", fields, size, &body, ret_wish) < 0)
		return NULL;
	rest_keep_strings(fields, *ret_wish, &r->arena);
	return s;
}

#define BEGIN(fields, type)                                                     \
	void *params;                                                           \
	struct asking *a;                                                       \
	struct sandbox *s = begin(r, fields, sizeof(struct type), &params, &a); \
	if (!s)                                                                 \
		return;                                                         \
	const struct type *wish = params

void git_clone_post(struct http_request *r)
{
	BEGIN(git_clone_fields, git_clone);
	a->git = git_clone(s, wish, on_done, a);
	listen(a);
}

void git_init_post(struct http_request *r)
{
	BEGIN(git_init_fields, git_place);
	a->git = git_init(s, wish->directory, on_done, a);
	listen(a);
}

void git_push_post(struct http_request *r)
{
	BEGIN(git_sync_fields, git_sync);
	a->git = git_push(s, wish, on_done, a);
	listen(a);
}

void git_pull_post(struct http_request *r)
{
	BEGIN(git_sync_fields, git_sync);
	a->git = git_pull(s, wish, on_done, a);
	listen(a);
}

void git_branch_post(struct http_request *r)
{
	BEGIN(git_branch_fields, git_branch);
	a->git = git_branch(s, wish, on_done, a);
	listen(a);
}

void git_changes_get(struct http_request *r)
{
	BEGIN(git_changes_fields, git_place);
	a->git = git_changes(s, wish, on_done, a);
	listen(a);
}

void git_diff_get(struct http_request *r)
{
	BEGIN(git_diff_fields, git_place);
	a->git = git_diff(s, wish, on_done, a);
	listen(a);
}

void git_hook_post(struct http_request *r)
{
	BEGIN(git_init_fields, git_place);
	a->git = git_hook(s, wish->directory, on_done, a);
	listen(a);
}

void microagents_get(struct http_request *r)
{
	BEGIN(microagents_fields, git_place);
	a->git = git_microagents(s, wish->directory, on_done, a);
	listen(a);
}
