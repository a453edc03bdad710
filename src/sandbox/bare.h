/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bare: a sandbox without isolation, as far as a spec is concerned: which wishes can be had on the
 * bare host (few), and the workspace, which is all there is of it. For the backends local and cli,
 * and `cay run`.
 */
#pragma once

#include "sandbox/spec.h"

#define BARE_WARNING                                                                     \
	"no isolation: commands run on this machine as this user, and can read, change " \
	"and send away whatever this user can"

/*
 * What would need a sandbox is ERROR_UNSUPPORTED. *ret_workspace is the source of the writable
 * mount onto the workdir, or NULL: a temporary one is wanted.
 */
int bare_check(const struct spec *spec, const char **ret_workspace, struct error *err);
/*
 * The absolute path of the workspace, on the heap: the given one resolved, or a new directory in
 * TMPDIR.
 */
int bare_workspace(const char *given, char **ret_path, struct error *err);
