/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. read asks for the whole file and cuts the lines out itself, since the
 * original counts them in a way of its own (lines.h). What an error was about is found out only
 * when there is one: only then stat says whether the path is a directory.
 *
 * write replaces a whole file at once; a file that is there keeps its permissions. Before a range
 * of its lines is replaced it is looked at (stat) and read. Nothing comes between the two, since a
 * sandbox performs one action at a time; a program that writes the same file meanwhile has the same
 * race with the original.
 */
#include "face/openhands/files.h"

#include "action/file_actions.h"
#include "base/arena.h"
#include "base/auto.h"
#include "face/openhands/cursor.h"
#include "face/openhands/edit.h"
#include "face/openhands/kinds.h"
#include "face/openhands/lines.h"
#include "face/openhands/observation.h"
#include "face/openhands/request.h"

enum {
	READ_MAX = 8 * 1024 * 1024, /* bytes of a file that can be read or changed by lines */
	SNIFF_BYTES = 1024,
	PARAMS_MAX = 16 * 1024 * 1024,
};

struct read_args {
	struct str path;
	int64_t start, end;
	struct str impl_source;
	const struct json *view_range;
	const struct json *ignored;
};

struct write_args {
	struct str path;
	struct str content;
	int64_t start, end;
	const struct json *ignored;
};

static const char *const read_sources[] = { "default", "oh_aci", NULL };

static const struct field read_fields[] = {
	{ "path", FIELD_STRING, FIELD_AT(struct read_args, path), FIELD_REQUIRED | FIELD_PATH,
		.help = "file to read" },
	{ "start", FIELD_INT, FIELD_AT(struct read_args, start), .help = "first line, from 0" },
	{ "end", FIELD_INT, FIELD_AT(struct read_args, end), .standard = "-1",
		.help = "line after the last; -1: to the end" },
	{ "impl_source", FIELD_STRING, FIELD_AT(struct read_args, impl_source),
		.standard = "default", .words = read_sources,
		.help = "oh_aci: as the editor shows it" },
	{ "view_range", FIELD_JSON, FIELD_AT(struct read_args, view_range),
		.help = "oh_aci: first and last line" },
	REQUEST_IGNORED(struct read_args, "thought"),
	REQUEST_IGNORED(struct read_args, "security_risk"),
	REQUEST_IGNORED(struct read_args, "timestamp"),
	REQUEST_IGNORED(struct read_args, "translated_ipython_code"),
	{ 0 },
};

static const struct field write_fields[] = {
	{ "path", FIELD_STRING, FIELD_AT(struct write_args, path), FIELD_REQUIRED | FIELD_PATH,
		.help = "file to write" },
	{ "content", FIELD_STRING, FIELD_AT(struct write_args, content),
		FIELD_REQUIRED | FIELD_BINARY, .help = "the lines" },
	{ "start", FIELD_INT, FIELD_AT(struct write_args, start),
		.help = "first line that is replaced, from 0" },
	{ "end", FIELD_INT, FIELD_AT(struct write_args, end), .standard = "-1",
		.help = "line after the last that is replaced; -1: to the end" },
	REQUEST_IGNORED(struct write_args, "thought"),
	REQUEST_IGNORED(struct write_args, "security_risk"),
	REQUEST_IGNORED(struct write_args, "timestamp"),
	{ 0 },
};

struct str files_resolve(const struct job *job, struct str path)
{
	struct str cwd = str_from(job->cursor->cwd);
	if (str_starts(path, STR("/")))
		return path;
	return str_from(arena_printf(&job->request->arena, "%.*s%s%.*s", STR_ARG(cwd),
		str_ends(cwd, STR("/")) ? "" : "/", STR_ARG(path)));
}

static void refuse_path(struct job *job, const char *before, struct str path, const char *after)
{
	struct arena *arena = &job->request->arena;
	job_refuse(job, str_from(arena_printf(arena, "%s%.*s%s", before, STR_ARG(path), after)));
}

static void ask_stat(struct job *job, struct str path, job_step_fn *next)
{
	auto_buf struct buf params = BUF_INIT(PARAMS_MAX);
	struct jsonw w = JSONW(&params);
	jsonw_open(&w);
	jsonw_key_str(&w, "path", path);
	jsonw_close(&w);
	job_perform(job, &stat_action, &params, next);
}

