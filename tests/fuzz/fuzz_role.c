/* SPDX-License-Identifier: Apache-2.0 */
/* No token that was not made with the key is taken, and what was made comes back as it was. */
#include "base/auto.h"
#include "base/bug.h"
#include "base/id.h"
#include "http/role.h"

#define KEY "the server's own token"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_back(struct str path, struct arena *arena)
{
	char id[ID_SIZE];
	auto_buf struct buf b = BUF_INIT(ROLE_TOKEN_MAX);
	id_make(id);
	const struct grant g = { ROLE_WRITE, str_from(id), 1 + (int64_t)path.len, path };
	struct grant back;
	if (grant_put(&g, KEY, &b, NULL) < 0)
		return;
	BUG_IF(grant_parse(buf_str(&b), KEY, arena, &back, NULL) < 0, "a token is not taken");
	BUG_IF(back.role != g.role || back.until_s != g.until_s || !str_eq(back.path, path) ||
			!str_is(back.sandbox, id),
		"a token says something else");
	BUG_IF(grant_parse(buf_str(&b), "another", arena, &back, NULL) == 0, "another key does");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str text = str_from_len((const char *)data, size);
	struct arena arena = ARENA_INIT(1 << 20);
	struct grant grant;
	BUG_IF(grant_parse(text, KEY, &arena, &grant, NULL) == 0, "a token was forged");
	read_back(text, &arena);
	arena_fini(&arena);
	return 0;
}
