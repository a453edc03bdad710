/* SPDX-License-Identifier: Apache-2.0 */
/*
 * haul: what a sandbox has changed becomes a directory of a staging. The action layer of the one
 * and the action lay of the other are performed at once, with a pipe between their workers: no byte
 * of it passes the executors, and none the server unless it is to be hashed.
 *
 * Who gives is the sandbox's, and not believed: what its files may be is decided by who takes, and
 * what a layer is called by the server alone: by the digest of what went through its own hands, or
 * by a name that nobody could have chosen.
 */
#pragma once

#include "runtime/runtime.h"
#include "wire/sha256.h"

struct haul;

struct haul_wish {
	struct sandbox *from, *to;
	struct str layer_json; /* parameters of the action layer */
	const char *path;      /* in `to`; is made */
	int64_t max_bytes;     /* of its files */
	bool is_hashed;
};

struct haul_result {
	char digest[SHA256_HEX_SIZE]; /* of all that went through; "": it was not hashed */
	int64_t entries, written_bytes, foreign; /* see action/image_actions.h */
};

struct haul_ops {
	/* The last of it has been read: what it was read from may be changed again. May be NULL. */
	void (*read)(void *arg);
	/* One of them is called, once, never from inside; the haul is gone then. */
	void (*done)(void *arg, const struct haul_result *result);
	void (*failed)(void *arg, const struct error *err);
};

/* NULL with *err, and then nothing is called. */
struct haul *haul_new(const struct haul_wish *wish, const struct haul_ops *ops, void *arg,
	struct error *err);
void haul_cancel(struct haul *h); /* NULL is fine */
