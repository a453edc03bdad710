/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /git: each route is a script of ours, run inside by the sandbox's own git; a row says what
 * becomes its arguments and what is made of its output. What talks to a remote with a password goes
 * through runtime/git.h, which keeps it out of everything that can be read.
 */
#include "face/daytona/git.h"

#include "base/auto.h"
#include "base/bug.h"
#include "face/daytona/git_tell.h"
#include "face/daytona/handlers.h"
#include "runtime/git.h"
#include "runtime/service.h"

enum { FILES_BYTES = 1024 * 1024, REPLY_MAX = 16 * 1024 * 1024 };

struct git_route {
	const char *name, *script;
	const char *keys[8]; /* $1, $2, …; "!path" is required */
	const char *files;   /* a list of paths, each ended by NUL, is the input */
	void (*tell)(struct str out, struct buf *b); /* NULL: the reply is empty */
	int status;
};

#define ROUTE(row, ...) \
	const struct git_route git_##row = { .name = "daytona_git_" #row, __VA_ARGS__ }

ROUTE(status,
	.script =
		"set -eu; cd \"$1\"\n"
		"git rev-parse --git-dir >/dev/null\n"
		"git symbolic-ref -q --short HEAD || echo HEAD\n"
		"up=$(git rev-parse --abbrev-ref '@{upstream}' 2>/dev/null) || up=\n"
		"echo \"$up\"\n"
		"if [ -n \"$up\" ]; then git rev-list --left-right --count \"$up...HEAD\"; else echo; fi\n"
		"git status --porcelain -z --untracked-files=all\n",
	.keys = { "!path" }, .tell = git_put_status, .status = 200);
ROUTE(branches,
	.script = "set -eu; cd \"$1\"; git for-each-ref --format='%(refname:short)' refs/heads\n",
	.keys = { "!path" }, .tell = git_put_branches, .status = 200);
ROUTE(create_branch, .script = "set -eu; cd \"$1\"; git checkout -q -b \"$2\" --\n",
	.keys = { "!path", "!name" }, .status = 201);
ROUTE(delete_branch, .script = "set -eu; cd \"$1\"; git branch -q -D -- \"$2\"\n",
	.keys = { "!path", "!name" }, .status = 204);
ROUTE(checkout, .script = "set -eu; cd \"$1\"; git checkout -q \"$2\" --\n",
	.keys = { "!path", "!branch" }, .status = 200);
ROUTE(add, .script = "set -eu; cd \"$1\"; git add --pathspec-from-file=- --pathspec-file-nul\n",
	.keys = { "!path" }, .files = "files", .status = 200);
ROUTE(commit,
	.script =
		"set -eu; cd \"$1\"\n"
		"GIT_AUTHOR_NAME=$3 GIT_AUTHOR_EMAIL=$4 GIT_COMMITTER_NAME=$3 GIT_COMMITTER_EMAIL=$4\n"
		"export GIT_AUTHOR_NAME GIT_AUTHOR_EMAIL GIT_COMMITTER_NAME GIT_COMMITTER_EMAIL\n"
		"git commit -q ${5:+--allow-empty} -m \"$2\" >&2\n"
		"git rev-parse HEAD\n",
	.keys = { "!path", "!message", "!author", "!email", "allow_empty" }, .tell = git_put_hash,
	.status = 200);
ROUTE(history,
	.script = "set -eu; cd \"$1\"\n"
		  "git log -z -n 1000 --date=iso-strict --format='%H%x1f%an%x1f%ae%x1f%ad%x1f%B'\n",
	.keys = { "!path" }, .tell = git_put_history, .status = 200);
ROUTE(init_route,
	.script = "set -eu; mkdir -p -- \"$1\"; cd \"$1\"\n"
		  "git init -q ${2:+--bare} ${3:+-b \"$3\"} >&2\n",
	.keys = { "!path", "bare", "initial_branch" }, .status = 201);
ROUTE(reset,
	.script = "set -eu; cd \"$1\"\n"
		  "f=$(mktemp); trap 'rm -f \"$f\"' EXIT; cat >\"$f\"\n"
		  "if [ -s \"$f\" ]; then\n"
		  "  git reset -q ${3:+\"$3\"} --pathspec-from-file=\"$f\" --pathspec-file-nul\n"
		  "else git reset -q \"--${2:-mixed}\" ${3:+\"$3\"} --; fi\n",
	.keys = { "!path", "mode", "target" }, .files = "files", .status = 200);
