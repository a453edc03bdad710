/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine: the backend `docker`. Each sandbox is a container of an engine that speaks the Docker
 * Engine API on a Unix socket of this machine (dockerd, podman system service), made of any image
 * of that engine; what serves it is our own executor, bound into it, which becomes pid 1 and
 * connects to us: wire/dial.h. Calls do not pass through the engine.
 *
 * A container bears these labels, and is called cay-ID:
 *
 *	cay.sandbox    the sandbox's id
 *	cay.server     which state directory it belongs to (a number of its own, kept in the directory)
 *	cay.state      where that is, for people and for `cay gc`
 *	cay.enforced   what it was made with: controls and limits, as numbers
 *
 * and is removed with its sandbox; by the engine itself when its executor ends, which it does
 * LEASE_MS after it has lost its server; by the next server of the state directory, or by `cay gc`.
 */
#pragma once

#include "runtime/backend.h"

struct json;

struct engine_config {
	const char *socket; /* "/run/docker.sock"; NULL or "": the first of runtime/engine/find.h */
	const char *state_dir; /* absolute; the engine must see it under the same name */
	const struct json *
		more; /* members of HostConfig that each container is made with, as they are; copied */
};

int engine_backend_new(struct loop *loop, const struct engine_config *config, struct backend **ret,
	struct error *err);
