/* SPDX-License-Identifier: Apache-2.0 */
#include "executor/kernel_verbs.h"

#include "base/auto.h"
#include "base/bug.h"
#include "executor/kernel.h"

#include <signal.h>

/* What gives a kernel that runs the functions that one with `skills` begins with. */
#define LOAD_SKILLS                                                                 \
	"import cay_skills as _s; get_ipython().user_ns_hidden.update(_s.names()) " \
	"if 'get_ipython' in globals() else None; globals().update(_s.names()); del _s"

static void fail(struct call *call, struct error *err)
{
	error_wrap(err, "%s", call->verb->action->name);
	call_fail(call, err);
}

static void finish_kernel(struct call *call, const struct kernel *k)
{
	auto_buf struct buf b = BUF_INIT(4096);
	struct jsonw w = JSONW(&b);
	kernel_put(k, &w);
	call_finish(call, buf_str(&b));
}

/* NULL, and the call has failed, if there is none. */
static struct kernel *find(struct call *call, struct str name)
{
	struct kernel *k = kernel_find(call->executor, name);
	struct error err;
	if (k)
		return k;
	error_set(&err, ERROR_NOT_FOUND, "no kernel '%.*s'", STR_ARG(str_first(name, 60)));
	fail(call, &err);
	return NULL;
}

/* ---- cell ---- */

struct run {
	struct cell_watch watch;
	struct call *call;
	struct cell *cell; /* NULL: it is over */
	bool is_capture;
};

static void run_pause_if_full(struct run *run)
{
	if (channel_is_full(run->call->channel))
		cell_pause(run->cell, true);
}

static void run_on_output(struct cell_watch *watch, uint8_t channel, struct str bytes)
{
	struct run *run = container_of(watch, struct run, watch);
	if (run->is_capture)
		return;
	call_send(run->call, channel, bytes);
	run_pause_if_full(run);
}

static void run_on_display(struct cell_watch *watch, const struct json *output)
{
	struct run *run = container_of(watch, struct run, watch);
	auto_buf struct buf b = BUF_INIT(FRAME_PAYLOAD_MAX);
	if (run->is_capture || json_write(output, &b) < 0)
		return;
	call_event(run->call, buf_str(&b));
	run_pause_if_full(run);
}

static void run_on_end(struct cell_watch *watch, struct cell *cell, const struct error *err)
{
	struct run *run = container_of(watch, struct run, watch);
	struct call *call = run->call;
	run->cell = NULL;
	if (err) {
		struct error own = *err;
		fail(call, &own);
		return;
	}
	auto_buf struct buf b = BUF_INIT(FRAME_PAYLOAD_MAX);
	cell_put(cell, &b);
	call_finish(call, buf_str(&b));
}

static int begin(struct call *call, const struct cell_params *p, struct cell **ret,
	struct error *err)
{
	struct kernel *k;
	auto_free char *cwd = p->cwd.len ? executor_path(call->executor, p->cwd) : NULL;
	struct cell_plan plan = {
		.code = p->code,
		.cwd = str_from(cwd),
		.env = &p->env,
		.timeout_ms = p->timeout_ms,
		.has_history = p->history,
		.keeps_outputs = p->capture,
		.output_bytes = (size_t)p->output_bytes,
	};
	if (kernel_get(call->executor, p->kernel, p->spec, &k, err) < 0)
		return -1;
	*ret = cell_new(k, &plan, err);
	return *ret ? 0 : -1;
}

static void cell_start(struct call *call, const void *params)
{
	const struct cell_params *p = params;
	struct cell *cell;
	struct error err;
	if (begin(call, p, &cell, &err) < 0) {
		fail(call, &err);
		return;
	}
	struct run *run = arena_new(&call->arena, struct run);
	*run = (struct run){
		.watch = { run_on_output, run_on_display, run_on_end },
		.call = call,
		.cell = cell,
		.is_capture = p->capture,
	};
	cell->watch = &run->watch;
	call->state = run;
}

static void cell_control(struct call *call, const struct json *control)
{
	struct run *run = call->state;
	if (json_find(control, "signal"))
		cell_interrupt(run->cell);
}

static void cell_drain(struct call *call)
{
	struct run *run = call->state;
	if (run->cell)
		cell_pause(run->cell, false);
}

