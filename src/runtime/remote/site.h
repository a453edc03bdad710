/* SPDX-License-Identifier: Apache-2.0 */
/*
 * site: one OpenHands action execution server, and the far ends of the call sockets that lead to
 * it. To the runtime it looks like an executor: each call is a socket (site_open_call), a request
 * comes as a frame, and data and a result go back; here every request becomes one or more actions
 * of that server.
 *
 *	run            run; with `fresh` a static one; `input` and `keys` go to what runs
 *	exec           run, static and quoted: its output is one stream, and it cannot be given input
 *	cell           run_ipython
 *	read, list     read, /list_files; bytes, ranges of them and base64 through base64(1)
 *	write          write, or /upload_file where that would change a final newline
 *	stat, mkdir, remove, move   a shell with the coreutils of the image
 *	edit, browse   edit, browse and browse_interactive
 *	upload, download  /upload_file, /download_files; tar archives through tar(1)
 *	configure      exports in the shell
 *	info           /server_info
 *
 * Another protocol of such servers has other verbs (site_ops): daytona_verbs.h.
 *
 * What there is no such thing for is ERROR_UNSUPPORTED and says so. Private to runtime/remote.
 */
#pragma once

#include "action/action.h"
#include "action/channel.h"
#include "base/buf.h"
#include "runtime/remote/ask.h"

enum {
	SITE_FARS_MAX = 1024,
	SITE_GRACE_MS = 5000, /* on top of an action's own timeout */
	SITE_FOREVER_MS = 86400000,
	SHELL_AGAIN_MAX = 5,
};

struct far_verb;

struct site_ops {
	const char *server;                  /* for who is refused: "an OpenHands action server" */
	const struct far_verb *const *verbs; /* NULL-terminated */
	/*
	 * Makes of an answer's status what it means here; NULL: as an OpenHands server's is meant.
	 */
	void (*explain)(int status, struct error *err);
	/*
	 * 503: it is paused. Once it is awake again, or cannot be: site_is_awake. NULL: nobody can
	 * wake it.
	 */
	void (*wake)(void *arg);
};

struct site {
	struct asker *asker;
	char *url;            /* without a final slash */
	char *key;            /* "X-Session-API-Key: …", or NULL */
	char *workdir;        /* as far as is known; NULL: not yet */
	struct list fars;     /* far::link */
	struct list sleepers; /* far::sleep_link: those who wait for it to be awake */
	size_t n_fars;
	const struct site_ops *ops;
	void *arg;
};

void site_init(struct site *site, struct asker *asker, const struct site_ops *ops, void *arg);
void site_fini(struct site *site);
void site_set(struct site *site, struct str url, struct str session_key);
int site_open_call(struct site *site, int *ret_fd, struct error *err);
void site_is_awake(struct site *site, const struct error *err);

/* ---- one far end, for the files that map actions ---- */

struct far;
typedef void far_fn(struct far *far, const struct json *answer); /* NULL for an empty body */

struct far {
	struct list link; /* site::fars */
	struct list sleep_link;
	struct site *site;
	struct channel *channel;
	const struct far_verb *verb; /* NULL between calls */
	struct arena arena;
	struct json *request;
	const void *params;
	int64_t started_ms;
	struct ask *ask;
	struct json *answer;
	far_fn *then;
	struct buf act; /* the action under way, to be sent again after a pause */
	int64_t act_ms;
	bool was_woken;
	bool is_harmless; /* the shell command under way may be run twice */
	int n_again;
	far_fn *shell_then;
	far_fn *with_workdir;
	struct form *form;           /* form.h: being sent */
	struct uploading *uploading; /* far_transfer.c */
	void *state;                 /* of the verb, in the arena */
};

struct far_verb {
	const struct action *action;
	void (*start)(struct far *far);
	void (*data)(struct far *far, struct str bytes);
	void (*eof)(struct far *far);
	void (*drain)(struct far *far);
	/* A question failed. True: something else was asked instead. May be NULL. */
	bool (*failed)(struct far *far, const struct error *err);
	void (*drop)(struct far *far); /* frees what is not in the arena */
};

extern const struct far_verb *const far_verbs[]; /* NULL-terminated */

/*
 * Begins the arguments of an action; far_act closes and sends them, and gives the observation to
 * `then`.
 */
struct jsonw far_args(struct far *far, const char *action);
/* timeout_ms 0: none. */
void far_act(struct far *far, struct jsonw *w, int64_t timeout_ms, far_fn *then);
bool far_is_error(const struct json *observation);
/* Ends the call with the error that an error observation means. */
void far_fail_observation(struct far *far, const struct json *observation);

/*
 * Runs a command in a shell of its own, hidden: its output, far_said, is not cut. One that the
 * server did not wait for is ERROR_PROTOCOL; with _again it may be run twice, and is.
 */
void far_shell(struct far *far, struct str command, int64_t timeout_ms, far_fn *then);
void far_shell_again(struct far *far, struct str command, int64_t timeout_ms, far_fn *then);
int64_t far_exit_code(const struct json *observation); /* -1: it has not ended */
/* For a command that is sent otherwise: has it say when it ends, and what comes of that. */
void far_put_end(struct buf *command);
bool far_has_ended(const struct json *observation); /* it did, or is known to go on */
struct str far_said(const struct json *observation);
int far_fail_unended(struct far *far); /* -1 */
/* A plain question to the server; the answer's JSON goes to `then`. */
void far_ask(struct far *far, const char *method, const char *path, struct str json,
	int64_t timeout_ms, far_fn *then);
/* The same for what must not be done twice. */
void far_tell(struct far *far, const char *method, const char *path, struct str json,
	int64_t timeout_ms, far_fn *then);
/* The same with a body that is streamed: `plan` says how. */
void far_stream(struct far *far, struct ask_plan *plan, const char *path, far_fn *then);
/* The absolute path; the server is asked for its directory first if it has to be. */
void far_with_workdir(struct far *far, far_fn *then);
char *far_path(struct far *far, struct str cwd, struct str path);

void far_finish(struct far *far, const struct buf *result);
void far_fail(struct far *far, const struct error *err);
/* What only a cay runs with: true, and it was refused, if that is asked for. */
struct run_params;
bool far_refuses_run(struct far *far, const struct run_params *p);
void far_refuse(struct far *far,
	const char *what); /* ERROR_UNSUPPORTED: "run: an OpenHands action server has no …" */
/* 'it'"'"'s' */
void far_put_quoted(struct buf *b, struct str s);
