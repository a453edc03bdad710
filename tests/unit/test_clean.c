/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/clean.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

static void becomes(const char *in, bool has_colour, const char *out)
{
	auto_buf struct buf b = BUF_INIT(10000);
	assert_int_equal(clean_put(&b, str_from(in), has_colour, true), strlen(in));
	assert_string_equal(b.ptr, out);
}

static void text_stays_as_it_is(void **state)
{
	becomes("plain\ttext\nwith \xc3\xa9 and \xe2\x82\xac\r\n", false,
		"plain\ttext\nwith \xc3\xa9 and \xe2\x82\xac\r\n");
}

static void control_characters_become_visible(void **state)
{
	becomes("a\x07"
		"b\x08"
		"c\x7f",
		false, "a^Gb^Hc^?");
	becomes("over\rwritten", false, "over^Mwritten");
	becomes("\x1b[31mred\x1b[0m", false, "^[[31mred^[[0m");
}

static void only_colours_pass_as_sequences(void **state)
{
	becomes("\x1b[1;38:5:9mred\x1b[m", true, "\x1b[1;38:5:9mred\x1b[m");
	becomes("\x1b]0;title\x07", true, "^[]0;title^G");
	becomes("\x1b[2J", true, "^[[2J");
	becomes("\x1b[6n", true, "^[[6n");
	becomes("\x1b[31", true, "^[[31");
	becomes("\x1b"
		"c",
		true, "^[c");
}

static void a_sequence_that_never_ends_is_no_colour(void **state)
{
	becomes("\x1b[1111111111111111111111111111111111111111111111111m", true,
		"^[[1111111111111111111111111111111111111111111111111m");
}

static void c1_controls_and_broken_utf8_are_replaced(void **state)
{
	becomes("\xc2\x9b"
		"31m",
		true,
		"\xef\xbf\xbd"
		"31m");
	becomes("a\xff"
		"b",
		false,
		"a\xef\xbf\xbd"
		"b");
}

static void what_turns_the_order_of_text_is_replaced(void **state)
{
	becomes("txt.\xe2\x80\xae"
		"exe",
		true,
		"txt.\xef\xbf\xbd"
		"exe");
	becomes("\xe2\x81\xa6"
		"a\xe2\x81\xa9",
		false,
		"\xef\xbf\xbd"
		"a\xef\xbf\xbd");
	becomes("\xe2\x80\x8f\xd7\xa9\xe2\x81\xaa", false, "\xe2\x80\x8f\xd7\xa9\xe2\x81\xaa");
}

static void what_an_error_quotes_stays_one_line_without_sequences(void **state)
{
	auto_buf struct buf b = BUF_INIT(1000);
	clean_put_line(&b,
		STR("a\x1b[31m\r\nb\tc\x7f\xc2\x9b"
		    "31m\xe2\x80\xae\xff\xc3\xa9"));
	assert_string_equal(b.ptr,
		"a?[31m? b c?\xef\xbf\xbd"
		"31m\xef\xbf\xbd\xef\xbf\xbd\xc3\xa9");
}

static void what_may_go_on_is_held(void **state)
{
	static const char *const starts[] = { "\x1b", "\x1b[3", "\xe2\x82", "\r" };
	for (size_t i = 0; i < sizeof(starts) / sizeof(starts[0]); i++) {
		auto_buf struct buf b = BUF_INIT(100);
		assert_int_equal(clean_put(&b, str_from(starts[i]), true, false), 0);
		assert_int_equal(b.len, 0);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(text_stays_as_it_is),
		cmocka_unit_test(control_characters_become_visible),
		cmocka_unit_test(only_colours_pass_as_sequences),
		cmocka_unit_test(a_sequence_that_never_ends_is_no_colour),
		cmocka_unit_test(c1_controls_and_broken_utf8_are_replaced),
		cmocka_unit_test(what_turns_the_order_of_text_is_replaced),
		cmocka_unit_test(what_an_error_quotes_stays_one_line_without_sequences),
		cmocka_unit_test(what_may_go_on_is_held),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
