/* SPDX-License-Identifier: Apache-2.0 */
/*
 * process_logs: reads a log from a position on, at the reader's pace. A follower that is slower
 * than the process does not hold it back: what was dropped meanwhile is said in its place, by an
 * event.
 */
#include "base/auto.h"
#include "base/bug.h"
#include "executor/process.h"
#include "executor/process_verbs.h"

struct reader {
	struct process_watch watch;
	struct call *call;
	struct process *process; /* held */
	uint64_t at, skipped_bytes;
	bool is_capture, is_follow;
};

static void put_entries(struct reader *r, struct jsonw *w)
{
	struct log_entry entry;
	jsonw_key(w, "entries");
	jsonw_open_array(w);
	for (; process_log_read(&r->process->log, r->at, &entry);
		r->at = entry.at + entry.bytes.len) {
		r->skipped_bytes += entry.at - r->at;
		jsonw_open(w);
		jsonw_key_int(w, "channel", entry.channel);
		jsonw_key_int(w, "after", (int64_t)entry.at);
		jsonw_key_str(w, "text", entry.bytes);
		jsonw_close(w);
	}
	jsonw_close_array(w);
}

static void finish(struct reader *r)
{
	auto_buf struct buf b = BUF_INIT(FRAME_PAYLOAD_MAX);
	struct jsonw w = JSONW(&b);
	jsonw_open(&w);
	if (r->is_capture)
		put_entries(r, &w);
	jsonw_key_int(&w, "next", (int64_t)r->at);
	jsonw_key_int(&w, "skipped_bytes", (int64_t)r->skipped_bytes);
	jsonw_key(&w, "process");
	process_put(r->process, &w, false);
	jsonw_close(&w);
	if (!b.is_full) {
		call_finish(r->call, buf_str(&b));
		return;
	}
	struct error err;
	error_set(&err, ERROR_TOO_LARGE,
		"process_logs: the log does not fit into a result: ask for data instead");
	call_fail(r->call, &err);
}

static void skip(struct reader *r, uint64_t bytes)
{
	auto_buf struct buf b = BUF_INIT(64);
	r->skipped_bytes += bytes;
	buf_printf(&b, "{\"skipped_bytes\":%llu}", (unsigned long long)bytes);
	call_event(r->call, buf_str(&b));
}

/* Sends what the caller takes. True if it has everything there is. */
static bool pump(struct reader *r)
{
	struct log_entry entry;
	while (!channel_is_full(r->call->channel)) {
		if (!process_log_read(&r->process->log, r->at, &entry))
			return true;
		if (entry.at > r->at)
			skip(r, entry.at - r->at);
		call_send(r->call, entry.channel, entry.bytes);
		r->at = entry.at + entry.bytes.len;
	}
	return false;
}

static void go_on(struct reader *r)
{
	if (r->is_capture) {
		if (!r->is_follow || r->process->has_ended)
			finish(r);
		return;
	}
	if (pump(r) && (!r->is_follow || r->process->has_ended))
		finish(r);
}

static void on_output(struct process_watch *watch, uint8_t channel, struct str bytes)
{
	go_on(container_of(watch, struct reader, watch));
}

static void on_end(struct process_watch *watch)
{
	go_on(container_of(watch, struct reader, watch));
}

static void logs_start(struct call *call, const void *params)
{
	const struct process_logs_params *p = params;
	struct process *process;
	struct error err;
	if (process_find(call->executor, p->process, &process, &err) < 0) {
		error_wrap(&err, "process_logs");
		call_fail(call, &err);
		return;
	}
	struct reader *r = arena_new(&call->arena, struct reader);
	*r = (struct reader){
		.watch = { .on_output = on_output, .on_end = on_end },
		.call = call,
		.process = process,
		.at = (uint64_t)p->after,
		.is_capture = p->capture,
		.is_follow = p->follow,
	};
	list_init(&r->watch.link);
	call->state = r;
	process_hold(process);
	process_watch_add(process, &r->watch);
	go_on(r);
}

static void logs_drain(struct call *call)
{
	go_on(call->state);
}

static void logs_drop(struct call *call)
{
	struct reader *r = call->state;
	if (!r)
		return;
	process_unwatch(&r->watch);
	process_release(r->process);
}

const struct verb process_logs_verb = {
	.action = &process_logs_action,
	.start = logs_start,
	.drain = logs_drain,
	.drop = logs_drop,
};
