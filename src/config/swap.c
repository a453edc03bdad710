/* SPDX-License-Identifier: Apache-2.0 */
#include "config/swap.h"

#include "base/auto.h"
#include "base/file.h"

#include <fcntl.h>

enum { FILE_MAX = 64 * 1024 };

static int read_value(struct str from, struct buf *ret, struct error *err)
{
	auto_free char *name = str_dup(from);
	if (str_find_char(from, '/') < 0) {
		const char *value = getenv(name);
		if (!value || !value[0])
			return error_set(err, ERROR_INVALID, "the variable %.60s is not set", name);
		buf_puts(ret, value);
		return 0;
	}
	if (file_read(AT_FDCWD, name, ret, err) < 0)
		return -1;
	buf_cut(ret, str_trim(buf_str(ret)).len);
	return 0;
}

static int bad(struct str text, struct error *err)
{
	return error_set(err, ERROR_INVALID,
		"'%.*s' is not NAME[=VARIABLE|=PATH]@HOST[,HOST]...[#HEADER]",
		STR_ARG(str_first(text, 60)));
}

int swap_put(struct str text, struct jsonw *w, struct error *err)
{
	auto_buf struct buf value = BUF_INIT(FILE_MAX);
	const char *at = text.len ? memrchr(text.ptr, '@', text.len) : NULL;
	if (!at)
		return bad(text, err);
	struct str from = str_first(text, (size_t)(at - text.ptr)), name, host;
	struct str hosts = str_skip(text, from.len + 1), header = hosts;
	str_split(&header, '#', &hosts);
	str_split(&from, '=', &name);
	if (!name.len || !hosts.len || (header.ptr && !header.len))
		return bad(text, err);
	if (read_value(from.ptr ? from : name, &value, err) < 0)
		return error_wrap(err, "%.*s", STR_ARG(str_first(name, 60)));
	jsonw_key_dyn(w, name);
	jsonw_open(w);
	jsonw_key_str(w, "value", buf_str(&value));
	jsonw_key(w, "hosts");
	jsonw_open_array(w);
	while (str_split(&hosts, ',', &host))
		jsonw_str(w, host);
	jsonw_close_array(w);
	if (header.ptr)
		jsonw_key_str(w, "header", header);
	jsonw_close(w);
	explicit_bzero(value.ptr, value.cap ? value.len : 0);
	return 0;
}
