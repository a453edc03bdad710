/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What this face knows of its sandboxes: their notes.
 *
 *	{"face":"opensandbox","image":…|"snapshot":…,"entrypoint":[…],"metadata":{…},
 *	 "policy":{…}|null,"end_ms":…|0,"public":…}
 *
 * The time to live is the core's: at its end the sandbox goes, paused or not. end_ms is that end as
 * a date, as clients were told it.
 */
#include "face/opensandbox/state.h"

#include "base/auto.h"

#define MARK "{\"face\":\"opensandbox\","
#define HOME "/root"

struct json *osb_note(const struct sandbox *s)
{
	struct json *note = NULL;
	if (!s->note || !str_starts(str_from(s->note), STR(MARK)) ||
		json_parse(str_from(s->note), &note, NULL) < 0)
		return NULL;
	return note;
}

struct sandbox *osb_find(struct osb *o, struct str id)
{
	struct error err;
	struct sandbox *s = id_is_valid(id) ? runtime_find(o->rt, id, &err) : NULL;
	bool is_there = s && !sandbox_state_is_final(s->state) && s->state != SANDBOX_ENDING &&
		s->state != SANDBOX_STOPPING && str_starts(str_from(s->note), STR(MARK));
	return is_there ? s : NULL;
}

struct sandbox *osb_sandbox(struct http_request *r)
{
	struct str id = http_param(r, "id");
	struct sandbox *s = osb_find(osb_of(r), id);
	if (!s)
		osb_fail(r, 404, "NOT_FOUND", "Sandbox %.*s not found",
			STR_ARG(str_first(id, 100)));
	return s;
}

/* Not answered by 404, which is a file's that is not there. */
struct sandbox *osb_execd_sandbox(struct http_request *r)
{
	struct str id = http_param(r, "id");
	struct sandbox *s = osb_find(osb_of(r), id);
	if (s && s->state != SANDBOX_PAUSED)
		return s;
	osb_fail(r, s ? 503 : 502, "SANDBOX_NOT_RUNNING", "sandbox %.*s %s",
		STR_ARG(str_first(id, 100)), s ? "is paused" : "is gone");
	return NULL;
}

struct chore *osb_chore(struct http_request *r)
{
	const struct sandbox *s = osb_execd_sandbox(r);
	return s ? chore_new(r, osb_of(r)->rt, s->id, osb_execd_error) : NULL;
}

const char *osb_state_name(const struct sandbox *s)
{
	switch (s->state) {
	case SANDBOX_READY:
	case SANDBOX_RUNNING:
		return "Running";
	case SANDBOX_PAUSED:
		return "Paused";
	case SANDBOX_ENDING:
	case SANDBOX_STOPPING:
		return "Stopping";
	case SANDBOX_FAILED:
		return "Failed";
	case SANDBOX_STOPPED:
	case SANDBOX_ENDED:
		return "Terminated";
	default:
		return "Pending";
	}
}

static void put_status(struct jsonw *w, const struct sandbox *s)
{
	jsonw_key(w, "status");
	jsonw_open(w);
	jsonw_key_str(w, "state", str_from(osb_state_name(s)));
	jsonw_key_str(w, "reason", str_from(sandbox_state_name(s->state)));
	if (s->reason[0])
		jsonw_key_str(w, "message", str_from(s->reason));
	jsonw_close(w);
}

void osb_put_sandbox(struct jsonw *w, const struct sandbox *s, const struct json *note)
{
	struct str image = json_str(json_find(note, "image"));
	struct str snapshot = json_str(json_find(note, "snapshot"));
	int64_t end_ms = json_int(json_find(note, "end_ms"));
	jsonw_open(w);
	jsonw_key_str(w, "id", str_from(s->id));
	put_status(w, s);
	if (snapshot.len) {
		jsonw_key_str(w, "snapshotId", snapshot);
	} else {
		jsonw_key(w, "image");
		jsonw_open(w);
		jsonw_key_str(w, "uri", image);
		jsonw_close(w);
	}
	osb_key_json(w, "metadata", json_find(note, "metadata"));
	osb_key_json(w, "entrypoint", json_find(note, "entrypoint"));
	if (end_ms)
		osb_key_time(w, "expiresAt", end_ms);
	osb_key_time(w, "createdAt", s->created_ms);
	jsonw_close(w);
}

int osb_note_with(const struct json *note, const char *key, struct str value, struct buf *ret,
	struct error *err)
{
	struct jsonw w = JSONW(ret);
	const struct json *member;
	struct str name;
	void *it = NULL;
	buf_puts(ret, "{\"face\":\"opensandbox\"");
	w.needs_comma = true;
	while ((member = json_next(note, &it, &name))) {
		auto_buf struct buf kept = BUF_INIT(CREATE_NOTE_BYTES);
		if (str_is(name, "face"))
			continue;
		json_write(member, &kept);
		jsonw_key_dyn(&w, name);
		jsonw_raw(&w, str_is(name, key) ? value : buf_str(&kept));
	}
	buf_putc(ret, '}');
	if (!ret->is_full)
		return 0;
	return error_set(err, ERROR_TOO_LARGE, "%s: too much is kept of this sandbox", key);
}

bool osb_path_is_good(struct str path)
{
	return path.len && path.len <= OSB_PATH_MAX && !str_has_nul(path);
}

struct str osb_path(struct http_request *r, struct str path)
{
	if (!str_is(path, "~") && !str_starts(path, STR("~/")))
		return str_from_len(arena_str(&r->arena, path), path.len);
	return str_from(arena_printf(&r->arena, HOME "%.*s", STR_ARG(str_skip(path, 1))));
}
