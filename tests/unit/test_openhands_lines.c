/* SPDX-License-Identifier: Apache-2.0 */
#include "face/openhands/lines.h"

#include "base/auto.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#define assert_str(s, text) assert_string_equal((text), str_text(s))

static const char *str_text(struct str s)
{
	static char text[256];
	assert_true(s.len < sizeof(text));
	memcpy(text, s.ptr ? s.ptr : "", s.len);
	text[s.len] = '\0';
	return text;
}

static void a_slice_is_what_the_peer_reads(void **state)
{
	static const struct {
		int64_t start, end;
		const char *want;
	} cases[] = {
		{ 0, -1, "1\n2\n3\n4\n" },
		{ 1, -1, "2\n3\n4\n" },
		{ 9, -1, "" },
		{ -3, -1, "1\n2\n3\n4\n" },
		{ 0, 1, "1\n" },
		{ 0, 0, "1\n" },
		{ 1, 3, "2\n3\n" },
		{ 3, 4, "3\n4\n" },
		{ 9, 9, "3\n4\n" },
		{ 2, -5, "3\n" },
		{ 0, 99, "1\n2\n3\n4\n" },
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		assert_str(lines_slice(STR("1\n2\n3\n4\n"), cases[i].start, cases[i].end),
			cases[i].want);
}

static void a_last_line_without_newline_is_a_line(void **state)
{
	assert_str(lines_slice(STR("1\n2"), 1, -1), "2");
	assert_str(lines_slice(STR("1\n2"), 1, 2), "1\n2");
	assert_str(lines_slice(STR("1"), 0, 1), "1");
	assert_str(lines_slice(STR(""), 0, -1), "");
	assert_str(lines_slice(STR(""), 3, 5), "");
}

static const char *spliced(const char *old, const char *content, int64_t start, int64_t end)
{
	auto_buf struct buf b = BUF_INIT(256);
	assert_int_equal(lines_splice(&b, str_from(old), str_from(content), start, end), 0);
	return str_text(buf_str(&b));
}

static void a_splice_ends_every_line_of_the_content(void **state)
{
	assert_string_equal(spliced("", "x", 0, -1), "x\n");
	assert_string_equal(spliced("", "x\n", 0, -1), "x\n\n");
	assert_string_equal(spliced("", "", 0, -1), "\n");
	assert_string_equal(spliced("old\n", "x\ny", 0, -1), "x\ny\n");
	assert_string_equal(spliced("1\n2\n3\n", "x", 1, 2), "1\nx\n3\n");
	assert_string_equal(spliced("1\n2\n3\n", "x", 1, -1), "1\nx\n");
	assert_string_equal(spliced("1\n2\n3\n", "x", 3, 3), "1\n2\n3\nx\n");
	assert_string_equal(spliced("1\n2\n3\n", "x", -1, 9), "1\n2\nx\n");
	assert_string_equal(spliced("1\n2\n3", "x", 0, 2), "x\n3");
}

static void every_newline_becomes_lf(void **state)
{
	auto_buf struct buf b = BUF_INIT(64);
	assert_int_equal(lines_put_normal(&b, STR("a\r\nb\rc\n\r\r\nd\r")), 0);
	assert_string_equal(b.ptr, "a\nb\nc\n\n\nd\n");
}

static void the_last_lines_are_counted_with_what_has_no_newline(void **state)
{
	assert_str(lines_last(STR("1\n2\n3"), 2), "2\n3");
	assert_str(lines_last(STR("1\n2\n3"), 9), "1\n2\n3");
	assert_str(lines_last(STR("1\n2\n3\n"), 2), "3\n");
	assert_int_equal(lines_count(STR("1\n2\n3")), 3);
}

static void a_long_text_loses_its_middle(void **state)
{
	auto_buf struct buf b = BUF_INIT(256);
	lines_put_cut(&b, STR("abcdef"), 6);
	assert_string_equal(b.ptr, "abcdef");
	buf_reset(&b);
	lines_put_cut(&b, STR("abcdefg"), 4);
	assert_string_equal(b.ptr, "ab\n[... Observation truncated due to length ...]\nfg");
	buf_reset(&b);
	lines_put_cut(&b, STR("äöüß"), 4);
	assert_string_equal(b.ptr, "äöüß");
	buf_reset(&b);
	lines_put_cut(&b, STR("äöüßx"), 2);
	assert_string_equal(b.ptr, "ä\n[... Observation truncated due to length ...]\nx");
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_slice_is_what_the_peer_reads),
		cmocka_unit_test(a_last_line_without_newline_is_a_line),
		cmocka_unit_test(a_splice_ends_every_line_of_the_content),
		cmocka_unit_test(every_newline_becomes_lf),
		cmocka_unit_test(the_last_lines_are_counted_with_what_has_no_newline),
		cmocka_unit_test(a_long_text_loses_its_middle),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
