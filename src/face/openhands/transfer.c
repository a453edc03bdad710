/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /list_files, /upload_file and /download_files: outside of the queue of actions, as with the
 * original; and a file's bytes for the agent server's workspace, /api/file/upload and
 * /api/file/download. Bytes pass through in both directions at the pace of the slower side.
 *
 * What the original refuses with 400 or 404 here arrives as 500 with the status in the text;
 * clients know it so.
 */
#include "face/openhands/handlers.h"

#include "action/file_actions.h"
#include "base/arena.h"
#include "base/auto.h"
#include "base/bug.h"
#include "face/chore.h"
#include "face/intake.h"
#include "face/openhands/reply.h"
#include "face/openhands/state.h"
#include "wire/url.h"

enum {
	PARAMS_MAX = 64 * 1024,
	NAMES_MAX = 4 * 1024 * 1024, /* bytes of the names in one listing */
	LIST_PAGE = 10000,
};

/* Of the older API, */
static void fail_older(struct http_request *r, const struct error *err)
{
	reply_detail(r, 500, "%s",
		err->code == ERROR_NOT_FOUND ? "404: File not found" : err->text);
}

/* and as the agent server tells of a file. */
static void fail_file(struct http_request *r, const struct error *err)
{
	if (err->code == ERROR_NOT_FOUND)
		reply_detail(r, 404, "File not found");
	else
		reply_detail(r, error_http(err->code), "%s", err->text);
}

/* ---- list_files ---- */

struct listing {
	struct name {
		struct str text; /* on the heap */
		bool is_directory;
	} * names;
	size_t n_names, n_bytes;
	struct str path;
};

static void drop_listing(struct chore *e)
{
	struct listing *l = e->state;
	for (size_t i = 0; i < l->n_names; i++)
		free((void *)(uintptr_t)l->names[i].text.ptr);
	free(take_ptr(l->names));
}

static int compare_names(const void *a, const void *b)
{
	const struct name *x = a, *y = b;
	if (x->is_directory != y->is_directory)
		return x->is_directory ? -1 : 1;
	return strcasecmp(x->text.ptr, y->text.ptr);
}

static void answer_list(struct chore *e)
{
	struct listing *l = e->state;
	auto_buf struct buf b = BUF_INIT(HTTP_REPLY_MAX);
	struct jsonw w = JSONW(&b);
	if (l->n_names)
		qsort(l->names, l->n_names, sizeof(*l->names), compare_names);
	jsonw_open_array(&w);
	for (size_t i = 0; i < l->n_names; i++)
		jsonw_str(&w, l->names[i].text);
	jsonw_close_array(&w);
	chore_drop(e);
	http_reply_json(e->r, 200, &b);
}

/* Directories and files by what links lead to; a link to nowhere is neither. */
static void add_name(struct listing *l, const struct json *entry)
{
	struct str name = json_str(json_find(entry, "name"));
	struct str type = json_str(json_find(entry, "type"));
	if (str_is(type, "symlink"))
		type = json_str(json_find(entry, "target_type"));
	bool is_directory = str_is(type, "directory");
	if ((!is_directory && !str_is(type, "file")) || l->n_bytes + name.len > NAMES_MAX)
		return;
	if ((l->n_names & (l->n_names + 1)) == 0)
		l->names = mem_realloc(l->names, 2 * (l->n_names + 1) * sizeof(*l->names));
	char *text = mem_printf("%.*s%s", STR_ARG(name), is_directory ? "/" : "");
	l->names[l->n_names++] = (struct name){ str_from(text), is_directory };
	l->n_bytes += name.len;
}

static void ask_list(struct chore *e, struct str after);

static void on_listed(struct chore *e, const struct json *result)
{
	struct listing *l = e->state;
	const struct json *entries = json_find(result, "entries");
	for (size_t i = 0; i < json_len(entries); i++)
		add_name(l, json_at(entries, i));
	struct str next = json_str(json_find(result, "next"));
	if (next.len && l->n_bytes < NAMES_MAX)
		ask_list(e, next);
	else
		answer_list(e);
}

/* No such directory, or none at all: an empty list, whatever the reason. */
static void on_not_listed(struct chore *e, const struct error *err)
{
	answer_list(e);
}

static void ask_list(struct chore *e, struct str after)
{
	const struct listing *l = e->state;
	auto_buf struct buf params = BUF_INIT(PARAMS_MAX);
	struct jsonw w = JSONW(&params);
	jsonw_open(&w);
	jsonw_key_str(&w, "path", l->path);
	jsonw_key_int(&w, "limit", LIST_PAGE);
	if (after.len)
		jsonw_key_str(&w, "after", after);
	jsonw_close(&w);
	chore_perform(e, &list_action, &params, on_listed);
}

