/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What trim_json lets through is JSON, also for the parser; what it writes is so again, on one
 * line.
 */
#include "base/bug.h"
#include "wire/json.h"
#include "wire/trim.h"

#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str in = str_from_len((const char *)data, size);
	auto_buf struct buf out = BUF_INIT(1 << 22);
	if (trim_json(in, 16, &out, NULL, NULL) < 0)
		return 0;
	BUG_IF(out.is_full, "trimming made it longer");
	BUG_IF(str_find_char(buf_str(&out), '\n') >= 0, "a line break got through");
	BUG_IF(trim_json(buf_str(&out), SIZE_MAX, NULL, NULL, NULL) < 0,
		"what was written is no JSON");
	return 0;
}
