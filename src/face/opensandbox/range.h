/* SPDX-License-Identifier: Apache-2.0 */
/*
 * range: the header Range (RFC 9110, 14.1.2) of one part: "bytes=0-9", "bytes=10-", "bytes=-5". Of
 * several the first counts; what is no range at all is as if it were not there.
 */
#pragma once

#include "base/str.h"

#include <stdint.h>

struct osb_range {
	bool is_part;
	int64_t start, length, size; /* size: of the whole */
};

/* -1: nothing of that lies in it. */
int osb_range_read(struct str header, int64_t size, struct osb_range *ret);
