/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /list_files, /upload_file and /download_files: outside of the queue of actions, as with the
 * original; and a file's bytes for the agent server's workspace, /api/file/upload and
 * /api/file/download.
 *
 * Theory of operation. A transfer is one request with at most one call of the core under way. Bytes
 * pass through in both directions without being kept: an upload is read from the client as fast as
 * the sandbox takes it, a download is read from the sandbox as fast as the client does.
 *
 * What the original refuses with 400 or 404 here arrives as 500 with the status in the text;
 * clients know it so.
 */
#include "face/openhands/handlers.h"

#include "action/file_actions.h"
#include "base/arena.h"
#include "base/auto.h"
#include "base/bug.h"
#include "face/openhands/reply.h"
#include "face/openhands/state.h"
#include "wire/multipart.h"
#include "wire/url.h"

enum {
	PARAMS_MAX = 64 * 1024,
	NAMES_MAX = 4 * 1024 * 1024, /* bytes of the names in one listing */
	LIST_PAGE = 10000,
	CHANNEL_BODY = 0,
};

struct transfer {
	struct list link; /* openhands::transfers */
	struct openhands *oh;
	struct http_request *request;
	char id[ID_SIZE]; /* of the sandbox */
	struct runtime_call *call;
	/* list_files */
	struct name {
		struct str text;
		bool is_directory;
	} * names;
	size_t n_names, n_bytes;
	/* upload_file */
	struct multipart multipart;
	bool has_multipart;
	bool is_recursive;
	bool has_ended; /* the whole file was sent */
	struct str destination, filename;
	/* download_files */
	bool is_streaming;
	struct str
		path; /* of the one file that is meant; STR_NONE: it is a request of the older API */
};

static struct transfer *transfer_new(struct openhands *oh, struct http_request *r,
	const struct sandbox *s)
{
	struct transfer *t = mem_new(struct transfer);
	t->oh = oh;
	t->request = r;
	snprintf(t->id, sizeof(t->id), "%s", s->id);
	list_append(&oh->transfers, &t->link);
	return t;
}

static void transfer_free(struct transfer *t)
{
	list_remove(&t->link);
	if (t->call)
		runtime_call_cancel(t->call);
	if (t->has_multipart)
		multipart_fini(&t->multipart);
	for (size_t i = 0; i < t->n_names; i++)
		free((void *)(uintptr_t)t->names[i].text.ptr);
	free(t->names);
	free(t);
}

static void transfer_fail(struct transfer *t, const char *text)
{
	if (t->is_streaming)
		http_stream_end(t->request, false);
	else
		reply_detail(t->request, 500, "%s", text);
	transfer_free(t);
}

void transfer_drop_all(struct openhands *oh)
{
	while (!list_is_empty(&oh->transfers))
		transfer_fail(list_entry(oh->transfers.next, struct transfer, link),
			"the server is shutting down");
}

/* As the agent server tells of it. */
static void file_fail(struct transfer *t, const struct error *err)
{
	if (t->is_streaming)
		http_stream_end(t->request, false);
	else if (err->code == ERROR_NOT_FOUND)
		reply_detail(t->request, 404, "File not found");
	else
		reply_detail(t->request, error_http(err->code), "%s", err->text);
	transfer_free(t);
}

static int perform(struct transfer *t, const struct action *action, const struct buf *params,
	const struct call_sink *sink)
{
	struct error err;
	struct sandbox *s = runtime_find(t->oh->rt, str_from(t->id), &err);
	if (!s) {
		transfer_fail(t, err.text);
		return -1;
	}
	t->call = runtime_perform(s, action, buf_str(params), sink, t);
	return 0;
}

/* ---- list_files ---- */

static int compare_names(const void *a, const void *b)
{
	const struct name *x = a, *y = b;
	if (x->is_directory != y->is_directory)
		return x->is_directory ? -1 : 1;
	return strcasecmp(x->text.ptr, y->text.ptr);
}

static void answer_list(struct transfer *t)
{
	auto_buf struct buf b = BUF_INIT(HTTP_REPLY_MAX);
	struct jsonw w = JSONW(&b);
	if (t->n_names)
		qsort(t->names, t->n_names, sizeof(*t->names), compare_names);
	jsonw_open_array(&w);
	for (size_t i = 0; i < t->n_names; i++)
		jsonw_str(&w, t->names[i].text);
	jsonw_close_array(&w);
	http_reply_json(t->request, 200, &b);
	transfer_free(t);
}

