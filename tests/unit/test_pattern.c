/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/pattern.h"

#include "unit.h"

#include "base/auto.h"

static struct pattern *made(const char *text)
{
	struct pattern *p;
	struct error err;
	assert_works(pattern_new(str_from(text), &p, &err), err);
	return p;
}

/* Found at [start, end); start -1: not at all. */
static void finds(const char *pattern, const char *text, int start, int end)
{
	struct pattern *p = made(pattern);
	size_t from = 0, to = 0;
	bool is_found = pattern_find(p, str_from(text), &from, &to);
	assert_int_equal(is_found, start >= 0);
	if (is_found) {
		assert_int_equal(from, start);
		assert_int_equal(to, end);
	}
	pattern_free(p);
}

static void refuses(const char *pattern, enum error_code code)
{
	struct pattern *p;
	struct error err;
	assert_int_equal(pattern_new(str_from(pattern), &p, &err), -1);
	assert_int_equal(err.code, code);
}

static void prompts_are_found_where_they_are(void **unused)
{
	finds(">>> ", "Python 3\n>>> ", 9, 13);
	finds("\\(gdb\\) ", "hi\n(gdb) ", 3, 9);
	finds("(gdb) ", "hi\n(gdb) ", -1, 0);
	finds("[$#] $", "user@host:~$ ", 11, 13);
	finds("[$#] $", "a $ b", -1, 0);
	finds("^a", "ba", -1, 0);
	finds("^a", "ab", 0, 1);
	finds("", "abc", 0, 0);
}

static void the_usual_syntax_is_understood(void **unused)
{
	finds("a.c", "xa\nc", 1, 4);
	finds("colou?r", "the color", 4, 9);
	finds("(foo|ba[rz]){2}", "foobaz", 0, 6);
	finds("(?:x|y)+?z", "axyz", 1, 4);
	finds("(?P<n>\\d{2,3})!", "1234!", 1, 5);
	finds("\\w+@\\S+\\s", "me@home ", 0, 8);
	finds("[^a-c\\d]", "abc1-", 4, 5);
	finds("[]x]", "]", 0, 1);
	finds("[a-]-", "--", 0, 2);
	finds("\\x41\\t", "A\t", 0, 2);
	finds("a{,2}b", "aab", 0, 3);
	finds("a{b", "a{b", 0, 3);
	finds("é", "caf\xc3\xa9", 3, 5);
	finds("(a*)*b", "aaab", 0, 4);
}

static void what_is_not_offered_is_refused(void **unused)
{
	static const char *const unsupported[] = { "(?=a)", "(?i)a", "\\1", "(a)\\1", "\\bx",
		"[\xc3\xa9]", "(?<!a)", "(?P<n" };
	static const char *const invalid[] = { "(", ")", "a)", "[a", "*", "a**", "a\\", "[b-a]",
		"a{2,1}", "a{1001}", "\\xg0" };
	for (size_t i = 0; i < ARRAY_LEN(unsupported); i++)
		refuses(unsupported[i], ERROR_UNSUPPORTED);
	for (size_t i = 0; i < ARRAY_LEN(invalid); i++)
		refuses(invalid[i], ERROR_INVALID);
	refuses("((a{1000}){1000}){1000}", ERROR_LIMIT);
}

static void what_repeats_nothing_costs_nothing(void **unused)
{
	finds("(((){1000}){1000}){1000}a", "a", 0, 1);
}

static void a_match_may_come_in_pieces(void **unused)
{
	struct pattern *p = made("ab+c");
	size_t end;
	assert_false(pattern_feed(p, STR("xxa"), &end));
	assert_false(pattern_feed(p, STR("bb"), &end));
	assert_true(pattern_feed(p, STR("bcab"), &end));
	assert_int_equal(end, 2);
	assert_false(pattern_feed(p, STR("c"), &end)); /* what was behind is not known */
	pattern_free(p);
}

static void it_takes_no_longer_for_a_cunning_expression(void **unused)
{
	static char text[200 * 1000];
	struct pattern *p = made("(a|aa|a*)*(a|a?){30}b");
	size_t end;
	memset(text, 'a', sizeof(text));
	assert_false(pattern_feed(p, str_from_len(text, sizeof(text)), &end));
	pattern_free(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(prompts_are_found_where_they_are),
		cmocka_unit_test(the_usual_syntax_is_understood),
		cmocka_unit_test(what_is_not_offered_is_refused),
		cmocka_unit_test(what_repeats_nothing_costs_nothing),
		cmocka_unit_test(a_match_may_come_in_pieces),
		cmocka_unit_test(it_takes_no_longer_for_a_cunning_expression),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
