/* SPDX-License-Identifier: Apache-2.0 */
/*
 * file_actions: parameters of the file group (read write append edit list stat mkdir remove move
 * glob grep upload download), as action_decode fills them. The rows are in file_actions.c, what
 * they do is in executor/.
 *
 * All paths are the sandbox's own. A relative one starts at `cwd`, which itself starts at the
 * configured working directory. "..", symbolic links and absolute links are followed as a process
 * inside would see them; nothing leads out of the sandbox's root.
 */
#pragma once

#include "action/action.h"

extern const struct action read_action, write_action, append_action, edit_action, list_action,
	stat_action, mkdir_action, remove_action, move_action, glob_action, grep_action,
	upload_action, download_action, watch_action;

/* First in each params struct, so that all verbs find their path the same way. */
struct file_where {
	struct str path;
	struct str cwd; /* STR_NONE: the configured working directory */
};

struct read_params {
	struct file_where where;
	struct str encoding; /* text, base64 */
	int64_t start_line;  /* from 1; 0: by bytes */
	int64_t end_line;    /* inclusive; -1: to the end */
	int64_t offset;
	int64_t max_bytes;
};

struct write_params { /* write and append */
	struct file_where where;
	struct str content;
	struct str encoding;
	struct str mode;     /* octal; STR_NONE: what the file has, 0644 for a new one */
	struct str new_mode; /* octal; of a new one in place of 0644 */
	bool create_parents;
	bool exclusive;
};

struct edit_params {
	struct file_where where;
	struct str command;
	struct str file_text, old_str, new_str; /* STR_NONE: absent */
	const struct json *insert_line;         /* an integer */
	const struct json *view_range;          /* [first, last] */
	struct str newlines;                    /* keep, lf */
	struct str diff_style;                  /* patch, bare */
	int64_t diff_context;
	bool absolute_only;
};

struct list_params {
	struct file_where where;
	struct str after;
	struct str xattrs; /* how the names of those that are told begin; STR_NONE: none */
	int64_t depth;
	int64_t limit;
	bool hidden;
	bool names;
};

struct stat_params {
	struct file_where where;
	struct str xattrs;
	bool follow;
};

struct mkdir_params {
	struct file_where where;
	struct str mode;
	bool parents;
};

struct remove_params {
	struct file_where where;
	bool recursive;
	bool missing_ok;
};

struct move_params {
	struct file_where where;
	struct str to;
	bool overwrite;
	bool create_parents;
};

struct glob_params {
	struct file_where where;
	struct str pattern;
	struct str type; /* any, file, directory */
	int64_t limit;
	bool hidden;
};

struct grep_params {
	struct file_where where;
	struct str pattern;
	struct field_strings include, exclude;
	int64_t context;
	int64_t max_matches;
	bool fixed;
	bool ignore_case;
	bool hidden;
};

struct upload_params {
	struct file_where where;
	struct str kind; /* file, tar, zip */
	struct str mode;
	struct field_map xattrs;
	bool create_parents;
	bool layer;
	int64_t max_bytes; /* 0: any */
	struct str from;   /* STR_NONE: what comes as data */
};

struct download_params {
	struct file_where where;
	struct str format;      /* raw, tar, zip */
	struct str prefix;      /* STR_NONE: none */
	int64_t offset, length; /* of raw; length -1: to the end */
};

enum {
	WATCHES_MAX = 16,      /* in one sandbox */
	WATCH_DIRS_MAX = 4096, /* of one */
};

struct watch_params {
	struct file_where where;
	struct str xattrs;
	bool recursive;
	bool entries;
};
