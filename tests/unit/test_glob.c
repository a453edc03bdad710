/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include "executor/glob.h"
#include "executor/grep.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static struct error err;

static bool matches_as(const char *pattern, const char *path, bool hidden)
{
	auto_arena struct arena a = ARENA_INIT(8 << 20);
	struct glob g;
	assert_works(glob_compile(&g, str_from(pattern), hidden, &a, &err), err);
	return glob_match(&g, str_from(path));
}

static bool matches(const char *pattern, const char *path)
{
	return matches_as(pattern, path, false);
}

static bool may_match_below(const char *pattern, const char *dir)
{
	auto_arena struct arena a = ARENA_INIT(8 << 20);
	struct glob g;
	assert_works(glob_compile(&g, str_from(pattern), false, &a, &err), err);
	return glob_may_match_below(&g, str_from(dir));
}

static void wildcards_stay_within_a_component(void **state)
{
	assert_true(matches("*.c", "a.c"));
	assert_false(matches("*.c", "src/a.c"));
	assert_true(matches("s?c/*.[ch]", "src/a.h"));
	assert_false(matches("s?c/*.[!ch]", "src/a.h"));
	assert_true(matches("a*b*c", "axxbyyc"));
	assert_false(matches("a*b*c", "axxbyy"));
}

static void two_stars_are_any_number_of_directories(void **state)
{
	assert_true(matches("**/*.c", "a.c"));
	assert_true(matches("**/*.c", "x/y/z/a.c"));
	assert_true(matches("src/**/test_*.py", "src/test_a.py"));
	assert_true(matches("src/**/test_*.py", "src/a/b/test_a.py"));
	assert_false(matches("src/**/test_*.py", "lib/test_a.py"));
	assert_true(matches("src/**", "src/a/b"));
	assert_false(matches("src/**", "src"));
	assert_true(matches("**", "a/b"));
	assert_true(matches("a/**/b/**/c", "a/b/b/x/c"));
}

static void braces_are_alternatives(void **state)
{
	assert_true(matches("*.{ts,tsx}", "a.tsx"));
	assert_false(matches("*.{ts,tsx}", "a.js"));
	assert_true(matches("{a,b{c,d}}/x", "bd/x"));
	assert_true(matches("{a}", "{a}"));
	assert_true(matches("a{,b}", "a"));
	assert_true(matches("{src,lib}/**/*.c", "lib/x/y.c"));
}

static void a_leading_dot_wants_a_dot(void **state)
{
	assert_false(matches("*", ".git"));
	assert_true(matches(".*", ".git"));
	assert_false(matches("**/config", ".git/config"));
	assert_true(matches(".git/*", ".git/config"));
	assert_true(matches_as("**/config", ".git/config", true));
	assert_true(matches_as("*", ".git", true));
}

static void characters_are_those_of_utf8(void **state)
{
	assert_true(matches("?", "\xc3\xa4"));
	assert_true(matches("[\xc3\xa0-\xc3\xbf]", "\xc3\xa4"));
	assert_false(matches("??", "\xc3\xa4"));
}

static void a_backslash_takes_away_the_meaning(void **state)
{
	assert_true(matches("\\*", "*"));
	assert_false(matches("\\*", "a"));
	assert_true(matches("a\\{b,c}", "a{b,c}"));
	assert_true(matches("[", "["));
}

static void many_stars_take_no_time(void **state)
{
	assert_false(matches("*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*b",
		"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"));
	assert_false(matches("**/a/**/a/**/a/**/a/**/a/**/a/**/b",
		"a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a"));
}

static void directories_that_cannot_hold_a_match_are_known(void **state)
{
	assert_true(may_match_below("src/*.c", "src"));
	assert_false(may_match_below("src/*.c", "lib"));
	assert_false(may_match_below("src/*.c", "src/sub"));
	assert_true(may_match_below("src/**/x", "src/a/b"));
	assert_false(may_match_below("**/x", ".git"));
}

static void too_many_alternatives_are_refused(void **state)
{
	auto_arena struct arena a = ARENA_INIT(8 << 20);
	struct glob g;
	assert_fails(glob_compile(&g, STR("{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}"), false, &a, &err),
		err, INVALID, "alternatives");
	assert_fails(glob_compile(&g, STR(""), false, &a, &err), err, INVALID, "empty");
	struct buf deep = BUF_INIT(1000);
	for (int i = 0; i < 100; i++)
		buf_puts(&deep, "a/");
	assert_fails(glob_compile(&g, buf_str(&deep), false, &a, &err), err, INVALID, "components");
	buf_fini(&deep);
}

static void the_plain_beginning_is_where_a_search_starts(void **state)
{
	auto_arena struct arena a = ARENA_INIT(8 << 20);
	struct glob g;
	struct buf dir = BUF_INIT(100);
	assert_works(glob_compile(&g, STR("src/base/*.c"), false, &a, &err), err);
	glob_take_prefix(&g, &dir);
	assert_string_equal(dir.ptr, "src/base/");
	assert_true(glob_match(&g, STR("a.c")));
	buf_fini(&dir);
}

/* ---- grep ---- */

struct seen {
	struct buf text;
	int most;
};

