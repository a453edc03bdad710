/* SPDX-License-Identifier: Apache-2.0 */
#include "face/opensandbox/lines.h"

#include "base/auto.h"

void osb_lines_init(struct osb_lines *l)
{
	*l = (struct osb_lines){ .begun = BUF_INIT(OSB_LINES_MAX) };
}

void osb_lines_fini(struct osb_lines *l)
{
	buf_fini(&l->begun);
}

static void tell(struct osb_lines *l, osb_lines_fn *fn, void *arg)
{
	if (l->begun.len)
		fn(arg, buf_str(&l->begun));
	buf_reset(&l->begun);
}

/* Not within a character of UTF-8, if it is such text at all. */
static size_t cut_at(const struct buf *b)
{
	size_t n = b->len;
	for (int i = 0; i < 3 && n && ((unsigned char)b->ptr[n - 1] & 0xc0) == 0x80; i++)
		n--;
	if (n && (unsigned char)b->ptr[n - 1] >= 0xc0)
		n--;
	else
		n = b->len;
	return n ? n : b->len;
}

/* Bytes without a line's end. */
static void add(struct osb_lines *l, struct str bytes, osb_lines_fn *fn, void *arg)
{
	while (bytes.len) {
		size_t room = OSB_LINES_MAX - l->begun.len, n = MIN(room, bytes.len);
		buf_add(&l->begun, bytes.ptr, n);
		bytes = str_skip(bytes, n);
		if (l->begun.len < OSB_LINES_MAX)
			break;
		size_t cut = cut_at(&l->begun);
		fn(arg, str_first(buf_str(&l->begun), cut));
		buf_drop_front(&l->begun, cut);
	}
}

void osb_lines_feed(struct osb_lines *l, struct str bytes, osb_lines_fn *fn, void *arg)
{
	while (bytes.len) {
		size_t n = 0;
		while (n < bytes.len && bytes.ptr[n] != '\n' && bytes.ptr[n] != '\r')
			n++;
		add(l, str_first(bytes, n), fn, arg);
		if (n)
			l->had_cr = false;
		if (n == bytes.len)
			return;
		char end = bytes.ptr[n];
		bytes = str_skip(bytes, n + 1);
		if (l->begun.len)
			tell(l, fn, arg);
		else if (end != '\n' || !l->had_cr)
			fn(arg, STR("\n"));
		l->had_cr = end == '\r';
	}
}

void osb_lines_end(struct osb_lines *l, osb_lines_fn *fn, void *arg)
{
	tell(l, fn, arg);
	l->had_cr = false;
}
