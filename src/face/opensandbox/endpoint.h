/* SPDX-License-Identifier: Apache-2.0 */
/* endpoint: who may come to a port of a sandbox. */
#pragma once

#include "face/opensandbox/state.h"

/* What the request shows opens what it asks for. */
bool osb_endpoint_opens(struct http_request *r, enum osb_kind kind);
