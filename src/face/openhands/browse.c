/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The actions `browse` and `browse_interactive`: one step of the sandbox's browser each. What a
 * page refuses is an observation with an error in it; a sandbox without a browser, or one that was
 * started without, answers as the original does when it has none.
 *
 * A program that ended in an error may have done so because a download began: then the file is
 * copied to where the original puts it, and told instead.
 */
#include "action/browser_actions.h"
#include "action/file_actions.h"
#include "action/process_actions.h"
#include "base/auto.h"
#include "base/bug.h"
#include "base/clock.h"
#include "face/openhands/cursor.h"
#include "face/openhands/files.h"
#include "face/openhands/kinds.h"
#include "face/openhands/prepare.h"
#include "face/openhands/request.h"
#include "face/openhands/state.h"
#include "runtime/runtime.h"
#include "wire/base64.h"

#include <stdio.h>
#include <time.h>

enum {
	PARAMS_MAX = 16 * 1024 * 1024,
	STEP_STANDARD_MS = 120000,
	STEP_MAX_MS = 120000, /* the original gives a step no longer */
	MAGIC_BYTES = 16,
};

#define NO_BROWSER "Browser functionality is not supported or disabled."

struct browse_args {
	struct str url;
	bool wants_axtree;
	const struct json *ignored;
};

struct interact_args {
	struct str actions;
	bool wants_axtree;
	const struct json *ignored;
};

static const struct field browse_fields[] = {
	{ "url", FIELD_STRING, FIELD_AT(struct browse_args, url), FIELD_REQUIRED,
		.help = "the page to go to" },
	{ "return_axtree", FIELD_BOOL, FIELD_AT(struct browse_args, wants_axtree),
		.help = "give the accessibility tree as an object too" },
	REQUEST_IGNORED(struct browse_args, "thought"),
	REQUEST_IGNORED(struct browse_args, "security_risk"),
	REQUEST_IGNORED(struct browse_args, "timestamp"),
	{ 0 },
};

static const struct field interact_fields[] = {
	{ "browser_actions", FIELD_STRING, FIELD_AT(struct interact_args, actions), FIELD_REQUIRED,
		.help = "calls such as goto(\"https://…\") or click(\"12\")" },
	{ "return_axtree", FIELD_BOOL, FIELD_AT(struct interact_args, wants_axtree),
		.help = "give the accessibility tree as an object too" },
	REQUEST_IGNORED(struct interact_args, "thought"),
	REQUEST_IGNORED(struct interact_args, "browsergym_send_msg_to_user"),
	REQUEST_IGNORED(struct interact_args, "security_risk"),
	REQUEST_IGNORED(struct interact_args, "timestamp"),
	{ 0 },
};

/* ---- the observation ---- */

struct view {
	bool is_interactive;
	struct str url, screenshot, screenshot_path, marks, focused, action, error;
	struct str tree; /* STR_NONE: there is none */
	struct str page; /* as Markdown */
	const struct json *pages, *object, *elements;
	int64_t active;
};

static void put_error(struct buf *b, const char *what, struct str error)
{
	buf_printf(b,
		"================ BEGIN error message ===============\nThe following error occurred when "
		"%s:\n",
		what);
	buf_put(b, error);
	buf_puts(b, "\n================ END error message ===============\n");
}

static void put_tree(struct buf *b, struct str tree)
{
	if (!tree.ptr) {
		buf_puts(b,
			"\n[Error encountered when processing the accessibility tree: 'nodes']");
		return;
	}
	buf_puts(b,
		"Accessibility tree of the COMPLETE webpage:\nNote: [bid] is the unique alpha-numeric "
		"identifier at the beginning of lines for each element in the AXTree. Always use bid to refer "
		"to elements in your actions.\n============== BEGIN accessibility tree ==============\n");
	buf_put(b, tree);
	buf_puts(b, "\n============== END accessibility tree ==============\n");
}

static void put_content(struct buf *b, const struct view *v)
{
	buf_printf(b, "[Current URL: %.*s]\n", STR_ARG(v->url));
	if (!v->is_interactive) {
		if (v->error.len)
			put_error(b, "trying to visit the URL", v->error);
		buf_puts(b, "============== BEGIN webpage content ==============\n");
		buf_put(b, v->page);
		buf_puts(b, "\n============== END webpage content ==============\n");
		return;
	}
	buf_printf(b, "[Focused element bid: %.*s]\n", STR_ARG(v->focused));
	if (v->screenshot_path.ptr)
		buf_printf(b, "[Screenshot saved to: %.*s]\n", STR_ARG(v->screenshot_path));
	buf_putc(b, '\n');
	if (v->error.len)
		put_error(b, "executing the last action", v->error);
	else
		buf_puts(b, "[Action executed successfully.]\n");
	put_tree(b, v->tree);
}

