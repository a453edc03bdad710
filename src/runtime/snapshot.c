/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. Each step goes on with the next:
 *
 *	staging  a place for the layers, with a sandbox that unpacks them (runtime/staging.h)
 *	rest     the backend freezes the processes. The kernel may not tell when they are at rest, so it is
 *	         asked again until they are
 *	ping     the executor answers: it is not at rest itself, waiting for a child of its own that came to
 *	         rest before it had begun. If it does not, all go on for a moment, and then rest again
 *	look     the executor looks through what was changed: how much it is, and whose (executor/layer.c)
 *	parts    each part becomes a layer, from worker to worker (runtime/haul.h); the lowest first
 *	record   the processes go on; the image gets its record and its name
 *
 * All that is under way is one of n->looking, n->haul, n->timer and the backend's answer to a
 * freeze, which finds the snapshot by its number or not at all.
 */
#include "runtime/snapshot.h"

#include "action/executor_actions.h"
#include "action/image_actions.h"
#include "base/auto.h"
#include "base/bug.h"
#include "base/clock.h"
#include "base/log.h"
#include "runtime/snapshot_internal.h"

#include <stdio.h>

enum { LEVEL_MAX = 256, ASK_AGAIN_MS = 2, PING_MS = 250, GO_ON_MS = 20 };
enum { LOOK_VALUES_MAX = 4096 }; /* it stays until the snapshot has been taken */

static struct list all = LIST_INIT(all);
static int n_all;
static int64_t last_number;

/* ---- the end ---- */

static struct sandbox *find_sandbox(const struct snapshot *n)
{
	struct error err;
	struct sandbox *s = runtime_find(n->rt, str_from(n->sandbox_id), &err);
	return s && sandbox_is_usable(s) ? s : NULL;
}

void snapshot_let_go(struct snapshot *n)
{
	struct sandbox *s = n->is_holding ? find_sandbox(n) : NULL;
	struct backend *b = n->rt->backend;
	if (s && n->is_frozen && s->state != SANDBOX_PAUSED)
		b->ops->freeze(b, s->backend_id, false, NULL, NULL);
	if (s)
		call_hold(s, false);
	n->is_holding = n->is_frozen = false;
}

static void release(struct snapshot *n)
{
	if (n->looking)
		runtime_call_cancel(take_ptr(n->looking));
	haul_cancel(n->haul);
	snapshot_let_go(n);
	staging_close(n->staging);
	timer_free(n->timer);
	loop_undefer(n->rt->loop, n);
	if (!list_is_empty(&n->link))
		n_all--;
	list_remove(&n->link);
	json_free(n->look);
	json_free(n->image.history);
	free(n->image.architecture);
	free(n->image.base_path);
	buf_fini(&n->history);
	free(n->name);
	free(n->config_json);
	free(n);
}

void snapshot_cancel(struct snapshot *n)
{
	if (n)
		release(n);
}

static void finish(struct snapshot *n, const struct image *image, const struct error *err)
{
	snapshot_fn *done = n->done;
	void *arg = n->arg;
	struct error copy = err ? *err : (struct error){ 0 };
	if (err)
		error_wrap(&copy, "snapshot of sandbox %s", n->sandbox_id);
	snapshot_let_go(n); /* before anybody hears of it */
	done(arg, image, err ? &copy : NULL);
	release(n);
}

void snapshot_fail(struct snapshot *n, const struct error *err)
{
	finish(n, NULL, err);
}

void snapshot_finish(struct snapshot *n, const struct image *image)
{
	finish(n, image, NULL);
}

static void on_refused(void *arg)
{
	struct snapshot *n = arg;
	snapshot_fail(n, &n->error);
}

struct sandbox *snapshot_sandbox(struct snapshot *n)
{
	struct error err;
	struct sandbox *s = find_sandbox(n);
	if (s)
		return s;
	error_set(&err, ERROR_GONE, "it ended meanwhile");
	snapshot_fail(n, &err);
	return NULL;
}

/* ---- look ---- */

/* What an executor says is checked like anything else from a sandbox. */
static int take_look(struct snapshot *n, struct error *err)
{
	const struct json *parts = json_find(n->look, "parts");
	int64_t bytes = json_int(json_find(n->look, "file_bytes"));
	if (bytes > SNAPSHOT_BYTES_MAX)
		return error_set(err, ERROR_TOO_LARGE,
			"its files have %lld bytes without their holes; a snapshot takes %lld",
			(long long)bytes, (long long)SNAPSHOT_BYTES_MAX);
	if (json_len(parts) < 1 || json_len(parts) > SNAPSHOT_PARTS_MAX)
		return error_set(err, ERROR_PROTOCOL, "the executor found %zu parts",
			json_len(parts));
	for (size_t i = 0; i < json_len(parts); i++) {
		struct snapshot_part part = { json_int(json_find(json_at(parts, i), "level")),
			json_int(json_find(json_at(parts, i), "owner")) };
		if (part.level < 0 || part.level > LEVEL_MAX || part.owner < 0 ||
			part.owner >= SPEC_UIDS)
			return error_set(err, ERROR_PROTOCOL,
				"the executor found a part that cannot be");
		n->parts[n->n_parts++] = part;
	}
	if (n->image.n_layers + (uint32_t)n->n_parts > SPEC_LAYERS_MAX)
		return error_set(err, ERROR_LIMIT,
			"its image has %u layers, and this would add %d; the limit is %d: begin anew from an "
			"image with less",
			n->image.n_layers, n->n_parts, SPEC_LAYERS_MAX);
	n->at = n->n_parts;
	return 0;
}

