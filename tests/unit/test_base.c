/* SPDX-License-Identifier: Apache-2.0 */
/* error, str, map, arena, list, id, clock: what is too small for a test program of its own. */
#include "unit.h"

#include "base/arena.h"
#include "base/auto.h"
#include "base/clock.h"
#include "base/id.h"
#include "base/list.h"
#include "base/log.h"

#include "base/map.h"

#include <errno.h>
#include <stdio.h>

static struct error err;

static int open_fails(void)
{
	return error_sys(&err, ENOENT, "open %s", "/nowhere");
}

static void an_error_keeps_its_cause_when_wrapped(void **state)
{
	open_fails();
	error_wrap(&err, "layer %d", 2);
	assert_string_equal(err.text, "layer 2: open /nowhere: No such file or directory");
	assert_int_equal(err.code, ERROR_NOT_FOUND);
	assert_int_equal(err.sys, ENOENT);
}

static void wrapping_loses_context_and_never_the_cause(void **state)
{
	open_fails();
	for (int i = 0; i < 100; i++)
		error_wrap(&err, "a context of some length, number %d", i);
	assert_true(strlen(err.text) < sizeof(err.text));
	assert_text(err.text, "open /nowhere: No such file or directory");
}

static void what_an_error_quotes_does_nothing_to_a_terminal(void **state)
{
	error_set(&err, ERROR_PROTOCOL, "it said %s",
		"\x1b]0;x\x07\r\xc2\x9b"
		"31m\x7f d\xc3\xa9j\xc3\xa0\n\tvu");
	assert_string_equal(err.text, "it said ?]0;x????31m? d\xc3\xa9j\xc3\xa0\n\tvu");
	error_wrap(&err, "asking %s", "\x1b[1m");
	assert_string_equal(err.text,
		"asking ?[1m: it said ?]0;x????31m? d\xc3\xa9j\xc3\xa0\n\tvu");
}

static void an_error_name_leads_back_to_its_code(void **state)
{
	for (int i = 0; i < ERROR_MAX; i++)
		assert_int_equal(error_code_from_name(error_name((enum error_code)i)), i);
	assert_int_equal(error_code_from_name("no such name"), ERROR_INTERNAL);
	assert_int_equal(error_http(ERROR_NOT_FOUND), 404);
	assert_true(error_is_retryable(ERROR_TIMEOUT));
}

static void views_are_cut_and_searched_without_copying(void **state)
{
	struct str s = STR("  key: value \r\n");
	assert_str(str_trim(s), "key: value");
	assert_int_equal(str_find(s, STR("value")), 7);
	assert_int_equal(str_find(s, STR("none")), -1);
	assert_int_equal(str_find_char(s, ':'), 5);
	assert_true(str_starts(str_trim(s), STR("key")));
	assert_true(str_ends(STR("a.zip"), STR(".zip")));
	assert_false(str_ends(STR("p"), STR(".zip")));
	assert_int_equal(str_skip(s, 100).len, 0);
	assert_true(str_eq_nocase(STR("Host"), STR("hOST")));
}

static void splitting_gives_every_piece_the_empty_ones_too(void **state)
{
	struct str rest = STR("a,,b,"), piece;
	const char *const wanted[] = { "a", "", "b", "" };
	for (int i = 0; i < 4; i++) {
		assert_true(str_split(&rest, ',', &piece));
		assert_str(piece, wanted[i]);
	}
	assert_false(str_split(&rest, ',', &piece));
}

static void secrets_compare_as_texts_do(void **state)
{
	assert_true(str_eq_secret(STR("token"), STR("token")));
	assert_false(str_eq_secret(STR("token"), STR("tokem")));
	assert_false(str_eq_secret(STR("token"), STR("tokentoken")));
	assert_false(str_eq_secret(STR("tokentoken"), STR("token")));
	assert_false(str_eq_secret(STR_NONE, STR("token")));
	assert_false(str_eq_secret(STR("token"), STR_NONE));
}

