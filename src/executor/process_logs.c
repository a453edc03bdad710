/* SPDX-License-Identifier: Apache-2.0 */
/*
 * process_logs: reads a log from a position on, at the reader's pace; to its end when it was asked
 * for, which is told first, or as long as the process lives. Who is slower than the process does
 * not hold it back: what was dropped meanwhile is said in its place, by an event.
 */
#include "base/auto.h"
#include "base/bug.h"
#include "executor/process.h"
#include "executor/process_verbs.h"

struct reader {
	struct process_watch watch;
	struct call *call;
	struct process *process; /* held */
	uint64_t at, until, skipped_bytes;
	bool is_capture, is_follow;
};

/* What comes next, and how much before it is no longer kept; false at the end. */
static bool read_on(struct reader *r, struct log_entry *ret, uint64_t *ret_skipped)
{
	uint64_t from = r->at;
	bool is_there = process_log_read(&r->process->log, from, ret) && ret->at < r->until;
	if (is_there)
		ret->bytes = str_first(ret->bytes, MIN(ret->bytes.len, r->until - ret->at));
	else
		*ret = (struct log_entry){ .at = r->is_follow ? from : r->until };
	r->at = ret->at + ret->bytes.len;
	*ret_skipped = ret->at - from;
	r->skipped_bytes += *ret_skipped;
	return is_there;
}

static void put_entries(struct reader *r, struct jsonw *w)
{
	struct log_entry entry;
	uint64_t skipped;
	jsonw_key(w, "entries");
	jsonw_open_array(w);
	while (read_on(r, &entry, &skipped)) {
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

static void tell(struct reader *r, const char *key, uint64_t bytes)
{
	auto_buf struct buf b = BUF_INIT(64);
	buf_printf(&b, "{\"%s\":%llu}", key, (unsigned long long)bytes);
	call_event(r->call, buf_str(&b));
}

/* Sends what the caller takes. True if it has everything there is. */
static bool pump(struct reader *r)
{
	struct log_entry entry;
	uint64_t skipped;
	while (!channel_is_full(r->call->channel)) {
		bool is_there = read_on(r, &entry, &skipped);
		if (skipped)
			tell(r, "skipped_bytes", skipped);
		if (!is_there)
			return true;
		call_send(r->call, entry.channel, entry.bytes);
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
		.until = p->follow ? UINT64_MAX : MAX((uint64_t)p->after, process->log.total_bytes),
		.is_capture = p->capture,
		.is_follow = p->follow,
	};
	list_init(&r->watch.link);
	call->state = r;
	process_hold(process);
	process_watch_add(process, &r->watch);
	if (!r->is_capture && !r->is_follow)
		tell(r, "next", r->until);
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
