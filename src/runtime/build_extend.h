/* SPDX-License-Identifier: Apache-2.0 */
/*
 * build_extend: an image from another one and shell commands that add what is missing, under names
 * that hold a digest of both, as OpenHands' builder of runtime images names them:
 *
 *	REPOSITORY:cay_vVERSION_BASE    the newest that was made of that base; "/" is "_s_", ":" is "_t_"
 *	REPOSITORY:cay_vVERSION_DIGEST  of the base's id, the commands and the arguments: the same is built once
 */
#pragma once

#include "runtime/build.h"

#define BUILD_REPOSITORY "cay/extended"

enum { TAG_HASH_SIZE = 17, BUILD_EXTRAS_MAX = 64 };

/* A digest in hex as a number in base 36, the lowest digit first, cut at 16 digits. */
void tag_hash(struct str hex, char ret[TAG_HASH_SIZE]);

struct extend_base {
	struct str name; /* as its user calls it */
	struct str from; /* as FROM shall */
	struct str id;   /* what it is by now */
	struct str user; /* who its programs run as; STR_NONE: root */
};

/* Fills text and tags of the wish, from `arena`; its args and labels are set already. */
int extend_plan(const struct extend_base *base, const struct field_strings *commands,
	struct arena *arena, struct build_wish *wish, struct error *err);

/*
 * The same for an image of the server, by any of its names. *ret_there: it is there already under
 * the name with the digest, and need not be built; NULL: not.
 */
int build_extend(struct images *images, struct str base, const struct field_strings *commands,
	struct arena *arena, struct build_wish *wish, struct image **ret_there, struct error *err);
