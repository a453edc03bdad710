/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. A sandbox is born in three hops, each after the commit that records the one
 * before: its record → the backend makes it → its executor is configured → it is ready, and only then is
 * its caller told. So whatever dies in between, the record tells a restarted server what was promised:
 * nothing, until it says "ready".
 *
 * All that happens to a sandbox goes through life_apply, which looks up the table of lifecycle.c, writes
 * the event and does the deed. Deadlines are one timer each; the idle one is not moved by each action but
 * looks at last_active_ms when it fires.
 */
#include "runtime/images.h"
#include "runtime/internal.h"
#include "runtime/plugin.h"

#include "action/executor_actions.h"

#include "base/auto.h"
#include "base/bug.h"
#include "base/clock.h"
#include "base/log.h"
#include "runtime/egress.h"
#include "runtime/secrets.h"
#include "wire/frame.h"

#include <stdarg.h>

enum { GUARD_SETTINGS_MAX = 16384, FILL_ARENA_MAX = 16 * 1024 * 1024 };

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
	};
	return (size_t)reason < ARRAY_LEN(texts) ? texts[reason] : "unknown";
}

static void add_event(struct sandbox *s, bool with_spec)
{
	auto_buf struct buf data = BUF_INIT(EVENT_DATA_MAX);
	audit_state(s, with_spec, &data);
	audit_add(s, "state", 0, &data);
}

/* Telling who waits. */

static void tell_made(struct step *step, const struct error *err)
{
	struct sandbox *s = step_sandbox(step);
	struct error gone;
	if (!err && (!s || !sandbox_is_alive(s))) {
		error_set(&gone, ERROR_GONE, "sandbox %s ended before it was handed out", step->id);
		err = &gone;
	} else if (err && s && sandbox_is_alive(s)) {
		/* Made, but not stored: what nobody is told of must not live. */
		life_set_reason(s, "it could not be recorded: %s", err->text);
		s->is_unwanted = true;
		life_apply(s, LIFE_END);
	}
	step->made(step->arg, err ? NULL : s, err);
	step_free(step);
}

/* That it is gone is true even if that could not be stored: a restart will find out by itself. */
static void tell_gone(struct step *step, const struct error *err)
{
	if (step->done)
		step->done(step->arg, NULL);
	step_free(step);
}

static void tell_refused(struct step *step, const struct error *err)
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
			step->then = tell_refused;
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

static void on_plugins(void *arg, const struct error *err)
{
	struct step *step = arg;
	struct sandbox *s = step_sandbox(step);
	step_free(step);
	if (!s || s->state != SANDBOX_STARTING)
		return;
	if (!err) {
		life_apply(s, LIFE_CONFIGURED);
		return;
	}
	s->failure = *err;
	life_set_reason(s, "%s", err->text);
	life_apply(s, LIFE_FAIL);
}

/* Its plugins start in an environment that is set; it is ready when they are. */
static void go_on_with_plugins(struct sandbox *s)
{
	auto_free char *text = take_ptr(s->plugins_json);
	auto_json struct json *wish = NULL;
	if (text && json_parse(str_from(text), &wish, NULL) == 0)
		plugins_load(s, wish, on_plugins, step_new(s->runtime, s, NULL));
	else
		life_apply(s, LIFE_CONFIGURED);
}

static void on_configured(void *arg, struct str result)
{
	struct step *step = arg;
	struct sandbox *s = step_sandbox(step);
	step_free(step);
	if (s)
		go_on_with_plugins(s);
}

static void on_not_configured(void *arg, const struct error *err)
{
	struct step *step = arg;
	struct sandbox *s = step_sandbox(step);
	step_free(step);
	if (!s || s->state != SANDBOX_STARTING)
		return;
	life_set_reason(s, "configure: %s", err->text);
	life_apply(s, LIFE_FAIL);
}

static void configure(struct sandbox *s)
{
	static const struct call_sink sink = { .result = on_configured,
		.error = on_not_configured };
	if (!s->configure_json) {
		go_on_with_plugins(s);
		return;
	}
	call_perform_quietly(s, &configure_action, str_from(s->configure_json), &sink,
		step_new(s->runtime, s, NULL));
	free(s->configure_json);
	s->configure_json = NULL;
}

/* The boundary has the secrets: the sandbox gets what it has to believe, beside the placeholders. */
static void on_secrets(void *arg, struct str certificate, const struct error *err)
{
	struct step *step = arg;
	struct sandbox *s = step_sandbox(step);
	struct buf b = BUF_INIT(FRAME_PAYLOAD_MAX);
	struct jsonw w = JSONW(&b);
	step_free(step);
	if (!s || s->state != SANDBOX_STARTING)
		return;
	if (err) {
		s->failure = *err;
		life_set_reason(s, "%s", err->text);
		life_apply(s, LIFE_FAIL);
		return;
	}
	if (certificate.len) {
		struct str said = str_from(s->configure_json);
		buf_put(&b, str_first(said, said.len - 1)); /* without its brace */
		w.needs_comma = true;
		jsonw_key_str(&w, "trust", certificate);
		jsonw_close(&w);
		free(s->configure_json);
		s->configure_json = buf_take(&b);
	}
	configure(s);
}

