/* SPDX-License-Identifier: Apache-2.0 */
/*
 * grep: the lines of a file that match, with lines around them, in memory that depends on neither
 * the file's length nor its lines': GREP_LINE_MAX bytes of each line are searched and
 * GREP_SHOWN_MAX given.
 */
#pragma once

#include "base/buf.h"
#include "base/error.h"

#include <stdint.h>

enum {
	GREP_LINE_MAX = 1024 * 1024,
	GREP_SHOWN_MAX = 2000,
	GREP_CONTEXT_MAX = 20,
	GREP_PATTERN_MAX = 4096
};

struct grep_pattern;

/* A POSIX extended regular expression, or plain text. ERROR_INVALID says what is wrong with it. */
int grep_compile(struct str pattern, bool is_fixed, bool ignore_case, struct grep_pattern **ret,
	struct error *err);
void grep_free(struct grep_pattern *p);
/* line: without its newline, in a buffer with a NUL somewhere behind. */
bool grep_matches(const struct grep_pattern *p, const char *line, size_t len);

/* One match with its neighbours; a line is shown once, also where two matches are close. */
struct grep_match {
	int64_t line;
	struct str text;
	struct str before[GREP_CONTEXT_MAX];
	int n_before;
};
struct grep_events {
	/* False: enough. */
	bool (*on_match)(void *arg, const struct grep_match *m);
	/* A line of the context after the last match. */
	void (*on_after)(void *arg, struct str line);
	/* The last match has all its context. */
	void (*on_match_end)(void *arg);
};

enum grep_outcome { GREP_DONE, GREP_BINARY, GREP_STOPPED, GREP_FAILED };

/* Reads from fd to the end. A NUL in the first 8 KiB makes it binary. */
enum grep_outcome grep_file(struct grep_pattern *p, int fd, int context,
	const struct grep_events *events, void *arg);
