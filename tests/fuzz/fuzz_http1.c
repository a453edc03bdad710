/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A head is judged the same however it is cut; its views lie within it; a chunked body is the same
 * in any steps. The first byte chooses how the rest is cut.
 */
#include "base/auto.h"
#include "base/bug.h"
#include "base/buf.h"
#include "wire/http1.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_within(struct str part, struct str whole)
{
	BUG_IF(part.len && (part.ptr < whole.ptr || part.ptr + part.len > whole.ptr + whole.len),
		"a view beyond the head");
}

static void check_head(struct str head, int parse(struct str, struct http1_head *, struct error *))
{
	auto_free struct http1_head *h = mem_new(struct http1_head);
	if (parse(head, h, NULL) < 0)
		return;
	check_within(h->method, head);
	check_within(h->path, head);
	check_within(h->query, head);
	BUG_IF(h->is_chunked && h->content_length >= 0, "a message with two ends");
	for (size_t i = 0; i < h->n_headers; i++) {
		check_within(h->headers[i].name, head);
		check_within(h->headers[i].value, head);
		BUG_IF(memchr(h->headers[i].name.ptr, '\n', h->headers[i].name.len),
			"a line break in a name");
		BUG_IF(str_find_char(h->headers[i].value, '\n') >= 0 ||
				str_has_nul(h->headers[i].value),
			"a control byte in a value");
	}
}

static ssize_t head_end_in_steps(struct str in, size_t step)
{
	size_t scanned = 0, n = 0;
	ssize_t r = 0;
	while (r == 0 && n < in.len) {
		n = MIN(n + step, in.len);
		r = http1_head_end(str_first(in, n), &scanned, NULL);
	}
	return r;
}

/* The body, and whether it ended (1), is not whole (0), or is malformed (-1). */
static int dechunk(struct str in, size_t step, struct buf *out)
{
	struct http1_chunks c = { 0 };
	while (in.len && c.state != CHUNK_DONE) {
		struct str part = str_first(in, step), piece;
		ssize_t n = http1_dechunk(&c, part, &piece, NULL);
		if (n < 0)
			return -1;
		BUG_IF(n == 0 || (size_t)n > part.len, "chunks that do not move");
		check_within(piece, part);
		buf_put(out, piece);
		in = str_skip(in, (size_t)n);
	}
	return c.state == CHUNK_DONE;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	size_t step = 1 + data[0] % 64;
	struct str in = str_from_len((const char *)data + 1, size - 1);
	ssize_t n = head_end_in_steps(in, SIZE_MAX / 2);
	ssize_t cut = head_end_in_steps(in, step);
	BUG_IF(n != cut, "a head that depends on how it was cut");
	if (n > 0) {
		check_head(str_first(in, (size_t)n), http1_parse_request);
		check_head(str_first(in, (size_t)n), http1_parse_reply);
	}
	auto_buf struct buf whole = BUF_INIT(1 << 20), pieces = BUF_INIT(1 << 20);
	int r = dechunk(in, SIZE_MAX / 2, &whole);
	BUG_IF(r != dechunk(in, step, &pieces), "chunks that depend on how they were cut");
	BUG_IF(!str_eq(buf_str(&whole), buf_str(&pieces)), "a body that depends on how it was cut");
	return 0;
}
