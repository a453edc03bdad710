/* SPDX-License-Identifier: Apache-2.0 */
/*
 * out: results on standard output and what a program in a sandbox wrote, on whatever 1 and 2 are.
 *
 * A reader that went away (`cay events | head`) ends the program as SIGPIPE does.
 */
#pragma once

#include "base/buf.h"
#include "base/error.h"
#include "cli/clean.h"

/* Bytes as they come, cleaned if fd is a terminal. */
struct out {
	int fd;
	bool is_clean;
	size_t n_held; /* bytes of a character or sequence that is not whole yet */
	char held[CLEAN_HOLD_MAX];
};

void out_init(struct out *o, int fd, bool is_raw);
int out_write(struct out *o, struct str bytes, struct error *err);
int out_end(struct out *o, struct error *err); /* writes what is held */

/* Ends this process as SIGPIPE does, if that errno of a write says that nobody reads any more. */
void out_heed_pipe(int sys);

/*
 * Text of ours, or JSON, to standard output; cleaned if that is a terminal: JSON lets some control
 * characters be.
 */
int out_text(struct str text, struct error *err);
/* The same and a line feed. */
int out_line(struct str text, struct error *err);

/* One line `cay: …` to standard error, cleaned: what it quotes may be a stranger's. */
void out_note(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/*
 * Columns that fit what is in them. Cells are cleaned; the last column is not padded.
 *
 *	struct out_table t = { .n_columns = 2, .headings = { "ID", "STATE" } };
 *	out_cell(&t, str_from(id)); out_cell(&t, STR("ready")); …
 *	return out_table_end(&t, err);
 */
enum { OUT_COLUMNS_MAX = 10, OUT_CELL_MAX = 256 };

struct out_table {
	int n_columns;
	const char *headings[OUT_COLUMNS_MAX];
	char **cells; /* heap; row by row */
	size_t n_cells, room;
};

void out_cell(struct out_table *t, struct str text); /* cut at OUT_CELL_MAX bytes; "" becomes "-" */
int out_table_end(struct out_table *t, struct error *err); /* prints, and frees */
void out_table_drop(struct out_table *t);                  /* frees */

/* "1.5 GiB"; "-" for a negative number. */
void out_put_size(struct buf *b, int64_t bytes);
/* "2 h 5 min", "3.4 s", "12 ms" */
void out_put_duration(struct buf *b, int64_t ms);
