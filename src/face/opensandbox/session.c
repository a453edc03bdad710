/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /session: what a bash leaves for the next one. As with execd, each run is a bash of its own; here
 * it begins with the variables, functions, options and directory that the one before it had when it
 * ended. They are kept in a file of the sandbox, which is the session: it is there or not, whatever
 * became of the server.
 *
 * One command runs in a session at a time; the name of its process sees to that.
 */
#include "action/file_actions.h"
#include "action/process_actions.h"
#include "base/auto.h"
#include "base/bug.h"
#include "face/opensandbox/command.h"
#include "face/opensandbox/handlers.h"

#define NAME_PREFIX "opensandbox-"
#define FILE_PREFIX "/tmp/." NAME_PREFIX

/*
 * $0 the session's file, $1 the command, $2 the directory asked for or "". What cannot be set again
 * (readonly variables of bash's own) says so to nobody.
 */
static const char script[] =
	"__osb_file=$0 __osb_text=$1 __osb_cwd=$2\n"
	"set --\n"
	"[ -e \"$__osb_file\" ] || { echo 'the session is gone' >&2; exit 1; }\n"
	". \"$__osb_file\" 2>/dev/null\n"
	"if [ -n \"$__osb_cwd\" ]; then cd -- \"$__osb_cwd\" || exit 1; fi\n"
	"__osb_save() {\n"
	"  local __osb_code=$?\n"
	"  { declare -p | grep -v -E '^declare -[^ ]*r|^declare -[^ ]* (__osb_|BASH|FUNCNAME|DIRSTACK|GROUPS|PIPESTATUS|LINENO|RANDOM|SECONDS|_=)'\n"
	"    declare -f | sed '/^__osb_save ()/,/^}/d'; shopt -p; set +o; alias -p\n"
	"    printf 'cd -- %q\\n' \"$PWD\"; } >\"$__osb_file.$$\" 2>/dev/null &&\n"
	"  [ -e \"$__osb_file\" ] && mv -f -- \"$__osb_file.$$\" \"$__osb_file\" || rm -f -- \"$__osb_file.$$\"\n"
	"  exit $__osb_code\n"
	"}\n"
	"trap __osb_save EXIT\n"
	"eval \"$__osb_text\"\n";

static struct str file_of(struct http_request *r, struct str id)
{
	return str_from(arena_printf(&r->arena, FILE_PREFIX "%.*s", STR_ARG(id)));
}

struct str osb_session_process(struct http_request *r, struct str session)
{
	return str_from(
		arena_printf(&r->arena, NAME_PREFIX "%.*s", STR_ARG(str_first(session, ID_LEN))));
}

/* ---- create ---- */

static void on_made(struct chore *e, const struct json *result)
{
	const struct str *id = e->state;
	auto_buf struct buf body = BUF_INIT(256);
	struct jsonw w = JSONW(&body);
	jsonw_open(&w);
	jsonw_key_str(&w, "session_id", *id);
	jsonw_close(&w);
	http_reply_json(e->r, 200, &body);
}

static void put_quoted(struct buf *b, struct str s)
{
	buf_putc(b, '\'');
	buf_put_replaced(b, s, STR("'"), STR("'\\''"));
	buf_putc(b, '\'');
}

static void make(struct chore *e, struct str cwd)
{
	auto_buf struct buf params = BUF_INIT(64 * 1024), content = BUF_INIT(16 * 1024);
	struct jsonw w = JSONW(&params);
	struct http_request *r = e->r;
	struct str *id = arena_new(&r->arena, struct str);
	char text[ID_SIZE];
	id_make(text);
	*id = str_from(arena_str(&r->arena, str_from(text)));
	e->state = id;
	if (cwd.len) {
		buf_puts(&content, "cd -- ");
		put_quoted(&content, cwd);
		buf_putc(&content, '\n');
	}
	jsonw_open(&w);
	jsonw_key_str(&w, "path", file_of(r, *id));
	jsonw_key_str(&w, "content", buf_str(&content));
	jsonw_key_bool(&w, "exclusive", true);
	jsonw_key_str(&w, "mode", STR("0600"));
	jsonw_close(&w);
	chore_perform(e, &write_action, &params, on_made);
}

