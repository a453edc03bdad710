/* SPDX-License-Identifier: Apache-2.0 */
/*
 * process: which process a call is about: {"pid":7} or {"tag":"web"}. The executor knows its
 * processes by ids of its own; the one that is meant is looked for among those it lists, so that
 * nothing about them is kept here, and they are found after a restart.
 */
#pragma once

#include "face/e2b/state.h"

struct e2b_selector {
	int64_t pid;
	char *tag; /* NULL: by pid */
};

int e2b_selector_read(struct e2b_selector *s, const struct json *selector, struct error *err);
/* Of the result of process_list; one that has ended only if asked for. NULL: *err is NOT_FOUND. */
const struct json *e2b_selector_find(const struct e2b_selector *s, const struct json *list,
	bool takes_ended, struct error *err);
