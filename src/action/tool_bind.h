/* SPDX-License-Identifier: Apache-2.0 */
/* tool_bind: the arguments of a tool call for an implementation that takes names only. */
#pragma once

#include "base/buf.h"
#include "base/error.h"
#include "wire/json.h"

/*
 * The arguments of {"args":[…],"kwargs":{…}} as one JSON object, those by position named in the
 * order of the schema (OpenAI's form). What does not fit the schema is -1 with a sentence like
 * Python's TypeError in *err.
 */
int tool_bind(const char *name, const struct json *schema, struct str text, struct buf *ret_object,
	struct error *err);
