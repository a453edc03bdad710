/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. A sandbox is either living (from the moment it was asked for) or buried (its
 * record stays to be looked at). It has one id for its callers and one at the backend, which may
 * hand out a ready one. Names are those of the living first: a buried one loses its name to whoever
 * takes it.
 */
#include "runtime/images.h"
#include "runtime/internal.h"
#include "runtime/lookup.h"
#include "runtime/outside.h"
#include "runtime/plugin.h"
#include "runtime/recipe.h"

#include "runtime/decisions.h"
#include "runtime/egress.h"

#include "base/auto.h"
#include "base/bug.h"
#include "base/clock.h"
#include "http/fetch.h"
#include "sandbox/listen.h"

/* What is on disk is to be as it is here. */
static void on_lost_record(void *arg, const char *id)
{
	struct runtime *rt = arg;
	const struct sandbox *s = map_find(&rt->by_id, str_from(id));
	if (s)
		store_put(rt->store, s);
	else
		store_drop(rt->store, id);
}

int runtime_new(const struct runtime_config *config, struct runtime **ret, struct error *err)
{
	struct runtime *rt = mem_new(struct runtime);
	rt->loop = config->loop;
	rt->backend = config->backend;
	rt->sandboxes_max = config->sandboxes_max ? config->sandboxes_max : RUNTIME_SANDBOXES_MAX;
	rt->started_ms = clock_mono_ms();
	rt->on_lost = config->on_lost;
	rt->on_lost_arg = config->on_lost_arg;
	rt->on_status = config->on_status;
	rt->on_status_arg = config->on_status_arg;
	rt->gate = config->gate;
	list_init(&rt->living);
	list_init(&rt->buried);
	list_init(&rt->steps);
	list_init(&rt->settling);
	list_init(&rt->followers);
	list_init(&rt->due);
	list_init(&rt->orphans);
	list_init(&rt->endings);
	rt->lookups = lookups_new(config->loop);
	rt->keys_dir = mem_printf("%s/tool-keys", config->state_dir);
	rt->backend->events = &life_backend_events;
	rt->backend->events_arg = rt;
	if (store_open(config->loop, config->state_dir, &rt->store, err) < 0) {
		runtime_free(rt);
		return -1;
	}
	if (images_open(rt, config->state_dir, &rt->images, err) < 0) {
		runtime_free(rt);
		return -1;
	}
	store_on_commit(rt->store, follow_wake_all, rt);
	store_on_loss(rt->store, on_lost_record, rt);
	*ret = rt;
	return 0;
}

static void free_sandboxes(struct list *head)
{
	while (!list_is_empty(head)) {
		struct sandbox *s = list_get_first(head, struct sandbox, link);
		list_remove(&s->link);
		sandbox_free(s);
	}
}

void runtime_free(struct runtime *rt)
{
	if (!rt)
		return;
	rt->is_closing = true;
	recipe_free(rt->recipe); /* it asks the backend */
	rt->backend->ops->free(rt->backend);
	for (struct sandbox *s = NULL; (s = runtime_next(rt, s));) {
		plugins_free(take_ptr(s->plugins)); /* they have calls */
		if (s->outside)
			outside_stop(s->outside);
	}
	mcp_run_free_all(rt);
	struct sandbox *s;
	list_for_each(s, &rt->living, link) {
		egress_close(s);
		decisions_close(s);
	}
	call_free_all(rt);
	follow_free_all(rt);
	while (!list_is_empty(&rt->steps))
		step_free(list_get_first(&rt->steps, struct step, link));
	loop_undefer(rt->loop, rt);
	store_close(rt->store);
	images_free(rt->images);
	free_sandboxes(&rt->living);
	free_sandboxes(&rt->buried);
	fetcher_free(rt->fetcher);
	lookups_free(rt->lookups);
	free(rt->keys_dir);
	map_fini(&rt->by_id);
	map_fini(&rt->by_name);
	map_fini(&rt->by_backend_id);
	free(rt);
}

