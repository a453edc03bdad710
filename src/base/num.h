/* SPDX-License-Identifier: Apache-2.0 */
/* num: numbers from text. The whole text must be the number; 0, or -1 with *err filled. */
#pragma once

#include "base/error.h"
#include "base/str.h"

#include <stdint.h>

int num_parse_i64(struct str s, int64_t min, int64_t max, int64_t *ret, struct error *err);
/* "512", "64K", "1.5G" (powers of 1024; K M G T, an optional "i" and "B"), in bytes. */
int num_parse_size(struct str s, int64_t *ret_bytes, struct error *err);
/*
 * As Kubernetes writes amounts: "500m", "1.5", "2Gi", "1e3". In parts of a whole, `per_whole` of
 * them, rounded up: 1 for bytes, 1000 for thousandths of a core.
 */
int num_parse_quantity(struct str s, int64_t per_whole, int64_t *ret, struct error *err);
/* "250ms", "10s", "5m", "2h", "1d"; a bare number is seconds. In milliseconds. */
int num_parse_duration(struct str s, int64_t *ret_ms, struct error *err);

/*
 * A number with a point, as JSON and TOML have it: a program that libcay is in may have set a
 * locale with another one. num_real: as strtod. num_print_real: in the fewest digits that read back
 * as the same, and with a point or an exponent, as Python's repr(); "inf" and "nan" are words.
 */
enum { NUM_REAL_SIZE = 32 };

double num_real(const char *text, char **ret_end);
void num_print_real(char text[NUM_REAL_SIZE], double v);