static void ask_read(struct job *job, struct str path, const char *encoding, int64_t max_bytes,
	job_step_fn *next)
{
	auto_buf struct buf params = BUF_INIT(PARAMS_MAX);
	struct jsonw w = JSONW(&params);
	jsonw_open(&w);
	jsonw_key_str(&w, "path", path);
	jsonw_key_str(&w, "encoding", str_from(encoding));
	jsonw_key_int(&w, "max_bytes", max_bytes);
	jsonw_close(&w);
	job_perform(job, &read_action, &params, next);
}

static bool is_directory(const struct json *stat)
{
	return str_is(json_str(json_find(stat, "type")), "directory");
}

/* ---- read ---- */

/* Files that are given as data URIs, by their lower-cased extension. */
static const struct {
	const char *extension, *type;
} medias[] = {
	{ ".bmp", "image/bmp" },
	{ ".gif", "image/gif" },
	{ ".jpeg", "image/jpeg" },
	{ ".jpg", "image/jpeg" },
	{ ".mp4", "video/mp4" },
	{ ".ogg", "audio/ogg" },
	{ ".pdf", "application/pdf" },
	{ ".png", "image/png" },
	{ ".webm", "video/webm" },
};

/* STR_NONE for a file that is given as text. */
static struct str media_type(struct str path)
{
	for (size_t i = 0; i < ARRAY_LEN(medias); i++) {
		struct str extension = str_from(medias[i].extension);
		if (path.len >= extension.len &&
			str_eq_nocase(str_skip(path, path.len - extension.len), extension))
			return str_from(medias[i].type);
	}
	return STR_NONE;
}

static struct str read_path(const struct job *job)
{
	return files_resolve(job, ((const struct read_args *)job->args)->path);
}

/*
 * The file could not be read for a reason that has no words of its own, unless it is a directory.
 */
static void on_read_stat(struct job *job, const struct json *result, const struct error *err)
{
	const struct error *cause = job->state;
	if (result && is_directory(result))
		refuse_path(job, "Path is a directory: ", read_path(job),
			". You can only read files");
	else
		job_fail(job, cause->text);
}

static void read_failed(struct job *job, const struct error *err)
{
	struct arena *arena = &job->request->arena;
	if (err->code == ERROR_NOT_FOUND) {
		refuse_path(job, "File not found: ", read_path(job),
			arena_printf(arena, ". Your current working directory is %s.",
				job->cursor->cwd));
		return;
	}
	struct error *cause = arena_new(arena, struct error);
	*cause = *err;
	job->state = cause;
	ask_stat(job, read_path(job), on_read_stat);
}

static void answer_read(struct job *job, struct str content)
{
	auto_buf struct buf b = JOB_OBSERVATION_INIT;
	observation_put_read(&b, read_path(job), STR("default"), content);
	job_answer(job, &b);
}

static bool refuse_large(struct job *job, const struct json *result, struct str path)
{
	if (!json_bool(json_find(result, "truncated")))
		return false;
	struct arena *arena = &job->request->arena;
	refuse_path(job, "File is too large: ", path,
		arena_printf(arena, ". The limit is %d bytes.", READ_MAX));
	return true;
}

static void on_media(struct job *job, const struct json *result, const struct error *err)
{
	if (err) {
		read_failed(job, err);
		return;
	}
	if (refuse_large(job, result, read_path(job)))
		return;
	auto_buf struct buf uri = BUF_INIT(2 * READ_MAX);
	buf_printf(&uri, "data:%.*s;base64,", STR_ARG(media_type(read_path(job))));
	buf_put(&uri, json_str(json_find(result, "content")));
	answer_read(job, buf_str(&uri));
}

static void on_text(struct job *job, const struct json *result, const struct error *err)
{
	const struct read_args *args = job->args;
	if (err) {
		read_failed(job, err);
	} else if (json_bool(json_find(result, "is_binary"))) {
		job_refuse(job, STR("ERROR_BINARY_FILE"));
	} else if (!json_bool(json_find(result, "is_valid_utf8"))) {
		refuse_path(job, "File could not be decoded as utf-8: ", read_path(job), ".");
	} else if (!refuse_large(job, result, read_path(job))) {
		auto_buf struct buf text = BUF_INIT(2 * READ_MAX);
		lines_put_normal(&text, json_str(json_find(result, "content")));
		answer_read(job, lines_slice(buf_str(&text), args->start, args->end));
	}
}

