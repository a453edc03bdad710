/* SPDX-License-Identifier: Apache-2.0 */
/*
 * faces: the protocols that cayd speaks. A row of faces.c each: whoever adds one touches only that
 * table.
 */
#pragma once

struct http_server;
struct runtime;

/* Adds every face to the server. */
void faces_open(struct runtime *rt, struct http_server *http);
/* Before faces_open: both stay the caller's. */
struct guard;
void faces_set_guard(struct guard *guard, const char *approver_token);
/* After the HTTP server, whose requests they hold, and before the runtime. */
void faces_close(void);
