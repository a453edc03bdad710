/* SPDX-License-Identifier: Apache-2.0 */
/*
 * arena: memory with one lifetime, usually that of a call. Allocate as you go, free all at once.
 *
 *	struct arena a = ARENA_INIT(1 << 20);
 *	char *path = arena_printf(&a, "/%s", name);
 *	...
 *	arena_fini(&a);
 *
 * Everything given out is zeroed and aligned for any type. Beyond the ceiling arena_alloc aborts as
 * out of memory does: bound what comes from input before (arena_has_room).
 */
#pragma once

#include "base/str.h"

struct arena_block;

struct arena {
	struct arena_block *blocks;
	size_t used;
	size_t limit; /* bytes */
};

#define ARENA_INIT(limit_bytes) ((struct arena){ .limit = (limit_bytes) })
#define auto_arena              __attribute__((cleanup(arena_fini)))

void arena_fini(struct arena *a); /* frees everything; the arena may be used again */
bool arena_has_room(const struct arena *a, size_t size);
void *arena_alloc(struct arena *a, size_t size) __attribute__((malloc, returns_nonnull));
char *arena_str(struct arena *a, struct str s) __attribute__((returns_nonnull));
char *arena_printf(struct arena *a, const char *fmt, ...)
	__attribute__((format(printf, 2, 3), returns_nonnull));

#define arena_new(a, type)      ((type *)arena_alloc((a), sizeof(type)))
#define arena_new_n(a, type, n) ((type *)arena_alloc((a), sizeof(type) * (n)))
