/* SPDX-License-Identifier: Apache-2.0 */
#include "executor/keys.h"

#include "base/auto.h"
#include "wire/utf8.h"

static const struct {
	const char *name, *bytes;
} keys[] = {
	{ "BSpace", "\x7f" },
	{ "BTab", "\033[Z" },
	{ "Delete", "\033[3~" },
	{ "Down", "\033[B" },
	{ "End", "\033[F" },
	{ "Enter", "\r" },
	{ "Escape", "\033" },
	{ "F1", "\033OP" },
	{ "F2", "\033OQ" },
	{ "F3", "\033OR" },
	{ "F4", "\033OS" },
	{ "F5", "\033[15~" },
	{ "F6", "\033[17~" },
	{ "F7", "\033[18~" },
	{ "F8", "\033[19~" },
	{ "F9", "\033[20~" },
	{ "F10", "\033[21~" },
	{ "F11", "\033[23~" },
	{ "F12", "\033[24~" },
	{ "Home", "\033[H" },
	{ "Insert", "\033[2~" },
	{ "Left", "\033[D" },
	{ "PageDown", "\033[6~" },
	{ "PageUp", "\033[5~" },
	{ "Right", "\033[C" },
	{ "Space", " " },
	{ "Tab", "\t" },
	{ "Up", "\033[A" },
};

static int put_control(char c, struct buf *out)
{
	if (c == '?')
		return buf_putc(out, 0x7f);
	if (c == ' ' || (c >= '@' && c <= '_') || (c >= 'a' && c <= 'z'))
		return buf_putc(out, c & 0x1f);
	return -1;
}

static int put_key(struct str name, struct buf *out)
{
	for (size_t i = 0; i < ARRAY_LEN(keys); i++)
		if (str_is(name, keys[i].name))
			return buf_puts(out, keys[i].bytes);
	if (name.len == 3 && str_starts(name, STR("C-")))
		return put_control(name.ptr[2], out);
	if (name.len > 2 && str_starts(name, STR("M-"))) {
		buf_putc(out, '\033');
		return put_key(str_skip(name, 2), out);
	}
	if (name.len && utf8_len(name) == name.len)
		return buf_put(out, name);
	return -1;
}

int keys_parse(struct str names, struct buf *out, struct error *err)
{
	struct str name;
	while (str_split(&names, ' ', &name)) {
		if (name.len && put_key(name, out) < 0)
			return error_set(err, ERROR_INVALID,
				"'%.*s' is no key; keys are C-c, M-x, Enter, Up, F1, …",
				STR_ARG(str_first(name, 40)));
	}
	return 0;
}
