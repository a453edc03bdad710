/* SPDX-License-Identifier: Apache-2.0 */
/*
 * leftover: what is in the state directory of a server that is not there any more and is of use to
 * nobody: layers that were being made, layers that no image and no cached step of a build names,
 * files that were not written to their end. A server looks for the same when it starts; here it is
 * for who wants to know, or has no server any more. And which images are damaged.
 *
 * The directory is a server's, which need not be honest with who looks: nothing is followed, waited
 * for or shown that such a server could have chosen.
 */
#pragma once

#include "base/buf.h"
#include "base/error.h"

/*
 * found(ctx, path) for each. A directory that is not there, or that somebody has open, has none:
 * what a server that runs is at is no leftover.
 */
int leftover_sweep(const char *state_dir, bool is_dry_run,
	void (*found)(void *ctx, const char *what), void *ctx, struct error *err);

/* Of an image that is damaged. */
#define IMAGE_WORDS_OF_LOSS "its record or a layer is missing; import or build it again"

/* The half-written files of one directory alone. */
int leftover_sweep_files(int dir_fd, const char *shown, bool is_dry_run,
	void (*found)(void *ctx, const char *what), void *ctx, struct error *err);

/*
 * damaged(ctx, id, name) for each image whose record cannot be read or that lacks a layer; name:
 * one that it has, or "". Returns how many others there are, but for `host`.
 */
int leftover_look(const char *state_dir,
	void (*damaged)(void *ctx, const char *id, const char *name), void *ctx, struct error *err);
