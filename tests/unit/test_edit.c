/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include "executor/edit.h"
#include "executor/edit_history.h"
#include "executor/text.h"

#include <stdlib.h>

static struct edit_outcome o;
static struct error err;

static int setup(void **state)
{
	edit_outcome_init(&o);
	return 0;
}

static int teardown(void **state)
{
	edit_outcome_fini(&o);
	return 0;
}

static void a_view_numbers_lines_and_shows_the_empty_one_after_the_last(void **state)
{
	edit_view(&o, "/f", STR("one\ntwo\n"));
	assert_string_equal(o.text.ptr,
		"Here's the result of running `cat -n` on /f:\n     1\tone\n     2\ttwo\n     3\t\n");
}

static void an_empty_file_is_one_empty_line(void **state)
{
	edit_view(&o, "/f", STR(""));
	assert_string_equal(o.text.ptr, "Here's the result of running `cat -n` on /f:\n     1\t\n");
}

static void a_range_ends_with_its_last_line(void **state)
{
	edit_view_range(&o, "/f", STR("one\ntwo\nthree\n"), 2, 3);
	assert_string_equal(o.text.ptr,
		"Here's the result of running `cat -n` on /f:\n     2\ttwo\n     3\tthree\n");
}

static void a_range_beyond_the_end_is_cut_with_a_note(void **state)
{
	edit_view_range(&o, "/f", STR("one\ntwo\n"), 2, 9);
	assert_string_equal(o.text.ptr,
		"NOTE: We only show up to 2 since there're only 2 lines in this file.\n"
		"Here's the result of running `cat -n` on /f:\n     2\ttwo\n");
}

static void a_range_that_begins_nowhere_is_refused(void **state)
{
	edit_view_range(&o, "/f", STR("one\ntwo\n"), 3, -1);
	assert_string_equal(o.failure, "invalid_parameter");
	assert_string_equal(o.text.ptr,
		"Invalid `view_range` parameter: [3, -1]. Its first element `3` should be within the range of "
		"lines of the file: [1, 2].");
}

static void a_range_that_runs_backwards_is_refused(void **state)
{
	edit_view_range(&o, "/f", STR("one\ntwo\n"), 2, 1);
	assert_string_equal(o.text.ptr,
		"Invalid `view_range` parameter: [2, 1]. Its second element `1` should be greater than or "
		"equal to the first element `2`.");
}

static void a_long_text_is_clipped_before_it_is_numbered(void **state)
{
	struct buf b = BUF_INIT(1 << 20);
	for (int i = 0; i < EDIT_OUTPUT_CHARS + 1; i++)
		buf_puts(&b, "\xc3\xa4");
	edit_view(&o, "/f", buf_str(&b));
	assert_text(o.text.ptr, "\xc3\xa4<response clipped><NOTE>Due to the max output limit");
	edit_outcome_fini(&o);
	edit_outcome_init(&o);
	buf_cut(&b, 2 * EDIT_OUTPUT_CHARS);
	edit_view(&o, "/f", buf_str(&b));
	assert_null(strstr(o.text.ptr, "clipped"));
	buf_fini(&b);
}

static void a_replacement_shows_the_lines_around_it(void **state)
{
	edit_str_replace(&o, "/f", STR("1\n2\n3\n4\n5\n6\n7\n8\n9\n10\n"), STR("6"),
		STR("six\nsix"));
	assert_null(o.failure);
	assert_string_equal(o.after.ptr, "1\n2\n3\n4\n5\nsix\nsix\n7\n8\n9\n10\n");
	assert_string_equal(o.text.ptr,
		"The file /f has been edited. Here's the result of running `cat -n` on a snippet of /f:\n"
		"     3\t3\n     4\t4\n     5\t5\n     6\tsix\n     7\tsix\n     8\t7\n     9\t8\n    10\t9\n"
		"    11\t10\n    12\t\n"
		"Review the changes and make sure they are as expected. Edit the file again if necessary.");
	assert_int_equal(o.snippet_line, 3);
	assert_int_equal(o.lines[0], 6);
}

static void a_text_that_occurs_twice_names_each_line_once(void **state)
{
	edit_str_replace(&o, "/f", STR("a a\nb\na\n"), STR("a"), STR("x"));
	assert_string_equal(o.failure, "multiple_matches");
	assert_string_equal(o.text.ptr,
		"No replacement was performed. Multiple occurrences of old_str `a` in lines [1, 3]. Please "
		"ensure it is unique.");
	assert_false(o.has_after);
}