ROUTE(restore,
	.script = "set -eu; cd \"$1\"\n"
		  "git restore -q ${2:+--staged} ${3:+--worktree} ${4:+--source=\"$4\"} "
		  "--pathspec-from-file=- --pathspec-file-nul\n",
	.keys = { "!path", "staged", "worktree", "source" }, .files = "files", .status = 200);
ROUTE(remotes,
	.script =
		"set -eu; cd \"$1\"; git rev-parse --git-dir >/dev/null\n"
		"git remote | while read -r n; do printf '%s\\t%s\\n' \"$n\" \"$(git remote get-url \"$n\")\"; done\n",
	.keys = { "!path" }, .tell = git_put_remotes, .status = 200);
ROUTE(add_remote,
	.script =
		"set -eu; cd \"$1\"\n"
		"if [ -n \"$4\" ] && git remote get-url \"$2\" >/dev/null 2>&1; then git remote set-url -- \"$2\" \"$3\"\n"
		"else git remote add -- \"$2\" \"$3\"; fi\n"
		"[ -z \"$5\" ] || git fetch -q \"$2\"\n",
	.keys = { "!path", "!name", "!url", "overwrite", "fetch" }, .status = 201);
ROUTE(get_config,
	.script =
		"set -eu; [ -z \"$1\" ] || cd \"$1\"\n"
		"v=$(git config ${3:+\"--$3\"} --get -- \"$2\") && printf '=%s\\n' \"$v\" || [ $? -eq 1 ]\n",
	.keys = { "path", "!key", "scope" }, .tell = git_put_value, .status = 200);
ROUTE(set_config,
	.script = "set -eu; [ -z \"$1\" ] || cd \"$1\"\n"
		  "git config \"--${4:-global}\" -- \"$2\" \"$3\"\n",
	.keys = { "path", "!key", "value", "scope" }, .status = 200);
ROUTE(set_user,
	.script =
		"set -eu; [ -z \"$1\" ] || cd \"$1\"\n"
		"git config \"--${4:-global}\" user.name \"$2\"; git config \"--${4:-global}\" user.email \"$3\"\n",
	.keys = { "path", "!name", "!email", "scope" }, .status = 200);

/* ---- failures ---- */

static const struct {
	const char *words;
	int status;
	const char *code;
} failures[] = {
	{ "not a git repository", 404, "GIT_REPO_NOT_FOUND" },
	{ "can't cd to", 404, "GIT_REPO_NOT_FOUND" },
	{ "No such file or directory", 404, "GIT_REPO_NOT_FOUND" },
	{ "does not exist", 404, "GIT_REPO_NOT_FOUND" },
	{ "Repository not found", 404, "GIT_REPO_NOT_FOUND" },
	{ "Authentication failed", 401, "GIT_AUTH_FAILED" },
	{ "could not read Username", 401, "GIT_AUTH_FAILED" },
	{ "terminal prompts disabled", 401, "GIT_AUTH_FAILED" },
	{ "a branch named", 409, "GIT_BRANCH_EXISTS" },
	{ "did not match any file", 404, "GIT_BRANCH_NOT_FOUND" },
	{ "invalid reference", 404, "GIT_BRANCH_NOT_FOUND" },
	{ "not found.", 404, "GIT_BRANCH_NOT_FOUND" },
	{ "[rejected]", 409, "GIT_PUSH_REJECTED" },
	{ "would be overwritten", 409, "GIT_DIRTY_WORKTREE" },
	{ "CONFLICT", 409, "GIT_MERGE_CONFLICT" },
	{ "Could not resolve host", 502, "GIT_TRANSPORT_FAILED" },
	{ "unable to access", 502, "GIT_TRANSPORT_FAILED" },
};

static void fail_with(struct http_request *r, struct str text, struct str shown)
{
	for (size_t i = 0; i < ARRAY_LEN(failures); i++) {
		if (str_find(text, str_from(failures[i].words)) < 0)
			continue;
		daytona_fail(r, failures[i].status, failures[i].code, "%.*s",
			STR_ARG(str_first(shown, 1000)));
		return;
	}
	daytona_fail(r, 400, NULL, "%.*s", STR_ARG(str_first(shown, 1000)));
}

