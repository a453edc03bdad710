/* SPDX-License-Identifier: Apache-2.0 */
/*
 * warm: sandboxes that wait for a /start of the kind that was asked for last, so that most of what
 * a start takes is done: the sandbox, its account, and the interpreter that kernels are forked
 * from. What the caller says of himself, his session, key and environment, comes when one is taken;
 * shells and kernels start after that.
 *
 * They bear the label openhands.spare and are in no list of this API. One that is taken is replaced
 * a little later. Of the host's tools only: what an image's name means may have changed.
 */
#pragma once

#include "face/openhands/prepare.h"

enum { WARM_MAX = 64 };

struct warm;

/* Those that a server before has left are ended. */
struct warm *warm_new(struct openhands *oh, int64_t n);
/* Those that wait stay; nobody is told of anything any more. */
void warm_free(struct warm *w);
/* As prepare_sandbox, of one that waits if there is one. */
void warm_start(struct warm *w, const struct start *start, prepare_fn *done, void *arg);
