/* SPDX-License-Identifier: Apache-2.0 */
/*
 * run_bare: `cay run --backend local`: a command on the bare host, and the end of all that it
 * started.
 */
#pragma once

#include "cli/options.h"
#include "sandbox/spec.h"

/* The exit status, or -1. *ret_is_command: the command itself could not be started. */
int run_bare(const struct run_options *o, const struct spec *spec, char *const *argv,
	bool *ret_is_command, struct error *err);
