/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shell: a command line taken apart as far as judging it needs: which programs it would run, with
 * which words, reading what from whom. What stands in quotes is a word and no command: `echo "rm
 * -rf /"` removes nothing. What would be run is found wherever it stands: in lists, pipelines,
 * substitutions, `sh -c`, `eval`, `find -exec`, heredocs of a shell, behind sudo, env, timeout or
 * xargs.
 *
 * It is no shell: globs are not expanded, and only variables assigned in the same text, HOME and ~
 * are known. A text beyond the ceilings sets is_cut: who judges must not take the rest for
 * harmless.
 */
#pragma once

#include "base/arena.h"

enum {
	SHELL_TEXT_MAX = 1024 * 1024,
	SHELL_COMMANDS_MAX = 4096,
	SHELL_WORDS_MAX = 4096,
	SHELL_DEPTH_MAX = 12,
	SHELL_PATH_MAX = 4096,
	SHELL_ARENA_MAX = 32 * 1024 * 1024,
};

struct shell_word {
	struct str text;      /* unquoted; "$HOME" and "~" at its start are "~" */
	int sub_from, sub_to; /* commands[from..to) are substituted into it */
};

struct shell_command {
	struct shell_word *words; /* from the program's name on: prefixes are taken off */
	int n_words;
	struct str name;            /* without its directory; "" for none */
	struct str here;            /* heredoc or here-string; STR_NONE if there is none */
	struct str *writes, *reads; /* targets of redirections */
	int n_writes, n_reads;
	int fed_by; /* the command whose output it reads; -1 */
	bool is_sudo, is_background;
	bool is_by_xargs; /* its last words come from its input */
};

struct shell_script {
	struct arena *arena;
	struct shell_command *commands;
	int n, room;
	bool is_cut;
	bool defines_bomb; /* a function that pipes into itself in the background */
};

void shell_parse(struct str text, struct arena *arena, struct shell_script *ret);
/* One program with its arguments, not typed but executed. */
void shell_take_argv(const struct str *argv, size_t n, struct arena *arena,
	struct shell_script *ret);
/* Whether it runs a shell. */
bool shell_is_shell(struct str name);
/*
 * Without "//", "/./", "/x/..", a final slash; HOME and /root and /home/x at its start become "~".
 * NUL-terminated; "" for what is too long to be a path.
 */
struct str shell_path(struct arena *arena, struct str path);
