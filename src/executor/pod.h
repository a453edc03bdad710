/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pod: what the executor does in a pod of a cluster beside serving. There it is copied into a
 * volume by one container, and is pid 1 of the next, whose image knows nothing of it; who that one
 * runs as is the pod's to say, and may be nobody with a name or a home.
 */
#pragma once

#include "base/error.h"
#include "wire/door.h"

#define POD_HOME      "/home/agent"
#define POD_WORKDIR   "/workspace"
#define POD_LAST_WORD "/dev/termination-log" /* what is in there the cluster tells of our end */

/* Copies the running program to DIR/cay-executor. */
int pod_install(const char *dir, struct error *err);
/* Where sessions start, if nobody says: the image's working directory. Heap. */
char *pod_workdir(void);
/* Sets HOME to a directory that can be written to, where there is one. */
void pod_set_home(void);
/* Of the container's own cgroup, as far as it can be seen; -1: unknown. */
void pod_usage(struct door_usage *ret);
void pod_tell_failure(const struct error *failure);
