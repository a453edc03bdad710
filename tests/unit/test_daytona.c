/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include "face/daytona/git_tell.h"
#include "face/daytona/marks.h"
#include "face/daytona/outlog.h"

/* ---- marks ---- */

static void on_data(void *arg, struct str bytes)
{
	buf_put(arg, bytes);
}

static void on_mark(void *arg, int code)
{
	buf_printf(arg, "<%d>", code);
}

static const struct marks_ops ops = { on_data, on_mark };

/* What is heard of the text, given in pieces of so many bytes. */
static void assert_heard(struct str text, const char *wanted)
{
	for (size_t step = 1; step <= text.len; step++) {
		struct marks m;
		struct buf heard = BUF_INIT(4096);
		marks_init(&m, "tag");
		for (size_t at = 0; at < text.len; at += step)
			marks_feed(&m, str_first(str_skip(text, at), step), &ops, &heard);
		marks_end(&m, &ops, &heard);
		marks_fini(&m);
		assert_string_equal(heard.ptr, wanted);
		buf_fini(&heard);
	}
}

static void test_a_mark_is_found_wherever_it_is_cut(void **state)
{
	assert_heard(STR("out\n\036tag 0\nmore"), "out\n<0>more");
	assert_heard(STR("\036tag 127\n\036tag 3\n"), "<127><3>");
}

static void test_what_only_looks_like_a_mark_is_data(void **state)
{
	assert_heard(STR("a\036"), "a\036");
	assert_heard(STR("\036\036tag 1\n"), "\036<1>");
	assert_heard(STR("\036tag x\n"), "\036tag x\n");
	assert_heard(STR("\036tag 256\n"), "\036tag 256\n");
	assert_heard(STR("\036tag 12345678901\n"), "\036tag 12345678901\n");
	assert_heard(STR("\036ta\036tag 2\n"), "\036ta<2>");
}

/* ---- outlog ---- */

static void test_a_log_keeps_both_outputs_apart(void **state)
{
	struct outlog log;
	struct buf b = BUF_INIT(4096);
	outlog_init(&log);
	outlog_add(&log, 1, STR("a"));
	outlog_add(&log, 1, STR("b"));
	outlog_add(&log, 2, STR("E"));
	outlog_add(&log, 1, STR("c"));
	outlog_put(&log, 1, &b);
	outlog_put(&log, 2, &b);
	outlog_put(&log, 0, &b);
	assert_string_equal(b.ptr, "abcEabEc");
	buf_reset(&b);
	outlog_put(&log, -1, &b);
	assert_string_equal(b.ptr, "\1\1\1ab\2\2\2E\1\1\1c");
	buf_fini(&b);
	outlog_fini(&log);
}

static void test_of_much_the_beginning_and_the_end_are_kept(void **state)
{
	struct outlog log;
	struct str piece;
	struct buf b = BUF_INIT(8 * OUTLOG_HALF);
	int64_t at = 0;
	outlog_init(&log);
	outlog_add(&log, 1, STR("first"));
	for (int i = 0; i < 7 * OUTLOG_HALF / 10; i++)
		outlog_add(&log, 1 + i % 2, STR("0123456789"));
	outlog_add(&log, 1, STR("last"));
	outlog_put(&log, 0, &b);
	assert_true(str_starts(buf_str(&b), STR("first")) && str_ends(buf_str(&b), STR("last")));
	assert_true(str_find(buf_str(&b), STR("bytes are left out here")) > 0);
	assert_true(b.len < 3 * OUTLOG_HALF);
	while (outlog_next(&log, &at, &piece))
		assert_true(str_starts(piece, STR("\1\1\1")) || str_starts(piece, STR("\2\2\2")));
	assert_int_equal(at, log.total);
	buf_fini(&b);
	outlog_fini(&log);
}

/* ---- git ---- */

static void assert_told(void (*tell)(struct str out, struct buf *b), struct str out,
	const char *wanted)
{
	struct buf b = BUF_INIT(8192);
	tell(out, &b);
	assert_string_equal(b.ptr, wanted);
	buf_fini(&b);
}

static void test_what_git_prints_becomes_daytonas_json(void **state)
{
	assert_told(git_put_status, STR("main\norigin/main\n2\t1\nR  new\0old\0?? a b\0UU c\0x\0"),
		"{\"currentBranch\":\"main\",\"upstream\":\"origin/main\",\"branchPublished\":true,"
		"\"ahead\":1,\"behind\":2,\"detached\":false,\"fileStatus\":["
		"{\"name\":\"new\",\"extra\":\"old\",\"staging\":\"Renamed\",\"worktree\":\"Unmodified\"},"
		"{\"name\":\"a b\",\"extra\":\"\",\"staging\":\"Untracked\",\"worktree\":\"Untracked\"},"
		"{\"name\":\"c\",\"extra\":\"\",\"staging\":\"Updated but unmerged\","
		"\"worktree\":\"Updated but unmerged\"}]}");
	assert_told(git_put_branches, STR("a\n\nb\n"), "{\"branches\":[\"a\",\"b\"]}");
	assert_told(git_put_remotes, STR("origin\thttps://x\nodd\n"),
		"{\"remotes\":[{\"name\":\"origin\",\"url\":\"https://x\"}]}");
	assert_told(git_put_history,
		STR("h\037A\037a@b\037"
		    "2026\037m\0junk\0"),
		"[{\"hash\":\"h\",\"author\":\"A\",\"email\":\"a@b\",\"timestamp\":\"2026\",\"message\":\"m\"}]");
	assert_told(git_put_value, STR("=v\n"), "{\"value\":\"v\"}");
	assert_told(git_put_value, STR(""), "{\"value\":null}");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_mark_is_found_wherever_it_is_cut),
		cmocka_unit_test(test_what_only_looks_like_a_mark_is_data),
		cmocka_unit_test(test_a_log_keeps_both_outputs_apart),
		cmocka_unit_test(test_of_much_the_beginning_and_the_end_are_kept),
		cmocka_unit_test(test_what_git_prints_becomes_daytonas_json),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
