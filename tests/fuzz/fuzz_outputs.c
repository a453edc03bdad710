/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Outputs of a cell, however they come, are within their limit and are valid JSON. Input: one byte
 * that says what it is (1 stdout, 2 stderr, else a display), one of length, so many bytes.
 */
#include "base/auto.h"
#include "base/bug.h"
#include "executor/outputs.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { LIMIT = 1024, BLOCK = 64 * 1024 };

static void add(struct outputs *o, uint8_t kind, struct str bytes)
{
	auto_json struct json *json = NULL;
	if (kind == 1 || kind == 2)
		outputs_add(o, kind, bytes);
	else if (json_parse(bytes, &json, NULL) == 0)
		outputs_add_display(o, json);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct outputs o;
	auto_buf struct buf array = BUF_INIT(16 << 20), text = BUF_INIT(16 << 20);
	auto_json struct json *json = NULL;
	struct jsonw w = JSONW(&array);
	outputs_init(&o, LIMIT);
	while (size >= 2) {
		size_t len = MIN((size_t)data[1], size - 2);
		add(&o, data[0] & 3, str_from_len((const char *)data + 2, len));
		BUG_IF(o.tail_bytes > LIMIT + BLOCK, "the last half grows");
		data += 2 + len;
		size -= 2 + len;
	}
	outputs_put(&o, NULL, &w);
	outputs_put_text(&o, NULL, &text);
	BUG_IF(json_parse(buf_str(&array), &json, NULL) < 0, "no JSON");
	BUG_IF(text.len > LIMIT + BLOCK + 200, "more text than the limit");
	outputs_fini(&o);
	return 0;
}