/* Directories and files by what links lead to; a link to nowhere is neither. */
static void add_name(struct transfer *t, const struct json *entry)
{
	struct str name = json_str(json_find(entry, "name"));
	struct str type = json_str(json_find(entry, "type"));
	if (str_is(type, "symlink"))
		type = json_str(json_find(entry, "target_type"));
	bool is_directory = str_is(type, "directory");
	if ((!is_directory && !str_is(type, "file")) || t->n_bytes + name.len > NAMES_MAX)
		return;
	if ((t->n_names & (t->n_names + 1)) == 0)
		t->names = mem_realloc(t->names, 2 * (t->n_names + 1) * sizeof(*t->names));
	char *text = mem_printf("%.*s%s", STR_ARG(name), is_directory ? "/" : "");
	t->names[t->n_names++] = (struct name){ str_from(text), is_directory };
	t->n_bytes += name.len;
}

static void ask_list(struct transfer *t, struct str after);

static void on_listed(void *arg, struct str json)
{
	struct transfer *t = arg;
	auto_json struct json *result = NULL;
	t->call = NULL;
	json_parse(json, &result, NULL);
	const struct json *entries = json_find(result, "entries");
	for (size_t i = 0; i < json_len(entries); i++)
		add_name(t, json_at(entries, i));
	struct str next = json_str(json_find(result, "next"));
	if (next.len && t->n_bytes < NAMES_MAX)
		ask_list(t, next);
	else
		answer_list(t);
}

/* No such directory, or none at all: an empty list, whatever the reason. */
static void on_list_error(void *arg, const struct error *err)
{
	struct transfer *t = arg;
	t->call = NULL;
	answer_list(t);
}

static const struct call_sink list_sink = { .result = on_listed, .error = on_list_error };

static void ask_list(struct transfer *t, struct str after)
{
	auto_buf struct buf params = BUF_INIT(PARAMS_MAX);
	struct jsonw w = JSONW(&params);
	jsonw_open(&w);
	jsonw_key_str(&w, "path", t->destination);
	jsonw_key_int(&w, "limit", LIST_PAGE);
	if (after.len)
		jsonw_key_str(&w, "after", after);
	jsonw_close(&w);
	perform(t, &list_action, &params, &list_sink);
}

static void list_in(struct openhands *oh, struct http_request *r, struct sandbox *s)
{
	auto_json struct json *body = NULL;
	if (json_parse(r->body, &body, NULL) < 0) {
		reply_detail(r, 500, "An unexpected error occurred. Please try again later.");
		return;
	}
	struct transfer *t = transfer_new(oh, r, s);
	struct str path = json_str(json_find(body, "path"));
	t->destination = str_from(arena_str(&r->arena, path.len ? path : STR(".")));
	ask_list(t, STR_NONE);
}

void list_files(struct http_request *r)
{
	openhands_with_sandbox(r, list_in);
}

/* ---- upload_file ---- */

static void on_uploaded(void *arg, struct str json)
{
	struct transfer *t = arg;
	auto_buf struct buf b = BUF_INIT(PARAMS_MAX);
	struct jsonw w = JSONW(&b);
	t->call = NULL;
	jsonw_open(&w);
	if (t->path.ptr) {
		jsonw_key_bool(&w, "success", true);
	} else {
		jsonw_key_str(&w, "filename", t->filename);
		jsonw_key_str(&w, "destination", t->destination);
		jsonw_key_bool(&w, "recursive", t->is_recursive);
	}
	jsonw_close(&w);
	http_reply_json(t->request, 200, &b);
	transfer_free(t);
}

static void on_call_error(void *arg, const struct error *err)
{
	struct transfer *t = arg;
	t->call = NULL;
	if (t->path.ptr)
		file_fail(t, err);
	else
		transfer_fail(t, err->code == ERROR_NOT_FOUND ? "404: File not found" : err->text);
}

static void on_upload_drain(void *arg)
{
	struct transfer *t = arg;
	http_pause_body(t->request, false);
}

static const struct call_sink upload_sink = {
	.drain = on_upload_drain,
	.result = on_uploaded,
	.error = on_call_error,
};

