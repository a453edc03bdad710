/* SPDX-License-Identifier: Apache-2.0 */
/* verbs: what the files that map actions offer to the table of verbs.c, and to each other. */
#pragma once

#include "runtime/remote/site.h"

extern const struct far_verb far_browse, far_cell, far_configure, far_download, far_edit, far_exec,
	far_info, far_list, far_mkdir, far_move, far_read, far_remove, far_run, far_stat,
	far_upload, far_write;

void far_send(struct far *far, uint8_t channel, struct str bytes);
/*
 * Of an exec that has ended: its output, both streams as one, and its exit code; -1: it was killed
 * at its timeout.
 */
void far_finish_exec(struct far *far, struct str output, int64_t code, bool is_tty);
/* Lines first to last, from 1; last -1: to the end. */
struct str far_cut_lines(struct str text, int64_t first, int64_t last);

/* A shell command that gives a piece of a file in base64, and what came of it: appended to b. */
void far_put_piece(struct buf *b, const char *path, int64_t offset, int64_t size);
int far_take_piece(const struct far *far, const struct json *observation, const char *path,
	struct buf *b, struct error *err);

/*
 * A shell command that packs a path into a tar archive: of a directory what is in it, or all of it
 * under a name; of a file that file. It ends with 66 if there is none.
 */
void far_put_pack(struct buf *b, const char *path, struct str prefix, const char *file);
/* Of such an archive; none at all can. */
bool far_can_be_prefix(struct str prefix);

/* Puts bytes that are all there into a file, whatever its name is. mode: octal, or STR_NONE. */
void far_put_file(struct far *far, const char *path, struct str bytes, struct str mode,
	far_fn *then);
void far_drop_upload(struct far *far);
