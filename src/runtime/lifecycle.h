/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lifecycle: the life of a sandbox as one table, [state][what happens] → {next state, deed}. It
 * knows no sandbox: runtime.c looks up what to do and does it. A pair that is not in the table
 * cannot happen by what a caller does (lifecycle_find gives NULL and the caller is refused).
 */
#pragma once

#include "base/buf.h"

enum sandbox_state {
#define STATE(name, word, text) SANDBOX_##name,
#include "runtime/lifecycle.def"
	SANDBOX_STATE_MAX,
};

enum life {
#define LIFE(name, word, text) LIFE_##name,
#include "runtime/lifecycle.def"
	LIFE_MAX,
};

enum deed {
#define DEED(name, word, text) DEED_##name,
#include "runtime/lifecycle.def"
	DEED_MAX,
};

struct life_step {
	enum sandbox_state next;
	enum deed deed;
	bool is_possible;
};

const struct life_step *lifecycle_find(enum sandbox_state state,
	enum life what);                                  /* NULL: not possible */
const char *sandbox_state_name(enum sandbox_state state); /* "ready" */
bool sandbox_state_from_name(struct str name, enum sandbox_state *ret);
bool sandbox_state_is_final(enum sandbox_state state); /* stopped, ended, failed */
/* Appends docs/lifecycle.md. */
void lifecycle_print(struct buf *b);
