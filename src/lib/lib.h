/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lib: what the files of libcay share. A struct cay is a loop with a runtime on it, over the
 * backend that was chosen: the same core that the server runs. What waits runs the loop until its
 * answer is there.
 */
#pragma once

#include <cay/cay.h>

#include "base/error.h"
#include "runtime/runtime.h"

struct cay {
	struct loop *loop;
	struct runtime *runtime;
	char *state_dir;
	bool is_temporary; /* state_dir goes with us */
	bool is_ending;    /* the sandboxes end with us */
	bool is_turning;   /* the loop runs: a callback may be on the stack */
	struct cay_options options;
	struct error lost; /* ERROR_OK: it is not */
};

/* For an answer that is waited for: `done` and one of the others are set by a callback. */
struct wait {
	bool is_done;
	struct error error; /* ERROR_OK: it went well */
	char *text;
};

/* -1 at once if a callback asks. Runs the loop until w->is_done. */
int lib_wait(struct cay *cay, struct wait *w, struct error *err);
void lib_turn(struct cay *cay, bool waits);
struct sandbox *lib_find(struct cay *cay, const char *key, struct error *err);
/* Fills the public struct, if there is one, and is -1. */
int lib_fail(struct cay_error *ret, const struct error *err);
/* A runtime_done_fn over a struct wait. */
void lib_on_done(void *arg, const struct error *err);
