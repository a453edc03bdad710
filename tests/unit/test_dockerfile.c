/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/dockerfile.h"

#include "unit.h"

#include "base/auto.h"
#include "wire/ignore.h"

static struct arena arena;
static struct dockerfile file;

static int begin(void **state)
{
	arena = ARENA_INIT(DOCKERFILE_ARENA);
	return 0;
}

static int end(void **state)
{
	arena_fini(&arena);
	return 0;
}

static const struct dockerfile_step *parse(const char *text, size_t step)
{
	struct error err;
	assert_works(dockerfile_parse(str_from(text), &arena, &file, &err), err);
	assert_true(step < file.n);
	return &file.steps[step];
}

static void refuses(const char *text, const char *why)
{
	struct error err;
	assert_true(dockerfile_parse(str_from(text), &arena, &file, &err) < 0);
	assert_text(err.text, why);
}

static struct str lookup(void *arg, struct str name)
{
	return str_is(name, "SET") ? STR("val ue") : str_is(name, "EMPTY") ? STR("") : STR_NONE;
}

static void expands(const char *in, const char *out)
{
	struct str got;
	struct error err;
	assert_works(dockerfile_expand(str_from(in), '\\', false, lookup, NULL, &arena, &got, &err),
		err);
	assert_str(got, out);
}

static void steps_have_words_flags_and_lines(void **state)
{
	const struct dockerfile_step *s = parse(
		"\xef\xbb\xbf# c\n\nfrom host as x\nCOPY --from=x --chmod=755 a 'b c' /d/\n", 1);
	assert_int_equal(s->kind, DOCKERFILE_COPY);
	assert_int_equal(s->line, 4);
	assert_int_equal(s->n_words, 3);
	assert_str(s->words[1], "'b c'");
	assert_str(dockerfile_flag(s, "from"), "x");
	assert_str(dockerfile_flag(s, "chmod"), "755");
	assert_null(dockerfile_flag(s, "chown").ptr);
	assert_str(file.steps[0].words[2], "x");
}

static void lines_are_joined_and_comments_between_them_dropped(void **state)
{
	assert_str(parse("FROM a\nRUN one && \\\n  # not this\n\n  two \\  \r\n three\n", 1)->text,
		"one &&   two  three");
	assert_str(parse("# escape=`\nFROM a\nRUN c:\\ `\nx\n", 1)->text, "c:\\ x");
	assert_str(parse("FROM a\nRUN last \\", 1)->text, "last");
	assert_str(parse("FROM a\nRUN echo \\\\\nRUN b\n", 1)->text, "echo \\\\");
}

static void the_json_form_is_taken_where_it_is_one(void **state)
{
	const struct dockerfile_step *s = parse("FROM a\nRUN [\"a b\", \"\\u00e9\"]\n", 1);
	assert_true(s->is_json);
	assert_int_equal(s->n_words, 2);
	assert_str(s->words[0], "a b");
	assert_false(parse("FROM a\nRUN [ -e x ]\n", 1)->is_json);
	assert_false(parse("FROM a\nCMD [1]\n", 1)->is_json);
}

static void here_documents_are_taken_as_they_stand(void **state)
{
	const struct dockerfile_step *s = parse(
		"FROM a\nCOPY <<A <<-'B' /x/\none \\\n# two\nA\n\t\tthree\n\tB\nRUN x\n", 1);
	assert_int_equal(s->n_docs, 2);
	assert_str(s->docs[0].text, "one \\\n# two\n");
	assert_false(s->docs[0].is_literal);
	assert_str(s->docs[1].text, "three\n");
	assert_true(s->docs[1].is_literal);
	assert_int_equal(file.n, 3);
	assert_int_equal(parse("FROM a\nRUN cat <<< x\n", 1)->n_docs, 0);
	assert_int_equal(parse("FROM a\nRUN echo $((1<<3))\n", 1)->n_docs, 0);
}

