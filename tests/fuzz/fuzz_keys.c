/* SPDX-License-Identifier: Apache-2.0 */
/* Names of keys are refused or become at most a few bytes each. */
#include "base/auto.h"
#include "base/bug.h"
#include "executor/keys.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	auto_buf struct buf out = BUF_INIT(SIZE_MAX / 4);
	struct error err = { 0 };
	if (keys_parse(str_from_len((const char *)data, size), &out, &err) == 0)
		BUG_IF(out.len > 8 * (size + 1), "keys that say more than their names");
	else
		BUG_IF(err.code == ERROR_OK, "refused without a word");
	return 0;
}
