/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. `shape` is what the spares are; at first what a client asks for that says no
 * more than it must. When a start of another shape has come twice in a row, that is the shape, and
 * the spares of the old one are ended. They are made one at a time, PAUSE_MS after the last one was
 * taken: whoever took it is busy with its first actions. When one cannot be made, the next start is
 * what tries again.
 */
#include "face/openhands/warm.h"

#include "base/auto.h"
#include "base/bug.h"
#include "base/log.h"
#include "face/openhands/state.h"
#include "face/openhands/wish.h"

enum { PAUSE_MS = 1000, PLUGINS_SIZE = 1024 };

/* All that a spare is made by; compared byte by byte. */
struct shape {
	char workdir[SPEC_PATH_SIZE];
	char username[START_NAME_MAX + 1];
	char plugins[PLUGINS_SIZE];
	int64_t uid, resource_factor, network;
	int64_t has_browser, runs_as_user;
};

struct spare {
	struct list link; /* warm::spares, oldest first */
	char id[ID_SIZE];
};

struct warm {
	struct openhands *oh;
	int wanted, n_spares;
	struct list spares;
	struct shape *shape, *last; /* heap: of the spares; of the last start */
	bool is_making;
	struct timer *timer;
};

static void shape_fill(struct shape *shape, const struct start *start)
{
	snprintf(shape->workdir, sizeof(shape->workdir), "%.*s", STR_ARG(start->workdir));
	snprintf(shape->username, sizeof(shape->username), "%.*s", STR_ARG(start->username));
	snprintf(shape->plugins, sizeof(shape->plugins), "%.*s", STR_ARG(start->plugins));
	shape->uid = start->uid;
	shape->resource_factor = start->resource_factor;
	shape->network = start->network;
	shape->has_browser = start->has_browser;
	shape->runs_as_user = start->runs_as_user;
}

static struct start start_of(const struct shape *shape)
{
	return (struct start){
		.workdir = str_from(shape->workdir),
		.username = str_from(shape->username),
		.plugins = str_from(shape->plugins),
		.uid = shape->uid,
		.resource_factor = shape->resource_factor,
		.network = (enum network_mode)shape->network,
		.has_browser = shape->has_browser,
		.runs_as_user = shape->runs_as_user,
	};
}

static void on_gone(void *arg, const struct error *err)
{
}

/* ---- making ---- */

static void make(struct warm *w);

static void on_made(void *arg, struct sandbox *s, const struct error *err)
{
	struct warm *w = arg;
	w->is_making = false;
	if (err) {
		log_warn("openhands.warm", "%s", err->text);
		return;
	}
	struct spare *spare = mem_new(struct spare);
	memcpy(spare->id, s->id, sizeof(spare->id));
	list_append(&w->spares, &spare->link);
	w->n_spares++;
	make(w);
}

static void make(struct warm *w)
{
	if (w->is_making || w->n_spares >= w->wanted)
		return;
	struct start start = start_of(w->shape);
	w->is_making = true;
	prepare_spare(w->oh, &start, on_made, w);
}

static void on_timer(void *arg)
{
	make(arg);
}

/* ---- taking ---- */

/* The oldest that still lives; NULL: there is none. */
static struct sandbox *take(struct warm *w)
{
	struct sandbox *s = NULL;
	while (!s && !list_is_empty(&w->spares)) {
		struct spare *spare = list_get_first(&w->spares, struct spare, link);
		list_remove(&spare->link);
		w->n_spares--;
		s = runtime_find(w->oh->rt, str_from(spare->id), NULL);
		free(spare);
		if (s && s->state != SANDBOX_READY && s->state != SANDBOX_RUNNING)
			s = NULL;
	}
	return s;
}

static bool is_same(const struct shape *a, const struct shape *b)
{
	return !strcmp(a->workdir, b->workdir) && !strcmp(a->username, b->username) &&
		!strcmp(a->plugins, b->plugins) && a->uid == b->uid &&
		a->resource_factor == b->resource_factor && a->network == b->network &&
		a->has_browser == b->has_browser && a->runs_as_user == b->runs_as_user;
}

static void change_shape(struct warm *w, const struct shape *shape)
{
	struct sandbox *s;
	*w->shape = *shape;
	while ((s = take(w)))
		runtime_destroy(s, on_gone, NULL);
}

/* True if there may be a spare for it. */
static bool note_shape(struct warm *w, const struct start *start)
{
	auto_free struct shape *shape = mem_new(struct shape);
	shape_fill(shape, start);
	bool is_that = is_same(shape, w->shape);
	if (!is_that && !w->is_making && is_same(shape, w->last))
		change_shape(w, shape);
	*w->last = *shape;
	return is_that;
}

void warm_start(struct warm *w, const struct start *start, prepare_fn *done, void *arg)
{
	bool is_host = !wish_image(w->oh, start->image).len;
	bool is_fit = w->wanted && is_host && !start->port && start->network != NETWORK_PROXY &&
		start->plugins.len < PLUGINS_SIZE && note_shape(w, start);
	struct sandbox *s = is_fit ? take(w) : NULL;
	if (w->wanted)
		timer_set(w->timer, PAUSE_MS);
	if (s)
		prepare_from_spare(w->oh, s, start, done, arg);
	else
		prepare_sandbox(w->oh, start, STR_NONE, done, arg);
}

/* ---- the beginning and the end ---- */

/* As a client of a fleet would start it that says no more than it must. */
static const struct start standard = {
	.workdir = { "/workspace", 10 },
	.username = { "openhands", 9 },
	.plugins = { "agent_skills,jupyter", 20 },
	.uid = START_UID,
	.resource_factor = 1,
	.has_browser = true,
	.runs_as_user = true,
};

struct warm *warm_new(struct openhands *oh, int64_t n)
{
	struct warm *w = mem_new(struct warm);
	w->oh = oh;
	w->wanted = (int)MIN(n, (int64_t)WARM_MAX);
	w->shape = mem_new(struct shape);
	w->last = mem_new(struct shape);
	w->timer = timer_new(runtime_loop(oh->rt), on_timer, w);
	list_init(&w->spares);
	shape_fill(w->shape, &standard);
	w->shape->has_browser = oh->has_browser;
	for (struct sandbox *s = NULL, *next = runtime_next(oh->rt, NULL); (s = next);) {
		next = runtime_next(oh->rt, s);
		if (sandbox_label(s, STR(LABEL_SPARE)).ptr && !sandbox_state_is_final(s->state))
			runtime_destroy(s, on_gone, NULL);
	}
	if (w->wanted)
		timer_set(w->timer, 1);
	return w;
}

void warm_free(struct warm *w)
{
	if (!w)
		return;
	while (!list_is_empty(&w->spares)) {
		struct spare *spare = list_get_first(&w->spares, struct spare, link);
		list_remove(&spare->link);
		free(spare);
	}
	timer_free(w->timer);
	free(w->shape);
	free(w->last);
	free(w);
}
