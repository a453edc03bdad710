/* SPDX-License-Identifier: Apache-2.0 */
#include "base/buf.h"

#include "base/bug.h"

enum {
	FIRST_CAP = 64,       /* most texts are short */
	KEEP_CAP = 64 * 1024, /* buf_reset gives back what one large text needed */
};

char buf_empty[1] = "";

void buf_init(struct buf *b, size_t limit)
{
	*b = BUF_INIT(limit);
}

void buf_fini(struct buf *b)
{
	if (b->cap)
		free(b->ptr);
	*b = BUF_INIT(b->limit);
}

void buf_reset(struct buf *b)
{
	if (b->cap > KEEP_CAP)
		buf_fini(b);
	b->len = 0;
	b->is_full = false;
	if (b->cap)
		b->ptr[0] = '\0';
}

/*
 * Makes cap > len + more. The caller has checked the ceiling, so the sum cannot overflow; nor does
 * doubling go beyond what the ceiling can ever need.
 */
static void grow(struct buf *b, size_t more)
{
	size_t need = b->len + more + 1;
	if (need <= b->cap)
		return;
	size_t cap = b->cap ? b->cap : FIRST_CAP;
	while (cap < need)
		cap *= 2;
	if (cap - 1 > b->limit)
		cap = b->limit + 1;
	b->ptr = mem_realloc(b->cap ? b->ptr : NULL, cap);
	b->ptr[b->len] = '\0'; /* also if nothing comes to be appended */
	b->cap = cap;
}

char *buf_room(struct buf *b, size_t len)
{
	if (b->is_full || len > b->limit - b->len) {
		b->is_full = true;
		return NULL;
	}
	grow(b, len);
	return b->ptr + b->len;
}

void buf_grown(struct buf *b, size_t len)
{
	if (len == 0)
		return;
	BUG_IF(len >= b->cap - b->len, "more bytes were written than buf_room gave");
	b->len += len;
	b->ptr[b->len] = '\0';
}

int buf_add(struct buf *b, const void *ptr, size_t len)
{
	char *to = buf_room(b, len);
	if (!to)
		return -1;
	if (len)
		memcpy(to, ptr, len);
	buf_grown(b, len);
	return 0;
}

int buf_puts(struct buf *b, const char *s)
{
	return buf_add(b, s, strlen(s));
}

int buf_putc(struct buf *b, char c)
{
	return buf_add(b, &c, 1);
}

int buf_put(struct buf *b, struct str s)
{
	return buf_add(b, s.ptr, s.len);
}

int buf_vprintf(struct buf *b, const char *fmt, va_list ap)
{
	/* Most texts fit what is there already: they are formatted once. */
	size_t spare = b->cap ? b->cap - b->len : 0;
	va_list again;
	va_copy(again, ap);
	int n = vsnprintf(spare ? b->ptr + b->len : NULL, spare, fmt, again);
	va_end(again);
	BUG_IF(n < 0, "a format that printf refuses");

	char *to = buf_room(b, (size_t)n);
	if (b->is_full) {
		buf_cut(b, b->len); /* as if nothing had been written behind the end */
		return -1;
	}
	if ((size_t)n >= spare)
		vsnprintf(to, (size_t)n + 1, fmt, ap);
	buf_grown(b, (size_t)n);
	return 0;
}

int buf_printf(struct buf *b, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	int r = buf_vprintf(b, fmt, ap);
	va_end(ap);
	return r;
}

size_t buf_put_replaced(struct buf *b, struct str text, struct str from, struct str to)
{
	ptrdiff_t at;
	size_t n = 0;
	for (; from.len && (at = str_find(text, from)) >= 0; n++) {
		buf_put(b, str_first(text, (size_t)at));
		buf_put(b, to);
		text = str_skip(text, (size_t)at + from.len);
	}
	buf_put(b, text);
	return n;
}

void buf_drop_front(struct buf *b, size_t len)
{
	BUG_IF(len > b->len, "buf_drop_front beyond the end");
	if (len == 0)
		return;
	memmove(b->ptr, b->ptr + len, b->len - len + 1);
	b->len -= len;
}

void buf_cut(struct buf *b, size_t len)
{
	if (len > b->len || !b->cap)
		return;
	b->len = len;
	b->ptr[len] = '\0';
}

char *buf_take(struct buf *b)
{
	char *taken = b->cap ? b->ptr : mem_strdup("");
	*b = BUF_INIT(b->limit);
	return taken;
}
