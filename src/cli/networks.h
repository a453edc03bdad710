/* SPDX-License-Identifier: Apache-2.0 */
/*
 * networks: which of the networks that lead out by address can be had here, found out by doing it.
 * cay-supervisor does, since it has what it takes; it is asked by running it.
 */
#pragma once

#include "base/error.h"

#include <stdbool.h>

enum { NETWORKS_MAX = 2 };

struct network_report {
	const char *name; /* "bridge" */
	bool is_there;
	char why[ERROR_TEXT_MAX]; /* if not */
};

void networks_look(struct network_report ret[NETWORKS_MAX]);
