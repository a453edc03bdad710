/* SPDX-License-Identifier: Apache-2.0 */
#include "executor/names.h"

#include "base/auto.h"
#include "base/buf.h"
#include "base/num.h"

#include <fcntl.h>

enum { FILE_MAX = 256 * 1024 };

bool names_find(const struct path_root *root, const char *file, unsigned id,
	char ret_name[NAMES_SIZE])
{
	auto_fd int fd = -1;
	auto_buf struct buf b = BUF_INIT(FILE_MAX);
	ret_name[0] = '\0';
	if (path_open_file(root, file, O_RDONLY, &fd, NULL, NULL) < 0)
		return false;
	char chunk[4096];
	ssize_t n;
	while ((n = read(fd, chunk, sizeof(chunk))) > 0 && buf_add(&b, chunk, (size_t)n) == 0)
		;
	struct str rest = buf_str(&b), line, name, skipped, number;
	while (str_split(&rest, '\n', &line)) {
		int64_t v;
		if (!str_split(&line, ':', &name) || !str_split(&line, ':', &skipped) ||
			!str_split(&line, ':', &number) ||
			num_parse_i64(number, 0, UINT32_MAX, &v, NULL) < 0 || v != id ||
			name.len == 0 || name.len >= NAMES_SIZE)
			continue;
		memcpy(ret_name, name.ptr, name.len);
		ret_name[name.len] = '\0';
		return true;
	}
	return false;
}
