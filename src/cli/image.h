/* SPDX-License-Identifier: Apache-2.0 */
/* image: what the files of `cay image` share. */
#pragma once

#include "cli/options.h"
#include "cli/remote.h"
#include "cli/tree.h"

#include <sys/types.h>

enum { IMAGE_PATH_MAX = 8192 };

struct image_call {
	struct remote server;
	const struct image_options *options;
	const char *const *args; /* behind the verb */
	int n_args;
};

/* The directory as a stream of tar, made by a child. */
int image_start_pack(int dir_fd, const struct tree_how *how, int *ret_fd, pid_t *ret_pid,
	struct error *err);

/* image_build.c */
int image_build(struct image_call *c, struct error *err);
int image_extend(struct image_call *c, struct error *err);
int image_clear_cache(struct image_call *c, struct error *err);
