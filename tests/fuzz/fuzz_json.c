/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Our reader takes what jansson's takes and makes the same tree of it, but for what is deeper than
 * we want or a number of thousands of digits. Whatever parses is written as JSON that parses again,
 * to the same bytes.
 */
#include "base/bug.h"
#include "wire/json.h"
#include "wire/utf8.h"

#include <jansson.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool is_ours_alone(const struct error *err)
{
	return strstr(err->text, "deeper") || strstr(err->text, "too long");
}

static void compare(struct str text, struct json *ours, const struct error *err)
{
	if (str_has_nul(text)) /* jansson passes over it */
		return;
	json_t *theirs = json_loadb(text.ptr ? text.ptr : "", text.len,
		JSON_REJECT_DUPLICATES | JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
	BUG_IF(ours && !theirs, "JSON that jansson refuses");
	BUG_IF(theirs && !ours && !is_ours_alone(err), "JSON that only jansson takes");
	BUG_IF(ours && !json_equal((json_t *)(void *)ours, theirs),
		"JSON that jansson reads differently");
	json_decref(theirs);
}

static void write_twice(const struct json *j)
{
	auto_json struct json *again = NULL;
	auto_buf struct buf first = BUF_INIT(16 << 20), second = BUF_INIT(16 << 20);
	json_write(j, &first);
	BUG_IF(first.is_full, "JSON grew beyond all measure");
	BUG_IF(!utf8_is_valid(buf_str(&first)), "JSON was written in invalid UTF-8");
	BUG_IF(json_parse(buf_str(&first), &again, NULL) < 0, "what was written does not parse");
	json_write(again, &second);
	BUG_IF(!str_eq(buf_str(&first), buf_str(&second)), "what was written reads differently");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str text = str_from_len((const char *)data, size);
	auto_json struct json *j = NULL;
	struct error err;
	bool is_json = json_parse(text, &j, &err) == 0;
	compare(text, is_json ? j : NULL, &err);
	if (is_json)
		write_twice(j);
	return 0;
}
