/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image_cache: which layer a step of a build has given, so that it need not be done again. A key
 * says all that the layer depends on: what is below, what was done, with which files.
 *
 * One file for each key beneath DIR/images/cache. What is cached keeps its layer, up to so many and
 * so much; then those that were of use the longest time ago go.
 */
#pragma once

#include "base/error.h"
#include "base/str.h"

#include <stdint.h>

enum { IMAGE_CACHE_MAX = 1000 };
#define IMAGE_CACHE_BYTES ((int64_t)20 << 30)

struct image_cache;

/* dir_fd stays the caller's. What cannot be read is forgotten. */
struct image_cache *image_cache_open(int dir_fd);
void image_cache_free(struct image_cache *c); /* NULL is fine; the files stay */
/* The digest of the layer, or NULL; *ret_bytes is its size. */
const char *image_cache_find(struct image_cache *c, const char *key, int64_t *ret_bytes);
void image_cache_put(struct image_cache *c, const char *key, const char *layer, int64_t bytes);
bool image_cache_needs(const struct image_cache *c, const char *layer);
void image_cache_drop(struct image_cache *c, const char *key);
/* Forgets everything; how much the layers held. */
int64_t image_cache_clear(struct image_cache *c);
int64_t image_cache_bytes(const struct image_cache *c);
