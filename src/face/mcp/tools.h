/* SPDX-License-Identifier: Apache-2.0 */
/* tools: actions as MCP tools, and what came of them as MCP results. */
#pragma once

#include "action/action.h"

/* NULL: there is no such tool. */
const struct action *tools_find(struct str name);
/* Appends {"tools":[…]}. */
void tools_put_list(struct buf *b);
/* Appends the result of a call: what a model reads, and the same as data. */
void tools_put_result(struct buf *b, struct str json);
/* Appends a result that says that the call failed. */
void tools_put_failure(struct buf *b, const struct error *err);
