/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /upload: a form with `file`, `target_path` and `unzip`, in that order. Where the file goes, and
 * what it is, comes behind it: so it is stored in the sandbox under a name of ours as it arrives,
 * and moved, or unpacked there, when the form has ended. Nothing of it is kept in the server.
 *
 *	staged ──▶ form ended ──▶ move ───────────────▶ answer
 *	                      ├─▶ unpack ──▶ remove ──▶ answer
 *	                      └─▶ refused ─▶ remove ──▶ answer
 */
#include "action/file_actions.h"
#include "base/auto.h"
#include "base/bug.h"
#include "base/id.h"
#include "face/swerex/state.h"
#include "wire/multipart.h"

#include <stdio.h>

enum { FIELD_BYTES = 4096, PARAMS_BYTES = 64 * 1024, STAGING_SIZE = ID_SIZE + 32 };

enum part { PART_OTHER, PART_FILE, PART_TARGET, PART_UNZIP };

struct upload {
	struct http_request *r;
	struct swerex *swerex;
	char sandbox[ID_SIZE];
	char staging[STAGING_SIZE]; /* a path; "": no file came yet */
	struct multipart form;
	enum part field;
	struct buf target, unzip;
	struct runtime_call *call; /* NULL: none under way */
	bool is_taking;            /* the call is the one that stores the file */
	bool is_stored, has_ended; /* the file is there whole; the form has ended */
	struct error failure;      /* told when the staged file is gone */
	bool is_refused;           /* … with 422 */
};

static void upload_free(struct upload *u)
{
	if (u->call)
		runtime_call_cancel(u->call);
	multipart_fini(&u->form);
	buf_fini(&u->target);
	buf_fini(&u->unzip);
	free(u);
}

static void answer(struct upload *u, int status, struct str body)
{
	struct http_request *r = u->r;
	upload_free(u);
	http_reply(r, status, "application/json", body);
}

static void answer_error(struct upload *u, const struct error *err)
{
	auto_buf struct buf b = BUF_INIT(16 * 1024);
	struct http_request *r = u->r;
	if (u->is_refused) {
		const struct error refusal = *err;
		upload_free(u);
		swerex_detail(r, 422, refusal.text);
		return;
	}
	fault_put(&b, fault_class(err, BUILTIN("FileNotFoundError")), str_from(err->text),
		STR_NONE);
	answer(u, 511, buf_str(&b));
}

static void remove_staged(struct upload *u);

/* What was staged goes first. */
static void fail(struct upload *u, const struct error *err)
{
	u->failure = *err;
	if (u->is_stored)
		remove_staged(u);
	else
		answer_error(u, &u->failure);
}

static void refuse(struct upload *u, const char *text)
{
	struct error err;
	error_set(&err, ERROR_INVALID, "%s", text);
	u->is_refused = true;
	fail(u, &err);
}

static void on_failed(void *arg, const struct error *err)
{
	struct upload *u = arg;
	u->call = NULL;
	fail(u, err);
}

static void on_error(void *arg, const struct error *err)
{
	struct upload *u = arg;
	u->call = NULL;
	answer_error(u, err);
}

static void perform(struct upload *u, const struct action *action, const struct buf *params,
	const struct call_sink *sink)
{
	struct error err;
	struct sandbox *s = runtime_find(u->swerex->rt, str_from(u->sandbox), &err);
	if (s)
		u->call = runtime_perform(s, action, buf_str(params), sink, u);
	else
		answer_error(u, &err);
}

/* ---- at the end of the form ---- */

static void on_put(void *arg, struct str result)
{
	struct upload *u = arg;
	u->call = NULL;
	answer(u, 200, SWEREX_EMPTY);
}

static void move_file(struct upload *u)
{
	static const struct call_sink sink = { .result = on_put, .error = on_failed };
	auto_buf struct buf params = BUF_INIT(PARAMS_BYTES);
	struct jsonw w = JSONW(&params);
	jsonw_open(&w);
	jsonw_key_str(&w, "path", str_from(u->staging));
	jsonw_key_str(&w, "to", buf_str(&u->target));
	jsonw_key_bool(&w, "overwrite", true);
	jsonw_close(&w);
	perform(u, &move_action, &params, &sink);
}

static void on_removed(void *arg, struct str result)
{
	struct upload *u = arg;
	u->call = NULL;
	if (u->failure.code != ERROR_OK)
		answer_error(u, &u->failure);
	else
		answer(u, 200, SWEREX_EMPTY);
}

static void remove_staged(struct upload *u)
{
	static const struct call_sink sink = { .result = on_removed, .error = on_error };
	auto_buf struct buf params = BUF_INIT(PARAMS_BYTES);
	struct jsonw w = JSONW(&params);
	jsonw_open(&w);
	jsonw_key_str(&w, "path", str_from(u->staging));
	jsonw_key_bool(&w, "missing_ok", true);
	jsonw_close(&w);
	perform(u, &remove_action, &params, &sink);
}

static void on_unpacked(void *arg, struct str result)
{
	struct upload *u = arg;
	u->call = NULL;
	remove_staged(u);
}

static void unpack_file(struct upload *u)
{
	static const struct call_sink sink = { .result = on_unpacked, .error = on_failed };
	auto_buf struct buf params = BUF_INIT(PARAMS_BYTES);
	struct jsonw w = JSONW(&params);
	jsonw_open(&w);
	jsonw_key_str(&w, "path", buf_str(&u->target));
	jsonw_key_str(&w, "kind", STR("zip"));
	jsonw_key_str(&w, "from", str_from(u->staging));
	jsonw_close(&w);
	perform(u, &upload_action, &params, &sink);
}

