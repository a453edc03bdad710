/* SPDX-License-Identifier: Apache-2.0 */
/* A pattern and a path, separated by NUL. A directory above a match is never ruled out. */
#include "base/bug.h"
#include "executor/glob.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	auto_arena struct arena arena = ARENA_INIT(8 << 20);
	struct str path = { (const char *)data, size }, pattern = STR("");
	struct glob g;
	if (size == 0 || !str_split(&path, '\0', &pattern) || !path.len ||
		glob_compile(&g, pattern, size % 2, &arena, NULL) < 0)
		return 0;
	/* A walk gives no empty components. */
	if (path.ptr[0] == '/' || path.ptr[path.len - 1] == '/' || str_find(path, STR("//")) >= 0)
		return 0;
	bool matches = glob_match(&g, path);
	for (size_t i = 1; matches && i < path.len; i++)
		BUG_IF(path.ptr[i] == '/' && !glob_may_match_below(&g, str_first(path, i)),
			"a match in a directory that was ruled out");
	return 0;
}
