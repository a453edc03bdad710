/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sandboxes as this face knows them: in memory, and as notes of their sandboxes, from which they
 * come back after a restart. Then the shells and terminals that the last server had started are
 * nobody's, and are ended.
 *
 * One timer per box is for what comes next by itself: to be stopped for want of use, to be deleted
 * some time after that, or at a fixed hour. Use is every request for it, and every call that goes
 * on.
 */
#include "face/daytona/state.h"

#include "action/process_actions.h"
#include "base/auto.h"
#include "base/bug.h"
#include "base/clock.h"

enum { MINUTE_MS = 60 * 1000, TIMER_MAX_MS = 24 * 60 * MINUTE_MS };

static const char *const state_names[] = { "started", "stopped", "archived" };

struct sandbox *box_sandbox(const struct box *b)
{
	struct error err;
	return runtime_find(b->daytona->rt, str_from(b->id), &err);
}

const char *box_state_name(const struct box *b)
{
	const struct sandbox *s = box_sandbox(b);
	if (!s || b->is_deleted)
		return "destroyed";
	if (sandbox_state_is_final(s->state))
		return "error";
	if (s->state == SANDBOX_PAUSED && b->state == BOX_STARTED)
		return "paused";
	return state_names[b->state];
}

/* ---- notes ---- */

/* A part of a tree as a tree of its own. */
static struct json *copy_of(const struct json *part)
{
	struct json *copy = NULL;
	auto_buf struct buf b = BUF_INIT(CREATE_NOTE_BYTES);
	if (json_kind(part) == JSON_KIND_OBJECT && json_write(part, &b) == 0)
		json_parse(buf_str(&b), &copy, NULL);
	return copy;
}

static enum box_state state_from(struct str name)
{
	for (size_t i = 0; i < ARRAY_LEN(state_names); i++)
		if (str_is(name, state_names[i]))
			return (enum box_state)i;
	return BOX_STARTED;
}

static char *text_or(const struct json *note, const char *key, const char *standard)
{
	struct str text = json_str(json_find(note, key));
	if (text.len)
		return str_dup(text);
	return standard ? mem_strdup(standard) : NULL;
}

static void read_note(struct box *b, const struct json *note)
{
	b->is_own = str_is(json_str(json_find(note, "face")), "daytona");
	b->state = state_from(json_str(json_find(note, "state")));
	b->user = text_or(note, "user", "agent");
	b->target = text_or(note, "target", "local");
	b->snapshot = text_or(note, "snapshot", NULL);
	b->revoked = text_or(note, "revoked", NULL);
	b->is_public = json_bool(json_find(note, "public"));
	b->env = copy_of(json_find(note, "env"));
	b->labels = copy_of(json_find(note, "labels"));
	b->auto_stop = json_int(json_find(note, "auto_stop"));
	b->auto_archive = json_int(json_find(note, "auto_archive"));
	b->auto_delete = b->is_own ? json_int(json_find(note, "auto_delete")) : -1;
	b->destroy_ms = json_int(json_find(note, "destroy_ms"));
	b->stopped_ms = json_int(json_find(note, "stopped_ms"));
	/*
	 * A server that was started anew knows no better than the dates; from then on nobody can
	 * turn the clock.
	 */
	int64_t date_ms = clock_wall_ms() - clock_mono_ms();
	b->destroy_due_ms = b->destroy_ms - date_ms;
	b->stopped_since_ms = b->stopped_ms - date_ms;
}

void box_put_note(const struct box *b, struct buf *note)
{
	struct jsonw w = JSONW(note);
	jsonw_open(&w);
	jsonw_key_str(&w, "face", STR("daytona"));
	jsonw_key_str(&w, "state", str_from(state_names[b->state]));
	jsonw_key_str(&w, "user", str_from(b->user));
	jsonw_key_str(&w, "target", str_from(b->target));
	if (b->snapshot)
		jsonw_key_str(&w, "snapshot", str_from(b->snapshot));
	if (b->revoked)
		jsonw_key_str(&w, "revoked", str_from(b->revoked));
	jsonw_key_bool(&w, "public", b->is_public);
	daytona_key_json(&w, "env", b->env);
	daytona_key_json(&w, "labels", b->labels);
	jsonw_key_int(&w, "auto_stop", b->auto_stop);
	jsonw_key_int(&w, "auto_archive", b->auto_archive);
	jsonw_key_int(&w, "auto_delete", b->auto_delete);
	jsonw_key_int(&w, "destroy_ms", b->destroy_ms);
	jsonw_key_int(&w, "stopped_ms", b->stopped_ms);
	jsonw_close(&w);
}

