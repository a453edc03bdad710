/* SPDX-License-Identifier: Apache-2.0 */
/*
 * POST /sandbox/{id}/snapshot and /fork. A fork is of the same user, target, labels, variables and
 * intervals as the other one; it is not public, and lives as long as nobody says otherwise.
 */
#include "face/daytona/build.h"
#include "face/daytona/handlers.h"

#include "base/auto.h"
#include "runtime/fork.h"

/* In the request's arena. */
struct taking {
	struct http_request *r;
	char id[ID_SIZE];
	struct snapshot *snapshot;
	struct fork *fork;
};

static struct taking *taking_new(struct http_request *r, const struct box *b)
{
	struct taking *t = arena_new(&r->arena, struct taking);
	t->r = r;
	memcpy(t->id, b->id, sizeof(t->id));
	return t;
}

static void on_closed(void *arg)
{
	struct taking *t = arg;
	snapshot_cancel(t->snapshot);
	fork_cancel(t->fork);
	t->snapshot = NULL;
	t->fork = NULL;
	daytona_fail(t->r, 499, NULL, "the client went away");
}

static const struct http_ops ops = { .on_closed = on_closed };

static void reply(struct taking *t, const char *id, const struct error *err)
{
	struct box *b = err ? NULL : box_find(daytona_of(t->r), str_from(id));
	if (err)
		daytona_fail_error(t->r, err);
	else if (!b)
		daytona_fail(t->r, 404, NULL, "Sandbox with ID or name %s not found", id);
	else
		box_reply(b, t->r);
}

static void on_taken(void *arg, const struct image *image, const struct error *err)
{
	struct taking *t = arg;
	t->snapshot = NULL;
	reply(t, t->id, err);
}

/* NULL: answered. */
static struct box *box_to_take(struct http_request *r, struct sandbox **ret)
{
	struct box *b = box_of_request(r);
	*ret = b ? box_sandbox(b) : NULL;
	if (b && (b->is_changing || !*ret)) {
		daytona_fail(r, 409, NULL, "sandbox %s is changing its state", b->id);
		return NULL;
	}
	return b;
}

void boxes_snapshot(struct http_request *r)
{
	auto_json struct json *body = daytona_body(r);
	struct str name;
	struct sandbox *s;
	if (!body || !daytona_need(r, body, "name", &name))
		return;
	if (json_bool(json_find(body, "includeMemory"))) {
		daytona_fail(r, 400, NULL,
			"includeMemory is not offered: a snapshot has files only");
		return;
	}
	struct box *b = box_to_take(r, &s);
	if (!b)
		return;
	const struct snapshot_wish wish = { .name = name };
	struct taking *t = taking_new(r, b);
	works_forget_snapshot(daytona_of(r), name);
	t->snapshot = snapshot_new(s, &wish, on_taken, t);
	http_listen(r, &ops, t);
}

/* ---- fork ---- */

static void on_forked(void *arg, const char (*ids)[ID_SIZE], size_t n, const struct error *err)
{
	struct taking *t = arg;
	t->fork = NULL;
	reply(t, n ? ids[0] : t->id, err);
}

/* As make.c has it: who is at home in Daytona's directory. */
static void put_env(const struct box *b, struct jsonw *w)
{
	const struct json *value;
	struct str key;
	void *it = NULL;
	jsonw_key(w, "env");
	jsonw_open(w);
	if (b->is_own && strcmp(b->user, "root") != 0 && !json_find(b->env, "HOME"))
		jsonw_key_str(w, "HOME", STR(DAYTONA_HOME));
	while (b->env && (value = json_next(b->env, &it, &key))) {
		jsonw_key_dyn(w, key);
		jsonw_str(w, json_str(value));
	}
	jsonw_close(w);
}

static void put_wish(const struct box *b, struct str name, struct jsonw *w)
{
	jsonw_open(w);
	if (name.len)
		jsonw_key_str(w, "name", name);
	put_env(b, w);
	daytona_key_json(w, "labels", b->labels);
	jsonw_close(w);
}

static void put_note(const struct box *b, struct buf *note)
{
	struct box like = *b; /* only read */
	like.state = BOX_STARTED;
	like.is_public = false;
	like.revoked = NULL;
	like.destroy_ms = like.stopped_ms = 0;
	box_put_note(&like, note);
}

void boxes_fork(struct http_request *r)
{
	auto_json struct json *body = daytona_body(r), *create = NULL;
	auto_buf struct buf text = BUF_INIT(2 * CREATE_NOTE_BYTES),
			    note = BUF_INIT(CREATE_NOTE_BYTES);
	struct jsonw w = JSONW(&text);
	struct error err;
	struct sandbox *s;
	struct box *b = body ? box_to_take(r, &s) : NULL;
	if (!b)
		return;
	put_wish(b, json_str(json_find(body, "name")), &w);
	put_note(b, &note);
	if (json_parse(buf_str(&text), &create, &err) < 0) {
		daytona_fail_error(r, &err);
		return;
	}
	const struct fork_wish wish = { .create = create, .count = 1, .note = buf_str(&note) };
	struct taking *t = taking_new(r, b);
	t->fork = fork_new(s, &wish, on_forked, t);
	http_listen(r, &ops, t);
}