/* A name that leads nowhere else: what is behind the last slash. */
static int check_filename(struct transfer *t, struct error *err)
{
	bool is_zip = str_ends(t->filename, STR(".zip"));
	if (str_find_char(t->filename, '/') >= 0 || t->filename.len == 0 ||
		str_is(t->filename, ".") || str_is(t->filename, ".."))
		return error_set(err, ERROR_INVALID, "400: '%.*s' is no name of a file",
			STR_ARG(str_first(t->filename, 100)));
	if (t->is_recursive && !is_zip)
		return error_set(err, ERROR_INVALID, "400: Recursive uploads must be zip files");
	return 0;
}

static int on_part(void *arg, const struct multipart_part *part, struct error *err)
{
	struct transfer *t = arg;
	auto_buf struct buf params = BUF_INIT(PARAMS_MAX);
	struct jsonw w = JSONW(&params);
	if (!str_is(part->name, "file") || t->filename.ptr)
		return 0;
	t->filename = str_from(arena_str(&t->request->arena, part->filename));
	if (!t->path.ptr && check_filename(t, err) < 0)
		return -1;
	bool is_zip = !t->path.ptr && str_ends(t->filename, STR(".zip"));
	struct str path = t->path.ptr ? t->path
		: is_zip              ? t->destination
				      : str_from(arena_printf(&t->request->arena, "%.*s/%.*s",
						STR_ARG(t->destination), STR_ARG(t->filename)));
	jsonw_open(&w);
	jsonw_key_str(&w, "path", path);
	jsonw_key_str(&w, "kind", is_zip ? STR("zip") : STR("file"));
	jsonw_close(&w);
	struct sandbox *s = runtime_find(t->oh->rt, str_from(t->id), err);
	if (!s)
		return -1;
	t->call = runtime_perform(s, &upload_action, buf_str(&params), &upload_sink, t);
	return 0;
}

static int on_data(void *arg, struct str piece, struct error *err)
{
	struct transfer *t = arg;
	if (!t->call || t->has_ended)
		return 0;
	runtime_call_send(t->call, CHANNEL_BODY, piece);
	if (runtime_call_is_full(t->call))
		http_pause_body(t->request, true);
	return 0;
}

static int on_part_end(void *arg, struct error *err)
{
	struct transfer *t = arg;
	if (t->call && !t->has_ended) {
		t->has_ended = true;
		runtime_call_eof(t->call, CHANNEL_BODY);
	}
	return 0;
}

static const struct multipart_ops multipart_ops = { on_part, on_data, on_part_end };

static void on_body(void *arg, struct str piece)
{
	struct transfer *t = arg;
	struct error err;
	if (multipart_parse(&t->multipart, piece, &err) < 0)
		transfer_fail(t, err.text);
}

static void on_body_end(void *arg)
{
	struct transfer *t = arg;
	struct error err;
	if (multipart_end(&t->multipart, &err) < 0) {
		transfer_fail(t, err.text);
	} else if (!t->filename.ptr) {
		reply_invalid(t->request,
			"[{'type': 'missing', 'loc': ('body', 'file'), 'msg': 'Field required'}]");
		transfer_free(t);
	}
}

static void on_closed(void *arg)
{
	transfer_fail(arg, "the client went away");
}

static const struct http_ops upload_ops = {
	.on_body = on_body,
	.on_body_end = on_body_end,
	.on_closed = on_closed,
};

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

/* The form: its body comes from here on. */
static void receive(struct transfer *t)
{
	struct error err;
	if (multipart_init(&t->multipart, http_header(t->request, "Content-Type"), &multipart_ops,
		    t, &err) < 0) {
		reply_invalid(t->request, err.text);
		transfer_free(t);
		return;
	}
	t->has_multipart = true;
	http_listen(t->request, &upload_ops, t);
	http_pause_body(t->request, false);
}

