/* SPDX-License-Identifier: Apache-2.0 */
/*
 * prepare: a workspace made ready in a sandbox that is: a repository cloned or made, its setup
 * script run in the main session, whose variables stay, and its hook installed. A gate is asked
 * about the script as about any `run`. What the script comes to is no failure of ours: it is told.
 */
#pragma once

#include "runtime/git.h"

struct runtime;
struct prepare;

enum { PREPARE_SETUP_MS = 600000 };

struct prepare_wish {
	bool clones;
	struct git_clone clone;
	bool inits;
};

/*
 * {"repository":{…},"setup":{"exit_code","output"}|null,"hook":…}; everything in the wish is copied
 * or used at once.
 */
struct prepare *prepare_start(struct sandbox *s, const struct prepare_wish *wish, git_fn *done,
	void *arg);
/* Only the scripts of a repository that is there: setup.sh and the hook. */
struct prepare *prepare_setup(struct sandbox *s, struct str directory, git_fn *done, void *arg);
void prepare_cancel(struct prepare *p); /* NULL is fine */