static void put_picture(struct jsonw *w, const char *key, struct str png)
{
	auto_buf struct buf uri = BUF_INIT(w->b->limit);
	if (png.len) {
		buf_puts(&uri, "data:image/png;base64,");
		buf_put(&uri, png);
	}
	jsonw_key_str(w, key, buf_str(&uri));
}

static void put_json(struct jsonw *w, const char *key, const struct json *value, const char *none)
{
	auto_buf struct buf text = BUF_INIT(w->b->limit);
	if (value)
		json_write(value, &text);
	jsonw_key(w, key);
	jsonw_raw(w, value ? buf_str(&text) : str_from(none));
}

static void put_extras(struct jsonw *w, const struct view *v)
{
	jsonw_open(w);
	jsonw_key_str(w, "url", v->url);
	jsonw_key_str(w, "trigger_by_action",
		v->is_interactive ? STR("browse_interactive") : STR("browse"));
	put_picture(w, "screenshot", v->screenshot);
	jsonw_key(w, "screenshot_path");
	if (v->screenshot_path.ptr)
		jsonw_str(w, v->screenshot_path);
	else
		jsonw_null(w);
	put_picture(w, "set_of_marks", v->marks);
	jsonw_key_bool(w, "error", v->error.len);
	put_json(w, "goal_image_urls", NULL, "[]");
	put_json(w, "open_pages_urls", v->pages, "[]");
	jsonw_key_int(w, "active_page_index", v->active);
	put_json(w, "dom_object", NULL, "{}");
	put_json(w, "axtree_object", v->object, "{}");
	put_json(w, "extra_element_properties", v->elements, "{}");
	jsonw_key_str(w, "last_browser_action", v->action);
	jsonw_key_str(w, "last_browser_action_error", v->error);
	jsonw_key_str(w, "focused_element_bid", v->focused);
	jsonw_key_bool(w, "filter_visible_only", false);
	jsonw_close(w);
}

static void answer(struct job *job, const struct view *v)
{
	auto_buf struct buf b = JOB_OBSERVATION_INIT, content = JOB_OBSERVATION_INIT;
	struct jsonw w = JSONW(&b);
	put_content(&content, v);
	jsonw_open(&w);
	jsonw_key_str(&w, "message",
		str_from(arena_printf(&job->request->arena, "Visited %.*s", STR_ARG(v->url))));
	jsonw_key_str(&w, "observation", STR("browse"));
	jsonw_key_str(&w, "content", buf_str(&content));
	jsonw_key(&w, "extras");
	put_extras(&w, v);
	jsonw_close(&w);
	job_answer(job, &b);
}

/* ---- a step ---- */

struct stepping {
	bool is_interactive;
	struct str asked;              /* the URL of `browse`, else empty */
	struct str action;             /* as the client is told */
	struct str downloaded, target; /* of a download */
};

static struct str text_of(const struct json *result, const char *key)
{
	struct str s = json_str(json_find(result, key));
	return s.ptr ? s : STR("");
}

static void answer_failure(struct job *job, const struct stepping *s, const struct error *err)
{
	if (err->code == ERROR_UNSUPPORTED) {
		job_refuse(job, STR(NO_BROWSER));
		return;
	}
	struct view v = {
		.is_interactive = s->is_interactive,
		.url = s->asked,
		.error = str_from(err->text),
		.page = str_from(err->text),
		.active = -1,
	};
	answer(job, &v);
}

static void answer_view(struct job *job, const struct stepping *s, const struct json *result)
{
	struct view v = {
		.is_interactive = s->is_interactive,
		.url = text_of(result, "url"),
		.screenshot = text_of(result, "screenshot"),
		.screenshot_path = json_str(json_find(result, "screenshot_path")),
		.marks = text_of(result, "marks"),
		.focused = text_of(result, "focused"),
		.action = s->action,
		.error = text_of(result, "error"),
		.tree = text_of(result, "axtree"),
		.page = text_of(result, "content"),
		.pages = json_find(result, "pages"),
		.object = json_find(result, "axtree_object"),
		.elements = json_find(result, "elements"),
		.active = json_int(json_find(result, "active")),
	};
	answer(job, &v);
}