static void cell_drop(struct call *call)
{
	struct run *run = call->state;
	if (run && run->cell)
		cell_unwatch(run->cell);
}

const struct verb cell_verb = {
	.action = &cell_action,
	.start = cell_start,
	.control = cell_control,
	.drain = cell_drain,
	.drop = cell_drop,
};

/* ---- open, restart ---- */

/* Waits, by a cell that does nothing, for the kernel to be ready. */
struct opening {
	struct cell_watch watch;
	struct call *call;
	struct cell *cell;
};

static void opening_on_end(struct cell_watch *watch, struct cell *cell, const struct error *err)
{
	struct opening *o = container_of(watch, struct opening, watch);
	struct error own;
	o->cell = NULL;
	if (!err && cell->status == CELL_OK) {
		finish_kernel(o->call, cell->kernel);
		return;
	}
	if (err)
		own = *err;
	else
		cell_error(cell, &own);
	fail(o->call, &own);
}

static void await_ready(struct call *call, struct kernel *k, const char *code)
{
	struct error err;
	struct cell_plan plan = { .code = str_from(code), .is_probe = true, .output_bytes = 4096 };
	struct opening *o = arena_new(&call->arena, struct opening);
	o->watch.on_end = opening_on_end;
	o->call = call;
	o->cell = cell_new(k, &plan, &err);
	if (!o->cell) {
		fail(call, &err);
		return;
	}
	o->cell->watch = &o->watch;
	call->state = o;
}

static void opening_drop(struct call *call)
{
	struct opening *o = call->state;
	if (o && o->cell)
		cell_unwatch(o->cell);
}

static void open_start(struct call *call, const void *params)
{
	const struct kernel_open_params *p = params;
	struct kernel *k;
	struct error err;
	if (kernel_get(call->executor, p->kernel, p->spec, &k, &err) < 0) {
		fail(call, &err);
		return;
	}
	if (p->cwd.len) {
		free(k->cwd);
		k->cwd = executor_path(call->executor, p->cwd);
	}
	bool is_late = p->skills && !k->has_skills && k->guest;
	k->has_skills |= p->skills;
	if (p->wait || is_late) {
		await_ready(call, k, is_late ? LOAD_SKILLS : "");
		return;
	}
	if (kernel_start(k, &err) < 0)
		fail(call, &err);
	else
		finish_kernel(call, k);
}

const struct verb kernel_open_verb = {
	.action = &kernel_open_action,
	.start = open_start,
	.drop = opening_drop,
};

static void restart_start(struct call *call, const void *params)
{
	const struct kernel_name_params *p = params;
	struct kernel *k = find(call, p->kernel);
	if (!k)
		return;
	kernel_stop(k, "was restarted");
	await_ready(call, k, "");
}

const struct verb kernel_restart_verb = {
	.action = &kernel_restart_action,
	.start = restart_start,
	.drop = opening_drop,
};

/* ---- the small ones ---- */

static void close_start(struct call *call, const void *params)
{
	const struct kernel_name_params *p = params;
	struct kernel *k = find(call, p->kernel);
	if (!k)
		return;
	kernel_close(k);
	call_finish(call, STR("{}"));
}

const struct verb kernel_close_verb = { .action = &kernel_close_action, .start = close_start };

static void interrupt_start(struct call *call, const void *params)
{
	const struct kernel_name_params *p = params;
	struct kernel *k = find(call, p->kernel);
	if (!k)
		return;
	kernel_interrupt(k);
	finish_kernel(call, k);
}

const struct verb kernel_interrupt_verb = { .action = &kernel_interrupt_action,
	.start = interrupt_start };

static void list_start(struct call *call, const void *params)
{
	auto_buf struct buf b = BUF_INIT(64 * 1024);
	struct jsonw w = JSONW(&b);
	struct kernel *k;
	jsonw_open(&w);
	jsonw_key(&w, "kernels");
	jsonw_open_array(&w);
	list_for_each(k, &call->executor->kernels, link)
		kernel_put(k, &w);
	jsonw_close_array(&w);
	jsonw_close(&w);
	call_finish(call, buf_str(&b));
}

const struct verb kernel_list_verb = { .action = &kernel_list_action, .start = list_start };
