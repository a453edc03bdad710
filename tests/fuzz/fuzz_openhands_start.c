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
	BUG_IF(start.port < 0 || start.port > 65535, "a port that is none");
	BUG_IF(start.port && (!start.command.n || !str_starts(start.cwd, STR("/"))),
		"an agent server that cannot be started");
	BUG_IF(start.allow.n > START_ALLOW_MAX, "more rules than there is room for");
	return 0;
}