int runtime_set_recipe(struct runtime *rt, const struct json *settings, struct error *err)
{
	return recipe_new(rt, settings, &rt->recipe, err);
}

const char *runtime_backend_name(const struct runtime *rt)
{
	return rt->backend->ops->name;
}

bool runtime_has_other_images(const struct runtime *rt)
{
	return rt->backend->ops->library != NULL;
}

struct images *runtime_images(struct runtime *rt)
{
	return rt->images;
}

int runtime_listen(const char *where, int *ret_fd, bool *ret_is_open, struct error *err)
{
	return listen_tcp(where, ret_fd, ret_is_open, err);
}

struct loop *runtime_loop(const struct runtime *rt)
{
	return rt->loop;
}

struct fetcher *runtime_fetcher(struct runtime *rt)
{
	if (!rt->fetcher)
		rt->fetcher = fetcher_new(rt->loop);
	return rt->fetcher;
}

struct gate *runtime_gate(const struct runtime *rt)
{
	return rt->gate;
}

const struct enforced *runtime_host(const struct runtime *rt)
{
	return &rt->host;
}

/* Steps. */

struct step *step_new(struct runtime *rt, const struct sandbox *s,
	void (*then)(struct step *step, const struct error *err))
{
	struct step *step = mem_new(struct step);
	step->rt = rt;
	step->then = then;
	list_init(&step->wait_link);
	list_init(&step->wait.link);
	list_append(&rt->steps, &step->link);
	if (s)
		memcpy(step->id, s->id, sizeof(step->id));
	return step;
}

void step_free(struct step *step)
{
	list_remove(&step->link);
	list_remove(&step->wait_link);
	store_forget(&step->wait);
	loop_undefer(step->rt->loop, step);
	free(step->spec);
	free(step);
}

static void on_stored(void *arg, const struct error *err)
{
	struct step *step = arg;
	step->then(step, err);
}

void step_after_commit(struct step *step)
{
	step->wait.fn = on_stored;
	step->wait.arg = step;
	store_after(step->rt->store, &step->wait);
}

static void on_deferred(void *arg)
{
	struct step *step = arg;
	step->then(step, step->error.code == ERROR_OK ? NULL : &step->error);
}

void step_defer(struct step *step)
{
	loop_defer(step->rt->loop, on_deferred, step);
}

struct sandbox *step_sandbox(const struct step *step)
{
	return map_find(&step->rt->by_id, str_from(step->id));
}

/* The registry. */

bool sandbox_is_alive(const struct sandbox *s)
{
	return !sandbox_state_is_final(s->state);
}

bool sandbox_is_usable(const struct sandbox *s)
{
	return s->state == SANDBOX_READY || s->state == SANDBOX_RUNNING ||
		s->state == SANDBOX_PAUSED;
}

void runtime_enlist(struct runtime *rt, struct sandbox *s)
{
	s->runtime = rt;
	list_init(&s->calls);
	list_init(&s->spares);
	list_init(&s->waiters);
	map_put(&rt->by_id, str_from(s->id), s);
	if (sandbox_is_alive(s)) {
		list_append(&rt->living, &s->link);
		rt->n_living++;
		map_put(&rt->by_backend_id, str_from(s->backend_id), s);
	} else {
		list_append(&rt->buried, &s->link);
		rt->n_buried++;
		s->is_buried = true;
	}
	if (s->name[0])
		map_put(&rt->by_name, str_from(s->name), s);
}

void sandbox_set_backend_id(struct sandbox *s, const char *id)
{
	struct runtime *rt = s->runtime;
	map_remove(&rt->by_backend_id, str_from(s->backend_id));
	snprintf(s->backend_id, sizeof(s->backend_id), "%s", id);
	map_put(&rt->by_backend_id, str_from(s->backend_id), s);
}

void runtime_bury(struct runtime *rt, struct sandbox *s)
{
	list_remove(&s->link);
	list_append(&rt->buried, &s->link);
	rt->n_living--;
	rt->n_buried++;
	s->is_buried = true;
	map_remove(&rt->by_backend_id, str_from(s->backend_id));
	if (rt->n_buried > RUNTIME_BURIED_MAX) {
		struct sandbox *oldest = list_get_first(&rt->buried, struct sandbox, link);
		store_drop(rt->store, oldest->id);
		runtime_forget(rt, oldest);
	}
}

