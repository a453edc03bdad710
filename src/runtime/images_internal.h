/* SPDX-License-Identifier: Apache-2.0 */
/* images_internal: what images.c (what there is) and images_collect.c (what goes) share. */
#pragma once

#include "runtime/images.h"

struct images {
	struct runtime *rt;
	char *dir, *layers_dir;
	int layers_fd, records_fd, dir_fd;
	struct image_cache *cache;
	struct image_fresh *fresh;
	struct list all, stagings;
	size_t n;
	struct image_names *names;
	int n_held;
	char **unfinished; /* directories that a server before us was at */
	size_t n_unfinished;
};

/* By the whole of its id, or by a beginning of it that no other has; or NULL. */
struct image *images_find_id(struct images *images, struct str id);
void images_each_entry(int dir_fd, struct images *images,
	void (*fn)(struct images *images, const char *name));

/* The record of an image, and all else of it but its layers. It is freed. */
int images_forget(struct images *images, struct image *image, struct error *err);
/* Layers that nobody needs, unless somebody holds them; how many. */
int64_t images_collect_layers(struct images *images);
/* Fleeting ones that nobody uses. */
void images_release_all(struct images *images);
