/* SPDX-License-Identifier: Apache-2.0 */
/*
 * internal: what the files of the runtime layer share and no face sees.
 *
 *	runtime.c   the registry          life.c   a sandbox from its birth to its end
 *	adopt.c     after a restart       call.c   an action from its request to its result
 *	spare.c     sockets used again    audit.c  actions as events
 *	follow.c    readers of the log
 */
#pragma once

#include "base/list.h"
#include "base/map.h"
#include "event/loop.h"
#include "runtime/backend.h"
#include "runtime/runtime.h"
#include "runtime/store.h"

struct runtime {
	struct loop *loop;
	struct backend *backend;
	struct store *store;
	struct images *images;
	struct recipe *recipe; /* NULL: who names no image gets the host's tools */
	int sandboxes_max;
	struct map by_id, by_name, by_backend_id; /* values: struct sandbox */
	struct list living, buried;               /* sandbox::link, oldest first */
	size_t n_living, n_buried;
	struct list steps;     /* step::link */
	struct list settling;  /* runtime_call::link: over, but not told yet */
	struct list followers; /* follower::link */
	struct list due;       /* follower::due: who is to read next */
	bool is_due;           /* the first of them does at the end of the turn */
	size_t due_bytes;      /* that have been read for them in this turn */
	struct enforced host;
	struct list endings; /* mcp_run::link: programs that were told to end */
	int n_helpers; /* sandboxes of our own that a server before us left, and are on their way out */
	struct step *starting;   /* NULL: it has started, or not begun to */
	int n_settling;          /* what that waits for */
	struct list orphans;     /* step::wait_link: live, but nobody was told of them */
	char *keys_dir;          /* outside_keys.c */
	struct lookups *lookups; /* for the networks of sandboxes */
	struct fetcher *fetcher; /* runtime_fetcher; NULL: not yet */
	int n_spares;            /* call sockets that are kept: spare.c */
	int64_t created, failed, calls, calls_under_way, started_ms;
	runtime_done_fn *on_lost;
	void *on_lost_arg;
	runtime_status_fn *on_status;
	void *on_status_arg;
	struct gate *gate;
	bool is_closing;
};

/*
 * A step is what remains to be done once the backend has answered or the store has committed. It
 * holds the id and not the sandbox, which may be gone by then.
 */
struct step {
	struct list link;      /* runtime::steps */
	struct list wait_link; /* sandbox::waiters, or none */
	struct store_wait wait;
	struct runtime *rt;
	char id[ID_SIZE];
	void (*then)(struct step *step, const struct error *err);
	union {
		runtime_done_fn *done;
		runtime_sandbox_fn *made;
		runtime_usage_fn *usage;
	};
	void *arg;
	struct error error; /* for step_fail */
	struct spec *spec;  /* of a create, until the backend has it */
	bool is_for_end;    /* a waiter: for the sandbox's end, not its readiness */
	bool flag;
	bool wants_recipe; /* a create: its image is the recipe's */
};

struct step *step_new(struct runtime *rt, const struct sandbox *s,
	void (*then)(struct step *step, const struct error *err));
void step_free(struct step *step);
/* then(step, err) after the commit of this turn. */
void step_after_commit(struct step *step);
/* then(step, &step->error) later in this turn; the error is NULL if its code is ERROR_OK. */
void step_defer(struct step *step);
struct sandbox *step_sandbox(const struct step *step); /* NULL: it is gone */

/* sandbox.c */
struct sandbox *sandbox_new(const struct create *create, struct str guard);
void sandbox_free(struct sandbox *s);
/* A text of what was asked for, that turned out to be another one. */
void sandbox_set_spec(struct sandbox *s, const char *name, struct str text);
/* The same of any value, as JSON. */
void sandbox_set_spec_json(struct sandbox *s, const char *name, struct str text);

