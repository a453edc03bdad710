/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What else the agent server's workspace offers: directories, and what git knows of them. Bytes of
 * files are in transfer.c, commands in bash.c.
 *
 * Where there is no repository nothing has changed, and nothing was ever committed: as with the
 * original that is an answer, not an error.
 */
#include "action/file_actions.h"
#include "action/process_actions.h"
#include "base/auto.h"
#include "base/bug.h"
#include "base/num.h"
#include "face/openhands/errand.h"
#include "face/openhands/handlers.h"
#include "face/openhands/reply.h"
#include "runtime/git.h"

enum {
	PARAMS_MAX = 64 * 1024,
	LIST_MAX = 10000, /* entries of a directory that are looked at */
	HOME_MAX = 4096,  /* bytes of its path */
	SUBDIRS_MAX = 100,
	FAVORITES_MAX = 50,
	COMMITS_MAX = 200,
	COMMITS_STANDARD = 50,
	SHA_MIN = 4,
	SHA_MAX = 64,
};

/* ---- queries ---- */

static bool need_path(struct http_request *r, bool is_absolute)
{
	struct str path = http_query(r, "path");
	if (!path.len)
		reply_invalid(r,
			"[{'type': 'missing', 'loc': ('query', 'path'), 'msg': 'Field required'}]");
	else if (is_absolute && !str_starts(path, STR("/")))
		reply_detail(r, 400, "Path must be absolute");
	else
		return true;
	return false;
}

/* -1: the request has been answered. */
static int read_limit(struct http_request *r, int64_t standard, int64_t max, int64_t *ret)
{
	struct str text = http_query(r, "limit");
	*ret = standard;
	if (!text.ptr || num_parse_i64(text, 1, max, ret, NULL) == 0)
		return 0;
	reply_invalid(r,
		arena_printf(&r->arena,
			"[{'loc': ('query', 'limit'), 'msg': 'Input should be 1 to %lld'}]",
			(long long)max));
	return -1;
}

static bool is_yes(struct str word)
{
	return str_eq_nocase(word, STR("true")) || str_is(word, "1");
}

/* ---- directories ---- */

static void on_made(struct chore *a, const struct json *result)
{
	errand_success(a);
}

static void on_not_made(struct chore *a, const struct error *err)
{
	if (err->code == ERROR_EXISTS || err->code == ERROR_INVALID)
		errand_refuse(a, 400, "Path exists and is not a directory");
	else
		chore_fail(a, err);
}

static void make_in(struct openhands *oh, struct http_request *r, struct sandbox *s)
{
	struct chore *a = errand_new(oh, r, s);
	a->failed = on_not_made;
	chore_perform_path(a, &mkdir_action, http_query(r, "path"), ",\"parents\":true", on_made);
}

void workspace_mkdir(struct http_request *r)
{
	if (need_path(r, true))
		openhands_with_sandbox(r, make_in);
}

static int compare_names(const void *a, const void *b)
{
	return strcasecmp(*(const char *const *)a, *(const char *const *)b);
}

/* Names of the directories in it, sorted; they point into the result. */
static const char **subdirs_of(struct chore *a, const struct json *result, size_t *ret_n)
{
	const struct json *entries = json_find(result, "entries");
	size_t n = 0, n_entries = MIN(json_len(entries), (size_t)LIST_MAX);
	const char **names = arena_alloc(&a->r->arena, (n_entries + 1) * sizeof(*names));
	for (size_t i = 0; i < n_entries; i++) {
		const struct json *entry = json_at(entries, i);
		struct str name = json_str(json_find(entry, "name"));
		if (str_is(json_str(json_find(entry, "type")), "directory") && name.len &&
			!str_has_nul(name))
			names[n++] = name.ptr;
	}
	if (n)
		qsort(names, n, sizeof(*names), compare_names);
	*ret_n = n;
	return names;
}

static void put_entry(struct jsonw *w, const char *key, struct str base, const char *name)
{
	auto_free char *path = mem_printf("%.*s%s%s", STR_ARG(base),
		str_ends(base, STR("/")) ? "" : "/", name);
	jsonw_open(w);
	jsonw_key_str(w, key, str_from(name));
	jsonw_key_str(w, "path", str_from(path));
	jsonw_close(w);
}

static void list(struct chore *a, struct str path, chore_fn *then)
{
	char more[64];
	bool has_hidden = is_yes(http_query(a->r, "include_hidden"));
	snprintf(more, sizeof(more), ",\"limit\":%d,\"hidden\":%s", LIST_MAX,
		has_hidden ? "true" : "false");
	chore_perform_path(a, &list_action, path, more, then);
}

