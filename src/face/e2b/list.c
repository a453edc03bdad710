/* SPDX-License-Identifier: Apache-2.0 */
/* Sandboxes as SDKs see them: one, and lists by metadata, state, template and date, in pages. */
#include "face/e2b/handlers.h"

#include "base/auto.h"
#include "base/bug.h"
#include "base/clock.h"
#include "base/num.h"
#include "wire/url.h"

enum { PAGE_MAX = 100, FILTERS_MAX = 64 };

static int64_t mib(int64_t bytes)
{
	return MAX(bytes, (int64_t)0) >> 20;
}

static void put_common(const struct e2b_box *b, const struct sandbox *s, struct jsonw *w)
{
	const struct spec_limits *limits = &s->enforced.limits;
	jsonw_key_str(w, "sandboxID", str_from(b->id));
	jsonw_key_str(w, "templateID", str_from(b->template_id));
	jsonw_key_str(w, "alias", str_from(b->template_id));
	jsonw_key_str(w, "clientID", STR("cay"));
	e2b_key_time(w, "startedAt", b->started_ms);
	e2b_key_time(w, "endAt", b->end_ms);
	jsonw_key_int(w, "cpuCount", MAX(limits->cpu_milli / 1000, (int64_t)1));
	jsonw_key_int(w, "memoryMB", mib(limits->memory_bytes));
	jsonw_key_int(w, "diskSizeMB", mib(limits->disk_bytes));
	jsonw_key_str(w, "envdVersion", STR(E2B_VERSION));
	jsonw_key_str(w, "state", s->state == SANDBOX_PAUSED ? STR("paused") : STR("running"));
	auto_buf struct buf metadata = BUF_INIT(CREATE_NOTE_BYTES);
	jsonw_key(w, "metadata");
	if (b->metadata && json_write(b->metadata, &metadata) == 0)
		jsonw_raw(w, buf_str(&metadata));
	else
		jsonw_raw(w, STR("{}"));
}

void e2b_box_write(const struct e2b_box *b, struct jsonw *w)
{
	const struct sandbox *s = e2b_box_sandbox(b);
	jsonw_open(w);
	if (s)
		put_common(b, s, w);
	jsonw_close(w);
}

void e2b_boxes_get(struct http_request *r)
{
	const struct e2b_box *b = e2b_box_of_request(r);
	const struct sandbox *s = b ? e2b_box_sandbox(b) : NULL;
	auto_buf struct buf body = BUF_INIT(2 * CREATE_NOTE_BYTES);
	struct jsonw w = JSONW(&body);
	char token[E2B_TOKEN_SIZE];
	if (!s)
		return;
	bool is_guest = r->grant.role != ROLE_ADMIN; /* its token ends, and this one would not */
	e2b_token(r, str_from(b->id), token);
	jsonw_open(&w);
	put_common(b, s, &w);
	if (token[0] && !is_guest)
		jsonw_key_str(&w, "envdAccessToken", str_from(token));
	jsonw_key(&w, "domain");
	jsonw_null(&w);
	jsonw_key_bool(&w, "allowInternetAccess", !b->is_offline);
	jsonw_key(&w, "network");
	jsonw_open(&w);
	jsonw_key_bool(&w, "allowPublicTraffic", b->is_public);
	jsonw_close(&w);
	jsonw_key(&w, "lifecycle");
	jsonw_open(&w);
	jsonw_key_bool(&w, "autoResume", b->resumes);
	jsonw_key_str(&w, "onTimeout", b->pauses ? STR("pause") : STR("kill"));
	jsonw_close(&w);
	jsonw_close(&w);
	http_reply_json(r, 200, &body);
}

/* ---- lists ---- */

struct listing {
	struct http_request *r;
	struct str keys[FILTERS_MAX], values[FILTERS_MAX]; /* all of the metadata must be there */
	size_t n;
	struct str states, template_id;
	int64_t after_ms;
	bool is_ascending, pages;
	int64_t limit, skip, seen, shown;
};

static struct str decoded(struct http_request *r, struct str s)
{
	auto_buf struct buf b = BUF_INIT(HTTP_HEAD_MAX);
	url_decode(s, URL_QUERY, &b, NULL);
	return str_from_len(arena_str(&r->arena, buf_str(&b)), b.len);
}

