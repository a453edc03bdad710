/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image_names: what images are called, in DIR/images: `names`, {"NAME:TAG":"ID"}, replaced by a
 * rename at each change, so that a server that is killed leaves the old or the new one. A power cut
 * may leave nothing of what was written last: `names.old` is, once there has been one, the last
 * that had been flushed to the disk (image_fresh.h), and counts where `names` is no JSON.
 *
 * A change that cannot be written has not been made. A name whose image is damaged stays, so that
 * who asks for it hears that it was there, until it is given to another one or removed.
 */
#pragma once

#include "runtime/image.h"

enum {
	IMAGE_NAMES_MAX = 4096,
	IMAGE_NAME_MAX = 255,
	IMAGE_NAME_BUF = IMAGE_NAME_MAX + 32,
};

struct image_names;

/* dir_fd stays the caller's. Nothing is read yet. */
struct image_names *image_names_new(int dir_fd);
void image_names_free(struct image_names *names); /* NULL is fine; the files stay */
/* find(arg, id): NULL is an image that is not there, or damaged. */
void image_names_load(struct image_names *names, struct image *(*find)(void *arg, struct str id),
	void *arg);

/* "NAME:TAG", without the registry that Docker would ask; b is empty. */
int image_names_full(struct str name, struct buf *b, struct error *err);

struct image *image_names_find(const struct image_names *names, struct str full);
/* The id of the damaged image that is called that, or NULL. */
const char *image_names_lost(const struct image_names *names, struct str full);
bool image_names_has_lost(const struct image_names *names, const char *id);
/* size_t i = 0; while ((name = image_names_next(names, image, &i))) … "name:tag" */
const char *image_names_next(const struct image_names *names, const struct image *image, size_t *i);
int image_names_count(const struct image_names *names, const struct image *image);

/* One that is there without being written: of what is not on disk. */
void image_names_fix(struct image_names *names, struct str full, struct image *image);
/* All of them or none. NULL: nobody is called that any more, damaged or not. */
int image_names_set(struct image_names *names, const struct str *fulls, size_t n,
	struct image *image, struct error *err);
/*
 * An image goes, with all that it is called. Where the disk is full, and that is why, the names go
 * from the file with the next change: image_names_flushed looks after that, too.
 */
void image_names_drop(struct image_names *names, const struct image *image);

/* Whatever was written is on the disk. True: and something was written just now, which is not. */
bool image_names_flushed(struct image_names *names);