static void on_subdirs(struct chore *a, const struct json *result)
{
	auto_buf struct buf body = BUF_INIT(HTTP_REPLY_MAX);
	struct jsonw w = JSONW(&body);
	struct str page = http_query(a->r, "page_id"), path = http_query(a->r, "path");
	int64_t limit;
	size_t n, at = 0;
	const char **names = subdirs_of(a, result, &n);
	if (read_limit(a->r, SUBDIRS_MAX, SUBDIRS_MAX, &limit) < 0)
		return;
	for (size_t i = 0; i < n && page.ptr && at == 0; i++)
		at = str_eq_nocase(str_from(names[i]), page) ? i : 0;
	jsonw_open(&w);
	jsonw_key(&w, "items");
	jsonw_open_array(&w);
	for (; at < n && limit-- > 0; at++)
		put_entry(&w, "name", path, names[at]);
	jsonw_close_array(&w);
	jsonw_key(&w, "next_page_id");
	if (at < n)
		jsonw_str(&w, str_from(names[at]));
	else
		jsonw_null(&w);
	jsonw_close(&w);
	errand_reply(a, &body);
}

static void on_no_subdirs(struct chore *a, const struct error *err)
{
	if (err->code == ERROR_NOT_FOUND)
		errand_refuse(a, 404, "Directory not found");
	else if (err->code == ERROR_INVALID)
		errand_refuse(a, 400, "Path is not a directory");
	else
		chore_fail(a, err);
}

static void subdirs_in(struct openhands *oh, struct http_request *r, struct sandbox *s)
{
	struct chore *a = errand_new(oh, r, s);
	a->failed = on_no_subdirs;
	list(a, http_query(r, "path"), on_subdirs);
}

void workspace_subdirs(struct http_request *r)
{
	if (need_path(r, true))
		openhands_with_sandbox(r, subdirs_in);
}

/* ---- the home ---- */

static void reply_home(struct chore *a, const struct json *result)
{
	auto_buf struct buf body = BUF_INIT(HTTP_REPLY_MAX);
	struct jsonw w = JSONW(&body);
	struct str home = str_from(a->state);
	size_t n = 0;
	const char **names = result ? subdirs_of(a, result, &n) : NULL;
	jsonw_open(&w);
	jsonw_key_str(&w, "home", home);
	jsonw_key(&w, "favorites");
	jsonw_open_array(&w);
	for (size_t i = 0; i < MIN(n, (size_t)FAVORITES_MAX); i++)
		put_entry(&w, "label", home, names[i]);
	jsonw_close_array(&w);
	jsonw_key(&w, "locations");
	jsonw_raw(&w, STR("[{\"label\":\"/\",\"path\":\"/\"}]"));
	jsonw_close(&w);
	errand_reply(a, &body);
}

static void on_unlisted(struct chore *a, const struct error *err)
{
	reply_home(a, NULL);
}

static void on_home(struct chore *a, const struct json *result)
{
	struct str home = str_first(json_str(json_find(result, "stdout")), HOME_MAX);
	a->state = arena_str(&a->r->arena, home.len ? home : STR("/"));
	a->failed = on_unlisted;
	list(a, str_from(a->state), reply_home);
}

static void home_in(struct openhands *oh, struct http_request *r, struct sandbox *s)
{
	auto_buf struct buf params = BUF_INIT(PARAMS_MAX);
	buf_puts(&params,
		"{\"argv\":[\"sh\",\"-c\",\"cd && printf %s \\\"$PWD\\\"\"],\"cwd\":\"/\","
		"\"capture\":true,\"timeout_ms\":10000}");
	chore_perform(errand_new(oh, r, s), &exec_action, &params, on_home);
}

void workspace_home(struct http_request *r)
{
	openhands_with_sandbox(r, home_in);
}

/* ---- git ---- */

/* In the request's arena. */
struct asking {
	struct http_request *r;
	struct git *git; /* NULL: it is over */
	struct git_place wish;
	const char *nothing; /* the answer where there is no repository */
	void (*put)(const struct asking *a, const struct json *result, struct jsonw *w);
};

static void on_git(void *arg, struct str text, const struct error *err)
{
	struct asking *a = arg;
	auto_json struct json *result = NULL;
	struct error own;
	a->git = NULL;
	if (!err && json_parse(text, &result, &own) < 0)
		err = &own;
	if (err && err->code == ERROR_NOT_FOUND) {
		http_reply(a->r, 200, "application/json", str_from(a->nothing));
	} else if (err) {
		bool is_callers = err->code == ERROR_CONFLICT || err->code == ERROR_TOO_LARGE;
		reply_detail(a->r, is_callers ? 400 : error_http(err->code), "%s", err->text);
	} else {
		auto_buf struct buf body = BUF_INIT(HTTP_REPLY_MAX);
		struct jsonw w = JSONW(&body);
		a->put(a, result, &w);
		http_reply_json(a->r, 200, &body);
	}
}

static void on_git_closed(void *arg)
{
	struct asking *a = arg;
	if (!a->git)
		return;
	git_cancel(take_ptr(a->git));
	reply_detail(a->r, 499, "the client went away");
}

static struct asking *asking_new(struct http_request *r, const char *nothing)
{
	static const struct http_ops ops = { .on_closed = on_git_closed };
	struct asking *a = arena_new(&r->arena, struct asking);
	a->r = r;
	a->nothing = nothing;
	http_listen(r, &ops, a);
	return a;
}

static struct str or_nothing(struct str s)
{
	if (!s.ptr)
		s = STR("");
	return s;
}

