/* SPDX-License-Identifier: Apache-2.0 */
/*
 * runtime: the domain, and all that a face may ask for: make, find and end sandboxes, perform
 * actions in them, and follow what happens (runtime/event.h).
 *
 * Everything belongs to the loop's thread. Nothing blocks. No callback comes from inside the call
 * that asked for it, and each `done` comes exactly once, unless the runtime is freed before. What a
 * callback is told has been stored before (see store.h).
 *
 *	static void on_result(void *arg, struct str json) { … reply with json … }
 *	static const struct call_sink sink = { .result = on_result, .error = on_error };
 *
 *	struct sandbox *s = runtime_find(rt, id, &err);
 *	struct runtime_call *call = s ? runtime_perform(s, &run_action, params, &sink, arg) : NULL;
 */
#pragma once

#include "action/action.h"
#include "action/gate.h"
#include "runtime/create.h"
#include "runtime/event.h"
#include "runtime/sandbox.h"
#include "runtime/status.h"

struct loop;
struct backend;
struct runtime;
struct runtime_call;
struct images;

enum {
	RUNTIME_SANDBOXES_MAX = 8192, /* alive at once, unless configured lower */
	RUNTIME_BURIED_MAX = 1000,    /* records of ended ones kept; the oldest go first */
	RUNTIME_CALLS_MAX = 1024,     /* under way at once in one sandbox */
};

typedef void runtime_done_fn(void *arg, const struct error *err); /* NULL: it went well */

/* Of a sandbox on its way; *s is good until it returns. Asks nothing of the runtime. */
typedef void runtime_status_fn(void *arg, const struct sandbox *s, enum status status,
	const char *text);

struct runtime_config {
	struct loop *loop;
	struct backend *backend; /* taken */
	const char *state_dir;   /* an existing directory that only the server may write to */
	int sandboxes_max;       /* 0: RUNTIME_SANDBOXES_MAX */
	/* the backend is gone: nothing can be done any more; may be NULL */
	runtime_done_fn *on_lost;
	void *on_lost_arg;
	runtime_status_fn *on_status; /* may be NULL */
	void *on_status_arg;
	struct gate *
		gate; /* who is asked before an action; NULL: nobody. The caller's, and outlives us */
};
/* *s is NULL if err is not. */
typedef void runtime_sandbox_fn(void *arg, struct sandbox *s, const struct error *err);

int runtime_new(const struct runtime_config *config, struct runtime **ret, struct error *err);
/*
 * What wishes that name no image are made of (runtime/recipe.h), once, before runtime_start. Null:
 * of the host's tools.
 */
int runtime_set_recipe(struct runtime *rt, const struct json *settings, struct error *err);
/* Adopts what still lives and forgets what does not; call once, before anything else. */
void runtime_start(struct runtime *rt, runtime_done_fn *done, void *arg);
/* Leaves every sandbox alive: ends calls and followers, writes out the store, frees. */
void runtime_free(struct runtime *rt);
struct loop *runtime_loop(const struct runtime *rt);
/* A listening TCP socket at HOST:PORT. *ret_is_open: other machines can reach it. */
int runtime_listen(const char *where, int *ret_fd, bool *ret_is_open, struct error *err);
struct gate *runtime_gate(const struct runtime *rt); /* for what is no action: tools */

/*
 * By id, by name, or by the first characters (4 or more) of exactly one id. NULL: *err is
 * NOT_FOUND.
 */
struct sandbox *runtime_find(struct runtime *rt, struct str key, struct error *err);
/*
 * struct sandbox *s = NULL; while ((s = runtime_next(rt, s))) … oldest first, the living before the
 * ended.
 */
struct sandbox *runtime_next(struct runtime *rt, struct sandbox *s);

/* `create` is used up before this returns. done: the sandbox is ready, or could not be made. */
void runtime_create(struct runtime *rt, const struct create *create, runtime_sandbox_fn *done,
	void *arg);
/* Takes it down and forgets it; its events stay. done: nothing of it is left. */
void runtime_destroy(struct sandbox *s, runtime_done_fn *done, void *arg);
/* Takes it down; its record stays until it is destroyed. Also for those ended already. */
void runtime_stop(struct sandbox *s, runtime_done_fn *done, void *arg);
/*
 * What its face wants to know later, also after a restart: see struct create. Stored when this
 * returns 0; else it is in force, and stored as soon as that can be. err may be NULL.
 */
