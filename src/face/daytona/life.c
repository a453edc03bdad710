/* SPDX-License-Identifier: Apache-2.0 */
/*
 * POST, GET, DELETE /sandbox and what starts, stops and pauses one. A stopped sandbox is one
 * without processes: its files stay where they are, so starting it again is a word.
 */
#include "face/daytona/build.h"
#include "face/daytona/handlers.h"

#include "action/process_actions.h"
#include "base/auto.h"
#include "base/bug.h"
#include "base/clock.h"
#include "base/num.h"

/* A change of a box that takes a while, and who wants to hear of its end. */
struct change {
	struct daytona *daytona;
	char id[ID_SIZE];
	struct http_request *r; /* NULL: nobody */
	enum box_state to;
	bool deletes;
};

static struct box *change_box(const struct change *c)
{
	return map_find(&c->daytona->by_id, str_from(c->id));
}

static struct change *change_new(struct box *b, struct http_request *r)
{
	struct change *c = mem_new(struct change);
	c->daytona = b->daytona;
	snprintf(c->id, sizeof(c->id), "%s", b->id);
	c->r = r;
	b->is_changing = true;
	return c;
}

static void change_end(struct change *c, const struct error *err)
{
	struct http_request *r = c->r;
	struct box *b = change_box(c);
	char id[ID_SIZE];
	struct error unsaved;
	snprintf(id, sizeof(id), "%s", c->id);
	free(c);
	if (b) {
		b->is_changing = b->is_deleted = false;
		if (box_save(b, &unsaved) < 0 && !err)
			err = &unsaved;
		box_schedule(b);
	}
	if (!r)
		return;
	if (err)
		daytona_fail_error(r, err);
	else if (!b || !box_sandbox(b))
		daytona_fail(r, 404, NULL, "Sandbox with ID or name %s not found", id);
	else
		box_reply(b, r);
}

/* ---- create ---- */

static void on_created(void *arg, struct sandbox *s, const struct error *err)
{
	struct http_request *r = arg;
	struct box *b = s ? box_find(daytona_of(r), str_from(s->id)) : NULL;
	if (err)
		daytona_fail_error(r, err);
	else if (!b)
		daytona_fail(r, 500, NULL, "the sandbox is gone already");
	else
		box_reply(b, r);
}

void making_fini(struct making *m)
{
	struct box *plan = m->box;
	json_free(plan->env);
	json_free(plan->labels);
	free(plan->user);
	free(plan->target);
	free(plan->snapshot);
}

int box_begin(struct daytona *d, struct making *m, runtime_sandbox_fn *done, void *arg,
	struct error *err)
{
	auto_buf struct buf note = BUF_INIT(CREATE_NOTE_BYTES);
	box_put_note(m->box, &note);
	if (note.is_full)
		return error_set(err, ERROR_TOO_LARGE, "the wish is too large");
	m->create->note = buf_str(&note);
	runtime_create(d->rt, m->create, done, arg);
	return 0;
}

void boxes_create(struct http_request *r)
{
	auto_json struct json *body = daytona_body(r);
	struct daytona *d = daytona_of(r);
	struct box plan = { 0 };
	struct error err;
	struct making m = { .body = body, .arena = &r->arena, .box = &plan };
	if (!body)
		return;
	m.create = arena_new(&r->arena, struct create);
	int result = make_from_body(d, &m, &err);
	if (result == 0 && m.dockerfile.len)
		works_begin_box(r, &m);
	else if (result < 0 || box_begin(d, &m, on_created, r, &err) < 0)
		daytona_fail_error(r, &err);
	making_fini(&m);
}

/* ---- get, list ---- */

void boxes_get(struct http_request *r)
{
	struct box *b = works_tell_box(r) ? NULL : box_of_request(r);
	if (b)
		box_reply(b, r);
}

void toolbox_url(struct http_request *r)
{
	auto_buf struct buf body = BUF_INIT(8192), url = BUF_INIT(4096);
	struct jsonw w = JSONW(&body);
	if (!box_of_request(r))
		return;
	http_put_origin(r, &url);
	buf_puts(&url, "/daytona/toolbox");
	jsonw_open(&w);
	jsonw_key_str(&w, "url", buf_str(&url));
	jsonw_close(&w);
	http_reply_json(r, 200, &body);
}

struct listing {
	struct http_request *r;
	struct json *labels; /* all must be there */
	struct str id, name, state;
	int64_t limit, skip, page;
	int64_t total, shown;
};

static bool has_labels(const struct box *b, const struct json *wanted)
{
	const struct json *value;
	struct str key;
	void *it = NULL;
	while (json_kind(wanted) == JSON_KIND_OBJECT && (value = json_next(wanted, &it, &key))) {
		auto_free char *name = str_dup(key);
		struct str has = json_str(json_find(b->labels, name));
		if (!has.ptr || !str_eq(has, json_str(value)))
			return false;
	}
	return true;
}

