/* SPDX-License-Identifier: Apache-2.0 */
/* What is taken has members that are taken themselves, and stays the same without its blanks. */
#include "base/auto.h"
#include "base/bug.h"
#include "wire/pyjson.h"
#include "wire/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const names[] = { "args", "kwargs", "" };
	struct str text = str_from_len((const char *)data, size), values[ARRAY_LEN(names)];
	struct pyjson_fault fault;
	auto_buf struct buf compact = BUF_INIT(SIZE_MAX / 2), again = BUF_INIT(SIZE_MAX / 2);
	if (!utf8_is_valid(text))
		return 0;
	if (pyjson_check(text, &fault) < 0) {
		BUG_IF(fault.at > size || !fault.what, "a fault that is nowhere");
		return 0;
	}
	BUG_IF(pyjson_members(text, names, values, ARRAY_LEN(names), &fault) < 0, "two opinions");
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		BUG_IF(values[i].ptr && pyjson_check(values[i], &fault) < 0,
			"a member is no value");
	pyjson_put_compact(&compact, text);
	BUG_IF(pyjson_check(buf_str(&compact), &fault) < 0, "no value any more");
	BUG_IF(pyjson_kind(text) != pyjson_kind(buf_str(&compact)) ||
			pyjson_is_true(text) != pyjson_is_true(buf_str(&compact)),
		"another value");
	pyjson_put_compact(&again, buf_str(&compact));
	BUG_IF(!str_eq(buf_str(&compact), buf_str(&again)), "blanks were left");
	return 0;
}
