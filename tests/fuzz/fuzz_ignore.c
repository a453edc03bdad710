/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The first line is a path, the rest a .dockerignore: it is ignored or not, in time, and a plain
 * pattern fits itself.
 */
#include "wire/ignore.h"

#include "base/bug.h"

#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	auto_arena struct arena arena = ARENA_INIT(16 << 20);
	struct str text = str_from_len((const char *)data, size < 4096 ? size : 4096), path;
	struct ignore ignore;
	struct error err;
	if (!str_split(&text, '\n', &path) || ignore_parse(text, &arena, &ignore, &err) < 0)
		return 0;
	ignore_has(&ignore, path);
	for (size_t i = 0; i < ignore.n; i++) {
		struct str pattern = ignore.lines[i].pattern;
		bool fits = pattern_fits(pattern, pattern);
		BUG_IF(pattern_is_plain(pattern) && !fits, "a plain pattern does not fit itself");
	}
	return 0;
}