static void on_looked(void *arg, struct str text)
{
	struct snapshot *n = arg;
	struct error err;
	n->looking = NULL;
	if (json_check_values(text, LOOK_VALUES_MAX, &err) < 0 ||
		json_parse(text, &n->look, &err) < 0 || take_look(n, &err) < 0)
		snapshot_fail(n, &err);
	else
		snapshot_next_part(n);
}

static void on_look_failed(void *arg, const struct error *err)
{
	struct snapshot *n = arg;
	n->looking = NULL;
	snapshot_fail(n, err);
}

static void look(struct snapshot *n)
{
	static const struct call_sink sink = { .result = on_looked, .error = on_look_failed };
	auto_buf struct buf params = BUF_INIT(SNAPSHOT_PARAMS_MAX);
	struct jsonw w = JSONW(&params);
	struct sandbox *s = snapshot_sandbox(n);
	if (!s)
		return;
	jsonw_open(&w);
	snapshot_put_places(s, &w);
	jsonw_key_bool(&w, "look", true);
	jsonw_key_int(&w, "level", 0);
	jsonw_close(&w);
	n->looking = call_perform_quietly(s, &layer_action, buf_str(&params), &sink, n);
}

/* ---- rest ---- */

struct asked {
	int64_t number;
};

static void ask_to_rest(struct snapshot *n);

static struct snapshot *find_number(int64_t number)
{
	struct snapshot *n;
	list_for_each(n, &all, link)
		if (n->number == number)
			return n;
	return NULL;
}

static void set_deadline(struct snapshot *n)
{
	timer_set(n->timer, MAX(n->deadline_ms - clock_mono_ms(), 1));
}

static void on_pong(void *arg, struct str text)
{
	struct snapshot *n = arg;
	n->looking = NULL;
	n->is_pinging = false;
	set_deadline(n);
	look(n);
}

static void ping(struct snapshot *n)
{
	static const struct call_sink sink = { .result = on_pong, .error = on_look_failed };
	struct sandbox *s = snapshot_sandbox(n);
	if (!s)
		return;
	n->is_pinging = true;
	n->looking = call_perform_quietly(s, &info_action, STR("{}"), &sink, n);
	timer_set(n->timer, PING_MS);
}

/* A child of the executor's waits for who waits for it: all go on for a moment. */
static void on_no_pong(struct snapshot *n)
{
	struct sandbox *s = snapshot_sandbox(n);
	struct error err;
	if (!s)
		return;
	struct backend *b = n->rt->backend;
	n->is_pinging = false;
	runtime_call_cancel(take_ptr(n->looking));
	if (clock_mono_ms() > n->rest_ms) {
		error_set(&err, ERROR_UNAVAILABLE,
			s->state == SANDBOX_PAUSED
				? "its executor waits for a process that is paused: resume it first"
				: "its executor does not answer");
		snapshot_fail(n, &err);
	} else if (n->is_frozen && s->state != SANDBOX_PAUSED) {
		b->ops->freeze(b, s->backend_id, false, NULL, NULL);
		timer_set(n->timer, GO_ON_MS);
	} else {
		ping(n);
	}
}

static void on_frozen(void *arg, const struct backend_reply *reply)
{
	auto_free struct asked *asked = arg;
	struct snapshot *n = find_number(asked->number);
	struct error err;
	if (!n || !n->is_holding)
		return;
	if (reply->error.code == ERROR_UNSUPPORTED) {
		error_set(&err, ERROR_UNSUPPORTED,
			"its processes cannot be brought to rest here (%s): see that nothing is written "
			"meanwhile, and ask for it with `live`",
			reply->error.text);
		snapshot_fail(n, &err);
	} else if (reply->error.code != ERROR_OK) {
		snapshot_fail(n, &reply->error);
	} else if (reply->is_paused) {
		ping(n);
	} else if (clock_mono_ms() > n->rest_ms) {
		error_set(&err, ERROR_TIMEOUT, "its processes did not come to rest within %d ms",
			SNAPSHOT_REST_MS);
		snapshot_fail(n, &err);
	} else {
		timer_set(n->timer, ASK_AGAIN_MS);
	}
}

static void ask_to_rest(struct snapshot *n)
{
	struct sandbox *s = snapshot_sandbox(n);
	if (!s)
		return;
	struct backend *b = n->rt->backend;
	struct asked *asked = mem_new(struct asked);
	asked->number = n->number;
	b->ops->freeze(b, s->backend_id, true, on_frozen, asked);
}

