/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/jsonrpc.h"

static int bad(struct error *err, const char *what)
{
	return error_set(err, ERROR_INVALID, "JSON-RPC: %s", what);
}

static int read_id(const struct json *tree, struct jsonrpc *ret, bool *ret_has_id,
	struct error *err)
{
	const struct json *id = json_find(tree, "id");
	enum json_kind kind = json_kind(id);
	*ret_has_id = id != NULL;
	if (id && kind != JSON_KIND_INT && kind != JSON_KIND_STR && kind != JSON_KIND_NULL)
		return bad(err, "an id that is neither a string nor an integer");
	ret->id = kind == JSON_KIND_NULL ? NULL : id;
	return 0;
}

static int read_call(const struct json *tree, bool has_id, struct jsonrpc *ret, struct error *err)
{
	const struct json *method = json_find(tree, "method");
	ret->kind = has_id ? JSONRPC_REQUEST : JSONRPC_NOTIFICATION;
	ret->params = json_find(tree, "params");
	if (json_kind(method) != JSON_KIND_STR)
		return bad(err, "a method that is no string");
	if (has_id && !ret->id)
		return bad(err, "a request whose id is null");
	if (ret->params && json_kind(ret->params) != JSON_KIND_OBJECT &&
		json_kind(ret->params) != JSON_KIND_ARRAY)
		return bad(err, "params that are neither an object nor an array");
	ret->method = json_str(method);
	return 0;
}

static int read_answer(const struct json *tree, bool has_id, struct jsonrpc *ret, struct error *err)
{
	ret->result = json_find(tree, "result");
	ret->error = json_find(tree, "error");
	if (!ret->result == !ret->error)
		return bad(err, "neither a method, nor exactly one of result and error");
	ret->kind = ret->result ? JSONRPC_RESULT : JSONRPC_ERROR;
	if (!has_id || (ret->result && !ret->id))
		return bad(err, "an answer without the id of its request");
	if (ret->error &&
		(json_kind(json_find(ret->error, "code")) != JSON_KIND_INT ||
			json_kind(json_find(ret->error, "message")) != JSON_KIND_STR))
		return bad(err, "an error without code and message");
	return 0;
}

int jsonrpc_read(const struct json *tree, struct jsonrpc *ret, struct error *err)
{
	bool has_id;
	*ret = (struct jsonrpc){ 0 };
	if (json_kind(tree) != JSON_KIND_OBJECT)
		return bad(err, "a message is one object");
	if (!str_is(json_str(json_find(tree, "jsonrpc")), "2.0"))
		return bad(err, "'jsonrpc' must be \"2.0\"");
	if (read_id(tree, ret, &has_id, err) < 0)
		return -1;
	return json_find(tree, "method") ? read_call(tree, has_id, ret, err)
					 : read_answer(tree, has_id, ret, err);
}

int jsonrpc_to_error(const struct json *error, struct error *err)
{
	struct str message = json_str(json_find(error, "message"));
	return error_set(err, ERROR_PROTOCOL, "%.*s",
		STR_ARG(message.len ? str_first(message, 300) : STR("an error without a message")));
}

static void put_start(struct buf *b, const char *method, struct str params, int64_t id, bool has_id)
{
	struct jsonw w = JSONW(b);
	jsonw_open(&w);
	jsonw_key_str(&w, "jsonrpc", STR("2.0"));
	if (has_id)
		jsonw_key_int(&w, "id", id);
	jsonw_key_str(&w, "method", str_from(method));
	if (params.ptr) {
		jsonw_key(&w, "params");
		jsonw_raw(&w, params);
	}
	jsonw_close(&w);
}

void jsonrpc_put_request(struct buf *b, int64_t id, const char *method, struct str params)
{
	put_start(b, method, params, id, true);
}

void jsonrpc_put_notification(struct buf *b, const char *method, struct str params)
{
	put_start(b, method, params, 0, false);
}

static void put_answer_start(struct jsonw *w, const struct json *id)
{
	jsonw_open(w);
	jsonw_key_str(w, "jsonrpc", STR("2.0"));
	jsonw_key(w, "id");
	if (json_kind(id) == JSON_KIND_INT)
		jsonw_int(w, json_int(id));
	else if (json_kind(id) == JSON_KIND_STR)
		jsonw_str(w, json_str(id));
	else
		jsonw_null(w);
}

void jsonrpc_put_result(struct buf *b, const struct json *id, struct str result)
{
	struct jsonw w = JSONW(b);
	put_answer_start(&w, id);
	jsonw_key(&w, "result");
	jsonw_raw(&w, result);
	jsonw_close(&w);
}

void jsonrpc_put_error(struct buf *b, const struct json *id, int code, struct str message)
{
	struct jsonw w = JSONW(b);
	put_answer_start(&w, id);
	jsonw_key(&w, "error");
	jsonw_open(&w);
	jsonw_key_int(&w, "code", code);
	jsonw_key_str(&w, "message", message);
	jsonw_close(&w);
	jsonw_close(&w);
}
