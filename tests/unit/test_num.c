/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include "base/auto.h"
#include "base/file.h"
#include "base/num.h"
#include "wire/json.h"
#include "wire/toml.h"

#include <fcntl.h>
#include <locale.h>
#include <math.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

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

static void numbers_are_printed_in_the_fewest_digits_that_read_back(void **state)
{
	static const struct {
		double v;
		const char *text;
	} rows[] = { { 0.1, "0.1" }, { 1, "1.0" }, { -0.0, "-0.0" }, { 1e22, "1e+22" },
		{ 1.0 / 3, "0.3333333333333333" }, { 0x1p-1074, "4.94065645841247e-324" },
		{ INFINITY, "inf" }, { -1.7976931348623157e308, "-1.7976931348623157e+308" } };
	char text[NUM_REAL_SIZE];
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		num_print_real(text, rows[i].v);
		assert_string_equal(text, rows[i].text);
	}
}

/* One is made of these, for none is sure to be there. */
static const char locale_source[] = "LC_NUMERIC\ndecimal_point \"<U002C>\"\nthousands_sep \"\"\n"
				    "grouping -1\nEND LC_NUMERIC\n";
static const char charmap_source[] = "<code_set_name> COMMA\n<comment_char> %\n<escape_char> /\n"
				     "CHARMAP\n<U0000> /x00 NUL\n<U002C> /x2c COMMA\nEND CHARMAP\n";

static void set_a_locale_with_a_comma(const char *dir)
{
	assert_int_equal(chdir(dir), 0);
	assert_works(file_replace(AT_FDCWD, "source", str_from(locale_source), 0600, &err), err);
	assert_works(file_replace(AT_FDCWD, "map", str_from(charmap_source), 0600, &err), err);
	pid_t pid = fork();
	if (pid == 0) {
		execlp("localedef", "localedef", "--quiet", "--no-archive", "-c", "-i", "./source",
			"-f", "./map", "./comma", NULL);
		_exit(127);
	}
	assert_int_equal(waitpid(pid, NULL, 0), pid); /* it misses all other categories */
	setenv("LOCPATH", dir, 1);
	assert_non_null(setlocale(LC_NUMERIC, "comma"));
	assert_string_equal(localeconv()->decimal_point, ",");
}

static void numbers_have_a_point_whatever_the_program_has_set(void **state)
{
	auto_json struct json *j = NULL;
	auto_buf struct buf b = BUF_INIT(64);
	auto_arena struct arena arena = ARENA_INIT(TOML_ARENA_MAX);
	struct toml *t = NULL;
	int64_t size, ms;
	char dir[] = "/tmp/cay-locale-XXXXXX";
	assert_non_null(mkdtemp(dir));
	set_a_locale_with_a_comma(dir);
	assert_works(json_parse(STR("[1.5,0.002]"), &j, &err), err);
	json_write(j, &b);
	int read = toml_parse(STR("x = 1.5"), &arena, &t, &err);
	int sized = num_parse_size(STR("1.5K"), &size, &err);
	int timed = num_parse_duration(STR("1.5s"), &ms, &err);
	setlocale(LC_NUMERIC, "C");
	file_remove_tree(AT_FDCWD, dir, NULL);
	assert_string_equal(b.ptr, "[1.5,0.002]");
	assert_int_equal(read, 0);
	assert_true(toml_find(t, STR("x"))->real == 1.5);
	assert_true(sized == 0 && size == 1536);
	assert_true(timed == 0 && ms == 1500);
}

static void quantities_are_kuberneteses(void **state)
{
	static const struct {
		const char *text;
		int64_t per_whole, value;
	} rows[] = {
		{ "2Gi", 1, INT64_C(2) << 30 },
		{ "500m", 1000, 500 },
		{ "500m", 1, 1 },
		{ "1.5", 1000, 1500 },
		{ "0.0001", 1000, 1 },
		{ "1e3", 1, 1000 },
		{ "0", 1, 0 },
	};
	static const char *const bad[] = { "", "-1", " 1", "1 Gi", "1gi", "Gi", "1e30", "nan",
		"1m1" };
	int64_t v;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_works(
			num_parse_quantity(str_from(rows[i].text), rows[i].per_whole, &v, &err),
			err);
		assert_true(v == rows[i].value);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_fails(num_parse_quantity(str_from(bad[i]), 1, &v, &err), err, INVALID,
			"no quantity");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(quantities_are_kuberneteses),
		cmocka_unit_test(whole_numbers_parse_to_their_limits),
		cmocka_unit_test(what_is_no_whole_number_is_named),
		cmocka_unit_test(a_number_out_of_range_says_the_range),
		cmocka_unit_test(sizes_know_their_units),
		cmocka_unit_test(durations_know_their_units),
		cmocka_unit_test(what_is_no_size_or_duration_is_refused),
		cmocka_unit_test(numbers_are_printed_in_the_fewest_digits_that_read_back),
		cmocka_unit_test(numbers_have_a_point_whatever_the_program_has_set),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
