/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wish: what the options say about a sandbox, as a struct spec (`cay run`) or as the pieces that a
 * request is made of (`cay create`). Relative paths of the host become absolute here, where the
 * caller is.
 */
#pragma once

#include "base/str.h"
#include "cli/options.h"
#include "sandbox/spec.h"

/* Everything but the id. Does not run spec_check. */
int wish_spec(const struct spec_options *o, struct spec *ret, struct error *err);

/* "host" gives "", a directory its absolute path. */
int wish_image(const char *text, char ret_path[SPEC_PATH_SIZE], struct error *err);
/* Every --mount, and --workspace as the last one. */
int wish_mounts(const struct spec_options *o, struct spec_mount ret[SPEC_MOUNTS_MAX],
	struct error *err);
const char *wish_mode_word(enum mount_mode mode); /* "ro" */
/*
 * NAME=VALUE. A NAME alone takes the value from this program's environment: STR_NONE if there is
 * none.
 */
int wish_variable(const char *text, struct str *ret_name, struct str *ret_value, struct error *err);