/* runtime.c: membership in the maps and lists; forgetting frees it. */
void runtime_enlist(struct runtime *rt, struct sandbox *s);
/* What the backend calls it. */
void sandbox_set_backend_id(struct sandbox *s, const char *id);
void runtime_bury(struct runtime *rt, struct sandbox *s);
void runtime_forget(struct runtime *rt, struct sandbox *s);
bool sandbox_is_alive(const struct sandbox *s);
bool sandbox_is_usable(const struct sandbox *s); /* ready, running or paused */

/* life.c */
/*
 * Does what the table says. False: that is not possible in this state. *s may be gone afterwards.
 */
bool life_apply(struct sandbox *s, enum life what);
void life_set_reason(struct sandbox *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void life_start_deadlines(struct sandbox *s);
void life_touch(struct sandbox *s); /* an action began or ended */
const char *end_reason_text(enum end_reason reason);
/* Tells who watches. */
void life_tell(const struct sandbox *s, enum status status, const char *text);
/* The event of its state; with all that was wished for it when it begins. */
void life_add_event(struct sandbox *s, bool with_spec);
/* For a step of who asked for a sandbox: there is none, for step->error. */
void life_tell_refused(struct step *step, const struct error *err);
extern const struct backend_events life_backend_events;

/* birth.c */
/*
 * Environment, secrets and plugins of one that the backend made; then life_apply(s,
 * LIFE_CONFIGURED).
 */
void birth_configure(struct sandbox *s);
/* It is not wanted any more: if it waits for its image, that was it. *s may be gone afterwards. */
void birth_leave(struct sandbox *s);

/* adopt.c */
void adopt_one(void *arg, const struct backend_reply *reply);

/* call.c */
void call_end_all(struct sandbox *s,
	const struct error *gone); /* fails them: the sandbox is gone */
void call_free_all(struct runtime *rt);
/* Whether actions may begin in it now. */
int call_check_usable(struct sandbox *s, struct error *err);
/* Calls that change something and have not begun wait, until it is no longer held. */
void call_hold(struct sandbox *s, bool is_held);
/* An action of the runtime itself: no event, whatever the sandbox's state. */
struct runtime_call *call_perform_quietly(struct sandbox *s, const struct action *action,
	struct str params_json, const struct call_sink *sink, void *arg);
/* The same; its executor gets a copy of the pipe stream_fd with it. */
struct runtime_call *call_perform_with(struct sandbox *s, const struct action *action,
	struct str params_json, int stream_fd, const struct call_sink *sink, void *arg);

/* spare.c: call sockets of a sandbox whose calls had results are kept for the next ones. */
struct channel *spare_take(struct sandbox *s); /* NULL: there is none */
void spare_keep(struct sandbox *s, struct channel *c);
void spare_free_all(struct sandbox *s);

/* audit.c: appends the data of an event. */
void audit_state(const struct sandbox *s, bool with_spec, struct buf *b);
void audit_action(const struct action *action, const struct json *params, struct buf *b);
/* -1: the result is no JSON object. */
int audit_result(const struct action *action, int64_t duration_us, struct str result, struct buf *b,
	struct error *err);
void audit_error(const struct action *action, int64_t duration_us, const struct error *e,
	struct buf *b);
/* Writes the event into the open turn; its seq. */
int64_t audit_add(struct sandbox *s, const char *kind, int64_t cause, const struct buf *data);

/*
 * audit_network.c: what was decided of a connection, a name or a packet. How many there are is up
 * to the agent, and the events of all sandboxes share a ceiling: so many at once and so many a
 * second, and then one that says that there were more.
 */
void audit_network(struct sandbox *s, const struct buf *data);
void audit_network_lost(struct sandbox *s);
/* From now on there is less of it than was asked for. */
void audit_network_closed(struct sandbox *s, const char *reason);

/* For what the server itself asks over HTTP; made when it is wanted first. */
struct fetcher *runtime_fetcher(struct runtime *rt);

/* mcp_run.c */
void mcp_run_free_all(struct runtime *rt);

/* follow.c */
/* An event of it is being written. */
void follow_note(struct runtime *rt, const struct sandbox *s, const char *kind);
void follow_wake_all(void *arg);
void follow_free_all(struct runtime *rt);
