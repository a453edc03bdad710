/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image_fresh: which layers may not be on the disk yet. A layer is some thousand files that a
 * sandbox wrote, and their names reach the disk before what is in them does: after a power cut a
 * layer could be there whose files are empty. So each is marked before it gets its name, and the
 * mark goes when the file system has been flushed, seconds later, in a worker that nobody waits
 * for. Who finds marks of an earlier boot has layers that were never finished.
 *
 * A mark is an empty file fresh-BOOT-DIGEST beside the layers. BOOT is the kernel's number of this
 * boot: a server that was killed alone leaves marks that the next one goes on with. What is small
 * and made otherwise, records and names, goes to the disk with the same flush.
 */
#pragma once

#include "event/loop.h"

struct image_fresh;

struct image_fresh_ops {
	/* From within image_fresh_open: a layer that an earlier boot left. */
	void (*lost)(void *arg, const char *digest);
	/* All that there was when it was last called for is on the disk. */
	void (*flushed)(void *arg);
};

/* layers_fd stays the caller's. */
struct image_fresh *image_fresh_open(struct loop *loop, int layers_fd,
	const struct image_fresh_ops *ops, void *arg);
/* NULL is fine. A flush that is under way goes on. */
void image_fresh_free(struct image_fresh *f);
/* Before the layer is there. */
int image_fresh_mark(struct image_fresh *f, const char *digest, struct error *err);
/* In seconds; for what is there already. */
void image_fresh_flush(struct image_fresh *f);
