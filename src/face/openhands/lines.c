/* SPDX-License-Identifier: Apache-2.0 */
#include "face/openhands/lines.h"

#include "base/auto.h"

enum { TAB = 8 };

int lines_put_normal(struct buf *b, struct str text)
{
	for (size_t i = 0; i < text.len;) {
		const char *cr = memchr(text.ptr + i, '\r', text.len - i);
		size_t end = cr ? (size_t)(cr - text.ptr) : text.len;
		buf_add(b, text.ptr + i, end - i);
		if (cr)
			buf_putc(b, '\n');
		i = end + 1;
		if (cr && i < text.len && text.ptr[i] == '\n')
			i++;
	}
	return b->is_full ? -1 : 0;
}

static bool is_start(char c)
{
	return ((unsigned char)c & 0xc0) != 0x80;
}

static size_t count_characters(struct str text)
{
	size_t n = 0;
	for (size_t i = 0; i < text.len; i++)
		n += is_start(text.ptr[i]);
	return n;
}

static void put_shown_line(struct buf *b, struct str line)
{
	struct str piece;
	size_t column = 0;
	while (line.len && (line.ptr[line.len - 1] == ' ' || line.ptr[line.len - 1] == '\t'))
		line.len--;
	while (str_split(&line, '\t', &piece)) {
		buf_put(b, piece);
		if (!line.ptr)
			break;
		column += count_characters(piece);
		do
			buf_putc(b, ' ');
		while (++column % TAB != 0);
	}
}

int lines_put_shown(struct buf *b, struct str text)
{
	struct str line;
	while (str_split(&text, '\n', &line)) {
		put_shown_line(b, line);
		if (text.ptr)
			buf_putc(b, '\n');
	}
	return b->is_full ? -1 : 0;
}

static int64_t count_kept(struct str text)
{
	int64_t n = 0;
	for (size_t i = 0; i < text.len; i++)
		n += text.ptr[i] == '\n';
	return n + (text.len > 0 && text.ptr[text.len - 1] != '\n');
}

/* Where line `n` begins; the end of the text if there are fewer. */
static size_t offset_of(struct str text, int64_t n)
{
	size_t at = 0;
	for (; n > 0 && at < text.len; n--) {
		const char *newline = memchr(text.ptr + at, '\n', text.len - at);
		at = newline ? (size_t)(newline - text.ptr) + 1 : text.len;
	}
	return at;
}

static struct str between(struct str text, int64_t begin, int64_t end)
{
	size_t from = offset_of(text, begin);
	size_t to = offset_of(text, end);
	return str_first(str_skip(text, from), to > from ? to - from : 0);
}

static int64_t clamp(int64_t v, int64_t min, int64_t max)
{
	return v < min ? min : v > max ? max : v;
}

struct str lines_slice(struct str text, int64_t start, int64_t end)
{
	int64_t n = count_kept(text);
	int64_t begin = clamp(start, 0, n);
	if (end == LINES_END)
		return between(text, begin, n);
	/* The peer pulls the begin back so that at least one line is left to show. */
	end = clamp(end, 0, n);
	begin = MAX(0, MIN(begin, n - 2));
	return between(text, begin, MAX(begin + 1, end));
}

/* An index as Python's slices take it. */
static int64_t index_of(int64_t i, int64_t n)
{
	return clamp(i < 0 ? i + n : i, 0, n);
}

int lines_splice(struct buf *b, struct str old, struct str content, int64_t start, int64_t end)
{
	int64_t n = count_kept(old);
	buf_put(b, between(old, 0, index_of(start, n)));
	buf_put(b, content);
	buf_putc(b, '\n');
	if (end != LINES_END)
		buf_put(b, between(old, index_of(end, n), n));
	return b->is_full ? -1 : 0;
}

struct str lines_last(struct str text, size_t n)
{
	size_t at = text.len;
	while (at > 0) {
		if (text.ptr[at - 1] == '\n' && --n == 0)
			break;
		at--;
	}
	return str_skip(text, at);
}

size_t lines_count(struct str text)
{
	size_t n = 1;
	for (size_t i = 0; i < text.len; i++)
		n += text.ptr[i] == '\n';
	return n;
}

/* Where character n begins. */
static size_t offset_of_character(struct str text, size_t n)
{
	size_t at = 0;
	while (at < text.len && (!is_start(text.ptr[at]) || n-- > 0))
		at++;
	return at;
}

int lines_put_cut(struct buf *b, struct str text, size_t max)
{
	size_t n = text.len > max ? count_characters(text) : 0;
	if (n <= max)
		return buf_put(b, text);
	buf_put(b, str_first(text, offset_of_character(text, max / 2)));
	buf_puts(b, "\n[... Observation truncated due to length ...]\n");
	return buf_put(b, str_skip(text, offset_of_character(text, n - max / 2)));
}
