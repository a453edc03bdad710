/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/width.h"

#include "base/auto.h"

#include <stdlib.h>

struct row {
	uint32_t first, last;
	int columns;
};

static const struct row rows[] = {
#include "widths.inc"
};

static int compare(const void *key, const void *element)
{
	uint32_t c = *(const uint32_t *)key;
	const struct row *row = element;
	return c < row->first ? -1 : c > row->last ? 1 : 0;
}

int char_width(uint32_t c)
{
	if (c < rows[0].first)
		return 1;
	const struct row *row = bsearch(&c, rows, ARRAY_LEN(rows), sizeof(rows[0]), compare);
	return row ? row->columns : 1;
}
