/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. A snapshot without a name, and a create for each sandbox, all at once. The
 * image goes with the last sandbox that is made of it (struct image, is_fleeting). All or none:
 * where one cannot be made, the others are ended again.
 */
#include "runtime/fork.h"

#include "base/auto.h"
#include "base/bug.h"
#include "runtime/internal.h"

#include <stdio.h>

enum { WISH_MAX = 16 * 1024 * 1024 };

struct fork {
	struct runtime *rt;
	struct snapshot *snapshot; /* NULL: it has been taken */
	struct json *wish;         /* a create's body, but for image and name */
	char *name, *note;
	fork_fn *done;
	void *arg;
	char image_id[SPEC_LAYER_SIZE]; /* "" */
	char ids[FORK_MAX][ID_SIZE];
	size_t n, n_made, n_waited;
	struct error error; /* the first */
	bool is_gone;       /* its caller is: what comes is ended */
};

/* ---- the wish ---- */

/* The body's word counts; then that of the other's spec. */
static void put_field(struct jsonw *w, const char *key, const struct json *body,
	const struct json *spec)
{
	auto_buf struct buf text = BUF_INIT(WISH_MAX);
	const struct json *value = json_find(body, key) ?: json_find(spec, key);
	if (json_kind(value) == JSON_KIND_NULL || json_write(value, &text) < 0)
		return;
	jsonw_key_dyn(w, str_from(key));
	jsonw_raw(w, buf_str(&text));
}

static int put_mounts(struct jsonw *w, const struct json *body, const struct json *spec,
	struct error *err)
{
	const struct json *mounts = json_find(spec, "mounts");
	if (json_find(body, "mounts")) {
		put_field(w, "mounts", body, NULL);
		return 0;
	}
	jsonw_key(w, "mounts");
	jsonw_open_array(w);
	for (size_t i = 0; i < json_len(mounts); i++) {
		auto_buf struct buf text = BUF_INIT(WISH_MAX);
		const struct json *m = json_at(mounts, i);
		struct str mode = json_str(json_find(m, "mode"));
		if (str_is(mode, "copy"))
			continue; /* it is in the image */
		if (!str_is(mode, "ro"))
			return error_set(err, ERROR_INVALID,
				"fork: %.*s is the host's, and both would write in it: say which `mounts` the "
				"new one has",
				STR_ARG(json_str(json_find(m, "target"))));
		json_write(m, &text);
		jsonw_raw(w, buf_str(&text));
	}
	jsonw_close_array(w);
	return 0;
}

static void put_ms(struct jsonw *w, const char *key, const struct json *body, int64_t ms)
{
	if (json_find(body, key))
		put_field(w, key, body, NULL);
	else if (ms)
		jsonw_key_int(w, key, ms);
}

static int put_wish(const struct sandbox *s, const struct json *body, struct jsonw *w,
	struct error *err)
{
	static const char *const kept[] = { "workdir", "user", "limits", "network", "allow",
		"network_name", "hostname", "require", "guard" };
	static const char *const own[] = { "env", "secrets", "labels", "plugins", "repo",
		"networks", "gpus" };
	auto_json struct json *spec = NULL;
	if (json_kind(body) != JSON_KIND_OBJECT && json_kind(body) != JSON_KIND_NULL)
		return error_set(err, ERROR_INVALID, "fork: 'create' must be an object, not %s",
			json_kind_name(json_kind(body)));
	if (json_find(body, "image"))
		return error_set(err, ERROR_INVALID, "fork: the image is the other sandbox");
	if (json_parse(str_from(s->spec_json), &spec, err) < 0)
		return -1;
	jsonw_open(w);
	for (size_t i = 0; i < ARRAY_LEN(kept); i++)
		put_field(w, kept[i], body, spec);
	for (size_t i = 0; i < ARRAY_LEN(own); i++)
		put_field(w, own[i], body, NULL);
	put_ms(w, "timeout_ms", body, s->timeout_ms);
	put_ms(w, "idle_timeout_ms", body, s->idle_timeout_ms);
	int r = put_mounts(w, body, spec, err);
	jsonw_close(w);
	return r;
}