int box_save(struct box *b, struct error *err)
{
	auto_buf struct buf note = BUF_INIT(CREATE_NOTE_BYTES);
	struct sandbox *s = box_sandbox(b);
	b->updated_ms = clock_wall_ms();
	if (!s || !b->is_own)
		return 0;
	box_put_note(b, &note);
	return runtime_set_note(s, buf_str(&note), err);
}

/* ---- boxes ---- */

static void on_timer(void *arg);

struct box *box_new(struct daytona *d, const struct sandbox *s)
{
	auto_json struct json *note = NULL;
	if (s->note && s->note[0] && json_parse(str_from(s->note), &note, NULL) < 0)
		return NULL;
	if (note && !str_is(json_str(json_find(note, "face")), "daytona"))
		return NULL; /* another face's, which knows what it does with it */
	struct box *b = mem_new(struct box);
	b->daytona = d;
	snprintf(b->id, sizeof(b->id), "%s", s->id);
	list_init(&b->shells);
	list_init(&b->ptys);
	list_init(&b->contexts);
	read_note(b, note);
	b->active_ms = b->updated_ms = clock_wall_ms();
	b->idle_since_ms = clock_mono_ms();
	b->timer = timer_new(d->loop, on_timer, b);
	list_append(&d->boxes, &b->link);
	map_put(&d->by_id, str_from(b->id), b);
	box_schedule(b);
	return b;
}

void box_free(struct box *b)
{
	shells_drop(b, "the sandbox is gone");
	ptys_drop(b, "the sandbox is gone");
	contexts_drop(b);
	map_remove(&b->daytona->by_id, str_from(b->id));
	list_remove(&b->link);
	timer_free(b->timer);
	json_free(b->env);
	json_free(b->labels);
	free(b->user);
	free(b->target);
	free(b->snapshot);
	free(b->revoked);
	free(b);
}

struct box *box_find(struct daytona *d, struct str key)
{
	struct error err;
	struct sandbox *s = key.len ? runtime_find(d->rt, key, &err) : NULL;
	struct box *b = map_find(&d->by_id, s ? str_from(s->id) : key);
	if (!s) {
		if (b)
			box_free(b); /* removed by somebody who did not ask us */
		return NULL;
	}
	return b ?: box_new(d, s);
}

struct box *box_of_request(struct http_request *r)
{
	struct str key = http_param(r, "id");
	struct box *b = box_find(daytona_of(r), key);
	if (!b)
		daytona_fail(r, 404, NULL, "Sandbox with ID or name %.*s not found",
			STR_ARG(str_first(key, 200)));
	return b;
}

struct box *box_of_toolbox(struct http_request *r, struct sandbox **ret_sandbox)
{
	struct box *b = box_of_request(r);
	struct sandbox *s = b ? box_sandbox(b) : NULL;
	if (!b)
		return NULL;
	if (b->state != BOX_STARTED || b->is_changing || !s || s->state == SANDBOX_PAUSED ||
		sandbox_state_is_final(s->state)) {
		daytona_fail(r, 409, NULL, "sandbox %s is %s, not started", b->id,
			box_state_name(b));
		return NULL;
	}
	box_touch(b);
	if (ret_sandbox)
		*ret_sandbox = s;
	return b;
}

static void on_used(struct chore *e)
{
	struct box *b = map_find(&daytona_of(e->r)->by_id, str_from(e->id));
	if (b)
		box_touch(b);
}

struct chore *daytona_chore(struct http_request *r)
{
	const struct box *b = box_of_toolbox(r, NULL);
	struct chore *e = b ? chore_new(r, b->daytona->rt, b->id, daytona_fail_error) : NULL;
	if (e)
		e->used = on_used;
	return e;
}

/* ---- what happens by itself ---- */

