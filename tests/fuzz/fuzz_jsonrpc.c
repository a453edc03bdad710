/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whatever is read as a request can be answered: in one line, for the same id, in a message that
 * reads back.
 */
#include "base/bug.h"
#include "wire/jsonrpc.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_answer(const struct buf *b, const struct json *id, enum jsonrpc_kind kind)
{
	auto_json struct json *tree = NULL;
	auto_buf struct buf wanted = BUF_INIT(1 << 20), got = BUF_INIT(1 << 20);
	struct jsonrpc m;
	BUG_IF(memchr(b->ptr, '\n', b->len), "a message of more than one line");
	BUG_IF(json_parse(buf_str(b), &tree, NULL) < 0, "an answer that is no JSON");
	BUG_IF(jsonrpc_read(tree, &m, NULL) < 0, "an answer that is no message");
	BUG_IF(m.kind != kind, "an answer of another kind");
	json_write(id, &wanted);
	json_write(m.id, &got);
	BUG_IF(!str_eq(buf_str(&wanted), buf_str(&got)), "an answer for another request");
}

static void check(const struct jsonrpc *m)
{
	auto_buf struct buf b = BUF_INIT(1 << 20);
	struct error err;
	if (m->kind == JSONRPC_ERROR)
		BUG_IF(jsonrpc_to_error(m->error, &err) != -1 || err.code != ERROR_PROTOCOL,
			"an error without an error");
	if (m->kind != JSONRPC_REQUEST)
		return;
	BUG_IF(!m->id, "a request without an id");
	jsonrpc_put_result(&b, m->id, STR("{}"));
	check_answer(&b, m->id, JSONRPC_RESULT);
	buf_reset(&b);
	jsonrpc_put_error(&b, m->id, JSONRPC_METHOD_NOT_FOUND, m->method);
	check_answer(&b, m->id, JSONRPC_ERROR);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str rest = str_from_len((const char *)data, size), line;
	struct jsonrpc m;
	while (str_split(&rest, '\n', &line)) {
		auto_json struct json *tree = NULL;
		if (json_parse(line, &tree, NULL) == 0 && jsonrpc_read(tree, &m, NULL) == 0)
			check(&m);
	}
	return 0;
}
