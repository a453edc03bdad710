/* SPDX-License-Identifier: Apache-2.0 */
/* The editor and its words are the core's (action `edit`); here its parameters and its result change form. */
#include "face/openhands/edit.h"

#include "action/file_actions.h"
#include "base/arena.h"
#include "base/auto.h"
#include "base/num.h"
#include "face/openhands/kinds.h"
#include "face/openhands/observation.h"
#include "face/openhands/request.h"

enum { PARAMS_MAX = 16 * 1024 * 1024 };

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

/* What the agent is shown: the editor's words, with a mark in front of those that say what went wrong. */
static void put_content(struct buf *b, const struct json *result, const struct error *err)
{
	if (err || !json_bool(json_find(result, "applied")))
		buf_puts(b, "ERROR:\n");
	buf_put(b, err ? str_from(err->text) : json_str(json_find(result, "text")));
}

static void on_edited(struct job *job, const struct json *result, const struct error *err)
{
	const struct edit_args *args = job->args;
	auto_buf struct buf content = BUF_INIT(PARAMS_MAX);
	auto_buf struct buf b = JOB_OBSERVATION_INIT;
	struct str diff = json_str(json_find(result, "diff"));
	put_content(&content, result, err);
	observation_put_edit(&b,
		&(struct edit_observation){
			.path = args->path,
			.content = buf_str(&content),
			.old_content = args->old_str,
			.new_content = args->new_str,
			.diff = diff.ptr ? diff : STR(""),
		});
	job_answer(job, &b);
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
	const struct str *path = job->state;
	auto_buf struct buf content = BUF_INIT(PARAMS_MAX);
	auto_buf struct buf b = JOB_OBSERVATION_INIT;
	put_content(&content, result, err);
	observation_put_read(&b, *path, STR("oh_aci"), buf_str(&content));
	job_answer(job, &b);
}

void edit_view(struct job *job, struct str path, const struct json *view_range)
{
	struct str *kept = arena_new(&job->request->arena, struct str);
	*kept = path;
	job->state = kept;
	ask_edit(job,
		&(struct edit_args){ .path = path,
			.command = STR("view"),
			.view_range = view_range },
		NULL, on_viewed);
}
