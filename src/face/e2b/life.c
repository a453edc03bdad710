/* SPDX-License-Identifier: Apache-2.0 */
/* What makes, ends, pauses and resumes a sandbox, and how long it lives. */
#include "face/e2b/handlers.h"

#include "base/auto.h"
#include "base/bug.h"
#include "base/clock.h"
#include "base/num.h"
#include "http/origin.h"

/* A change of a sandbox that takes a while, and who is to be answered. */
struct change {
	struct e2b *e2b;
	struct http_request *r;
	char id[ID_SIZE];
	int64_t timeout_s;
	int status;
};

static struct e2b_box *box_of(const struct change *c)
{
	return map_find(&c->e2b->by_id, str_from(c->id));
}

static struct change *change_new(struct e2b *e, const char *id, struct http_request *r)
{
	struct change *c = mem_new(struct change);
	c->e2b = e;
	c->r = r;
	snprintf(c->id, sizeof(c->id), "%s", id);
	return c;
}

static void not_found(struct http_request *r, const char *id)
{
	e2b_fail(r, 404, "sandbox \"%s\" doesn't exist or you don't have access to it", id);
}

void e2b_box_put(const struct e2b_box *b, const struct http_request *r, struct jsonw *w)
{
	char token[E2B_TOKEN_SIZE], traffic[E2B_TOKEN_SIZE];
	auto_buf struct buf domain = BUF_INIT(HTTP_HEAD_MAX);
	e2b_token(r, str_from(b->id), token);
	e2b_traffic_token(r, str_from(b->id), traffic);
	jsonw_open(w);
	jsonw_key_str(w, "templateID", str_from(b->template_id));
	jsonw_key_str(w, "alias", str_from(b->template_id));
	jsonw_key_str(w, "sandboxID", str_from(b->id));
	jsonw_key_str(w, "clientID", STR("cay"));
	jsonw_key_str(w, "envdVersion", STR(E2B_VERSION));
	if (token[0]) {
		jsonw_key_str(w, "envdAccessToken", str_from(token));
		jsonw_key_str(w, "trafficAccessToken", str_from(traffic));
	}
	http_put_domain(r, &domain); /* SDKs make names of ports of it: PORT-ID.DOMAIN */
	jsonw_key_str(w, "domain", buf_str(&domain));
	jsonw_close(w);
}

void e2b_box_reply(const struct e2b_box *b, struct http_request *r, int status)
{
	auto_buf struct buf body = BUF_INIT(8192);
	struct jsonw w = JSONW(&body);
	e2b_box_put(b, r, &w);
	http_reply_json(r, status, &body);
}

/* ---- create ---- */

static void on_prepared(void *arg, struct sandbox *s, const struct error *err)
{
	struct http_request *r = arg;
	const struct e2b_box *b = s ? e2b_box_new(e2b_of(r), s) : NULL;
	if (err)
		e2b_fail_error(r, err);
	else if (b)
		e2b_box_reply(b, r, 201);
	else
		e2b_fail(r, 500, "the sandbox is gone already");
}

static void on_created(void *arg, struct sandbox *s, const struct error *err)
{
	struct http_request *r = arg;
	if (err)
		e2b_fail_error(r, err);
	else
		e2b_prepare(e2b_of(r), s, on_prepared, r);
}

void e2b_boxes_create(struct http_request *r)
{
	auto_json struct json *body = e2b_body(r);
	auto_buf struct buf note = BUF_INIT(CREATE_NOTE_BYTES);
	struct e2b_box plan = { .template_id = NULL };
	struct error err;
	if (!body)
		return;
	struct e2b_wish wish = { .arena = &r->arena, .box = &plan };
	wish.create = arena_new(&r->arena, struct create);
	int result = e2b_wish_read(e2b_of(r), body, &wish, &err);
	if (result == 0) {
		e2b_box_put_note(&plan, &note);
		wish.create->note = buf_str(&note);
		if (note.is_full)
			result = error_set(&err, ERROR_TOO_LARGE, "the wish is too large");
	}
	if (result < 0)
		e2b_fail_error(r, &err);
	else
		runtime_create(e2b_of(r)->rt, wish.create, on_created, r);
	e2b_wish_fini(&wish);
}

/* ---- delete ---- */

static void on_deleted(void *arg, const struct error *err)
{
	struct http_request *r = arg;
	if (err && err->code != ERROR_NOT_FOUND)
		e2b_fail_error(r, err);
	else
		e2b_empty(r, 204);
}

