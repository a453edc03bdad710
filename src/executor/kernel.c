/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. The kernel's guest is asked one cell at a time; the others wait in the
 * kernel. So a cell's time begins when it does, an interrupt can mean one cell only, and one that
 * nobody waits for any more is dropped without the guest having seen it.
 *
 * Timeout: the process group of the guest gets SIGINT. If the cell does not end within
 * CELL_ANSWER_MS its watch is told all the same, and SIGINT comes again; after CELL_GRACE_MS the
 * guest is killed. Cells that wait go on waiting.
 */
#include "executor/kernel.h"

#include "base/auto.h"
#include "base/bug.h"
#include "base/clock.h"
#include "executor/kernel_template.h"

#include <signal.h>
#include <stdio.h>

static void start_next(struct kernel *k);

/* ---- the end of a cell ---- */

static void cell_free(struct cell *cell)
{
	struct kernel *k = cell->kernel;
	guest_forget(&cell->request);
	if (!list_is_empty(&cell->link))
		k->n_cells--;
	list_remove(&cell->link);
	if (k->paused == cell) {
		k->paused = NULL;
		if (k->guest)
			guest_pause(k->guest, false);
	}
	timer_free(cell->timer);
	buf_fini(&cell->body);
	outputs_fini(&cell->outputs);
	free(cell->error_json);
	free(cell->python);
	free(cell);
}

static void tell(struct cell *cell, const struct error *err)
{
	struct cell_watch *w = take_ptr(cell->watch);
	if (w)
		w->on_end(w, cell, err);
}

static void finish(struct cell *cell, enum cell_status status)
{
	struct kernel *k = cell->kernel;
	cell->status = cell->has_timed_out && status != CELL_ENDED ? CELL_TIMED_OUT : status;
	list_remove(&cell->link);
	list_init(&cell->link);
	k->n_cells--;
	k->n_done += cell->is_running && !cell->is_probe;
	tell(cell, NULL);
	cell_free(cell);
}

static void set_error(struct cell *cell, const char *name, const char *value)
{
	auto_buf struct buf b = BUF_INIT(4096);
	struct jsonw w = JSONW(&b);
	jsonw_open(&w);
	jsonw_key_str(&w, "name", str_from(name));
	jsonw_key_str(&w, "value", str_from(value));
	jsonw_key(&w, "traceback");
	jsonw_open_array(&w);
	jsonw_close_array(&w);
	jsonw_close(&w);
	free(cell->error_json);
	cell->error_json = buf_take(&b);
}

static void emit(const struct kernel *k, const char *event, const char *key, const char *value)
{
	auto_buf struct buf b = BUF_INIT(4096);
	struct jsonw w = JSONW(&b);
	jsonw_open(&w);
	jsonw_key_str(&w, "event", str_from(event));
	jsonw_key_str(&w, "kernel", str_from(k->name));
	jsonw_key_str(&w, key, str_from(value));
	jsonw_close(&w);
	executor_emit(k->executor, buf_str(&b));
}

/* The interpreter is gone, for this reason: so is the cell that ran; the others did not begin. */
static void end_cells(struct kernel *k, const struct error *reason, const char *limit)
{
	struct cell *cell;
	struct error err = *reason;
	error_wrap(&err, "the cell did not begin");
	while ((cell = list_first(&k->cells, struct cell, link))) {
		if (cell->is_running) {
			set_error(cell, "KernelEnded", reason->text);
			cell->limit = limit;
			finish(cell, CELL_ENDED);
			continue;
		}
		tell(cell, &err);
		cell_free(cell);
	}
}

void kernel_stop(struct kernel *k, const char *why)
{
	struct error reason;
	error_set(&reason, ERROR_UNAVAILABLE, "kernel %s %s", k->name, why);
	struct cell *running = list_first(&k->cells, struct cell, link);
	if (running)
		guest_forget(&running->request);
	/* Gently if it waits for nothing but us. */
	if (running && running->is_running)
		guest_free(k->guest);
	else
		guest_close(k->guest);
	if (k->guest)
		emit(k, "kernel_ended", "reason", reason.text);
	k->guest = NULL;
	end_cells(k, &reason, NULL);
}

/* ---- what the guest says ---- */

static struct cell *cell_of(struct guest_request *r)
{
	return container_of(r, struct cell, request);
}

static void take_output(struct cell *cell, uint8_t channel, struct str bytes)
{
	if (!cell->watch)
		return;
	outputs_add(&cell->outputs, channel, bytes);
	if (cell->watch->on_output)
		cell->watch->on_output(cell->watch, channel, bytes);
}