void runtime_forget(struct runtime *rt, struct sandbox *s)
{
	BUG_IF(!list_is_empty(&s->calls), "a sandbox is forgotten while calls are under way in it");
	BUG_IF(!list_is_empty(&s->waiters), "a sandbox is forgotten while somebody waits for it");
	if (s->is_buried) {
		rt->n_buried--;
	} else {
		map_remove(&rt->by_backend_id, str_from(s->backend_id));
		rt->n_living--;
	}
	map_remove(&rt->by_id, str_from(s->id));
	if (map_find(&rt->by_name, str_from(s->name)) == s)
		map_remove(&rt->by_name, str_from(s->name));
	list_remove(&s->link);
	sandbox_free(s);
}

enum { PREFIX_MIN = 4 };

static struct sandbox *find_prefix(struct runtime *rt, struct str key)
{
	struct sandbox *found = NULL, *s = NULL;
	while ((s = runtime_next(rt, s))) {
		if (!str_starts(str_from(s->id), key))
			continue;
		if (found)
			return NULL;
		found = s;
	}
	return found;
}

struct sandbox *runtime_find(struct runtime *rt, struct str key, struct error *err)
{
	struct sandbox *s = map_find(&rt->by_id, key);
	if (!s)
		s = map_find(&rt->by_name, key);
	if (!s && key.len >= PREFIX_MIN && key.len < ID_LEN)
		s = find_prefix(rt, key);
	if (!s)
		error_set(err, ERROR_NOT_FOUND, "no such sandbox: '%.*s'",
			STR_ARG(str_first(key, 64)));
	return s;
}

struct sandbox *runtime_next(struct runtime *rt, struct sandbox *s)
{
	struct list *at = s ? s->link.next : rt->living.next;
	if (at == &rt->living)
		at = rt->buried.next;
	return at == &rt->buried ? NULL : list_entry(at, struct sandbox, link);
}

int runtime_record(struct sandbox *s, struct error *err)
{
	struct error why;
	store_put(s->runtime->store, s);
	if (store_now(s->runtime->store, &why) == 0)
		return 0;
	if (err) {
		*err = why;
		error_wrap(err, "it was changed, but that could not be recorded");
	}
	return -1;
}

int runtime_set_note(struct sandbox *s, struct str note, struct error *err)
{
	free(s->note);
	s->note = str_dup(note);
	return runtime_record(s, err);
}

int runtime_rename(struct sandbox *s, struct str name, struct error *err)
{
	struct runtime *rt = s->runtime;
	const struct sandbox *other = map_find(&rt->by_name, name);
	if (create_check_name(name, err) < 0)
		return -1;
	if (other && other != s && sandbox_is_alive(other))
		return error_set(err, ERROR_EXISTS, "a sandbox named '%.*s' is alive: %s",
			STR_ARG(name), other->id);
	if (map_find(&rt->by_name, str_from(s->name)) == s)
		map_remove(&rt->by_name, str_from(s->name));
	snprintf(s->name, sizeof(s->name), "%.*s", STR_ARG(name));
	map_put(&rt->by_name, name, s);
	return runtime_record(s, err);
}

void runtime_stats(struct runtime *rt, struct runtime_stats *ret)
{
	*ret = (struct runtime_stats){
		.sandboxes = (int64_t)rt->n_living,
		.sandboxes_max = rt->sandboxes_max,
		.created = rt->created,
		.failed = rt->failed,
		.calls = rt->calls,
		.calls_under_way = rt->calls_under_way,
		.events = store_newest(rt->store),
		.store_bytes = store_size(rt->store),
		.started_ms = rt->started_ms,
	};
	for (struct sandbox *s = NULL; (s = runtime_next(rt, s));)
		ret->by_state[s->state]++;
}