static void mistakes_name_their_line(void **state)
{
	refuses("", "no instruction");
	refuses("FROM a\n\nFLY\n", "line 3: unknown instruction: FLY");
	refuses("FROM a\nHEALTHCHECK NONE\n", "line 2: HEALTHCHECK is not offered");
	refuses("FROM a\nRUN --mount=x y\n", "line 2: --mount of RUN is not offered");
	refuses("FROM\n", "line 1: FROM requires arguments");
	refuses("FROM a\nSHELL x\n", "line 2: SHELL takes a JSON array");
	refuses("FROM a\nRUN <<EOF\nx\n", "line 2: the here-document EOF has no end");
	refuses("# escape=x\nFROM a\n", "line 1: escape is");
}

static void words_are_expanded_as_a_shell_would(void **state)
{
	expands("a$SET/b", "aval ue/b");
	expands("'$SET' \"$SET\"", "$SET val ue");
	expands("\\$SET $ $1", "$SET $ $1");
	expands("${NONE:-a${SET}b} ${EMPTY:-x} ${EMPTY-x}", "aval ueb x ");
	expands("${SET:+yes} ${NONE:+no}", "yes ");
	struct str got;
	struct error err;
	assert_true(dockerfile_expand(STR("${NONE:?say}"), '\\', false, lookup, NULL, &arena, &got,
			    &err) < 0);
	assert_text(err.text, "say");
	assert_true(
		dockerfile_expand(STR("'x"), '\\', false, lookup, NULL, &arena, &got, &err) < 0);
	assert_true(dockerfile_expand(STR("${SET%x}"), '\\', false, lookup, NULL, &arena, &got,
			    &err) < 0);
}

static void patterns_fit_whole_paths(void **state)
{
	static const struct {
		const char *pattern, *path;
		bool fits;
	} rows[] = {
		{ "a", "a", true },
		{ "a", "ab", false },
		{ "*.c", "x.c", true },
		{ "*.c", "d/x.c", false },
		{ "**/x", "x", true },
		{ "**/x", "a/b/x", true },
		{ "**/x", "a/bx", false },
		{ "a/**", "a/b/c", true },
		{ "a/**/c", "a/c", true },
		{ "[a-c]?", "bz", true },
		{ "[^a]", "a", false },
		{ "\\*", "*", true },
		{ "\\*", "x", false },
		{ "[", "[", false },
		{ "a/*/c", "a/b/c", true },
		{ "*a*b*", "xxaxxbxx", true },
		{ "", "", true },
		{ "*", "", true },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (pattern_fits(str_from(rows[i].pattern), str_from(rows[i].path)) != rows[i].fits)
			fail_msg("%s and %s", rows[i].pattern, rows[i].path);
}

static void the_last_line_that_fits_decides(void **state)
{
	struct ignore ignore;
	struct error err;
	assert_works(ignore_parse(STR("# no\n*.log\n!keep.log\n/build/\n  \nx/../tmp\n"), &arena,
			     &ignore, &err),
		err);
	assert_int_equal(ignore.n, 4);
	assert_true(ignore.has_exceptions);
	assert_true(ignore_has(&ignore, STR("a.log")));
	assert_false(ignore_has(&ignore, STR("keep.log")));
	assert_true(ignore_has(&ignore, STR("build/deep/file")));
	assert_true(ignore_has(&ignore, STR("tmp")));
	assert_false(ignore_has(&ignore, STR("other/build")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(steps_have_words_flags_and_lines, begin, end),
		cmocka_unit_test_setup_teardown(lines_are_joined_and_comments_between_them_dropped,
			begin, end),
		cmocka_unit_test_setup_teardown(the_json_form_is_taken_where_it_is_one, begin, end),
		cmocka_unit_test_setup_teardown(here_documents_are_taken_as_they_stand, begin, end),
		cmocka_unit_test_setup_teardown(mistakes_name_their_line, begin, end),
		cmocka_unit_test_setup_teardown(words_are_expanded_as_a_shell_would, begin, end),
		cmocka_unit_test_setup_teardown(patterns_fit_whole_paths, begin, end),
		cmocka_unit_test_setup_teardown(the_last_line_that_fits_decides, begin, end),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
