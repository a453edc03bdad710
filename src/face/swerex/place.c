/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which sandbox a request is about. /swerex/NAME is one that there is; a request without a name is
 * about the one that its token is for; /swerex/new/IMAGE/NAME is made of that image by the first
 * request that comes, and ended by `close`, so that a client's own start and stop are the life of
 * it. Its note says so; nobody else's sandbox is taken for one.
 */
#include "base/auto.h"
#include "base/bug.h"
#include "face/swerex/state.h"
#include "runtime/images.h"

#include <stdio.h>

/* A sandbox on its way. */
struct making {
	struct list link; /* swerex::makings */
	struct swerex *swerex;
	char *name;
	struct list waiting; /* waiting::link */
};

/* In its request's arena. */
struct waiting {
	struct list link;
	struct http_request *r;
	place_fn *done;
	void *arg;
};

bool place_makes(const struct http_request *r)
{
	return http_param(r, "image").ptr != NULL;
}

static struct str name_of(const struct http_request *r)
{
	struct str name = http_param(r, "sandbox");
	return name.ptr ? name : r->grant.role == ROLE_SANDBOX ? r->grant.sandbox : STR_NONE;
}

struct sandbox *place_find(const struct http_request *r)
{
	struct str name = name_of(r);
	struct error err;
	struct sandbox *s = name.len ? runtime_find(swerex_of(r)->rt, name, &err) : NULL;
	if (!s || !place_makes(r))
		return s;
	/* By its name alone; one that has ended makes room for the next. */
	return str_is(name, s->name) && !sandbox_state_is_final(s->state) ? s : NULL;
}

/* The image of its note; NULL: it was not made here. */
static bool note_has(const struct sandbox *s, struct str image)
{
	auto_json struct json *note = NULL;
	if (!s->note || !s->note[0] || json_parse(str_from(s->note), &note, NULL) < 0 ||
		!str_is(json_str(json_find(note, "face")), "swerex"))
		return false;
	return !image.ptr || str_eq(json_str(json_find(note, "image")), image);
}

bool place_is_own(const struct sandbox *s)
{
	return note_has(s, STR_NONE);
}

/* ---- making ---- */

static struct making *making_find(const struct swerex *x, struct str name)
{
	struct making *m;
	list_for_each(m, &x->makings, link)
		if (str_is(name, m->name))
			return m;
	return NULL;
}

static void answer_failure(struct http_request *r, const struct error *err)
{
	auto_buf struct buf b = BUF_INIT(16 * 1024);
	fault_put(&b, FAULT("DeploymentStartupError"), str_from(err->text), STR_NONE);
	http_reply(r, 511, "application/json", buf_str(&b));
}

static void on_made(void *arg, struct sandbox *s, const struct error *err)
{
	struct making *m = arg;
	struct list waiting;
	list_init(&waiting);
	while (!list_is_empty(&m->waiting)) {
		struct list *link = m->waiting.next;
		list_remove(link);
		list_append(&waiting, link);
	}
	list_remove(&m->link);
	free(m->name);
	free(m);
	while (!list_is_empty(&waiting)) {
		struct waiting *w = list_get_first(&waiting, struct waiting, link);
		list_remove(&w->link);
		if (err)
			answer_failure(w->r, err);
		w->done(w->arg, err ? NULL : s);
	}
}

static int fill(struct http_request *r, struct create *create, struct buf *note, struct error *err)
{
	struct str image = http_param(r, "image");
	struct jsonw w = JSONW(note);
	create->name = name_of(r);
	create->image = image;
	create->spec.user = USER_ROOT; /* as in the containers that its clients are used to */
	create->said = CREATE_SAID_IMAGE | CREATE_SAID_USER;
	if (create_check_name(create->name, err) < 0)
		return -1;
	if (str_is(image, "host"))
		create->image = STR_NONE;
	else if (!runtime_has_other_images(swerex_of(r)->rt) &&
		!images_find(runtime_images(swerex_of(r)->rt), image, err))
		return -1;
	create_fill(create, &r->arena);
	if (!create->idle_timeout_ms && !create->timeout_ms)
		create->idle_timeout_ms = SWEREX_IDLE_MS;
	jsonw_open(&w);
	jsonw_key_str(&w, "face", STR("swerex"));
	jsonw_key_str(&w, "image", image);
	jsonw_close(&w);
	create->note = buf_str(note);
	return 0;
}

