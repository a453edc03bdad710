/* SPDX-License-Identifier: Apache-2.0 */
/*
 * errand: chores (face/chore.h) for requests of the agent server's workspace (/api/…), and their
 * answers. Each answer drops what the chore keeps, and cancels what is under way.
 */
#pragma once

#include "face/chore.h"
#include "face/openhands/state.h"

struct chore *errand_new(struct openhands *oh, struct http_request *r, const struct sandbox *s);
void errand_reply(struct chore *a, const struct buf *json);
void errand_success(struct chore *a); /* {"success":true} */
void errand_refuse(struct chore *a, int status, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
