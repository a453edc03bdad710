/* SPDX-License-Identifier: Apache-2.0 */
/* judges: what rules.c asks about one parameter. Each sets bits of rules; none takes one back. */
#pragma once

#include "base/arena.h"
#include "guard/rules.h"
#include "guard/shell.h"

enum {
	JUDGE_TEXT_MAX = SHELL_TEXT_MAX,
	JUDGE_WORDS_MAX = 65536,
	JUDGE_ARENA_MAX = 3 * SHELL_ARENA_MAX
};

struct judging {
	struct arena *arena;
	uint64_t rules;
	int depth; /* of code in commands in code */
};

enum path_use { PATH_READ, PATH_WRITE, PATH_REMOVE };

static inline void judge_hit(struct judging *j, enum rule rule)
{
	j->rules |= 1ull << rule;
}

void judge_shell(struct judging *j, struct str text);
void judge_program(struct judging *j, const struct str *argv, size_t n, bool has_stdin);
void judge_path(struct judging *j, struct str raw, enum path_use use);
void judge_url(struct judging *j, struct str url);
/* Calls as the action browse takes them. */
void judge_browser(struct judging *j, struct str program);
/* A word that may name the socket of a container engine. */
void judge_socket(struct judging *j, struct str word);
/* Python, and what IPython takes besides. */
void judge_code(struct judging *j, struct str text);

/* shell_path, or "" with RULE_TOO_LARGE where there is no room for it. */
struct str judge_clean(struct judging *j, struct str path);
/* Of a path as shell_path gives it. */
bool path_is_secret(struct str path);
bool path_is_whole(struct str path); /* a root, home or system directory, or all in it */