void e2b_boxes_delete(struct http_request *r)
{
	struct e2b_box *b = e2b_box_of_request(r);
	struct sandbox *s = b ? e2b_box_sandbox(b) : NULL;
	if (!b)
		return;
	e2b_box_free(b);
	runtime_destroy(s, on_deleted, r);
}

/* ---- its time ---- */

/* An integer of the body; -1: answered. */
static int take_seconds(struct http_request *r, const char *key, int64_t standard, int64_t *ret)
{
	auto_json struct json *body = e2b_body(r);
	const struct json *value = json_find(body, key);
	if (!body)
		return -1;
	*ret = json_kind(value) == JSON_KIND_INT ? json_int(value) : standard;
	bool is_good = json_kind(value) == JSON_KIND_NULL || json_kind(value) == JSON_KIND_INT;
	if (is_good && *ret >= 0 && *ret <= E2B_TIMEOUT_MAX_S)
		return 0;
	e2b_fail(r, 400, "%s must be 0 to %d seconds", key, E2B_TIMEOUT_MAX_S);
	return -1;
}

static void reply_saved(struct e2b_box *b, struct http_request *r, int64_t timeout_s)
{
	struct error err;
	e2b_box_set_end(b, timeout_s);
	int result = e2b_box_save(b, &err);
	e2b_box_schedule(b);
	if (result < 0)
		e2b_fail_error(r, &err);
	else
		e2b_empty(r, 204);
}

void e2b_boxes_timeout(struct http_request *r)
{
	struct e2b_box *b = e2b_box_of_request(r);
	int64_t timeout_s;
	if (!b || take_seconds(r, "timeout", -1, &timeout_s) < 0)
		return;
	reply_saved(b, r, timeout_s);
}

/* Never shortens. */
static int extend(struct e2b_box *b, int64_t timeout_s, struct error *err)
{
	if (clock_mono_ms() + timeout_s * 1000 <= b->due_ms)
		return 0;
	e2b_box_set_end(b, timeout_s);
	int result = e2b_box_save(b, err);
	e2b_box_schedule(b);
	return result;
}

void e2b_boxes_refresh(struct http_request *r)
{
	struct e2b_box *b = e2b_box_of_request(r);
	int64_t duration_s;
	if (!b || take_seconds(r, "duration", E2B_TIMEOUT_S, &duration_s) < 0)
		return;
	struct error err;
	if (extend(b, duration_s, &err) < 0)
		e2b_fail_error(r, &err);
	else
		e2b_empty(r, 204);
}

/* ---- pause, resume ---- */

static void on_resumed(void *arg, const struct error *err)
{
	struct change *c = arg;
	struct e2b_box *b = box_of(c);
	struct http_request *r = c->r;
	struct error unsaved;
	if (b) {
		b->is_changing = false;
		if (!err)
			e2b_box_set_end(b, c->timeout_s);
		if (e2b_box_save(b, &unsaved) < 0 && !err)
			err = &unsaved;
		e2b_box_schedule(b);
	}
	if (!b)
		not_found(r, c->id);
	else if (err)
		e2b_fail_error(r, err);
	else
		e2b_box_reply(b, r, c->status);
	free(c);
}

static void resume(struct e2b_box *b, struct http_request *r, int64_t timeout_s)
{
	struct change *c = change_new(b->e2b, b->id, r);
	c->timeout_s = timeout_s;
	c->status = 201;
	b->is_changing = true;
	runtime_pause(e2b_box_sandbox(b), false, on_resumed, c);
}

/* False: answered. */
static bool is_free(const struct e2b_box *b, struct http_request *r)
{
	if (b->is_changing)
		e2b_fail(r, 409, "sandbox %s is being paused or resumed", b->id);
	return !b->is_changing;
}

void e2b_boxes_connect(struct http_request *r)
{
	struct e2b_box *b = e2b_box_of_request(r);
	int64_t timeout_s;
	if (!b || take_seconds(r, "timeout", E2B_TIMEOUT_S, &timeout_s) < 0 || !is_free(b, r))
		return;
	if (e2b_box_is_paused(b)) {
		resume(b, r, timeout_s);
		return;
	}
	struct error err;
	if (extend(b, timeout_s, &err) < 0)
		e2b_fail_error(r, &err);
	else
		e2b_box_reply(b, r, 200);
}

