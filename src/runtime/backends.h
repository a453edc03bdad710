/* SPDX-License-Identifier: Apache-2.0 */
/*
 * backends: every backend that a name or a URL opens, once: for the server, the library and the
 * command line.
 *
 *	local, cli                 executors on this machine, without isolation   runtime/local.h
 *	http[s]://HOST, unix:/PATH those of another cay server                    runtime/remote/peer.h
 *	docker, docker=SOCKET      containers of an engine of this machine       runtime/engine/engine.h
 *	kubernetes[=KUBECONFIG]    pods of a cluster                             runtime/kube/kube.h
 *	openhands+http[s]://HOST   the sandboxes of a Remote Runtime API          runtime/remote/remote.h
 *	daytona[+http[s]://HOST/api] the sandboxes of a Daytona server            runtime/remote/daytona.h
 *	action+http[s]://HOST      an action execution server: one sandbox        the same
 *
 * The key of an API is SANDBOX_API_KEY, that of an action server SESSION_API_KEY, Daytona's
 * DAYTONA_API_KEY, or else CAY_TOKEN.
 */
#pragma once

#include "runtime/backend.h"

struct json;

struct backend_choice {
	const char *name; /* a name or a URL, as above */
	const char *key;  /* what a server wants to be shown; NULL: what the environment says */
	const char *state_dir; /* of the server; those of docker and kubernetes keep theirs there */
	int warm;              /* sandboxes kept ready, where that means something */
	const struct json *container; /* struct engine_config; NULL: nothing more */
};

/* ERROR_INVALID names what there is. */
int backend_open(struct loop *loop, const struct backend_choice *choice, struct backend **ret,
	struct error *err);
