/* SPDX-License-Identifier: Apache-2.0 */
/*
 * import: from a tar archive (plain, gzip, bzip2, xz, zstd) to images. The archive is a root file
 * system, what `docker save` writes, or an OCI layout; which one, it says itself.
 *
 * Nothing of it is parsed here but the JSON of its manifests and configurations: a sandbox without
 * network is made for each import, whose only door is a new directory beneath the layers'
 * directory, and a locked-in worker of its executor unpacks there: no name leads out, no device is
 * made, no link followed (executor/unpack.h). Every layer is hashed on its way, here, and must have
 * the digest that the archive claims for it.
 *
 *	struct import *in = import_new(images, &wish, &ops, arg);
 *	import_send(in, bytes); … import_eof(in);
 *
 * Exactly one of done and failed is called, after which it is gone; import_cancel ends it without.
 */
#pragma once

#include "runtime/images.h"

enum import_kind { IMPORT_ANY, IMPORT_TREE, IMPORT_ARCHIVE };

enum {
	IMPORT_RESULTS_MAX = 64, /* images in one archive */
	IMPORT_AT_ONCE = 4,
};

struct import_wish {
	enum import_kind kind;
	struct str name; /* of the image, where there is one; STR_NONE: what the archive says */
	struct str config_json; /* of a tree: Env, Cmd, …; STR_NONE: none */
	int64_t max_bytes;      /* of what comes out; 0: IMPORT_BYTES_STANDARD */
};

#define IMPORT_BYTES_STANDARD ((int64_t)32 << 30)

struct import_ops {
	void (*drain)(void *arg); /* takes more again */
	/* ids: of the images, in the order of the archive. */
	void (*done)(void *arg, const char *const *ids, size_t n);
	void (*failed)(void *arg, const struct error *err);
};

struct import;

struct import *import_new(struct images *images, const struct import_wish *wish,
	const struct import_ops *ops, void *arg);
void import_send(struct import *in, struct str bytes);
void import_eof(struct import *in);
bool import_is_full(const struct import *in);
void import_cancel(struct import *in); /* NULL is fine */