static void a_map_finds_what_was_put_among_many(void **state)
{
	static int values[5000];
	struct map m = { 0 };
	char key[20];
	for (int i = 0; i < 5000; i++) {
		snprintf(key, sizeof(key), "key-%d", i);
		assert_null(map_put(&m, str_from(key), &values[i]));
	}
	for (int i = 0; i < 5000; i += 2) {
		snprintf(key, sizeof(key), "key-%d", i);
		assert_ptr_equal(map_remove(&m, str_from(key)), &values[i]);
	}
	assert_int_equal(m.count, 2500);
	for (int i = 0; i < 5000; i++) {
		snprintf(key, sizeof(key), "key-%d", i);
		assert_ptr_equal(map_find(&m, str_from(key)), i % 2 ? &values[i] : NULL);
	}
	size_t i = 0, n = 0;
	while (map_next(&m, &i, NULL))
		n++;
	assert_int_equal(n, 2500);
	map_fini(&m);
}

static void a_map_survives_endless_coming_and_going(void **state)
{
	int value;
	struct map m = { 0 };
	char key[20];
	for (int i = 0; i < 100000; i++) {
		snprintf(key, sizeof(key), "%d", i);
		map_put(&m, str_from(key), &value);
		assert_ptr_equal(map_remove(&m, str_from(key)), &value);
	}
	assert_true(m.cap <= 64);
	assert_null(map_put(&m, STR("a"), &value));
	assert_ptr_equal(map_put(&m, STR("a"), state), &value);
	map_fini(&m);
}

static void an_arena_gives_zeroed_memory_up_to_its_ceiling(void **state)
{
	struct arena a = ARENA_INIT(100000);
	char *big = arena_alloc(&a, 50000);
	for (int i = 0; i < 50000; i++)
		assert_int_equal(big[i], 0);
	assert_string_equal(arena_printf(&a, "%s-%d", "n", 1), "n-1");
	assert_string_equal(arena_str(&a, STR("text")), "text");
	assert_true(arena_has_room(&a, 40000));
	assert_false(arena_has_room(&a, 60000));
	arena_fini(&a);
	assert_true(arena_has_room(&a, 100000));
}

struct member {
	struct list link;
	int n;
};

static void a_member_may_leave_its_list_during_the_walk(void **state)
{
	struct list head = LIST_INIT(head);
	struct member m[4];
	for (int i = 0; i < 4; i++) {
		m[i].n = i;
		list_append(&head, &m[i].link);
	}
	struct member *pos, *tmp;
	list_for_each_safe(pos, tmp, &head, link)
		if (pos->n % 2 == 0)
			list_remove(&pos->link);
	list_remove(&m[0].link); /* twice does no harm */
	int sum = 0;
	list_for_each(pos, &head, link)
		sum += pos->n;
	assert_int_equal(sum, 4);
	assert_int_equal(list_first(&head, struct member, link)->n, 1);
}

static void ids_are_valid_and_differ(void **state)
{
	char a[ID_SIZE], b[ID_SIZE];
	id_make(a);
	id_make(b);
	assert_string_not_equal(a, b);
	assert_true(id_is_valid(str_from(a)));
	assert_false(id_is_valid(STR("short")));
	assert_false(id_is_valid(STR("ABCDEFGHIJKLMNOPQRSTUVWXYZ")));
	a[5] = '\0';
	assert_false(id_is_valid(str_from_len(a, ID_LEN)));
}

static void dates_are_written_in_utc_with_milliseconds(void **state)
{
	char text[CLOCK_TEXT_MAX];
	clock_text(1700000000123, text);
	assert_string_equal(text, "2023-11-14T22:13:20.123Z");
	clock_text(-1, text);
	assert_string_equal(text, "1969-12-31T23:59:59.999Z");
	assert_true(clock_mono_us() <= clock_mono_us());
}

static void a_date_beyond_all_is_told_as_the_last_or_first(void **state)
{
	char text[CLOCK_TEXT_MAX];
	clock_text(INT64_MAX, text);
	assert_string_equal(text, "9999-12-31T23:59:59.999Z");
	clock_text(INT64_MIN, text);
	assert_string_equal(text, "1000-01-01T00:00:00.000Z");
}

