/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whatever is sent to /start: what is accepted keeps to the ceilings that a sandbox is prepared
 * with.
 */
#include "base/bug.h"
#include "face/openhands/start.h"

#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	auto_json struct json *body = NULL;
	auto_arena struct arena arena = ARENA_INIT(64 << 20);
	struct start start;
	if (json_parse(str_from_len((const char *)data, size), &body, NULL) < 0 ||
		start_decode(body, &arena, &start, NULL) < 0)
		return 0;
	BUG_IF(!str_starts(start.workdir, STR("/")) || start.workdir.len > START_PATH_MAX,
		"a working directory that is none");
	BUG_IF(start.username.len == 0 || start.username.len > START_NAME_MAX ||
			str_find_char(start.username, ':') >= 0,
		"a name that no account can have");
	BUG_IF(start.resource_factor < 1 || start.resource_factor > START_FACTOR_MAX,
		"a factor that was not offered");
	return 0;
}
