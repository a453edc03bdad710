/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/internal.h"

#include "base/auto.h"
#include "runtime/shed.h"
#include "wire/frame.h"
#include "wire/trim.h"
#include "wire/utf8.h"

/* JSON that did not fit is replaced by how much there was. */
static void cut_to(struct buf *b, size_t start, size_t bytes)
{
	buf_cut(b, start);
	b->is_full = false;
	buf_printf(b, "{\"cut\":true,\"bytes\":%zu}", bytes);
}

/* Appends `json`, already a value, with long strings cut; leaves room for what follows it. */
static int put_trimmed(struct buf *b, struct str json, char *ret_kind, struct error *err)
{
	size_t start = b->len;
	if (trim_json(json, EVENT_CONTENT_MAX, b, ret_kind, err) < 0)
		return -1;
	if (b->is_full || b->len + 1024 > b->limit)
		cut_to(b, start, json.len);
	return 0;
}

void audit_state(const struct sandbox *s, bool with_spec, struct buf *b)
{
	struct jsonw w = JSONW(b);
	jsonw_open(&w);
	jsonw_key_str(&w, "state", str_from(sandbox_state_name(s->state)));
	if (s->reason[0])
		jsonw_key_str(&w, "reason", str_from(s->reason));
	if (with_spec) {
		if (s->name[0])
			jsonw_key_str(&w, "name", str_from(s->name));
		jsonw_key(&w, "spec");
		put_trimmed(b, str_from(s->spec_json), NULL, NULL);
		w.needs_comma = true;
	}
	jsonw_close(&w);
}

static void put_masked(const struct json *value, struct jsonw *w)
{
	if (json_kind(value) != JSON_KIND_OBJECT) {
		jsonw_str(w, STR("***"));
		return;
	}
	jsonw_open(w);
	void *it = NULL;
	struct str key;
	while (json_next(value, &it, &key)) {
		jsonw_key_dyn(w, key);
		jsonw_str(w, STR("***"));
	}
	jsonw_close(w);
}

/* A long one is cut before it is written: of 16 MiB nobody should write all but 32 KiB in vain. */
static void put_text(struct str text, struct jsonw *w)
{
	struct str kept = str_first(text, EVENT_CONTENT_MAX);
	if (kept.len == text.len) {
		jsonw_str(w, text);
		return;
	}
	kept = str_first(kept, kept.len - utf8_incomplete_tail(kept));
	jsonw_str(w, kept);
	buf_cut(w->b, w->b->len - 1); /* the closing quote comes later */
	buf_printf(w->b, "… [%zu more bytes]\"", text.len - kept.len);
}

static void put_param(const struct field *f, const struct json *value, struct jsonw *w)
{
	jsonw_key(w, f->name);
	if (f->flags & FIELD_SECRET) {
		put_masked(value, w);
		return;
	}
	if (json_kind(value) == JSON_KIND_STR) {
		put_text(json_str(value), w);
		return;
	}
	auto_buf struct buf text = BUF_INIT(2 * FRAME_PAYLOAD_MAX);
	json_write(value, &text);
	struct error err;
	if (put_trimmed(w->b, buf_str(&text), NULL, &err) < 0)
		buf_puts(w->b, "null");
	w->needs_comma = true;
}

void audit_action(const struct action *action, const struct json *params, struct buf *b)
{
	struct jsonw w = JSONW(b);
	jsonw_open(&w);
	jsonw_key_str(&w, "action", str_from(action->name));
	jsonw_key(&w, "params");
	size_t start = b->len;
	jsonw_open(&w);
	for (const struct field *f = action->fields; f->name; f++) {
		const struct json *value = json_find(params, f->name);
		if (json_kind(value) != JSON_KIND_NULL)
			put_param(f, value, &w);
	}
	jsonw_close(&w);
	if (b->is_full) {
		cut_to(b, start, b->limit);
		w.needs_comma = true;
	}
	jsonw_close(&w);
}

static void open_observation(const struct action *action, int64_t duration_us, struct jsonw *w)
{
	jsonw_open(w);
	jsonw_key_str(w, "action", str_from(action->name));
	jsonw_key(w, "duration_ms");
	jsonw_real(w, (double)duration_us / 1000.0);
}

int audit_result(const struct action *action, int64_t duration_us, struct str result, struct buf *b,
	struct error *err)
{
	struct jsonw w = JSONW(b);
	char kind = 0;
	open_observation(action, duration_us, &w);
	jsonw_key(&w, "result");
	if (put_trimmed(b, result, &kind, err) < 0)
		return error_wrap(err, "the executor's result of %s", action->name);
	if (kind != '{')
		return error_set(err, ERROR_PROTOCOL, "the executor's result of %s is no object",
			action->name);
	w.needs_comma = true;
	jsonw_close(&w);
	return 0;
}

void audit_error(const struct action *action, int64_t duration_us, const struct error *e,
	struct buf *b)
{
	struct jsonw w = JSONW(b);
	open_observation(action, duration_us, &w);
	jsonw_key(&w, "error");
	jsonw_error(&w, e);
	jsonw_close(&w);
}

/*
 * Who has had a share of the log and a part of it more sheds that part: its own oldest events go,
 * and nobody else's.
 */
static void count_event(struct sandbox *s, const struct event *event)
{
	struct store *store = s->runtime->store;
	int64_t share = store_share(store), more;
	s->event_bytes += shed_cost((int64_t)event->data.len);
	more = s->event_bytes - share;
	if (more > share / SHED_PARTS && store_shed(store, s->id, more))
		s->event_bytes = share;
}

int64_t audit_add(struct sandbox *s, const char *kind, int64_t cause, const struct buf *data)
{
	auto_buf struct buf masked = BUF_INIT(2 * EVENT_DATA_MAX);
	if (mask_finds(&s->mask, buf_str(data), MASK_JSON)) {
		mask_put(&s->mask, buf_str(data), MASK_JSON, &masked);
		data = &masked;
	}
	struct event event = {
		.index = ++s->next_index,
		.cause = cause,
		.sandbox = str_from(s->id),
		.kind = str_from(kind),
		.data = buf_str(data),
	};
	follow_note(s->runtime, s, kind);
	int64_t seq = store_event(s->runtime->store, &event);
	count_event(s, &event);
	return seq;
}
