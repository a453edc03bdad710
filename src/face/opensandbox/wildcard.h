/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wildcard: a name against a pattern as a shell has them: * ? [a-z] [!a-z] \x. In time of at most
 * the product of both lengths, whatever the pattern.
 */
#pragma once

#include "base/str.h"

bool wildcard_has(struct str pattern, struct str name);
