/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The editor and its words are the core's (action `edit`); here its parameters and its result
 * change form.
 */
#include "face/openhands/edit.h"

#include "action/document_actions.h"
#include "action/file_actions.h"
#include "base/arena.h"
#include "base/auto.h"
#include "base/num.h"
#include "face/openhands/kinds.h"
#include "face/openhands/lint.h"
#include "face/openhands/observation.h"
#include "face/openhands/request.h"

enum {
	PARAMS_MAX = 16 * 1024 * 1024,
	PATH_PARAMS_MAX = 64 * 1024,
	DOCUMENT_CHARS = 16000, /* of a document that are shown */
};

struct edit_args {
	struct str path;
	struct str command;
	struct str file_text, old_str, new_str;
	const struct json *insert_line;
	const struct json *view_range;
	struct str impl_source;
	const struct json *ignored;
};

static const struct field edit_fields[] = {
	{ "path", FIELD_STRING, FIELD_AT(struct edit_args, path), FIELD_REQUIRED,
		.help = "an absolute path" },
	{ "command", FIELD_STRING, FIELD_AT(struct edit_args, command), .standard = "",
		.help = "view, create, str_replace, insert or undo_edit" },
	{ "file_text", FIELD_STRING, FIELD_AT(struct edit_args, file_text), FIELD_BINARY,
		.help = "create: the content" },
	{ "old_str", FIELD_STRING, FIELD_AT(struct edit_args, old_str), FIELD_BINARY,
		.help = "str_replace: what is there" },
	{ "new_str", FIELD_STRING, FIELD_AT(struct edit_args, new_str), FIELD_BINARY,
		.help = "str_replace, insert: what shall be there" },
	{ "insert_line", FIELD_JSON, FIELD_AT(struct edit_args, insert_line),
		.help = "insert: the line after which, as a number or its digits" },
	{ "impl_source", FIELD_STRING, FIELD_AT(struct edit_args, impl_source),
		.standard = "oh_aci", .help = "only oh_aci is performed by a server" },
	REQUEST_IGNORED(struct edit_args, "content"),
	REQUEST_IGNORED(struct edit_args, "start"),
	REQUEST_IGNORED(struct edit_args, "end"),
	REQUEST_IGNORED(struct edit_args, "thought"),
	REQUEST_IGNORED(struct edit_args, "security_risk"),
	REQUEST_IGNORED(struct edit_args, "timestamp"),
	REQUEST_IGNORED(struct edit_args, "translated_ipython_code"),
	{ 0 },
};

/* Names of the original and of the core. */
static const struct {
	const char *theirs, *ours;
} commands[] = {
	{ "create", "create" },
	{ "insert", "insert" },
	{ "str_replace", "str_replace" },
	{ "undo_edit", "undo" },
	{ "view", "view" },
};

static const char *find_command(struct str name)
{
	for (size_t i = 0; i < ARRAY_LEN(commands); i++)
		if (str_is(name, commands[i].theirs))
			return commands[i].ours;
	return NULL;
}

/*
 * What the agent is shown: the editor's words, with a mark in front of those that say what went
 * wrong.
 */
static void put_content(struct buf *b, const struct json *result, const struct error *err)
{
	if (err || !json_bool(json_find(result, "applied")))
		buf_puts(b, "ERROR:\n");
	buf_put(b, err ? str_from(err->text) : json_str(json_find(result, "text")));
}

/* ---- documents ---- */

/* The editor shows what is no text as Markdown, whoever asked for it: `edit` or `read`. */
struct showing {
	struct str path;
	edit_fn *answer;
};

static bool is_document(struct str path, const struct json *result)
{
	if (!str_is(json_str(json_find(result, "failure")), "tool"))
		return false;
	static const char *const suffixes[] = { ".docx", ".flac", ".m4a", ".mp3", ".pdf", ".pptx",
		".wav", ".xlsx" };
	for (size_t i = 0; i < ARRAY_LEN(suffixes); i++) {
		struct str suffix = str_from(suffixes[i]);
		if (path.len > suffix.len &&
			str_eq_nocase(str_skip(path, path.len - suffix.len), suffix))
			return true;
	}
	return false;
}