static void list_in(struct openhands *oh, struct http_request *r, struct sandbox *s)
{
	auto_json struct json *body = NULL;
	if (json_parse(r->body, &body, NULL) < 0) {
		reply_detail(r, 500, "An unexpected error occurred. Please try again later.");
		return;
	}
	struct chore *e = chore_new(r, oh->rt, s->id, fail_older);
	struct listing *l = arena_new(&r->arena, struct listing);
	struct str path = json_str(json_find(body, "path"));
	l->path = str_from(arena_str(&r->arena, path.len ? path : STR(".")));
	e->state = l;
	e->drop = drop_listing;
	e->failed = on_not_listed;
	ask_list(e, STR_NONE);
}

void list_files(struct http_request *r)
{
	openhands_with_sandbox(r, list_in);
}

/* ---- in ---- */

struct upload {
	struct intake intake;
	struct http_request *r;
	struct openhands *oh;
	char id[ID_SIZE]; /* of the sandbox */
	bool is_recursive;
	struct str path;        /* of the one file; STR_NONE: it is the older API's */
	struct str destination; /* of that */
	struct str filename;    /* as the form has it; STR_NONE: it has none yet */
	chore_fail_fn *fail;
};

/* A name that leads nowhere else: what is behind the last slash. */
static int check_filename(const struct upload *u, struct error *err)
{
	bool is_zip = str_ends(u->filename, STR(".zip"));
	if (str_find_char(u->filename, '/') >= 0 || u->filename.len == 0 ||
		str_is(u->filename, ".") || str_is(u->filename, ".."))
		return error_set(err, ERROR_INVALID, "400: '%.*s' is no name of a file",
			STR_ARG(str_first(u->filename, 100)));
	if (u->is_recursive && !is_zip)
		return error_set(err, ERROR_INVALID, "400: Recursive uploads must be zip files");
	return 0;
}

static struct str path_of(const struct upload *u, bool is_zip)
{
	if (u->path.ptr)
		return u->path;
	if (is_zip)
		return u->destination;
	return str_from(arena_printf(&u->r->arena, "%.*s/%.*s", STR_ARG(u->destination),
		STR_ARG(u->filename)));
}

static int on_part(void *arg, const struct multipart_part *part, struct error *err)
{
	struct upload *u = arg;
	auto_buf struct buf params = BUF_INIT(PARAMS_MAX);
	struct jsonw w = JSONW(&params);
	if (!str_is(part->name, "file") || u->filename.ptr)
		return 0;
	u->filename = str_from(arena_str(&u->r->arena, part->filename));
	if (!u->path.ptr && check_filename(u, err) < 0)
		return -1;
	bool is_zip = !u->path.ptr && str_ends(u->filename, STR(".zip"));
	struct str path = path_of(u, is_zip);
	struct sandbox *s = runtime_find(u->oh->rt, str_from(u->id), err);
	if (!s)
		return -1;
	jsonw_open(&w);
	jsonw_key_str(&w, "path", path);
	jsonw_key_str(&w, "kind", is_zip ? STR("zip") : STR("file"));
	jsonw_close(&w);
	intake_file(&u->intake, s, &upload_action, &params, path);
	return 0;
}

static void reply_stored(const struct upload *u)
{
	auto_buf struct buf b = BUF_INIT(PARAMS_MAX);
	struct jsonw w = JSONW(&b);
	jsonw_open(&w);
	if (u->path.ptr) {
		jsonw_key_bool(&w, "success", true);
	} else {
		jsonw_key_str(&w, "filename", u->filename);
		jsonw_key_str(&w, "destination", u->destination);
		jsonw_key_bool(&w, "recursive", u->is_recursive);
	}
	jsonw_close(&w);
	http_reply_json(u->r, 200, &b);
}

static void upload_free(struct upload *u)
{
	intake_fini(&u->intake);
	free(u);
}

static void on_done(void *arg)
{
	struct upload *u = arg;
	if (u->intake.has_failed)
		u->fail(u->r, &u->intake.failure);
	else if (!u->filename.ptr)
		reply_invalid(u->r,
			"[{'type': 'missing', 'loc': ('body', 'file'), 'msg': 'Field required'}]");
	else
		reply_stored(u);
	upload_free(u);
}

static void on_closed(void *arg)
{
	struct upload *u = arg;
	reply_detail(u->r, 499, "the client went away");
	upload_free(u);
}

/* The form: its body comes from here on. */
static void receive(struct openhands *oh, struct http_request *r, const struct sandbox *s,
	const struct upload *wish)
{
	static const struct intake_ops ops = {
		.part = on_part,
		.done = on_done,
		.closed = on_closed,
	};
	struct error err;
	struct upload *u = mem_new(struct upload);
	*u = *wish;
	if (intake_form(&u->intake, r, &ops, u, &err) < 0) {
		free(u);
		reply_invalid(r, err.text);
		return;
	}
	u->r = r;
	u->oh = oh;
	snprintf(u->id, sizeof(u->id), "%s", s->id);
	intake_listen(&u->intake);
	http_pause_body(r, false);
}

/* What the original takes for a boolean in a query. */
static const char *const truths[] = { "true", "1", "yes", "on", "t", "y", NULL };
static const char *const untruths[] = { "false", "0", "no", "off", "f", "n", NULL };

