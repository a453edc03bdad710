/* SPDX-License-Identifier: Apache-2.0 */
/*
 * However an archive comes in pieces, the same is cut from it, and cutting it again changes
 * nothing.
 */
#include "base/auto.h"
#include "base/bug.h"
#include "wire/tarcut.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int cut_all(struct str in, size_t piece, struct buf *out)
{
	struct tarcut cut = { 0 };
	struct error err;
	while (in.len) {
		size_t n = MIN(in.len, piece);
		if (tarcut_feed(&cut, str_first(in, n), out, &err) < 0)
			return -1;
		in = str_skip(in, n);
	}
	return tarcut_end(&cut, &err);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str in = str_from_len((const char *)data, size);
	auto_buf struct buf whole = BUF_INIT(1 << 22), pieces = BUF_INIT(1 << 22),
			    again = BUF_INIT(1 << 22);
	int result = cut_all(in, SIZE_MAX, &whole);
	BUG_IF(cut_all(in, 7, &pieces) != result, "pieces decide otherwise");
	BUG_IF(!str_eq(buf_str(&whole), buf_str(&pieces)), "pieces give something else");
	BUG_IF(whole.len > size, "it has become longer");
	if (result < 0)
		return 0;
	BUG_IF(cut_all(buf_str(&whole), SIZE_MAX, &again) < 0, "what was cut is no archive");
	BUG_IF(!str_eq(buf_str(&whole), buf_str(&again)), "there was more to cut");
	return 0;
}
