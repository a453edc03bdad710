/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cluster: asking the API server of a cluster. Private to runtime/kube.
 */
#pragma once

#include "base/list.h"
#include "runtime/kube/access.h"
#include "runtime/remote/question.h"

enum { CLUSTER_MS = 30000, CLUSTER_TRIES = 4, CLUSTER_TOKEN_MS = 30000 };

struct cluster {
	struct loop *loop;
	struct asker asker;
	struct access access;
	struct fetch_tls tls;
	char *header;      /* "Authorization: Bearer …", or NULL */
	int64_t header_ms; /* when it was read from its file */
	struct questions questions;
};

struct cluster_request {
	const char *method, *path; /* "/api/v1/namespaces/…", encoded */
	struct str body;           /* JSON; STR_NONE: none */
};

/* The access is taken. */
void cluster_init(struct cluster *c, struct loop *loop, struct access *access);
void cluster_fini(struct cluster *c);
void cluster_ask(struct cluster *c, const struct cluster_request *r, answer_fn *done, void *arg);
/* For who asks by himself; NULL: none. Until the loop turns. */
const char *cluster_token(struct cluster *c);
void cluster_doubt_token(struct cluster *c); /* its file may have another by now */
/*
 * An answer that goes on: piece by piece; *arg gets its end. Dropped by ask_drop. at_most_ms: of
 * all of it.
 */
struct ask *cluster_stream(struct cluster *c, const char *path, int64_t at_most_ms,
	int (*on_body)(void *arg, struct str piece, struct error *err), ask_fn *done, void *arg);
