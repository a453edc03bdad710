/* SPDX-License-Identifier: Apache-2.0 */
#include "base/bug.h"
#include "sandbox/subids.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/*
 * Whatever the table says, neither root nor the user is in the range, and no id is beyond the last.
 */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str table = str_from_len((const char *)data, size);
	uint32_t first, count;
	if (!subids_parse(table, STR("me"), 1000, &first, &count))
		return 0;
	BUG_IF(first == 0 || count == 0 || first + count < first, "a range that is none");
	BUG_IF(1000 >= first && 1000 - first < count, "the user is in the range");
	return 0;
}