static void put_changes(const struct asking *a, const struct json *result, struct jsonw *w)
{
	jsonw_open_array(w);
	for (size_t i = 0; i < json_len(result); i++) {
		const struct json *change = json_at(result, i);
		struct str status = json_str(json_find(change, "status"));
		jsonw_open(w);
		jsonw_key_str(w, "status",
			str_is(status, "A")           ? STR("ADDED")
				: str_is(status, "D") ? STR("DELETED")
						      : STR("UPDATED"));
		jsonw_key_str(w, "path", json_str(json_find(change, "path")));
		jsonw_close(w);
	}
	jsonw_close_array(w);
}

static void changes_in(struct openhands *oh, struct http_request *r, struct sandbox *s)
{
	struct asking *a = asking_new(r, "[]");
	a->wish.directory = http_query(r, "path");
	a->wish.ref = or_nothing(http_query(r, "ref"));
	a->wish.commit = or_nothing(http_param(r, "sha"));
	a->put = put_changes;
	a->git = git_changes(s, &a->wish, on_git, a);
}

/* As the original takes one: a hash, or its beginning. */
static bool is_sha(struct str sha)
{
	for (size_t i = 0; i < sha.len; i++)
		if (!strchr("0123456789abcdefABCDEF", sha.ptr[i]))
			return false;
	return sha.len >= SHA_MIN && sha.len <= SHA_MAX;
}

static bool check_sha(struct http_request *r, struct str sha)
{
	if (!sha.ptr || is_sha(sha))
		return true;
	reply_invalid(r, "[{'msg': 'String should match pattern ^[0-9a-fA-F]{4,64}$'}]");
	return false;
}

void workspace_changes(struct http_request *r)
{
	if (need_path(r, false) && check_sha(r, http_param(r, "sha")))
		openhands_with_sandbox(r, changes_in);
}

static void put_diff(const struct asking *a, const struct json *result, struct jsonw *w)
{
	struct str original = json_str(json_find(result, "original"));
	if (str_ends(original, STR("\n")))
		original.len--;
	jsonw_open(w);
	jsonw_key_str(w, "modified", json_str(json_find(result, "modified")));
	jsonw_key_str(w, "original", original);
	jsonw_close(w);
}

static void diff_in(struct openhands *oh, struct http_request *r, struct sandbox *s)
{
	struct asking *a = asking_new(r, "{\"modified\":null,\"original\":null}");
	struct str path = http_query(r, "path");
	size_t slash = path.len;
	while (slash > 0 && path.ptr[slash - 1] != '/')
		slash--;
	a->wish.directory = slash > 1 ? str_first(path, slash - 1) : slash ? STR("/") : STR(".");
	a->wish.path = str_skip(path, slash);
	a->wish.ref = or_nothing(http_query(r, "ref"));
	a->wish.commit = or_nothing(http_query(r, "commit"));
	a->put = put_diff;
	a->git = git_diff(s, &a->wish, on_git, a);
}

void workspace_diff(struct http_request *r)
{
	if (http_query(r, "ref").ptr && http_query(r, "commit").ptr)
		reply_detail(r, 400, "'ref' and 'commit' are mutually exclusive");
	else if (need_path(r, false) && check_sha(r, http_query(r, "commit")))
		openhands_with_sandbox(r, diff_in);
}

/* One more was asked for than is told, to know whether there are more. */
static void put_commits(const struct asking *a, const struct json *result, struct jsonw *w)
{
	const struct json *all = json_find(result, "commits");
	size_t n = MIN(json_len(all), (size_t)a->wish.limit - 1);
	jsonw_open(w);
	jsonw_key(w, "commits");
	jsonw_open_array(w);
	for (size_t i = 0; i < n; i++) {
		auto_buf struct buf commit = BUF_INIT(HTTP_REPLY_MAX);
		json_write(json_at(all, i), &commit);
		jsonw_raw(w, buf_str(&commit));
	}
	jsonw_close_array(w);
	jsonw_key_bool(w, "has_more", json_len(all) > n);
	jsonw_close(w);
}

static void commits_in(struct openhands *oh, struct http_request *r, struct sandbox *s)
{
	struct asking *a = asking_new(r, "{\"commits\":[],\"has_more\":false}");
	read_limit(r, COMMITS_STANDARD, COMMITS_MAX, &a->wish.limit);
	a->wish.limit++;
	a->wish.directory = http_query(r, "path");
	a->put = put_commits;
	a->git = git_commits(s, &a->wish, on_git, a);
}

void workspace_commits(struct http_request *r)
{
	int64_t limit;
	if (need_path(r, false) && read_limit(r, COMMITS_STANDARD, COMMITS_MAX, &limit) == 0)
		openhands_with_sandbox(r, commits_in);
}

/* ---- what there is not ---- */

void workspace_ready(struct http_request *r)
{
	openhands_is_ready(r, "{\"status\":\"ready\"}");
}

void workspace_not_served(struct http_request *r)
{
	reply_detail(r, 501,
		"%.*s: conversations, settings, skills and their like are an agent server's: ask for "
		"a sandbox that runs one (POST /start with its image and command) and use its url",
		STR_ARG(str_first(r->path, 200)));
}
