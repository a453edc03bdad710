/* SPDX-License-Identifier: Apache-2.0 */
/* Lists of sandboxes and of snapshots, by page. */
#include "face/opensandbox/list.h"

#include "base/auto.h"
#include "base/num.h"
#include "face/opensandbox/handlers.h"
#include "wire/url.h"

enum { PAGE_SIZE = 20, PAGE_SIZE_MAX = 200, FILTERS_MAX = 64 };

int osb_pages_read(struct http_request *r, struct osb_pages *p, struct error *err)
{
	struct str page = http_query(r, "page"), size = http_query(r, "pageSize"), state;
	size_t i = 0;
	*p = (struct osb_pages){ .page = 1, .size = PAGE_SIZE };
	if (page.len && num_parse_i64(page, 1, INT32_MAX, &p->page, err) < 0)
		return error_wrap(err, "page");
	if (size.len && num_parse_i64(size, 1, PAGE_SIZE_MAX, &p->size, err) < 0)
		return error_wrap(err, "pageSize");
	while (osb_next_query(r, "state", &i, &state)) {
		if (p->n_states == OSB_STATES_MAX)
			return error_set(err, ERROR_INVALID, "state: over %d", OSB_STATES_MAX);
		p->states[p->n_states++] = state;
	}
	return 0;
}

bool osb_pages_has(struct osb_pages *p)
{
	int64_t at = p->n++;
	return at / p->size + 1 == p->page;
}

void osb_pages_put(const struct osb_pages *p, struct jsonw *w)
{
	int64_t pages = (p->n + p->size - 1) / p->size;
	jsonw_key(w, "pagination");
	jsonw_open(w);
	jsonw_key_int(w, "page", p->page);
	jsonw_key_int(w, "pageSize", p->size);
	jsonw_key_int(w, "totalItems", p->n);
	jsonw_key_int(w, "totalPages", pages);
	jsonw_key_bool(w, "hasNextPage", p->page < pages);
	jsonw_close(w);
}

bool osb_pages_want(const struct osb_pages *p, const char *state)
{
	for (size_t i = 0; i < p->n_states; i++)
		if (str_is(p->states[i], state))
			return true;
	return p->n_states == 0;
}

/* ---- sandboxes ---- */

struct filter {
	struct str keys[FILTERS_MAX], values[FILTERS_MAX]; /* all of them must be there */
	size_t n;
};

static struct str decoded(struct http_request *r, struct str s)
{
	auto_buf struct buf b = BUF_INIT(HTTP_HEAD_MAX);
	url_decode(s, URL_QUERY, &b, NULL);
	return str_from_len(arena_str(&r->arena, buf_str(&b)), b.len);
}

/* "k=v&…", in which k and v may be encoded once more; SDKs differ in how often. */
static int take_filter(struct http_request *r, struct filter *f, struct error *err)
{
	struct str text = http_query(r, "metadata"), key, value;
	while (url_query_next(&text, &key, &value)) {
		if (f->n == FILTERS_MAX)
			return error_set(err, ERROR_INVALID, "metadata: over %d keys", FILTERS_MAX);
		f->keys[f->n] = decoded(r, decoded(r, key));
		f->values[f->n++] = decoded(r, decoded(r, value));
	}
	return 0;
}

static bool is_wanted(const struct filter *f, const struct json *note)
{
	const struct json *metadata = json_find(note, "metadata");
	for (size_t i = 0; i < f->n; i++) {
		const struct json *value = json_find(metadata, f->keys[i].ptr);
		if (!value || !str_eq(json_str(value), f->values[i]))
			return false;
	}
	return true;
}

void osb_list(struct http_request *r)
{
	auto_buf struct buf body = BUF_INIT(HTTP_REPLY_MAX);
	struct jsonw w = JSONW(&body);
	struct filter *f = arena_new(&r->arena, struct filter);
	struct osb *o = osb_of(r);
	struct osb_pages pages;
	struct error err;
	if (osb_pages_read(r, &pages, &err) < 0 || take_filter(r, f, &err) < 0) {
		osb_fail_error(r, &err);
		return;
	}
	jsonw_open(&w);
	jsonw_key(&w, "items");
	jsonw_open_array(&w);
	for (struct sandbox *s = NULL; (s = runtime_next(o->rt, s));) {
		auto_json struct json *note = osb_find(o, str_from(s->id)) ? osb_note(s) : NULL;
		if (note && is_wanted(f, note) && osb_pages_want(&pages, osb_state_name(s)) &&
			osb_pages_has(&pages))
			osb_put_sandbox(&w, s, note);
	}
	jsonw_close_array(&w);
	osb_pages_put(&pages, &w);
	jsonw_close(&w);
	http_reply_json(r, 200, &body);
}
