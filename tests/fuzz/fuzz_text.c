/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A file that is read as text and written back unchanged is the same, byte for byte; lines are
 * within it.
 */
#include "base/auto.h"
#include "base/bug.h"
#include "executor/text.h"
#include "wire/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str bytes = str_from_len((const char *)data, size);
	auto_buf struct buf text = BUF_INIT(SIZE_MAX / 4), back = BUF_INIT(SIZE_MAX / 4);
	auto_buf struct buf lf = BUF_INIT(SIZE_MAX / 4);
	enum text_encoding e = text_detect(bytes);
	text_is_binary(bytes);
	if (text_decode(&text, bytes, e) < 0)
		return 0;
	BUG_IF(!utf8_is_valid(buf_str(&text)), "decoded to something that is no UTF-8");
	BUG_IF(text_encode(&back, buf_str(&text), e, NULL) < 0,
		"what was decoded cannot be encoded");
	BUG_IF(!str_eq(buf_str(&back), bytes), "it is not what it was");
	text_put_lf(&lf, buf_str(&text));
	BUG_IF(str_find_char(buf_str(&lf), '\r') >= 0, "a CR is left");
	int64_t n = text_count_lines(buf_str(&text));
	size_t sum = 0;
	for (int64_t i = 1; i <= n && i < 1000; i++)
		sum += text_lines(buf_str(&text), i, i).len;
	BUG_IF(n < 1000 && sum > text.len, "lines that overlap");
	return 0;
}
