/* SPDX-License-Identifier: Apache-2.0 */
#include "face/daytona/marks.h"

#include "base/auto.h"
#include "base/num.h"

#include <stdio.h>

enum { CARRY_MAX = ID_SIZE + 2 + MARKS_CODE_MAX + 1, BEGIN = '\036' };

void marks_init(struct marks *m, const char *tag)
{
	snprintf(m->mark, sizeof(m->mark), "%c%s ", BEGIN, tag);
	buf_init(&m->carry, CARRY_MAX);
}

void marks_fini(struct marks *m)
{
	buf_fini(&m->carry);
}

enum found { IS_DATA, IS_OPEN, IS_MARK };

/* What the carry is, which begins as a mark does. */
static enum found judge(const struct marks *m, int *ret_code)
{
	struct str text = buf_str(&m->carry), mark = str_from(m->mark);
	int64_t code;
	if (text.len <= mark.len)
		return str_starts(mark, text) ? IS_OPEN : IS_DATA;
	if (!str_starts(text, mark))
		return IS_DATA;
	text = str_skip(text, mark.len);
	if (!str_ends(text, STR("\n")))
		return text.len < MARKS_CODE_MAX ? IS_OPEN : IS_DATA;
	text.len--;
	if (num_parse_i64(text, 0, 255, &code, NULL) < 0)
		return IS_DATA;
	*ret_code = (int)code;
	return IS_MARK;
}

/* The carry is no mark; but one may begin within it, where there is another BEGIN. */
static struct str let_go(struct marks *m, const struct marks_ops *ops, void *arg,
	char copy[CARRY_MAX])
{
	size_t n = m->carry.len;
	memcpy(copy, m->carry.ptr, n);
	buf_reset(&m->carry);
	struct str rest = str_skip(str_from_len(copy, n), 1);
	ptrdiff_t again = str_find_char(rest, BEGIN);
	size_t data = again < 0 ? n : (size_t)again + 1;
	ops->data(arg, str_from_len(copy, data));
	return str_from_len(copy + data, n - data);
}

static void feed_carry(struct marks *m, char c, const struct marks_ops *ops, void *arg)
{
	char copy[CARRY_MAX];
	int code;
	buf_putc(&m->carry, c);
	enum found found = judge(m, &code);
	if (found == IS_MARK) {
		buf_reset(&m->carry);
		ops->mark(arg, code);
	} else if (found == IS_DATA) {
		/* At most one byte shorter each time. */
		struct str rest = let_go(m, ops, arg, copy);
		marks_feed(m, rest, ops, arg);
	}
}

void marks_feed(struct marks *m, struct str bytes, const struct marks_ops *ops, void *arg)
{
	while (bytes.len) {
		if (m->carry.len) {
			feed_carry(m, bytes.ptr[0], ops, arg);
			bytes = str_skip(bytes, 1);
			continue;
		}
		ptrdiff_t at = str_find_char(bytes, BEGIN);
		size_t n = at < 0 ? bytes.len : (size_t)at;
		if (n)
			ops->data(arg, str_first(bytes, n));
		bytes = str_skip(bytes, n);
		if (bytes.len) {
			buf_putc(&m->carry, BEGIN);
			bytes = str_skip(bytes, 1);
		}
	}
}

void marks_end(struct marks *m, const struct marks_ops *ops, void *arg)
{
	char copy[CARRY_MAX];
	size_t n = m->carry.len;
	memcpy(copy, m->carry.ptr, n);
	buf_reset(&m->carry);
	if (n)
		ops->data(arg, str_from_len(copy, n));
}