/* "k=v&…", in which k and v are encoded once more than a query needs. */
static int take_metadata(struct listing *l, struct str text, struct error *err)
{
	struct str name, value;
	while (url_query_next(&text, &name, &value)) {
		if (l->n == FILTERS_MAX)
			return error_set(err, ERROR_INVALID, "metadata: over %d keys", FILTERS_MAX);
		l->keys[l->n] = decoded(l->r, decoded(l->r, name));
		l->values[l->n++] = decoded(l->r, decoded(l->r, value));
	}
	return 0;
}

static int take_date(struct str text, int64_t *ret_ms, struct error *err)
{
	if (clock_parse(text, ret_ms) < 0)
		return error_set(err, ERROR_INVALID, "startedAfter is no date");
	return 0;
}

static int take_query(struct listing *l, struct error *err)
{
	struct http_request *r = l->r;
	struct str limit = http_query(r, "limit"), next = http_query(r, "nextToken");
	struct str order = http_query(r, "order"), after = http_query(r, "startedAfter");
	l->limit = PAGE_MAX;
	l->states = http_query(r, "state");
	l->template_id = http_query(r, "template");
	l->is_ascending = str_is(order, "asc");
	if (order.len && !l->is_ascending && !str_is(order, "desc"))
		return error_set(err, ERROR_INVALID, "order is asc or desc");
	if ((limit.len && num_parse_i64(limit, 1, PAGE_MAX, &l->limit, err) < 0) ||
		(next.len && num_parse_i64(next, 0, INT64_MAX, &l->skip, err) < 0))
		return error_wrap(err, "the page");
	if (after.len && take_date(after, &l->after_ms, err) < 0)
		return -1;
	return take_metadata(l, http_query(r, "metadata"), err);
}

static bool is_state_wanted(const struct listing *l, bool is_paused)
{
	struct str rest = l->states, word;
	if (!rest.len)
		return true;
	while (rest.len && str_split(&rest, ',', &word))
		if (str_is(str_trim(word), is_paused ? "paused" : "running"))
			return true;
	return false;
}

static bool is_wanted(const struct listing *l, const struct e2b_box *b)
{
	for (size_t i = 0; i < l->n; i++) {
		const char *key = l->keys[i].ptr;
		const struct json *value = json_find(b->metadata, key);
		if (!value || !str_eq(json_str(value), l->values[i]))
			return false;
	}
	return is_state_wanted(l, e2b_box_is_paused(b)) &&
		(!l->template_id.len || str_is(l->template_id, b->template_id)) &&
		b->started_ms >= l->after_ms;
}

/* One more than a page: then there is a next one. */
static bool show(struct listing *l, const struct e2b_box *b, struct jsonw *w)
{
	if (!is_wanted(l, b) || l->seen++ < l->skip)
		return true;
	if (l->pages && l->shown == l->limit)
		return false;
	l->shown++;
	e2b_box_write(b, w);
	return true;
}

static void reply_list(struct http_request *r, bool pages, struct str states)
{
	auto_buf struct buf body = BUF_INIT(HTTP_REPLY_MAX);
	struct listing *l = arena_new(&r->arena, struct listing);
	struct e2b *e = e2b_of(r);
	struct jsonw w = JSONW(&body);
	struct error err;
	bool goes_on = true;
	l->r = r;
	l->pages = pages;
	if (take_query(l, &err) < 0) {
		e2b_fail_error(r, &err);
		return;
	}
	if (!l->states.len)
		l->states = states;
	size_t n = 0, i = 0;
	struct e2b_box *b, *tmp;
	list_for_each_safe(b, tmp, &e->boxes, link)
		n += e2b_box_find(e, str_from(b->id)) != NULL; /* and those that are gone go */
	const struct e2b_box **all = mem_new_n(const struct e2b_box *, n + 1);
	list_for_each(b, &e->boxes, link)
		all[i++] = b;
	jsonw_open_array(&w);
	for (i = 0; i < n && goes_on; i++)
		goes_on = show(l, all[l->is_ascending ? i : n - 1 - i], &w);
	jsonw_close_array(&w);
	free(all);
	if (!goes_on) {
		char next[32];
		snprintf(next, sizeof(next), "%lld", (long long)(l->skip + l->shown));
		http_reply_header(r, "X-Next-Token", next);
	}
	http_reply_json(r, 200, &body);
}

void e2b_boxes_list(struct http_request *r)
{
	reply_list(r, true, STR_NONE);
}

/* As clients before /v2 ask: those that run, all of them. */
void e2b_boxes_list_old(struct http_request *r)
{
	reply_list(r, false, STR("running"));
}
