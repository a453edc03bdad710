/* SPDX-License-Identifier: Apache-2.0 */
/* keys: names of keys, as tmux has them, to the bytes that a terminal sends for them. */
#pragma once

#include "base/buf.h"
#include "base/error.h"

/*
 * "C-c", "M-x", "Enter", "Up", "F5", "a" …, separated by spaces. ERROR_INVALID names the unknown
 * one.
 */
int keys_parse(struct str names, struct buf *out, struct error *err);
