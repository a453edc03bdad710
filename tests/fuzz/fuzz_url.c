/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What decodes encodes and decodes to itself; walking a query ends; a path is matched or refused.
 */
#include "base/bug.h"
#include "wire/url.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str in = str_from_len((const char *)data, size), name, value;
	auto_buf struct buf once = BUF_INIT(1 << 20), encoded = BUF_INIT(3 << 20),
			    twice = BUF_INIT(1 << 20);
	if (url_decode(in, size & 1 ? URL_PATH : URL_QUERY, &once, NULL) == 0) {
		BUG_IF(str_has_nul(buf_str(&once)), "a NUL was decoded");
		BUG_IF(url_encode(buf_str(&once), &encoded) < 0,
			"an encoding grew more than threefold");
		BUG_IF(url_decode(buf_str(&encoded), URL_PATH, &twice, NULL) < 0,
			"our own escape is refused");
		BUG_IF(!str_eq(buf_str(&once), buf_str(&twice)),
			"what was encoded decodes differently");
	}
	struct str rest = in;
	for (size_t n = 0; url_query_next(&rest, &name, &value); n++)
		BUG_IF(n > size || name.len + value.len > size,
			"a query with more in it than it has bytes");
	url_query_find(in, "path", &once, NULL);
	return 0;
}
