/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whatever the frame, and the packet in it: it comes to an end, and what is said of a packet lies
 * within.
 */
#include "base/bug.h"
#include "wire/nflog.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str rest = str_from_len((const char *)data, size);
	struct nflog_packet p;
	size_t before = rest.len + 1;
	while (nflog_next(&rest, &p)) {
		BUG_IF(rest.len >= before, "a packet without a byte");
		BUG_IF(p.prefix.len > size || p.protocol < 0 || p.protocol > 255, "no such packet");
		BUG_IF(p.prefix.len &&
				(p.prefix.ptr < (const char *)data ||
					p.prefix.ptr + p.prefix.len > (const char *)data + size),
			"a prefix from elsewhere");
		before = rest.len;
	}
	BUG_IF(rest.len, "something is left");
	return 0;
}
