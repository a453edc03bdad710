/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A schema in the first line, a call in the rest: what is bound is an object, and has nothing that
 * was not sent.
 */
#include "action/tool_bind.h"
#include "base/bug.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str text = str_from_len((const char *)data, size);
	ptrdiff_t end = str_find_char(text, '\n');
	auto_json struct json *schema = NULL, *bound = NULL, *call = NULL;
	auto_buf struct buf object = BUF_INIT(8 << 20);
	struct error err = { 0 };
	if (end < 0 || json_parse(str_first(text, (size_t)end), &schema, NULL) < 0)
		return 0;
	struct str rest = str_skip(text, (size_t)end + 1);
	if (tool_bind("tool", schema, rest, &object, &err) < 0) {
		BUG_IF(err.code == ERROR_OK || !err.text[0], "a refusal without words");
		return 0;
	}
	BUG_IF(json_parse(buf_str(&object), &bound, NULL) < 0, "what is bound is no JSON");
	BUG_IF(json_kind(bound) != JSON_KIND_OBJECT, "what is bound is no object");
	BUG_IF(json_parse(rest, &call, NULL) < 0, "what was bound was no JSON");
	BUG_IF(json_len(bound) >
			json_len(json_find(call, "args")) + json_len(json_find(call, "kwargs")),
		"more is bound than was sent");
	return 0;
}
