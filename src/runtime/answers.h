/* SPDX-License-Identifier: Apache-2.0 */
/*
 * answers: what a backend has to say of a request, said in the next turn of the loop, as backend.h
 * demands.
 */
#pragma once

#include "base/list.h"
#include "runtime/backend.h"

struct loop;

struct answers {
	struct loop *loop;
	struct list list; /* answer::link: those not said yet */
};

void answers_init(struct answers *a, struct loop *loop);
/* What was not said by then is dropped. */
void answers_fini(struct answers *a);
/*
 * To be filled in by the caller, at once: a success, without limits and descriptor, until it says
 * otherwise.
 */
struct backend_reply *answers_add(struct answers *a, const char *id, backend_fn *done, void *arg);
