/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* Whether what is said now is to be a lie. */
bool lies(void);
uint64_t draw(uint64_t n); /* less than n */
