/* SPDX-License-Identifier: Apache-2.0 */
/* A stream of frames is taken apart without leaving its bytes, and put together again the same. */
#include "base/bug.h"
#include "wire/frame.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str in = str_from_len((const char *)data, size);
	struct frame f;
	struct error err;
	ssize_t n;
	while ((n = frame_parse(in, &f, &err)) > 0) {
		BUG_IF((size_t)n > in.len, "a frame longer than its bytes");
		auto_buf struct buf b = BUF_INIT(FRAME_HEAD + FRAME_PAYLOAD_MAX);
		frame_put(&b, f.kind, f.channel, f.payload);
		BUG_IF(!str_eq(buf_str(&b), str_first(in, (size_t)n)),
			"a frame came back different");
		in = str_skip(in, (size_t)n);
	}
	return 0;
}
