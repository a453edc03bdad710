/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image_verbs: rows for executor/verbs.c of what building an image asks for
 * (action/image_actions.h).
 */
#pragma once

#include "executor/call.h"

extern const struct verb gather_verb, lay_verb, layer_verb;
