/* SPDX-License-Identifier: Apache-2.0 */
/* harden: what the server gives up before it reads a first byte, and the descriptors that it needs. */
#pragma once

#include "base/error.h"

int harden(struct error *err);
