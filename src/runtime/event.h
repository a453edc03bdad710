/* SPDX-License-Identifier: Apache-2.0 */
/*
 * event: an entry of the append-only log of everything that happened: sandboxes' states, actions
 * and their observations. Numbers count up over all sandboxes and never come twice; `index` counts
 * within one sandbox. An event that anybody has been told of is on disk in the sense of design.md
 * section 4.
 *
 * Kinds and their data:
 *	state        {"state":"ready","reason":"…"}
 *	action       {"action":"run","params":{…}}: secrets masked, long texts cut and marked so
 *	             or {"service":"git_clone","arguments":[…]}: work of the server in the sandbox (service.h)
 *	verdict      {"action":"run","verdict":"passed","risk":"LOW","score":1,"by":"rules","reason":"…"}: what a
 *	             guard said; also blocked, awaiting_confirmation, confirmed, rejected
 *	observation  {"action":"run","duration_ms":…,"result":{…}} or "error":{…}; `cause` is the action
 *	network      {"decision":"allowed"|"denied","name":…,"address":…,"port":…,"reason":…}: of runtime/egress.h
 *	gap          {"after":N}: what a follower missed because it is no longer kept; is in no log
 *
 * Following: a follower is a cursor, no queue. It gets every event after `after` in order, old ones
 * from the store and new ones as they are committed, and costs the same however slow it is: while
 * its reader is full (event_follow_pause) nothing is read for it. One that falls behind what
 * retention keeps gets a gap event and goes on after it. Resuming elsewhere: follow again with the
 * last `seq` as `after`.
 *
 * No call of on_event comes from inside event_follow. Its event is valid until it returns; it may
 * stop the follower, but not read events itself. Everything here belongs to the loop's thread.
 */
#pragma once

#include "base/error.h"
#include "base/id.h"
#include "wire/json.h"

#include <stdint.h>

struct runtime;
struct follower;

enum { EVENT_CONTENT_MAX = 32 * 1024, EVENT_DATA_MAX = 96 * 1024 };

struct event {
	int64_t seq;        /* over all sandboxes, from 1 */
	int64_t index;      /* within the sandbox, from 1 */
	int64_t time_ms;    /* wall clock */
	int64_t cause;      /* seq of the action, or 0 */
	struct str sandbox; /* id */
	struct str kind;
	struct str data; /* a JSON object */
};

typedef void event_fn(void *arg, const struct event *event);

/* Up to `limit` events after `after`, of one sandbox or of all (id NULL), in order. */
int event_read(struct runtime *rt, const char *id, int64_t after, int limit, event_fn *fn,
	void *arg, struct error *err);

struct follower *event_follow(struct runtime *rt, const char *id, int64_t after, event_fn *fn,
	void *arg);
/*
 * Events of this kind alone, a literal: a commit without one costs it nothing. Right after
 * event_follow.
 */
void event_follow_only(struct follower *f, const char *kind);
void event_follow_pause(struct follower *f, bool is_paused);
void event_follow_stop(struct follower *f); /* NULL is fine */

/* {"seq":…,"sandbox":…,"index":…,"time":"…","kind":…,"cause":…,"data":{…}} */
void event_write(const struct event *event, struct jsonw *w);
