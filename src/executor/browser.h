/* SPDX-License-Identifier: Apache-2.0 */
/*
 * browser: the sandbox's browser as the executor sees it: two children. One is Chromium, the
 * agent's like any process, with its debugging pipe on descriptors 3 and 4. The other is the driver
 * (browser_driver.h), a fork of the executor that holds the other ends: what a page sends is parsed
 * there, in the agent's cgroup, behind a worker's locks, and not in the executor.
 *
 * It starts with the first step and stays. Steps of several callers are performed one after the
 * other. Whatever ends one of the two ends both; the step under way fails with ERROR_UNAVAILABLE,
 * and the next one starts anew, with a fresh profile.
 */
#pragma once

#include "executor/call.h"
#include "executor/executor.h"

enum {
	BROWSER_STEPS_MAX = 64,   /* that wait for their turn */
	BROWSER_GRACE_MS = 40000, /* beyond a step's own deadline: start-up, and the look */
};

struct browser;

void browser_free(struct browser *b); /* after the last call */

extern const struct verb browse_verb, browser_close_verb;

/* ---- browser_launch.c: the two children ---- */

struct browser_children {
	struct child chromium;
	int driver_pidfd;
	int socket_fd; /* frames to and from the driver */
};

/* ERROR_UNSUPPORTED if there is no browser in the sandbox. */
int browser_launch(const struct executor *e, const char *profile_dir, const char *old_profile_dir,
	struct browser_children *ret, struct error *err);
/* Kills both; who waits for them is the caller. */
void browser_kill(const struct browser_children *c);
