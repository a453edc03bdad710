/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any text is JSON as Python reads it or has a fault within it; without blanks it is the same
 * value.
 */
#include "base/bug.h"
#include "wire/pyjson.h"
#include "wire/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_members(struct str text)
{
	static const char *const names[] = { "args", "kwargs", "" };
	struct pyjson_fault fault;
	struct str values[3];
	BUG_IF(pyjson_members(text, names, values, 3, &fault) < 0, "a good text has bad members");
	for (int i = 0; i < 3; i++) {
		if (!values[i].ptr)
			continue;
		BUG_IF(values[i].ptr < text.ptr ||
				values[i].ptr + values[i].len > text.ptr + text.len,
			"a member that is not in the text");
		BUG_IF(pyjson_check(values[i], &fault) < 0, "a member that is no value");
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str text = str_from_len((const char *)data, size);
	struct pyjson_fault fault = { .at = SIZE_MAX };
	auto_json struct json *strict = NULL;
	if (!utf8_is_valid(text))
		return 0;
	bool is_strict = json_parse(text, &strict, NULL) == 0;
	if (pyjson_check(text, &fault) < 0) {
		BUG_IF(is_strict, "what JSON is, Python does not read");
		BUG_IF(fault.at > text.len || !fault.what, "a fault outside of the text");
		return 0;
	}
	auto_buf struct buf compact = BUF_INIT(size + 16), again = BUF_INIT(size + 16);
	check_members(text);
	pyjson_put_compact(&compact, text);
	BUG_IF(compact.is_full, "it grew when blanks were taken away");
	BUG_IF(pyjson_check(buf_str(&compact), &fault) < 0, "without blanks it is no value");
	BUG_IF(pyjson_kind(text) != pyjson_kind(buf_str(&compact)),
		"without blanks it is another kind");
	BUG_IF(pyjson_is_true(text) != pyjson_is_true(buf_str(&compact)),
		"its truth lay in the blanks");
	BUG_IF(is_strict && json_kind(strict) != pyjson_kind(text), "two readers, two kinds");
	pyjson_put_compact(&again, buf_str(&compact));
	BUG_IF(!str_eq(buf_str(&compact), buf_str(&again)), "blanks were left");
	return 0;
}