static bool on_match(void *arg, const struct grep_match *m)
{
	struct seen *s = arg;
	if (s->most-- == 0)
		return false;
	for (int i = 0; i < m->n_before; i++)
		buf_printf(&s->text, "-%.*s", STR_ARG(m->before[i]));
	buf_printf(&s->text, "%lld:%.*s", (long long)m->line, STR_ARG(m->text));
	return true;
}

static void on_after(void *arg, struct str line)
{
	struct seen *s = arg;
	buf_printf(&s->text, "+%.*s", STR_ARG(line));
}

static void on_match_end(void *arg)
{
	struct seen *s = arg;
	buf_puts(&s->text, ";");
}

static enum grep_outcome grep(const char *pattern, bool fixed, bool nocase, struct str text,
	int context, struct seen *s)
{
	static const struct grep_events events = { on_match, on_after, on_match_end };
	struct grep_pattern *p;
	char name[] = "/tmp/cay-test-grep-XXXXXX";
	int fd = mkstemp(name);
	unlink(name);
	assert_int_equal(write(fd, text.ptr, text.len), text.len);
	lseek(fd, 0, SEEK_SET);
	assert_works(grep_compile(str_from(pattern), fixed, nocase, &p, &err), err);
	buf_init(&s->text, 1 << 20);
	enum grep_outcome r = grep_file(p, fd, context, &events, s);
	grep_free(p);
	close(fd);
	return r;
}

static void assert_grep(const char *pattern, const char *text, int context, const char *wanted)
{
	struct seen s = { .most = 100 };
	assert_int_equal(grep(pattern, false, false, str_from(text), context, &s), GREP_DONE);
	assert_string_equal(s.text.ptr, wanted);
	buf_fini(&s.text);
}

static void lines_that_match_are_given_with_their_numbers(void **state)
{
	assert_grep("b", "a\nb\nc\nab", 0, "2:b;4:ab;");
	assert_grep("^b$", "a\nb\r\nb\nab", 0, "3:b;");
	assert_grep("x", "a\n", 0, "");
	assert_grep("a|c", "a\nb\nc\n", 0, "1:a;3:c;");
}

static void context_is_given_once(void **state)
{
	assert_grep("c", "a\nb\nc\nd\ne\n", 1, "-b3:c+d;");
	assert_grep("[bc]", "a\nb\nc\nd\ne\n", 1, "-a2:b;3:c+d;");
	assert_grep("[ad]", "a\nb\nc\nd\ne\n", 2, "1:a+b+c;4:d+e;");
	assert_grep("e", "a\nb\nc\nd\ne", 3, "-b-c-d5:e;");
}

static void case_is_ignored_on_request(void **state)
{
	struct seen s = { .most = 100 };
	grep("FOO.", false, true, STR("foo1\nbar\n"), 0, &s);
	assert_string_equal(s.text.ptr, "1:foo1;");
	buf_fini(&s.text);
	s.most = 100;
	grep("O.", true, true, STR("foo1\nfo.\n"), 0, &s);
	assert_string_equal(s.text.ptr, "2:fo.;");
	buf_fini(&s.text);
}

static void binary_files_are_not_searched(void **state)
{
	struct seen s = { .most = 100 };
	assert_int_equal(grep("b", false, false, STR("b\n\0b\n"), 0, &s), GREP_BINARY);
	assert_string_equal(s.text.ptr, "");
	buf_fini(&s.text);
}

static void a_search_stops_when_there_is_enough(void **state)
{
	struct seen s = { .most = 1 };
	assert_int_equal(grep("b", false, false, STR("b\nb\n"), 0, &s), GREP_STOPPED);
	assert_string_equal(s.text.ptr, "1:b;");
	buf_fini(&s.text);
}

static void a_line_longer_than_the_buffer_is_one_line(void **state)
{
	struct seen s = { .most = 100 };
	size_t len = 3 * GREP_LINE_MAX;
	char *text = malloc(len + 8);
	memset(text, 'x', len);
	memcpy(text + len, "needle\nx", 8);
	grep("needle|^x$", false, false, str_from_len(text, len + 8), 0, &s);
	assert_string_equal(s.text.ptr, "2:x;");
	buf_fini(&s.text);
	free(text);
}

static void a_wrong_expression_says_why(void **state)
{
	struct grep_pattern *p;
	assert_fails(grep_compile(STR("a("), false, false, &p, &err), err, INVALID, "pattern 'a('");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(wildcards_stay_within_a_component),
		cmocka_unit_test(two_stars_are_any_number_of_directories),
		cmocka_unit_test(braces_are_alternatives),
		cmocka_unit_test(a_leading_dot_wants_a_dot),
		cmocka_unit_test(characters_are_those_of_utf8),
		cmocka_unit_test(a_backslash_takes_away_the_meaning),
		cmocka_unit_test(many_stars_take_no_time),
		cmocka_unit_test(directories_that_cannot_hold_a_match_are_known),
		cmocka_unit_test(too_many_alternatives_are_refused),
		cmocka_unit_test(the_plain_beginning_is_where_a_search_starts),
		cmocka_unit_test(lines_that_match_are_given_with_their_numbers),
		cmocka_unit_test(context_is_given_once),
		cmocka_unit_test(case_is_ignored_on_request),
		cmocka_unit_test(binary_files_are_not_searched),
		cmocka_unit_test(a_search_stops_when_there_is_enough),
		cmocka_unit_test(a_line_longer_than_the_buffer_is_one_line),
		cmocka_unit_test(a_wrong_expression_says_why),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
