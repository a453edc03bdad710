/* SPDX-License-Identifier: Apache-2.0 */
/*
 * staging: a place where layers of images are made: a new directory beneath the layers' directory,
 * and a sandbox without network whose only door it is, as /image. What is whole there gets its
 * digest as its name; what is left goes with the staging, or with the next server.
 *
 *	struct staging *st = staging_open(images, "image import", timeout_ms, on_open, arg);
 *	…
 *	staging_keep(st, "layer-0", digest, err);
 *	staging_close(st);
 */
#pragma once

#include "runtime/images.h"

/*
 * The label of sandboxes that are the runtime's own; they do not outlive the server that made them.
 */
#define STAGING_LABEL "cay.role"

#define STAGING_DIR   "/image" /* as its sandbox sees it */

struct staging;

/*
 * err NULL: the sandbox is there; staging_sandbox gives it. Not called any more after
 * staging_close.
 */
typedef void staging_fn(void *arg, const struct error *err);

/* role: the label cay.role of its sandbox. Meanwhile no layer is collected. */
struct staging *staging_open(struct images *images, const char *role, int64_t timeout_ms,
	staging_fn *done, void *arg);
/* At any time; NULL is fine. Calls into its sandbox are to be cancelled before. */
void staging_close(struct staging *st);
/* Of a server that ends: those that wait for their sandboxes. The next one removes what is left. */
void staging_forget_all(struct list *stagings);
/* NULL: it is gone, with the reason. */
struct sandbox *staging_sandbox(const struct staging *st, struct error *err);
/* A directory of it becomes the layer of that digest; one that is there already is the same. */
int staging_keep(const struct staging *st, const char *dir, const char *digest, struct error *err);
