/* SPDX-License-Identifier: Apache-2.0 */
#include "executor/process_verbs.h"

#include "base/auto.h"
#include "base/bug.h"
#include "executor/process.h"
#include "wire/utf8.h"

#include <signal.h>

static void fail(struct call *call, struct error *err)
{
	error_wrap(err, "%s", call->verb->action->name);
	call_fail(call, err);
}

static void finish_json(struct call *call, const struct buf *b)
{
	struct error err;
	if (b->is_full) {
		error_set(&err, ERROR_TOO_LARGE,
			"the output does not fit into a result: ask for data instead");
		fail(call, &err);
	} else {
		call_finish(call, buf_str(b));
	}
}

static void finish_process(struct call *call, const struct process *p)
{
	auto_buf struct buf b = BUF_INIT(FRAME_PAYLOAD_MAX);
	struct jsonw w = JSONW(&b);
	process_put(p, &w, false);
	finish_json(call, &b);
}

/* NULL, and the call has failed, if there is none. */
static struct process *find(struct call *call, struct str who)
{
	struct process *p;
	struct error err;
	if (process_find(call->executor, who, &p, &err) == 0)
		return p;
	fail(call, &err);
	return NULL;
}

/* ---- exec ---- */

struct exec {
	struct process_watch watch;
	struct call *call;
	struct process *process; /* there as long as the call watches it */
	bool is_capture, escapes;
};

/* All of one channel that the log holds. */
static void put_captured(const struct process *p, struct jsonw *w, const char *key, uint8_t channel,
	bool escapes)
{
	auto_buf struct buf text = BUF_INIT(SIZE_MAX / 2), escaped = BUF_INIT(SIZE_MAX / 2);
	struct log_entry entry;
	for (uint64_t at = 0; process_log_read(&p->log, at, &entry);
		at = entry.at + entry.bytes.len)
		if (entry.channel == channel)
			buf_put(&text, entry.bytes);
	if (escapes)
		utf8_put_escaped(&escaped, buf_str(&text));
	jsonw_key_str(w, key, buf_str(escapes ? &escaped : &text));
}

static void exec_on_end(struct process_watch *watch)
{
	struct exec *x = container_of(watch, struct exec, watch);
	auto_buf struct buf b = BUF_INIT(FRAME_PAYLOAD_MAX);
	struct jsonw w = JSONW(&b);
	process_put(x->process, &w, true);
	if (x->is_capture) {
		put_captured(x->process, &w, "stdout", 1, x->escapes);
		put_captured(x->process, &w, "stderr", 2, x->escapes);
	}
	jsonw_close(&w);
	x->process = NULL;
	finish_json(x->call, &b);
}

static void exec_on_output(struct process_watch *watch, uint8_t channel, struct str bytes)
{
	struct exec *x = container_of(watch, struct exec, watch);
	if (x->is_capture)
		return;
	call_send(x->call, channel, bytes);
	if (channel_is_full(x->call->channel))
		process_pause(x->process, true);
}

static void exec_on_input(struct process_watch *watch)
{
	struct exec *x = container_of(watch, struct exec, watch);
	channel_pause(x->call->channel, x->process->in.len > PROCESS_INPUT_HIGH);
}

static void announce(struct call *call, const struct process *p)
{
	auto_buf struct buf b = BUF_INIT(FRAME_PAYLOAD_MAX);
	struct jsonw w = JSONW(&b);
	jsonw_open(&w);
	jsonw_key_str(&w, "event", STR("started"));
	jsonw_key(&w, "process");
	process_put(p, &w, false);
	jsonw_close(&w);
	if (!b.is_full)
		call_event(call, buf_str(&b));
}

static void exec_start(struct call *call, const void *params)
{
	const struct exec_params *p = params;
	struct process *process;
	struct error err;
	if (process_start(call->executor, p, &process, &err) < 0) {
		fail(call, &err);
		return;
	}
	if (p->detach) {
		finish_process(call, process);
		return;
	}
	if (p->announce)
		announce(call, process);
	struct exec *x = arena_new(&call->arena, struct exec);
	*x = (struct exec){
		.watch = { .on_output = exec_on_output,
			.on_input = exec_on_input,
			.on_end = exec_on_end },
		.call = call,
		.process = process,
		.is_capture = p->capture,
		.escapes = str_is(p->invalid, "escape"),
	};
	process_watch_add(process, &x->watch);
	call->state = x;
}

