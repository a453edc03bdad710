/* SPDX-License-Identifier: Apache-2.0 */
/* state: what the files of this face share. */
#pragma once

#include "face/openhands/cursor.h"
#include "face/openhands/openhands.h"
#include "http/ticket.h"
#include "runtime/runtime.h"

struct openhands {
	struct runtime *rt;
	struct http_face face;
	struct cursors cursors;
	struct list waiting; /* waiter::link: requests for the sandbox that is being made */
	int n_waiting;
	struct list preparing;     /* preparation::link */
	struct list conversations; /* conversation::link: the oldest first */
	int n_conversations;
	struct warm *warm;
	bool has_browser;        /* sandboxes may have one */
	struct list mcp_proxies; /* mcp_proxy::link */
	struct list builds;      /* image_build::link */
	int64_t started_ms;      /* monotonic */
	int64_t cpu_us,
		cpu_seen_us; /* used by the process, at which monotonic time: of /server_info */
};

/* A handler of a request whose sandbox is there and performs actions. */
typedef void sandbox_handler_fn(struct openhands *oh, struct http_request *r, struct sandbox *s);

/*
 * Calls the handler with the sandbox that the path names, at once, or, for a bare path that is the
 * first to need its sandbox, as soon as that has been made. Answers the request itself if there is
 * none.
 */
void openhands_with_sandbox(struct http_request *r, sandbox_handler_fn *fn);
/*
 * For rows that ask for no token: who shows none names the sandbox by its whole id. NULL: there is
 * none, or not for him.
 */
struct sandbox *openhands_find_open(struct http_request *r, struct error *err);

/* Answers with `yes` if the sandbox that the path names performs actions. */
void openhands_is_ready(struct http_request *r, const char *yes);

/*
 * The session API key: it opens that sandbox alone. The one that the environment of /start chose,
 * else one made from the server's token, which is good beside a chosen one too. Neither is stored:
 * of a chosen one a proof is, as a label. So both open it after a restart of the server, which then
 * tells its own. In the request's arena, or the cursor's.
 */
const char *session_key(struct http_request *r, const struct sandbox *s);
/* Ours, of a sandbox that may be yet to come. */
const char *session_key_of(struct http_request *r, const char *id);
/* True for a bare path with the key of an agent server's sandbox, also where none is asked for. */
bool openhands_has_server_key(struct http_request *r);
/* NULL: no key was chosen. */
const char *session_key_proof(struct http_request *r, struct str key);

static inline struct openhands *openhands_of(const struct http_request *r)
{
	return r->face->arg;
}

/* mcp.c */
void mcp_drop_all(struct openhands *oh);
/* build.c */
void builds_drop_all(struct openhands *oh);
