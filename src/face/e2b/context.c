/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Contexts of the interpreter. A context is a kernel of the sandbox, in a language; each language
 * has one that is there without having been asked for. That of Python has the kernel `default`,
 * which other ways to the same sandbox use as well.
 */
#include "face/e2b/handlers.h"
#include "face/e2b/rpc.h"

#include "action/kernel_actions.h"
#include "base/auto.h"
#include "base/bug.h"

enum { CONTEXTS_MAX = 64 };

/* As clients write them, and the Jupyter kernel that stands for them; Python needs none. */
static const struct {
	const char *name, *other, *spec;
} languages[] = {
	{ "python", "python3", "python" },
	{ "javascript", "js", "javascript" },
	{ "typescript", "ts", "typescript" },
	{ "bash", "sh", "bash" },
	{ "r", "R", "ir" },
	{ "java", "java", "java" },
};

static int language_of(struct str name)
{
	for (size_t i = 0; i < ARRAY_LEN(languages); i++)
		if (!name.len || str_is(name, languages[i].name) ||
			str_is(name, languages[i].other))
			return (int)i;
	return -1;
}

struct e2b_context *e2b_context_find(struct e2b_box *b, struct str id)
{
	struct e2b_context *c;
	list_for_each(c, &b->contexts, link)
		if (str_is(id, c->id))
			return c;
	return NULL;
}

static struct e2b_context *context_new(struct e2b_box *b, int language, struct str id)
{
	struct e2b_context *c = mem_new(struct e2b_context);
	snprintf(c->id, sizeof(c->id), "%.*s", STR_ARG(id));
	c->language = languages[language].name;
	c->cwd = mem_strdup(E2B_HOME);
	list_append(&b->contexts, &c->link);
	b->n_contexts++;
	return c;
}

static void context_free(struct e2b_box *b, struct e2b_context *c)
{
	list_remove(&c->link);
	b->n_contexts--;
	free(c->cwd);
	free(c);
}

void e2b_contexts_drop(struct e2b_box *b)
{
	while (!list_is_empty(&b->contexts))
		context_free(b, list_get_first(&b->contexts, struct e2b_context, link));
}

struct e2b_context *e2b_context_default(struct e2b_box *b, struct str language, struct error *err)
{
	int at = language_of(language);
	if (at < 0) {
		error_set(err, ERROR_INVALID, "no such language: %.*s",
			STR_ARG(str_first(language, 60)));
		return NULL;
	}
	struct str id = str_from(at == 0 ? "default" : languages[at].name);
	return e2b_context_find(b, id) ?: context_new(b, at, id);
}

void e2b_context_put_kernel(struct jsonw *w, const struct e2b_context *c)
{
	jsonw_key_str(w, "kernel", str_from(c->id));
	jsonw_key_str(w, "spec", str_from(languages[language_of(str_from(c->language))].spec));
}

static void put_context(struct jsonw *w, const struct e2b_context *c)
{
	jsonw_open(w);
	jsonw_key_str(w, "id", str_from(c->id));
	jsonw_key_str(w, "language", str_from(c->language));
	jsonw_key_str(w, "cwd", str_from(c->cwd));
	jsonw_close(w);
}

/* ---- over HTTP ---- */

static void fail_text(struct chore *e, const struct error *err)
{
	if (!e2b_box_find(e2b_of(e->r), str_from(e->id)))
		e2b_gone(e->r, str_from(e->id));
	else
		http_reply(e->r, e2b_status(err->code), "text/plain; charset=utf-8",
			str_from(err->text));
}

void e2b_contexts_list(struct http_request *r)
{
	struct e2b_box *b = e2b_box_of_data(r);
	auto_buf struct buf body = BUF_INIT(1024 * 1024);
	struct jsonw w = JSONW(&body);
	const struct e2b_context *c;
	if (!b)
		return;
	e2b_context_default(b, STR("python"), NULL);
	jsonw_open_array(&w);
	list_for_each(c, &b->contexts, link)
		put_context(&w, c);
	jsonw_close_array(&w);
	http_reply_json(r, 200, &body);
}

