/* SPDX-License-Identifier: Apache-2.0 */
/*
 * buf: a growing string of bytes that knows its ceiling.
 *
 * Invariants: `ptr` is never NULL and ptr[len] is always '\0', also before the first append, so a
 * buf that holds text can be passed where a C string is wanted. `len` never exceeds the ceiling
 * given at birth. An append that would exceed it changes nothing, sets `is_full` and returns -1;
 * every later append fails too. So a long chain of appends needs one check, at its end:
 *
 *	auto_buf struct buf b = BUF_INIT(64 * 1024);
 *	buf_puts(&b, "HTTP/1.1 ");
 *	buf_printf(&b, "%d %s\r\n", status, reason);
 *	if (b.is_full)
 *		return error_set(err, ERROR_TOO_LARGE, "reply head over %zu bytes", b.limit);
 *
 * Memory: the owner calls buf_fini, or lets auto_buf do it. Out of memory aborts; the ceiling is
 * what protects against sizes that come from input. Not for sharing between threads.
 */
#pragma once

#include "base/str.h"

#include <stdarg.h>
#include <stdint.h>

struct buf {
	char *ptr;
	size_t len;
	size_t cap;   /* bytes allocated, the NUL included; 0: ptr is the shared empty string */
	size_t limit; /* len never exceeds this */
	bool is_full; /* an append was refused; nothing was appended since */
};

extern char buf_empty[1];

#define BUF_INIT(limit_bytes) ((struct buf){ .ptr = buf_empty, .limit = (limit_bytes) })
#define auto_buf              __attribute__((cleanup(buf_fini)))

void buf_init(struct buf *b, size_t limit);
void buf_fini(struct buf *b);
/* Empties it and clears is_full; keeps the memory, unless that grew beyond 64 KiB. */
void buf_reset(struct buf *b);

/* Appends bytes that are not b's own. 0, or -1 if the ceiling would be exceeded (see above). */
int buf_add(struct buf *b, const void *ptr, size_t len);
int buf_puts(struct buf *b, const char *s);
int buf_putc(struct buf *b, char c);
int buf_put(struct buf *b, struct str s);
/* Appends the text with each `from` (not empty) in it made `to`; how many there were. */
size_t buf_put_replaced(struct buf *b, struct str text, struct str from, struct str to);
int buf_printf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
int buf_vprintf(struct buf *b, const char *fmt, va_list ap) __attribute__((format(printf, 2, 0)));

/*
 * Room for at least `len` more bytes at the returned place, for read(2) and its like; tell with
 * buf_grown how many were written. NULL if the ceiling forbids it.
 */
char *buf_room(struct buf *b, size_t len);
void buf_grown(struct buf *b, size_t len);

void buf_drop_front(struct buf *b, size_t len); /* forgets the first len bytes */
void buf_cut(struct buf *b, size_t len);        /* keeps the first len bytes */

static inline struct str buf_str(const struct buf *b)
{
	return (struct str){ b->ptr, b->len };
}

/* Gives the string away (heap, NUL-terminated); b is empty afterwards and may be used again. */
char *buf_take(struct buf *b);