/* As pydantic reads a boolean of a form. 1, 0, -1: neither. */
static int truth_of(struct str text)
{
	static const char *const yes[] = { "true", "1", "on", "yes", "t", "y" };
	static const char *const no[] = { "false", "0", "off", "no", "f", "n", "" };
	for (size_t i = 0; i < ARRAY_LEN(yes); i++)
		if (str_eq_nocase(text, str_from(yes[i])))
			return 1;
	for (size_t i = 0; i < ARRAY_LEN(no); i++)
		if (str_eq_nocase(text, str_from(no[i])))
			return 0;
	return -1;
}

static void go_on(struct upload *u)
{
	if (!u->has_ended || (u->staging[0] && !u->is_stored))
		return;
	int unzips = truth_of(buf_str(&u->unzip));
	bool has_target = u->target.len && !u->target.is_full && !str_has_nul(buf_str(&u->target));
	if (!u->staging[0])
		refuse(u, "file: Field required");
	else if (!has_target || unzips < 0)
		refuse(u,
			has_target ? "unzip: Input should be a valid boolean"
				   : "target_path: Field required");
	else if (unzips)
		unpack_file(u);
	else
		move_file(u);
}

/* ---- the file ---- */

static void on_stored(void *arg, struct str result)
{
	struct upload *u = arg;
	u->call = NULL;
	u->is_taking = false;
	u->is_stored = true;
	go_on(u);
}

static void on_taken(void *arg)
{
	struct upload *u = arg;
	http_pause_body(u->r, false);
}

static void begin_file(struct upload *u)
{
	static const struct call_sink sink = {
		.drain = on_taken,
		.result = on_stored,
		.error = on_error,
	};
	auto_buf struct buf params = BUF_INIT(PARAMS_BYTES);
	struct jsonw w = JSONW(&params);
	struct sandbox *s = runtime_find(u->swerex->rt, str_from(u->sandbox), NULL);
	char id[ID_SIZE];
	id_make(id);
	snprintf(u->staging, sizeof(u->staging), "/tmp/.upload-%s", id);
	if (!s)
		return; /* nothing is stored: the end of the form tells */
	jsonw_open(&w);
	jsonw_key_str(&w, "path", str_from(u->staging));
	jsonw_close(&w);
	u->call = runtime_perform(s, &upload_action, buf_str(&params), &sink, u);
	u->is_taking = true;
}

/* ---- the form ---- */

static int on_part(void *arg, const struct multipart_part *part, struct error *err)
{
	struct upload *u = arg;
	u->field = PART_OTHER;
	if (str_is(part->name, "target_path"))
		u->field = PART_TARGET;
	else if (str_is(part->name, "unzip"))
		u->field = PART_UNZIP;
	if (!str_is(part->name, "file"))
		return 0;
	if (u->staging[0])
		return error_set(err, ERROR_INVALID, "file: there is more than one");
	u->field = PART_FILE;
	begin_file(u);
	return 0;
}

static int on_data(void *arg, struct str bytes, struct error *err)
{
	struct upload *u = arg;
	if (u->field == PART_TARGET)
		buf_put(&u->target, bytes);
	else if (u->field == PART_UNZIP)
		buf_put(&u->unzip, bytes);
	if (u->field != PART_FILE || !u->is_taking)
		return 0;
	runtime_call_send(u->call, 0, bytes);
	if (runtime_call_is_full(u->call))
		http_pause_body(u->r, true);
	return 0;
}

static int on_part_end(void *arg, struct error *err)
{
	struct upload *u = arg;
	if (u->field == PART_FILE && u->is_taking)
		runtime_call_eof(u->call, 0);
	u->field = PART_OTHER;
	return 0;
}

static void on_body(void *arg, struct str bytes)
{
	struct upload *u = arg;
	struct error err;
	if (multipart_parse(&u->form, bytes, &err) < 0)
		refuse(u, err.text);
}

static void on_body_end(void *arg)
{
	struct upload *u = arg;
	struct error err;
	if (multipart_end(&u->form, &err) < 0) {
		refuse(u, err.text);
		return;
	}
	u->has_ended = true;
	if (u->staging[0] && !u->is_stored && !u->call) {
		error_set(&err, ERROR_GONE, "the sandbox is gone");
		answer_error(u, &err);
		return;
	}
	go_on(u);
}

static void on_closed(void *arg)
{
	struct upload *u = arg;
	struct error err;
	error_set(&err, ERROR_CANCELLED, "the client went away");
	if (!u->is_stored || !u->call)
		fail(u, &err); /* else it is there whole: that goes on */
}

static void on_place(void *arg, struct sandbox *s)
{
	static const struct multipart_ops parts = { on_part, on_data, on_part_end };
	static const struct http_ops ops = {
		.on_body = on_body,
		.on_body_end = on_body_end,
		.on_closed = on_closed,
	};
	struct http_request *r = arg;
	struct error err;
	if (!s)
		return;
	if (http_is_closed(r)) {
		swerex_detail(r, 499, "the client went away");
		return;
	}
	struct upload *u = mem_new(struct upload);
	u->r = r;
	u->swerex = swerex_of(r);
	snprintf(u->sandbox, sizeof(u->sandbox), "%s", s->id);
	buf_init(&u->target, FIELD_BYTES);
	buf_init(&u->unzip, FIELD_BYTES);
	if (multipart_init(&u->form, http_header(r, "Content-Type"), &parts, u, &err) < 0) {
		refuse(u, err.text);
		return;
	}
	http_listen(r, &ops, u);
	http_pause_body(r, false);
}

void swerex_upload(struct http_request *r)
{
	http_pause_body(r, true); /* until the sandbox is there */
	place_get(r, on_place, r);
}