void e2b_boxes_resume(struct http_request *r)
{
	struct e2b_box *b = e2b_box_of_request(r);
	int64_t timeout_s;
	if (!b || take_seconds(r, "timeout", E2B_TIMEOUT_S, &timeout_s) < 0 || !is_free(b, r))
		return;
	if (e2b_box_is_paused(b))
		resume(b, r, timeout_s);
	else
		e2b_fail(r, 409, "sandbox %s is not paused", b->id);
}

static void on_paused(void *arg, const struct error *err)
{
	struct change *c = arg;
	struct e2b_box *b = box_of(c);
	struct http_request *r = c->r;
	struct error unsaved;
	if (b) {
		b->is_changing = false;
		if (e2b_box_save(b, &unsaved) < 0 && !err)
			err = &unsaved;
		e2b_box_schedule(b);
	}
	if (!b)
		not_found(r, c->id);
	else if (err)
		e2b_fail_error(r, err);
	else
		e2b_empty(r, 204);
	free(c);
}

void e2b_boxes_pause(struct http_request *r)
{
	struct e2b_box *b = e2b_box_of_request(r);
	auto_json struct json *body = b ? e2b_body(r) : NULL;
	const struct json *memory = json_find(body, "memory");
	if (!body || !is_free(b, r))
		return;
	if (e2b_box_is_paused(b)) {
		e2b_fail(r, 409, "sandbox %s is already paused", b->id);
		return;
	}
	if (json_kind(memory) == JSON_KIND_BOOL && !json_bool(memory)) {
		e2b_fail(r, 501, "memory=false is not offered: a paused sandbox keeps its memory");
		return;
	}
	b->is_changing = true;
	e2b_watchers_drop(b);
	runtime_pause(e2b_box_sandbox(b), true, on_paused, change_new(b->e2b, b->id, r));
}

/* ---- use ---- */

/* The one sample there is: now, if that is within what was asked for. */
static bool is_now_wanted(struct http_request *r)
{
	int64_t now_s = clock_wall_ms() / 1000, start = 0, end = INT64_MAX;
	num_parse_i64(http_query(r, "start"), 0, INT64_MAX, &start, NULL);
	num_parse_i64(http_query(r, "end"), 0, INT64_MAX, &end, NULL);
	return now_s >= start && now_s <= end;
}

void e2b_put_usage(struct jsonw *w, const struct sandbox *s, const struct sample *sample)
{
	const struct spec_limits *limits = &s->enforced.limits;
	const struct monitor_usage *usage = sample->usage;
	jsonw_key_int(w, "cpuCount", MAX((int64_t)sampler_cores(s), (int64_t)1));
	jsonw_key(w, "cpuUsedPct");
	jsonw_real(w, sampler_cpu_percent(s, sample));
	jsonw_key_int(w, "memUsed", MAX(usage->memory_bytes, (int64_t)0));
	jsonw_key_int(w, "memTotal", sampler_memory(s));
	jsonw_key_int(w, "memCache", 0);
	jsonw_key_int(w, "diskUsed", MAX(usage->disk_bytes, (int64_t)0));
	jsonw_key_int(w, "diskTotal", MAX(limits->disk_bytes, (int64_t)0));
}

static void tell_usage(struct http_request *r, const struct sandbox *s, const struct sample *sample)
{
	auto_buf struct buf body = BUF_INIT(8192);
	struct jsonw w = JSONW(&body);
	jsonw_open_array(&w);
	jsonw_open(&w);
	e2b_key_time(&w, "timestamp", clock_wall_ms());
	jsonw_key_int(&w, "timestampUnix", clock_wall_ms() / 1000);
	e2b_put_usage(&w, s, sample);
	jsonw_close(&w);
	jsonw_close_array(&w);
	http_reply_json(r, 200, &body);
}

void e2b_boxes_metrics(struct http_request *r)
{
	static const struct sampler_ops ops = { tell_usage, e2b_fail_error };
	const struct e2b_box *b = e2b_box_of_request(r);
	if (!b)
		return;
	if (is_now_wanted(r))
		sampler_start(r, e2b_of(r)->rt, e2b_of(r)->loop, b->id, SAMPLER_ONCE, &ops);
	else
		http_reply(r, 200, "application/json", STR("[]"));
}

void e2b_not_offered(struct http_request *r)
{
	e2b_fail(r, 501, "%.*s is not offered by cay", STR_ARG(str_first(r->path, 200)));
}