/* ---- scripts ---- */

struct asking {
	struct http_request *r;
	struct service *service; /* one of the two, or neither: it is over */
	struct git *git;
	const struct git_route *route;
	struct str url; /* of a clone, and then: */
	struct str path, commit;
};

static void on_closed(void *arg)
{
	struct asking *a = arg;
	struct error err;
	if (!a->service && !a->git)
		return;
	service_cancel(take_ptr(a->service));
	git_cancel(take_ptr(a->git));
	error_set(&err, ERROR_CANCELLED, "the client went away");
	daytona_fail_error(a->r, &err);
}

static void on_done(void *arg, const struct service_result *result, const struct error *err)
{
	struct asking *a = arg;
	a->service = NULL;
	if (err) {
		daytona_fail_error(a->r, err);
		return;
	}
	if (result->exit_code != 0) {
		/* git says some things on its output: "nothing to commit". */
		struct str why = str_trim(result->err).len ? result->err : result->out;
		fail_with(a->r, why, str_trim(why));
		return;
	}
	if (!a->route->tell) {
		daytona_empty(a->r, a->route->status);
		return;
	}
	auto_buf struct buf body = BUF_INIT(REPLY_MAX);
	a->route->tell(result->out, &body);
	http_reply_json(a->r, a->route->status, &body);
}

static struct asking *asking_new(struct http_request *r, const struct git_route *route)
{
	static const struct http_ops ops = { .on_closed = on_closed };
	struct asking *a = arena_new(&r->arena, struct asking);
	a->r = r;
	a->route = route;
	http_listen(r, &ops, a);
	return a;
}

/* A string, or "1" for true. */
static struct str text_of(const struct json *body, const char *key)
{
	const struct json *value = json_find(body, key);
	if (json_kind(value) == JSON_KIND_BOOL)
		return json_bool(value) ? STR("1") : STR("");
	struct str text = json_str(value);
	return text.ptr ? text : STR("");
}

/* The arguments of a row; -1: answered. */
static int take_arguments(struct http_request *r, const struct git_route *route,
	const struct json *body, struct service_wish *wish)
{
	for (size_t i = 0; i < ARRAY_LEN(route->keys) && route->keys[i]; i++) {
		const char *key = route->keys[i];
		bool is_required = key[0] == '!';
		key += is_required;
		struct str text = body ? text_of(body, key) : http_query(r, key);
		if ((is_required && !text.len) || str_has_nul(text)) {
			daytona_fail(r, 400, NULL, "%s is required", key);
			return -1;
		}
		wish->arguments[wish->n_arguments++] = text.ptr ? text : STR("");
	}
	return 0;
}

static int take_files(struct http_request *r, const struct git_route *route,
	const struct json *body, struct buf *input)
{
	const struct json *files = json_find(body, route->files ?: "");
	for (size_t i = 0; i < json_len(files); i++) {
		struct str file = json_str(json_at(files, i));
		if (!file.len || str_has_nul(file)) {
			daytona_fail(r, 400, NULL, "files must be a list of paths");
			return -1;
		}
		buf_put(input, file);
		buf_putc(input, '\0');
	}
	if (!input->is_full)
		return 0;
	daytona_fail(r, 413, NULL, "files: more than %d bytes", FILES_BYTES);
	return -1;
}

void git_run(struct http_request *r)
{
	const struct git_route *route = r->route->data;
	struct sandbox *s;
	const struct box *b = box_of_toolbox(r, &s);
	bool is_get = str_is(r->method, "GET") || str_is(r->method, "HEAD");
	auto_json struct json *body = b && !is_get ? daytona_body(r) : NULL;
	auto_buf struct buf input = BUF_INIT(FILES_BYTES);
	struct service_wish wish = { .name = route->name, .script = route->script };
	if (!b || (!is_get && !body))
		return;
	if (take_arguments(r, route, body, &wish) < 0 || take_files(r, route, body, &input) < 0)
		return;
	wish.input = buf_str(&input);
	struct asking *a = asking_new(r, route);
	a->service = service_run(s, &wish, on_done, a);
}

/* ---- remotes ---- */

