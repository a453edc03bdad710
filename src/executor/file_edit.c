/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The verb edit: finds the file, judges it, lets edit.c work on its text, and puts the new text in
 * its place. A file in an encoding other than UTF-8, or with CRLF, is edited as UTF-8 with LF and
 * written back as it was.
 */
#include "base/auto.h"
#include "base/bug.h"
#include "executor/diff.h"
#include "executor/edit.h"
#include "executor/edit_dir.h"
#include "executor/executor.h"
#include "executor/file_verbs.h"
#include "executor/files.h"
#include "executor/replace.h"
#include "executor/text.h"
#include "wire/pycall.h"

#include <fcntl.h>

enum { DIFF_MAX = 4 * 1024 * 1024 };

struct editing {
	const struct edit_params *p;
	const char *path;
	bool exists, is_dir;
	struct buf before; /* the decoded text */
	enum text_encoding encoding;
	bool is_crlf;                /* edited with LF, written with CRLF */
	struct str old_str, new_str; /* as edited */
	struct buf old_lf, new_lf;
	struct edit_outcome outcome;
};

static void editing_init(struct editing *e, const struct edit_params *p, const char *path)
{
	*e = (struct editing){ .p = p, .path = path, .old_str = p->old_str, .new_str = p->new_str };
	buf_init(&e->before, EDIT_TEXT_MAX);
	buf_init(&e->old_lf, FRAME_PAYLOAD_MAX);
	buf_init(&e->new_lf, FRAME_PAYLOAD_MAX);
	edit_outcome_init(&e->outcome);
}

static void editing_fini(struct editing *e)
{
	buf_fini(&e->before);
	buf_fini(&e->old_lf);
	buf_fini(&e->new_lf);
	edit_outcome_fini(&e->outcome);
}

static bool is_command(const struct editing *e, const char *command)
{
	return str_is(e->p->command, command);
}

/* ".pdf" if the editor knows that such a file is not text. */
static const char *binary_suffix(const char *path)
{
	static const char *const suffixes[] = { ".docx", ".xlsx", ".pptx", ".pdf", ".mp3", ".wav",
		".m4a", ".flac" };
	const char *dot = strrchr(path, '.');
	for (size_t i = 0; dot && i < ARRAY_LEN(suffixes); i++)
		if (str_eq_nocase(str_from(dot), str_from(suffixes[i])))
			return dot;
	return NULL;
}

static bool refuse_relative(struct editing *e, const struct path_root *root)
{
	struct str path = e->p->where.path;
	auto_fd int fd = -1;
	if (!e->p->absolute_only || str_starts(path, STR("/")))
		return false;
	bool exists = path_open(root, e->path, O_PATH, &fd, NULL) == 0;
	edit_fail(&e->outcome, "invalid_parameter",
		"Invalid `path` parameter: %.*s. The path should be an absolute path, starting with `/`.%s%s%s",
		STR_ARG(path), exists ? " Maybe you meant " : "", exists ? e->path : "",
		exists ? "?" : "");
	return true;
}

/* Whether path and command go together. False with the failure set. */
static bool check_path(struct editing *e)
{
	const char *path = e->path, *suffix = binary_suffix(path), *kind = "invalid_parameter";
	struct edit_outcome *o = &e->outcome;
	if (is_command(e, "create") && e->exists) {
		edit_fail(o, kind,
			"Invalid `path` parameter: %s. File already exists at: %s. Cannot overwrite files "
			"using command `create`.",
			path, path);
	} else if (!is_command(e, "create") && !e->exists) {
		edit_fail(o, kind,
			"Invalid `path` parameter: %s. The path %s does not exist. Please provide a valid path.",
			path, path);
	} else if (e->is_dir && !is_command(e, "view")) {
		edit_fail(o, kind,
			"Invalid `path` parameter: %s. The path %s is a directory and only the `view` command "
			"can be used on directories.",
			path, path);
	} else if (suffix && !is_command(e, "view")) {
		edit_fail(o, kind,
			"Invalid `path` parameter: %s. The path %s points to a binary file (%s) and only the "
			"`view` command can be used on supported binary files.",
			path, path, suffix);
	} else if (suffix && !e->is_dir) {
		edit_fail(o, "tool",
			"Error in converting file to Markdown: no converter for %s files is here. Please use "
			"Python code to read %s",
			suffix, path);
	}
	return !o->failure;
}

