/* SPDX-License-Identifier: Apache-2.0 */
/* calls: how calls begin and are lost; for the executor itself. Verbs use executor/call.h. */
#pragma once

#include "executor/call.h"

/* Takes the descriptors; stream_fd -1: there is none. */
void call_open(struct executor *e, int fd, int stream_fd);
/* Ends a call without a word. */
void call_lose(struct call *call);