static void on_output(struct guest_request *r, uint8_t channel, struct str bytes)
{
	take_output(cell_of(r), channel, bytes);
}

/* What programs write, or Python itself when it crashes; without a cell it is nobody's. */
static void on_guest_output(void *arg, uint8_t channel, struct str bytes)
{
	struct kernel *k = arg;
	struct cell *cell = list_first(&k->cells, struct cell, link);
	if (cell && cell->is_running)
		take_output(cell, channel, bytes);
}

static void on_event(struct guest_request *r, const struct json *event)
{
	struct cell *cell = cell_of(r);
	if (!cell->watch)
		return;
	outputs_add_display(&cell->outputs, event);
	if (cell->watch->on_display)
		cell->watch->on_display(cell->watch, event);
}

static void on_result(struct guest_request *r, const struct json *result)
{
	struct cell *cell = cell_of(r);
	struct kernel *k = cell->kernel;
	struct str status = json_str(json_find(result, "status"));
	const struct json *error = json_find(result, "error");
	const struct json *count = json_find(result, "execution_count");
	if (json_kind(error) == JSON_KIND_OBJECT) {
		auto_buf struct buf b = BUF_INIT(GUEST_MESSAGE_MAX);
		json_write(error, &b);
		cell->error_json = buf_take(&b);
	}
	if (json_kind(count) == JSON_KIND_INT)
		cell->execution_count = json_int(count);
	cell->python = str_dup(json_str(json_find(result, "python")));
	k->is_second_try = false;
	bool is_ok = str_is(status, "ok");
	bool is_interrupted = cell->was_interrupted || str_is(status, "interrupted");
	if (!is_ok && !is_interrupted)
		cell->limit = limits_hit(&k->executor->limits);
	finish(cell, is_ok ? CELL_OK : is_interrupted ? CELL_INTERRUPTED : CELL_ERROR);
	start_next(k);
}

/* The guest refuses the cell, or has ended: then on_exit comes next. */
static void on_error(struct guest_request *r, const struct error *err)
{
	struct cell *cell = cell_of(r);
	struct kernel *k = cell->kernel;
	if (err->code == ERROR_UNAVAILABLE) {
		list_init(&r->link);
		return;
	}
	tell(cell, err);
	cell_free(cell);
	start_next(k);
}

static const struct guest_request_ops request_ops = {
	.on_event = on_event,
	.on_output = on_output,
	.on_result = on_result,
	.on_error = on_error,
};

/*
 * A kernel that never came to be, because the template died before it made it: its first cell has
 * not begun, and gets one from a new template. Once: if that dies too, there is a reason.
 */
static bool start_again(struct kernel *k)
{
	struct cell *cell = list_first(&k->cells, struct cell, link);
	if (k->is_second_try || !cell || kernel_start(k, NULL) < 0)
		return false;
	k->is_second_try = true;
	cell->is_running = false;
	timer_free(take_ptr(cell->timer));
	start_next(k);
	return true;
}

static void on_exit_of_kernel(void *arg, const struct error *reason)
{
	struct kernel *k = arg;
	struct guest *g = take_ptr(k->guest);
	const char *limit = guest_limit(g);
	bool is_unborn = guest_pid(g) == 0;
	k->paused = NULL;
	guest_free(g);
	emit(k, "kernel_ended", "reason", reason->text);
	if (!is_unborn || !start_again(k))
		end_cells(k, reason, limit);
}

static const struct guest_ops guest_ops = { .on_output = on_guest_output,
	.on_exit = on_exit_of_kernel };

/* ---- interrupts ---- */

bool kernel_interrupt(struct kernel *k)
{
	struct cell *cell = list_first(&k->cells, struct cell, link);
	if (!k->guest || !cell || !cell->is_running)
		return false;
	cell->was_interrupted = true;
	guest_signal(k->guest, SIGINT, true, NULL);
	return true;
}

void cell_interrupt(struct cell *cell)
{
	if (cell->is_running)
		kernel_interrupt(cell->kernel);
	else
		finish(cell, CELL_INTERRUPTED);
}

static void on_timeout(void *arg)
{
	struct cell *cell = arg;
	struct kernel *k = cell->kernel;
	int64_t over_ms = clock_mono_ms() - cell->began_ms - cell->timeout_ms;
	cell->has_timed_out = true;
	if (over_ms >= CELL_GRACE_MS) {
		kernel_stop(k, "did not react to the interrupt after a timeout, and was ended");
		return;
	}
	kernel_interrupt(k);
	if (over_ms < CELL_ANSWER_MS) {
		timer_set(cell->timer, CELL_ANSWER_MS);
		return;
	}
	timer_set(cell->timer, CELL_GRACE_MS - over_ms);
	cell_pause(cell, false);
	cell->status = CELL_TIMED_OUT;
	tell(cell, NULL);
}

