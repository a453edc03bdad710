/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes encode and decode to themselves; a text that decodes is the only text of its value. */
#include "base/bug.h"
#include "wire/base64.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str in = str_from_len((const char *)data, size);
	auto_buf struct buf text = BUF_INIT(4 << 20), bytes = BUF_INIT(2 << 20),
			    again = BUF_INIT(4 << 20);
	BUG_IF(base64_encode(in, &text) < 0, "an encoding grew too large");
	BUG_IF(base64_decode(buf_str(&text), &bytes, NULL) < 0, "our own text is refused");
	BUG_IF(!str_eq(buf_str(&bytes), in), "what was encoded decodes differently");
	buf_reset(&bytes);
	if (base64_decode(in, &bytes, NULL) == 0) {
		base64_encode(buf_str(&bytes), &again);
		BUG_IF(!str_eq(buf_str(&again), in), "two texts for one value");
	}
	return 0;
}
