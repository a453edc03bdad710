/* SPDX-License-Identifier: Apache-2.0 */
/*
 * local: sandboxes without isolation. A sandbox is a workspace directory and an executor that runs
 * as the caller, on the host itself. Nothing is enforced, and every create reply says so:
 * enforced.controls is 0. What was asked for and cannot be given (a limit, a control, an image, an
 * overlay) fails the create.
 *
 * The workspace is a writable mount onto the workdir, or, if there is none, a temporary directory.
 * The file verbs are confined to it; commands are not. When a sandbox ends, or whoever holds the
 * backend does, every process that it started is killed and its temporary workspace is removed
 * (base/keeper.h).
 *
 * Kind `local` keeps shells, kernels and processes. Kind `cli` starts a shell for each command.
 */
#pragma once

#include "runtime/backend.h"

enum { LOCAL_WARM_MAX = 64 };

struct local_config {
	bool is_stateless; /* kind cli */
	int warm;          /* executors kept ready; at most LOCAL_WARM_MAX */
};

struct backend *local_backend_new(struct loop *loop, const struct local_config *config);
