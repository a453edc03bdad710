/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sandboxes as this face knows them: in memory, and as notes of their sandboxes, from which they
 * come back after a restart. One timer per box is for the end of its time to live, at which it goes
 * or is paused; one that is paused has no end.
 */
#include "face/e2b/state.h"

#include "base/auto.h"
#include "base/bug.h"
#include "base/clock.h"
#include "http/origin.h"

enum { TIMER_MAX_MS = 24 * 3600 * 1000 };

struct sandbox *e2b_box_sandbox(const struct e2b_box *b)
{
	struct error err;
	return runtime_find(b->e2b->rt, str_from(b->id), &err);
}

bool e2b_box_is_paused(const struct e2b_box *b)
{
	const struct sandbox *s = e2b_box_sandbox(b);
	return s && s->state == SANDBOX_PAUSED;
}

/* ---- notes ---- */

void e2b_box_put_note(const struct e2b_box *b, struct buf *note)
{
	auto_buf struct buf metadata = BUF_INIT(CREATE_NOTE_BYTES);
	struct jsonw w = JSONW(note);
	jsonw_open(&w);
	jsonw_key_str(&w, "face", STR("e2b"));
	jsonw_key_str(&w, "template", str_from(b->template_id));
	jsonw_key_bool(&w, "pauses", b->pauses);
	jsonw_key_bool(&w, "resumes", b->resumes);
	jsonw_key_bool(&w, "public", b->is_public);
	jsonw_key_bool(&w, "offline", b->is_offline);
	jsonw_key_int(&w, "started_ms", b->started_ms);
	jsonw_key_int(&w, "end_ms", b->end_ms);
	if (b->metadata && json_write(b->metadata, &metadata) == 0) {
		jsonw_key(&w, "metadata");
		jsonw_raw(&w, buf_str(&metadata));
	}
	jsonw_close(&w);
}

int e2b_box_save(struct e2b_box *b, struct error *err)
{
	auto_buf struct buf note = BUF_INIT(CREATE_NOTE_BYTES);
	struct sandbox *s = e2b_box_sandbox(b);
	if (!s)
		return 0;
	e2b_box_put_note(b, &note);
	return runtime_set_note(s, buf_str(&note), err);
}

static void read_note(struct e2b_box *b, const struct json *note)
{
	auto_buf struct buf metadata = BUF_INIT(CREATE_NOTE_BYTES);
	const struct json *found = json_find(note, "metadata");
	b->template_id = str_dup(json_str(json_find(note, "template")));
	b->pauses = json_bool(json_find(note, "pauses"));
	b->resumes = json_bool(json_find(note, "resumes"));
	b->is_public = json_bool(json_find(note, "public"));
	b->is_offline = json_bool(json_find(note, "offline"));
	b->started_ms = json_int(json_find(note, "started_ms"));
	b->end_ms = json_int(json_find(note, "end_ms"));
	/* A server that was started anew knows no better than the date. */
	b->due_ms = b->end_ms - (clock_wall_ms() - clock_mono_ms());
	if (found && json_write(found, &metadata) == 0)
		json_parse(buf_str(&metadata), &b->metadata, NULL);
}

/* ---- the end of its time ---- */

static void on_ended(void *arg, const struct error *err)
{
}

struct ending {
	struct e2b *e2b;
	char id[ID_SIZE];
};

static void on_paused(void *arg, const struct error *err)
{
	struct ending *ending = arg;
	struct e2b_box *b = map_find(&ending->e2b->by_id, str_from(ending->id));
	struct sandbox *s = b ? e2b_box_sandbox(b) : NULL;
	free(ending);
	if (!b)
		return;
	b->is_changing = false;
	if (err && s)
		runtime_destroy(s, on_ended, NULL); /* its time is over, one way or the other */
	e2b_box_save(b, NULL);
}

static void on_timer(void *arg)
{
	struct e2b_box *b = arg;
	struct sandbox *s = e2b_box_sandbox(b);
	if (!s) {
		e2b_box_free(b);
		return;
	}
	if (b->due_ms > clock_mono_ms() || b->is_changing || s->state == SANDBOX_PAUSED) {
		e2b_box_schedule(b);
		return;
	}
	if (!b->pauses) {
		e2b_box_free(b);
		runtime_destroy(s, on_ended, NULL);
		return;
	}
	struct ending *ending = mem_new(struct ending);
	ending->e2b = b->e2b;
	snprintf(ending->id, sizeof(ending->id), "%s", b->id);
	b->is_changing = true;
	e2b_watchers_drop(b);
	runtime_pause(s, true, on_paused, ending);
}