int runtime_set_note(struct sandbox *s, struct str note, struct error *err);
/* The same for whatever was changed of it in this turn. */
int runtime_record(struct sandbox *s, struct error *err);
/* ERROR_EXISTS if another living sandbox has that name. */
int runtime_rename(struct sandbox *s, struct str name, struct error *err);
/* It ends so long from now, whatever was wished before; 0: never. runtime_record stores it. */
void runtime_set_timeout(struct sandbox *s, int64_t timeout_ms);
/*
 * What its network `proxy` lets through from now on, in place of what was wished; connections that
 * are open are cut. An event; runtime_record stores it. ERROR_CONFLICT: its network is another.
 */
int runtime_set_allow(struct sandbox *s, const struct field_strings *list, struct error *err);
void runtime_pause(struct sandbox *s, bool is_paused, runtime_done_fn *done, void *arg);

typedef void runtime_usage_fn(void *arg, const struct monitor_usage *usage,
	const struct error *err);
void runtime_usage(struct sandbox *s, runtime_usage_fn *done, void *arg);

const char *runtime_backend_name(const struct runtime *rt); /* "native", "docker", "cli", … */
/* Wishes name images of the backend's own: those that the server keeps mean nothing to it. */
bool runtime_has_other_images(const struct runtime *rt);
/* The images that the server keeps (runtime/images.h). */
struct images *runtime_images(struct runtime *rt);
/* Instead of those that it has; create_check says what they may be. */
void runtime_set_labels(struct sandbox *s, const struct field_map *labels);
/*
 * Sets variables for everything that is started from now on, and in the main session if that is
 * idle; an empty value unsets. {"names":[…],"session":"updated"|"busy"|"none"|"unknown"}. A name
 * that is none is told at once.
 */
typedef void runtime_env_fn(void *arg, struct str result_json, const struct error *err);
void runtime_set_env(struct sandbox *s, const struct field_map *env,
	const struct field_map *secrets, runtime_env_fn *done, void *arg);

struct runtime_stats {
	int64_t sandboxes, sandboxes_max; /* alive */
	int64_t by_state[SANDBOX_STATE_MAX];
	int64_t created, failed; /* since the server started */
	int64_t calls, calls_under_way;
	int64_t events; /* seq of the newest */
	int64_t store_bytes;
	int64_t started_ms; /* monotonic */
};
void runtime_stats(struct runtime *rt, struct runtime_stats *ret);
/* What this host can give: 1 << CONTROL_x, and the default limits. */
const struct enforced *runtime_host(const struct runtime *rt);

/*
 * A call: one action being performed. After `result` or `error`, of which exactly one comes unless
 * the call is cancelled, the call is gone. Bytes are valid until the sink's function returns.
 * `drain` comes when runtime_call_is_full has been true and no longer is. data, event and drain may
 * be NULL.
 */
struct call_sink {
	void (*data)(void *arg, uint8_t channel, struct str bytes);
	void (*event)(void *arg, struct str json);
	void (*drain)(void *arg);
	void (*result)(void *arg, struct str json);
	void (*error)(void *arg, const struct error *err);
};

/*
 * params_json: one JSON object, or empty; checked against the action's row. Everything that may go
 * wrong comes through sink->error. An action that changes something is an event before it begins
 * and its observation is one before `result` or `error` is called.
 */
struct runtime_call *runtime_perform(struct sandbox *s, const struct action *action,
	struct str params_json, const struct call_sink *sink, void *arg);
/*
 * What a face does by itself, for a sandbox to be what was asked for: no gate is asked, all else is
 * the same.
 */
struct runtime_call *runtime_perform_own(struct sandbox *s, const struct action *action,
	struct str params_json, const struct call_sink *sink, void *arg);
/*
 * Input of an ACTION_STREAMS_IN action. What is sent before the executor has the call is kept for
 * it.
 */
void runtime_call_send(struct runtime_call *call, uint8_t channel, struct str bytes);
void runtime_call_eof(struct runtime_call *call, uint8_t channel);
void runtime_call_control(struct runtime_call *call, struct str control_json);
bool runtime_call_is_full(const struct runtime_call *call); /* wait for drain before sending more */
/* True if it was refused, or has ended, and its sink will be told so. */
bool runtime_call_is_over(const struct runtime_call *call);
/* Back-pressure for what comes out: no data, event or final callback while paused. */
void runtime_call_pause(struct runtime_call *call, bool is_paused);
/* The caller is gone: no callback comes any more. What a session or process does goes on. */
void runtime_call_cancel(struct runtime_call *call);
