/* SPDX-License-Identifier: Apache-2.0 */
/*
 * porter: the executor's side of wire/door.h: it listens on a port of its pod, lets in who knows
 * the secret, and ends when nobody has held its line for the length of its lease.
 *
 * Anybody who reaches the port can connect. PORTER_VISITORS_MAX may be at the door at once: the
 * oldest gives way to the next, and each has PORTER_VISIT_MS to show who it is.
 */
#pragma once

#include "executor/executor.h"
#include "wire/door.h"

struct porter;

enum { PORTER_VISITORS_MAX = 64, PORTER_VISIT_MS = 10000 };

#define PORTER_SECRET "CAY_DOOR_SECRET" /* the variable that has it */

/* Moves the secret out of the environment, where nobody finds it afterwards. */
int porter_take_secret(char ret[SHA256_HEX_SIZE], struct error *err);
/* where: "PORT", on every address, or "ADDRESS:PORT" of IPv4. */
int porter_listen(struct str where, int *ret_fd, struct error *err);

/* listen_fd is taken. */
struct porter *porter_new(struct executor *e, int listen_fd, const char secret[SHA256_HEX_SIZE],
	int64_t lease_ms);
void porter_free(struct porter *p); /* NULL is fine */
