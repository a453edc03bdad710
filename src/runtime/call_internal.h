/* SPDX-License-Identifier: Apache-2.0 */
/*
 * call: what the files of it share. One passes through
 *
 *	STORING   its action event is being committed; input is kept in `early`
 *	OPEN      a socket leads to the executor
 *	OUTSIDE   it is performed elsewhere (runtime/outside.h)
 *	SETTLING  it is over: its observation is being committed, the answer is kept in `result` or `error`
 *	SETTLED   stored, but its reader is paused
 *
 * Where a gate is to be asked (action/gate.h), a call stays STORING until it has passed: `check` is
 * the question that has no answer yet. What the gate says is an event, and is on disk before it
 * counts.
 *
 * An action that only reads has no events: it is open at once, and its answer is passed on at once.
 * Calls that are not over hang on their sandbox; those that are hang on the runtime, since the
 * sandbox may go.
 *
 * What comes from the executor is checked before anybody sees it: it lives next to what it guards
 * against. Data is only bytes; events and results must be JSON.
 *
 *	call.c        the caller's side, and what becomes of those of a sandbox that ends
 *	call_begin.c  what is checked, recorded and judged before it is performed
 *	call_end.c    what the executor says, and what is recorded of it
 */
#pragma once

#include "runtime/internal.h"

#include "action/channel.h"
#include "runtime/outside.h"

enum call_phase { STORING, OPEN, OUTSIDE, SETTLING, SETTLED };

struct runtime_call {
	struct list link; /* sandbox::calls, or runtime::settling */
	struct runtime *rt;
	struct sandbox *sandbox; /* NULL from SETTLING on */
	const struct action *action;
	const struct call_sink *sink;
	void *arg;
	enum call_phase phase;
	struct channel *channel;
	struct outside_call *outside;
	struct buf request; /* until it is sent */
	struct buf early;   /* frames to be sent after it */
	struct store_wait wait;
	int64_t seq; /* of its action event; 0: it has none */
	int64_t started_us;
	struct gate_check *check;
	bool is_stored; /* STORING: only the check is missing */
	struct buf result;
	struct error error; /* ERROR_OK: result counts */
	bool is_paused;
	bool has_events, is_gated, is_own;
	bool is_held;  /* STORING: until its sandbox is held no more */
	bool was_full; /* drain is owed to the caller */
};

enum {
	CALL_EARLY_MAX = 4 * 1024 * 1024, /* input before the call is open */
	CALL_EARLY_HIGH = 256 * 1024,     /* at which its sender is asked to wait */
};

/* call.c */
void call_free(struct runtime_call *call);
void call_drop_check(struct runtime_call *call);

/* call_begin.c: what cannot begin ends, which its sink hears of later. */
void call_begin(struct runtime_call *call, struct str params_json);
void call_begin_quietly(struct runtime_call *call, struct str params_json, int stream_fd);

/* call_end.c */
extern const struct channel_ops call_channel_ops;
extern const struct outside_ops call_outside_ops;
void call_drained(struct runtime_call *call);
/* Ends it with an observation that tells of the error. */
void call_end_failed(struct runtime_call *call, const struct error *err);
/* Its sandbox counts it no more. */
void call_leave_sandbox(struct runtime_call *call);
/* Tells its sink how it ended, and frees it; not while that is paused. */
void call_deliver(void *arg);
