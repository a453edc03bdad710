/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. All that happens to a sandbox goes through life_apply, which looks up the
 * table of lifecycle.c, writes the event and does the deed. Deadlines are one timer each; the idle
 * one is not moved by each action but looks at last_active_ms when it fires.
 */
#include "runtime/internal.h"

#include "base/auto.h"
#include "base/bug.h"
#include "base/clock.h"
#include "base/log.h"
#include "runtime/decisions.h"
#include "runtime/egress.h"
#include "runtime/images.h"
#include "runtime/outside.h"
#include "runtime/secrets.h"

#include <stdarg.h>

void life_set_reason(struct sandbox *s, const char *fmt, ...)
{
	if (s->reason[0])
		return; /* the first one is the cause */
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(s->reason, sizeof(s->reason), fmt, ap);
	va_end(ap);
}

const char *end_reason_text(enum end_reason reason)
{
	static const char *const texts[] = {
		[END_DESTROYED] = "destroyed",
		[END_EXITED] = "its first process or its executor ended",
		[END_OUT_OF_MEMORY] = "out of memory",
		[END_TAKEN] = "its pod was deleted or evicted",
	};
	return (size_t)reason < ARRAY_LEN(texts) ? texts[reason] : "unknown";
}

void life_add_event(struct sandbox *s, bool with_spec)
{
	auto_buf struct buf data = BUF_INIT(EVENT_DATA_MAX);
	audit_state(s, with_spec, &data);
	audit_add(s, "state", 0, &data);
}

/* Telling who waits. */

/* That it is gone is true even if that could not be stored: a restart will find out by itself. */
static void tell_gone(struct step *step, const struct error *err)
{
	if (step->done)
		step->done(step->arg, NULL);
	step_free(step);
}

void life_tell_refused(struct step *step, const struct error *err)
{
	step->made(step->arg, NULL, &step->error);
	step_free(step);
}

/* Lets those who wait know after the commit. `failure`: why it was not made. */
static void release(struct sandbox *s, bool for_end, const struct error *failure)
{
	struct step *step, *next;
	list_for_each_safe(step, next, &s->waiters, wait_link) {
		if (step->is_for_end != for_end)
			continue;
		list_remove(&step->wait_link);
		if (failure) {
			step->error = *failure;
			step->then = life_tell_refused;
		}
		step_after_commit(step);
	}
}

/* Deadlines. */

static void on_deadline(void *arg)
{
	struct sandbox *s = arg;
	int64_t left = s->deadline_ms - clock_mono_ms();
	if (left > 0) {
		timer_set(s->deadline, left);
		return;
	}
	life_set_reason(s, "its time was up after %lld ms", (long long)s->timeout_ms);
	life_apply(s, LIFE_END);
}

static void on_idle(void *arg)
{
	struct sandbox *s = arg;
	int64_t now = clock_mono_ms();
	if (!list_is_empty(&s->calls) || s->state == SANDBOX_PAUSED)
		s->last_active_ms = now;
	int64_t left = s->last_active_ms + s->idle_timeout_ms - now;
	if (left > 0) {
		timer_set(s->idle, left);
		return;
	}
	life_set_reason(s, "no action for %lld ms", (long long)s->idle_timeout_ms);
	life_apply(s, LIFE_END);
}

void life_start_deadlines(struct sandbox *s)
{
	s->last_active_ms = clock_mono_ms();
	if (s->deadline_ms) {
		s->deadline = timer_new(s->runtime->loop, on_deadline, s);
		timer_set(s->deadline, s->deadline_ms - s->last_active_ms);
	}
	if (s->idle_timeout_ms) {
		s->idle = timer_new(s->runtime->loop, on_idle, s);
		timer_set(s->idle, s->idle_timeout_ms);
	}
}