void e2b_box_schedule(struct e2b_box *b)
{
	int64_t left = b->due_ms - clock_mono_ms();
	if (e2b_box_is_paused(b))
		timer_clear(b->timer);
	else
		timer_set(b->timer, MIN(MAX(left, (int64_t)1), (int64_t)TIMER_MAX_MS));
}

void e2b_box_set_end(struct e2b_box *b, int64_t timeout_s)
{
	b->end_ms = clock_wall_ms() + timeout_s * 1000;
	b->due_ms = clock_mono_ms() + timeout_s * 1000;
}

/* ---- boxes ---- */

struct e2b_box *e2b_box_new(struct e2b *e, struct sandbox *s)
{
	auto_json struct json *note = NULL;
	if (!s->note || !s->note[0] || json_parse(str_from(s->note), &note, NULL) < 0 ||
		!str_is(json_str(json_find(note, "face")), "e2b"))
		return NULL;
	struct e2b_box *b = mem_new(struct e2b_box);
	b->e2b = e;
	snprintf(b->id, sizeof(b->id), "%s", s->id);
	list_init(&b->watchers);
	list_init(&b->contexts);
	read_note(b, note);
	s->has_open_ports = b->is_public;
	b->timer = timer_new(e->loop, on_timer, b);
	list_append(&e->boxes, &b->link);
	map_put(&e->by_id, str_from(b->id), b);
	e2b_box_schedule(b);
	return b;
}

void e2b_box_free(struct e2b_box *b)
{
	e2b_watchers_drop(b);
	e2b_contexts_drop(b);
	map_remove(&b->e2b->by_id, str_from(b->id));
	list_remove(&b->link);
	timer_free(b->timer);
	json_free(b->metadata);
	free(b->template_id);
	free(b);
}

struct e2b_box *e2b_box_find(struct e2b *e, struct str id)
{
	struct error err;
	struct e2b_box *b = map_find(&e->by_id, id);
	const struct sandbox *s = id_is_valid(id) ? runtime_find(e->rt, id, &err) : NULL;
	bool is_there = s && !sandbox_state_is_final(s->state) && s->state != SANDBOX_ENDING &&
		s->state != SANDBOX_STOPPING;
	if (b && !is_there) {
		e2b_box_free(b); /* ended by somebody who did not ask us */
		return NULL;
	}
	return b;
}

struct e2b_box *e2b_box_of_request(struct http_request *r)
{
	struct str id = http_param(r, "id");
	struct e2b_box *b = e2b_box_find(e2b_of(r), id);
	if (!b)
		e2b_fail(r, 404, "sandbox \"%.*s\" doesn't exist or you don't have access to it",
			STR_ARG(str_first(id, 100)));
	return b;
}

struct str e2b_id_of_label(struct str label)
{
	static const char *const ports[] = { "49983-", "49999-" };
	for (size_t i = 0; i < ARRAY_LEN(ports); i++)
		if (str_starts(label, str_from(ports[i])))
			return str_skip(label, strlen(ports[i]));
	return STR_NONE;
}

struct str e2b_id_of_data(const struct http_request *r)
{
	struct str id = e2b_id_of_label(http_label(r));
	return id.len ? id : http_header(r, "E2b-Sandbox-Id");
}

struct e2b_box *e2b_box_of_data(struct http_request *r)
{
	struct error err;
	struct str id = e2b_id_of_data(r);
	struct e2b_box *b = id.len ? e2b_box_find(e2b_of(r), id) : e2b_signed_box(r, &err);
	const struct sandbox *s = b ? e2b_box_sandbox(b) : NULL;
	if (s && s->state != SANDBOX_PAUSED && !b->is_changing)
		return b;
	e2b_gone(r, b ? str_from(b->id) : id);
	return NULL;
}

void e2b_boxes_adopt(struct e2b *e)
{
	for (struct sandbox *s = NULL; (s = runtime_next(e->rt, s));)
		if (!sandbox_state_is_final(s->state))
			e2b_box_new(e, s);
}
