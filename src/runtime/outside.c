/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The packs of a sandbox are one JSON array, in the form in which its record keeps them; a change
 * makes a new array.
 */
#include "base/auto.h"
#include "base/bug.h"
#include "base/log.h"
#include "runtime/outside_internal.h"

struct outside *outside_of(struct sandbox *s)
{
	if (s->outside)
		return s->outside;
	struct outside *o = mem_new(struct outside);
	o->rt = s->runtime;
	memcpy(o->sandbox, s->id, sizeof(o->sandbox));
	o->fetcher = fetcher_new(o->rt->loop);
	list_init(&o->adds);
	list_init(&o->calls);
	if (json_parse(s->outside_json ? str_from(s->outside_json) : STR("[]"), &o->packs, NULL) <
		0)
		json_parse(STR("[]"), &o->packs, NULL);
	if (json_len(o->packs))
		outside_keys_load(o);
	return s->outside = o;
}

void outside_stop(struct outside *o)
{
	outside_adds_drop(o);
	for (size_t i = 0; i < OUTSIDE_PACKS_MAX; i++) {
		outside_end_asked(o, i);
		mcp_client_free(take_ptr(o->clients[i]));
	}
}

void outside_free(struct outside *o)
{
	if (!o)
		return;
	outside_adds_end(o);
	BUG_IF(!list_is_empty(&o->calls), "a sandbox goes away under the calls of its tools");
	for (size_t i = 0; i < OUTSIDE_PACKS_MAX; i++)
		mcp_client_free(o->clients[i]);
	fetcher_free(o->fetcher);
	json_free(o->packs);
	json_free(o->keys);
	free(o);
}

struct str outside_name_of(const struct json *schema)
{
	return json_str(json_find(json_find(schema, "function"), "name"));
}

const struct json *outside_find(const struct outside *o, struct str tool, size_t *ret_pack)
{
	for (size_t i = 0; i < json_len(o->packs); i++) {
		const struct json *tools = json_find(json_at(o->packs, i), "tools");
		for (size_t k = 0; k < json_len(tools); k++)
			if (str_eq(outside_name_of(json_at(tools, k)), tool)) {
				*ret_pack = i;
				return json_at(tools, k);
			}
	}
	return NULL;
}

int outside_set_packs(struct sandbox *s, struct outside *o, const struct buf *text,
	struct error *err)
{
	struct json *packs;
	if (text->is_full)
		return error_set(err, ERROR_TOO_LARGE, "over %d bytes of schemas",
			OUTSIDE_JSON_MAX);
	if (json_parse(buf_str(text), &packs, err) < 0)
		return -1;
	json_free(o->packs);
	o->packs = packs;
	free(s->outside_json);
	s->outside_json = json_len(packs) ? str_dup(buf_str(text)) : NULL;
	store_put(s->runtime->store, s);
	return 0;
}

static void put_without_tool(struct buf *b, const struct json *pack, struct str name)
{
	void *it = NULL;
	struct str key;
	const struct json *value;
	struct jsonw w = JSONW(b);
	jsonw_open(&w);
	while ((value = json_next(pack, &it, &key))) {
		jsonw_key_dyn(&w, key);
		if (!str_is(key, "tools")) {
			json_write(value, b);
			w.needs_comma = true;
			continue;
		}
		jsonw_open_array(&w);
		for (size_t i = 0; i < json_len(value); i++)
			if (!str_eq(outside_name_of(json_at(value, i)), name)) {
				json_write(json_at(value, i), b);
				w.needs_comma = true;
			}
		jsonw_close_array(&w);
	}
	jsonw_close(&w);
}

static void end_client(struct outside *o, size_t i)
{
	outside_end_asked(o, i);
	mcp_client_free(take_ptr(o->clients[i]));
}

