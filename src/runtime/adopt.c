/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. After a restart there are two truths: the records say what callers were told
 * of, the backend says what lives. What both know goes on, with its sessions. What only the records
 * know is lost: it ends with that reason. What only the backend knows, or what had not been handed
 * out yet, was promised to nobody and is destroyed; but where sandboxes are shared, it is somebody
 * else's and taken up. Of a sandbox that rests for the one and not for the other, the record is
 * right: the server before us was at it, or at a snapshot. The start waits for that. But where they
 * are shared, others pause and resume, too: what the backend says holds.
 */
#include "runtime/internal.h"

#include "base/auto.h"
#include "base/bug.h"
#include "base/log.h"
#include "runtime/decisions.h"
#include "runtime/egress.h"
#include "runtime/images.h"
#include "runtime/outside.h"
#include "runtime/secrets.h"
#include "runtime/staging.h"

/* One in which an image was being made: who did is gone, and nobody wants its record. */
static bool is_helper(const struct sandbox *s)
{
	return str_starts(sandbox_label(s, STR(STAGING_LABEL)), STR("image "));
}

static void take_record(void *arg, struct sandbox *s)
{
	struct runtime *rt = arg;
	s->is_unwanted = is_helper(s);
	if (s->is_unwanted && !sandbox_is_alive(s)) {
		store_drop(rt->store, s->id);
		sandbox_free(s);
		return;
	}
	if (s->state == SANDBOX_RUNNING)
		s->state = SANDBOX_READY; /* its calls ended with the server that watched them */
	s->next_index = store_last_index(rt->store, s->id);
	runtime_enlist(rt, s);
}

/* Somebody else's: it is known from now on, and stays theirs. */
static struct sandbox *adopt_shared(struct runtime *rt, const struct backend_reply *reply)
{
	auto_free struct create *create = mem_new(struct create);
	struct str name = str_from(reply->name);
	const struct sandbox *other = map_find(&rt->by_name, name);
	/* One by that name which was on its way has been lost, or was to become this one. */
	bool is_free = !other || (!other->is_there && !sandbox_is_usable(other));
	if (create_check_name(name, NULL) == 0 && is_free) {
		map_remove(&rt->by_name, name);
		create->name = name;
	}
	struct sandbox *s = sandbox_new(create, STR_NONE);
	memcpy(s->id, reply->id, sizeof(s->id));
	memcpy(s->backend_id, reply->id, sizeof(s->backend_id));
	s->state = reply->is_paused ? SANDBOX_PAUSED : SANDBOX_READY;
	runtime_enlist(rt, s);
	store_put(rt->store, s);
	return s;
}

/*
 * One that we were having made, which goes by an id of the backend's: that was not recorded yet, or
 * never told.
 */
static struct sandbox *find_asked(struct runtime *rt, const struct backend_reply *reply)
{
	struct sandbox *s = map_find(&rt->by_id, str_from(reply->asked));
	if (!s || s->is_there || !sandbox_is_alive(s) || sandbox_is_usable(s))
		return NULL;
	sandbox_set_backend_id(s, reply->id);
	return s;
}

static void one_settled(struct runtime *rt)
{
	if (--rt->n_settling == 0)
		step_after_commit(take_ptr(rt->starting));
}

static void on_settled(void *arg, const struct backend_reply *reply)
{
	struct step *step = arg;
	struct runtime *rt = step->rt;
	struct sandbox *s = step_sandbox(step);
	if (s && reply->error.code != ERROR_OK) {
		log_warn("sandbox.adopt", "id=%s cannot be %s again: %s", s->id,
			step->flag ? "paused" : "resumed", reply->error.text);
		if (step->flag && life_apply(s, LIFE_THAWED))
			store_put(rt->store, s);
	}
	step_free(step);
	one_settled(rt);
}

/* At once: what rests runs no longer than it must. */
static void settle_pause(struct sandbox *s, bool was_paused)
{
	struct runtime *rt = s->runtime;
	struct backend *b = rt->backend;
	bool is_paused = s->state == SANDBOX_PAUSED;
	/* A backend that gives layers does not say whether it was frozen for one. */
	if (is_paused == was_paused && !b->ops->gives_layers)
		return;
	if (b->ops->is_shared) {
		life_apply(s, was_paused ? LIFE_FROZEN : LIFE_THAWED);
		store_put(rt->store, s);
		return;
	}
	struct step *step = step_new(rt, s, NULL);
	step->flag = is_paused;
	rt->n_settling++;
	b->ops->freeze(b, s->backend_id, is_paused, on_settled, step);
}

/* An executor that has not come yet says no ids: those that were recorded hold. */
static void take_enforced(struct sandbox *s, const struct enforced *told)
{
	uint32_t uid = s->enforced.uid, gid = s->enforced.gid;
	s->enforced = *told;
	if (told->uid != UINT32_MAX)
		return;
	s->enforced.uid = uid;
	s->enforced.gid = gid;
}

