/* SPDX-License-Identifier: Apache-2.0 */
#include "base/bug.h"
#include "base/num.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str in = str_from_len((const char *)data, size);
	int64_t v;
	if (num_parse_i64(in, -5, 5, &v, NULL) == 0)
		BUG_IF(v < -5 || v > 5, "a number out of its range");
	if (num_parse_size(in, &v, NULL) == 0)
		BUG_IF(v < 0, "a negative size");
	if (num_parse_duration(in, &v, NULL) == 0)
		BUG_IF(v < 0, "a negative duration");
	if (num_parse_quantity(in, 1000, &v, NULL) == 0)
		BUG_IF(v < 0, "a negative quantity");
	return 0;
}