void runtime_set_timeout(struct sandbox *s, int64_t timeout_ms)
{
	s->timeout_ms = timeout_ms;
	s->deadline_ms = timeout_ms ? clock_mono_ms() + timeout_ms : 0;
	store_put(s->runtime->store, s);
	if (!sandbox_is_usable(s))
		return; /* one that is being made begins with it, one that ends has none */
	if (!s->deadline && timeout_ms)
		s->deadline = timer_new(s->runtime->loop, on_deadline, s);
	if (timeout_ms)
		timer_set(s->deadline, timeout_ms);
	else if (s->deadline)
		timer_clear(s->deadline);
}

static void stop_deadlines(struct sandbox *s)
{
	timer_free(s->deadline);
	timer_free(s->idle);
	s->deadline = s->idle = NULL;
}

void life_touch(struct sandbox *s)
{
	s->last_active_ms = clock_mono_ms();
}

/* Deeds. */

static void on_destroyed(void *arg, const struct backend_reply *reply)
{
	struct step *step = arg;
	struct sandbox *s = step_sandbox(step);
	step_free(step);
	if (!s)
		return;
	s->is_going = false;
	if (reply->error.code != ERROR_OK && reply->error.code != ERROR_NOT_FOUND) {
		log_error("sandbox.destroy", "id=%s %s", s->id, reply->error.text);
		struct step *waiter, *next;
		list_for_each_safe(waiter, next, &s->waiters, wait_link) {
			if (!waiter->is_for_end)
				continue;
			if (waiter->done)
				waiter->done(waiter->arg, &reply->error);
			step_free(waiter);
		}
		return; /* it stays as it is; the caller may try again */
	}
	life_apply(s, LIFE_GONE);
}

static void deed_none(struct sandbox *s)
{
}

static void deed_destroy(struct sandbox *s)
{
	if (!s->is_there || s->is_going)
		return;
	s->is_going = true;
	if (sandbox_is_alive(s))
		store_put(s->runtime->store,
			s); /* a restarted server shall know that its end was wanted */
	struct backend *b = s->runtime->backend;
	b->ops->destroy(b, s->backend_id, on_destroyed, step_new(s->runtime, s, NULL));
}

static void deed_welcome(struct sandbox *s)
{
	s->runtime->created++;
	store_put(s->runtime->store, s);
	life_start_deadlines(s);
	egress_open(s);
	decisions_open(s);
	release(s, false, NULL);
}

static void answer_failure(struct sandbox *s)
{
	struct error failure = s->failure;
	if (failure.code == ERROR_OK)
		error_set(&failure, ERROR_INTERNAL, "%s", s->reason);
	s->runtime->failed++;
	store_drop(s->runtime->store, s->id);
	call_end_all(s, &failure);
	release(s, false, &failure);
	release(s, true, NULL);
}

static void deed_refuse(struct sandbox *s)
{
	answer_failure(s);
	runtime_forget(s->runtime, s);
}

static void deed_discard(struct sandbox *s)
{
	answer_failure(s);
	deed_destroy(s);
}

static void deed_forget(struct sandbox *s)
{
	store_drop(s->runtime->store, s->id);
	release(s, true, NULL);
	runtime_forget(s->runtime, s);
}

static void release_image(const struct sandbox *s)
{
	auto_json struct json *spec = NULL;
	struct str id = STR_NONE;
	if (json_parse(str_from(s->spec_json), &spec, NULL) == 0)
		id = json_str(json_find(spec, "image_id"));
	if (id.len)
		images_release(s->runtime->images, id.ptr);
}

static void deed_bury(struct sandbox *s)
{
	struct error gone;
	error_set(&gone, ERROR_GONE, "sandbox %s ended: %s", s->id, s->reason);
	s->is_there = false;
	s->ended_ms = clock_wall_ms();
	egress_close(s);
	decisions_close(s);
	secrets_close(s);
	outside_forget(s);
	call_end_all(s, &gone);
	stop_deadlines(s);
	store_put(s->runtime->store, s);
	release(s, false, &gone);
	release(s, true, NULL);
	bool is_unwanted = s->is_unwanted;
	runtime_bury(s->runtime, s);
	release_image(s);
	if (is_unwanted)
		deed_forget(s);
}