static int read_bytes(int fd, const char *path, struct buf *b, struct error *err)
{
	char chunk[8192];
	ssize_t n;
	while ((n = read(fd, chunk, sizeof(chunk))) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return error_sys(err, errno, "read %s", path);
		if (buf_add(b, chunk, (size_t)n) < 0)
			return error_set(err, ERROR_TOO_LARGE, "%s grew over %zu bytes", path,
				b->limit);
	}
	return 0;
}

static void fail_file(struct editing *e, const char *reason)
{
	edit_fail(&e->outcome, "file_invalid", "File validation failed for %s: %s", e->path,
		reason);
}

static void decode(struct editing *e, struct str bytes)
{
	auto_buf struct buf text = BUF_INIT(EDIT_TEXT_MAX);
	e->encoding = text_detect(bytes);
	if (text_decode(&text, bytes, e->encoding) < 0) {
		buf_reset(&text);
		e->encoding = TEXT_LATIN1;
		text_decode(&text, bytes, e->encoding);
	}
	e->is_crlf = str_is(e->p->newlines, "keep") && text_is_crlf(buf_str(&text));
	if (!e->is_crlf && str_is(e->p->newlines, "keep")) {
		buf_put(&e->before, buf_str(&text));
		return;
	}
	text_put_lf(&e->before, buf_str(&text));
	if (!e->is_crlf)
		return;
	text_put_lf(&e->old_lf, e->old_str);
	text_put_lf(&e->new_lf, e->new_str);
	e->old_str = e->old_str.ptr ? buf_str(&e->old_lf) : STR_NONE;
	e->new_str = e->new_str.ptr ? buf_str(&e->new_lf) : STR_NONE;
}

/* 0 also with a failure of the editor set. */
static int load(struct editing *e, const struct path_root *root, struct error *err)
{
	auto_fd int fd = -1;
	struct stat st;
	auto_buf struct buf bytes = BUF_INIT(EDIT_FILE_MAX + 64 * 1024);
	if (path_open_file(root, e->path, O_RDONLY, &fd, &st, err) < 0)
		return -1;
	if (st.st_size > EDIT_FILE_MAX) {
		char reason[100];
		snprintf(reason, sizeof(reason),
			"File is too large (%.1fMB). Maximum allowed size is 10MB.",
			(double)st.st_size / (1024 * 1024));
		fail_file(e, reason);
		return 0;
	}
	if (read_bytes(fd, e->path, &bytes, err) < 0)
		return -1;
	if (text_is_binary(buf_str(&bytes)))
		fail_file(e,
			"File appears to be binary and this file type cannot be read or edited by this tool.");
	else
		decode(e, buf_str(&bytes));
	return 0;
}

/* ---- commands ---- */

static void fail_missing(struct editing *e, const char *parameter)
{
	edit_fail(&e->outcome, "missing_parameter", "Parameter `%s` is required for command: %.*s.",
		parameter, STR_ARG(e->p->command));
}

static void view(struct editing *e)
{
	const struct json *range = e->p->view_range;
	struct str text = buf_str(&e->before);
	if (json_kind(range) == JSON_KIND_NULL ||
		(json_kind(range) == JSON_KIND_ARRAY && !json_len(range))) {
		edit_view(&e->outcome, e->path, text);
		return;
	}
	const struct json *first = json_at(range, 0), *last = json_at(range, 1);
	if (json_kind(range) == JSON_KIND_ARRAY && json_len(range) == 2 &&
		json_kind(first) == JSON_KIND_INT && json_kind(last) == JSON_KIND_INT) {
		edit_view_range(&e->outcome, e->path, text, json_int(first), json_int(last));
		return;
	}
	edit_fail(&e->outcome, "invalid_parameter", "Invalid `view_range` parameter: ");
	pycall_put_json(&e->outcome.text, range);
	buf_puts(&e->outcome.text, ". It should be a list of two integers.");
}

static void create(struct editing *e)
{
	struct edit_outcome *o = &e->outcome;
	if (!e->p->file_text.ptr) {
		fail_missing(e, "file_text");
		return;
	}
	buf_put(&o->after, e->p->file_text);
	o->has_after = true;
	buf_printf(&o->text, "File created successfully at: %s", e->path);
}