/* NULL: it cannot be made, and *err says why. */
static struct making *make(struct http_request *r, struct error *err)
{
	struct swerex *x = swerex_of(r);
	struct create *create = arena_new(&r->arena, struct create);
	auto_buf struct buf note = BUF_INIT(CREATE_NOTE_BYTES);
	if (fill(r, create, &note, err) < 0)
		return NULL;
	struct making *m = mem_new(struct making);
	m->swerex = x;
	m->name = str_dup(create->name);
	list_init(&m->waiting);
	list_append(&x->makings, &m->link);
	runtime_create(x->rt, create, on_made, m);
	return making_find(x, name_of(r)); /* it may have been told already */
}

static bool is_ready(const struct sandbox *s)
{
	return s->state == SANDBOX_READY || s->state == SANDBOX_RUNNING;
}

static void refuse(struct http_request *r, const struct sandbox *s)
{
	struct error err;
	sandbox_refuse(s, ERROR_CONFLICT, &err);
	swerex_detail(r, sandbox_state_is_final(s->state) ? 410 : 409, err.text);
}

static void not_found(struct http_request *r)
{
	swerex_detail(r, 404,
		name_of(r).len ? "there is no sandbox of that name"
			       : "the path names no sandbox, and the token is for none: "
				 "use …/swerex/NAME, or a token for one sandbox");
}

/* One that is there, but not as this path would have made it. */
static bool is_taken(struct http_request *r, const struct sandbox *s)
{
	if (!place_makes(r) || note_has(s, http_param(r, "image")))
		return false;
	swerex_detail(r, 409, "a sandbox of that name is there that was not made by this path");
	return true;
}

void place_get(struct http_request *r, place_fn *done, void *arg)
{
	struct sandbox *s = place_find(r);
	struct making *m = place_makes(r) ? making_find(swerex_of(r), name_of(r)) : NULL;
	struct error err;
	if (s && is_taken(r, s)) {
		done(arg, NULL);
		return;
	}
	if (s && is_ready(s)) {
		done(arg, s);
		return;
	}
	if (!m && (s || !place_makes(r))) {
		if (s)
			refuse(r, s);
		else
			not_found(r);
		done(arg, NULL);
		return;
	}
	if (!m)
		m = make(r, &err);
	if (!m) {
		answer_failure(r, &err);
		done(arg, NULL);
		return;
	}
	struct waiting *w = arena_new(&r->arena, struct waiting);
	*w = (struct waiting){ .r = r, .done = done, .arg = arg };
	list_append(&m->waiting, &w->link);
}

void places_free_all(struct swerex *x)
{
	static const struct error gone = { .code = ERROR_UNAVAILABLE, .text = "the server ends" };
	while (!list_is_empty(&x->makings))
		on_made(list_get_first(&x->makings, struct making, link), NULL, &gone);
}

/* ---- is_alive ---- */

static void tell_alive(struct http_request *r, bool is_alive, const char *message)
{
	auto_buf struct buf b = BUF_INIT(4096);
	struct jsonw w = JSONW(&b);
	jsonw_open(&w);
	jsonw_key_bool(&w, "is_alive", is_alive);
	jsonw_key_str(&w, "message", str_from(message));
	jsonw_close(&w);
	http_reply_json(r, 200, &b);
}

/* At once: clients wait a sixth of a second for it. One that is made meanwhile is alive later. */
void place_is_alive(struct http_request *r)
{
	const struct sandbox *s = place_find(r);
	struct error err;
	if (s && is_taken(r, s))
		return;
	if (s && is_ready(s)) {
		tell_alive(r, true, "");
	} else if (s && !making_find(swerex_of(r), name_of(r))) {
		sandbox_refuse(s, ERROR_CONFLICT, &err);
		tell_alive(r, false, err.text);
	} else if (!place_makes(r)) {
		not_found(r);
	} else if (making_find(swerex_of(r), name_of(r)) || make(r, &err)) {
		tell_alive(r, false, "the sandbox is being made");
	} else {
		answer_failure(r, &err);
	}
}
