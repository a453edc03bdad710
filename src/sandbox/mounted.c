/* SPDX-License-Identifier: Apache-2.0 */
#include "sandbox/mounted.h"

#include "base/file.h"
#include "base/num.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

bool mounted_next(struct str *rest, struct mounted *ret)
{
	enum { ID, PARENT, FS, ROOT, POINT, N };
	struct str line, word[N];
	struct error none;
	while (str_split(rest, '\n', &line)) {
		int n = 0;
		int64_t id;
		while (n < N && str_split(&line, ' ', &word[n]))
			n++;
		if (n < N || num_parse_i64(word[ID], 0, INT_MAX, &id, &none) < 0 ||
			word[FS].len >= sizeof(ret->fs))
			continue;
		*ret = (struct mounted){ .id = (int)id, .root = word[ROOT], .point = word[POINT] };
		memcpy(ret->fs, word[FS].ptr, word[FS].len);
		return true;
	}
	return false;
}

/* "\040" is a blank: three octal digits. -1: no room. */
static int put_plain(char *ret, size_t size, struct str text)
{
	size_t n = 0;
	for (size_t i = 0; i < text.len; i++) {
		char c = text.ptr[i];
		if (c == '\\' && text.len - i > 3) {
			c = (char)((text.ptr[i + 1] & 7) << 6 | (text.ptr[i + 2] & 7) << 3 |
				(text.ptr[i + 3] & 7));
			i += 3;
		}
		if (n + 1 >= size)
			return -1;
		ret[n++] = c;
	}
	ret[n] = '\0';
	return 0;
}

int mounted_root(const struct mounted *m, struct mounted_place *ret)
{
	memcpy(ret->fs, m->fs, sizeof(ret->fs));
	return put_plain(ret->path, sizeof(ret->path), m->root);
}

bool mounted_is_beneath(const struct mounted *m, const char *path)
{
	char point[PATH_MAX];
	return put_plain(point, sizeof(point), m->point) == 0 && file_beneath(point, path);
}

static int put_place(const struct mounted *m, const char *path, struct mounted_place *ret,
	struct error *err)
{
	char point[PATH_MAX];
	if (put_plain(point, sizeof(point), m->point) < 0 || mounted_root(m, ret) < 0)
		return error_set(err, ERROR_INVALID, "the name of a mount is too long");
	const char *rest = file_beneath(path, point);
	if (!rest)
		return error_set(err, ERROR_INVALID, "it was moved just now");
	size_t n = ret->path[1] || !*rest ? strlen(ret->path) : 0;
	if (n + strlen(rest) >= sizeof(ret->path))
		return error_set(err, ERROR_INVALID, "its name is too long");
	memcpy(ret->path + n, rest, strlen(rest) + 1);
	return 0;
}

int mounted_find(struct str table, int fd, const char *path, struct mounted_place *ret,
	struct error *err)
{
	struct statx st;
	struct mounted m;
	if (statx(fd, "", AT_EMPTY_PATH, STATX_MNT_ID, &st) < 0)
		return error_sys(err, errno, "statx");
	while (mounted_next(&table, &m))
		if ((uint64_t)m.id == st.stx_mnt_id)
			return put_place(&m, path, ret, err);
	return error_set(err, ERROR_NOT_FOUND, "nobody knows where it is mounted");
}
