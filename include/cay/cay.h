/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libcay: sandboxes for a C program. Open a backend, create a sandbox, perform actions in it:
 *
 *	struct cay_error err;
 *	struct cay *cay = cay_open("local", NULL, &err);
 *	char *id = cay_create(cay, "{\"name\":\"demo\"}", &err);
 *	char *result = cay_perform(cay, id, "run", "{\"command\":\"echo hi\"}", &err);
 *	puts(result);                                  {"status":"exited","exit_code":0,"output":"hi\n",…}
 *	cay_free(result);
 *	cay_destroy(cay, id, &err);
 *	cay_free(id);
 *	cay_close(cay);
 *
 * Link with `pkg-config --cflags --libs cay`. examples/ in the source has whole programs.
 *
 * Backends. Where sandboxes live is said by a name or a URL, and a program changes nothing else to
 * move:
 *
 *	local                       on this machine, as this user, WITHOUT ISOLATION, in a directory of their own
 *	cli                         the same, with a new shell for each command
 *	http://H:P https://H unix:/PATH   those of a cay server (`cay serve`); the key is its token
 *	openhands+http[s]://HOST    those of an OpenHands Remote Runtime API; the key is sent as X-API-Key
 *	action+http[s]://HOST       that of an OpenHands action execution server, called "default"
 *
 * The key comes with the options, or from the environment: SANDBOX_API_KEY of a Remote Runtime API,
 * SESSION_API_KEY of an action server, CAY_TOKEN of a cay server, and of all if there is nothing
 * else.
 *
 * JSON. A wish for a sandbox is the body of POST /v1/sandboxes, an action's parameters and result
 * are those of POST /v1/sandboxes/ID/actions/ACTION: cay_actions tells all of them with their
 * schemas. Texts that this library gives are UTF-8, end with NUL, belong to the caller and go with
 * cay_free.
 *
 * Sandboxes are called by id, name, or the first four or more characters of an id.
 *
 * Waiting. Functions that say so wait for their answer, running a loop inside; callbacks come from
 * there, and from cay_turn, never from anywhere else. A callback must not call what waits
 * (CAY_CONFLICT), nor cay_close. A program with a loop of its own polls cay_fd and calls cay_turn.
 *
 * Threads. A struct cay and everything of it belongs to one thread at a time; several may be open
 * at once.
 *
 * Errors. Who can fail gives NULL or -1 and fills *err, which may be NULL.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define CAY_API __attribute__((visibility("default")))
#else
#define CAY_API
#endif

struct cay;
struct cay_call;
struct cay_follower;

enum cay_code {
	CAY_OK,
	CAY_INVALID,      /* the caller's mistake: the text names it */
	CAY_UNAUTHORIZED, /* the key is wrong */
	CAY_FORBIDDEN,
	CAY_NOT_FOUND,
	CAY_METHOD,
	CAY_EXISTS,
	CAY_CONFLICT,
	CAY_GONE, /* the sandbox has ended */
	CAY_TOO_LARGE,
	CAY_LIMIT,
	CAY_CANCELLED,
	CAY_INTERNAL,
	CAY_UNSUPPORTED, /* this backend has no such thing */
	CAY_PROTOCOL,    /* the other side talks nonsense */
	CAY_UNAVAILABLE, /* OpenHands: AgentRuntimeUnavailableError */
	CAY_TIMEOUT,     /* AgentRuntimeTimeoutError */
	CAY_NO_SPACE,
	CAY_BUILD,        /* AgentRuntimeBuildError */
	CAY_NOT_READY,    /* AgentRuntimeNotReadyError */
	CAY_DISCONNECTED, /* AgentRuntimeDisconnectedError */
};

struct cay_error {
	int code; /* enum cay_code; later versions may know more */
	char text[400];
};

CAY_API const char *cay_code_name(int code); /* "not_found" */
CAY_API int cay_code_is_retryable(int code); /* the same call may work later */
CAY_API const char *cay_version(void);
CAY_API void cay_free(void *text);

/*
 * What becomes of a sandbox, in OpenHands' words: STARTING_RUNTIME, BUILDING_RUNTIME,
 * RUNTIME_STARTED, READY, STOPPED, ERROR, ERROR_RUNTIME_DISCONNECTED. The last two are errors;
 * `text` says more, or is "".
 */
typedef void cay_status_fn(void *arg, const char *id, const char *status, int is_error,
	const char *text);

