/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/lib.h"

#include "base/auto.h"
#include "base/bug.h"

enum { WISH_ARENA_MAX = 16 * 1024 * 1024, TEXT_MAX = 64 * 1024 * 1024 };

struct sandbox *lib_find(struct cay *cay, const char *key, struct error *err)
{
	return runtime_find(cay->runtime, str_from(key), err);
}

static int refuse_callback(const struct cay *cay, struct error *err)
{
	if (!cay->is_turning)
		return 0;
	return error_set(err, ERROR_CONFLICT,
		"a callback cannot wait: start it, and let it be told");
}

struct creating {
	struct wait wait;
	char *id;
};

static void on_created(void *arg, struct sandbox *s, const struct error *err)
{
	struct creating *c = arg;
	if (s)
		c->id = mem_strdup(s->id);
	lib_on_done(&c->wait, err);
}

char *cay_create(struct cay *cay, const char *wish_json, struct cay_error *err)
{
	auto_json struct json *json = NULL;
	auto_arena struct arena arena = ARENA_INIT(WISH_ARENA_MAX);
	struct creating creating = { 0 };
	struct create *create = arena_new(&arena, struct create);
	struct error e;
	if (refuse_callback(cay, &e) < 0 ||
		json_parse(str_from(wish_json ? wish_json : "{}"), &json, &e) < 0 ||
		create_from_json(json, &arena, create, &e) < 0) {
		lib_fail(err, &e);
		return NULL;
	}
	runtime_create(cay->runtime, create, on_created, &creating);
	if (lib_wait(cay, &creating.wait, &e) == 0)
		return creating.id;
	lib_fail(err, &e);
	return NULL;
}

/* runtime_destroy, or a pause. */
static int change(struct cay *cay, const char *key, void (*ask)(struct sandbox *s, struct wait *w),
	struct cay_error *err)
{
	struct wait w = { 0 };
	struct error e;
	struct sandbox *s = refuse_callback(cay, &e) < 0 ? NULL : lib_find(cay, key, &e);
	if (!s)
		return lib_fail(err, &e);
	ask(s, &w);
	return lib_wait(cay, &w, &e) < 0 ? lib_fail(err, &e) : 0;
}

static void ask_destroy(struct sandbox *s, struct wait *w)
{
	runtime_destroy(s, lib_on_done, w);
}

static void ask_pause(struct sandbox *s, struct wait *w)
{
	runtime_pause(s, true, lib_on_done, w);
}

static void ask_resume(struct sandbox *s, struct wait *w)
{
	runtime_pause(s, false, lib_on_done, w);
}

int cay_destroy(struct cay *cay, const char *sandbox, struct cay_error *err)
{
	return change(cay, sandbox, ask_destroy, err);
}

int cay_pause(struct cay *cay, const char *sandbox, struct cay_error *err)
{
	return change(cay, sandbox, ask_pause, err);
}

int cay_resume(struct cay *cay, const char *sandbox, struct cay_error *err)
{
	return change(cay, sandbox, ask_resume, err);
}

char *cay_describe(struct cay *cay, const char *sandbox, struct cay_error *err)
{
	struct error e;
	struct buf b = BUF_INIT(TEXT_MAX);
	struct jsonw w = JSONW(&b);
	const struct sandbox *s = lib_find(cay, sandbox, &e);
	if (!s) {
		lib_fail(err, &e);
		return NULL;
	}
	sandbox_write(s, &w);
	return buf_take(&b);
}

char *cay_list(struct cay *cay)
{
	struct buf b = BUF_INIT(TEXT_MAX);
	struct jsonw w = JSONW(&b);
	jsonw_open_array(&w);
	for (struct sandbox *s = NULL; (s = runtime_next(cay->runtime, s));)
		sandbox_write(s, &w);
	jsonw_close_array(&w);
	return buf_take(&b);
}

char *cay_actions(void)
{
	struct buf b = BUF_INIT(TEXT_MAX);
	struct jsonw w = JSONW(&b);
	jsonw_open_array(&w);
	for (const struct action *const *a = action_table; *a; a++) {
		jsonw_open(&w);
		jsonw_key_str(&w, "name", str_from((*a)->name));
		jsonw_key_str(&w, "summary", str_from((*a)->summary));
		jsonw_key_str(&w, "result", str_from((*a)->result));
		jsonw_key(&w, "params");
		fields_schema((*a)->fields, &w);
		jsonw_close(&w);
	}
	jsonw_close_array(&w);
	return buf_take(&b);
}