static const struct git_route after_clone = {
	.name = "daytona_git_commit_of_clone",
	.script = "set -eu; cd \"$1\"; git checkout -q \"$2\" --\n",
	.status = 200,
};

static void on_synced(void *arg, struct str result, const struct error *err)
{
	struct asking *a = arg;
	struct daytona *d = daytona_of(a->r);
	struct error gone;
	a->git = NULL;
	if (err) {
		fail_with(a->r, str_from(err->text), str_from(err->text));
		return;
	}
	struct box *b = a->commit.len ? box_find(d, http_param(a->r, "id")) : NULL;
	struct sandbox *s = b ? runtime_find(d->rt, str_from(b->id), &gone) : NULL;
	if (!s) {
		daytona_empty(a->r, 200);
		return;
	}
	struct service_wish wish = { .name = after_clone.name,
		.script = after_clone.script,
		.arguments = { a->path, a->commit },
		.n_arguments = 2 };
	a->route = &after_clone;
	a->service = service_run(s, &wish, on_done, a);
}

void git_clone_repository(struct http_request *r)
{
	struct sandbox *s;
	const struct box *b = box_of_toolbox(r, &s);
	auto_json struct json *body = b ? daytona_body(r) : NULL;
	struct git_clone wish = { 0 };
	if (!body || !daytona_need(r, body, "url", &wish.url) ||
		!daytona_need(r, body, "path", &wish.directory))
		return;
	if (json_bool(json_find(body, "insecure_skip_tls"))) {
		daytona_fail(r, 400, NULL, "insecure_skip_tls is not offered");
		return;
	}
	struct asking *a = asking_new(r, NULL);
	wish.branch = text_of(body, "branch");
	wish.user = text_of(body, "username");
	wish.token = text_of(body, "password");
	wish.depth = json_int(json_find(body, "depth"));
	a->path = str_from(arena_str(&r->arena, wish.directory));
	a->commit = str_from(arena_str(&r->arena, text_of(body, "commit_id")));
	a->git = git_clone(s, &wish, on_synced, a);
}

/* The host of the remote is asked for first, if there is a password for it. */
static const char url_script[] = "set -eu; cd \"$1\"; git remote get-url \"$2\"\n";

static void sync_now(struct asking *a, struct str host)
{
	auto_json struct json *body = NULL;
	struct daytona *d = daytona_of(a->r);
	struct error err;
	struct box *b = box_find(d, http_param(a->r, "id"));
	struct sandbox *s = b ? box_sandbox(b) : NULL;
	json_parse(a->r->body, &body, &err);
	if (!s || !body) {
		daytona_fail(a->r, 404, NULL, "the sandbox is gone");
		return;
	}
	const struct git_sync wish = {
		.directory = text_of(body, "path"),
		.remote = text_of(body, "remote").len ? text_of(body, "remote") : STR("origin"),
		.branch = text_of(body, "branch"),
		.user = text_of(body, "username"),
		.token = text_of(body, "password"),
		.host = host,
	};
	if (str_ends(a->r->path, STR("/push")))
		a->git = git_push(s, &wish, on_synced, a);
	else
		a->git = git_pull(s, &wish, on_synced, a);
}

static void on_url(void *arg, const struct service_result *result, const struct error *err)
{
	struct asking *a = arg;
	a->service = NULL;
	if (err)
		daytona_fail_error(a->r, err);
	else if (result->exit_code != 0)
		fail_with(a->r, result->err, str_trim(result->err));
	else
		sync_now(a, str_trim(result->out));
}

void git_sync_changes(struct http_request *r)
{
	struct sandbox *s;
	const struct box *b = box_of_toolbox(r, &s);
	auto_json struct json *body = b ? daytona_body(r) : NULL;
	struct str path;
	if (!body || !daytona_need(r, body, "path", &path))
		return;
	struct asking *a = asking_new(r, NULL);
	if (!text_of(body, "password").len) {
		sync_now(a, STR(""));
		return;
	}
	struct str remote = text_of(body, "remote");
	const struct service_wish wish = { .name = "daytona_git_url",
		.script = url_script,
		.arguments = { path, remote.len ? remote : STR("origin") },
		.n_arguments = 2 };
	a->service = service_run(s, &wish, on_url, a);
}
