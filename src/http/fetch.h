/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fetch: HTTP requests on a loop. The only module that knows libcurl; http/client.h, which waits
 * for its answers, is built on it.
 *
 *	struct fetcher *fetcher = fetcher_new(loop);
 *	const struct fetch_request request = { .method = "GET", .url = "https://host/x", .timeout_ms = 5000 };
 *	struct fetch *f = fetch_new(fetcher, &request, &ops, arg);
 *
 * on_done comes exactly once, never from inside fetch_new, unless the fetch is cancelled or its
 * fetcher is freed before; after it the fetch is gone. NULL: a whole answer came, whatever its
 * status. No connection, or one that breaks, is ERROR_UNAVAILABLE; a deadline that passes
 * ERROR_TIMEOUT; bad TLS and what is no HTTP ERROR_PROTOCOL. A callback that returns a negative
 * number, with *err filled, ends the fetch with that error. Callbacks may cancel any fetch, their
 * own too, and start new ones.
 *
 * Connections are kept and used again. No proxy, no redirect (a 302 is an answer like any other),
 * no cookie; TLS is verified (but see fetch_tls). Everything belongs to the loop's thread. Names
 * are looked up on threads of libcurl's.
 */
#pragma once

#include "base/error.h"
#include "base/str.h"
#include "event/loop.h"

#include <stdint.h>
#include <sys/types.h>

struct fetcher;
struct fetch;

enum {
	FETCH_CONNECT_MS = 10000,
	FETCH_REUSE_S = 3, /* how long a connection that is kept may have been idle */
	FETCH_WAIT = -2,
};

/* Whom TLS is spoken with and as whom, where that is not what the system says. PEM. */
struct fetch_tls {
	const char *authorities;       /* believed instead of the system's; NULL: those */
	const char *certificate, *key; /* that we show; NULL: none */
	bool believes_anybody;         /* nothing is verified */
};

struct fetch_request {
	const char *method;          /* "POST" */
	const char *url;             /* http:// or https://, encoded */
	const char *unix_path;       /* the Unix socket to connect to; NULL: what the URL says */
	const char *const *headers;  /* "Name: value", NULL-terminated; NULL: none; copied */
	const struct fetch_tls *tls; /* NULL: nothing of it; copied */
	struct str body;             /* stays the caller's until the end; or ops->pull */
	int64_t pull_size;           /* of what pull gives, if known; 0: chunked */
	int64_t timeout_ms;          /* of everything; 0: none */
	int64_t stall_ms; /* without a byte either way; 0: no limit; whole seconds count */
};

struct fetch_ops {
	/*
	 * The next bytes of the body: how many, 0 at its end, FETCH_WAIT if there are none now (see
	 * fetch_wake).
	 */
	ssize_t (*pull)(void *arg, char *to, size_t size, struct error *err);
	int (*on_body)(void *arg, struct str piece, struct error *err); /* fetch_status counts */
	void (*on_progress)(void *arg, int64_t bytes); /* so far, both ways together */
	void (*on_done)(void *arg, const struct error *err);
};

struct fetcher *fetcher_new(struct loop *loop);
/* Ends what is under way without a word. */
void fetcher_free(struct fetcher *fetcher);

struct fetch *fetch_new(struct fetcher *fetcher, const struct fetch_request *request,
	const struct fetch_ops *ops, void *arg);
void fetch_cancel(struct fetch *f);      /* NULL is fine */
int fetch_status(const struct fetch *f); /* 200; 0: no answer yet */
const char *fetch_type(
	const struct fetch *f); /* Content-Type with its parameters; "" if there is none */
const char *fetch_header(const struct fetch *f, const char *name); /* of the answer; "": none */
bool fetch_was_sent(
	const struct fetch *f);   /* at least a part of the request may have reached the server */
void fetch_wake(struct fetch *f); /* pull has something again */
/* Back-pressure: no on_body while paused. */
void fetch_pause(struct fetch *f, bool is_paused);

/* A bare connection to the server of a URL, made while the caller waits. */
enum { FETCH_SOCKET_PIECE = 16 * 1024 };
struct fetch_socket {
	void *curl;
	int fd;
	char held[FETCH_SOCKET_PIECE]; /* what was tried and not taken */
	size_t n_held;
};
/* To be closed also when opening failed. tls: NULL is fine. */
int fetch_socket_open(const char *url, const char *unix_path, const struct fetch_tls *tls,
	struct fetch_socket *ret, struct error *err);
void fetch_socket_close(struct fetch_socket *s);
/*
 * How many bytes; 0: none now; -1: the peer is gone. What was not sent has to be what comes next.
 */
ssize_t fetch_socket_recv(struct fetch_socket *s, char *to, size_t len);
ssize_t fetch_socket_send(struct fetch_socket *s, struct str bytes);
