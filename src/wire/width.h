/* SPDX-License-Identifier: Apache-2.0 */
/*
 * width: how many columns of a terminal a character takes. Made from Unicode's data while building
 * (widths.py).
 */
#pragma once

#include <stdint.h>

/*
 * 0 for marks that join the character before them, 2 for wide ones, else 1. Controls are the
 * caller's.
 */
int char_width(uint32_t c);
