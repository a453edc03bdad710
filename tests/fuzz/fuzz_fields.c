/* SPDX-License-Identifier: Apache-2.0 */
/* The params of every action: decoding either fails with a text or gives what can be touched. */
#include "action/action.h"
#include "base/bug.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	auto_json struct json *j = NULL;
	if (json_parse(str_from_len((const char *)data, size), &j, NULL) < 0)
		return 0;
	for (const struct action *const *a = action_table; *a; a++) {
		auto_arena struct arena arena = ARENA_INIT(1 << 20);
		struct error err = { 0 };
		void *params;
		if (action_decode(*a, j, &arena, &params, &err) < 0)
			BUG_IF(err.code == ERROR_OK || !err.text[0], "a failure without a text");
	}
	return 0;
}
