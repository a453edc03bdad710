/* SPDX-License-Identifier: Apache-2.0 */
/*
 * edit_history: earlier texts of edited files, to undo. At most EDIT_UNDO_MAX per path and
 * EDIT_HISTORY_BYTES in all: beyond that the oldest, of whatever file, is forgotten.
 */
#pragma once

#include "base/list.h"
#include "base/map.h"
#include "base/str.h"

enum { EDIT_UNDO_MAX = 10, EDIT_HISTORY_BYTES = 64 * 1024 * 1024, EDIT_HISTORY_FILES = 4096 };

struct edit_history {
	struct map files;  /* path: struct edit_past */
	struct list texts; /* edit_text::link_all, oldest first */
	size_t bytes;
};

void edit_history_init(struct edit_history *h);
void edit_history_fini(struct edit_history *h);
void edit_history_push(struct edit_history *h, struct str path, struct str text);
/* The latest text, heap, or NULL; *ret_len bytes. */
char *edit_history_pop(struct edit_history *h, struct str path, size_t *ret_len);
