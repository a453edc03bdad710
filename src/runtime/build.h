/* SPDX-License-Identifier: Apache-2.0 */
/*
 * build: images from a Dockerfile and the files that belong to it, the context.
 *
 * The base is an image of the server, `host`, a directory of the machine (FROM /srv/rootfs), or
 * nothing (scratch). Each step that changes files runs in a sandbox of its own, with all locks on
 * and, unless it is asked for, without a network; what it changed becomes a layer. A layer is found
 * again by what it depends on: what is below it, what was done, and with which files
 * (runtime/image_cache.h).
 *
 *	struct build *b = build_new(images, &wish, &ops, arg);
 *	build_send(b, bytes); … build_eof(b);      the context, a tar archive, plain or compressed
 *
 * Exactly one of done and failed is called, never from within a call of build_*, after which it is
 * gone; build_cancel ends it without. A build that fails or is left leaves nothing but layers of
 * the steps that went well, in the cache.
 *
 * What is offered of a Dockerfile: docs/images.md. Files of an image belong to root, whatever a
 * step says.
 */
#pragma once

#include "runtime/images.h"

enum {
	BUILD_AT_ONCE = 4,
	BUILD_TAGS_MAX = 32,
	BUILD_STAGES_MAX = 32,
	BUILD_ARGS_MAX = 256,
	BUILD_STANDARD_MS = 3600 * 1000,
	BUILD_MAX_MS = 24 * 3600 * 1000,
};
#define BUILD_CONTEXT_BYTES ((int64_t)16 << 30)

struct build_wish {
	struct str dockerfile; /* its path in the context; STR_NONE: "Dockerfile" */
	struct str text;       /* what it says, in place of one in the context; STR_NONE: none */
	bool has_context;      /* build_send and build_eof follow */
	struct field_strings tags;
	struct field_map args, labels;
	struct str target;          /* the last stage to be built; STR_NONE: the last there is */
	struct str platform;        /* STR_NONE, or that of the machine; every other is refused */
	uint32_t network;           /* enum network_mode, of RUN */
	struct field_strings allow; /* of network proxy */
	bool no_cache;
	struct spec_limits limits; /* of each step; 0: those of BUILD_LIMITS */
	int64_t timeout_ms;        /* of it all; 0: BUILD_STANDARD_MS */
	int64_t max_bytes;         /* of the context and of each layer; 0: BUILD_CONTEXT_BYTES */
};

struct build_ops {
	void (*drain)(void *arg);                 /* takes more of the context again; may be NULL */
	void (*said)(void *arg, struct str text); /* as docker build prints it; may be NULL */
	void (*done)(void *arg, const struct image *image);
	void (*failed)(void *arg, const struct error *err);
};

struct build;

/* The wish is copied. How many are under way is limited: then it fails with ERROR_LIMIT. */
struct build *build_new(struct images *images, const struct build_wish *wish,
	const struct build_ops *ops, void *arg);
int build_count(void); /* under way; at most BUILD_AT_ONCE */
/* {"NAME":"value"} as faces send it; empty is none. What is null in it is left out. */
int build_map_from_json(struct str text, const char *what, struct arena *arena,
	struct field_map *ret, struct error *err);
void build_send(struct build *b, struct str bytes);
void build_eof(struct build *b);
bool build_is_full(const struct build *b);
/* Holds the output of what runs back, while whoever reads it is slower. */
void build_pause(struct build *b, bool is_paused);
void build_cancel(struct build *b); /* NULL is fine */
/* When a command has failed: its exit code, for who tells it; 0: it was something else. */
int build_exit_code(const struct build *b);
