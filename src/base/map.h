/* SPDX-License-Identifier: Apache-2.0 */
/*
 * map: from strings to pointers. Keys are copied; values belong to the caller. Hashing is keyed per
 * process (SipHash-like mixing of a random seed), so chosen keys do not collide on purpose.
 */
#pragma once

#include "base/str.h"

struct map {
	struct map_slot *slots;
	size_t cap;   /* a power of two, or 0 */
	size_t count; /* live entries */
	size_t used;  /* live entries and tombstones */
};

void map_fini(struct map *m);                        /* frees keys, not values */
void *map_find(const struct map *m, struct str key); /* NULL if absent */
/* Puts or replaces; returns the value that was there, or NULL. `value` must not be NULL. */
void *map_put(struct map *m, struct str key, void *value);
void *map_remove(struct map *m, struct str key); /* the value, or NULL */
/* size_t i = 0; while ((value = map_next(&m, &i, &key))) ... No put or remove meanwhile. */
void *map_next(const struct map *m, size_t *i, struct str *ret_key);