static void (*const deeds[DEED_MAX])(struct sandbox *s) = {
	[DEED_NONE] = deed_none,
	[DEED_LEAVE] = birth_leave,
	[DEED_CONFIGURE] = birth_configure,
	[DEED_WELCOME] = deed_welcome,
	[DEED_REFUSE] = deed_refuse,
	[DEED_DISCARD] = deed_discard,
	[DEED_DESTROY] = deed_destroy,
	[DEED_BURY] = deed_bury,
	[DEED_FORGET] = deed_forget,
};

void life_tell(const struct sandbox *s, enum status status, const char *text)
{
	const struct runtime *rt = s->runtime;
	if (rt->on_status)
		rt->on_status(rt->on_status_arg, s, status, text);
}

static void tell_step(const struct sandbox *s, enum life what)
{
	switch (what) {
	case LIFE_BUILD:
		life_tell(s, STATUS_BUILDING_RUNTIME, "");
		break;
	case LIFE_FAIL:
		life_tell(s,
			s->failure.code == ERROR_DISCONNECTED ? STATUS_ERROR_RUNTIME_DISCONNECTED
							      : STATUS_ERROR,
			s->reason);
		break;
	case LIFE_STARTED:
		if (!s->runtime->backend->ops->is_shared) /* one that is far away tells by itself */
			life_tell(s, STATUS_RUNTIME_STARTED, "");
		break;
	case LIFE_CONFIGURED:
		life_tell(s, STATUS_READY, "");
		break;
	case LIFE_GONE:
		life_tell(s, STATUS_STOPPED, s->reason);
		break;
	default:
		break;
	}
}

bool life_apply(struct sandbox *s, enum life what)
{
	const struct life_step *step = lifecycle_find(s->state, what);
	if (!step)
		return false;
	bool is_quiet = what == LIFE_BUSY || what == LIFE_IDLE || step->next == s->state;
	s->state = step->next;
	if (what == LIFE_GONE)
		life_set_reason(s, "destroyed");
	if (!is_quiet)
		life_add_event(s, false); /* busy and idle: the action's own events tell that */
	tell_step(s, what);
	if (what == LIFE_THAWED && s->n_busy > 0)
		s->state = SANDBOX_RUNNING;
	deeds[step->deed](s);
	return true;
}

/* End. */

static void end(struct sandbox *s, enum life what, const char *reason, runtime_done_fn *done,
	void *arg)
{
	struct step *waiter = step_new(s->runtime, s, tell_gone);
	waiter->done = done;
	waiter->arg = arg;
	waiter->is_for_end = true;
	if (sandbox_is_alive(s)) {
		list_append(&s->waiters, &waiter->wait_link);
		life_set_reason(s, "%s", reason);
	} else {
		step_after_commit(waiter);
	}
	BUG_IF(!life_apply(s, what), "a state in which a sandbox cannot be ended");
}

void runtime_destroy(struct sandbox *s, runtime_done_fn *done, void *arg)
{
	s->is_unwanted = true;
	end(s, LIFE_END, "destroyed", done, arg);
}

void runtime_stop(struct sandbox *s, runtime_done_fn *done, void *arg)
{
	end(s, LIFE_STOP, "stopped", done, arg);
}

/* Pause, usage. */

static void tell_done(struct step *step, const struct error *err)
{
	step->done(step->arg, err);
	step_free(step);
}

/* A pause that may have been carried out though it failed is taken back before that is told. */
static void on_taken_back(void *arg, const struct backend_reply *reply)
{
	struct step *step = arg;
	struct sandbox *s = step_sandbox(step);
	if (s && reply->error.code == ERROR_OK)
		s->may_rest = false;
	step_defer(step);
}

static void freeze_failed(struct step *step, struct sandbox *s)
{
	struct backend *b = step->rt->backend;
	bool is_doubtful = error_is_doubtful(step->error.code);
	if (s && is_doubtful)
		s->may_rest = true;
	if (s && is_doubtful && step->flag && s->is_there && s->state != SANDBOX_PAUSED)
		b->ops->freeze(b, s->backend_id, false, on_taken_back, step);
	else
		step_defer(step);
}

