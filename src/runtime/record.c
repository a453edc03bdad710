/* SPDX-License-Identifier: Apache-2.0 */
/* What the store keeps of a sandbox, in and out. The columns are those of db.c, in their order. */
#include "runtime/store.h"

#include "base/auto.h"
#include "base/clock.h"
#include "base/bug.h"
#include "runtime/create.h"
#include "runtime/db.h"

enum {
	LABELS_JSON_MAX = 12 * CREATE_LABELS_MAX * CREATE_LABEL_BYTES
}; /* each byte escaped, and more */

static void labels_to_json(const struct sandbox *sandbox, struct buf *b)
{
	struct jsonw w = JSONW(b);
	jsonw_open(&w);
	for (size_t i = 0; i < sandbox->n_labels; i++) {
		jsonw_key_dyn(&w, str_from(sandbox->label_keys[i]));
		jsonw_str(&w, str_from(sandbox->label_values[i]));
	}
	jsonw_close(&w);
}

static void labels_from_json(struct sandbox *sandbox, struct str text)
{
	auto_json struct json *labels = NULL;
	if (json_parse(text, &labels, NULL) < 0)
		return;
	sandbox->label_keys = mem_new_n(char *, json_len(labels) + 1);
	sandbox->label_values = mem_new_n(char *, json_len(labels) + 1);
	void *it = NULL;
	struct str key;
	struct json *value;
	while ((value = json_next(labels, &it, &key))) {
		sandbox->label_keys[sandbox->n_labels] = str_dup(key);
		sandbox->label_values[sandbox->n_labels++] = str_dup(json_str(value));
	}
}

void store_put(struct store *s, const struct sandbox *sandbox)
{
	auto_buf struct buf labels = BUF_INIT(LABELS_JSON_MAX);
	labels_to_json(sandbox, &labels);
	const struct db_value values[] = {
		db_text(str_from(sandbox->id)),
		db_text(str_from(sandbox->backend_id)),
		db_text(str_from(sandbox->name)),
		db_text(str_from(sandbox_state_name(sandbox->state))),
		db_text(str_from(sandbox->reason)),
		db_int(sandbox->created_ms),
		db_int(sandbox->ended_ms),
		db_int(sandbox->timeout_ms),
		db_int(sandbox->idle_timeout_ms),
		db_int(sandbox->deadline_ms),
		db_text(str_from(sandbox->spec_json)),
		db_text(buf_str(&labels)),
		db_blob(&sandbox->enforced, sizeof(sandbox->enforced)),
		db_int(sandbox->init_pid),
		db_text(str_from(sandbox->note)),
		db_text(sandbox->outside_json ? str_from(sandbox->outside_json) : STR("")),
	};
	store_write(s, DB_RECORD_PUT, values, ARRAY_LEN(values));
}

void store_drop(struct store *s, const char *id)
{
	const struct db_value values[] = { db_text(str_from(id)) };
	store_write(s, DB_RECORD_DROP, values, ARRAY_LEN(values));
}

static void take_text(struct db_row *row, int column, char *to, size_t size)
{
	snprintf(to, size, "%.*s", STR_ARG(db_row_bytes(row, column)));
}

/* A sandbox stays guarded as it was, whatever the server is told today. */
static void guard_from_spec(struct sandbox *s)
{
	auto_json struct json *spec = NULL;
	auto_buf struct buf b = BUF_INIT(1024 * 1024);
	if (json_parse(str_from(s->spec_json), &spec, NULL) < 0 ||
		json_kind(json_find(spec, "guard")) != JSON_KIND_OBJECT)
		return;
	json_write(json_find(spec, "guard"), &b);
	s->guard_json = buf_take(&b);
}

static struct sandbox *sandbox_from_row(struct db_row *row)
{
	struct sandbox *s = mem_new(struct sandbox);
	take_text(row, 0, s->id, sizeof(s->id));
	take_text(row, 1, s->backend_id, sizeof(s->backend_id));
	take_text(row, 2, s->name, sizeof(s->name));
	if (!sandbox_state_from_name(db_row_bytes(row, 3), &s->state))
		s->state = SANDBOX_ENDED;
	take_text(row, 4, s->reason, sizeof(s->reason));
	s->created_ms = db_row_int(row, 5);
	s->ended_ms = db_row_int(row, 6);
	s->timeout_ms = db_row_int(row, 7);
	s->idle_timeout_ms = db_row_int(row, 8);
	s->last_active_ms = clock_mono_ms();
	/*
	 * Of a host that was started anew the clock began anew: no sandbox gets more time than it
	 * was made with.
	 */
	s->deadline_ms = MIN(db_row_int(row, 9), s->last_active_ms + s->timeout_ms);
	s->spec_json = str_dup(db_row_bytes(row, 10));
	guard_from_spec(s);
	labels_from_json(s, db_row_bytes(row, 11));
	struct str enforced = db_row_bytes(row, 12);
	if (enforced.len == sizeof(s->enforced))
		memcpy(&s->enforced, enforced.ptr, enforced.len);
	s->init_pid = (int)db_row_int(row, 13);
	s->note = str_dup(db_row_bytes(row, 14));
	if (db_row_bytes(row, 15).len)
		s->outside_json = str_dup(db_row_bytes(row, 15));
	return s;
}

struct reading {
	void (*fn)(void *arg, struct sandbox *sandbox);
	void *arg;
};

static void read_record(void *arg, struct db_row *row)
{
	const struct reading *reading = arg;
	reading->fn(reading->arg, sandbox_from_row(row));
}

int store_records(struct store *s, void (*fn)(void *arg, struct sandbox *sandbox), void *arg,
	struct error *err)
{
	struct reading reading = { fn, arg };
	return db_query(store_db(s), DB_RECORD_ALL, NULL, 0, read_record, &reading, err);
}
