/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. Each of these is one script, run as a service; what differs is how its
 * arguments are made and how its output becomes JSON: a row of `kinds`.
 */
#include "runtime/git.h"

#include "base/auto.h"
#include "base/bug.h"
#include "event/loop.h"
#include "runtime/git_scripts.h"
#include "runtime/git_tell.h"
#include "runtime/runtime.h"

enum { CREDENTIALS_TIMES = 16, RESULT_MAX = 16 * 1024 * 1024, STANDARD_MAX = 1024 };

/* clang-format off */
#define AT(type, member) FIELD_AT(struct type, member)
#define DIRECTORY(type) \
	{ "directory", FIELD_STRING, AT(type, directory), .standard = ".", .help = "of the repository; relative to the workdir" }
#define TOKEN(type) \
	{ "token", FIELD_STRING, AT(type, token), FIELD_SECRET, .help = "what the remote wants to see; never kept" }, \
	{ "user", FIELD_STRING, AT(type, user), .help = "whose token; standard: what GitHub, GitLab and Bitbucket want" }

const struct field git_clone_fields[] = {
	{ "url", FIELD_STRING, AT(git_clone, url), FIELD_REQUIRED, .help = "of the repository, or OWNER/NAME of GitHub" },
	{ "directory", FIELD_STRING, AT(git_clone, directory), .help = "where to; standard: the repository's name, in the workdir" },
	{ "branch", FIELD_STRING, AT(git_clone, branch), .help = "to check out; made if there is none of that name" },
	{ "depth", FIELD_INT, AT(git_clone, depth), .min = 0, .max = 1000000, .help = "commits of history; 0: all" },
	TOKEN(git_clone),
	{ "setup", FIELD_BOOL, AT(git_clone, setup), .standard = "true", .help = "run .openhands/setup.sh, install .openhands/pre-commit.sh" },
	{ 0 },
};

const struct field git_sync_fields[] = {
	DIRECTORY(git_sync),
	{ "remote", FIELD_STRING, AT(git_sync, remote), .standard = "origin", .help = "its name" },
	{ "branch", FIELD_STRING, AT(git_sync, branch), .help = "standard: the current one" },
	{ "force", FIELD_BOOL, AT(git_sync, force), .standard = "false", .help = "push: overwrite what nobody else has changed meanwhile" },
	{ "host", FIELD_STRING, AT(git_sync, host), .help = "https://HOST that the token is for; no other gets it" },
	TOKEN(git_sync),
	{ 0 },
};

#define REF \
	{ "ref", FIELD_STRING, AT(git_place, ref), .help = "a commit or branch to compare with; standard: where the branch left its origin" }

const struct field git_changes_fields[] = { DIRECTORY(git_place), REF, { 0 } };
const struct field microagents_fields[] = { DIRECTORY(git_place), { 0 } };
const struct field git_init_fields[] = { DIRECTORY(git_place), { 0 } };

const struct field git_diff_fields[] = {
	DIRECTORY(git_place),
	{ "path", FIELD_STRING, AT(git_place, path), FIELD_REQUIRED | FIELD_PATH, .help = "of the file, in the repository" },
	REF,
	{ 0 },
};

const struct field git_branch_fields[] = {
	DIRECTORY(git_branch),
	{ "branch", FIELD_STRING, AT(git_branch, branch), .help = "to check out; standard: stay" },
	{ "create", FIELD_BOOL, AT(git_branch, create), .standard = "false", .help = "make it" },
	{ 0 },
};
/* clang-format on */

static struct {
	char name[STANDARD_MAX], email[STANDARD_MAX], repository[STANDARD_MAX];
	bool init;
} standards = { "openhands", "openhands@all-hands.dev", "", false };

struct git {
	struct service *service; /* NULL: refused before it began */
	struct loop *loop;
	const struct kind *kind;
	struct error error;
	git_fn *done;
	void *arg;
};

struct kind {
	const char *name, *script;
	int (*tell)(const struct service_result *result, struct buf *b, struct error *err);
};

static const struct kind clone_kind = { "git_clone", git_clone_script, git_tell_place };
static const struct kind init_kind = { "git_init", git_init_script, git_tell_place };
static const struct kind push_kind = { "git_push", git_push_script, git_tell_output };
static const struct kind pull_kind = { "git_pull", git_pull_script, git_tell_output };
static const struct kind branch_kind = { "git_branch", git_branch_script, git_tell_branches };
static const struct kind changes_kind = { "git_changes", git_changes_script, git_tell_changes };
static const struct kind commit_changes_kind = { "git_commit_changes", git_commit_changes_script,
	git_tell_changes };