static void deed_configure(struct sandbox *s)
{
	if (s->secrets)
		secrets_open(s, on_secrets, step_new(s->runtime, s, NULL));
	else
		configure(s);
}

static void deed_welcome(struct sandbox *s)
{
	s->runtime->created++;
	store_put(s->runtime->store, s);
	life_start_deadlines(s);
	egress_open(s);
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

static void deed_bury(struct sandbox *s)
{
	struct error gone;
	error_set(&gone, ERROR_GONE, "sandbox %s ended: %s", s->id, s->reason);
	s->is_there = false;
	s->ended_ms = clock_wall_ms();
	egress_close(s);
	secrets_close(s);
	call_end_all(s, &gone);
	stop_deadlines(s);
	store_put(s->runtime->store, s);
	release(s, false, &gone);
	release(s, true, NULL);
	bool is_unwanted = s->is_unwanted;
	runtime_bury(s->runtime, s);
	if (is_unwanted)
		deed_forget(s);
}

static void (*const deeds[DEED_MAX])(struct sandbox *s) = {
	[DEED_NONE] = deed_none,
	[DEED_CONFIGURE] = deed_configure,
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
		add_event(s, false); /* busy and idle: the action's own events tell that */
	tell_step(s, what);
	if (what == LIFE_THAWED && s->n_busy > 0)
		s->state = SANDBOX_RUNNING;
	deeds[step->deed](s);
	return true;
}

/* Birth. */

static void on_created(void *arg, const struct backend_reply *reply)
{
	struct step *step = arg;
	struct runtime *rt = step->rt;
	struct sandbox *s = step_sandbox(step);
	step_free(step);
	BUG_IF(!s, "a sandbox was forgotten while the backend was making it");
	if (reply->error.code != ERROR_OK) {
		s->failure = reply->error;
		life_set_reason(s, "%s", reply->error.text);
		life_apply(s, LIFE_FAIL);
		return;
	}
	map_remove(&rt->by_backend_id, str_from(s->backend_id));
	memcpy(s->backend_id, reply->id, sizeof(s->backend_id));
	map_put(&rt->by_backend_id, str_from(s->backend_id), s);
	s->is_there = true;
	s->enforced = reply->enforced;
	s->init_pid = reply->init_pid;
	if (reply->workdir)
		sandbox_set_workdir(s, str_from(reply->workdir));
	life_apply(s, LIFE_STARTED);
}

/* The record is on disk: the backend may begin. */
static void on_recorded(struct step *step, const struct error *err)
{
	struct sandbox *s = step_sandbox(step);
	BUG_IF(!s, "a sandbox was forgotten before it was made");
	if (err || s->state != SANDBOX_CREATING) {
		if (err) {
			s->failure = *err;
			life_set_reason(s, "%s", err->text);
		}
		step_free(step);
		life_apply(s, LIFE_FAIL);
		return;
	}
	struct backend *b = step->rt->backend;
	life_tell(s, STATUS_STARTING_RUNTIME, "");
	b->ops->create(b, s, step->spec, on_created, step);
}

static void refuse(struct runtime *rt, const struct error *err, runtime_sandbox_fn *done, void *arg)
{
	struct step *step = step_new(rt, NULL, tell_refused);
	step->made = done;
	step->arg = arg;
	step->error = *err;
	step_defer(step);
}

static int check_room(struct runtime *rt, const struct create *create, struct error *err)
{
	if (create_check(create, err) < 0)
		return -1;
	if (rt->n_living >= (size_t)rt->sandboxes_max)
		return error_set(err, ERROR_LIMIT,
			"create: %d sandboxes are alive; that is the limit", rt->sandboxes_max);
	if (create->n_swaps && !rt->backend->ops->boundary)
		return error_set(err, ERROR_UNSUPPORTED,
			"create: secrets with hosts cannot be had on the backend %s",
			rt->backend->ops->name);
	if (create->gpus.len && !rt->backend->ops->has_gpus)
		return error_set(err, ERROR_UNSUPPORTED,
			"create: the backend %s hands out no GPU; docker does",
			rt->backend->ops->name);
	struct sandbox *other = map_find(&rt->by_name, create->name);
	if (create->name.len && other && sandbox_is_alive(other))
		return error_set(err, ERROR_EXISTS, "create: a sandbox named '%.*s' is alive: %s",
			STR_ARG(create->name), other->id);
	return 0;
}

static void put_map(struct jsonw *w, const struct field_map *map)
{
	for (size_t i = 0; i < map->n; i++) {
		jsonw_key_dyn(w, map->keys[i]);
		jsonw_str(w, map->values[i]);
	}
}

static char *configure_json(const struct create *create)
{
	if (!create->env.n && !create->secrets.n && !create->n_swaps)
		return NULL;
	struct buf b = BUF_INIT(FRAME_PAYLOAD_MAX);
	struct jsonw w = JSONW(&b);
	jsonw_open(&w);
	jsonw_key(&w, "env");
	jsonw_open(&w);
	put_map(&w, &create->env);
	put_map(&w, &create->secrets);
	for (size_t i = 0; i < create->n_swaps; i++) {
		jsonw_key_dyn(&w, create->swaps[i].name);
		jsonw_str(&w, str_from(create->swaps[i].placeholder));
	}
	jsonw_close(&w);
	jsonw_key(&w, "secrets");
	jsonw_open_array(&w);
	for (size_t i = 0; i < create->secrets.n; i++)
		jsonw_str(&w, create->secrets.keys[i]);
	jsonw_close_array(&w);
	jsonw_close(&w);
	return buf_take(&b);
}

static char *plugins_json(const struct create *create)
{
	struct buf b = BUF_INIT(FRAME_PAYLOAD_MAX);
	if (json_len(create->plugins) == 0)
		return NULL;
	json_write(create->plugins, &b);
	return buf_take(&b);
}

static int guard_settings(struct runtime *rt, const struct create *create, struct buf *ret,
	struct error *err)
{
	bool has_wish = json_kind(create->guard) != JSON_KIND_NULL;
	if (!rt->gate)
		return has_wish
			? error_set(err, ERROR_UNSUPPORTED, "create: this server has no guard")
			: 0;
	if (rt->gate->settings(rt->gate, create->guard, ret, err) < 0)
		return error_wrap(err, "create: guard");
	return 0;
}

static void create_filled(struct runtime *rt, const struct create *create, runtime_sandbox_fn *done,
	void *arg)
{
	struct error err;
	auto_buf struct buf guard = BUF_INIT(GUARD_SETTINGS_MAX);
	if (check_room(rt, create, &err) < 0 || guard_settings(rt, create, &guard, &err) < 0) {
		refuse(rt, &err, done, arg);
		return;
	}
	struct sandbox *s = sandbox_new(create, buf_str(&guard));
	s->configure_json = configure_json(create);
	s->secrets = secrets_new(s, create);
	for (size_t i = 0; i < create->secrets.n; i++)
		mask_add(&s->mask, create->secrets.values[i]);
	for (size_t i = 0; i < create->n_swaps; i++)
		mask_add(&s->mask, create->swaps[i].value);
	s->plugins_json = plugins_json(create);
	runtime_enlist(rt, s);
	store_put(rt->store, s);
	add_event(s, true);

	struct step *waiter = step_new(rt, s, tell_made);
	waiter->made = done;
	waiter->arg = arg;
	list_append(&s->waiters, &waiter->wait_link);

	struct step *step = step_new(rt, s, on_recorded);
	step->spec = mem_new(struct spec);
	*step->spec = create->spec;
	memcpy(step->spec->id, s->id, sizeof(s->id));
	step_after_commit(step);
}

void runtime_create(struct runtime *rt, const struct create *create, runtime_sandbox_fn *done,
	void *arg)
{
	auto_arena struct arena arena = ARENA_INIT(FILL_ARENA_MAX);
	struct create *filled = arena_new(&arena, struct create);
	struct error err;
	*filled = *create;
	create_fill(filled, &arena);
	create_allow_hosts(filled, &arena);
	bool is_backends = rt->backend->ops->library != NULL;
	if (filled->image.len && !is_backends && images_apply(rt->images, filled, &arena, &err) < 0)
		refuse(rt, &err, done, arg);
	else
		create_filled(rt, filled, done, arg);
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

static void on_frozen(void *arg, const struct backend_reply *reply)
{
	struct step *step = arg;
	struct sandbox *s = step_sandbox(step);
	step->then = tell_done;
	if (reply->error.code != ERROR_OK) {
		step->error = reply->error;
		step_defer(step);
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
	if ((s->state == SANDBOX_PAUSED) == is_paused && sandbox_is_usable(s)) {
		step_defer(step); /* it is so already */
	} else if (!lifecycle_find(s->state, is_paused ? LIFE_FROZEN : LIFE_THAWED)) {
		error_set(&step->error, ERROR_CONFLICT, "sandbox %s is %s", s->id,
			sandbox_state_name(s->state));
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
	error_set(&step->error, ERROR_CONFLICT, "sandbox %s is %s", s->id,
		sandbox_state_name(s->state));
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
