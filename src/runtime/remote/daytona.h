/* SPDX-License-Identifier: Apache-2.0 */
/*
 * daytona: sandboxes of a Daytona-compatible server: made, listed, paused and ended by its API,
 * worked in through the toolbox of each. What an action becomes there:
 *
 *	exec           /process/execute; `cell` has no counterpart that keeps its state
 *	run            a session of that name; `fresh` is /process/execute
 *	read, write, upload, download   /files/download, /files/bulk-upload; tar archives through tar(1)
 *	list, stat, mkdir, remove, move, grep, glob   /files…
 *	configure      variables of everything that is started from then on
 *	info           /work-dir
 *
 * A sandbox there bears the label cay.id with the id that it has here. Those with one are listed at
 * the start and live on when the backend is closed; others are left alone. They are made with
 * auto-stop off: who ends them is cay. Labels of a sandbox say what has no field of its own:
 * daytona_snapshot, daytona_image, daytona_target.
 *
 * An action that may have been performed is never sent twice (ask.h). A sandbox that is found
 * stopped or paused is not woken by itself: who stopped it had a reason; resume it.
 */
#pragma once

#include "runtime/backend.h"

#define DAYTONA_URL "https://app.daytona.io/api"

enum {
	DAYTONA_READY_MS = 180000, /* from the request for a sandbox to its start */
	DAYTONA_API_MS = 60000,
	DAYTONA_MEMBERS_MAX = 8192,
	DAYTONA_ENV_BYTES = 1024 * 1024,
};

struct daytona_config {
	const char *url; /* of its API: http://…/api; NULL: DAYTONA_URL */
	const char *key; /* bearer token; required */
};

int daytona_backend_new(struct loop *loop, const struct daytona_config *config,
	struct backend **ret, struct error *err);