static const struct kind commits_kind = { "git_commits", git_commits_script, git_tell_commits };
static const struct kind commit_diff_kind = { "git_commit_diff", git_commit_diff_script,
	git_tell_diff };
static const struct kind diff_kind = { "git_diff", git_diff_script, git_tell_diff };
static const struct kind microagents_kind = { "microagents", microagents_script,
	git_tell_microagents };
static const struct kind hook_kind = { "git_hook", git_hook_script, git_tell_hook };

static void take_text(char *to, const struct json *json, const char *name)
{
	struct str text = json_str(json_find(json, name));
	if (text.ptr)
		snprintf(to, STANDARD_MAX, "%.*s", STR_ARG(text));
}

void git_set_standards(const struct json *json)
{
	take_text(standards.name, json, "name");
	take_text(standards.email, json, "email");
	take_text(standards.repository, json, "repository");
	standards.init = json_bool(json_find(json, "init"));
}

bool git_standard_clone(struct git_clone *ret)
{
	*ret = (struct git_clone){ .url = str_from(standards.repository), .setup = true };
	return ret->url.len > 0;
}

bool git_standard_init(void)
{
	return standards.init;
}

/* Running. */

static void on_done(void *arg, const struct service_result *result, const struct error *err)
{
	struct git *git = arg;
	struct git copy = *git;
	auto_buf struct buf b = BUF_INIT(RESULT_MAX);
	struct error own;
	free(git);
	if (!err && copy.kind->tell(result, &b, &own) < 0)
		err = &own;
	if (!err && b.is_full) {
		error_set(&own, ERROR_TOO_LARGE, "%s: over %d bytes", copy.kind->name, RESULT_MAX);
		err = &own;
	}
	copy.done(copy.arg, err ? STR_NONE : buf_str(&b), err);
}

static void on_refused(void *arg)
{
	struct git *git = arg;
	struct git copy = *git;
	free(git);
	copy.done(copy.arg, STR_NONE, &copy.error);
}

static struct git *git_new(struct sandbox *s, const struct kind *kind, git_fn *done, void *arg)
{
	struct git *git = mem_new(struct git);
	git->loop = runtime_loop(s->runtime);
	git->kind = kind;
	git->done = done;
	git->arg = arg;
	return git;
}

void git_cancel(struct git *git)
{
	if (!git)
		return;
	loop_undefer(git->loop, git);
	service_cancel(git->service);
	free(git);
}

static struct git *run(struct sandbox *s, const struct kind *kind, const struct str *arguments,
	size_t n, struct str input, git_fn *done, void *arg)
{
	struct git *git = git_new(s, kind, done, arg);
	struct service_wish wish = { .name = kind->name,
		.script = kind->script,
		.n_arguments = n,
		.input = input };
	for (size_t i = 0; i < n; i++)
		wish.arguments[i] = arguments[i];
	git->service = service_run(s, &wish, on_done, git);
	return git;
}

static struct git *refuse(struct git *git)
{
	loop_defer(git->loop, on_refused, git);
	return git;
}

/* Remotes and their tokens. */

static const char *user_of(struct str host)
{
	if (str_find(host, STR("gitlab")) >= 0)
		return "oauth2";
	if (str_find(host, STR("bitbucket")) >= 0)
		return "x-token-auth";
	return "x-access-token";
}

static bool is_line(struct str s)
{
	return str_find_char(s, '\n') < 0 && str_find_char(s, '\r') < 0 && !str_has_nul(s);
}

static void put_credentials(struct buf *b, struct str scope, struct str user, struct str token)
{
	ptrdiff_t colon = str_find_char(token, ':');
	bool is_pair = !user.len && colon > 0; /* USER:PASSWORD */
	if (is_pair) {
		user = str_first(token, (size_t)colon);
		token = str_skip(token, (size_t)colon + 1);
	} else if (!user.len) {
		user = str_from(user_of(scope));
	}
	for (int i = 0; i < CREDENTIALS_TIMES; i++)
		buf_printf(b, "username=%.*s\npassword=%.*s\n", STR_ARG(user), STR_ARG(token));
}

