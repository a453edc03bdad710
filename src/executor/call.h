/* SPDX-License-Identifier: Apache-2.0 */
/*
 * call: one action being performed by the executor, from its request to its result.
 *
 * A verb binds an action row to functions. `start` gets decoded params (they live in call->arena,
 * as long as the call). It may finish at once or later; exactly one call_finish or call_fail ends
 * the call, after which the call is gone. What belongs to a verb's call hangs on call->state;
 * `drop` is called before the call goes away, whether it finished, failed, or lost its caller, and
 * frees that state.
 *
 * The struct serves the socket: after a result it waits, without a verb, for the next request.
 *
 * A lost caller does not end what a session or a process does: it ends the call that was watching.
 */
#pragma once

#include "action/action.h"
#include "action/channel.h"
#include "base/list.h"

struct executor; /* executor/executor.h: loop, workdir, environment, sessions, processes */

struct call;
/* Writes the result of a call that became another into b. */
typedef void call_wrap_fn(struct call *call, struct str result_json, struct buf *b);

struct call {
	struct executor *executor;
	const struct verb *verb; /* NULL between calls */
	struct channel *channel;
	int stream_fd; /* a pipe that its server gave with it, for what need not pass both; -1 */
	struct arena arena; /* params and whatever lives as long as the call; 64 MiB at most */
	struct json *request;
	struct held *held;  /* data that waits for its rest, see executor/cover.h; NULL: none */
	void *state;        /* of the verb; freed in drop */
	struct list link;   /* executor::calls */
	bool is_used;       /* there was a call before: what comes late belongs to that */
	bool is_refused;    /* one too many: it is told so when it has sent its request */
	call_wrap_fn *wrap; /* makes the result, after call_become; NULL: it is as it is */
	struct json *inner; /* params after call_become */
	int64_t wrap_started_us;
};

struct verb {
	const struct action *action;
	void (*start)(struct call *call, const void *params);
	void (*data)(struct call *call, uint8_t channel, struct str bytes); /* ACTION_STREAMS_IN */
	void (*eof)(struct call *call, uint8_t channel);
	void (*control)(struct call *call, const struct json *control);
	void (*drain)(struct call *call); /* the channel takes more again */
	void (*drop)(struct call *call);
};

/* Every verb, NULL-terminated, sorted by action name (executor/verbs.c). */
extern const struct verb *const verb_table[];

/*
 * From within start, in its place: the call goes on as one of another action, whose result is
 * wrapped. What that action sends before its result goes nowhere.
 */
void call_become(struct call *call, const struct action *action, struct str params_json,
	call_wrap_fn *wrap);
/* Ends the call with a result: a whole JSON object. */
void call_finish(struct call *call, struct str result_json);
void call_fail(struct call *call, const struct error *err);
/* Sends data or an event of a running call; look at channel_is_full and wait for drain. */
void call_send(struct call *call, uint8_t channel, struct str bytes);
void call_send_bare(struct call *call, uint8_t channel, struct str bytes); /* past the cover */
void call_event(struct call *call, struct str event_json);