static void put_markdown(struct buf *b, struct str path, struct str markdown)
{
	size_t n = 0, at = 0;
	for (; at < markdown.len && n < DOCUMENT_CHARS; n++)
		do
			at++;
		while (at < markdown.len && (markdown.ptr[at] & 0xc0) == 0x80);
	buf_printf(b, "Here's the content of the file %.*s displayed in Markdown format:\n",
		STR_ARG(path));
	buf_put(b, str_first(markdown, at));
	if (at < markdown.len)
		buf_puts(b,
			"<response clipped><NOTE>Due to the max output limit, only part of this file has "
			"been shown to you. Please use Python libraries to view the entire file or search "
			"for specific content within the file.</NOTE>");
	buf_putc(b, '\n');
}

static void on_converted(struct job *job, const struct json *result, const struct error *err)
{
	const struct showing *c = job->state;
	auto_buf struct buf content = BUF_INIT(PARAMS_MAX);
	if (err)
		buf_printf(&content,
			"ERROR:\nError in converting file to Markdown: %s. Please use Python code to read "
			"%.*s",
			err->text, STR_ARG(c->path));
	else
		put_markdown(&content, c->path, json_str(json_find(result, "markdown")));
	c->answer(job, buf_str(&content), STR(""));
}

/* After the editor has found that path and command go together, and that this is no text. */
static void convert(struct job *job, struct str path, edit_fn *answer)
{
	auto_buf struct buf params = BUF_INIT(PATH_PARAMS_MAX);
	struct jsonw w = JSONW(&params);
	struct showing *c = arena_new(&job->request->arena, struct showing);
	*c = (struct showing){ path, answer };
	job->state = c;
	jsonw_open(&w);
	jsonw_key_str(&w, "path", path);
	jsonw_close(&w);
	job_perform(job, &convert_action, &params, on_converted);
}

/* ---- the action ---- */

static void answer_edited(struct job *job, struct str content, struct str diff)
{
	const struct edit_args *args = job->args;
	auto_buf struct buf b = JOB_OBSERVATION_INIT;
	observation_put_edit(&b,
		&(struct edit_observation){
			.path = args->path,
			.content = content,
			.old_content = args->old_str,
			.new_content = args->new_str,
			.diff = diff.ptr ? diff : STR(""),
		});
	job_answer(job, &b);
}

/* What puts new text among old is looked over, as by the original's editor. */
static bool is_looked_over(const struct edit_args *args, const struct json *result)
{
	return json_bool(json_find(result, "applied")) &&
		(str_is(args->command, "str_replace") || str_is(args->command, "insert"));
}

static void on_edited(struct job *job, const struct json *result, const struct error *err)
{
	const struct edit_args *args = job->args;
	auto_buf struct buf content = BUF_INIT(PARAMS_MAX);
	struct str diff = json_str(json_find(result, "diff"));
	put_content(&content, result, err);
	if (is_document(args->path, result))
		convert(job, args->path, answer_edited);
	else if (result && is_looked_over(args, result))
		lint_edit(job, args->path, buf_str(&content), diff, answer_edited);
	else
		answer_edited(job, buf_str(&content), diff);
}

static void put_optional(struct jsonw *w, const char *key, struct str s)
{
	if (s.ptr)
		jsonw_key_str(w, key, s);
}