/* scheme://host[:port] of an HTTP URL; "" for others, which take no token. */
static struct str scope_of(struct str url)
{
	ptrdiff_t scheme = str_find(url, STR("://"));
	if (scheme < 0 || (!str_starts(url, STR("https://")) && !str_starts(url, STR("http://"))))
		return STR("");
	struct str rest = str_skip(url, (size_t)scheme + 3);
	ptrdiff_t slash = str_find_char(rest, '/');
	size_t n = (size_t)scheme + 3 + (slash < 0 ? rest.len : (size_t)slash);
	return str_first(url, n);
}

static int check_remote(struct str scope, struct str user, struct str token, const char *what,
	struct error *err)
{
	if (!is_line(user) || !is_line(token))
		return error_set(err, ERROR_INVALID, "%s: a user or token is one line", what);
	if (token.len && !scope.len)
		return error_set(err, ERROR_INVALID,
			"%s: a token wants an https:// or http:// URL, whose host alone gets it",
			what);
	return 0;
}

/* A URL without what does not belong into one, "user:token@", which is given apart. */
struct remote {
	struct buf url, credentials;
	struct str scope;
};

static int split_url(const struct git_clone *wish, struct remote *r, struct error *err)
{
	struct str url = wish->url, user = wish->user, token = wish->token;
	bool is_short = str_find_char(url, ':') < 0 && str_find_char(url, '/') > 0 &&
		url.ptr[0] != '/' && url.ptr[0] != '.';
	if (str_starts(url, STR("-")) || !url.len || !is_line(url))
		return error_set(err, ERROR_INVALID, "git_clone: '%.*s' is no URL",
			STR_ARG(str_first(url, 60)));
	if (is_short)
		buf_puts(&r->url, "https://github.com/");
	struct str scope = scope_of(url);
	ptrdiff_t at = -1;
	for (size_t i = 0; i < scope.len; i++)
		at = scope.ptr[i] == '@' ? (ptrdiff_t)i : at;
	if (at > 0) {
		size_t start = (size_t)str_find(url, STR("://")) + 3;
		struct str inside = str_from_len(url.ptr + start, (size_t)at - start);
		buf_put(&r->url, str_first(url, start));
		url = str_skip(url, (size_t)at + 1);
		token = token.len ? token : inside;
	}
	buf_put(&r->url, url);
	if (is_short)
		buf_puts(&r->url, ".git");
	r->scope = scope_of(buf_str(&r->url));
	if (check_remote(r->scope, user, token, "git_clone", err) < 0)
		return -1;
	if (token.len)
		put_credentials(&r->credentials, r->scope, user, token);
	else
		r->scope = STR("");
	return 0;
}

/* "name" of "…/name.git" */
static struct str name_of(struct str url)
{
	while (str_ends(url, STR("/")))
		url.len--;
	if (str_ends(url, STR(".git")))
		url.len -= 4;
	for (size_t i = url.len; i > 0; i--)
		if (url.ptr[i - 1] == '/' || url.ptr[i - 1] == ':')
			return str_skip(url, i);
	return url;
}

struct git *git_clone(struct sandbox *s, const struct git_clone *wish, git_fn *done, void *arg)
{
	struct git *git = git_new(s, &clone_kind, done, arg);
	struct remote r = { .url = BUF_INIT(8192), .credentials = BUF_INIT(1024 * 1024) };
	char depth[24] = "";
	if (wish->depth)
		snprintf(depth, sizeof(depth), "%lld", (long long)wish->depth);
	if (split_url(wish, &r, &git->error) < 0) {
		refuse(git);
	} else {
		struct str url = buf_str(&r.url);
		const struct str arguments[] = { r.scope, str_from(standards.name),
			str_from(standards.email), url,
			wish->directory.len ? wish->directory : name_of(url), wish->branch,
			str_from(depth) };
		free(git);
		git = run(s, &clone_kind, arguments, ARRAY_LEN(arguments), buf_str(&r.credentials),
			done, arg);
	}
	buf_fini(&r.url);
	if (r.credentials.len)
		explicit_bzero(r.credentials.ptr, r.credentials.len);
	buf_fini(&r.credentials);
	return git;
}

struct git *git_init(struct sandbox *s, struct str directory, git_fn *done, void *arg)
{
	const struct str arguments[] = { str_from(standards.name), str_from(standards.email),
		directory };
	return run(s, &init_kind, arguments, ARRAY_LEN(arguments), STR_NONE, done, arg);
}