static void an_empty_text_is_on_every_line(void **state)
{
	edit_str_replace(&o, "/f", STR("x\ny\nz\n"), STR(""), STR("q"));
	assert_text(o.text.ptr, "old_str `` in lines [1, 2, 3, 4].");
}

static void a_text_that_is_nowhere_is_tried_without_blanks_around(void **state)
{
	edit_str_replace(&o, "/f", STR("one\ntwo\n"), STR("  two\n\n"), STR(" 2 "));
	assert_string_equal(o.after.ptr, "one\n2\n");
	edit_outcome_fini(&o);
	edit_outcome_init(&o);
	edit_str_replace(&o, "/f", STR("one\n"), STR(" two "), STR("2"));
	assert_string_equal(o.failure, "no_match");
	assert_string_equal(o.text.ptr,
		"No replacement was performed, old_str `two` did not appear verbatim in /f.");
}

static void replacing_a_text_by_itself_is_refused(void **state)
{
	edit_str_replace(&o, "/f", STR("one\n"), STR("one"), STR("one"));
	assert_string_equal(o.text.ptr,
		"Invalid `new_str` parameter: one. No replacement was performed. `new_str` and `old_str` must "
		"be different.");
}

static void an_insertion_goes_after_its_line(void **state)
{
	edit_insert(&o, "/f", STR("one\ntwo\n"), 1, STR("x\ny"));
	assert_string_equal(o.after.ptr, "one\nx\ny\ntwo\n");
	assert_string_equal(o.text.ptr,
		"The file /f has been edited. Here's the result of running `cat -n` on a snippet of the edited "
		"file:\n     1\tone\n     2\tx\n     3\ty\n     4\ttwo\n     5\t\n"
		"Review the changes and make sure they are as expected (correct indentation, no duplicate "
		"lines, etc). Edit the file again if necessary.");
}

static void an_insertion_after_a_line_without_newline_is_glued_to_it(void **state)
{
	edit_insert(&o, "/f", STR("one\nthree"), 2, STR("end"));
	assert_string_equal(o.after.ptr, "one\nthreeend\n");
}

static void an_insertion_outside_of_the_file_is_refused(void **state)
{
	edit_insert(&o, "/f", STR("one\n"), 2, STR("x"));
	assert_string_equal(o.text.ptr,
		"Invalid `insert_line` parameter: 2. It should be within the range of allowed values: [0, 1]");
	edit_insert(&o, "/f", STR("one\n"), -1, STR("x"));
	assert_text(o.text.ptr, "Invalid `insert_line` parameter: -1.");
}

/* ---- history ---- */

static void ten_steps_can_be_undone_the_latest_first(void **state)
{
	struct edit_history h;
	edit_history_init(&h);
	for (char c = 'a'; c <= 'l'; c++)
		edit_history_push(&h, STR("/f"), str_from_len(&c, 1));
	for (char c = 'l'; c >= 'c'; c--) {
		size_t len;
		char *text = edit_history_pop(&h, STR("/f"), &len);
		assert_non_null(text);
		assert_int_equal(text[0], c);
		free(text);
	}
	size_t len;
	assert_null(edit_history_pop(&h, STR("/f"), &len));
	edit_history_fini(&h);
}

static void the_history_forgets_the_oldest_when_it_is_full(void **state)
{
	struct edit_history h;
	edit_history_init(&h);
	char *big = calloc(1, EDIT_HISTORY_BYTES / 2);
	size_t len;
	edit_history_push(&h, STR("/a"), str_from_len(big, EDIT_HISTORY_BYTES / 2));
	edit_history_push(&h, STR("/b"), str_from_len(big, EDIT_HISTORY_BYTES / 2));
	edit_history_push(&h, STR("/c"), STR("small"));
	assert_null(edit_history_pop(&h, STR("/a"), &len));
	char *text = edit_history_pop(&h, STR("/b"), &len);
	assert_int_equal(len, EDIT_HISTORY_BYTES / 2);
	free(text);
	free(big);
	edit_history_fini(&h);
}

/* ---- text ---- */

static void text_is_told_from_bytes(void **state)
{
	assert_false(text_is_binary(STR("")));
	assert_false(text_is_binary(STR("plain\r\n\ttext")));
	assert_false(text_is_binary(STR("gr\xc3\xbc\xc3\x9f")));
	assert_false(text_is_binary(STR("gr\xfc\xdf latin")));
	assert_false(text_is_binary(STR("\xff\xfe"
					"a\0b\0")));
	assert_true(text_is_binary(STR("a\0b")));
	assert_true(text_is_binary(STR("\x89PNG\r\n\x1a\n\0\0\0")));
	assert_true(text_is_binary(STR("a\xff"
				       "b")));
}

