/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include "base/num.h"

static struct error err;

static void whole_numbers_parse_to_their_limits(void **state)
{
	int64_t v;
	assert_works(num_parse_i64(STR("0"), 0, 10, &v, &err), err);
	assert_int_equal(v, 0);
	assert_works(num_parse_i64(STR("-9223372036854775808"), INT64_MIN, INT64_MAX, &v, &err),
		err);
	assert_true(v == INT64_MIN);
	assert_works(num_parse_i64(STR("9223372036854775807"), INT64_MIN, INT64_MAX, &v, &err),
		err);
	assert_true(v == INT64_MAX);
}

static void what_is_no_whole_number_is_named(void **state)
{
	static const char *const bad[] = { "", " 1", "\t1", "\n1", "1 ", "+1", "1x", "0x10", "1.5",
		"--1", "9223372036854775808", "99999999999999999999999999999" };
	int64_t v = 7;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_fails(num_parse_i64(str_from(bad[i]), INT64_MIN, INT64_MAX, &v, &err), err,
			INVALID, "not a whole number");
	assert_fails(num_parse_i64(str_from_len("1\0", 2), 0, 9, &v, &err), err, INVALID, "'1");
	assert_int_equal(v, 7);
}

static void a_number_out_of_range_says_the_range(void **state)
{
	int64_t v;
	assert_fails(num_parse_i64(STR("11"), 1, 10, &v, &err), err, INVALID, "between 1 and 10");
}

static void sizes_know_their_units(void **state)
{
	static const struct {
		const char *text;
		int64_t bytes;
	} rows[] = {
		{ "512", 512 },
		{ "64K", 65536 },
		{ "64k", 65536 },
		{ "1KiB", 1024 },
		{ "1.5G", 1610612736 },
		{ "2M", 2097152 },
		{ "1TB", 1099511627776 },
		{ "0", 0 },
		{ "10b", 10 },
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		int64_t v;
		assert_works(num_parse_size(str_from(rows[i].text), &v, &err), err);
		assert_true(v == rows[i].bytes);
	}
}

static void durations_know_their_units(void **state)
{
	static const struct {
		const char *text;
		int64_t ms;
	} rows[] = {
		{ "250ms", 250 },
		{ "10", 10000 },
		{ "10s", 10000 },
		{ "1.5s", 1500 },
		{ "5m", 300000 },
		{ "2h", 7200000 },
		{ "1d", 86400000 },
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		int64_t v;
		assert_works(num_parse_duration(str_from(rows[i].text), &v, &err), err);
		assert_true(v == rows[i].ms);
	}
}

static void what_is_no_size_or_duration_is_refused(void **state)
{
	static const char *const bad[] = { "", "K", "-1", "1X", "1e400", "0x10", "nan", "inf", " 1",
		"1 K", "1e3", "0X10", "1.2.3", ".", "1kk", "99999999999T" };
	int64_t v;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_fails(num_parse_size(str_from(bad[i]), &v, &err), err, INVALID,
			"not a size");
		assert_fails(num_parse_duration(str_from(bad[i]), &v, &err), err, INVALID,
			"not a duration");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(whole_numbers_parse_to_their_limits),
		cmocka_unit_test(what_is_no_whole_number_is_named),
		cmocka_unit_test(a_number_out_of_range_says_the_range),
		cmocka_unit_test(sizes_know_their_units),
		cmocka_unit_test(durations_know_their_units),
		cmocka_unit_test(what_is_no_size_or_duration_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
