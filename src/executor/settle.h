/* SPDX-License-Identifier: Apache-2.0 */
/*
 * settle: what the executor does in a container that somebody else's engine made of somebody else's
 * image, while it is still root there and nothing else runs: the working directory, an account for
 * the user, its limits' counters.
 */
#pragma once

#include "base/error.h"
#include "executor/limit.h"

struct settle {
	const char *workdir; /* made if missing */
	/*
	 * Who the executor and all else becomes: the user that the image names, or "UID:GID", who
	 * gets an account if there is none; NULL: stays root.
	 */
	const char *user;
};

int settle_in(const struct settle *s, struct error *err);
/* Of the container's own cgroup, where it can be seen. */
void settle_limits(struct limits *ret);
