/* SPDX-License-Identifier: Apache-2.0 */
/*
 * boundary: the process that swaps secrets in for one sandbox (cay-boundary, boundary/worker.h), as
 * a child of the supervisor. Secrets are said to it by the server over its socket; the supervisor
 * sees none. Of that socket a duplicate is kept here, so that the next server finds the process
 * with what it knows.
 *
 * Where the supervisor is root it runs as BOUNDARY_UID. Of the environment it has SSL_CERT_FILE
 * alone. It dies with the supervisor, and with its sandbox.
 */
#pragma once

#include "sandbox/cgroup.h"

#include <stdbool.h>

struct boundary {
	int fd;    /* the server's end of its socket; -1: there is none */
	int pidfd; /* it is waited for with the other orphans */
};

#define BOUNDARY_INIT ((struct boundary){ .fd = -1, .pidfd = -1 })

/* cgroup: of the sandbox; it enters the group of its keepers. */
int boundary_start(struct boundary *b, const struct cgroup *cgroup, bool has_own_uid,
	struct error *err);
void boundary_stop(struct boundary *b);
