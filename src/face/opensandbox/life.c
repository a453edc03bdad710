/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What makes, ends, pauses and resumes a sandbox, and how long it lives. A change is answered once
 * it is done, so the states on the way to another are not seen.
 */
#include "face/opensandbox/handlers.h"

#include "action/process_actions.h"
#include "base/auto.h"
#include "base/bug.h"
#include "base/clock.h"

#define LIFETIME_MAX_MS (INT64_C(366) * 24 * 3600 * 1000)

static void reply_sandbox(struct http_request *r, int status, const struct sandbox *s)
{
	auto_json struct json *note = osb_note(s);
	auto_buf struct buf body = BUF_INIT(2 * CREATE_NOTE_BYTES);
	struct jsonw w = JSONW(&body);
	osb_put_sandbox(&w, s, note);
	http_reply_json(r, status, &body);
}

/* ---- create ---- */

struct making {
	struct http_request *r;
	struct runtime *rt;
	char id[ID_SIZE];
	struct buf entrypoint; /* parameters of exec; empty: none is to be started */
	bool is_sign;          /* it is ours, and nothing is lost without it */
};

static void on_gone(void *arg, const struct error *err)
{
}

static void making_fail(struct making *m, const struct error *err)
{
	struct error gone;
	struct sandbox *s = m->id[0] ? runtime_find(m->rt, str_from(m->id), &gone) : NULL;
	if (s)
		runtime_destroy(s, on_gone, NULL);
	osb_fail_error(m->r, err);
	buf_fini(&m->entrypoint);
	free(m);
}

static void making_end(struct making *m)
{
	struct error err;
	const struct sandbox *s = runtime_find(m->rt, str_from(m->id), &err);
	if (!s) {
		making_fail(m, &err);
		return;
	}
	http_reply_header(m->r, "Location",
		arena_printf(&m->r->arena, "/opensandbox/v1/sandboxes/%s", s->id));
	reply_sandbox(m->r, 202, s);
	buf_fini(&m->entrypoint);
	free(m);
}

static void on_begun(void *arg, struct str result)
{
	making_end(arg);
}

static void on_not_begun(void *arg, const struct error *err)
{
	struct making *m = arg;
	struct error own = *err;
	error_wrap(&own, "start the entrypoint");
	if (m->is_sign)
		making_end(m);
	else
		making_fail(m, &own);
}

static void on_created(void *arg, struct sandbox *s, const struct error *err)
{
	static const struct call_sink sink = { .result = on_begun, .error = on_not_begun };
	struct making *m = arg;
	if (err) {
		making_fail(m, err);
		return;
	}
	snprintf(m->id, sizeof(m->id), "%s", s->id);
	if (m->entrypoint.len)
		runtime_perform(s, &exec_action, buf_str(&m->entrypoint), &sink, m);
	else
		making_end(m);
}

/*
 * By whether something listens at Jupyter's port, SDKs tell that there is an interpreter. Here
 * kernels are started when they are wanted, so what stands in for Jupyter says that one can be.
 */
static const char sign[] =
	"import os, socket\n"
	"s = socket.create_server(('127.0.0.1', int(os.environ.get('JUPYTER_PORT', 44771))))\n"
	"while True: s.accept()[0].close()\n";

static bool is_of_interpreter(const struct osb_wish *wish, const struct json *entrypoint)
{
	return wish->is_stand_in &&
		str_starts(json_str(json_at(entrypoint, 0)), STR("/opt/code-interpreter/"));
}

/* A command that only keeps a container alive. */
static bool is_needless(const struct json *entrypoint)
{
	return json_len(entrypoint) == 0 ||
		(json_len(entrypoint) == 3 && str_is(json_str(json_at(entrypoint, 0)), "tail") &&
			str_is(json_str(json_at(entrypoint, 1)), "-f") &&
			str_is(json_str(json_at(entrypoint, 2)), "/dev/null"));
}

