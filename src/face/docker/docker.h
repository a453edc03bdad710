/* SPDX-License-Identifier: Apache-2.0 */
/*
 * docker: the part of the Docker Engine API (version 1.43) that docker-py, the docker command line
 * and the runtimes built on them need, over native sandboxes. `DOCKER_HOST=unix://PATH docker run
 * …` simply works.
 *
 * A container is a sandbox made over this face; its main process is a process of that sandbox. It
 * differs from a container of Docker's engine in this:
 *	- the sandbox lives from create to remove: files can be copied into a container that was not started, and
 *	  what is stopped is its processes, not its files;
 *	- the main process is not pid 1: a signal that it does not handle ends it, and nobody inside can signal pid 1;
 *	- Pid of an exec, and those of top, are the numbers of the inside;
 *	- a limit that is not asked for is not unlimited but cay's default;
 *	- the network is the sandbox's own loopback. A published port is listened on by the server, on 127.0.0.1
 *	  unless the request names another address, and carried into the sandbox;
 *	- no privileged containers, devices, named volumes or networks, swarm, plugins, builder, checkpoints.
 * What is asked for and not honoured is refused, or said in Warnings. Errors are {"message":…}.
 *
 * Who can open the socket may do everything, as with Docker: its file has mode 0600, and there is
 * no token. Containers survive a restart of the server with their processes; exec instances and
 * attached clients do not.
 */
#pragma once

#include "http/server.h"

struct docker;
struct runtime;

struct docker *docker_new(struct runtime *rt);
/* After the HTTP server and before the runtime. */
void docker_free(struct docker *d);
const struct http_face *docker_face(const struct docker *d);
