/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whatever a journal's file holds, it is read without leaving its bytes; what counts of it has
 * whole events.
 */
#include "base/auto.h"
#include "base/bug.h"
#include "runtime/journal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str in = str_from_len((const char *)data, size);
	auto_buf struct buf events = BUF_INIT(JOURNAL_BYTES_MAX);
	struct event event;
	size_t n_events = 0;
	ssize_t n;
	struct journal_content c = journal_parse(in, 1, &events);
	BUG_IF(c.bytes > size, "more than the file has");
	for (struct str rest = buf_str(&events); (n = journal_decode(rest, &event)) > 0;
		n_events++) {
		auto_buf struct buf b = BUF_INIT(2 * JOURNAL_BYTES_MAX);
		journal_encode(&b, &event);
		BUG_IF(b.len != (size_t)n, "an event came back different");
		rest = str_skip(rest, (size_t)n);
	}
	BUG_IF(n < 0 || n_events != c.n_events, "what counts is not what is there");
	/* The same bytes as events, which a sum would have kept out. */
	while ((n = journal_decode(in, &event)) > 0)
		in = str_skip(in, (size_t)n);
	return 0;
}
