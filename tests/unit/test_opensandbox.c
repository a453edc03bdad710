/* SPDX-License-Identifier: Apache-2.0 */
#include "face/opensandbox/lines.h"
#include "face/opensandbox/range.h"
#include "face/opensandbox/wildcard.h"

#include "unit.h"

#include "base/auto.h"

static void on_line(void *arg, struct str line)
{
	struct buf *b = arg;
	buf_putc(b, '<');
	buf_put(b, line);
	buf_putc(b, '>');
}

static void tells(struct str text, size_t step, const char *wanted)
{
	auto_buf struct buf b = BUF_INIT(1 << 20);
	struct osb_lines l;
	osb_lines_init(&l);
	for (; text.len; text = str_skip(text, step))
		osb_lines_feed(&l, str_first(text, step), on_line, &b);
	osb_lines_end(&l, on_line, &b);
	osb_lines_fini(&l);
	assert_string_equal(b.ptr, wanted);
}

static void output_is_told_by_lines_wherever_it_is_cut(void **unused)
{
	for (size_t step = 1; step < 8; step++) {
		tells(STR("a\nbc\r\nd\re"), step, "<a><bc><d><e>");
		tells(STR("\n\r\n\r\r\n"), step, "<\n><\n><\n><\n>");
		tells(STR("a\n\n b\n"), step, "<a><\n>< b>");
	}
	tells(STR(""), 1, "");
}

static void a_line_without_an_end_is_told_in_parts_of_whole_characters(void **unused)
{
	auto_buf struct buf text = BUF_INIT(1 << 20), b = BUF_INIT(1 << 20);
	struct osb_lines l;
	osb_lines_init(&l);
	buf_putc(&text, 'x');
	while (text.len < OSB_LINES_MAX + 100)
		buf_puts(&text, "\xc3\xa4");
	osb_lines_feed(&l, buf_str(&text), on_line, &b);
	assert_int_equal(b.ptr[b.len - 1], '>');
	assert_int_equal(b.len, OSB_LINES_MAX - 1 + 2);
	osb_lines_end(&l, on_line, &b);
	assert_int_equal(b.len, text.len + 4);
	osb_lines_fini(&l);
}

static void range(const char *header, int64_t start, int64_t length, bool is_part)
{
	struct osb_range r;
	assert_int_equal(osb_range_read(str_from(header), 100, &r), 0);
	assert_true(r.start == start && r.length == length && r.size == 100);
	assert_int_equal(r.is_part, is_part);
}

static void a_range_lies_in_its_file(void **unused)
{
	struct osb_range r;
	range("bytes=0-9", 0, 10, true);
	range("bytes=90-", 90, 10, true);
	range("bytes=-5", 95, 5, true);
	range("bytes=-500", 0, 100, true);
	range("bytes= 1 - 2 , 7-9", 1, 2, true);
	range("bytes=5-9223372036854775807", 5, 95, true);
	range("bytes=9-1", 0, 100, false);
	range("bytes=-", 0, 100, false);
	range("bytes=a-b", 0, 100, false);
	range("lines=1-2", 0, 100, false);
	range("", 0, 100, false);
	assert_int_equal(osb_range_read(STR("bytes=100-"), 100, &r), -1);
	assert_int_equal(osb_range_read(STR("bytes=-0"), 100, &r), -1);
	assert_int_equal(osb_range_read(STR("bytes=0-"), 0, &r), -1);
}

static void names_fit_patterns_as_in_a_shell(void **unused)
{
	static const struct {
		const char *pattern, *name;
		bool fits;
	} rows[] = {
		{ "*", "", true },
		{ "**", "anything", true },
		{ "*.txt", "a.txt", true },
		{ "*.txt", ".txt", true },
		{ "*.txt", "a.txt~", false },
		{ "?", "", false },
		{ "a?c", "abc", true },
		{ "[a-c]x", "bx", true },
		{ "[!a-c]x", "bx", false },
		{ "[]]", "]", true },
		{ "[a", "[a", true },
		{ "\\*", "*", true },
		{ "\\*", "x", false },
		{ "a*b*c", "aXbXbXc", true },
		{ "", "x", false },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		assert_int_equal(wildcard_has(str_from(rows[i].pattern), str_from(rows[i].name)),
			rows[i].fits);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(output_is_told_by_lines_wherever_it_is_cut),
		cmocka_unit_test(a_line_without_an_end_is_told_in_parts_of_whole_characters),
		cmocka_unit_test(a_range_lies_in_its_file),
		cmocka_unit_test(names_fit_patterns_as_in_a_shell),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
