/* SPDX-License-Identifier: Apache-2.0 */
/*
 * backend: where sandboxes live. A struct of functions with an embedded base; the runtime knows no
 * more than this header, a backend knows nothing of the runtime but backend_events.
 *
 * Each request is answered exactly once through its callback, never from inside the request, and
 * not after the backend is freed. A reply is valid until the callback returns; who wants to keep a
 * descriptor of it duplicates it. `open_call` alone answers at once: it gives one end of a call
 * socket (wire/frame.h).
 */
#pragma once

#include "sandbox/monitor.h"

struct backend;

struct backend_reply {
	struct error error; /* code ERROR_OK: success */
	char id[ID_SIZE]; /* of the sandbox, which may differ from the one asked for in a create */
	int init_pid;
	struct enforced enforced;
	struct monitor_usage usage;
	int fd; /* boundary, decisions, and adopt where there is a boundary: its socket; else -1 */
	int end_fd; /* decisions: readable once what the network needs has ended; or -1 */
	const char *
		workdir; /* create: the image's, where none was asked for; NULL: that of the spec */
	char name[SPEC_NAME_SIZE]; /* adopt, where sandboxes are shared: what it is called there */
	bool is_paused;            /* the same; freeze: every process has come to rest */
	char asked[ID_SIZE];       /* the same: the id in the create that made it; or "" */
	bool is_unfinished;        /* the same: it is being made still */
};

typedef void backend_fn(void *arg, const struct backend_reply *reply);

/* What a backend tells unasked. */
struct backend_events {
	/* During start: one that lives; or, with an error, why one that was there is no more. */
	void (*adopt)(void *arg, const struct backend_reply *reply);
	void (*building)(void *arg, const char *id);
	void (*started)(void *arg, const char *id); /* it runs, but is not ready yet */
	void (*ended)(void *arg, const char *id, enum end_reason reason);
	void (*lost)(void *arg, const struct error *err); /* the backend is of no use any more */
};

struct library; /* runtime/library.h */
struct sandbox; /* runtime/sandbox.h: a backend may read what its caller asked for */

struct backend_ops {
	const char *name;
	/*
	 * It has images of its own, and what a wish names is one of them; NULL: those that the
	 * server keeps.
	 */
	const struct library *library;
	bool gives_layers; /* of a sandbox: the action `layer` of its executor */
	bool has_gpus;
	bool has_networks; /* with names: the wish's `networks` are some of them */
	bool is_shared; /* others have sandboxes there, too: one that is not known is theirs, and adopted */
	/*
	 * Finds out what lives (events->adopt for each) and what the host can give
	 * (reply->enforced).
	 */
	void (*start)(struct backend *b, backend_fn *done, void *arg);
	void (*create)(struct backend *b, const struct sandbox *s, const struct spec *spec,
		backend_fn *done, void *arg);
	/* done: nothing of it is left. One that is not known is an ERROR_NOT_FOUND. */
	void (*destroy)(struct backend *b, const char *id, backend_fn *done, void *arg);
	void (*freeze)(struct backend *b, const char *id, bool is_frozen, backend_fn *done,
		void *arg);
	void (*usage)(struct backend *b, const char *id, backend_fn *done, void *arg);
	/* Starts what swaps secrets in (boundary/worker.h), or finds it again. NULL: it cannot. */
	void (*boundary)(struct backend *b, const char *id, backend_fn *done, void *arg);
	/*
	 * Gives the socket that tells what its network lets through (sandbox/filterlog.h). NULL: it
	 * has none.
	 */
	void (*decisions)(struct backend *b, const char *id, backend_fn *done, void *arg);
	int (*open_call)(struct backend *b, const char *id, int *ret_fd, struct error *err);
	/*
	 * The same, and the executor gets a copy of that descriptor with it. NULL: it is out of
	 * reach.
	 */
	int (*open_call_with)(struct backend *b, const char *id, int stream_fd, int *ret_fd,
		struct error *err);
	void (*free)(struct backend *b);
};

struct backend {
	const struct backend_ops *ops;
	const struct backend_events *events; /* set by the runtime before start */
	void *events_arg;
};

struct loop;
/* Speaks sandbox/monitor.h over a SOCK_SEQPACKET descriptor, which it takes. */
struct backend *native_backend_new(struct loop *loop, int monitor_fd);
/* Greets the supervisor behind the descriptor, where the backend is another one. */
void native_greet(int monitor_fd);
/* Tells it that the server serves. */
void native_tell_ready(int monitor_fd);
