/* SPDX-License-Identifier: Apache-2.0 */
/*
 * walk: everything below a directory, in the order of names, a directory before what is in it. By
 * descriptors: symbolic links are given, never followed; what is renamed meanwhile cannot lead the
 * walk elsewhere. Directories on file systems that files are not taken from are given and not
 * entered.
 *
 *	struct walk *w = walk_new(take_fd(&dir_fd), &(struct walk_limits){ .depth = 3 });
 *	while ((r = walk_next(w, &entry, err)) > 0)
 *		if (str_is(STR(".git"), entry.name))
 *			walk_skip(w);
 *	walk_free(w);
 */
#pragma once

#include "base/error.h"
#include "base/str.h"

#include <stdint.h>

enum { WALK_DEPTH_MAX = 256, WALK_NAMES_MAX = 64 * 1024 * 1024 };

struct walk_limits {
	int depth;       /* levels; 0: WALK_DEPTH_MAX */
	bool hidden;     /* also names that start with a dot */
	int64_t entries; /* an error beyond; 0: none but memory */
};

struct walk_entry {
	struct str path;    /* relative to where the walk began; valid until the next call */
	const char *name;   /* its last component */
	int dir_fd;         /* of the directory it is in */
	unsigned char type; /* DT_REG, DT_DIR, DT_LNK, ... */
	int depth;          /* 1: in the directory itself */
};

struct walk;

struct walk *walk_new(int dir_fd, const struct walk_limits *limits); /* takes dir_fd */
void walk_free(struct walk *w);
/* 1 with an entry, 0 at the end, -1 with an error. */
int walk_next(struct walk *w, struct walk_entry *ret, struct error *err);
/* Does not enter the directory that walk_next gave last. */
void walk_skip(struct walk *w);
/* How many directories were not entered for lack of permission, or as they lie too deep. */
int64_t walk_unread(const struct walk *w);
int64_t walk_visited(const struct walk *w);