static struct git *sync_with(struct sandbox *s, const struct kind *kind,
	const struct git_sync *wish, git_fn *done, void *arg)
{
	struct git *git = git_new(s, kind, done, arg);
	auto_buf struct buf credentials = BUF_INIT(1024 * 1024);
	struct str scope = scope_of(wish->host);
	if (check_remote(scope, wish->user, wish->token, kind->name, &git->error) < 0)
		return refuse(git);
	if (str_starts(wish->remote, STR("-")) || str_starts(wish->branch, STR("-"))) {
		error_set(&git->error, ERROR_INVALID, "%s: a name begins with '-'", kind->name);
		return refuse(git);
	}
	free(git);
	if (wish->token.len)
		put_credentials(&credentials, scope, wish->user, wish->token);
	const struct str arguments[] = { wish->token.len ? scope : STR(""), wish->directory,
		wish->remote, wish->branch, wish->force ? STR("force") : STR("") };
	return run(s, kind, arguments, ARRAY_LEN(arguments), buf_str(&credentials), done, arg);
}

struct git *git_push(struct sandbox *s, const struct git_sync *wish, git_fn *done, void *arg)
{
	return sync_with(s, &push_kind, wish, done, arg);
}

struct git *git_pull(struct sandbox *s, const struct git_sync *wish, git_fn *done, void *arg)
{
	return sync_with(s, &pull_kind, wish, done, arg);
}

struct git *git_branch(struct sandbox *s, const struct git_branch *wish, git_fn *done, void *arg)
{
	const struct str arguments[] = { wish->directory, wish->branch,
		wish->create ? STR("create") : STR("") };
	if (str_starts(wish->branch, STR("-"))) {
		struct git *git = git_new(s, &branch_kind, done, arg);
		error_set(&git->error, ERROR_INVALID, "git_branch: a name begins with '-'");
		return refuse(git);
	}
	return run(s, &branch_kind, arguments, ARRAY_LEN(arguments), STR_NONE, done, arg);
}

/* What would be an option of git's is no name of a commit. */
static bool is_ref(struct str ref)
{
	return !str_starts(ref, STR("-")) && is_line(ref);
}

static struct git *refuse_ref(struct sandbox *s, const struct kind *kind, git_fn *done, void *arg)
{
	struct git *git = git_new(s, kind, done, arg);
	error_set(&git->error, ERROR_INVALID, "%s: that is no name of a commit", kind->name);
	return refuse(git);
}

struct git *git_changes(struct sandbox *s, const struct git_place *wish, git_fn *done, void *arg)
{
	bool is_one = wish->commit.len;
	const struct kind *kind = is_one ? &commit_changes_kind : &changes_kind;
	const struct str arguments[] = { wish->directory, is_one ? wish->commit : wish->ref };
	if (!is_ref(arguments[1]))
		return refuse_ref(s, kind, done, arg);
	return run(s, kind, arguments, ARRAY_LEN(arguments), STR_NONE, done, arg);
}

struct git *git_commits(struct sandbox *s, const struct git_place *wish, git_fn *done, void *arg)
{
	char limit[24];
	snprintf(limit, sizeof(limit), "%lld", (long long)wish->limit);
	const struct str arguments[] = { wish->directory, str_from(limit) };
	return run(s, &commits_kind, arguments, ARRAY_LEN(arguments), STR_NONE, done, arg);
}

struct git *git_diff(struct sandbox *s, const struct git_place *wish, git_fn *done, void *arg)
{
	bool is_one = wish->commit.len;
	const struct kind *kind = is_one ? &commit_diff_kind : &diff_kind;
	const struct str arguments[] = { wish->directory, wish->path,
		is_one ? wish->commit : wish->ref };
	if (!is_ref(arguments[2]))
		return refuse_ref(s, kind, done, arg);
	return run(s, kind, arguments, ARRAY_LEN(arguments), STR_NONE, done, arg);
}

struct git *git_microagents(struct sandbox *s, struct str directory, git_fn *done, void *arg)
{
	return run(s, &microagents_kind, &directory, 1, STR_NONE, done, arg);
}

struct git *git_hook(struct sandbox *s, struct str directory, git_fn *done, void *arg)
{
	return run(s, &hook_kind, &directory, 1, STR_NONE, done, arg);
}
