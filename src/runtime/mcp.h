/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mcp: a client of one MCP server (https://modelcontextprotocol.io, revisions 2024-11-05 to
 * 2025-11-25): a program that runs inside a sandbox and speaks JSON-RPC, a message per line, on its
 * standard input and output; or one that this server reaches over HTTP, in either of the two
 * transports.
 *
 *	struct mcp_client *c = mcp_client_new(sandbox, &spec);
 *	mcp_request_new(c, "tools/list", STR("{}"), 30000, on_tools, arg);
 *
 * The server is started by the first request, and again by the first one after it died; what was
 * under way when it died fails and says why, with the last that it wrote on standard error. It is
 * initialized before anything else is sent. Each request has a deadline; one that passes, or is
 * cancelled, is told to the server as notifications/cancelled.
 *
 * `done` comes exactly once, never from inside the call that asked, unless the request is cancelled
 * or the client freed before. What a server says is not trusted: its messages have a ceiling, and
 * one that is no JSON-RPC is passed over (programs print banners).
 *
 * Everything belongs to the loop's thread. A client outlives its sandbox: requests then fail.
 */
#pragma once

#include "action/action.h"
#include "runtime/runtime.h"
#include "wire/jsonrpc.h"

struct mcp_client;
struct mcp_request;

enum {
	MCP_MESSAGE_MAX = 16 * 1024 * 1024, /* bytes of one message from a server */
	MCP_VALUES_MAX = 100 * 1024,        /* in one: the server reads it between other things */
	MCP_REQUESTS_MAX = 256,             /* under way at one server */
	MCP_START_MS = 60 * 1000,           /* a server may be fetched before it starts */
};

/* The newest revision that we speak; an older one is taken from whoever offers it. */
#define MCP_REVISION "2025-11-25"
bool mcp_revision_is_known(struct str revision);

struct mcp_spec {
	struct str name;
	/* of one that is reached over HTTP; STR_NONE: what follows is its program */
	struct str url;
	struct field_map headers; /* of each request to the URL; 64 at most */
	struct str command;
	struct field_strings args;
	struct field_map env;
	struct str cwd;  /* STR_NONE: the sandbox's working directory */
	struct str user; /* STR_NONE: the sandbox's */
};

/* Valid until the function that gets it returns. */
struct mcp_answer {
	const struct json *result;  /* NULL: it failed */
	const struct json *refusal; /* the server's own error object; NULL: it gave none */
	struct error err;           /* why it failed */
};
typedef void mcp_done_fn(void *arg, const struct mcp_answer *answer);
/* Something that the server says unasked: progress, a message for the log, a list that changed. */
typedef void mcp_notice_fn(void *arg, struct str method, const struct json *params);

struct mcp_client *mcp_client_new(struct sandbox *s, const struct mcp_spec *spec); /* copied */
/* Ends the server: its input is closed, and if that does not do, it is terminated, then killed. */
void mcp_client_free(struct mcp_client *c);
const char *mcp_client_name(const struct mcp_client *c);
void mcp_client_on_notice(struct mcp_client *c, mcp_notice_fn *fn, void *arg);
/* What the server said of itself when it was initialized: "tools", "prompts", … False before. */
bool mcp_client_offers(const struct mcp_client *c, const char *capability);

/*
 * params: a JSON object, or STR_NONE. ERROR_UNAVAILABLE: the server cannot be started, or died;
 * ERROR_TIMEOUT; ERROR_PROTOCOL: the server's own error, with its text; ERROR_LIMIT.
 */
struct mcp_request *mcp_request_new(struct mcp_client *c, const char *method, struct str params,
	int64_t timeout_ms, mcp_done_fn *done, void *arg);
void mcp_request_cancel(struct mcp_request *r);