/* Found wrong before anything is frozen. */
static int check(struct fork *f, const struct sandbox *s, const struct fork_wish *wish,
	struct error *err)
{
	auto_arena struct arena arena = ARENA_INIT(2 * WISH_MAX);
	auto_buf struct buf text = BUF_INIT(WISH_MAX);
	struct jsonw w = JSONW(&text);
	struct create *create = arena_new(&arena, struct create);
	struct str name = json_str(json_find(wish->create, "name"));
	if (wish->count < 1 || wish->count > FORK_MAX)
		return error_set(err, ERROR_INVALID, "fork: %lld at once; 1 to %d are made",
			(long long)wish->count, FORK_MAX);
	if (put_wish(s, wish->create, &w, err) < 0 ||
		json_parse(buf_str(&text), &f->wish, err) < 0 ||
		create_from_json(f->wish, &arena, create, err) < 0)
		return -1;
	if (name.len && create_check_name(name, err) < 0)
		return -1;
	if (f->rt->n_living + (size_t)wish->count > (size_t)f->rt->sandboxes_max)
		return error_set(err, ERROR_LIMIT, "fork: %zu sandboxes are alive; %d is the limit",
			f->rt->n_living, f->rt->sandboxes_max);
	f->name = name.len ? str_dup(name) : NULL;
	f->note = wish->note.len ? str_dup(wish->note) : NULL;
	f->n = (size_t)wish->count;
	return 0;
}

/* ---- the end ---- */

static void on_destroyed(void *arg, const struct error *err)
{
}

static void release(struct fork *f)
{
	if (f->image_id[0])
		images_release(f->rt->images, f->image_id);
	loop_undefer(f->rt->loop, f);
	json_free(f->wish);
	free(f->name);
	free(f->note);
	free(f);
}

static void end_made(struct fork *f)
{
	struct error err;
	for (size_t i = 0; i < f->n_made; i++) {
		struct sandbox *s = runtime_find(f->rt, str_from(f->ids[i]), &err);
		if (s)
			runtime_destroy(s, on_destroyed, NULL);
	}
	f->n_made = 0;
}

static void fail(void *arg)
{
	struct fork *f = arg;
	end_made(f);
	f->done(f->arg, NULL, 0, &f->error);
	release(f);
}

/* The last answer has come. */
static void finish(struct fork *f)
{
	if (f->is_gone) {
		end_made(f);
		release(f);
	} else if (f->error.code != ERROR_OK) {
		fail(f);
	} else {
		f->done(f->arg, (const char(*)[ID_SIZE])f->ids, f->n_made, NULL);
		release(f);
	}
}

void fork_cancel(struct fork *f)
{
	if (!f)
		return;
	f->is_gone = true;
	snapshot_cancel(take_ptr(f->snapshot));
	if (f->n_waited == 0)
		finish(f);
}

/* ---- the sandboxes ---- */

static void on_made(void *arg, struct sandbox *s, const struct error *err)
{
	struct fork *f = arg;
	if (s)
		memcpy(f->ids[f->n_made++], s->id, ID_SIZE);
	else if (f->error.code == ERROR_OK)
		f->error = *err;
	if (--f->n_waited == 0)
		finish(f);
}

static void make_one(struct fork *f, size_t i)
{
	auto_arena struct arena arena = ARENA_INIT(2 * WISH_MAX);
	struct create *create = arena_new(&arena, struct create);
	struct error err;
	BUG_IF(create_from_json(f->wish, &arena, create, &err) < 0, "a wish that was checked");
	create->image = str_from(arena_printf(&arena, "sha256:%.12s", f->image_id));
	create->said |= CREATE_SAID_IMAGE;
	create->note = f->note ? str_from(f->note) : STR_NONE;
	if (f->name && f->n == 1)
		create->name = str_from(f->name);
	else if (f->name)
		create->name = str_from(arena_printf(&arena, "%s-%zu", f->name, i + 1));
	runtime_create(f->rt, create, on_made, f);
}

static void on_snapshot(void *arg, const struct image *image, const struct error *err)
{
	struct fork *f = arg;
	f->snapshot = NULL;
	if (err) {
		f->error = *err;
		fail(f);
		return;
	}
	snprintf(f->image_id, sizeof(f->image_id), "%s", image->id);
	f->n_waited = f->n;
	for (size_t i = 0; i < f->n; i++)
		make_one(f, i);
}

struct fork *fork_new(struct sandbox *s, const struct fork_wish *wish, fork_fn *done, void *arg)
{
	struct fork *f = mem_new(struct fork);
	const struct snapshot_wish snapshot = { .is_live = wish->is_live, .is_fleeting = true };
	f->rt = s->runtime;
	f->done = done;
	f->arg = arg;
	if (check(f, s, wish, &f->error) < 0)
		loop_defer(f->rt->loop, fail, f);
	else
		f->snapshot = snapshot_new(s, &snapshot, on_snapshot, f);
	return f;
}
