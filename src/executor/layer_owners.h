/* SPDX-License-Identifier: Apache-2.0 */
/*
 * layer_owners: files of several owners as layers of one owner each.
 *
 * All files of a layer have one owner on the disk, and one in a sandbox (runtime/images.h). A
 * merged directory looks as the topmost layer has it that has it at all. So what was changed is
 * divided by how often the owner changes on the way from "/", which is root's, to a name: level 0
 * is root's and lies on top, level 1 is of those whose files lie in directories of root's, and so
 * on. No layer then has a directory of which a lower one knows the owner better: a directory of
 * level n is there in layers of level n and, as a way to something, in lower ones.
 */
#pragma once

#include "base/error.h"

#include <stdint.h>

enum {
	LAYER_UIDS_MAX = 6, /* owners beside root; what others have becomes root's */
	LAYER_PARTS_MAX = 12,
};

struct layer_part {
	int level;
	uint32_t uid;
};

struct layer_owners {
	uint32_t uids[LAYER_UIDS_MAX];
	int n_uids;
	bool is_closed; /* uids are all there are */
	struct layer_part parts[LAYER_PARTS_MAX];
	int n_parts;
};

/* Where a name belongs whose owner is uid, in a directory of `above`. */
struct layer_part layer_below(struct layer_owners *o, struct layer_part above, uint32_t uid);
/* Remembers that there is something of it. ERROR_LIMIT: they are too many. */
int layer_note(struct layer_owners *o, struct layer_part part, struct error *err);
