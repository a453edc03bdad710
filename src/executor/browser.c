/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. One step is under way, the others wait in order; `active` is the first of
 * them and its request has been sent. A caller that goes away takes a waiting step along; one under
 * way is let go on, and its result is dropped.
 *
 * browser_end is the only way out of running: it kills both children, fails the step under way and
 * leaves the corpses to be reaped as they come. Then the next step, if one waits, starts another
 * browser.
 */
#include "executor/browser.h"

#include "action/browser_actions.h"
#include "action/channel.h"
#include "base/auto.h"
#include "base/bug.h"
#include "base/file.h"
#include "base/id.h"
#include "executor/orphans.h"
#include "executor/spawn.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>

enum { CLOSE_PATIENCE_MS = 10000 };

struct step {
	struct list link;  /* browser::steps */
	struct call *call; /* NULL: its caller is gone */
	bool is_close;     /* not a step: end the browser when its turn comes */
	int64_t timeout_ms;
	struct buf request;
};

/* A child that was killed, until it is reaped. */
struct corpse {
	struct list link; /* browser::corpses */
	int pidfd;
	struct watch *watch;
};

struct browser {
	struct executor *executor;
	struct list steps;
	int n_steps;
	struct step *active;
	bool is_running;
	struct browser_children children;
	struct channel *channel;
	struct watch *chromium_watch;
	struct timer *timer;
	char *profile_dir, *old_profile_dir; /* NULL: none */
	struct list corpses;
};

static void take_turns(struct browser *b);

/* ---- the end of a step ---- */

static void step_free(struct browser *b, struct step *s)
{
	list_remove(&s->link);
	b->n_steps--;
	if (b->active == s)
		b->active = NULL;
	buf_fini(&s->request);
	free(s);
}

/* The call's own drop must not find the step any more. */
static struct call *part(struct browser *b, struct step *s)
{
	struct call *call = s->call;
	if (call)
		call->state = NULL;
	step_free(b, s);
	return call;
}

static void step_fail(struct browser *b, struct step *s, const struct error *err)
{
	struct call *call = part(b, s);
	if (call)
		call_fail(call, err);
}

static void step_finish(struct browser *b, struct step *s, struct str result)
{
	struct call *call = part(b, s);
	if (call)
		call_finish(call, result);
}

/* ---- corpses ---- */

static void corpse_free(struct corpse *c)
{
	watch_free(c->watch);
	close_fd(c->pidfd);
	list_remove(&c->link);
	free(c);
}

static void on_dead(void *arg, int events)
{
	struct corpse *c = arg;
	siginfo_t info = { 0 };
	if (waitid(P_PIDFD, (id_t)c->pidfd, &info, WEXITED | WNOHANG) == 0 && info.si_pid == 0)
		return;
	orphans_disown(info.si_pid);
	corpse_free(c);
}

static void bury(struct browser *b, int pidfd)
{
	struct corpse *c = mem_new(struct corpse);
	c->pidfd = pidfd;
	c->watch = watch_new(b->executor->loop, pidfd, LOOP_READ, on_dead, c);
	list_append(&b->corpses, &c->link);
}

/* ---- the end of the browser ---- */

static void forget_profile(struct browser *b, bool is_removed)
{
	free(b->old_profile_dir);
	b->old_profile_dir = NULL;
	if (!is_removed)
		b->old_profile_dir = take_ptr(b->profile_dir);
	free(b->profile_dir);
	b->profile_dir = NULL;
}

static void stop(struct browser *b, bool is_orderly)
{
	if (!b->is_running)
		return;
	b->is_running = false;
	browser_kill(&b->children);
	watch_free(b->chromium_watch);
	b->chromium_watch = NULL;
	channel_free(b->channel);
	b->channel = NULL;
	bury(b, b->children.chromium.pidfd);
	bury(b, b->children.driver_pidfd);
	forget_profile(b, is_orderly);
	timer_clear(b->timer);
}

static void browser_end(struct browser *b, const struct error *err)
{
	struct step *s = b->active;
	stop(b, false);
	if (s)
		step_fail(b, s, err);
	take_turns(b);
}

static void on_chromium(void *arg, int events)
{
	struct browser *b = arg;
	struct error err;
	siginfo_t info = { 0 };
	if (waitid(P_PIDFD, (id_t)b->children.chromium.pidfd, &info, WEXITED | WNOHANG | WNOWAIT) <
			0 ||
		info.si_pid == 0)
		return;
	if (b->active && b->active->is_close) { /* the driver is about to say so */
		watch_set(b->chromium_watch, 0);
		return;
	}
	error_set(&err, ERROR_UNAVAILABLE,
		"the browser ended (%s %d); the next step starts another one",
		info.si_code == CLD_EXITED ? "exit status" : "signal", info.si_status);
	browser_end(b, &err);
}

static void on_timeout(void *arg)
{
	struct browser *b = arg;
	struct error err;
	error_set(&err, ERROR_TIMEOUT,
		"the browser did not answer in time and was ended; the next step starts another one");
	browser_end(b, &err);
}

/* ---- the driver's answers ---- */

static void on_failure(struct browser *b, struct str payload)
{
	auto_json struct json *json = NULL;
	struct error err;
	if (json_parse(payload, &json, &err) == 0)
		json_to_error(json, &err);
	browser_end(b, &err);
}

