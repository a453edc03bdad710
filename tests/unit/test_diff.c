/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include "executor/diff.h"

static struct buf out = { .ptr = buf_empty, .limit = 1 << 20 };

static const char *diff(const char *before, const char *after, enum diff_style style, int context)
{
	buf_reset(&out);
	diff_unified(&out, "f", str_from(before), str_from(after), style, context);
	return out.ptr;
}

static void equal_texts_have_no_diff(void **state)
{
	assert_string_equal(diff("a\nb\n", "a\nb\n", DIFF_PATCH, 3), "");
	assert_string_equal(diff("", "", DIFF_BARE, 0), "");
}

static void a_changed_line_is_taken_out_and_put_in(void **state)
{
	assert_string_equal(diff("one\ntwo\nthree\n", "one\n2\nthree\n", DIFF_PATCH, 0),
		"--- f\n+++ f\n@@ -2 +2 @@\n-two\n+2\n");
	assert_string_equal(diff("one\ntwo\nthree\n", "one\n2\nthree\n", DIFF_PATCH, 1),
		"--- f\n+++ f\n@@ -1,3 +1,3 @@\n one\n-two\n+2\n three\n");
}

static void changes_far_apart_are_hunks_of_their_own(void **state)
{
	assert_string_equal(diff("a\n1\n2\n3\nb\n", "A\n1\n2\n3\nB\n", DIFF_PATCH, 1),
		"--- f\n+++ f\n@@ -1,2 +1,2 @@\n-a\n+A\n 1\n@@ -4,2 +4,2 @@\n 3\n-b\n+B\n");
	assert_string_equal(diff("a\n1\n2\nb\n", "A\n1\n2\nB\n", DIFF_PATCH, 1),
		"--- f\n+++ f\n@@ -1,4 +1,4 @@\n-a\n+A\n 1\n 2\n-b\n+B\n");
}

static void a_missing_final_newline_is_said(void **state)
{
	assert_string_equal(diff("a\n", "a", DIFF_PATCH, 3),
		"--- f\n+++ f\n@@ -1 +1 @@\n-a\n+a\n\\ No newline at end of file\n");
	assert_string_equal(diff("a\nb", "b", DIFF_PATCH, 3),
		"--- f\n+++ f\n@@ -1,2 +1 @@\n-a\n b\n\\ No newline at end of file\n");
}

static void a_new_text_is_all_insertion(void **state)
{
	assert_string_equal(diff("", "a\nb\n", DIFF_PATCH, 3),
		"--- f\n+++ f\n@@ -0,0 +1,2 @@\n+a\n+b\n");
}

static void bare_lines_are_those_of_a_split_at_newlines(void **state)
{
	assert_string_equal(diff("", "a\nb", DIFF_BARE, 0),
		"--- f\n+++ f\n@@ -1 +1,2 @@\n-\n+a\n+b");
	assert_string_equal(diff("", "a\n", DIFF_BARE, 0), "--- f\n+++ f\n@@ -0,0 +1 @@\n+a");
}

static void bare_lines_have_no_trailing_blanks(void **state)
{
	assert_string_equal(diff("a  \nb\n", "a\t\nb\n", DIFF_BARE, 0),
		"--- f\n+++ f\n@@ -1 +1 @@\n-a\n+a");
	assert_string_equal(diff("\nb\n", "\nc\n", DIFF_BARE, 1),
		"--- f\n+++ f\n@@ -1,3 +1,3 @@\n\n-b\n+c\n");
}

/* difflib takes the longest block first: the line put in is the first one, not the second. */
static void bare_changes_are_where_difflib_sees_them(void **state)
{
	assert_string_equal(diff("a\nb", "a\na\nb", DIFF_BARE, 0),
		"--- f\n+++ f\n@@ -0,0 +1 @@\n+a");
}

static void texts_that_have_nothing_in_common_are_replaced_whole(void **state)
{
	struct buf a = BUF_INIT(1 << 20), b = BUF_INIT(1 << 20);
	for (int i = 0; i < 3000; i++) {
		buf_printf(&a, "a%d\n", i);
		buf_printf(&b, "b%d\n", i);
	}
	assert_text(diff(a.ptr, b.ptr, DIFF_PATCH, 3), "@@ -1,3000 +1,3000 @@\n-a0\n");
	assert_text(out.ptr, "-a2999\n+b0\n");
	buf_fini(&a);
	buf_fini(&b);
}

static void a_change_at_the_end_of_a_long_text_has_its_line_number(void **state)
{
	struct buf a = BUF_INIT(8 << 20), b = BUF_INIT(8 << 20);
	for (int i = 0; i < 400000; i++)
		buf_printf(&a, "line %d\n", i);
	buf_put(&b, buf_str(&a));
	buf_puts(&b, "end\n");
	assert_string_equal(diff(a.ptr, b.ptr, DIFF_PATCH, 1),
		"--- f\n+++ f\n@@ -400000 +400000,2 @@\n line 399999\n+end\n");
	assert_string_equal(diff(a.ptr, b.ptr, DIFF_BARE, 0),
		"--- f\n+++ f\n@@ -400000,0 +400001 @@\n+end");
	buf_fini(&a);
	buf_fini(&b);
}

static void a_diff_that_does_not_fit_is_noticed(void **state)
{
	struct buf small = BUF_INIT(10);
	diff_unified(&small, "f", STR("a\n"), STR("b\n"), DIFF_PATCH, 3);
	assert_true(small.is_full);
	buf_fini(&small);
}

static int fini(void **state)
{
	buf_fini(&out);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(equal_texts_have_no_diff),
		cmocka_unit_test(a_changed_line_is_taken_out_and_put_in),
		cmocka_unit_test(changes_far_apart_are_hunks_of_their_own),
		cmocka_unit_test(a_missing_final_newline_is_said),
		cmocka_unit_test(a_new_text_is_all_insertion),
		cmocka_unit_test(bare_lines_are_those_of_a_split_at_newlines),
		cmocka_unit_test(bare_lines_have_no_trailing_blanks),
		cmocka_unit_test(bare_changes_are_where_difflib_sees_them),
		cmocka_unit_test(texts_that_have_nothing_in_common_are_replaced_whole),
		cmocka_unit_test(a_change_at_the_end_of_a_long_text_has_its_line_number),
		cmocka_unit_test(a_diff_that_does_not_fit_is_noticed),
	};
	return cmocka_run_group_tests(tests, NULL, fini);
}
