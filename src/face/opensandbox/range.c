/* SPDX-License-Identifier: Apache-2.0 */
#include "face/opensandbox/range.h"

#include "base/auto.h"
#include "base/num.h"

int osb_range_read(struct str header, int64_t size, struct osb_range *ret)
{
	struct str rest, first;
	int64_t start = 0, end = 0;
	*ret = (struct osb_range){ .length = size, .size = size };
	if (!str_starts(header, STR("bytes=")))
		return 0;
	rest = str_skip(header, 6);
	str_split(&rest, ',', &first);
	first = str_trim(first);
	ptrdiff_t dash = str_find_char(first, '-');
	if (dash < 0)
		return 0;
	struct str from = str_trim(str_first(first, (size_t)dash)),
		   to = str_trim(str_skip(first, (size_t)dash + 1));
	if ((from.len && num_parse_i64(from, 0, INT64_MAX, &start, NULL) < 0) ||
		(to.len && num_parse_i64(to, 0, INT64_MAX, &end, NULL) < 0) ||
		(!from.len && !to.len) || (from.len && to.len && end < start))
		return 0;
	if (!from.len) { /* the last so many */
		if (!end)
			return -1;
		start = size - MIN(end, size);
		end = size - 1;
	} else if (!to.len) {
		end = size - 1;
	}
	if (start >= size)
		return -1;
	end = MIN(end, size - 1);
	*ret = (struct osb_range){ true, start, end - start + 1, size };
	return 0;
}
