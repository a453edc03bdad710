/* SPDX-License-Identifier: Apache-2.0 */
/* Format: https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT, 4.3 and 4.5.3 */
#include "executor/zip_names.h"

#include "base/auto.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

enum {
	END_SIZE = 22,
	END64_SIZE = 56,
	LOCATOR_SIZE = 20,
	ENTRY_SIZE = 46,
	LOCAL_SIZE = 30,
	COMMENT_MAX = 65535,
	ITEMS_MAX = 1 << 20,
	FLAG_UTF8 = 1 << 11,
};

#define IN_64 0xffffffffu

struct table {
	int fd;
	int64_t start, size; /* of the table of contents */
	int64_t shift;       /* what is in front of the archive: offsets do not count it */
};

static uint64_t get(const unsigned char *p, int size)
{
	uint64_t v = 0;
	while (size--)
		v = v << 8 | p[size];
	return v;
}

static bool read_at(int fd, void *to, size_t size, int64_t at, const char *signature)
{
	return at >= 0 && pread(fd, to, size, at) == (ssize_t)size && memcmp(to, signature, 4) == 0;
}

static int64_t find_end(int fd)
{
	static unsigned char tail[COMMENT_MAX + END_SIZE];
	int64_t size = lseek(fd, 0, SEEK_END);
	int64_t from = MAX(0, size - (int64_t)sizeof(tail));
	ssize_t n = pread(fd, tail, sizeof(tail), from);
	for (ssize_t i = n - END_SIZE; i >= 0; i--)
		if (memcmp(tail + i, "PK\5\6", 4) == 0)
			return from + i;
	return -1;
}

static bool find_table(int fd, struct table *ret)
{
	unsigned char end[END_SIZE], end64[END64_SIZE], locator[LOCATOR_SIZE];
	int64_t at = find_end(fd);
	if (at < 0 || !read_at(fd, end, sizeof(end), at, "PK\5\6"))
		return false;
	uint64_t size = get(end + 12, 4), offset = get(end + 16, 4);
	if (read_at(fd, locator, sizeof(locator), at - LOCATOR_SIZE, "PK\6\7")) {
		at = (int64_t)get(locator + 8, 8);
		if (!read_at(fd, end64, sizeof(end64), at, "PK\6\6"))
			return false;
		size = get(end64 + 40, 8);
		offset = get(end64 + 48, 8);
	}
	if (size > (uint64_t)at || offset > (uint64_t)at - size)
		return false;
	int64_t start = at - (int64_t)size;
	*ret = (struct table){ fd, start, (int64_t)size, start - (int64_t)offset };
	return true;
}

/*
 * The item's offset from its 64-bit extra field, where it follows the sizes that are in there too.
 */
static uint64_t far_offset(const struct table *t, int64_t extra_at, size_t extra_len,
	const unsigned char *entry)
{
	static unsigned char extra[65535];
	int skip = (get(entry + 20, 4) == IN_64 ? 8 : 0) + (get(entry + 24, 4) == IN_64 ? 8 : 0);
	if (pread(t->fd, extra, extra_len, extra_at) != (ssize_t)extra_len)
		return UINT64_MAX;
	for (size_t i = 0; i + 4 <= extra_len;) {
		size_t len = get(extra + i + 2, 2);
		if (get(extra + i, 2) == 1 && len >= (size_t)skip + 8 && i + 4 + len <= extra_len)
			return get(extra + i + 4 + skip, 8);
		i += 4 + len;
	}
	return UINT64_MAX;
}

static void unmark(int fd, int64_t flags_at, unsigned flags)
{
	unsigned char bytes[] = { (unsigned char)flags,
		(unsigned char)((flags & ~FLAG_UTF8) >> 8) };
	if (pwrite(fd, bytes, sizeof(bytes), flags_at) != sizeof(bytes))
		return; /* then the name is refused later */
}

static void unmark_local(const struct table *t, uint64_t offset)
{
	unsigned char local[LOCAL_SIZE];
	if (offset > INT64_MAX / 2)
		return;
	int64_t at = (int64_t)offset + t->shift;
	if (read_at(t->fd, local, sizeof(local), at, "PK\3\4"))
		unmark(t->fd, at + 6, (unsigned)get(local + 6, 2));
}

void zip_names_unmark(int fd)
{
	struct table t;
	unsigned char entry[ENTRY_SIZE];
	if (!find_table(fd, &t))
		return;
	int64_t at = t.start, end = t.start + t.size;
	for (int i = 0;
		i < ITEMS_MAX && at < end && read_at(fd, entry, sizeof(entry), at, "PK\1\2"); i++) {
		size_t name = get(entry + 28, 2), extra = get(entry + 30, 2),
		       comment = get(entry + 32, 2);
		unsigned flags = (unsigned)get(entry + 8, 2);
		uint64_t offset = get(entry + 42, 4);
		if (flags & FLAG_UTF8) {
			if (offset == IN_64)
				offset = far_offset(&t, at + ENTRY_SIZE + (int64_t)name, extra,
					entry);
			unmark(fd, at + 8, flags);
			unmark_local(&t, offset);
		}
		at += (int64_t)(ENTRY_SIZE + name + extra + comment);
	}
}
