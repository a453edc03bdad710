/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guest: a Python program of ours inside the sandbox, in its own interpreter, as the agent, under
 * the same locks and in the same cgroup as any child. It lives from one request to the next and may
 * run the agent's code within itself: whatever it says is input from outside.
 *
 *	static const struct guest_source sources[] = { { "greet", "import cay_guest\n…" } };
 *	struct guest_plan plan = { .what = "greeter", .sources = sources, .n_sources = 1 };
 *	if (guest_start(executor, &plan, &ops, arg, &guest, err) < 0)
 *		return -1;
 *	guest_ask(guest, &request, STR("{\"name\":\"Ann\"}"), err);  // on_event…, then on_result or on_error
 *
 * The Python side is executor/python/guest.py, which says how a program looks. Requests are JSON
 * and may be many at once; each has any number of events and output, and one end. A guest that dies
 * ends its requests with ERROR_UNAVAILABLE that says how it died, then comes on_exit; start another
 * then.
 *
 * guest_fork makes a guest of one that waits: the new one has its interpreter, modules and globals,
 * and a channel, an output and a process group of its own, within a millisecond or two.
 *
 * Callbacks come from the loop, never from within guest_ask; guest_free may be called in any of
 * them.
 */
#pragma once

#include "action/action.h"
#include "executor/executor.h"

enum {
	GUEST_MESSAGE_MAX = 16 * 1024 * 1024, /* one message, either way */
	GUEST_QUEUE_MAX = 2 * GUEST_MESSAGE_MAX,
	GUEST_REQUESTS_MAX = 1024,
	GUEST_CLOSE_MS = 3000, /* how long one that is closed may take to end */
};

struct guest;

struct guest_source {
	const char *name; /* it is imported as this */
	const char *text;
};

struct guest_plan {
	const char *what;   /* "kernel main": for errors */
	const char *python; /* a path, or a name to be found along PATH; NULL: python3 */
	const struct guest_source *sources;
	size_t n_sources;      /* the last is the program; it can import those before it */
	struct str arguments;  /* JSON; guest.arguments in Python. Without one: null */
	const struct env *env; /* NULL: the sandbox's */
	const char *cwd;       /* absolute; NULL: the sandbox's workdir */
	bool has_fork;         /* guest_fork will be called: the program makes no threads */
	bool has_bell;         /* guest_ring will be called: guest.bell in Python */
};

struct guest_ops {
	/* One that belongs to no request (guest.tell). May be NULL. */
	void (*on_message)(void *arg, const struct json *message);
	/* What it or a child of it wrote to descriptor 1 or 2. May be NULL. */
	void (*on_output)(void *arg, uint8_t channel, struct str bytes);
	/* The last call: it has ended, was reaped, and only guest_free may follow. */
	void (*on_exit)(void *arg, const struct error *reason);
};

/* ERROR_UNSUPPORTED, naming python3, where there is none. plan is not kept. */
int guest_start(struct executor *e, const struct guest_plan *plan, const struct guest_ops *ops,
	void *arg, struct guest **ret, struct error *err);
/*
 * ERROR_UNAVAILABLE if `from` has ended. The child sees guest.arguments anew; cwd and env are set
 * before it goes on. Its callbacks are its own; `from` may be freed.
 */
int guest_fork(struct guest *from, const struct guest_plan *plan, const struct guest_ops *ops,
	void *arg, struct guest **ret, struct error *err);
/* Kills it and its process group; its requests are forgotten, without a word. */
void guest_free(struct guest *g);
/* The same, but it may end by itself first: its atexit functions run. */
void guest_close(struct guest *g);

struct guest_request;

struct guest_request_ops {
	void (*on_event)(struct guest_request *r, const struct json *event);           /* or NULL */
	void (*on_output)(struct guest_request *r, uint8_t channel, struct str bytes); /* or NULL */
	/* Exactly one of these, the last call. */
	void (*on_result)(struct guest_request *r, const struct json *result);
	void (*on_error)(struct guest_request *r, const struct error *err);
};

struct guest_request {
	struct list link; /* guest::requests; init it to itself (list_init) before the first use */
	const struct guest_request_ops *ops;
	uint32_t id; /* these two are set by guest_ask */
	struct guest *guest;
};

/* r is the caller's memory until its last call, or guest_forget. */
int guest_ask(struct guest *g, struct guest_request *r, struct str body_json, struct error *err);
/* No more calls come; the guest is not told. A request that is not under way is no error. */
void guest_forget(struct guest_request *r);
/* A message that is no request: guest.messages gives it with request 0. */
int guest_tell(struct guest *g, struct str body_json, struct error *err);

/* A number for whoever reads 4 bytes from guest.bell, beside the messages and ahead of them. */
void guest_ring(struct guest *g, uint32_t number);

/* Stops and resumes reading what comes: the guest waits in its writes. */
void guest_pause(struct guest *g, bool is_paused);
/*
 * To its whole process group if is_group. One that is only being forked gets it as soon as it is
 * there.
 */
int guest_signal(struct guest *g, int signo, bool is_group, struct error *err);
/* In on_exit: the limit of the sandbox that it has run into (executor/limit.h), or NULL. */
const char *guest_limit(const struct guest *g);
int64_t guest_pid(const struct guest *g); /* inside the sandbox; 0: not known yet */

/* At the end of the executor: whoever has guests has freed his by then. */
void guests_free_all(struct executor *e);