static void put_entrypoint(const struct osb_wish *wish, struct making *m)
{
	static const char *const argv[] = { "python3", "-I", "-S", "-c", sign };
	const struct json *entrypoint = json_find(wish->body, "entrypoint");
	struct jsonw w = JSONW(&m->entrypoint);
	if (is_needless(entrypoint))
		return;
	m->is_sign = is_of_interpreter(wish, entrypoint);
	jsonw_open(&w);
	if (m->is_sign) {
		jsonw_key(&w, "argv");
		jsonw_open_array(&w);
		for (size_t i = 0; i < ARRAY_LEN(argv); i++)
			jsonw_str(&w, str_from(argv[i]));
		jsonw_close_array(&w);
	} else {
		osb_key_json(&w, "argv", entrypoint);
	}
	jsonw_key_bool(&w, "detach", true);
	jsonw_key_bool(&w, "merge", true);
	jsonw_close(&w);
}

void osb_create(struct http_request *r)
{
	auto_json struct json *body = osb_body(r);
	auto_buf struct buf note = BUF_INIT(CREATE_NOTE_BYTES);
	struct error err;
	if (!body)
		return;
	struct osb_wish wish = { .arena = &r->arena, .body = body };
	wish.create = arena_new(&r->arena, struct create);
	int result = osb_wish_read(osb_of(r), &wish, &err);
	if (result == 0) {
		osb_wish_put_note(&wish, &note);
		wish.create->note = buf_str(&note);
		if (note.is_full)
			result = error_set(&err, ERROR_TOO_LARGE, "the request is too large");
	}
	if (result < 0) {
		osb_fail_error(r, &err);
		return;
	}
	struct making *m = mem_new(struct making);
	m->r = r;
	m->rt = osb_of(r)->rt;
	buf_init(&m->entrypoint, OSB_PARAMS_MAX);
	put_entrypoint(&wish, m);
	runtime_create(m->rt, wish.create, on_created, m);
}

/* ---- get, delete ---- */

void osb_get(struct http_request *r)
{
	const struct sandbox *s = osb_sandbox(r);
	if (s)
		reply_sandbox(r, 200, s);
}

static void on_deleted(void *arg, const struct error *err)
{
	struct http_request *r = arg;
	if (err && err->code != ERROR_NOT_FOUND)
		osb_fail_error(r, err);
	else
		osb_empty(r, 204);
}

void osb_delete(struct http_request *r)
{
	struct sandbox *s = osb_sandbox(r);
	if (s)
		runtime_destroy(s, on_deleted, r);
}

/* ---- pause, resume ---- */

static void on_changed(void *arg, const struct error *err)
{
	struct http_request *r = arg;
	if (err)
		osb_fail_error(r, err);
	else
		osb_empty(r, 202);
}

static void change(struct http_request *r, bool is_paused)
{
	struct sandbox *s = osb_sandbox(r);
	if (!s)
		return;
	if ((s->state == SANDBOX_PAUSED) == is_paused)
		osb_fail(r, 409, "CONFLICT", "Sandbox %s is %s", s->id,
			is_paused ? "paused already" : "not paused");
	else
		runtime_pause(s, is_paused, on_changed, r);
}

void osb_pause(struct http_request *r)
{
	change(r, true);
}

void osb_resume(struct http_request *r)
{
	change(r, false);
}

/* ---- its time ---- */

