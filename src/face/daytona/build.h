/* SPDX-License-Identifier: Apache-2.0 */
/*
 * build: images that Daytona's clients describe by a Dockerfile and files (buildInfo), for a
 * sandbox or as a snapshot.
 *
 * Who asks is answered when it is done, or as soon as it takes a while: then the sandbox
 * (`pending_build`, `building_snapshot`, `creating`, `build_failed`) or snapshot (`building`,
 * `build_failed`) is one whose state is to be asked for, with logs to follow. What became of it is
 * known for the last WORKS_MAX of them.
 */
#pragma once

#include "face/daytona/state.h"

/* Both take the request, and answer it. */
void works_begin_box(struct http_request *r, const struct making *m);
void works_begin_snapshot(struct http_request *r, struct str name, const struct making *m);
/* If the {id} of the path is not a sandbox yet: true, answered. */
bool works_tell_box(struct http_request *r);
bool works_end_box(struct http_request *r);
/* The same for the {name} of a snapshot, which is the id that was told or its name. */
bool works_tell_snapshot(struct http_request *r);
/* That none of what is over shadows what has the name from now on. True: there was one. */
bool works_forget_snapshot(struct daytona *d, struct str name);
void works_free_all(struct daytona *d);
