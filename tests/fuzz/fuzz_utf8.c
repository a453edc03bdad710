/* SPDX-License-Identifier: Apache-2.0 */
/* Whatever comes in goes out valid, and what was valid goes out the same. */
#include "base/bug.h"
#include "wire/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str in = str_from_len((const char *)data, size);
	auto_buf struct buf out = BUF_INIT(3 * size + 1);
	utf8_put_valid(&out, in);
	BUG_IF(out.is_full || !utf8_is_valid(buf_str(&out)), "not valid after mending");
	if (utf8_is_valid(in))
		BUG_IF(!str_eq(in, buf_str(&out)), "valid text was changed");
	size_t tail = utf8_incomplete_tail(in);
	BUG_IF(tail > 3 || tail > size, "a tail longer than a character");
	return 0;
}
