/* SPDX-License-Identifier: Apache-2.0 */
#include "base/map.h"

#include "base/bug.h"

#include <stdint.h>
#include <sys/random.h>

/* Open addressing with linear probing; a tombstone has a value but no key. */
struct map_slot {
	char *key;
	size_t key_len;
	uint64_t hash;
	void *value;
};

static char tombstone;

static uint64_t mix(uint64_t h)
{
	h ^= h >> 32;
	h *= 0xd6e8feb86659fd93u;
	h ^= h >> 32;
	h *= 0xd6e8feb86659fd93u;
	return h ^ h >> 32;
}

static uint64_t hash_of(struct str key)
{
	static uint64_t seed;
	if (!seed && getrandom(&seed, sizeof(seed), 0) != sizeof(seed))
		seed = (uintptr_t)&seed;
	seed |= 1;

	uint64_t h = mix(seed ^ key.len);
	for (size_t i = 0; i < key.len; i++)
		h = mix(h ^ ((uint64_t)(unsigned char)key.ptr[i] + seed));
	return h;
}

static struct map_slot *find_slot(const struct map *m, struct str key, uint64_t hash)
{
	if (!m->cap)
		return NULL;
	for (size_t i = hash & (m->cap - 1);; i = (i + 1) & (m->cap - 1)) {
		struct map_slot *s = &m->slots[i];
		if (!s->key && s->value != &tombstone)
			return NULL;
		if (s->key && s->hash == hash && str_eq(str_from_len(s->key, s->key_len), key))
			return s;
	}
}

static void insert(struct map *m, struct map_slot entry)
{
	size_t i = entry.hash & (m->cap - 1);
	while (m->slots[i].key)
		i = (i + 1) & (m->cap - 1);
	if (m->slots[i].value != &tombstone)
		m->used++;
	m->slots[i] = entry;
	m->count++;
}

static void resize(struct map *m)
{
	struct map old = *m;
	m->cap = 16;
	while (m->cap < old.count * 4)
		m->cap *= 2;
	m->slots = mem_new_n(struct map_slot, m->cap);
	m->count = m->used = 0;
	for (size_t i = 0; i < old.cap; i++)
		if (old.slots[i].key)
			insert(m, old.slots[i]);
	free(old.slots);
}

void map_fini(struct map *m)
{
	for (size_t i = 0; i < m->cap; i++)
		free(m->slots[i].key);
	free(m->slots);
	*m = (struct map){ 0 };
}

void *map_find(const struct map *m, struct str key)
{
	struct map_slot *s = find_slot(m, key, hash_of(key));
	return s ? s->value : NULL;
}

void *map_put(struct map *m, struct str key, void *value)
{
	BUG_IF(!value, "a map holds no NULL");
	uint64_t hash = hash_of(key);
	struct map_slot *s = find_slot(m, key, hash);
	if (s) {
		void *old = s->value;
		s->value = value;
		return old;
	}
	if ((m->used + 1) * 4 > m->cap * 3)
		resize(m);
	insert(m, (struct map_slot){ str_dup(key), key.len, hash, value });
	return NULL;
}

void *map_remove(struct map *m, struct str key)
{
	struct map_slot *s = find_slot(m, key, hash_of(key));
	if (!s)
		return NULL;
	void *old = s->value;
	free(s->key);
	*s = (struct map_slot){ .value = &tombstone };
	m->count--;
	return old;
}

void *map_next(const struct map *m, size_t *i, struct str *ret_key)
{
	for (; *i < m->cap; ++*i) {
		struct map_slot *s = &m->slots[*i];
		if (!s->key)
			continue;
		if (ret_key)
			*ret_key = str_from_len(s->key, s->key_len);
		++*i;
		return s->value;
	}
	return NULL;
}
