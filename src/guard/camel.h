/* SPDX-License-Identifier: Apache-2.0 */
/*
 * camel: what a client of CAMEL's LLMGuardRuntime is used to: a call that was not let through has a
 * result, an object with an "error", in sentences that its prompts know. Its `ignore_risk`, by
 * which an agent waves its own next call through, is not offered: who approves shows the approver's
 * token (guard.h).
 */
#pragma once

#include "base/buf.h"
#include "base/error.h"

/* name: the tool's. refused: gate_is_refusal. */
void camel_put_refusal(struct buf *b, struct str name, const struct error *refused);