static void insert(struct editing *e)
{
	const struct json *line = e->p->insert_line;
	if (json_kind(line) == JSON_KIND_NULL) {
		fail_missing(e, "insert_line");
	} else if (!e->new_str.ptr) {
		fail_missing(e, "new_str");
	} else if (json_kind(line) != JSON_KIND_INT) {
		edit_fail(&e->outcome, "invalid_parameter", "Invalid `insert_line` parameter: ");
		pycall_put_json(&e->outcome.text, line);
		buf_puts(&e->outcome.text, ". It should be an integer.");
	} else {
		edit_insert(&e->outcome, e->path, buf_str(&e->before), json_int(line), e->new_str);
	}
}

static void undo(struct editing *e, struct edit_history *history)
{
	size_t len;
	auto_free char *text = edit_history_pop(history, str_from(e->path), &len);
	if (text)
		edit_undone(&e->outcome, e->path, str_from_len(text, len));
	else
		edit_fail(&e->outcome, "no_history", "No edit history found for %s.", e->path);
}

static void perform(struct editing *e, struct edit_history *history)
{
	if (is_command(e, "view"))
		view(e);
	else if (is_command(e, "create"))
		create(e);
	else if (is_command(e, "insert"))
		insert(e);
	else if (is_command(e, "undo"))
		undo(e, history);
	else if (!e->old_str.ptr)
		fail_missing(e, "old_str");
	else
		edit_str_replace(&e->outcome, e->path, buf_str(&e->before), e->old_str, e->new_str);
}

static int write_back(const struct editing *e, const struct path_root *root, struct error *err)
{
	auto_buf struct buf crlf = BUF_INIT(2 * EDIT_TEXT_MAX), bytes = BUF_INIT(2 * EDIT_TEXT_MAX);
	struct str text = buf_str(&e->outcome.after);
	if (e->is_crlf) {
		text_put_crlf(&crlf, text);
		text = buf_str(&crlf);
	}
	if (text_encode(&bytes, text, e->encoding, err) < 0)
		return error_wrap(err, "write %s", e->path);
	struct replace r = REPLACE_NONE;
	struct replace_how how = { .exclusive = !e->exists };
	int done = replace_begin(&r, root, e->path, &how, err);
	if (done == 0)
		done = replace_add(&r, buf_str(&bytes), err);
	if (done == 0)
		done = replace_commit(&r, err);
	replace_end(&r);
	return done;
}

/* A directory that is not there is told as the editor tells it; other failures are errors. */
static int save(struct editing *e, struct files *files, struct error *err)
{
	const char *path = e->path;
	struct error why;
	if (write_back(e, &files->root, &why) == 0) {
		bool is_undo = is_command(e, "undo"), is_new = is_command(e, "create");
		if (!is_undo)
			edit_history_push(&files->history, str_from(path),
				is_new ? buf_str(&e->outcome.after) : buf_str(&e->before));
		return 0;
	}
	if (is_command(e, "undo"))
		edit_history_push(&files->history, str_from(path), buf_str(&e->outcome.after));
	if (!is_command(e, "create") || why.code != ERROR_NOT_FOUND) {
		*err = why;
		return -1;
	}
	edit_fail(&e->outcome, "tool",
		"Ran into [Errno 2] No such file or directory: '%s' while trying to write to %s",
		path, path);
	return 0;
}

/* ---- the result ---- */

static void put_snippet(struct jsonw *w, const struct edit_outcome *o)
{
	struct str rest = o->snippet, line;
	jsonw_key(w, "snippet");
	if (!o->snippet_line || o->failure) {
		jsonw_null(w);
		return;
	}
	if (rest.len && rest.ptr[rest.len - 1] == '\n')
		rest.len--;
	jsonw_open(w);
	jsonw_key_int(w, "start_line", o->snippet_line);
	jsonw_key(w, "lines");
	jsonw_open_array(w);
	while (str_split(&rest, '\n', &line))
		jsonw_str(w, line);
	jsonw_close_array(w);
	jsonw_close(w);
}

static void put_lines(struct jsonw *w, const struct edit_outcome *o)
{
	jsonw_key(w, "lines");
	jsonw_open_array(w);
	for (size_t i = 0; i < o->n_lines; i++)
		jsonw_int(w, o->lines[i]);
	jsonw_close_array(w);
}

