/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whatever JSON asks for a sandbox: what is accepted holds only strings that end, and can be told
 * again as JSON.
 */
#include "base/bug.h"
#include "runtime/create.h"
#include "wire/trim.h"

#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	auto_json struct json *body = NULL;
	auto_arena struct arena arena = ARENA_INIT(64 << 20);
	if (json_parse(str_from_len((const char *)data, size), &body, NULL) < 0)
		return 0;
	struct create *create = arena_new(&arena, struct create);
	if (create_from_json(body, &arena, create, NULL) < 0 || create_check(create, NULL) < 0)
		return 0;
	auto_buf struct buf b = BUF_INIT(16 << 20);
	struct jsonw w = JSONW(&b);
	create_write(create, STR_NONE, &w);
	BUG_IF(trim_json(buf_str(&b), SIZE_MAX, NULL, NULL, NULL) < 0,
		"a wish that is told as no JSON");
	return 0;
}