/* ---- downloads ---- */

static void on_copied(struct job *job, const struct json *result, const struct error *err)
{
	const struct stepping *s = job->state;
	if (err || json_int(json_find(result, "exit_code")) != 0) {
		job_fail(job, err ? err->text : "the downloaded file could not be copied");
		return;
	}
	struct str text = str_from(arena_printf(&job->request->arena,
		"Execution of the previous action %.*s resulted in a file download. The downloaded file is "
		"saved at location: %.*s",
		STR_ARG(s->action), STR_ARG(s->target)));
	auto_buf struct buf b = JOB_OBSERVATION_INIT;
	struct jsonw w = JSONW(&b);
	jsonw_open(&w);
	jsonw_key_str(&w, "message",
		str_from(arena_printf(&job->request->arena, "Downloaded the file at location: %.*s",
			STR_ARG(s->target))));
	jsonw_key_str(&w, "observation", STR("download"));
	jsonw_key_str(&w, "content", text);
	jsonw_key(&w, "extras");
	jsonw_open(&w);
	jsonw_key_str(&w, "file_path", s->target);
	jsonw_close(&w);
	jsonw_close(&w);
	job_answer(job, &b);
}

/* By its first bytes; else the extension that it has. */
static const char *extension_of(struct str bytes, struct str name)
{
	static const struct {
		struct str magic;
		const char *extension;
	} kinds[] = {
		{ { "%PDF-", 5 }, ".pdf" },
		{ { "\x89PNG", 4 }, ".png" },
		{ { "\xff\xd8\xff", 3 }, ".jpg" },
		{ { "GIF8", 4 }, ".gif" },
		{ { "PK\x03\x04", 4 }, ".zip" },
		{ { "\x1f\x8b", 2 }, ".gz" },
		{ { "BZh", 3 }, ".bz2" },
		{ { "\xfd"
		    "7zXZ",
			  5 },
			".xz" },
		{ { "7z\xbc\xaf", 4 }, ".7z" },
	};
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
		if (str_starts(bytes, kinds[i].magic))
			return kinds[i].extension;
	const char *dot = strrchr(name.ptr, '.');
	return dot && !strchr(dot, '/') ? dot : "";
}

static void on_magic(struct job *job, const struct json *result, const struct error *err)
{
	struct stepping *s = job->state;
	auto_buf struct buf bytes = BUF_INIT(4 * MAGIC_BYTES), params = BUF_INIT(PARAMS_MAX);
	struct jsonw w = JSONW(&params);
	if (err) {
		job_fail(job, err->text);
		return;
	}
	base64_decode(text_of(result, "content"), &bytes, NULL);
	s->target = str_from(
		arena_printf(&job->request->arena, "%s/file_%d%s", job->cursor->workdir,
			++job->cursor->n_downloads, extension_of(buf_str(&bytes), s->downloaded)));
	jsonw_open(&w);
	jsonw_key(&w, "argv");
	jsonw_open_array(&w);
	jsonw_str(&w, STR("cp"));
	jsonw_str(&w, STR("--"));
	jsonw_str(&w, s->downloaded);
	jsonw_str(&w, s->target);
	jsonw_close_array(&w);
	jsonw_key_bool(&w, "capture", true);
	jsonw_close(&w);
	job_perform(job, &exec_action, &params, on_copied);
}

/* The first file that was downloaded in this step; empty if there is none. */
static struct str find_download(struct job *job, const struct json *result)
{
	const struct json *downloads = json_find(result, "downloads");
	for (size_t i = 0; i < json_len(downloads); i++) {
		const struct json *download = json_at(downloads, i);
		struct str path = text_of(download, "path");
		if (str_is(text_of(download, "state"), "completed") && !str_has_nul(path))
			return str_from(arena_str(&job->request->arena, path));
	}
	return STR("");
}

static void fetch_download(struct job *job)
{
	const struct stepping *s = job->state;
	auto_buf struct buf params = BUF_INIT(PARAMS_MAX);
	struct jsonw w = JSONW(&params);
	jsonw_open(&w);
	jsonw_key_str(&w, "path", s->downloaded);
	jsonw_key_str(&w, "encoding", STR("base64"));
	jsonw_key_int(&w, "max_bytes", MAGIC_BYTES);
	jsonw_close(&w);
	job_perform(job, &read_action, &params, on_magic);
}

/* ---- performing ---- */