static void dates_are_read_with_any_offset(void **state)
{
	static const char *const same[] = { "2023-11-14T22:13:20.123Z", "2023-11-14T22:13:20.123",
		"2023-11-15T00:13:20.123456+02:00", "2023-11-14T16:43:20.123-05:30" };
	static const char *const none[] = { "", "yesterday", "2023-11-14", "2023-13-14T22:13:20Z" };
	int64_t ms;
	for (size_t i = 0; i < ARRAY_LEN(same); i++) {
		assert_int_equal(clock_parse(str_from(same[i]), &ms), 0);
		assert_int_equal(ms, 1700000000123);
	}
	for (size_t i = 0; i < ARRAY_LEN(none); i++)
		assert_int_equal(clock_parse(str_from(none[i]), &ms), -1);
}

/* One line of the log, as it was written to standard error. */
static void log_line(bool is_json, const char *text, char *ret, size_t size)
{
	int pair[2], saved = dup(STDERR_FILENO);
	assert_int_equal(pipe(pair), 0);
	dup2(pair[1], STDERR_FILENO);
	log_set_json(is_json);
	log_info("test.event", "name=%s", text);
	log_set_json(false);
	dup2(saved, STDERR_FILENO);
	close(saved);
	close(pair[1]);
	ssize_t n = read(pair[0], ret, size - 1);
	close(pair[0]);
	assert_true(n > 0);
	ret[n] = '\0';
}

static void the_log_holds_one_line_per_event_whatever_is_in_it(void **state)
{
	static const char hostile[] = "a\nb\x1b[2Jc\xc2\x9b"
				      "d\xe2\x80\xae"
				      "e\xff"
				      "f\"\\ caf\xc3\xa9";
	char line[1000];
	log_line(false, hostile, line, sizeof(line));
	assert_text(line,
		"info test.event name=a\\u000ab\\u001b[2Jc\\u009bd\\u202ee\\ufffdf\"\\ caf\xc3\xa9\n");
	log_line(true, hostile, line, sizeof(line));
	assert_text(line,
		"\"text\":\"name=a\\u000ab\\u001b[2Jc\\u009bd\\u202ee\\ufffdf\\\"\\\\ caf\xc3\xa9\"}\n");
	assert_ptr_equal(strchr(line, '\n'), line + strlen(line) - 1);
}

static void what_is_below_the_lowest_level_is_not_logged(void **state)
{
	char line[1000];
	log_set_level(LOG_ERROR);
	log_info("test.quiet", "x=%d", 1);
	log_set_level(LOG_INFO);
	log_line(false, "loud", line, sizeof(line));
	assert_null(strstr(line, "test.quiet"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_error_keeps_its_cause_when_wrapped),
		cmocka_unit_test(wrapping_loses_context_and_never_the_cause),
		cmocka_unit_test(what_an_error_quotes_does_nothing_to_a_terminal),
		cmocka_unit_test(an_error_name_leads_back_to_its_code),
		cmocka_unit_test(views_are_cut_and_searched_without_copying),
		cmocka_unit_test(splitting_gives_every_piece_the_empty_ones_too),
		cmocka_unit_test(secrets_compare_as_texts_do),
		cmocka_unit_test(a_map_finds_what_was_put_among_many),
		cmocka_unit_test(a_map_survives_endless_coming_and_going),
		cmocka_unit_test(an_arena_gives_zeroed_memory_up_to_its_ceiling),
		cmocka_unit_test(a_member_may_leave_its_list_during_the_walk),
		cmocka_unit_test(ids_are_valid_and_differ),
		cmocka_unit_test(dates_are_written_in_utc_with_milliseconds),
		cmocka_unit_test(a_date_beyond_all_is_told_as_the_last_or_first),
		cmocka_unit_test(dates_are_read_with_any_offset),
		cmocka_unit_test(the_log_holds_one_line_per_event_whatever_is_in_it),
		cmocka_unit_test(what_is_below_the_lowest_level_is_not_logged),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
