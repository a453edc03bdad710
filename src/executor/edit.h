/* SPDX-License-Identifier: Apache-2.0 */
/*
 * edit: the editor's commands on a text in memory; no file is touched. The words that an agent is
 * shown are those of OpenHands' editor, so that every face shows the same.
 *
 * What the editor refuses is an outcome, not an error: `failure` says which kind, `text` the
 * sentence.
 */
#pragma once

#include "base/buf.h"

#include <stdint.h>

enum {
	EDIT_FILE_MAX = 10 * 1024 * 1024,
	EDIT_OUTPUT_CHARS = 16000,
	EDIT_CONTEXT_LINES = 4,
	EDIT_TEXT_MAX = 3 * EDIT_FILE_MAX, /* a decoded text with what is put in */
	EDIT_LINES_MAX = 10000,            /* line numbers listed */
};

struct edit_outcome {
	const char *failure; /* NULL: done; else a word of the action's `failure` */
	struct buf text;     /* what an agent is shown */
	struct buf after;    /* the new text, if has_after */
	bool has_after;
	int64_t *lines; /* where old_str begins, ascending, each once */
	size_t n_lines;
	int64_t snippet_line; /* number of its first line; 0: there is none */
	struct str snippet;   /* in `after` */
};

void edit_outcome_init(struct edit_outcome *o);
void edit_outcome_fini(struct edit_outcome *o);

/* Sets failure and text. `kind` is a literal. */
void edit_fail(struct edit_outcome *o, const char *kind, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* Appends "Here's the result of running `cat -n` on WHAT:" and the numbered, bounded text. */
void edit_put_numbered(struct buf *out, struct str text, const char *what, int64_t first_line);
/* Cuts a text to EDIT_OUTPUT_CHARS characters and says so with the notice. */
void edit_put_bounded(struct buf *out, struct str text, const char *notice);

/* The whole text, or lines first ... last if first is not 0 (last -1: to the end). */
void edit_view(struct edit_outcome *o, const char *path, struct str text);
void edit_view_range(struct edit_outcome *o, const char *path, struct str text, int64_t first,
	int64_t last);
void edit_str_replace(struct edit_outcome *o, const char *path, struct str text, struct str old_str,
	struct str new_str);
void edit_insert(struct edit_outcome *o, const char *path, struct str text, int64_t line,
	struct str new_str);
/* Reports that `text` was put back. */
void edit_undone(struct edit_outcome *o, const char *path, struct str text);
