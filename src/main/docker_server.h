/* SPDX-License-Identifier: Apache-2.0 */
/*
 * docker_server: the Docker Engine API, on a socket and in a server of its own: its paths are
 * nobody else's.
 */
#pragma once

#include "base/error.h"

struct loop;
struct runtime;

/* Takes the listening socket. */
int docker_server_open(struct loop *loop, struct runtime *rt, int fd, struct error *err);
int docker_server_requests(void); /* under way; 0 if it was never opened */
void docker_server_stop(void);
void docker_server_close(void); /* before the runtime */