int outside_remove(struct sandbox *s, struct outside *o, struct str name)
{
	auto_buf struct buf text = BUF_INIT(OUTSIDE_JSON_MAX);
	size_t n = json_len(o->packs), kept = 0, at;
	bool is_tool = outside_find(o, name, &at), is_pack = false;
	for (size_t i = 0; i < n; i++)
		is_pack |= str_eq(json_str(json_find(json_at(o->packs, i), "pack")), name);
	if (!is_pack && !is_tool)
		return 0;
	buf_putc(&text, '[');
	for (size_t i = 0; i < n; i++) {
		const struct json *pack = json_at(o->packs, i);
		if (is_pack && str_eq(json_str(json_find(pack, "pack")), name)) {
			end_client(o, i);
			outside_pack_gone(o, kept);
			continue;
		}
		if (kept)
			buf_putc(&text, ',');
		put_without_tool(&text, pack, is_pack ? STR_NONE : name);
		struct mcp_client *client = take_ptr(o->clients[i]);
		o->clients[kept++] = client;
	}
	buf_putc(&text, ']');
	BUG_IF(outside_set_packs(s, o, &text, NULL) < 0, "packs that were there do not fit");
	struct error err;
	if (is_pack && outside_keys_set(o, name, STR_NONE, &err) < 0)
		log_warn("tool.keys", "%s", err.text); /* nothing uses them any more */
	return 1;
}

int outside_reset(struct outside *o, struct str pack)
{
	int n = 0;
	for (size_t i = 0; i < json_len(o->packs); i++)
		if (!pack.ptr || str_eq(json_str(json_find(json_at(o->packs, i), "pack")), pack)) {
			end_client(o, i);
			n++;
		}
	return n;
}

/* ---- listing ---- */

void outside_put_value(struct jsonw *w, const struct json *value)
{
	auto_buf struct buf text = BUF_INIT(OUTSIDE_JSON_MAX);
	json_write(value, &text);
	jsonw_raw(w, buf_str(&text));
}

void outside_put_pack(const struct outside *o, size_t i, struct jsonw *w)
{
	const struct json *pack = json_at(o->packs, i), *tools = json_find(pack, "tools");
	jsonw_open(w);
	jsonw_key_str(w, "pack", json_str(json_find(pack, "pack")));
	jsonw_key_str(w, "kind", json_str(json_find(pack, "kind")));
	jsonw_key_str(w, "state", STR("ready"));
	jsonw_key_int(w, "calls", outside_calls(o, i));
	jsonw_key_int(w, "starts", 0);
	jsonw_key(w, "error");
	jsonw_null(w);
	jsonw_key(w, "tools");
	jsonw_open_array(w);
	for (size_t k = 0; k < json_len(tools); k++)
		jsonw_str(w, outside_name_of(json_at(tools, k)));
	jsonw_close_array(w);
	jsonw_key(w, "hidden");
	json_write(json_find(pack, "hidden"), w->b);
	w->needs_comma = true;
	jsonw_key_int(w, "timeout_ms", json_int(json_find(pack, "timeout_ms")));
	jsonw_close(w);
}

bool outside_merge(struct sandbox *s, struct str list, struct buf *ret)
{
	struct outside *o = outside_of(s);
	auto_json struct json *theirs = NULL;
	struct jsonw w = JSONW(ret);
	size_t at;
	if (json_parse(list, &theirs, NULL) < 0)
		return false;
	const struct json *packs = json_find(theirs, "packs"), *tools = json_find(theirs, "tools");
	jsonw_open(&w);
	jsonw_key(&w, "packs");
	jsonw_open_array(&w);
	for (size_t i = 0; i < json_len(packs); i++)
		outside_put_value(&w, json_at(packs, i));
	for (size_t i = 0; i < json_len(o->packs); i++)
		outside_put_pack(o, i, &w);
	jsonw_close_array(&w);
	jsonw_key(&w, "tools");
	jsonw_open_array(&w);
	for (size_t i = 0; i < json_len(tools); i++)
		if (!outside_find(o, outside_name_of(json_at(tools, i)),
			    &at)) /* else ours was first */
			outside_put_value(&w, json_at(tools, i));
	for (size_t i = 0; i < json_len(o->packs); i++) {
		const struct json *ours = json_find(json_at(o->packs, i), "tools");
		for (size_t k = 0; k < json_len(ours); k++)
			outside_put_value(&w, json_at(ours, k));
	}
	jsonw_close_array(&w);
	jsonw_close(&w);
	return !ret->is_full;
}
