/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cord: the one line (wire/door.h) to an executor, tied again whenever it breaks. Private to
 * runtime/kube.
 *
 * Callbacks come from the loop and may free the cord. ready comes each time that it is tied; lost
 * when that did not succeed for CORD_LOST_MS, which is when the executor ends itself, too.
 */
#pragma once

#include "base/error.h"
#include "runtime/kube/podspec.h"
#include "wire/door.h"

struct cord;
struct loop;

enum { CORD_PAUSE_MS = 20, CORD_PAUSE_MAX_MS = 5000, CORD_LOST_MS = KUBE_LEASE_MS };

struct cord_ops {
	void (*ready)(void *arg, const struct door_ready *who);
	void (*lost)(void *arg, const struct error *err);
	/* The cluster does not let us there, now; it is tried again as ever. */
	void (*refused)(void *arg, const struct error *err);
	void (*gone)(void *arg); /* after cord_quit: the executor has hung up */
};

typedef void cord_usage_fn(void *arg, const struct door_usage *usage); /* NULL: nobody knows */

struct reach;
struct cord *cord_new(struct loop *loop, const struct reach *reach, const char *secret,
	const struct cord_ops *ops, void *arg);
void cord_free(struct cord *c); /* NULL is fine; nobody is answered any more */
const struct reach *cord_reach(const struct cord *c);
/* Why it is not tied; NULL: it is, or nothing failed yet. */
const struct error *cord_trouble(const struct cord *c);
/* Has the executor end. False: it cannot be told. */
bool cord_quit(struct cord *c);
/* Answered once, never from inside; at most CORD_ASKED_MAX wait. */
enum { CORD_ASKED_MAX = 64 };
void cord_ask_usage(struct cord *c, cord_usage_fn *done, void *arg);
