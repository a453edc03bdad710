/* SPDX-License-Identifier: Apache-2.0 */
/*
 * status: what a caller is told of a sandbox on its way to be ready, and of its end: see
 * status.def.
 */
#pragma once

#include <stdbool.h>

enum status {
#define STATUS(name, is_error) STATUS_##name,
#include "runtime/status.def"
#undef STATUS
	STATUS_MAX,
};

const char *status_name(enum status status); /* "READY" */
bool status_is_error(enum status status);
