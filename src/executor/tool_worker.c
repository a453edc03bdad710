/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tool_worker: packs of kind python. A pack is one process: its tools share what their module
 * keeps, no other pack can break it, and when it dies nothing else is lost (docs/decisions, "A
 * process for each pack of tools").
 *
 * Calls wait in `queue`. AHEAD_MAX of them are sent, and performed inside one after the other by
 * one thread: an interpreter does one thing at a time, and more threads only slow it down. When
 * nothing has come of the first of them for PATIENCE_MS it counts as slow: the bell is rung,
 * another thread goes on with those behind it, and the next one is sent. So sleepers delay nobody
 * for long, and the quick ones go through one thread.
 *
 * A call whose deadline passes, or whose caller leaves, is cancelled: an exception is thrown into
 * its thread. What sits in a system call does not hear it; it is abandoned, and the pack goes on
 * without that thread. When ABANDONED_MAX are, and still are a moment later, the interpreter is
 * replaced.
 *
 *	STOPPED → LOADING → READY     the interpreter; it dies into STOPPED, and the next call starts it again
 */
#include "executor/toolbox.h"

#include "base/auto.h"
#include "base/bug.h"
#include "base/clock.h"
#include "executor/executor.h"
#include "executor/guest.h"
#include "executor/python.h"

enum {
	AHEAD_MAX = 4, /* a pack that dies takes so many along that had not begun */
	PATIENCE_MS = 2,
	ABANDONED_MAX = 16,
	GRACE_MS = 1000,      /* in which those that were cancelled together may end */
	LOAD_MS = 180 * 1000, /* importing may be slow; hanging is not waited for */
	QUEUE_MAX = 1024,
	BODY_ROOM = 4096,
};

/*
 * To guest.bell goes the number of a request that is cancelled, or this: another lane shall go on.
 */
enum { BELL_NEXT = 0 };

enum worker_state { STOPPED, LOADING, READY };

struct worker {
	struct tool_pack *pack;
	struct guest *guest; /* NULL: STOPPED */
	enum worker_state state;
	struct guest_request load;
	struct timer *load_timer, *patience, *grace;
	struct list queue;   /* python_call::link: not sent */
	struct list running; /* python_call::link: sent, oldest first */
	int n_running, n_quick, n_abandoned;
	bool has_ended;      /* one that was abandoned, within the grace */
	int64_t progress_ms; /* since when the first quick one is the first */
};

struct python_call {
	struct tool_use use; /* use.call is NULL: abandoned */
	struct list link;    /* worker::queue or worker::running */
	struct worker *worker;
	struct guest_request request;
	struct buf body; /* until it is sent */
	struct timer *deadline;
	int64_t timeout_ms;
	bool is_sent, is_quick;
};

static void pump(struct worker *w);

/* ---- calls ---- */

static void call_end(struct python_call *pc)
{
	struct worker *w = pc->worker;
	if (pc->is_sent) {
		w->n_running--;
		w->n_quick -= pc->is_quick;
		w->n_abandoned -= !pc->use.call;
		w->has_ended |= !pc->use.call;
	}
	tool_use_end(&pc->use);
	list_remove(&pc->link);
	guest_forget(&pc->request);
	timer_free(pc->deadline);
	buf_fini(&pc->body);
	free(pc);
}

static void call_refuse(struct python_call *pc, const struct error *err)
{
	struct call *call = pc->use.call;
	struct error copy = *err;
	call_end(pc);
	if (call)
		call_fail(call, &copy);
}

static void refuse_all(struct list *calls, const struct error *err)
{
	while (!list_is_empty(calls))
		call_refuse(list_get_first(calls, struct python_call, link), err);
}

static struct tool_answer answer_of(const struct json *result)
{
	const struct json *error = json_find(result, "error");
	struct tool_answer a = {
		.output = json_str(json_find(result, "output")),
		.error_type = json_str(json_find(error, "type")),
		.error_message = json_str(json_find(error, "message")),
		.error_traceback = json_str(json_find(error, "traceback")),
		.out = json_str(json_find(result, "stdout")),
		.err = json_str(json_find(result, "stderr")),
	};
	return a;
}

static void on_result(struct guest_request *r, const struct json *result)
{
	struct python_call *pc = container_of(r, struct python_call, request);
	struct worker *w = pc->worker;
	struct call *call = pc->use.call;
	int64_t started_us = pc->use.started_us;
	struct tool_answer a = answer_of(result);
	if (pc->is_quick)
		w->progress_ms = clock_mono_ms();
	call_end(pc);
	if (call)
		tool_finish(call, &a, started_us);
	pump(w);
}

static void on_error(struct guest_request *r, const struct error *err)
{
	struct python_call *pc = container_of(r, struct python_call, request);
	struct error copy = *err;
	error_wrap(&copy, "%.200s", pc->worker->pack->name);
	call_refuse(pc, &copy);
}

static const struct guest_request_ops call_ops = { .on_result = on_result, .on_error = on_error };

/* ---- the interpreter ---- */

static void stop(struct worker *w, const struct error *why)
{
	guest_free(take_ptr(w->guest));
	timer_clear(w->load_timer);
	timer_clear(w->patience);
	timer_clear(w->grace);
	w->state = STOPPED;
	w->pack->is_stopped = true;
	w->pack->error = *why;
	refuse_all(&w->running, why);
}

/*
 * What loading was for cannot be: the pack is refused, or its calls are. The worker may be gone
 * afterwards.
 */
static void load_failed(struct worker *w, const struct error *err)
{
	struct error copy = *err;
	stop(w, &copy);
	if (w->pack->adder)
		toolbox_refused(w->pack, &copy);
	else
		refuse_all(&w->queue, &copy);
}

static int take_tools(struct worker *w, const struct json *result, struct error *err)
{
	const struct json *failure = json_find(result, "error"),
			  *tools = json_find(result, "tools");
	if (json_kind(failure) == JSON_KIND_OBJECT)
		return error_set(err, ERROR_INVALID, "%.*s: %.*s",
			STR_ARG(str_first(json_str(json_find(failure, "type")), 60)),
			STR_ARG(str_first(json_str(json_find(failure, "message")), 300)));
	/* Started again: what it offers was taken the first time. */
	for (size_t i = 0; w->pack->adder && i < json_len(tools); i++)
		if (tool_pack_add(w->pack, json_find(json_at(tools, i), "schema"), err) < 0)
			return -1;
	if (w->pack->adder && json_len(tools) == 0)
		return error_set(err, ERROR_INVALID, "it has no tools");
	return 0;
}

static void on_loaded(struct guest_request *r, const struct json *result)
{
	struct worker *w = container_of(r, struct worker, load);
	struct error err;
	timer_clear(w->load_timer);
	if (take_tools(w, result, &err) < 0) {
		load_failed(w, &err);
		return;
	}
	w->state = READY;
	w->pack->is_stopped = false;
	w->pack->starts++;
	if (w->pack->adder)
		toolbox_added(w->pack);
	else
		pump(w);
}

/* on_exit follows, which does what is to be done. */
static void on_load_error(struct guest_request *r, const struct error *err)
{
}

static const struct guest_request_ops load_ops = { .on_result = on_loaded,
	.on_error = on_load_error };

static void on_load_timeout(void *arg)
{
	struct worker *w = arg;
	struct error err;
	error_set(&err, ERROR_TIMEOUT, "it was not loaded within %d s", LOAD_MS / 1000);
	load_failed(w, &err);
}

static void on_exit_of_guest(void *arg, const struct error *reason)
{
	struct worker *w = arg;
	struct error err = *reason;
	if (w->state == LOADING) {
		load_failed(w, &err);
		return;
	}
	stop(w, &err);
	pump(w); /* who waits gets a new one */
}

static const struct guest_ops guest_ops = { .on_exit = on_exit_of_guest };

static int start(struct worker *w, struct error *err)
{
	static const struct guest_source sources[] = {
		{ "tool_schema", python_tool_schema },
		{ "tool_host", python_tool_host },
	};
	struct tool_pack *pack = w->pack;
	struct executor *e = pack->box->executor;
	auto_env struct env env = { 0 };
	const struct guest_plan plan = {
		.what = "the interpreter",
		.python = pack->python,
		.sources = sources,
		.n_sources = ARRAY_LEN(sources),
		.arguments = str_from(pack->arguments_json),
		.env = &env,
		.cwd = pack->cwd,
		.has_bell = true,
	};
	env_copy(&env, &e->env);
	if (env_add(&env, &pack->env, err) < 0 ||
		guest_start(e, &plan, &guest_ops, w, &w->guest, err) < 0)
		return -1;
	w->state = LOADING;
	w->load.ops = &load_ops;
	timer_set(w->load_timer, LOAD_MS);
	return guest_ask(w->guest, &w->load, STR("{\"load\":true}"), err);
}

/* ---- sending ---- */

/* What is slow is passed by. */
static void watch_first(struct worker *w)
{
	struct python_call *pc;
	int64_t now_ms = clock_mono_ms();
	if (w->n_quick == 0 || now_ms - w->progress_ms < PATIENCE_MS)
		return;
	list_for_each(pc, &w->running, link) {
		if (!pc->is_quick)
			continue;
		pc->is_quick = false;
		w->n_quick--;
		w->progress_ms = now_ms;
		guest_ring(w->guest, BELL_NEXT);
		return;
	}
}

static void on_patience(void *arg)
{
	pump(arg);
}

/* True: it is on its way, or has ended. */
static void send_call(struct worker *w, struct python_call *pc)
{
	struct error err;
	pc->request.ops = &call_ops;
	if (guest_ask(w->guest, &pc->request, buf_str(&pc->body), &err) < 0) {
		call_refuse(pc, &err);
		return;
	}
	buf_fini(&pc->body);
	buf_init(&pc->body, 0);
	list_remove(&pc->link);
	list_append(&w->running, &pc->link);
	pc->is_sent = pc->is_quick = true;
	w->n_running++;
	if (w->n_quick++ == 0)
		w->progress_ms = clock_mono_ms();
}

static void pump(struct worker *w)
{
	struct error err;
	if (w->state == STOPPED && !list_is_empty(&w->queue) && start(w, &err) < 0) {
		load_failed(w, &err);
		return;
	}
	if (w->state != READY)
		return;
	if (w->n_quick > 1 || !list_is_empty(&w->queue))
		watch_first(w);
	while (!list_is_empty(&w->queue) && w->n_quick < AHEAD_MAX && w->n_running < TOOL_CALLS_MAX)
		send_call(w, list_get_first(&w->queue, struct python_call, link));
	if (w->n_quick > 1)
		timer_set(w->patience, PATIENCE_MS);
}

/* ---- the end of a call that goes on inside ---- */

static void on_grace(void *arg)
{
	struct worker *w = arg;
	struct error err;
	if (w->n_abandoned < ABANDONED_MAX || w->state != READY)
		return;
	if (w->has_ended) { /* they do end, if slowly */
		w->has_ended = false;
		timer_set(w->grace, GRACE_MS);
		return;
	}
	error_set(&err, ERROR_UNAVAILABLE,
		"%s: its interpreter was replaced: %d calls did not end when they were cancelled",
		w->pack->name, w->n_abandoned);
	stop(w, &err);
	pump(w);
}

/* Nobody waits for it any more. */
static void abandon(struct python_call *pc)
{
	struct worker *w = pc->worker;
	pc->use.call->state = NULL;
	pc->use.call = NULL;
	if (!pc->is_sent) {
		call_end(pc);
		return;
	}
	timer_clear(pc->deadline);
	guest_ring(w->guest, pc->request.id);
	if (++w->n_abandoned == ABANDONED_MAX)
		timer_set(w->grace, GRACE_MS);
	w->has_ended &= w->n_abandoned > ABANDONED_MAX;
}

static void on_deadline(void *arg)
{
	struct python_call *pc = arg;
	struct call *call = pc->use.call;
	struct error err;
	error_set(&err, ERROR_TIMEOUT, "the tool did not end within %lld ms%s",
		(long long)pc->timeout_ms, pc->is_sent ? "" : ": it was not its turn yet");
	abandon(pc);
	call_fail(call, &err);
}

/* ---- as a kind of pack ---- */

static void python_load(struct tool_pack *pack)
{
	struct worker *w = mem_new(struct worker);
	struct loop *loop = pack->box->executor->loop;
	struct error err;
	w->pack = pack;
	pack->state = w;
	pack->is_stopped = true;
	list_init(&w->queue);
	list_init(&w->running);
	list_init(&w->load.link);
	w->load_timer = timer_new(loop, on_load_timeout, w);
	w->patience = timer_new(loop, on_patience, w);
	w->grace = timer_new(loop, on_grace, w);
	if (start(w, &err) < 0)
		load_failed(w, &err);
}

static void python_call(struct tool *tool, struct call *call, const struct tool_wish *wish)
{
	struct worker *w = tool->pack->state;
	struct error err;
	if (tool->pack->n_calls >= QUEUE_MAX) {
		error_set(&err, ERROR_LIMIT, "%d calls of %s are under way or wait", QUEUE_MAX,
			tool->pack->name);
		call_fail(call, &err);
		return;
	}
	struct python_call *pc = mem_new(struct python_call);
	pc->worker = w;
	pc->timeout_ms = wish->timeout_ms;
	list_init(&pc->request.link);
	buf_init(&pc->body, wish->text.len + BODY_ROOM);
	buf_printf(&pc->body, "=%s\n", tool->name);
	buf_put(&pc->body,
		wish->text); /* as it is: only the tool's own failure comes of what it holds */
	tool_use_begin(&pc->use, tool->pack, call);
	list_append(&w->queue, &pc->link);
	pc->deadline = timer_new(tool->pack->box->executor->loop, on_deadline, pc);
	timer_set(pc->deadline, wish->timeout_ms);
	pump(w);
}

static void python_drop(struct tool_use *use)
{
	abandon(container_of(use, struct python_call, use));
}

static void python_reset(struct tool_pack *pack, const struct error *why)
{
	struct worker *w = pack->state;
	if (!w)
		return;
	stop(w, why);
	refuse_all(&w->queue, why);
	memset(&pack->error, 0, sizeof(pack->error));
}

static void python_free(struct tool_pack *pack)
{
	struct worker *w = pack->state;
	if (!w)
		return;
	guest_forget(&w->load);
	guest_free(w->guest);
	timer_free(w->load_timer);
	timer_free(w->patience);
	timer_free(w->grace);
	free(w);
}

const struct tool_kind tool_python = {
	.name = "python",
	.load = python_load,
	.call = python_call,
	.drop = python_drop,
	.reset = python_reset,
	.free = python_free,
};
