/* SPDX-License-Identifier: Apache-2.0 */
/* What is TOML becomes a tree whose every part can be walked; what is not names a line. */
#include "wire/toml.h"

#include "base/bug.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int64_t walk(const struct toml *t)
{
	int64_t sum = (int64_t)t->text.len + t->kind;
	int n = 0;
	for (const struct toml *part = t->first; part; part = part->next, n++)
		sum += walk(part);
	BUG_IF(n != t->n, "a table counts its parts wrongly");
	BUG_IF(t->text.ptr[t->text.len] != '\0', "a text without its NUL");
	return sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	auto_arena struct arena arena = ARENA_INIT(TOML_ARENA_MAX);
	struct toml *root;
	struct error err;
	if (toml_parse(str_from_len((const char *)data, size), &arena, &root, &err) == 0)
		BUG_IF(walk(root) < TOML_TABLE, "an empty tree");
	else
		BUG_IF(err.text[0] == '\0', "a refusal without a word");
	return 0;
}
