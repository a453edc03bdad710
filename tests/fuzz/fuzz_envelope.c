/* SPDX-License-Identifier: Apache-2.0 */
/* An envelope that is read is written back the same; a shorter input is never one. */
#include "base/auto.h"
#include "base/bug.h"
#include "wire/envelope.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { LIMIT = 4096 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str in = str_from_len((const char *)data, size);
	while (in.len) {
		struct envelope e, other;
		auto_buf struct buf back = BUF_INIT(ENVELOPE_HEAD + LIMIT);
		ssize_t n = envelope_parse(in, LIMIT, &e, NULL);
		if (n <= 0)
			return 0;
		BUG_IF((size_t)n > in.len || e.payload.len > LIMIT, "more than there is");
		BUG_IF(envelope_parse(str_first(in, (size_t)n - 1), LIMIT, &other, NULL) != 0,
			"an envelope that is not whole");
		BUG_IF(envelope_put(&back, e.flags, e.payload) < 0, "no room for what was read");
		BUG_IF(!str_eq(buf_str(&back), str_first(in, (size_t)n)),
			"an envelope that comes back different");
		in = str_skip(in, (size_t)n);
	}
	return 0;
}