static void every_encoding_comes_back_as_it_was(void **state)
{
	const struct {
		struct str bytes;
		enum text_encoding encoding;
		const char *utf8;
	} cases[] = {
		{ STR("a\xc3\xa4"), TEXT_UTF8, "a\xc3\xa4" },
		{ STR("a\xe4"), TEXT_LATIN1, "a\xc3\xa4" },
		{ STR("\xff\xfe"
		      "a\0\x3d\xd8\x00\xde"),
			TEXT_UTF16LE,
			"\xef\xbb\xbf"
			"a\xf0\x9f\x98\x80" },
		{ STR("\xfe\xff\0a\xd8\x3d\xde\x00"), TEXT_UTF16BE,
			"\xef\xbb\xbf"
			"a\xf0\x9f\x98\x80" },
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct buf text = BUF_INIT(100), bytes = BUF_INIT(100);
		assert_int_equal(text_detect(cases[i].bytes), cases[i].encoding);
		assert_int_equal(text_decode(&text, cases[i].bytes, cases[i].encoding), 0);
		assert_string_equal(text.ptr, cases[i].utf8);
		assert_works(text_encode(&bytes, buf_str(&text), cases[i].encoding, &err), err);
		assert_true(str_eq(buf_str(&bytes), cases[i].bytes));
		buf_fini(&text);
		buf_fini(&bytes);
	}
}

static void a_character_that_an_encoding_has_not_is_refused(void **state)
{
	struct buf bytes = BUF_INIT(100);
	assert_fails(text_encode(&bytes, STR("\xe2\x82\xac"), TEXT_LATIN1, &err), err, INVALID,
		"latin-1");
	buf_fini(&bytes);
}

static void newlines_change_to_lf_and_back(void **state)
{
	struct buf lf = BUF_INIT(100), crlf = BUF_INIT(100);
	text_put_lf(&lf, STR("a\r\nb\rc\n"));
	assert_string_equal(lf.ptr, "a\nb\nc\n");
	text_put_crlf(&crlf, buf_str(&lf));
	assert_string_equal(crlf.ptr, "a\r\nb\r\nc\r\n");
	assert_true(text_is_crlf(buf_str(&crlf)));
	assert_false(text_is_crlf(STR("a\r\nb\n")));
	assert_false(text_is_crlf(STR("a")));
	buf_fini(&lf);
	buf_fini(&crlf);
}

static void lines_are_counted_and_cut_out(void **state)
{
	assert_int_equal(text_count_lines(STR("")), 0);
	assert_int_equal(text_count_lines(STR("a")), 1);
	assert_int_equal(text_count_lines(STR("a\nb\n")), 2);
	assert_str(text_lines(STR("a\nb\nc"), 2, 2), "b\n");
	assert_str(text_lines(STR("a\nb\nc"), 3, 9), "c");
	assert_str(text_lines(STR("a\n"), 2, 2), "");
	assert_str(text_lines(STR("a\n"), 1, 0), "");
}

#define editing(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		editing(a_view_numbers_lines_and_shows_the_empty_one_after_the_last),
		editing(an_empty_file_is_one_empty_line),
		editing(a_range_ends_with_its_last_line),
		editing(a_range_beyond_the_end_is_cut_with_a_note),
		editing(a_range_that_begins_nowhere_is_refused),
		editing(a_range_that_runs_backwards_is_refused),
		editing(a_long_text_is_clipped_before_it_is_numbered),
		editing(a_replacement_shows_the_lines_around_it),
		editing(a_text_that_occurs_twice_names_each_line_once),
		editing(an_empty_text_is_on_every_line),
		editing(a_text_that_is_nowhere_is_tried_without_blanks_around),
		editing(replacing_a_text_by_itself_is_refused),
		editing(an_insertion_goes_after_its_line),
		editing(an_insertion_after_a_line_without_newline_is_glued_to_it),
		editing(an_insertion_outside_of_the_file_is_refused),
		cmocka_unit_test(ten_steps_can_be_undone_the_latest_first),
		cmocka_unit_test(the_history_forgets_the_oldest_when_it_is_full),
		cmocka_unit_test(text_is_told_from_bytes),
		cmocka_unit_test(every_encoding_comes_back_as_it_was),
		cmocka_unit_test(a_character_that_an_encoding_has_not_is_refused),
		cmocka_unit_test(newlines_change_to_lf_and_back),
		cmocka_unit_test(lines_are_counted_and_cut_out),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