/* A file with CRLF becomes one with LF, and the diff has no context: as the original does it. */
static void ask_edit(struct job *job, const struct edit_args *args, const int64_t *insert_line,
	job_step_fn *next)
{
	auto_buf struct buf params = BUF_INIT(PARAMS_MAX), range = BUF_INIT(PARAMS_MAX);
	struct jsonw w = JSONW(&params);
	jsonw_open(&w);
	jsonw_key_str(&w, "path", args->path);
	jsonw_key_str(&w, "command", str_from(find_command(args->command)));
	put_optional(&w, "file_text", args->file_text);
	put_optional(&w, "old_str", args->old_str);
	put_optional(&w, "new_str", args->new_str);
	if (insert_line)
		jsonw_key_int(&w, "insert_line", *insert_line);
	if (json_kind(args->view_range) != JSON_KIND_NULL) {
		json_write(args->view_range, &range);
		jsonw_key(&w, "view_range");
		jsonw_raw(&w, buf_str(&range));
	}
	jsonw_key_str(&w, "newlines", STR("lf"));
	jsonw_key_str(&w, "diff_style", STR("bare"));
	jsonw_key_int(&w, "diff_context", 0);
	jsonw_key_bool(&w, "absolute_only", true);
	jsonw_close(&w);
	job_perform(job, &edit_action, &params, next);
}

static void refuse(struct job *job, const char *text)
{
	struct error err;
	error_set(&err, ERROR_INVALID, "%s", text);
	on_edited(job, NULL, &err);
}

/* The number, from itself or from its digits; NULL if there is none. -1 if it is neither. */
static int parse_insert_line(const struct json *j, int64_t *value, const int64_t **ret)
{
	struct str digits = str_trim(json_str(j));
	*ret = value;
	*value = json_int(j);
	switch (json_kind(j)) {
	case JSON_KIND_NULL:
		*ret = NULL;
		return 0;
	case JSON_KIND_INT:
		return 0;
	case JSON_KIND_STR:
		return num_parse_i64(digits, INT64_MIN, INT64_MAX, value, NULL);
	default:
		return -1;
	}
}

static void edit_start(struct job *job, const void *params)
{
	const struct edit_args *args = params;
	struct arena *arena = &job->request->arena;
	const int64_t *insert_line;
	int64_t value;
	if (!str_is(args->impl_source, "oh_aci")) {
		job_fail(job, "");
	} else if (parse_insert_line(args->insert_line, &value, &insert_line) < 0) {
		auto_buf struct buf text = BUF_INIT(PARAMS_MAX);
		if (json_kind(args->insert_line) == JSON_KIND_STR)
			buf_put(&text, json_str(args->insert_line));
		else
			json_write(args->insert_line, &text);
		refuse(job,
			arena_printf(arena,
				"Invalid insert_line value: '%.200s'. Expected an integer.",
				text.ptr));
	} else if (!find_command(args->command)) {
		refuse(job,
			arena_printf(arena,
				"Unrecognized command %.*s. The allowed commands for the oh_editor tool are: "
				"view, create, str_replace, insert, undo_edit",
				STR_ARG(str_first(args->command, 100))));
	} else {
		ask_edit(job, args, insert_line, on_edited);
	}
}

const struct job_kind edit_kind = {
	.name = "edit",
	.fields = edit_fields,
	.args_size = sizeof(struct edit_args),
	.start = edit_start,
};

/* ---- the editor's view for `read` ---- */

static void on_viewed(struct job *job, const struct json *result, const struct error *err)
{
	const struct showing *shown = job->state;
	auto_buf struct buf content = BUF_INIT(PARAMS_MAX);
	put_content(&content, result, err);
	if (is_document(shown->path, result))
		convert(job, shown->path, shown->answer);
	else
		shown->answer(job, buf_str(&content), STR(""));
}

void edit_view(struct job *job, struct str path, const struct json *view_range, edit_fn *answer)
{
	struct showing *s = arena_new(&job->request->arena, struct showing);
	*s = (struct showing){ path, answer };
	job->state = s;
	ask_edit(job,
		&(struct edit_args){ .path = path,
			.command = STR("view"),
			.view_range = view_range },
		NULL, on_viewed);
}
