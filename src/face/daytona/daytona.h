/* SPDX-License-Identifier: Apache-2.0 */
/*
 * daytona: the part of Daytona's API and of its toolbox that its SDKs and what is built on them
 * need, over native sandboxes.
 *
 *	DAYTONA_API_URL=http://127.0.0.1:8000/daytona/api DAYTONA_API_KEY=<token> python3 their_script.py
 *
 *	/daytona/api/sandbox…        life cycle, labels, intervals, previews; snapshots are the server's images
 *	/daytona/toolbox/{id}/…      process, files, git, interpreter, terminals of one sandbox
 *	/daytona/preview/{id}/{port} what listens inside
 *
 * A Daytona sandbox differs from one of Daytona's in this:
 *	- stop ends its processes and keeps its files; archive is the same. Nothing of it moves to another machine;
 *	- cpu, memory and disk that are not asked for are cay's defaults, and its network is its own loopback unless
 *	  domainAllowList or networkAllowList name where it may go;
 *	- an image is one of the server's, by its name; nothing is pulled;
 *	- there are no volumes, secrets, GPUs, language servers, desktops, SSH, forks, checkpoints.
 * What is asked for and not offered is refused in Daytona's own form of an error.
 *
 * Sandboxes survive a restart of the server; sessions, terminals and interpreter contexts of this
 * face do not.
 */
#pragma once

#include "http/server.h"

struct daytona;
struct runtime;

struct daytona *daytona_new(struct runtime *rt);
void daytona_free(struct daytona *d); /* before the runtime; NULL is fine */
const struct http_face *daytona_face(const struct daytona *d);
