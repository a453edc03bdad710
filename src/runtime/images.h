/* SPDX-License-Identifier: Apache-2.0 */
/*
 * images: root file systems that the server keeps, in DIR/images:
 *
 *	records/ID      what an image is: its layers, configuration and size, as JSON; ID is the sha256 of its
 *	                configuration (an image's own id, where it has one)
 *	names           {"NAME:TAG":"ID"} (runtime/image_names.h)
 *	cache/KEY       which layer a step of a build gave (runtime/image_cache.h)
 *	layers/SHA256   an unpacked layer, named by the digest of the archive it came in; shared by images
 *	layers/SHA256-ID  the same, whose files belong to that id in a sandbox: of a snapshot,
 *	              whose layers' names are drawn by lot
 *
 * A sandbox of an image has its layers as lower directories of an overlay: nothing is copied. All
 * files of a layer have one owner on the disk, whom nobody else is, and belong to root in a
 * sandbox, or to who its name says; set-id bits are gone.
 *
 * An archive is only ever unpacked by a worker in a sandbox of its own (runtime/import.h), and a
 * directory bears its name only once it is whole; a digest, if the bytes had that digest. Names and
 * records are replaced by a rename, so a server that is killed leaves no half image; what it was
 * unpacking is removed by the next.
 *
 * The image `host` is always there, and is a view of the machine's own tools. What was built from
 * it, or from a directory of the machine, is layers above that view: the machine's own files are
 * not copied.
 */
#pragma once

#include "runtime/image.h"
#include "runtime/runtime.h"

enum {
	IMAGES_MAX = 1024,
};

/*
 * Reads the records of DIR, a directory of the server's; `shown_dir` is how the supervisor is told
 * of it.
 */
int images_open(struct runtime *rt, const char *dir, struct images **ret, struct error *err);
void images_free(struct images *images);
/* Removes what a server that was killed was at, once nothing writes there any more. */
void images_sweep(struct images *images);

/* By "name", "name:tag", "sha256:ID", ID or at least 4 digits of one. */
struct image *images_find(struct images *images, struct str ref, struct error *err);
struct image *images_next(struct images *images, struct image *image); /* NULL: from the first */
/* size_t i = 0; while ((name = images_next_name(images, image, &i))) … "name:tag" */
const char *images_next_name(const struct images *images, const struct image *image, size_t *i);
/* How many living sandboxes are made of it. */
int images_users(struct images *images, const struct image *image);

int images_check_name(struct str name, struct error *err);
/* "name" is "name:latest". A name that another image had is taken from it. All of them or none. */
int images_tag(struct images *images, const struct image *image, const struct str *names, size_t n,
	struct error *err);
/*
 * Removes a name, also that of one that is damaged; with the last one, or by its id, the image,
 * unless a living sandbox is made of it. What of the layers nobody needs any more goes with it.
 * *ret_gone: the image is gone.
 */
int images_remove(struct images *images, struct str ref, bool is_forced, bool *ret_gone,
	struct error *err);
/* A sandbox of it has ended: one that is fleeting goes with the last. */
void images_release(struct images *images, const char *id);
/* Removes images that have no name and no sandbox, and layers of no image; how many of each. */
void images_collect(struct images *images, int64_t *ret_images, int64_t *ret_layers);
struct image_cache *images_cache(struct images *images);
/* Forgets what builds have cached, with the layers that no image needs; how much they held. */
int64_t images_drop_cache(struct images *images);
/*
 * create->image, looked up: its layers go into the spec, its variables in front of those asked for,
 * its WorkingDir in place of one not asked for. What is new is in `arena`.
 */
int images_apply(struct images *images, struct create *create, struct arena *arena,
	struct error *err);

/* For import.c and build.c. */
const char *images_layers_dir(const struct images *images);
bool images_has_layer(const struct images *images, const char *digest);
/* Before there is a new one (image_fresh.h). */
int images_mark_fresh(struct images *images, const char *digest, struct error *err);
/* While something is imported, layers of no image are not collected. */
void images_hold(struct images *images, bool is_held);
struct runtime *images_runtime(const struct images *images);
struct list *images_stagings(struct images *images); /* struct staging::link */
/*
 * The record of an image, and its names; what is there already stays. Where either cannot be
 * written, there is neither. Copies what `like` points to.
 */
int images_add(struct images *images, const char *id, const struct image *like,
	struct str config_json, const struct str *names, size_t n_names, struct image **ret,
	struct error *err);
/* rm -r of what is beneath the layers' directory, in a worker thread. */
void images_remove_dir(struct images *images, const char *name);