/* Input for a program that takes none any more is dropped, as a pipe would refuse it. */
static void exec_data(struct call *call, uint8_t channel, struct str bytes)
{
	struct exec *x = call->state;
	if (x->process->in_fd < 0)
		return;
	struct error err;
	if (process_write(x->process, bytes, &err) < 0)
		fail(call, &err);
	else
		exec_on_input(&x->watch);
}

static void exec_eof(struct call *call, uint8_t channel)
{
	struct exec *x = call->state;
	process_write_eof(x->process);
}

static void exec_control(struct call *call, const struct json *control)
{
	struct exec *x = call->state;
	struct str name = json_str(json_find(control, "signal"));
	const struct json *size = json_find(control, "resize");
	int signo;
	if (name.ptr && signal_parse(name, &signo, NULL) == 0)
		process_signal(x->process, signo, true, NULL);
	if (size)
		process_resize(x->process, json_int(json_at(size, 0)), json_int(json_at(size, 1)),
			NULL);
}

static void exec_drain(struct call *call)
{
	struct exec *x = call->state;
	process_pause(x->process, false);
}

static void exec_drop(struct call *call)
{
	struct exec *x = call->state;
	if (!x || !x->process)
		return;
	process_unwatch(&x->watch);
	process_pause(x->process, false);
}

const struct verb exec_verb = {
	.action = &exec_action,
	.start = exec_start,
	.data = exec_data,
	.eof = exec_eof,
	.control = exec_control,
	.drain = exec_drain,
	.drop = exec_drop,
};

/* ---- input ---- */

struct input {
	struct process_watch watch;
	struct call *call;
	struct process *process; /* NULL: it has ended */
	uint64_t until_bytes;    /* done when so many have been taken */
	uint64_t queued_bytes;
	bool is_stream, is_eof_wanted;
};

static void finish_input(struct input *in)
{
	auto_buf struct buf b = BUF_INIT(128);
	buf_printf(&b, "{\"written_bytes\":%llu}", (unsigned long long)in->queued_bytes);
	call_finish(in->call, buf_str(&b));
}

static void input_on_input(struct process_watch *watch)
{
	struct input *in = container_of(watch, struct input, watch);
	struct process *p = in->process;
	struct error err;
	if (in->is_stream) {
		channel_pause(in->call->channel, p->in.len > PROCESS_INPUT_HIGH);
		return;
	}
	if (p->in_written_bytes >= in->until_bytes) {
		finish_input(in);
	} else if (p->in_fd < 0) {
		error_set(&err, ERROR_CONFLICT, "process %s closed its input", p->id);
		fail(in->call, &err);
	}
}

static void input_on_end(struct process_watch *watch)
{
	struct input *in = container_of(watch, struct input, watch);
	struct error err;
	error_set(&err, ERROR_CONFLICT, "process %s has ended", in->process->id);
	in->process = NULL;
	fail(in->call, &err);
}

static int queue_input(struct input *in, struct str bytes, struct error *err)
{
	/* Watched only while it waits: process_write tells its watches. */
	process_unwatch(&in->watch);
	if (process_write(in->process, bytes, err) < 0)
		return -1;
	in->queued_bytes += bytes.len;
	in->until_bytes = in->process->in_queued_bytes;
	process_watch_add(in->process, &in->watch);
	return 0;
}

static void end_of_input(struct input *in)
{
	in->is_stream = false;
	if (in->is_eof_wanted) {
		process_unwatch(&in->watch);
		process_write_eof(in->process);
		process_watch_add(in->process, &in->watch);
	}
	input_on_input(&in->watch);
}

static void input_start(struct call *call, const void *params)
{
	const struct process_input_params *p = params;
	struct process *process = find(call, p->process);
	struct error err;
	if (!process)
		return;
	struct input *in = arena_new(&call->arena, struct input);
	*in = (struct input){
		.watch = { .on_input = input_on_input, .on_end = input_on_end },
		.call = call,
		.process = process,
		.is_stream = p->stream,
		.is_eof_wanted = p->eof,
	};
	list_init(&in->watch.link);
	call->state = in;
	if (queue_input(in, p->text, &err) < 0)
		fail(call, &err);
	else if (!p->stream)
		end_of_input(in);
}