static void put_diff(struct jsonw *w, const struct editing *e, size_t most)
{
	auto_buf struct buf diff = BUF_INIT(most);
	bool is_bare = str_is(e->p->diff_style, "bare");
	if (e->outcome.has_after && !e->outcome.failure)
		diff_unified(&diff, e->path, buf_str(&e->before), buf_str(&e->outcome.after),
			is_bare ? DIFF_BARE : DIFF_PATCH, (int)e->p->diff_context);
	jsonw_key_str(w, "diff", diff.is_full ? STR("") : buf_str(&diff));
	jsonw_key_bool(w, "diff_omitted", diff.is_full);
}

static void put_result_with(struct buf *b, const struct editing *e, size_t diff_max)
{
	const struct edit_outcome *o = &e->outcome;
	struct jsonw w = JSONW(b);
	jsonw_open(&w);
	jsonw_key_str(&w, "path", str_from(e->path));
	jsonw_key_str(&w, "command", e->p->command);
	jsonw_key_bool(&w, "applied", !o->failure);
	jsonw_key(&w, "failure");
	if (o->failure)
		jsonw_str(&w, str_from(o->failure));
	else
		jsonw_null(&w);
	jsonw_key_str(&w, "text", buf_str(&o->text));
	jsonw_key_bool(&w, "prev_exist", e->exists);
	put_diff(&w, e, diff_max);
	put_lines(&w, o);
	put_snippet(&w, o);
	jsonw_key_str(&w, "encoding", str_from(text_encoding_name(e->encoding)));
	jsonw_close(&w);
}

/*
 * A diff that makes the result too long for a frame is left out; the file has been written by now.
 */
static void put_result(struct buf *b, const struct editing *e)
{
	put_result_with(b, e, DIFF_MAX);
	if (!b->is_full)
		return;
	buf_reset(b);
	put_result_with(b, e, 0);
}

/* ---- the verb ---- */

struct view_dir_job {
	const struct edit_params *p;
	const char *path;
};

static int view_dir(void *arg, struct worker_io *io, struct buf *result, struct error *err)
{
	const struct view_dir_job *job = arg;
	struct editing e;
	editing_init(&e, job->p, job->path);
	e.exists = e.is_dir = true;
	int r = edit_view_dir(&e.outcome, io->root, job->path, err);
	put_result(result, &e);
	editing_fini(&e);
	return r;
}

/* 1 if a worker goes on with it. */
static int edit(struct call *call, struct editing *e, struct error *err)
{
	struct files *files = call->executor->files;
	auto_fd int fd = -1;
	struct stat st;
	struct error why;
	if (refuse_relative(e, &files->root))
		return 0;
	e->exists = path_open(&files->root, e->path, O_PATH, &fd, &why) == 0;
	if (!e->exists && why.code != ERROR_NOT_FOUND) {
		*err = why;
		return -1;
	}
	e->is_dir = e->exists && fstat(fd, &st) == 0 && S_ISDIR(st.st_mode);
	if (!check_path(e))
		return 0;
	if (e->is_dir && json_len(e->p->view_range)) {
		edit_fail(&e->outcome, "invalid_parameter", "Invalid `view_range` parameter: ");
		pycall_put_json(&e->outcome.text, e->p->view_range);
		buf_puts(&e->outcome.text,
			". The `view_range` parameter is not allowed when `path` points to a directory.");
		return 0;
	}
	if (e->is_dir)
		return 1;
	if (e->exists && load(e, &files->root, err) < 0)
		return -1;
	if (!e->outcome.failure)
		perform(e, &files->history);
	return e->outcome.has_after ? save(e, files, err) : 0;
}

static void start_edit(struct call *call, const void *params)
{
	struct error err;
	char path[PATH_SIZE];
	const struct edit_params *p = params;
	if (files_path(call, &p->where, path, &err) < 0) {
		call_fail(call, &err);
		return;
	}
	struct view_dir_job *job = arena_new(&call->arena, struct view_dir_job);
	*job = (struct view_dir_job){ p, files_keep(call, path) };
	struct editing e;
	editing_init(&e, p, job->path);
	int r = edit(call, &e, &err);
	auto_buf struct buf result = BUF_INIT(FRAME_PAYLOAD_MAX);
	if (r == 0)
		put_result(&result, &e);
	editing_fini(&e);
	if (r < 0)
		call_fail(call, &err);
	else if (r > 0)
		files_work(call, view_dir, job);
	else
		files_finish(call, &result);
}

const struct verb edit_verb = {
	.action = &edit_action,
	.start = start_edit,
	.drain = worker_on_drain,
	.drop = worker_on_drop,
};
