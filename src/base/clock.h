/* SPDX-License-Identifier: Apache-2.0 */
/* clock: deadlines are on the monotonic clock, dates on the wall clock. */
#pragma once

#include "base/str.h"

#include <stdint.h>

int64_t clock_mono_us(void);
int64_t clock_mono_ms(void);
int64_t clock_wall_ms(void); /* since 1970 */

enum { CLOCK_TEXT_MAX = 32 };
/* "2026-11-21T09:15:02.123Z"; what is before the year 1000 or after 9999 is told as its end. */
void clock_text(int64_t wall_ms, char ret_text[CLOCK_TEXT_MAX]);
/* RFC 3339: "Z", an offset, or neither, which is "Z". -1: it is no date. */
int clock_parse(struct str text, int64_t *ret_wall_ms);