/* When the next thing is due; INT64_MAX: there is none. */
static int64_t next_of(const struct box *b)
{
	int64_t next = b->destroy_ms ? b->destroy_due_ms : INT64_MAX;
	if (b->state == BOX_STARTED && b->auto_stop > 0)
		next = MIN(next, b->idle_since_ms + b->auto_stop * MINUTE_MS);
	else if (b->state != BOX_STARTED && b->auto_delete >= 0)
		next = MIN(next, b->stopped_since_ms + b->auto_delete * MINUTE_MS);
	return next;
}

void box_schedule(struct box *b)
{
	int64_t next = next_of(b);
	if (next == INT64_MAX)
		timer_clear(b->timer);
	else
		timer_set(b->timer, MIN(MAX(next - clock_mono_ms(), 1), (int64_t)TIMER_MAX_MS));
}

/* A call goes on that is no shell or terminal: those wait for input most of their lives. */
static bool is_in_use(const struct box *b, const struct sandbox *s)
{
	return s->n_busy > (int)(b->n_shells + b->n_ptys);
}

static void on_timer(void *arg)
{
	struct box *b = arg;
	struct sandbox *s = box_sandbox(b);
	int64_t now = clock_mono_ms();
	if (!s) {
		box_free(b);
		return;
	}
	if (next_of(b) > now || b->is_changing) {
		box_schedule(b);
		return;
	}
	if (b->destroy_ms && b->destroy_due_ms <= now) {
		box_delete(b);
	} else if (b->state != BOX_STARTED) {
		box_delete(b);
	} else if (is_in_use(b, s)) {
		box_touch(b);
	} else {
		box_stop(b, BOX_STOPPED);
	}
}

void box_set_ttl(struct box *b, int64_t minutes)
{
	b->destroy_ms = minutes ? clock_wall_ms() + minutes * MINUTE_MS : 0;
	b->destroy_due_ms = clock_mono_ms() + minutes * MINUTE_MS;
}

void box_touch(struct box *b)
{
	int64_t now = clock_mono_ms();
	bool is_late = now - b->idle_since_ms > 1000; /* a timer is not set for each request */
	b->active_ms = clock_wall_ms();
	b->idle_since_ms = now;
	if (is_late)
		box_schedule(b);
}

/* ---- after a restart ---- */

struct leftovers {
	struct daytona *daytona;
	char id[ID_SIZE];
};

static void on_nothing(void *arg, struct str result)
{
}

static void on_no_matter(void *arg, const struct error *err)
{
}

static void on_listed(void *arg, struct str text)
{
	static const struct call_sink sink = { .result = on_nothing, .error = on_no_matter };
	struct leftovers *left = arg;
	auto_json struct json *result = NULL;
	struct sandbox *s = runtime_find(left->daytona->rt, str_from(left->id), NULL);
	json_parse(text, &result, NULL);
	const struct json *processes = json_find(result, "processes");
	for (size_t i = 0; s && i < json_len(processes); i++) {
		struct str name = json_str(json_find(json_at(processes, i), "name"));
		if (!str_starts(name, STR(PROCESS_PREFIX)))
			continue;
		auto_free char *params = mem_printf("{\"process\":\"%.*s\"}", STR_ARG(name));
		runtime_perform(s, &process_remove_action, str_from(params), &sink, NULL);
	}
	free(left);
}

static void on_not_listed(void *arg, const struct error *err)
{
	free(arg);
}

static void end_leftovers(struct daytona *d, struct sandbox *s)
{
	static const struct call_sink sink = { .result = on_listed, .error = on_not_listed };
	struct leftovers *left = mem_new(struct leftovers);
	left->daytona = d;
	snprintf(left->id, sizeof(left->id), "%s", s->id);
	runtime_perform(s, &process_list_action, STR_NONE, &sink, left);
}

void boxes_adopt(struct daytona *d)
{
	for (struct sandbox *s = NULL; (s = runtime_next(d->rt, s));) {
		if (!s->note || !s->note[0])
			continue;
		const struct box *b = box_new(d, s);
		if (b && b->state == BOX_STARTED && !sandbox_state_is_final(s->state))
			end_leftovers(d, s);
	}
}

void box_drop_processes(struct box *b, const char *why)
{
	shells_drop(b, why);
	ptys_drop(b, why);
	contexts_drop(b);
}