/* ?states=started&states=stopped, or with commas. */
static bool has_state(const struct listing *l, const struct box *b)
{
	struct str rest = l->r->query, pair;
	const char *state = box_state_name(b);
	bool is_asked = false;
	while (rest.len && str_split(&rest, '&', &pair)) {
		struct str word;
		if (!str_starts(pair, STR("states=")))
			continue;
		struct str words = str_skip(pair, 7);
		is_asked = true;
		while (words.len && str_split(&words, ',', &word))
			if (str_is(word, state))
				return true;
	}
	return !is_asked;
}

static bool fits(const struct listing *l, const struct box *b, const struct sandbox *s)
{
	struct str name = str_from(s->name[0] ? s->name : b->id);
	return (!l->id.len || str_starts(str_from(b->id), l->id)) &&
		(!l->name.len || str_starts(name, l->name)) && has_labels(b, l->labels) &&
		has_state(l, b);
}

static void put_items(struct listing *l, struct jsonw *w)
{
	struct daytona *d = daytona_of(l->r);
	for (struct sandbox *s = NULL; (s = runtime_next(d->rt, s));) {
		struct box *b = map_find(&d->by_id, str_from(s->id)) ?: box_new(d, s);
		/* One that was made elsewhere and has ended is nobody's business here. */
		if (!b || (!b->is_own && sandbox_state_is_final(s->state)) || !fits(l, b, s))
			continue;
		if (l->total++ < l->skip || l->shown >= l->limit)
			continue;
		l->shown++;
		box_write(b, l->r, w);
	}
}

static int64_t query_int(struct http_request *r, const char *name, int64_t standard, int64_t max)
{
	int64_t value;
	struct str text = http_query(r, name);
	if (!text.len || num_parse_i64(text, 1, max, &value, NULL) < 0)
		return standard;
	return value;
}

/*
 * By cursor: {"items","nextCursor"}, where the cursor counts those shown before. By page:
 * {"items","total",…}.
 */
void boxes_list(struct http_request *r)
{
	bool is_paged = str_ends(r->path, STR("/paginated"));
	auto_buf struct buf body = BUF_INIT(HTTP_REPLY_MAX);
	struct jsonw w = JSONW(&body);
	struct listing l = {
		.r = r,
		.id = http_query(r, "id"),
		.name = http_query(r, "name"),
		.limit = query_int(r, "limit", 100, 1000),
		.page = query_int(r, "page", 1, 1000000),
		.skip = query_int(r, "cursor", 0, 1000000),
	};
	struct str labels = http_query(r, "labels");
	struct error err;
	if (labels.len && json_parse(labels, &l.labels, &err) < 0) {
		daytona_fail(r, 400, NULL, "labels: %s", err.text);
		return;
	}
	if (is_paged)
		l.skip = (l.page - 1) * l.limit;
	jsonw_open(&w);
	jsonw_key(&w, "items");
	jsonw_open_array(&w);
	put_items(&l, &w);
	jsonw_close_array(&w);
	json_free(l.labels);
	jsonw_key_int(&w, "total", l.total);
	jsonw_key_int(&w, "page", l.page);
	jsonw_key_int(&w, "totalPages", (l.total + l.limit - 1) / l.limit);
	jsonw_key(&w, "nextCursor");
	if (l.skip + l.shown < l.total) {
		auto_free char *next = mem_printf("%lld", (long long)(l.skip + l.shown));
		jsonw_str(&w, str_from(next));
	} else {
		jsonw_null(&w);
	}
	jsonw_close(&w);
	http_reply_json(r, 200, &body);
}

/* ---- delete ---- */

static void on_deleted(void *arg, const struct error *err)
{
	struct change *c = arg;
	struct box *b = change_box(c);
	struct http_request *r = c->r;
	char *record = (char *)(r ? r->state : NULL);
	if (err) {
		change_end(c, err);
		return;
	}
	if (b)
		box_free(b);
	free(c);
	if (r)
		http_reply(r, 200, "application/json", str_from(record));
}

static void delete_for(struct box *b, struct http_request *r)
{
	struct sandbox *s = box_sandbox(b);
	struct change *c = change_new(b, r);
	box_drop_processes(b, "the sandbox is deleted");
	runtime_destroy(s, on_deleted, c);
}

void box_delete(struct box *b)
{
	delete_for(b, NULL);
}

/* What it was; it is to be answered with once there is nothing of it. */
static char *last_words(struct box *b, struct http_request *r)
{
	auto_buf struct buf body = BUF_INIT(DAYTONA_BODY_MAX);
	struct jsonw w = JSONW(&body);
	b->is_deleted = true;
	box_write(b, r, &w);
	return arena_str(&r->arena, buf_str(&body));
}