static void upload_in(struct openhands *oh, struct http_request *r, struct sandbox *s)
{
	struct transfer *t = transfer_new(oh, r, s);
	t->is_recursive = is_one_of(http_query(r, "recursive"), truths);
	t->destination = http_query(r, "destination");
	if (!t->destination.ptr)
		t->destination = STR("/");
	if (!str_starts(t->destination, STR("/")))
		transfer_fail(t, "400: Destination must be an absolute path");
	else
		receive(t);
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

/* ---- download_files ---- */

/* `<name of the directory>.zip`, in that form of RFC 6266 which it needs. */
static void put_disposition(struct transfer *t)
{
	auto_buf struct buf name = BUF_INIT(PARAMS_MAX), value = BUF_INIT(2 * PARAMS_MAX);
	struct str path = t->destination;
	while (path.len > 1 && path.ptr[path.len - 1] == '/')
		path.len--;
	for (ptrdiff_t at; (at = str_find_char(path, '/')) >= 0;)
		path = str_skip(path, (size_t)at + 1);
	url_encode(path, &name);
	bool is_plain = str_eq(buf_str(&name), path);
	buf_printf(&value, "attachment; filename%s%.*s.zip%s", is_plain ? "=\"" : "*=utf-8''",
		STR_ARG(buf_str(&name)), is_plain ? "\"" : "");
	http_reply_header(t->request, "Content-Disposition", value.ptr);
}

static void on_zip_data(void *arg, uint8_t channel, struct str bytes)
{
	struct transfer *t = arg;
	if (!t->is_streaming) {
		put_disposition(t);
		http_stream_begin(t->request, 200, "application/zip", -1);
		t->is_streaming = true;
	}
	http_stream_write(t->request, bytes);
	if (http_stream_is_full(t->request))
		runtime_call_pause(t->call, true);
}

static void on_zipped(void *arg, struct str json)
{
	struct transfer *t = arg;
	t->call = NULL;
	if (!t->is_streaming)
		transfer_fail(t, "the archive is empty");
	else {
		http_stream_end(t->request, true);
		transfer_free(t);
	}
}

static void on_zip_drain(void *arg)
{
	struct transfer *t = arg;
	runtime_call_pause(t->call, false);
}

static const struct call_sink zip_sink = {
	.data = on_zip_data,
	.result = on_zipped,
	.error = on_call_error,
};

static const struct http_ops zip_ops = { .on_drain = on_zip_drain, .on_closed = on_closed };

static void download_in(struct openhands *oh, struct http_request *r, struct sandbox *s)
{
	auto_buf struct buf params = BUF_INIT(PARAMS_MAX);
	struct jsonw w = JSONW(&params);
	struct transfer *t = transfer_new(oh, r, s);
	t->destination = http_query(r, "path");
	jsonw_open(&w);
	jsonw_key_str(&w, "path", t->destination);
	jsonw_key_str(&w, "format", STR("zip"));
	jsonw_close(&w);
	http_listen(r, &zip_ops, t);
	perform(t, &download_action, &params, &zip_sink);
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

/* ---- one file, by its path ---- */

static void file_upload_in(struct openhands *oh, struct http_request *r, struct sandbox *s)
{
	struct transfer *t = transfer_new(oh, r, s);
	t->path = http_query(r, "path");
	receive(t);
}

/* The first event says what comes. */
static void on_file_head(void *arg, struct str text)
{
	struct transfer *t = arg;
	auto_json struct json *head = NULL;
	if (t->is_streaming || json_parse(text, &head, NULL) < 0)
		return;
	const struct json *size = json_find(head, "size");
	t->is_streaming = true;
	http_stream_begin(t->request, 200, "application/octet-stream",
		json_kind(size) == JSON_KIND_INT ? json_int(size) : -1);
}

static void on_file_data(void *arg, uint8_t channel, struct str bytes)
{
	struct transfer *t = arg;
	on_file_head(t, STR("{}"));
	http_stream_write(t->request, bytes);
	if (http_stream_is_full(t->request))
		runtime_call_pause(t->call, true);
}

static void on_file_sent(void *arg, struct str json)
{
	struct transfer *t = arg;
	t->call = NULL;
	on_file_head(t, STR("{\"size\":0}"));
	http_stream_end(t->request, true);
	transfer_free(t);
}

static const struct call_sink file_sink = {
	.data = on_file_data,
	.event = on_file_head,
	.result = on_file_sent,
	.error = on_call_error,
};

static void file_download_in(struct openhands *oh, struct http_request *r, struct sandbox *s)
{
	auto_buf struct buf params = BUF_INIT(PARAMS_MAX);
	struct jsonw w = JSONW(&params);
	struct transfer *t = transfer_new(oh, r, s);
	t->path = http_query(r, "path");
	jsonw_open(&w);
	jsonw_key_str(&w, "path", t->path);
	jsonw_close(&w);
	http_listen(r, &zip_ops, t);
	perform(t, &download_action, &params, &file_sink);
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
