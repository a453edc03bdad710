/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image_actions: what building an image asks of an executor. They are the runtime's own: not in
 * action_table, so that no face offers them.
 *
 * gather gives the files that COPY and ADD choose beneath a directory, as a tar archive of what
 * they become beneath the destination, or tells just what they are: {"items":[{"path","kind"}],
 * "digest","bytes","entries"}; kind is file, directory or archive (a tar, which ADD unpacks). Two
 * sets of files have the same digest if they have the same names, types, permissions and contents;
 * dates do not matter.
 *
 * layer gives what was changed in a sandbox that keeps its layer (struct spec) as a layer of an
 * image, with its whiteouts: {"bytes","entries","file_bytes","foreign"}; foreign: how many entries
 * do not belong to root. For a snapshot it is looked through first, which adds {"owners":[…],
 * "parts":[{"level","owner"}]}, and then given part by part (executor/layer_owners.h).
 *
 * lay takes it in another sandbox, and makes its files: {"entries","written_bytes"}. It goes as a
 * crate (wire/crate.h), through a pipe that both calls came with.
 */
#pragma once

#include "action/action.h"

enum { GATHER_SOURCES_MAX = 256, GATHER_ITEMS_MAX = 10000 };

struct gather_params {
	struct str path;              /* the directory */
	struct field_strings sources; /* patterns of wire/ignore.h; "." is the directory itself */
	struct str ignore;            /* what a .dockerignore says */
	struct str name;              /* of the one file that is given; STR_NONE: its own */
	struct str mode;              /* octal, of all that is given; STR_NONE: their own */
	bool is_literal;              /* field "literal": the sources are no patterns */
	bool is_digest;               /* field "digest": tell, do not give */
};

struct layer_params {
	struct field_strings exclude; /* paths without a slash in front, with all beneath them */
	struct field_strings trees;   /* absolute */
	struct field_strings owners;
	int64_t level, owner;
	bool is_look; /* field "look" */
	bool is_last; /* field "last" */
};

struct lay_params {
	struct str path; /* is made, with what is missing on the way */
	int64_t max_bytes;
};

extern const struct action gather_action, lay_action, layer_action;