/* ---- start ---- */

static int put_arguments(const struct kernel *k, struct buf *b)
{
	struct jsonw w = JSONW(b);
	jsonw_open(&w);
	jsonw_key_str(&w, "kernel", str_from(k->name));
	jsonw_key_str(&w, "spec", str_from(k->spec));
	jsonw_key_bool(&w, "skills", k->has_skills);
	jsonw_close(&w);
	return b->is_full ? -1 : 0;
}

int kernel_start(struct kernel *k, struct error *err)
{
	char what[KERNEL_NAME_MAX + 16];
	auto_buf struct buf arguments = BUF_INIT(4096);
	if (k->guest)
		return 0;
	snprintf(what, sizeof(what), "kernel %s", k->name);
	put_arguments(k, &arguments);
	struct guest_plan plan = {
		.what = what,
		.arguments = buf_str(&arguments),
		.cwd = k->cwd,
	};
	k->n_done = 0;
	if (kernel_guest_start(k->executor, k->spec, &plan, &guest_ops, k, &k->guest, err) < 0)
		return -1;
	emit(k, "kernel_started", "spec", k->spec);
	return 0;
}

static int run_cell(struct cell *cell, struct error *err)
{
	struct kernel *k = cell->kernel;
	cell->request.ops = &request_ops;
	if (guest_ask(k->guest, &cell->request, buf_str(&cell->body), err) < 0)
		return -1;
	cell->is_running = true;
	cell->is_first = k->n_done == 0;
	cell->began_ms = clock_mono_ms();
	if (cell->timeout_ms) {
		cell->timer = timer_new(k->executor->loop, on_timeout, cell);
		timer_set(cell->timer, cell->timeout_ms);
	}
	return 0;
}

/* Asks the guest to run the first of the cells that wait. */
static void start_next(struct kernel *k)
{
	struct cell *cell;
	struct error err;
	while (k->guest && (cell = list_first(&k->cells, struct cell, link)) && !cell->is_running) {
		if (run_cell(cell, &err) < 0) {
			tell(cell, &err);
			cell_free(cell);
		}
	}
}

/*
 * A cell that is only being made, and has nobody to be told of its end: no other is before it. The
 * guest may just have died, and how is still waited for; then it is forgotten, and the cell is the
 * next one's.
 */
static int run_new_cell(struct cell *cell, struct error *err)
{
	struct kernel *k = cell->kernel;
	int r = run_cell(cell, err);
	if (r < 0 && err->code == ERROR_UNAVAILABLE) {
		kernel_stop(k, "has ended");
		r = kernel_start(k, err) < 0 ? -1 : run_cell(cell, err);
	}
	return r;
}

static void put_env(struct jsonw *w, const struct field_map *env)
{
	jsonw_key(w, "env");
	jsonw_open(w);
	for (size_t i = 0; i < env->n; i++) {
		jsonw_key_dyn(w, env->keys[i]);
		jsonw_str(w, env->values[i]);
	}
	jsonw_close(w);
}

static void put_body(struct buf *b, const struct cell_plan *plan)
{
	struct jsonw w = JSONW(b);
	jsonw_open(&w);
	jsonw_key_str(&w, "code", plan->code);
	jsonw_key_bool(&w, "history", plan->has_history);
	if (plan->cwd.len)
		jsonw_key_str(&w, "cwd", plan->cwd);
	if (plan->env && plan->env->n)
		put_env(&w, plan->env);
	jsonw_close(&w);
}

/* Names and values as any program of the sandbox could have them. */
static int check_env(const struct field_map *map, struct error *err)
{
	auto_env struct env env = { 0 };
	if (!map)
		return 0;
	if (env_set_all(&env, map, err) < 0)
		return -1;
	if (env.bytes > CELL_ENV_MAX)
		return error_set(err, ERROR_TOO_LARGE, "env of %zu bytes; the limit is %d",
			env.bytes, CELL_ENV_MAX);
	return 0;
}

