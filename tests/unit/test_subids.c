/* SPDX-License-Identifier: Apache-2.0 */
#include "sandbox/subids.h"

#include "unit.h"

#include "base/auto.h"

static uint32_t first, count;

static bool parse(const char *table)
{
	first = count = 0;
	return subids_parse(str_from(table), STR("me"), 1000, &first, &count);
}

static void a_range_is_found_by_name_and_by_number(void **state)
{
	assert_true(parse("you:100000:65536\nme:165536:65536\n"));
	assert_int_equal(first, 165536);
	assert_int_equal(count, 65536);
	assert_true(parse("you:100000:65536\n1000:300000:10"));
	assert_int_equal(first, 300000);
	assert_int_equal(count, 10);
	assert_false(parse("you:100000:65536\n10000:1:2\n"));
	assert_false(parse(""));
}

static void of_several_the_largest_counts(void **state)
{
	assert_true(parse("me:100000:10\n1000:200000:20\nme:300000:15\n"));
	assert_int_equal(first, 200000);
	assert_int_equal(count, 20);
}

static void what_is_no_range_is_passed_over(void **state)
{
	static const char *const tables[] = { "me", "me:", "me:100000", "me:100000:", "me:a:10",
		"me:100000:-1", "me:100000:0", "me:100000:10:1", "me:100000:10 ",
		"me:4294967290:10", "me:100000:4294967295", "#me:100000:10", " me:100000:10" };
	for (size_t i = 0; i < ARRAY_LEN(tables); i++)
		if (parse(tables[i]))
			fail_msg("%s", tables[i]);
}

/* A mapping of root's id, or of the user's own a second time, would be refused or worse. */
static void root_and_the_user_are_in_no_range(void **state)
{
	assert_false(parse("me:0:65536\n"));
	assert_false(parse("me:999:2\n"));
	assert_false(parse("me:1000:1\n"));
	assert_true(parse("me:999:1\n"));
	assert_true(parse("me:1001:1\n"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_range_is_found_by_name_and_by_number),
		cmocka_unit_test(of_several_the_largest_counts),
		cmocka_unit_test(what_is_no_range_is_passed_over),
		cmocka_unit_test(root_and_the_user_are_in_no_range),
	};
	return cmocka_run_group_tests_name("subids", tests, NULL, NULL);
}