static bool is_paused_so(const struct sandbox *s, bool is_paused)
{
	return (s->state == SANDBOX_PAUSED) == is_paused && sandbox_is_usable(s);
}

static void on_frozen(void *arg, const struct backend_reply *reply)
{
	struct step *step = arg;
	struct sandbox *s = step_sandbox(step);
	step->then = tell_done;
	if (reply->error.code == ERROR_OK && s)
		s->may_rest = false;
	if (reply->error.code != ERROR_OK) {
		step->error = reply->error;
		freeze_failed(step, s);
	} else if (s && is_paused_so(s, step->flag)) {
		step_after_commit(step);
	} else if (!s || !life_apply(s, step->flag ? LIFE_FROZEN : LIFE_THAWED)) {
		error_set(&step->error, ERROR_CONFLICT, "sandbox %s changed meanwhile", step->id);
		step_defer(step);
	} else {
		life_touch(s);
		store_put(step->rt->store, s);
		step_after_commit(step);
	}
}

void runtime_pause(struct sandbox *s, bool is_paused, runtime_done_fn *done, void *arg)
{
	struct step *step = step_new(s->runtime, s, tell_done);
	step->done = done;
	step->arg = arg;
	step->flag = is_paused;
	struct backend *b = s->runtime->backend;
	if (s->is_held) {
		error_set(&step->error, ERROR_CONFLICT, "a snapshot of sandbox %s is being taken",
			s->id);
		step_defer(step);
	} else if (is_paused_so(s, is_paused) && !s->may_rest) {
		step_defer(step);
	} else if (!is_paused_so(s, is_paused) &&
		!lifecycle_find(s->state, is_paused ? LIFE_FROZEN : LIFE_THAWED)) {
		sandbox_refuse(s, ERROR_CONFLICT, &step->error);
		step_defer(step);
	} else {
		b->ops->freeze(b, s->backend_id, is_paused, on_frozen, step);
	}
}

static void tell_usage_error(struct step *step, const struct error *err)
{
	step->usage(step->arg, NULL, err);
	step_free(step);
}

static void on_usage(void *arg, const struct backend_reply *reply)
{
	struct step *step = arg;
	bool is_ok = reply->error.code == ERROR_OK;
	step->usage(step->arg, is_ok ? &reply->usage : NULL, is_ok ? NULL : &reply->error);
	step_free(step);
}

void runtime_usage(struct sandbox *s, runtime_usage_fn *done, void *arg)
{
	struct step *step = step_new(s->runtime, s, tell_usage_error);
	step->usage = done;
	step->arg = arg;
	struct backend *b = s->runtime->backend;
	if (s->is_there) {
		b->ops->usage(b, s->backend_id, on_usage, step);
		return;
	}
	sandbox_refuse(s, ERROR_CONFLICT, &step->error);
	step_defer(step);
}

/* What the backend tells unasked. */

static void on_building(void *arg, const char *id)
{
	struct runtime *rt = arg;
	struct sandbox *s = map_find(&rt->by_backend_id, str_from(id));
	if (s)
		life_apply(s, LIFE_BUILD);
}

static void on_started(void *arg, const char *id)
{
	struct runtime *rt = arg;
	struct sandbox *s = map_find(&rt->by_backend_id, str_from(id));
	if (s)
		life_tell(s, STATUS_RUNTIME_STARTED, "");
}

static void on_ended(void *arg, const char *id, enum end_reason reason)
{
	struct runtime *rt = arg;
	struct sandbox *s = map_find(&rt->by_backend_id, str_from(id));
	if (!s || !s->is_there)
		return;
	life_set_reason(s, "%s", end_reason_text(reason));
	life_apply(s, LIFE_GONE);
}

static void on_lost(void *arg, const struct error *err)
{
	struct runtime *rt = arg;
	if (rt->on_lost)
		rt->on_lost(rt->on_lost_arg, err);
}

const struct backend_events life_backend_events = {
	.adopt = adopt_one,
	.building = on_building,
	.started = on_started,
	.ended = on_ended,
	.lost = on_lost,
};