static void answer_viewed(struct job *job, struct str content, struct str diff)
{
	const struct read_args *args = job->args;
	auto_buf struct buf b = JOB_OBSERVATION_INIT;
	observation_put_read(&b, args->path, STR("oh_aci"), content);
	job_answer(job, &b);
}

/* Only the sniff counts: what else is wrong with the path, the editor says. */
static void on_sniff(struct job *job, const struct json *result, const struct error *err)
{
	const struct read_args *args = job->args;
	if (result && json_bool(json_find(result, "is_binary")))
		job_refuse(job, STR("ERROR_BINARY_FILE"));
	else
		edit_view(job, args->path, args->view_range, answer_viewed);
}

static void read_start(struct job *job, const void *params)
{
	const struct read_args *args = params;
	struct str path = read_path(job);
	if (str_is(args->impl_source, "oh_aci"))
		ask_read(job, args->path, "text", SNIFF_BYTES, on_sniff);
	else if (media_type(path).ptr)
		ask_read(job, path, "base64", READ_MAX, on_media);
	else
		ask_read(job, path, "text", READ_MAX, on_text);
}

const struct job_kind read_kind = {
	.name = "read",
	.fields = read_fields,
	.args_size = sizeof(struct read_args),
	.start = read_start,
};

/* ---- write ---- */

static struct str write_path(const struct job *job)
{
	return files_resolve(job, ((const struct write_args *)job->args)->path);
}

static void on_written(struct job *job, const struct json *result, const struct error *err)
{
	if (err) {
		job_fail(job, err->text);
		return;
	}
	auto_buf struct buf b = JOB_OBSERVATION_INIT;
	observation_put_write(&b, write_path(job));
	job_answer(job, &b);
}

static void ask_write(struct job *job, struct str old, job_step_fn *next)
{
	const struct write_args *args = job->args;
	auto_buf struct buf text = BUF_INIT(2 * PARAMS_MAX), params = BUF_INIT(PARAMS_MAX);
	struct jsonw w = JSONW(&params);
	lines_splice(&text, old, args->content, args->start, args->end);
	jsonw_open(&w);
	jsonw_key_str(&w, "path", write_path(job));
	jsonw_key_str(&w, "content", buf_str(&text));
	jsonw_key_str(&w, "new_mode", STR("0664"));
	jsonw_close(&w);
	job_perform(job, &write_action, &params, next);
}

static void on_old_text(struct job *job, const struct json *result, const struct error *err)
{
	auto_buf struct buf old = BUF_INIT(2 * READ_MAX);
	if (err) {
		job_fail(job, err->text);
	} else if (!json_bool(json_find(result, "is_valid_utf8"))) {
		refuse_path(job, "File could not be decoded as utf-8: ", write_path(job), "");
	} else if (!refuse_large(job, result, write_path(job))) {
		lines_put_normal(&old, json_str(json_find(result, "content")));
		ask_write(job, buf_str(&old), on_written);
	}
}

/* Lines of it are replaced. */
static void on_write_stat(struct job *job, const struct json *result, const struct error *err)
{
	if (err && err->code == ERROR_NOT_FOUND)
		ask_write(job, STR(""), on_written);
	else if (err)
		job_fail(job, err->text);
	else if (is_directory(result))
		refuse_path(job, "Path is a directory: ", write_path(job),
			". You can only write to files");
	else
		ask_read(job, write_path(job), "text", READ_MAX, on_old_text);
}

/* It could not be written for a reason that has no words of its own, unless it is a directory. */
static void on_unwritten_stat(struct job *job, const struct json *result, const struct error *err)
{
	const struct error *cause = job->state;
	if (result && is_directory(result))
		refuse_path(job, "Path is a directory: ", write_path(job),
			". You can only write to files");
	else
		job_fail(job, cause->text);
}

static void on_whole_written(struct job *job, const struct json *result, const struct error *err)
{
	if (!err) {
		on_written(job, result, NULL);
		return;
	}
	struct error *cause = arena_new(&job->request->arena, struct error);
	*cause = *err;
	job->state = cause;
	ask_stat(job, write_path(job), on_unwritten_stat);
}

static void write_start(struct job *job, const void *params)
{
	const struct write_args *args = params;
	if (args->start == 0 && args->end == LINES_END)
		ask_write(job, STR(""), on_whole_written);
	else
		ask_stat(job, write_path(job), on_write_stat);
}

const struct job_kind write_kind = {
	.name = "write",
	.fields = write_fields,
	.args_size = sizeof(struct write_args),
	.start = write_start,
};
