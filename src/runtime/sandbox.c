/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/sandbox.h"

#include "base/bug.h"
#include "base/clock.h"
#include "event/loop.h"
#include "runtime/create.h"
#include "runtime/internal.h"
#include "runtime/outside.h"
#include "runtime/plugin.h"
#include "runtime/secrets.h"

static void keep_labels(struct sandbox *s, const struct field_map *labels)
{
	s->n_labels = labels->n;
	s->label_keys = mem_new_n(char *, s->n_labels + 1);
	s->label_values = mem_new_n(char *, s->n_labels + 1);
	for (size_t i = 0; i < s->n_labels; i++) {
		s->label_keys[i] = str_dup(labels->keys[i]);
		s->label_values[i] = str_dup(labels->values[i]);
	}
}

static void free_labels(struct sandbox *s)
{
	for (size_t i = 0; i < s->n_labels; i++) {
		free(s->label_keys[i]);
		free(s->label_values[i]);
	}
	free(s->label_keys);
	free(s->label_values);
}

struct sandbox *sandbox_new(const struct create *create, struct str guard)
{
	struct sandbox *s = mem_new(struct sandbox);
	id_make(s->id);
	if (create->id.len)
		snprintf(s->id, sizeof(s->id), "%.*s", STR_ARG(create->id));
	snprintf(s->backend_id, sizeof(s->backend_id), "%s", s->id);
	snprintf(s->name, sizeof(s->name), "%.*s", STR_ARG(create->name));
	s->created_ms = clock_wall_ms();
	s->last_active_ms = clock_mono_ms();
	s->timeout_ms = create->timeout_ms;
	s->idle_timeout_ms = create->idle_timeout_ms;
	s->deadline_ms = create->timeout_ms ? clock_mono_ms() + create->timeout_ms : 0;
	struct buf spec = BUF_INIT(1024 * 1024);
	struct jsonw w = JSONW(&spec);
	create_write(create, guard, &w);
	s->guard_json = guard.len ? str_dup(guard) : NULL;
	s->spec_json = buf_take(&spec);
	s->note = str_dup(create->note);
	keep_labels(s, &create->labels);
	return s;
}

void runtime_set_labels(struct sandbox *s, const struct field_map *labels)
{
	free_labels(s);
	keep_labels(s, labels);
	store_put(s->runtime->store, s);
}

void sandbox_set_spec(struct sandbox *s, const char *name, struct str text)
{
	auto_buf struct buf b = BUF_INIT(1024 * 1024);
	struct jsonw w = JSONW(&b);
	jsonw_str(&w, text);
	sandbox_set_spec_json(s, name, buf_str(&b));
}

void sandbox_set_spec_json(struct sandbox *s, const char *name, struct str text)
{
	auto_json struct json *spec = NULL;
	struct buf b = BUF_INIT(1024 * 1024);
	struct jsonw w = JSONW(&b);
	const struct json *value;
	struct str key;
	void *it = NULL;
	bool is_there = false;
	if (json_parse(str_from(s->spec_json), &spec, NULL) < 0)
		return;
	jsonw_open(&w);
	while ((value = json_next(spec, &it, &key))) {
		auto_buf struct buf kept = BUF_INIT(1024 * 1024);
		bool is_it = str_is(key, name);
		is_there |= is_it;
		json_write(value, &kept);
		jsonw_key_dyn(&w, key);
		jsonw_raw(&w, is_it ? text : buf_str(&kept));
	}
	if (!is_there) {
		jsonw_key(&w, name);
		jsonw_raw(&w, text);
	}
	jsonw_close(&w);
	free(s->spec_json);
	s->spec_json = buf_take(&b);
}

void sandbox_free(struct sandbox *s)
{
	if (!s)
		return;
	plugins_free(s->plugins);
	outside_free(s->outside);
	free(s->outside_json);
	secrets_close(s);
	spare_free_all(s);
	timer_free(s->deadline);
	timer_free(s->idle);
	free_labels(s);
	free(s->spec_json);
	free(s->guard_json);
	mask_fini(&s->mask);
	free(s->note);
	free(s->configure_json);
	free(s->plugins_json);
	free(s);
}

struct str sandbox_label(const struct sandbox *s, struct str key)
{
	for (size_t i = 0; i < s->n_labels; i++)
		if (str_is(key, s->label_keys[i]))
			return str_from(s->label_values[i]);
	return STR_NONE;
}

int sandbox_refuse(const struct sandbox *s, enum error_code code, struct error *err)
{
	const char *state = sandbox_state_name(s->state);
	bool has_more = s->reason[0] && strcmp(s->reason, state) != 0;
	return error_set(err, code, "sandbox %s is %s%s%s", s->id, state, has_more ? ": " : "",
		has_more ? s->reason : "");
}

static void write_date(const char *key, int64_t wall_ms, struct jsonw *w)
{
	jsonw_key(w, key);
	if (!wall_ms) {
		jsonw_null(w);
		return;
	}
	char date[CLOCK_TEXT_MAX];
	clock_text(wall_ms, date);
	jsonw_str(w, str_from(date));
}

static void write_text(const char *key, const char *text, struct jsonw *w)
{
	jsonw_key(w, key);
	if (text[0])
		jsonw_str(w, str_from(text));
	else
		jsonw_null(w);
}

void sandbox_write(const struct sandbox *s, struct jsonw *w)
{
	jsonw_open(w);
	jsonw_key_str(w, "id", str_from(s->id));
	write_text("name", s->name, w);
	jsonw_key_str(w, "state", str_from(sandbox_state_name(s->state)));
	write_text("reason", s->reason, w);
	write_date("created_at", s->created_ms, w);
	write_date("ended_at", s->ended_ms, w);
	write_date("ends_at", s->timeout_ms ? s->created_ms + s->timeout_ms : 0, w);
	jsonw_key_int(w, "timeout_ms", s->timeout_ms);
	jsonw_key_int(w, "idle_timeout_ms", s->idle_timeout_ms);
	jsonw_key(w, "labels");
	jsonw_open(w);
	for (size_t i = 0; i < s->n_labels; i++) {
		jsonw_key_dyn(w, str_from(s->label_keys[i]));
		jsonw_str(w, str_from(s->label_values[i]));
	}
	jsonw_close(w);
	jsonw_key(w, "spec");
	jsonw_raw(w, str_from(s->spec_json));
	jsonw_key(w, "enforced");
	enforced_write(&s->enforced, w);
	jsonw_key_int(w, "init_pid", s->init_pid);
	jsonw_close(w);
}