struct cay_options {
	size_t size;     /* sizeof(struct cay_options): set it */
	const char *key; /* NULL: what the environment says, see below */
	const char *
		state_dir; /* where events and records are kept; NULL: nowhere, they go with cay_close */
	int warm;          /* local: executors kept ready */
	cay_status_fn *on_status;
	void *arg;
};

/* Waits. NULL options are the defaults. */
CAY_API struct cay *cay_open(const char *backend, const struct cay_options *options,
	struct cay_error *err);
/* Waits. Ends the sandboxes of local and cli; leaves those of servers as they are. NULL is fine. */
CAY_API void cay_close(struct cay *cay);

/* Each waits. */
CAY_API char *cay_create(struct cay *cay, const char *wish_json,
	struct cay_error *err); /* its id */
CAY_API int cay_destroy(struct cay *cay, const char *sandbox, struct cay_error *err);
CAY_API int cay_pause(struct cay *cay, const char *sandbox, struct cay_error *err);
CAY_API int cay_resume(struct cay *cay, const char *sandbox, struct cay_error *err);
/* At once. */
CAY_API char *cay_describe(struct cay *cay, const char *sandbox, struct cay_error *err); /* JSON */
CAY_API char *cay_list(struct cay *cay); /* a JSON array */
CAY_API char *cay_actions(void);         /* [{"name","summary","result","params":schema},…] */

/* Waits, and gives the result. NULL parameters are {}. */
CAY_API char *cay_perform(struct cay *cay, const char *sandbox, const char *action,
	const char *params_json, struct cay_error *err);

/*
 * The same without waiting. After `result` or `error`, of which exactly one comes unless it is
 * cancelled, the call is gone. Bytes and texts are good until the function returns. Functions may
 * be NULL.
 */
struct cay_sink {
	void (*data)(void *arg, int channel, const void *bytes,
		size_t len); /* 1 stdout, 2 stderr, 0 a file */
	void (*event)(void *arg, const char *json, size_t len);
	void (*drain)(void *arg); /* cay_call_is_full was true and no longer is */
	void (*result)(void *arg, const char *json, size_t len);
	void (*error)(void *arg, const struct cay_error *err);
};

/* NULL only if there is no such sandbox or action; everything else comes through sink->error. */
CAY_API struct cay_call *cay_start(struct cay *cay, const char *sandbox, const char *action,
	const char *params_json, const struct cay_sink *sink, void *arg, struct cay_error *err);
/* Input, of actions that take it. */
CAY_API void cay_call_send(struct cay_call *call, int channel, const void *bytes, size_t len);
CAY_API void cay_call_eof(struct cay_call *call, int channel);
CAY_API void cay_call_control(struct cay_call *call, const char *json); /* {"signal":"INT"} */
CAY_API int cay_call_is_full(const struct cay_call *call);              /* wait for drain */
CAY_API void cay_call_pause(struct cay_call *call, int is_paused);      /* its output waits */
CAY_API void cay_call_cancel(struct cay_call *call);
/* Waits for the end of a call that was started, whose sink is told of it. */
CAY_API int cay_call_wait(struct cay_call *call, struct cay_error *err);

/*
 * What happens, from number `after` on: {"seq":…,"sandbox":…,"time":…,"kind":"state" | "action" |
 * "observation", "data":{…}}. sandbox NULL: of all. What is seen is what this program does, and
 * what its sandboxes do by themselves.
 */
typedef void cay_event_fn(void *arg, const char *json, size_t len);
CAY_API struct cay_follower *cay_follow(struct cay *cay, const char *sandbox, int64_t after,
	cay_event_fn *fn, void *arg, struct cay_error *err);
CAY_API void cay_unfollow(struct cay_follower *f);

/*
 * For a loop of the program's own:
 *
 *	struct pollfd p = { .fd = cay_fd(cay), .events = POLLIN };
 *	poll(&p, 1, cay_timeout_ms(cay));
 *	cay_turn(cay, 0, &err);
 */
CAY_API int cay_fd(const struct cay *cay);
CAY_API int cay_timeout_ms(struct cay *cay); /* -1: until the descriptor is readable */
/* Does what there is to do; with `waits`, waits for something first. -1: the backend is lost. */
CAY_API int cay_turn(struct cay *cay, int waits, struct cay_error *err);

#ifdef __cplusplus
}
#endif
