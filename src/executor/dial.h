/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dial: the executor's side of wire/dial.h. It connects at its start, again at each SIGHUP, and
 * ends when it has been without a server for the length of its lease: whatever happens to the
 * server, its container does not stay.
 */
#pragma once

#include "executor/executor.h"
#include "wire/dial.h"

struct dial;

/* A connection that has been greeted; an empty secret: the first. */
int dial_connect(const char *path, struct str secret, int *ret_fd, struct error *err);
/* What comes next over it, once. */
int dial_tell_ready(int fd, struct error *err);
void dial_tell_failure(int fd, const struct error *failure);

struct dial *dial_new(struct executor *e, const char *path, int64_t lease_ms);
void dial_free(struct dial *d); /* NULL is fine */
/* A message of the server that is none of executor/executor.h. */
void dial_take(struct dial *d, struct str message);
/* The control socket has ended. */
void dial_lost(struct dial *d);