static bool is_one_of(struct str word, const char *const *words)
{
	for (; *words; words++)
		if (str_eq_nocase(word, str_from(*words)))
			return true;
	return false;
}

static void upload_in(struct openhands *oh, struct http_request *r, struct sandbox *s)
{
	struct upload wish = {
		.is_recursive = is_one_of(http_query(r, "recursive"), truths),
		.destination = http_query(r, "destination"),
		.fail = fail_older,
	};
	if (!wish.destination.ptr)
		wish.destination = STR("/");
	if (str_starts(wish.destination, STR("/")))
		receive(oh, r, s, &wish);
	else
		reply_detail(r, 500, "400: Destination must be an absolute path");
}

void upload_file(struct http_request *r)
{
	struct str recursive = http_query(r, "recursive");
	if (recursive.ptr && !is_one_of(recursive, truths) && !is_one_of(recursive, untruths)) {
		reply_invalid(r,
			"[{'type': 'bool_parsing', 'loc': ('query', 'recursive'), 'msg': 'Input should be a valid boolean, unable to interpret input'}]");
		return;
	}
	http_pause_body(r, true); /* until its sandbox is there */
	openhands_with_sandbox(r, upload_in);
}

static void file_upload_in(struct openhands *oh, struct http_request *r, struct sandbox *s)
{
	const struct upload wish = { .path = http_query(r, "path"), .fail = fail_file };
	receive(oh, r, s, &wish);
}

/* ---- out ---- */

static void flow(struct openhands *oh, struct http_request *r, const struct sandbox *s,
	chore_fail_fn *fail, const char *format, const struct chore_flow *flow)
{
	auto_buf struct buf params = BUF_INIT(PARAMS_MAX);
	struct jsonw w = JSONW(&params);
	jsonw_open(&w);
	jsonw_key_str(&w, "path", http_query(r, "path"));
	jsonw_key_str(&w, "format", str_from(format));
	jsonw_close(&w);
	chore_flow(chore_new(r, oh->rt, s->id, fail), &download_action, &params, flow);
}

/* `<name of the directory>.zip`, in that form of RFC 6266 which it needs. */
static void put_disposition(struct http_request *r)
{
	auto_buf struct buf name = BUF_INIT(PARAMS_MAX), value = BUF_INIT(2 * PARAMS_MAX);
	struct str path = http_query(r, "path");
	while (path.len > 1 && path.ptr[path.len - 1] == '/')
		path.len--;
	for (ptrdiff_t at; (at = str_find_char(path, '/')) >= 0;)
		path = str_skip(path, (size_t)at + 1);
	url_encode(path, &name);
	bool is_plain = str_eq(buf_str(&name), path);
	buf_printf(&value, "attachment; filename%s%.*s.zip%s", is_plain ? "=\"" : "*=utf-8''",
		STR_ARG(buf_str(&name)), is_plain ? "\"" : "");
	http_reply_header(r, "Content-Disposition", value.ptr);
}

static void begin_zip(struct chore *e, const struct json *head)
{
	put_disposition(e->r);
	http_stream_begin(e->r, 200, "application/zip", -1);
}

static void download_in(struct openhands *oh, struct http_request *r, struct sandbox *s)
{
	static const struct chore_flow zip = { .begin = begin_zip };
	flow(oh, r, s, fail_older, "zip", &zip);
}

void download_files(struct http_request *r)
{
	struct str path = http_query(r, "path");
	if (!path.ptr)
		reply_invalid(r,
			"[{'type': 'missing', 'loc': ('query', 'path'), 'msg': 'Field required'}]");
	else if (!str_starts(path, STR("/")))
		reply_detail(r, 500, "400: Path must be an absolute path");
	else
		openhands_with_sandbox(r, download_in);
}

static void begin_file(struct chore *e, const struct json *head)
{
	http_stream_begin(e->r, 200, "application/octet-stream", chore_flow_size(head));
}

static void file_download_in(struct openhands *oh, struct http_request *r, struct sandbox *s)
{
	static const struct chore_flow file = { .begin = begin_file };
	flow(oh, r, s, fail_file, "raw", &file);
}

/* An absolute path in the query; false: the request has been answered. */
static bool has_path(struct http_request *r)
{
	struct str path = http_query(r, "path");
	if (!path.ptr)
		reply_invalid(r,
			"[{'type': 'missing', 'loc': ('query', 'path'), 'msg': 'Field required'}]");
	else if (!str_starts(path, STR("/")))
		reply_detail(r, 400, "Path must be absolute");
	return str_starts(path, STR("/"));
}

void workspace_upload(struct http_request *r)
{
	if (!has_path(r))
		return;
	http_pause_body(r, true);
	openhands_with_sandbox(r, file_upload_in);
}

void workspace_download(struct http_request *r)
{
	if (has_path(r))
		openhands_with_sandbox(r, file_download_in);
}
