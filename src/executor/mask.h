/* SPDX-License-Identifier: Apache-2.0 */
/* mask: takes the values of secret variables out of what is reported. */
#pragma once

#include "base/buf.h"

struct executor;

/*
 * Puts "<secret_hidden>" in the place of every secret's value. A value of less than 4 bytes is no
 * secret.
 */
void mask_secrets(const struct executor *e, struct buf *text);
