/* SPDX-License-Identifier: Apache-2.0 */
/* Any text is a program or too much of one; a string that repr() shows is read back as it was. */
#include "base/auto.h"
#include "base/bug.h"
#include "wire/pycall.h"
#include "wire/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t weigh(const struct py_value *v)
{
	size_t n = 1 + v->text.len;
	for (size_t i = 0; i < v->n; i++)
		n += weigh(&v->items[i]);
	return n;
}

static void check_program(struct str text)
{
	auto_arena struct arena arena = ARENA_INIT(8 << 20);
	struct py_call *calls;
	size_t n, weight = 0;
	if (pycall_parse(text, &arena, &calls, &n, NULL) < 0)
		return;
	BUG_IF(n > PYCALL_CALLS_MAX, "more calls than there may be");
	for (size_t i = 0; i < n; i++) {
		BUG_IF(calls[i].name.len == 0, "a call without a name");
		BUG_IF(calls[i].source.ptr < text.ptr ||
				calls[i].source.ptr + calls[i].source.len > text.ptr + text.len,
			"a call that is not in the text");
		for (size_t k = 0; k < calls[i].n; k++)
			weight += weigh(&calls[i].arguments[k].value);
	}
	BUG_IF(weight > 16 << 20, "values that are larger than what they were read from");
}

static void check_repr(struct str text)
{
	auto_arena struct arena arena = ARENA_INIT(8 << 20);
	auto_buf struct buf program = BUF_INIT(1 << 20);
	struct py_call *calls;
	size_t n;
	if (!utf8_is_valid(text) || text.len > PYCALL_TEXT_MAX / 8)
		return;
	buf_puts(&program, "f(");
	pycall_put_repr(&program, text);
	buf_puts(&program, ")");
	BUG_IF(pycall_parse(buf_str(&program), &arena, &calls, &n, NULL) < 0 || n != 1 ||
			calls[0].n != 1 || !str_eq(calls[0].arguments[0].value.text, text),
		"a string that is read back different");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str in = str_from_len((const char *)data, size);
	check_program(in);
	check_repr(in);
	return 0;
}
