/* SPDX-License-Identifier: Apache-2.0 */
/*
 * secrets: those that a sandbox has placeholders for. What is let out of it to a host that one is
 * for goes through its boundary, a process of its own (boundary/worker.h), which puts the value in
 * the place of the placeholder.
 *
 * The values are said to that process before the sandbox is ready, and are in no record, event or
 * log; the server itself keeps them in sandbox::mask alone. A restarted server goes on without
 * knowing them, for the process lives; if that dies, they are lost, and nothing is let out to those
 * hosts any more.
 *
 * Each use is an event of kind `network`: {"decision":"swapped","secret":NAME,"name":…,"port":…}.
 */
#pragma once

#include "base/error.h"
#include "base/str.h"

#include <stdbool.h>

struct create;
struct sandbox;
struct secrets;

/* The certificate that programs of the sandbox have to believe; "": none is needed. */
typedef void secrets_fn(void *arg, struct str certificate, const struct error *err);

/* Of a wish: NULL if it has none. */
struct secrets *secrets_new(struct sandbox *s, const struct create *create);
/* Once the sandbox is there. Answered once, unless secrets_close comes before. */
void secrets_open(struct sandbox *s, secrets_fn *done, void *arg);
/*
 * After a restart, from its record: with a duplicate of fd, or -1 if it has no boundary any more.
 */
void secrets_adopt(struct sandbox *s, int fd);
/* Whether what goes there goes through the boundary. */
bool secrets_want(const struct sandbox *s, const char *name, int port);
/* *fd is a connection to there; afterwards one to the boundary, which has taken the other. */
int secrets_pass(struct sandbox *s, const char *name, int port, int *fd, struct error *err);
void secrets_close(struct sandbox *s);
