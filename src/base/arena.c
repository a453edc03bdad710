/* SPDX-License-Identifier: Apache-2.0 */
#include "base/arena.h"

#include "base/bug.h"

#include <stdalign.h>
#include <stdarg.h>

enum { BLOCK = 4096 };

struct arena_block {
	struct arena_block *next;
	size_t used, size;
	alignas(max_align_t) char data[];
};

void arena_fini(struct arena *a)
{
	struct arena_block *b = a->blocks;
	while (b) {
		struct arena_block *next = b->next;
		free(b);
		b = next;
	}
	*a = ARENA_INIT(a->limit);
}

bool arena_has_room(const struct arena *a, size_t size)
{
	return size <= a->limit - a->used;
}

void *arena_alloc(struct arena *a, size_t size)
{
	BUG_IF(!arena_has_room(a, size), "an arena was filled beyond its ceiling");
	size_t aligned = (size + alignof(max_align_t) - 1) & ~(alignof(max_align_t) - 1);
	struct arena_block *b = a->blocks;
	if (!b || b->size - b->used < aligned) {
		size_t block_size = aligned > BLOCK ? aligned : BLOCK;
		b = mem_zalloc(sizeof(*b) + block_size);
		b->size = block_size;
		b->next = a->blocks;
		a->blocks = b;
	}
	void *p = b->data + b->used;
	b->used += aligned;
	a->used += size;
	return p;
}

char *arena_str(struct arena *a, struct str s)
{
	char *p = arena_alloc(a, s.len + 1);
	if (s.len)
		memcpy(p, s.ptr, s.len);
	return p;
}

char *arena_printf(struct arena *a, const char *fmt, ...)
{
	va_list ap, again;
	va_start(ap, fmt);
	va_copy(again, ap);
	int n = vsnprintf(NULL, 0, fmt, again);
	va_end(again);
	BUG_IF(n < 0, "a format that printf refuses");
	char *p = arena_alloc(a, (size_t)n + 1);
	vsnprintf(p, (size_t)n + 1, fmt, ap);
	va_end(ap);
	return p;
}