void boxes_delete(struct http_request *r)
{
	struct box *b = works_end_box(r) ? NULL : box_of_request(r);
	if (!b)
		return;
	r->state = last_words(b, r);
	delete_for(b, r);
}

/* ---- stop, archive ---- */

static void on_stopped(struct change *c, const struct error *err)
{
	struct box *b = change_box(c);
	if (!b || err) {
		change_end(c, err);
		return;
	}
	b->state = c->to;
	b->stopped_ms = clock_wall_ms();
	b->stopped_since_ms = clock_mono_ms();
	if (b->auto_delete != 0) {
		change_end(c, NULL);
		return;
	}
	/* Ephemeral: it goes with its processes. */
	struct http_request *r = c->r;
	if (r)
		r->state = last_words(b, r);
	free(c);
	delete_for(b, r);
}

static void on_killed(void *arg, struct str result)
{
	on_stopped(arg, NULL);
}

static void on_not_killed(void *arg, const struct error *err)
{
	on_stopped(arg, err);
}

static void kill_all(struct change *c)
{
	static const struct call_sink sink = { .result = on_killed, .error = on_not_killed };
	struct box *b = change_box(c);
	struct sandbox *s = b ? box_sandbox(b) : NULL;
	if (!s) {
		change_end(c, NULL);
		return;
	}
	box_drop_processes(b, "the sandbox is stopped");
	runtime_perform(s, &process_kill_all_action, STR_NONE, &sink, c);
}

/* What is frozen takes no signal. */
static void on_thawed(void *arg, const struct error *err)
{
	struct change *c = arg;
	if (err)
		change_end(c, err);
	else
		kill_all(c);
}

static void stop_for(struct box *b, enum box_state to, struct http_request *r)
{
	struct sandbox *s = box_sandbox(b);
	struct change *c = change_new(b, r);
	c->to = to;
	if (s->state == SANDBOX_PAUSED)
		runtime_pause(s, false, on_thawed, c);
	else
		kill_all(c);
}

void box_stop(struct box *b, enum box_state to)
{
	stop_for(b, to, NULL);
}

/* The box, if its state may be changed now; NULL: answered. */
static struct box *box_to_change(struct http_request *r)
{
	struct box *b = box_of_request(r);
	const struct sandbox *s = b ? box_sandbox(b) : NULL;
	if (!b)
		return NULL;
	if (b->is_changing)
		daytona_fail(r, 409, NULL, "Sandbox state change in progress");
	else if (sandbox_state_is_final(s->state))
		daytona_fail(r, 409, NULL, "Sandbox is in an errored state: %s", s->reason);
	else
		return b;
	return NULL;
}

void boxes_stop(struct http_request *r)
{
	struct box *b = box_to_change(r);
	if (b && b->state != BOX_STARTED)
		daytona_fail(r, 400, NULL, "Sandbox is not started");
	else if (b)
		stop_for(b, BOX_STOPPED, r);
}

void boxes_archive(struct http_request *r)
{
	struct box *b = box_to_change(r);
	if (b && b->state != BOX_STOPPED)
		daytona_fail(r, 400, NULL, "Sandbox is not stopped");
	else if (b)
		stop_for(b, BOX_ARCHIVED, r);
}

/* ---- start, pause ---- */

static void on_changed(void *arg, const struct error *err)
{
	change_end(arg, err);
}

void boxes_start(struct http_request *r)
{
	struct box *b = box_to_change(r);
	struct sandbox *s = b ? box_sandbox(b) : NULL;
	if (!b)
		return;
	if (s->state == SANDBOX_PAUSED) {
		runtime_pause(s, false, on_changed, change_new(b, r));
		return;
	}
	b->state = BOX_STARTED;
	box_touch(b);
	struct error err;
	int saved = box_save(b, &err);
	box_schedule(b);
	if (saved < 0)
		daytona_fail_error(r, &err);
	else
		box_reply(b, r);
}

void boxes_pause(struct http_request *r)
{
	struct box *b = box_to_change(r);
	if (!b)
		return;
	if (b->state != BOX_STARTED)
		daytona_fail(r, 400, NULL, "Sandbox is not started");
	else
		runtime_pause(box_sandbox(b), true, on_changed, change_new(b, r));
}

void boxes_recover(struct http_request *r)
{
	if (box_to_change(r))
		daytona_fail(r, 400, NULL, "Sandbox is not in an errored state");
}

/* Where a sandbox is a fork or checkpoint of another, or of another machine's. */
void boxes_not_offered(struct http_request *r)
{
	if (box_of_request(r))
		daytona_fail(r, 501, NULL, "%.*s is not offered by cay",
			STR_ARG(str_first(r->path, 200)));
}
