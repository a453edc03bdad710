/* SPDX-License-Identifier: Apache-2.0 */
/* daemon: the server from its configuration to its end. */
#pragma once

#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>

enum { DAEMON_LISTENERS_MAX = 16 };

struct daemon_options {
	const char *state_dir;
	bool has_docker;     /* the last listener is for the Docker Engine API */
	const char *backend; /* NULL: native */
	int64_t n_listeners; /* descriptors from LISTEN_FD on */
	int64_t pool;        /* of a backend that keeps executors warm */
};

/* Returns when it was asked to end (0), or what ended it. */
int daemon_run(const struct daemon_options *options, struct error *err);