static void on_frame(void *arg, const struct frame *frame)
{
	struct browser *b = arg;
	auto_buf struct buf payload = BUF_INIT(FRAME_PAYLOAD_MAX);
	buf_put(&payload, frame->payload); /* the channel may be freed below */
	if (frame->kind != FRAME_RESULT) {
		on_failure(b, buf_str(&payload));
		return;
	}
	if (!b->active)
		return;
	timer_clear(b->timer);
	step_finish(b, b->active, buf_str(&payload));
	take_turns(b);
}

static void finish_close(struct browser *b, bool was_running)
{
	stop(b, true);
	step_finish(b, b->active,
		was_running ? STR("{\"was_running\":true}") : STR("{\"was_running\":false}"));
}

static void on_end(void *arg, const struct error *reason)
{
	struct browser *b = arg;
	struct error err;
	if (b->active && b->active->is_close) {
		finish_close(b, true);
		take_turns(b);
		return;
	}
	error_set(&err, ERROR_UNAVAILABLE,
		"the browser's driver ended: out of memory, or killed; the next step starts another one");
	browser_end(b, &err);
}

static const struct channel_ops channel_operations = { .on_frame = on_frame, .on_end = on_end };

/* ---- turns ---- */

static int launch(struct browser *b, struct error *err)
{
	char token[ID_SIZE];
	id_make(token);
	char *profile_dir = mem_printf("/tmp/.cay-browser-%s", token);
	if (browser_launch(b->executor, profile_dir, b->old_profile_dir, &b->children, err) < 0) {
		free(profile_dir);
		return -1;
	}
	b->profile_dir = profile_dir;
	b->is_running = true;
	b->channel = channel_new(b->executor->loop, b->children.socket_fd, &channel_operations, b);
	b->chromium_watch = watch_new(b->executor->loop, b->children.chromium.pidfd, LOOP_READ,
		on_chromium, b);
	return 0;
}

static void start_close(struct browser *b)
{
	if (!b->is_running) {
		finish_close(b, false);
		return;
	}
	channel_send(b->channel, FRAME_EOF, 0, STR(""));
	timer_set(b->timer, CLOSE_PATIENCE_MS);
}

static void start_step(struct browser *b, struct step *s)
{
	struct error err;
	if (!b->is_running && launch(b, &err) < 0) {
		step_fail(b, s, &err);
		return;
	}
	channel_send(b->channel, FRAME_REQUEST, 0, buf_str(&s->request));
	timer_set(b->timer, s->timeout_ms + BROWSER_GRACE_MS);
}

static void take_turns(struct browser *b)
{
	while (!b->active && !list_is_empty(&b->steps)) {
		struct step *s = list_get_first(&b->steps, struct step, link);
		b->active = s;
		if (s->is_close)
			start_close(b);
		else
			start_step(b, s);
	}
}

/* ---- the verbs ---- */

static struct browser *get_browser(struct executor *e)
{
	if (e->browser)
		return e->browser;
	struct browser *b = mem_new(struct browser);
	b->executor = e;
	list_init(&b->steps);
	list_init(&b->corpses);
	b->timer = timer_new(e->loop, on_timeout, b);
	e->browser = b;
	return b;
}

static void add_step(struct call *call, bool is_close, int64_t timeout_ms)
{
	struct browser *b = get_browser(call->executor);
	struct error err;
	if (b->n_steps >= BROWSER_STEPS_MAX) {
		error_set(&err, ERROR_LIMIT, "%d steps wait for the browser; that is the limit",
			b->n_steps);
		call_fail(call, &err);
		return;
	}
	struct step *s = mem_new(struct step);
	s->call = call;
	s->is_close = is_close;
	s->timeout_ms = timeout_ms;
	buf_init(&s->request, FRAME_PAYLOAD_MAX);
	const struct json *params = json_find(call->request, "params");
	if (params)
		json_write(params, &s->request);
	else
		buf_puts(&s->request, "{}");
	call->state = s;
	list_append(&b->steps, &s->link);
	b->n_steps++;
	take_turns(b);
}

static void browse_start(struct call *call, const void *params)
{
	const struct browse_params *p = params;
	struct error err;
	if (p->program.len > BROWSE_PROGRAM_MAX) {
		error_set(&err, ERROR_TOO_LARGE, "a program of %zu bytes; the limit is %d",
			p->program.len, BROWSE_PROGRAM_MAX);
		call_fail(call, &err);
		return;
	}
	add_step(call, false, p->timeout_ms);
}

static void close_start(struct call *call, const void *params)
{
	add_step(call, true, CLOSE_PATIENCE_MS);
}

static void on_drop(struct call *call)
{
	struct step *s = take_ptr(call->state);
	if (!s)
		return;
	struct browser *b = call->executor->browser;
	s->call = NULL;
	if (s != b->active)
		step_free(b, s);
}

const struct verb browse_verb = {
	.action = &browse_action,
	.start = browse_start,
	.drop = on_drop,
};

const struct verb browser_close_verb = {
	.action = &browser_close_action,
	.start = close_start,
	.drop = on_drop,
};

void browser_free(struct browser *b)
{
	struct corpse *c, *tmp;
	struct step *s;
	if (!b)
		return;
	stop(b, false);
	while ((s = list_first(&b->steps, struct step, link))) {
		BUG_IF(s->call, "the browser was given up while a call needs it");
		step_free(b, s);
	}
	list_for_each_safe(c, tmp, &b->corpses, link) {
		pidfd_wait(c->pidfd);
		corpse_free(c);
	}
	/* Where the executor ends and its files stay: without a sandbox. */
	if (b->old_profile_dir)
		file_remove_tree(AT_FDCWD, b->old_profile_dir, NULL);
	timer_free(b->timer);
	free(b->old_profile_dir);
	free(b);
}