static void on_step(struct job *job, const struct json *result, const struct error *err)
{
	struct stepping *s = job->state;
	if (err) {
		answer_failure(job, s, err);
		return;
	}
	bool has_failed = text_of(result, "error").len;
	s->downloaded = s->is_interactive && has_failed ? find_download(job, result) : STR("");
	if (s->downloaded.len)
		fetch_download(job);
	else
		answer_view(job, s, result);
}

/* screenshot_20251128_231634_123456.png */
static void put_screenshot_path(struct job *job, struct jsonw *w)
{
	char date[40];
	struct tm tm;
	int64_t us = clock_wall_ms() * 1000 + clock_mono_us() % 1000;
	time_t seconds = (time_t)(us / 1000000);
	gmtime_r(&seconds, &tm);
	strftime(date, sizeof(date), "%Y%m%d_%H%M%S", &tm);
	jsonw_key_str(w, "screenshot_path",
		str_from(arena_printf(&job->request->arena,
			"%s/.browser_screenshots/screenshot_%s_%06d.png", job->cursor->workdir,
			date, (int)(us % 1000000))));
}

static void put_parts(struct jsonw *w, bool is_interactive, bool wants_axtree)
{
	jsonw_key(w, "parts");
	jsonw_open_array(w);
	jsonw_str(w, is_interactive ? STR("axtree") : STR("content"));
	jsonw_str(w, STR("screenshot"));
	jsonw_str(w, STR("marks"));
	if (wants_axtree) {
		jsonw_str(w, STR("axtree_object"));
		jsonw_str(w, STR("elements"));
	}
	jsonw_close_array(w);
}

/* key: "url" or "program". */
static void perform(struct job *job, const char *key, struct str value, bool wants_axtree)
{
	const struct stepping *s = job->state;
	const struct sandbox *sandbox = runtime_find(job->rt, str_from(job->cursor->id), NULL);
	auto_buf struct buf params = BUF_INIT(PARAMS_MAX);
	struct jsonw w = JSONW(&params);
	if (!openhands_of(job->request)->has_browser ||
		(sandbox && str_is(sandbox_label(sandbox, STR(LABEL_BROWSER)), "no"))) {
		job_refuse(job, STR(NO_BROWSER));
		return;
	}
	int64_t timeout_ms = job->timeout_ms ? job->timeout_ms : STEP_STANDARD_MS;
	timeout_ms = MAX(MIN(timeout_ms, (int64_t)STEP_MAX_MS), 1000);
	jsonw_open(&w);
	jsonw_key_str(&w, key, value);
	put_parts(&w, s->is_interactive, wants_axtree);
	put_screenshot_path(job, &w);
	jsonw_key_str(&w, "download_dir",
		str_from(
			arena_printf(&job->request->arena, "%s/.downloads", job->cursor->workdir)));
	jsonw_key_int(&w, "timeout_ms", timeout_ms);
	jsonw_close(&w);
	job_perform(job, &browse_action, &params, on_step);
}

/* What begins with no scheme is a file, seen from where the shell is. */
static struct str url_of(struct job *job, struct str asked)
{
	ptrdiff_t colon = str_find_char(asked, ':'), slash = str_find_char(asked, '/');
	if (colon > 1 && (slash < 0 || colon < slash))
		return asked;
	return str_from(arena_printf(&job->request->arena, "file://%.*s",
		STR_ARG(files_resolve(job, asked))));
}

static void browse_start(struct job *job, const void *params)
{
	const struct browse_args *args = params;
	struct stepping *s = arena_new(&job->request->arena, struct stepping);
	s->asked = url_of(job, args->url);
	s->action = str_from(
		arena_printf(&job->request->arena, "goto(\"%.*s\")", STR_ARG(s->asked)));
	job->state = s;
	perform(job, "url", s->asked, args->wants_axtree);
}

static void interact_start(struct job *job, const void *params)
{
	const struct interact_args *args = params;
	struct stepping *s = arena_new(&job->request->arena, struct stepping);
	s->is_interactive = true;
	s->asked = STR("");
	s->action = args->actions;
	job->state = s;
	perform(job, "program", args->actions, args->wants_axtree);
}

const struct job_kind browse_kind = {
	.name = "browse",
	.fields = browse_fields,
	.args_size = sizeof(struct browse_args),
	.start = browse_start,
};

const struct job_kind browse_interactive_kind = {
	.name = "browse_interactive",
	.fields = interact_fields,
	.args_size = sizeof(struct interact_args),
	.start = interact_start,
};