void osb_renew(struct http_request *r)
{
	struct sandbox *s = osb_sandbox(r);
	auto_json struct json *body = s ? osb_body(r) : NULL, *note = s ? osb_note(s) : NULL;
	auto_buf struct buf reply = BUF_INIT(1024), text = BUF_INIT(64),
			    kept = BUF_INIT(CREATE_NOTE_BYTES);
	struct jsonw w = JSONW(&reply);
	int64_t end_ms, now_ms = clock_wall_ms();
	struct error err;
	if (!body)
		return;
	if (clock_parse(json_str(json_find(body, "expiresAt")), &end_ms) < 0 || end_ms <= now_ms ||
		end_ms - now_ms > LIFETIME_MAX_MS) {
		error_set(&err, ERROR_INVALID,
			"expiresAt must be a date in the future, and within a year");
		osb_fail_error(r, &err);
		return;
	}
	buf_printf(&text, "%lld", (long long)end_ms);
	if (osb_note_with(note, "end_ms", buf_str(&text), &kept, &err) < 0) {
		osb_fail_error(r, &err);
		return;
	}
	runtime_set_timeout(s, end_ms - now_ms);
	if (runtime_set_note(s, buf_str(&kept), &err) < 0) {
		osb_fail_error(r, &err);
		return;
	}
	jsonw_open(&w);
	osb_key_time(&w, "expiresAt", end_ms);
	jsonw_close(&w);
	http_reply_json(r, 200, &reply);
}

/* ---- metadata ---- */

struct metadata {
	struct arena *arena;
	struct field_map map;
};

static int add(struct metadata *m, struct str key, struct str value, struct error *err)
{
	if (m->map.n == CREATE_LABELS_MAX)
		return error_set(err, ERROR_LIMIT, "metadata: over %d keys", CREATE_LABELS_MAX);
	m->map.keys[m->map.n] = key;
	m->map.values[m->map.n++] = value;
	return 0;
}

/* RFC 7396: null takes a key away, what is not named stays. */
static int merge(struct metadata *m, const struct json *old, const struct json *patch,
	struct error *err)
{
	const struct json *value;
	struct str key;
	void *it = NULL;
	while ((value = json_next(old, &it, &key)))
		if (!json_find(patch, arena_str(m->arena, key)) &&
			add(m, key, json_str(value), err) < 0)
			return -1;
	it = NULL;
	while ((value = json_next(patch, &it, &key))) {
		if (json_kind(value) == JSON_KIND_NULL)
			continue;
		if (json_kind(value) != JSON_KIND_STR)
			return error_set(err, ERROR_INVALID, "metadata '%.*s' is no string",
				STR_ARG(str_first(key, 100)));
		if (osb_check_metadata(key, json_str(value), err) < 0 ||
			add(m, key, json_str(value), err) < 0)
			return -1;
	}
	return 0;
}

void osb_patch_metadata(struct http_request *r)
{
	struct sandbox *s = osb_sandbox(r);
	auto_json struct json *patch = s ? osb_body(r) : NULL, *note = s ? osb_note(s) : NULL;
	auto_buf struct buf text = BUF_INIT(CREATE_NOTE_BYTES), kept = BUF_INIT(CREATE_NOTE_BYTES);
	struct jsonw w = JSONW(&text);
	struct metadata m = { .arena = &r->arena };
	struct error err;
	if (!patch)
		return;
	m.map.keys = arena_new_n(&r->arena, struct str, CREATE_LABELS_MAX);
	m.map.values = arena_new_n(&r->arena, struct str, CREATE_LABELS_MAX);
	if (merge(&m, json_find(note, "metadata"), patch, &err) < 0) {
		osb_fail_error(r, &err);
		return;
	}
	jsonw_open(&w);
	for (size_t i = 0; i < m.map.n; i++) {
		jsonw_key_dyn(&w, m.map.keys[i]);
		jsonw_str(&w, m.map.values[i]);
	}
	jsonw_close(&w);
	if (osb_note_with(note, "metadata", buf_str(&text), &kept, &err) < 0) {
		osb_fail_error(r, &err);
		return;
	}
	runtime_set_labels(s, &m.map);
	if (runtime_set_note(s, buf_str(&kept), &err) < 0)
		osb_fail_error(r, &err);
	else
		reply_sandbox(r, 200, s);
}

void osb_not_offered(struct http_request *r)
{
	osb_fail(r, 501, "NOT_SUPPORTED", "%.*s is not offered by cay",
		STR_ARG(str_first(r->path, 200)));
}
