/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pyenv: variables of the environment for one piece of Python alone, as code that runs in the same
 * interpreter before it and after it.
 */
#pragma once

#include "wire/json.h"

/* Appends what sets {"A":"1"}. */
void pyenv_put_set(const struct json *env, struct buf *code);
/* What puts back what was there before. */
extern const char pyenv_restore[];