static void on_looked_at(struct chore *e, const struct json *result)
{
	if (str_is(json_str(json_find(result, "type")), "directory"))
		make(e, json_str(json_find(result, "path")));
	else
		osb_execd_invalid(e->r, "cwd is no directory");
}

static void on_no_directory(struct chore *e, const struct error *err)
{
	osb_execd_invalid(e->r, "cwd: %s", err->text);
}

void osb_session_create(struct http_request *r)
{
	struct chore *e = osb_chore(r);
	auto_json struct json *body = e ? osb_body(r) : NULL;
	struct str cwd = json_str(json_find(body, "cwd"));
	if (!body)
		return;
	if (!cwd.len) {
		make(e, cwd);
	} else if (!osb_path_is_good(cwd)) {
		osb_execd_invalid(r, "cwd is too long");
	} else {
		e->failed = on_no_directory;
		chore_perform_path(e, &stat_action, osb_path(r, cwd), "", on_looked_at);
	}
}

/* ---- run ---- */

static void fail_session(struct chore *e, const struct error *err)
{
	if (err->code == ERROR_NOT_FOUND)
		osb_fail(e->r, 404, "CONTEXT_NOT_FOUND", "session %.*s not found",
			STR_ARG(str_first(http_param(e->r, "session"), 100)));
	else
		osb_execd_error(e->r, err);
}

static void on_found(struct chore *e, const struct json *result)
{
	struct http_request *r = e->r;
	struct str id = http_param(r, "session");
	const struct sandbox *s = osb_execd_sandbox(r);
	auto_json struct json *body = s ? osb_body(r) : NULL;
	struct str text = json_str(json_find(body, "command")),
		   cwd = json_str(json_find(body, "cwd"));
	if (!body)
		return;
	if (!text.len || str_has_nul(text) || str_has_nul(cwd) || cwd.len > OSB_PATH_MAX) {
		osb_execd_invalid(r, "invalid request: command is required");
		return;
	}
	const struct osb_command c = {
		.body = body,
		.arguments = { str_from(script), file_of(r, id), text,
			cwd.len ? osb_path(r, cwd) : STR("") },
		.n_arguments = 4,
		.name = osb_session_process(r, id).ptr,
		.init_id = id,
		.needs_bash = true,
		.has_own_cwd = true,
	};
	osb_command_begin(r, s, &c);
}

/* Of the path, and it could be one; NULL: answered. */
static struct chore *session_chore(struct http_request *r)
{
	struct chore *e = osb_chore(r);
	struct error err;
	if (!e)
		return NULL;
	e->failed = fail_session;
	if (id_is_valid(http_param(r, "session")))
		return e;
	error_set(&err, ERROR_NOT_FOUND, "there is none");
	fail_session(e, &err);
	return NULL;
}

void osb_session_run(struct http_request *r)
{
	struct chore *e = session_chore(r);
	if (e)
		chore_perform_path(e, &stat_action, file_of(r, http_param(r, "session")),
			",\"follow\":false", on_found);
}

/* ---- delete ---- */

static void on_nothing_to_end(struct chore *e, const struct error *err)
{
	osb_empty(e->r, 200);
}

static void on_removed(struct chore *e, const struct json *result)
{
	osb_command_end(e, osb_session_process(e->r, http_param(e->r, "session")),
		on_nothing_to_end);
}

void osb_session_delete(struct http_request *r)
{
	struct chore *e = session_chore(r);
	if (e)
		chore_perform_path(e, &remove_action, file_of(r, http_param(r, "session")), "",
			on_removed);
}
