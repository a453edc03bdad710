/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "executor/call.h"

extern const struct verb configure_verb, info_verb, subscribe_verb;