struct cell *cell_new(struct kernel *k, const struct cell_plan *plan, struct error *err)
{
	if (plan->code.len > CELL_CODE_MAX) {
		error_set(err, ERROR_TOO_LARGE, "code of %zu bytes; the limit is %d",
			plan->code.len, CELL_CODE_MAX);
		return NULL;
	}
	if (k->n_cells >= KERNEL_CELLS_MAX) {
		error_set(err, ERROR_LIMIT, "%d cells wait for kernel %s", KERNEL_CELLS_MAX,
			k->name);
		return NULL;
	}
	if (check_env(plan->env, err) < 0 || kernel_start(k, err) < 0)
		return NULL;
	struct cell *cell = mem_new(struct cell);
	cell->kernel = k;
	cell->timeout_ms = plan->timeout_ms;
	cell->keeps_outputs = plan->keeps_outputs;
	cell->is_probe = plan->is_probe;
	cell->execution_count = -1;
	list_init(&cell->request.link);
	outputs_init(&cell->outputs, plan->output_bytes);
	buf_init(&cell->body, GUEST_MESSAGE_MAX);
	list_init(&cell->link);
	put_body(&cell->body, plan);
	int r = cell->body.is_full
		? error_set(err, ERROR_TOO_LARGE, "the code does not fit into a message")
		: list_is_empty(&k->cells) ? run_new_cell(cell, err)
					   : 0;
	if (r < 0) {
		cell_free(cell);
		return NULL;
	}
	list_append(&k->cells, &cell->link);
	k->n_cells++;
	return cell;
}

void cell_unwatch(struct cell *cell)
{
	cell_pause(cell, false);
	cell->watch = NULL;
	if (!cell->is_running)
		cell_free(cell);
}

void cell_pause(struct cell *cell, bool is_paused)
{
	struct kernel *k = cell->kernel;
	if (is_paused == (k->paused == cell) || !k->guest || (is_paused && !cell->is_running))
		return;
	k->paused = is_paused ? cell : NULL;
	guest_pause(k->guest, is_paused);
}

void cell_error(const struct cell *cell, struct error *ret)
{
	auto_json struct json *json = NULL;
	if (cell->error_json)
		json_parse(str_from(cell->error_json), &json, NULL);
	error_set(ret, cell->status == CELL_ENDED ? ERROR_UNAVAILABLE : ERROR_INTERNAL,
		"%.*s: %.*s", STR_ARG(json_str(json_find(json, "name"))),
		STR_ARG(str_first(json_str(json_find(json, "value")), 200)));
}

/* ---- kernels ---- */

struct kernel *kernel_find(struct executor *e, struct str name)
{
	struct kernel *k;
	list_for_each(k, &e->kernels, link)
		if (str_is(name, k->name))
			return k;
	return NULL;
}

static int check_names(struct str name, struct str spec, struct error *err)
{
	if (name.len == 0 || name.len > KERNEL_NAME_MAX)
		return error_set(err, ERROR_INVALID, "the name of a kernel has 1 to %d bytes",
			KERNEL_NAME_MAX);
	if (spec.len > KERNEL_SPEC_MAX)
		return error_set(err, ERROR_INVALID, "a spec of %zu bytes; the limit is %d",
			spec.len, KERNEL_SPEC_MAX);
	return 0;
}

int kernel_get(struct executor *e, struct str name, struct str spec, struct kernel **ret,
	struct error *err)
{
	struct kernel *k = kernel_find(e, name);
	if (k && spec.len && !str_is(spec, k->spec))
		return error_set(err, ERROR_CONFLICT, "kernel %s is %s: close it first", k->name,
			k->spec);
	if (!k) {
		if (check_names(name, spec, err) < 0)
			return -1;
		if (e->n_kernels >= KERNELS_MAX)
			return error_set(err, ERROR_LIMIT, "the sandbox has %d kernels",
				KERNELS_MAX);
		k = mem_new(struct kernel);
		k->executor = e;
		snprintf(k->name, sizeof(k->name), "%.*s", STR_ARG(name));
		snprintf(k->spec, sizeof(k->spec), "%.*s",
			STR_ARG(spec.len ? spec : STR("python")));
		list_init(&k->cells);
		k->created_ms = clock_wall_ms();
		list_append(&e->kernels, &k->link);
		e->n_kernels++;
	}
	*ret = k;
	return 0;
}

void kernel_close(struct kernel *k)
{
	kernel_stop(k, "was closed");
	list_remove(&k->link);
	k->executor->n_kernels--;
	free(k->cwd);
	free(k);
}

void kernels_free_all(struct executor *e)
{
	struct kernel *k;
	while ((k = list_first(&e->kernels, struct kernel, link)))
		kernel_close(k);
	templates_free_all(e);
}
