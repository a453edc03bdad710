/* SPDX-License-Identifier: Apache-2.0 */
/*
 * settings: what `cay serve` made of its configuration, handed on to cayd as one JSON object in the
 * environment variable CAY_SETTINGS: the supervisor between them reads no JSON, and passes its
 * environment on.
 */
#pragma once

#include "base/error.h"
#include "wire/json.h"

int settings_load(struct error *err); /* takes the variable out of the environment */
void settings_drop(void);
/* A part of it; NULL (JSON null) if nothing was said. */
const struct json *settings_of_server(const char *part);
