/* SPDX-License-Identifier: Apache-2.0 */
/* run: `cay run`, one command in a sandbox of its own, without a server. */
#pragma once

#include "cli/command.h"

/*
 * The command's exit status, 128 + N for signal N; 125 our own failure, 126 and 127 as in a shell.
 */
int run_main(struct invocation *in, struct error *err);
