/* SPDX-License-Identifier: Apache-2.0 */
/*
 * jsonrpc: the messages of JSON-RPC 2.0 (https://www.jsonrpc.org/specification), one at a time:
 * batches are refused, as every newer MCP does.
 *
 *	struct jsonrpc m;
 *	if (jsonrpc_read(tree, &m, err) == 0 && m.kind == JSONRPC_REQUEST && str_is(m.method, "ping"))
 *		jsonrpc_put_result(&b, m.id, STR("{}"));
 *
 * What is put is one line without a line feed, if the parts that are passed in as JSON are.
 */
#pragma once

#include "wire/json.h"

enum jsonrpc_kind { JSONRPC_REQUEST, JSONRPC_NOTIFICATION, JSONRPC_RESULT, JSONRPC_ERROR };

enum {
	JSONRPC_PARSE_ERROR = -32700,
	JSONRPC_INVALID_REQUEST = -32600,
	JSONRPC_METHOD_NOT_FOUND = -32601,
	JSONRPC_INVALID_PARAMS = -32602,
	JSONRPC_INTERNAL_ERROR = -32603,
};

/* Points into the tree that was read. */
struct jsonrpc {
	enum jsonrpc_kind kind;
	const struct json *id;     /* string or integer; NULL: none, or the null of an error */
	struct str method;         /* of a request or notification */
	const struct json *params; /* object or array, or NULL */
	const struct json *result;
	const struct json *error; /* object with code and message */
};

/* ERROR_INVALID says what is wrong. */
int jsonrpc_read(const struct json *tree, struct jsonrpc *ret, struct error *err);
/* Fills *err with what an error object says: ERROR_PROTOCOL and its message. Always -1. */
int jsonrpc_to_error(const struct json *error, struct error *err);

/* params: JSON, or STR_NONE. */
void jsonrpc_put_request(struct buf *b, int64_t id, const char *method, struct str params);
void jsonrpc_put_notification(struct buf *b, const char *method, struct str params);
/* id: of the request; NULL is null. */
void jsonrpc_put_result(struct buf *b, const struct json *id, struct str result);
void jsonrpc_put_error(struct buf *b, const struct json *id, int code, struct str message);