void adopt_one(void *arg, const struct backend_reply *reply)
{
	struct runtime *rt = arg;
	struct sandbox *s = map_find(&rt->by_backend_id, str_from(reply->id));
	if (!s && reply->asked[0])
		s = find_asked(rt, reply);
	if (!s && (reply->is_unfinished || reply->error.code != ERROR_OK))
		return; /* somebody else is at it, or it is no more */
	if (!s && rt->backend->ops->is_shared)
		s = adopt_shared(rt, reply);
	if (!s) {
		struct step *orphan = step_new(rt, NULL, NULL);
		memcpy(orphan->id, reply->id, sizeof(orphan->id));
		list_append(&rt->orphans, &orphan->wait_link);
		return;
	}
	if (reply->error.code != ERROR_OK) {
		life_set_reason(s, "lost: %s", reply->error.text);
		return;
	}
	s->is_there = true;
	take_enforced(s, &reply->enforced);
	s->init_pid = reply->init_pid;
	if (rt->backend->ops->boundary)
		secrets_adopt(s, reply->fd);
	if (sandbox_is_usable(s) && !is_helper(s) && !reply->is_unfinished)
		settle_pause(s, reply->is_paused);
}

static void on_orphan_destroyed(void *arg, const struct backend_reply *reply)
{
	struct step *orphan = arg;
	if (reply->error.code != ERROR_OK)
		log_error("sandbox.orphan", "id=%s %s", orphan->id, reply->error.text);
	step_free(orphan);
}

static void destroy_orphans(struct runtime *rt)
{
	struct step *orphan;
	while ((orphan = list_first(&rt->orphans, struct step, wait_link))) {
		list_remove(&orphan->wait_link);
		log_warn("sandbox.orphan", "id=%s was handed out to nobody; destroying it",
			orphan->id);
		rt->backend->ops->destroy(rt->backend, orphan->id, on_orphan_destroyed, orphan);
	}
}

static void settle_lost(struct sandbox *s)
{
	const struct backend_ops *ops = s->runtime->backend->ops;
	if (ops->gives_layers) /* native: who keeps them is the supervisor */
		life_set_reason(s, "lost: it did not outlive its supervisor");
	else
		life_set_reason(s, "lost: the backend %s has it no more", ops->name);
	if (!life_apply(s, LIFE_GONE))
		life_apply(s, LIFE_FAIL);
}

static void on_helper_gone(void *arg, const struct error *err)
{
	struct runtime *rt = arg;
	if (--rt->n_helpers == 0)
		images_sweep(rt->images);
}

static void settle_found(struct sandbox *s)
{
	if (sandbox_is_usable(s) && is_helper(s)) {
		s->runtime->n_helpers++;
		runtime_destroy(s, on_helper_gone, s->runtime);
		return;
	}
	if (sandbox_is_usable(s)) {
		life_start_deadlines(s);
		egress_open(s);
		decisions_open(s);
		log_info("sandbox.adopt", "id=%s state=%s", s->id, sandbox_state_name(s->state));
		return;
	}
	if (s->state == SANDBOX_STOPPING || s->state == SANDBOX_ENDING) {
		life_apply(s, s->state == SANDBOX_STOPPING ? LIFE_STOP : LIFE_END);
		return;
	}
	s->state = SANDBOX_STARTING;
	life_set_reason(s, "the server restarted before it was handed out");
	life_apply(s, LIFE_FAIL);
}

static void tell_started(struct step *step, const struct error *err)
{
	step->done(step->arg, err);
	step_free(step);
}

static void on_started(void *arg, const struct backend_reply *reply)
{
	struct step *step = arg;
	struct runtime *rt = step->rt;
	if (reply->error.code != ERROR_OK) {
		step->error = reply->error;
		step_defer(step);
		return;
	}
	rt->host = reply->enforced;
	rt->starting = step;
	struct list *at = rt->living.next;
	while (at != &rt->living) {
		struct sandbox *s = list_entry(at, struct sandbox, link);
		at = at->next; /* s may be buried or forgotten */
		if (s->is_there)
			settle_found(s);
		else
			settle_lost(s);
	}
	if (!rt->n_helpers)
		images_sweep(rt->images);
	outside_sweep(rt);
	destroy_orphans(rt);
	one_settled(rt);
}

void runtime_start(struct runtime *rt, runtime_done_fn *done, void *arg)
{
	struct step *step = step_new(rt, NULL, tell_started);
	step->done = done;
	step->arg = arg;
	if (store_records(rt->store, take_record, rt, &step->error) < 0) {
		step_defer(step);
		return;
	}
	rt->n_settling = 1; /* what on_started does */
	rt->backend->ops->start(rt->backend, on_started, step);
}