static void on_timer(void *arg)
{
	struct snapshot *n = arg;
	struct error err;
	if (n->is_pinging) {
		on_no_pong(n);
		return;
	}
	if (n->is_holding && n->rest_ms && !n->looking && !n->look &&
		clock_mono_ms() < n->deadline_ms) {
		ask_to_rest(n);
		return;
	}
	error_set(&err, ERROR_TIMEOUT, "it took longer than %d s", SNAPSHOT_MS / 1000);
	snapshot_fail(n, &err);
}

/* ---- the beginning ---- */

static int hold(struct snapshot *n, struct sandbox *s, struct error *err)
{
	if (s->is_held)
		return error_set(err, ERROR_CONFLICT, "another one is being taken");
	if (s->state != SANDBOX_READY && s->state != SANDBOX_RUNNING && s->state != SANDBOX_PAUSED)
		return sandbox_refuse(s, ERROR_CONFLICT, err);
	call_hold(s, true);
	n->is_holding = true;
	return 0;
}

static void on_open(void *arg, const struct error *failure)
{
	struct snapshot *n = arg;
	struct error err;
	struct sandbox *s = failure ? NULL : snapshot_sandbox(n);
	if (!failure && !s)
		return;
	if (failure || hold(n, s, &err) < 0) {
		snapshot_fail(n, failure ? failure : &err);
		return;
	}
	n->is_frozen = !n->wish.is_live;
	n->rest_ms = clock_mono_ms() + SNAPSHOT_REST_MS;
	if (n->wish.is_live)
		ping(n);
	else
		ask_to_rest(n);
}

static int take_base(struct snapshot *n, const struct sandbox *s, struct error *err)
{
	auto_json struct json *spec = NULL;
	struct image *image = &n->image;
	if (json_parse(str_from(s->spec_json), &spec, err) < 0)
		return -1;
	struct str id = json_str(json_find(spec, "image_id")),
		   name = json_str(json_find(spec, "image"));
	image->architecture = str_dup(str_from(images_architecture()));
	if (!id.len) {
		image->base = str_is(name, "host") ? IMAGE_HOST : IMAGE_DIR;
		image->base_path = image->base == IMAGE_DIR ? str_dup(name) : NULL;
		return 0;
	}
	auto_free char *ref = mem_printf("sha256:%.*s", STR_ARG(id));
	const struct image *base = images_find(n->images, str_from(ref), err);
	if (!base)
		return error_wrap(err, "its image");
	image->base = base->base;
	image->base_path = base->base_path ? str_dup(str_from(base->base_path)) : NULL;
	image->n_layers = base->n_layers;
	image->size_bytes = base->size_bytes;
	memcpy(image->layers, base->layers, sizeof(image->layers));
	for (size_t i = 0; i < json_len(base->history); i++) {
		if (n->history.len)
			buf_putc(&n->history, ',');
		json_write(json_at(base->history, i), &n->history);
	}
	return 0;
}

static int check(struct snapshot *n, const struct sandbox *s, struct error *err)
{
	if (!n->rt->backend->ops->gives_layers)
		return error_set(err, ERROR_UNSUPPORTED, "the backend %s gives none; native does",
			n->rt->backend->ops->name);
	if (n_all >= SNAPSHOTS_AT_ONCE)
		return error_set(err, ERROR_LIMIT, "%d snapshots are being taken: wait for one",
			n_all);
	if (s->is_held)
		return error_set(err, ERROR_CONFLICT, "another one is being taken");
	if (!sandbox_is_usable(s))
		return sandbox_refuse(s, ERROR_CONFLICT, err);
	if (n->name && images_check_name(str_from(n->name), err) < 0)
		return -1;
	if (n->name && (!strcmp(n->name, "host") || !strcmp(n->name, "host:latest")))
		return error_set(err, ERROR_FORBIDDEN,
			"'host' is the view of this machine's own tools");
	return take_base(n, s, err);
}

struct snapshot *snapshot_new(struct sandbox *s, const struct snapshot_wish *wish,
	snapshot_fn *done, void *arg)
{
	struct snapshot *n = mem_new(struct snapshot);
	list_init(&n->link);
	n->rt = s->runtime;
	n->images = s->runtime->images;
	n->wish = *wish;
	n->name = wish->name.len ? str_dup(wish->name) : NULL;
	n->config_json = wish->config_json.len ? str_dup(wish->config_json) : NULL;
	n->done = done;
	n->arg = arg;
	memcpy(n->sandbox_id, s->id, sizeof(n->sandbox_id));
	buf_init(&n->history, IMAGE_JSON_MAX / 2);
	if (check(n, s, &n->error) < 0) {
		loop_defer(n->rt->loop, on_refused, n);
		return n;
	}
	n->number = ++last_number;
	list_append(&all, &n->link);
	n_all++;
	n->deadline_ms = clock_mono_ms() + SNAPSHOT_MS;
	n->timer = timer_new(n->rt->loop, on_timer, n);
	set_deadline(n);
	n->staging = staging_open(n->images, "image snapshot", SNAPSHOT_MS, on_open, n);
	return n;
}
