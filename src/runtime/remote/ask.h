/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ask: one question to another server, asked again while that makes sense. Private to runtime.
 *
 * What could not be sent is sent again after a pause that doubles (ASK_PAUSE_MS, a random part of
 * it less, at most ASK_PAUSE_MAX_MS): nothing was done yet. What may have been done is only sent
 * again if asking twice does no harm (`is_harmless`). 429 is asked again whatever it is: the server
 * says that it did nothing.
 *
 * The answer comes once, unless the ask is dropped before. An answer of 2xx comes without an error,
 * everything else with one:
 *
 *	3xx                     ERROR_PROTOCOL       redirects are not followed
 *	400, 422                ERROR_INVALID
 *	401, 403                ERROR_UNAUTHORIZED   the key is wrong
 *	404                     ERROR_NOT_FOUND
 *	429                     ERROR_LIMIT
 *	502, 504, no connection ERROR_DISCONNECTED
 *	503                     ERROR_NOT_READY      a runtime that starts or is paused
 *	no answer in time       ERROR_TIMEOUT
 *	everything else         ERROR_INTERNAL       with what the server says of it
 *
 * An error of another cay server, {"error":{"code","message"}}, is that error.
 */
#pragma once

#include "base/list.h"
#include "http/fetch.h"
#include "wire/json.h"

enum {
	ASK_TRIES = 5,
	ASK_PAUSE_MS = 100,
	ASK_PAUSE_MAX_MS = 15000,
	ASK_REPLY_MAX = 16 * 1024 * 1024,
	ASK_HEADERS_MAX = 4,
};

struct asker {
	struct loop *loop;
	struct fetcher *fetcher;
	struct list asks; /* ask::link */
};

void asker_init(struct asker *asker, struct loop *loop);
void asker_fini(struct asker *asker); /* drops every ask */

typedef void ask_fn(void *arg, int status, struct str body, const struct error *err);

struct ask_plan {
	const char *method;
	const char *url;                   /* copied, as everything here */
	const char *unix_path;             /* where the socket is; NULL: what the URL says */
	struct str json;                   /* the body; STR_NONE: none */
	const struct fetch_tls *tls;       /* of the asker's owner, who outlives the ask; NULL */
	const char *keys[ASK_HEADERS_MAX]; /* header lines "X-API-Key: …", NULL-terminated */
	int64_t timeout_ms; /* of each try; 0: as long as it moves; -1: none at all */
	int tries;          /* 0: ASK_TRIES */
	bool is_harmless;   /* may be performed twice */
	/*
	 * A body that is not in memory instead: once only, see fetch_ops; never asked again after
	 * its first byte.
	 */
	ssize_t (*pull)(void *arg, char *to, size_t size, struct error *err);
	const char *content_type; /* of it */
	/* A good answer's body piece by piece instead of at the end. */
	int (*on_body)(void *arg, struct str piece, struct error *err);
	ask_fn *done;
	void *arg;
};

struct ask;
struct ask *ask_new(struct asker *asker, const struct ask_plan *plan);
void ask_drop(struct ask *a); /* NULL is fine */
void ask_wake(struct ask *a); /* pull has something again */
void ask_pause(struct ask *a, bool is_paused);

/* What came as an answer. ERROR_PROTOCOL: it is no JSON. */
int ask_parse(struct str body, struct json **ret, struct error *err);
/*
 * The sentence in an error's body: {"detail":…}, {"error":{"message":…}}, {"message":…}, or its
 * beginning.
 */
void ask_put_detail(struct str body, struct buf *b);
