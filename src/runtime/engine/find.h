/* SPDX-License-Identifier: Apache-2.0 */
/* find: which engine `--backend docker` means, for the backend, `cay gc` and `cay doctor`. */
#pragma once

#include "base/buf.h"
#include "base/error.h"

#define ENGINE_LABEL_SANDBOX  "cay.sandbox"
#define ENGINE_LABEL_SERVER   "cay.server"
#define ENGINE_LABEL_STATE    "cay.state"
#define ENGINE_LABEL_ENFORCED "cay.enforced"

/*
 * Appends the path of a Unix socket: the given one ("/PATH" or "unix:/PATH", "unix:///PATH"), else
 * what DOCKER_HOST says, else the first that is there of /run/docker.sock, /run/podman/podman.sock
 * and, in XDG_RUNTIME_DIR, the two of this user. An engine elsewhere (tcp://, ssh://) is
 * ERROR_UNSUPPORTED: its containers could not reach us.
 */
int engine_find(const char *given, struct buf *ret, struct error *err);