static void input_data(struct call *call, uint8_t channel, struct str bytes)
{
	struct input *in = call->state;
	struct error err;
	if (!in->is_stream)
		return;
	if (queue_input(in, bytes, &err) < 0)
		fail(call, &err);
	else
		input_on_input(&in->watch);
}

static void input_eof(struct call *call, uint8_t channel)
{
	struct input *in = call->state;
	if (in->is_stream)
		end_of_input(in);
}

static void input_drop(struct call *call)
{
	struct input *in = call->state;
	if (in && in->process)
		process_unwatch(&in->watch);
}

const struct verb process_input_verb = {
	.action = &process_input_action,
	.start = input_start,
	.data = input_data,
	.eof = input_eof,
	.drop = input_drop,
};

/* ---- wait ---- */

struct wait {
	struct process_watch watch;
	struct call *call;
	struct process *process; /* NULL: it has ended */
	struct timer *timer;
};

static void wait_on_end(struct process_watch *watch)
{
	struct wait *wait = container_of(watch, struct wait, watch);
	struct process *p = take_ptr(wait->process);
	finish_process(wait->call, p);
}

static void wait_on_timeout(void *arg)
{
	struct wait *wait = arg;
	finish_process(wait->call, wait->process);
}

static void wait_start(struct call *call, const void *params)
{
	const struct process_wait_params *p = params;
	struct process *process = find(call, p->process);
	if (!process)
		return;
	if (process->has_ended) {
		finish_process(call, process);
		return;
	}
	struct wait *wait = arena_new(&call->arena, struct wait);
	wait->watch.on_end = wait_on_end;
	wait->call = call;
	wait->process = process;
	process_watch_add(process, &wait->watch);
	call->state = wait;
	if (p->timeout_ms) {
		wait->timer = timer_new(call->executor->loop, wait_on_timeout, wait);
		timer_set(wait->timer, p->timeout_ms);
	}
}

static void wait_drop(struct call *call)
{
	struct wait *wait = call->state;
	if (!wait)
		return;
	timer_free(wait->timer);
	if (wait->process)
		process_unwatch(&wait->watch);
}

const struct verb process_wait_verb = { .action = &process_wait_action,
	.start = wait_start,
	.drop = wait_drop };

/* ---- the small ones ---- */

static void list_start(struct call *call, const void *params)
{
	const struct process_list_params *list = params;
	size_t argv_bytes = list->argv_bytes ? (size_t)list->argv_bytes : SIZE_MAX;
	auto_buf struct buf b = BUF_INIT(FRAME_PAYLOAD_MAX);
	struct jsonw w = JSONW(&b);
	struct process *p;
	jsonw_open(&w);
	jsonw_key(&w, "processes");
	jsonw_open_array(&w);
	list_for_each(p, &call->executor->processes, link)
		process_put_cut(p, &w, false, argv_bytes);
	jsonw_close_array(&w);
	jsonw_close(&w);
	finish_json(call, &b);
}

const struct verb process_list_verb = { .action = &process_list_action, .start = list_start };

static void signal_start(struct call *call, const void *params)
{
	const struct process_signal_params *p = params;
	struct process *process = find(call, p->process);
	struct error err;
	int signo;
	if (!process)
		return;
	if (signal_parse(p->signal, &signo, &err) < 0 ||
		process_signal(process, signo, p->group, &err) < 0)
		fail(call, &err);
	else
		finish_process(call, process);
}

const struct verb process_signal_verb = { .action = &process_signal_action, .start = signal_start };

static void remove_start(struct call *call, const void *params)
{
	const struct process_remove_params *p = params;
	struct process *process = find(call, p->process);
	if (!process)
		return;
	process_remove(process);
	call_finish(call, STR("{}"));
}

const struct verb process_remove_verb = { .action = &process_remove_action, .start = remove_start };

static void resize_start(struct call *call, const void *params)
{
	const struct process_resize_params *p = params;
	struct process *process = find(call, p->process);
	struct error err;
	if (!process)
		return;
	if (process_resize(process, p->cols, p->rows, &err) < 0)
		fail(call, &err);
	else
		call_finish(call, STR("{}"));
}

const struct verb process_resize_verb = { .action = &process_resize_action, .start = resize_start };
