/* SPDX-License-Identifier: Apache-2.0 */
/*
 * line: the server's side of wire/dial.h for one sandbox. Its directory, which only the server may
 * open, holds
 *
 *	run/socket     while the executor is waited for; `run` is what the container sees, read-only
 *	secret         what the executor shows when it comes again
 *
 * Callbacks come from the loop, at most one of ready and failed, and after ready at most one lost;
 * they may free the line. Private to runtime/engine.
 */
#pragma once

#include "base/error.h"
#include "base/str.h"

#include <stdint.h>

struct line;
struct loop;

struct line_ops {
	void (*ready)(void *arg, uint32_t uid, uint32_t gid);
	void (*failed)(void *arg, const struct error *err);
	void (*lost)(void *arg); /* the executor has ended */
};

/* dir: made, if is_new; else the secret in it is what the executor has to show. */
int line_new(struct loop *loop, const char *dir, bool is_new, const struct line_ops *ops, void *arg,
	struct line **ret, struct error *err);
void line_free(struct line *l); /* NULL is fine; the directory stays */
/* Hands one end of a call socket to the executor; while that is waited for, it waits, too. */
int line_open_call(struct line *l, int *ret_fd, struct error *err);
