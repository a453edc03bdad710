/* SPDX-License-Identifier: Apache-2.0 */
#include "executor/xattrs.h"

#include "base/auto.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/xattr.h>

static void put_one(struct jsonw *w, int fd, const char *name)
{
	char value[XATTR_VALUE_MAX];
	ssize_t n = fgetxattr(fd, name, value, sizeof(value));
	if (n < 0)
		return;
	jsonw_key_dyn(w, str_from(name));
	jsonw_str(w, str_from_len(value, (size_t)n));
}

void xattrs_put_fd(struct jsonw *w, int fd, struct str prefix)
{
	auto_buf struct buf names = BUF_INIT(XATTRS_NAMES_MAX);
	ssize_t size = flistxattr(fd, NULL, 0);
	if (size <= 0 || size > XATTRS_NAMES_MAX)
		return;
	char *room = buf_room(&names, (size_t)size);
	ssize_t n = room ? flistxattr(fd, room, (size_t)size) : -1;
	if (n <= 0)
		return;
	buf_grown(&names, (size_t)n);
	struct str rest = buf_str(&names), name;
	int given = 0;
	jsonw_key(w, "xattrs");
	jsonw_open(w);
	while (rest.len && given < XATTRS_MAX && str_split(&rest, '\0', &name))
		if (name.len && str_starts(name, prefix)) {
			put_one(w, fd, name.ptr);
			given++;
		}
	jsonw_close(w);
}

void xattrs_put(struct jsonw *w, int dir_fd, const char *name, struct str prefix)
{
	auto_fd int fd = openat(dir_fd, name,
		O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd >= 0)
		xattrs_put_fd(w, fd, prefix);
}

int xattrs_set_fd(int fd, const struct field_map *xattrs, struct error *err)
{
	if (xattrs->n > XATTRS_MAX)
		return error_set(err, ERROR_LIMIT, "over %d extended attributes", XATTRS_MAX);
	for (size_t i = 0; i < xattrs->n; i++) {
		auto_free char *name = str_dup(xattrs->keys[i]);
		struct str value = xattrs->values[i];
		if (!str_starts(xattrs->keys[i], STR("user.")) || xattrs->keys[i].len > 255 ||
			value.len > XATTR_VALUE_MAX)
			return error_set(err, ERROR_INVALID,
				"'%.60s' is no name of an extended attribute in user., or its value is too long",
				name);
		if (fsetxattr(fd, name, value.ptr, value.len, 0) < 0)
			return error_sys(err, errno, "set the extended attribute %.60s", name);
	}
	return 0;
}
