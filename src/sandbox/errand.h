/* SPDX-License-Identifier: Apache-2.0 */
/* errand: one command in a sandbox that is made for it and gone afterwards. */
#pragma once

#include "sandbox/host.h"

struct errand {
	const struct host *host;
	const struct spec *spec;
	const char *const *argv; /* argv[0] is looked up in the sandbox */
	int stdio_fds[3];        /* stay the caller's */
};

/* Blocks until it has ended; *ret_status is as waitpid gives it. -1: it could not be started. */
int errand_run(const struct errand *e, int *ret_status, struct error *err);
