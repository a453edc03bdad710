/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. `head` fills first and then stays as it is. `tail` grows to its half and
 * from then on is circular: the oldest byte is overwritten and counted. Nothing is moved but when
 * bytes are taken back, which straightens the circle; that happens at most once per command that
 * begins to move the cursor, not per byte.
 */
#include "executor/ring.h"

#include "base/auto.h"
#include "base/bug.h"

void ring_init(struct ring *r, size_t limit)
{
	*r = (struct ring){ .limit = limit };
	buf_init(&r->head, limit / 2);
	buf_init(&r->tail, limit / 2);
}

void ring_fini(struct ring *r)
{
	buf_fini(&r->head);
	buf_fini(&r->tail);
}

void ring_reset(struct ring *r)
{
	ring_fini(r);
	ring_init(r, r->limit);
}

bool ring_is_empty(const struct ring *r)
{
	return r->head.len == 0 && r->tail.len == 0;
}

static uint64_t count_lines(struct str s)
{
	uint64_t n = 0;
	for (size_t i = 0; i < s.len; i++)
		n += s.ptr[i] == '\n';
	return n;
}

static void drop(struct ring *r, struct str s)
{
	r->dropped_bytes += s.len;
	r->dropped_lines += count_lines(s);
}

/* The tail is full: each byte that comes takes the place of the oldest. */
static void overwrite(struct ring *r, struct str s)
{
	size_t half = r->tail.len;
	BUG_IF(half == 0, "a ring without a tail is overwritten");
	if (s.len > half) {
		drop(r, str_first(s, s.len - half));
		s = str_skip(s, s.len - half);
	}
	while (s.len) {
		struct str piece = str_first(s, half - r->tail_start);
		drop(r, str_from_len(r->tail.ptr + r->tail_start, piece.len));
		memcpy(r->tail.ptr + r->tail_start, piece.ptr, piece.len);
		r->tail_start = (r->tail_start + piece.len) % half;
		s = str_skip(s, piece.len);
	}
}

void ring_add(struct ring *r, struct str s)
{
	if (r->tail.len == 0 && r->head.len < r->head.limit) {
		struct str piece = str_first(s, r->head.limit - r->head.len);
		buf_put(&r->head, piece);
		s = str_skip(s, piece.len);
	}
	if (s.len && r->tail.len < r->tail.limit) {
		struct str piece = str_first(s, r->tail.limit - r->tail.len);
		buf_put(&r->tail, piece);
		s = str_skip(s, piece.len);
	}
	if (s.len)
		overwrite(r, s);
}

static void straighten(struct ring *r)
{
	if (r->tail_start == 0)
		return;
	struct buf straight = BUF_INIT(r->tail.limit);
	buf_add(&straight, r->tail.ptr + r->tail_start, r->tail.len - r->tail_start);
	buf_add(&straight, r->tail.ptr, r->tail_start);
	buf_fini(&r->tail);
	r->tail = straight;
	r->tail_start = 0;
}

/* How many bytes at the end of b to take back; *lines goes down with each newline among them. */
static size_t count_back(const struct buf *b, size_t *lines, size_t max)
{
	size_t n = 0;
	while (n < b->len && n < max) {
		if (b->ptr[b->len - n - 1] == '\n') {
			if (*lines == 0)
				break;
			--*lines;
		}
		n++;
	}
	return n;
}

void ring_take_back(struct ring *r, size_t lines, size_t max, struct buf *out)
{
	straighten(r);
	size_t from_tail = count_back(&r->tail, &lines, max);
	size_t from_head = 0;
	if (from_tail == r->tail.len && r->dropped_bytes == 0)
		from_head = count_back(&r->head, &lines, max - from_tail);
	buf_add(out, r->head.ptr + r->head.len - from_head, from_head);
	buf_add(out, r->tail.ptr + r->tail.len - from_tail, from_tail);
	buf_cut(&r->head, r->head.len - from_head);
	buf_cut(&r->tail, r->tail.len - from_tail);
}

/*
 * The number of bytes at the front of the tail up to and including its first newline, if that is
 * near.
 */
static size_t partial_line(struct str tail)
{
	ptrdiff_t at = str_find_char(str_first(tail, tail.len / 4), '\n');
	if (at >= 0)
		return (size_t)at + 1;
	size_t n = 0; /* else do not begin within a character */
	while (n < tail.len && n < 4 && ((unsigned char)tail.ptr[n] & 0xc0) == 0x80)
		n++;
	return n;
}

struct ring_gap ring_put(const struct ring *r, struct buf *out)
{
	buf_put(out, buf_str(&r->head));
	if (r->dropped_bytes == 0) {
		BUG_IF(r->tail_start != 0, "a ring that wrapped around and dropped nothing");
		buf_put(out, buf_str(&r->tail));
		return (struct ring_gap){ 0 };
	}
	auto_buf struct buf tail = BUF_INIT(r->tail.limit);
	buf_add(&tail, r->tail.ptr + r->tail_start, r->tail.len - r->tail_start);
	buf_add(&tail, r->tail.ptr, r->tail_start);
	struct str rest = str_skip(buf_str(&tail), partial_line(buf_str(&tail)));
	struct str cut = str_first(buf_str(&tail), tail.len - rest.len);
	struct ring_gap gap = { r->dropped_bytes + cut.len, r->dropped_lines + count_lines(cut) };
	bool is_line_end = r->head.len == 0 || r->head.ptr[r->head.len - 1] == '\n';
	buf_printf(out, "%s[... %llu bytes in %llu lines are left out here ...]\n",
		is_line_end ? "" : "\n", (unsigned long long)gap.bytes,
		(unsigned long long)gap.lines);
	buf_put(out, rest);
	return gap;
}
