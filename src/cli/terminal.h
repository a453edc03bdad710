/* SPDX-License-Identifier: Apache-2.0 */
/*
 * terminal: the caller's terminal while another program's is shown on it. Everything is put back by
 * terminal_restore, which is safe to call at any time and more than once.
 */
#pragma once

#include "base/error.h"

#include <stdint.h>

/* Bytes go through as they are typed. ERROR_INVALID if fd is no terminal. */
int terminal_make_raw(int fd, struct error *err);
void terminal_restore(void);
/* Of the first of 0, 1, 2 that is a terminal; 80 × 24 without one. */
void terminal_size(int64_t *ret_cols, int64_t *ret_rows);