struct opening {
	int language;
	struct str id, cwd;
};

static void on_opened(struct chore *e, const struct json *result)
{
	const struct opening *o = e->state;
	struct e2b_box *b = e2b_box_find(e2b_of(e->r), str_from(e->id));
	auto_buf struct buf body = BUF_INIT(16 * 1024);
	struct jsonw w = JSONW(&body);
	if (!b) {
		e2b_gone(e->r, str_from(e->id));
		return;
	}
	struct e2b_context *c = context_new(b, o->language, o->id);
	free(c->cwd);
	c->cwd = str_dup(o->cwd);
	put_context(&w, c);
	http_reply_json(e->r, 200, &body);
}

void e2b_contexts_create(struct http_request *r)
{
	struct chore *e = e2b_chore(r);
	auto_json struct json *body = e ? e2b_body(r) : NULL;
	auto_buf struct buf params = BUF_INIT(16 * E2B_PATH_MAX);
	struct jsonw w = JSONW(&params);
	struct str cwd = json_str(json_find(body, "cwd"));
	const struct e2b_box *b = body ? e2b_box_find(e2b_of(e->r), str_from(e->id)) : NULL;
	if (!b)
		return;
	char *id = arena_alloc(&r->arena, ID_SIZE);
	struct opening *o = arena_new(&r->arena, struct opening);
	o->language = language_of(json_str(json_find(body, "language")));
	if (o->language < 0 || cwd.len > E2B_PATH_MAX || b->n_contexts >= CONTEXTS_MAX) {
		e2b_fail(r, 400, "%s",
			o->language < 0                  ? "no such language"
				: cwd.len > E2B_PATH_MAX ? "cwd is too long"
							 : "too many contexts");
		return;
	}
	id_make(id);
	o->id = str_from(id);
	o->cwd = cwd.len ? str_from(arena_str(&r->arena, e2b_path(&r->arena, E2B_HOME, cwd)))
			 : STR(E2B_HOME);
	e->state = o;
	e->failed = fail_text;
	jsonw_open(&w);
	jsonw_key_str(&w, "kernel", o->id);
	jsonw_key_str(&w, "spec", str_from(languages[o->language].spec));
	jsonw_key_str(&w, "cwd", o->cwd);
	jsonw_close(&w);
	chore_perform(e, &kernel_open_action, &params, on_opened);
}

static void on_changed(struct chore *e, const struct json *result)
{
	http_reply(e->r, 200, "application/json", STR("null"));
}

/* One that has no kernel yet, or none any more, is as was wanted. */
static void on_not_changed(struct chore *e, const struct error *err)
{
	bool is_there = e2b_box_find(e2b_of(e->r), str_from(e->id));
	if (is_there && (err->code == ERROR_NOT_FOUND || err->code == ERROR_GONE))
		on_changed(e, NULL);
	else
		fail_text(e, err);
}

static void change(struct http_request *r, const struct action *action, bool ends)
{
	struct chore *e = e2b_chore(r);
	struct e2b_box *b = e ? e2b_box_find(e2b_of(e->r), str_from(e->id)) : NULL;
	auto_buf struct buf params = BUF_INIT(256);
	if (!b)
		return;
	struct str id = http_param(r, "context");
	struct e2b_context *c = e2b_context_find(b, id);
	if (!c) {
		auto_free char *text = mem_printf("Context %.*s not found",
			STR_ARG(str_first(id, 60)));
		http_reply(r, 404, "text/plain; charset=utf-8", str_from(text));
		return;
	}
	buf_printf(&params, "{\"kernel\":\"%s\"}", c->id);
	if (ends)
		context_free(b, c);
	e->failed = on_not_changed;
	chore_perform(e, action, &params, on_changed);
}

void e2b_contexts_delete(struct http_request *r)
{
	change(r, &kernel_close_action, true);
}

void e2b_contexts_restart(struct http_request *r)
{
	change(r, &kernel_restart_action, false);
}
