/* SPDX-License-Identifier: Apache-2.0 */
/* calls: how calls begin and are lost; for the executor itself. Verbs use executor/call.h. */
#pragma once

#include "executor/call.h"

/* Takes the descriptor. */
void call_open(struct executor *e, int fd);
/* Ends a call without a word. */
void call_lose(struct call *call);
