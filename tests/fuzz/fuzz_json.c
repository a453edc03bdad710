/* SPDX-License-Identifier: Apache-2.0 */
/* Whatever parses is written as JSON that parses again, to the same bytes. */
#include "base/bug.h"
#include "wire/json.h"
#include "wire/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	auto_json struct json *j = NULL;
	auto_json struct json *again = NULL;
	if (json_parse(str_from_len((const char *)data, size), &j, NULL) < 0)
		return 0;
	auto_buf struct buf first = BUF_INIT(16 << 20), second = BUF_INIT(16 << 20);
	json_write(j, &first);
	BUG_IF(first.is_full, "JSON grew beyond all measure");
	BUG_IF(!utf8_is_valid(buf_str(&first)), "JSON was written in invalid UTF-8");
	BUG_IF(json_parse(buf_str(&first), &again, NULL) < 0, "what was written does not parse");
	json_write(again, &second);
	BUG_IF(!str_eq(buf_str(&first), buf_str(&second)), "what was written reads differently");
	return 0;
}
