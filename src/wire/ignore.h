/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ignore: the patterns of a .dockerignore file and of COPY's sources.
 *
 * A pattern is one of whole paths: "*" and "?" stand for characters but '/', "[a-z]" and "[^a-z]"
 * for one of a set, "\" takes the next character as it is, and "**" stands for any number of
 * directories. In a .dockerignore the last line that fits decides, "!" in front makes an exception,
 * and what a directory suffers all in it does
 * (https://docs.docker.com/build/concepts/context/#dockerignore-files).
 */
#pragma once

#include "base/arena.h"
#include "base/error.h"
#include "base/str.h"

enum { IGNORE_LINES_MAX = 4096, IGNORE_LINE_MAX = 4096 };

struct ignore_line {
	struct str pattern;
	bool is_exception;
};

struct ignore {
	struct ignore_line *lines;
	size_t n;
	bool has_exceptions; /* what is in an ignored directory may count nevertheless */
};

/* The lines point into the arena. */
int ignore_parse(struct str text, struct arena *arena, struct ignore *ret, struct error *err);
/* path: relative, without "." and "..". */
bool ignore_has(const struct ignore *ignore, struct str path);

bool pattern_fits(struct str pattern, struct str path);
bool pattern_is_plain(struct str pattern); /* nothing in it stands for anything else */
