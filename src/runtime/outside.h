/* SPDX-License-Identifier: Apache-2.0 */
/*
 * outside: tools of a sandbox that its executor does not perform. They are listed, called, removed
 * and guarded like the others, through the same actions; this server does what they stand for:
 *
 *	http    one tool: the arguments are POSTed to a URL as a JSON object, what is answered is the output. Its
 *	        headers, which may hold keys, are never seen inside
 *	server  every tool of a tool server of CAMEL's kind (its api.py, or one of ours)
 *	mcp     every tool of an MCP server: a program that runs in the sandbox, or one that is reached over HTTP
 *
 * They are kept with the sandbox's record, so they outlive this server. The first pack with a name
 * has it: what the executor has already is hidden here, and the other way round. docs/decisions:
 * "Tools outside of the sandbox".
 */
#pragma once

#include "action/action.h"
#include "runtime/runtime.h"

struct outside;
struct outside_call;

enum { OUTSIDE_PACKS_MAX = 32, OUTSIDE_HEADERS_MAX = 64, OUTSIDE_JSON_MAX = 4 * 1024 * 1024 };

struct outside_wish {
	struct str url, server;
	const struct json *mcp; /* {"command","args","env","cwd"} or {"url"} */
	struct str name;        /* of the tool, or the MCP server */
	struct str description;
	const struct json *parameters;
	struct field_map headers;
	int64_t timeout_ms; /* of calls that say none */
};
extern const struct field outside_fields[]; /* of a struct outside_wish */

/*
 * pack_json: {"pack","kind","tools","hidden",…}; NULL: err says why not. Once, never from inside;
 * not for s ended.
 */
typedef void outside_done_fn(void *arg, struct str pack_json, const struct error *err);
void outside_add(struct sandbox *s, const struct outside_wish *wish, outside_done_fn *done,
	void *arg);
void outside_free(struct outside *outside);
/* The server ends, and its calls are still there: what asks through them lets go of them. */
void outside_stop(struct outside *outside);
/* The sandbox has ended: its keys go. */
void outside_forget(const struct sandbox *s);
/* At the start: keys of sandboxes that are gone, or of tools that were never recorded. */
void outside_sweep(struct runtime *rt);

/*
 * For runtime/call.c. A call that is ours is taken: ops say what becomes of it, once, never from
 * inside, unless it is dropped before. NULL: it is the executor's.
 */
struct outside_ops {
	void (*result)(void *arg, struct str json);
	void (*error)(void *arg, const struct error *err);
};
struct outside_call *outside_take(struct sandbox *s, const struct action *action,
	struct str request, const struct outside_ops *ops, void *arg);
void outside_drop(struct outside_call *call);
/* The executor's answer to tool_list, with ours. False: there is nothing to add. */
bool outside_merge(struct sandbox *s, struct str list, struct buf *ret);
