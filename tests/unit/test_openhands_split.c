/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What counts as one command: measured with OpenHands 0.62 (bashlex 0.18) and its own unit tests.
 */
#include "face/openhands/split.h"

#include "base/auto.h"
#include "base/buf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

enum { ITEMS_MAX = 10 };

struct vector {
	const char *text;
	const char *items[ITEMS_MAX];
};

static void assert_split(const char *text, const char *const *items)
{
	struct split split;
	split_commands(str_from(text), &split);
	size_t n = 0;
	while (n < ITEMS_MAX && items[n])
		n++;
	for (size_t i = 0; i < MIN(n, split.n); i++)
		if (!str_is(split.items[i], items[i]))
			fail_msg("\"%s\": item %zu is \"%.*s\", not \"%s\"", text, i,
				STR_ARG(split.items[i]), items[i]);
	if (split.n != n)
		fail_msg("\"%s\" is %zu commands, not %zu", text, split.n, n);
}

static void assert_vectors(const struct vector *v, size_t n)
{
	for (size_t i = 0; i < n; i++)
		assert_split(v[i].text, v[i].items);
}

#define CHECK(vectors) assert_vectors(vectors, ARRAY_LEN(vectors))

static void newlines_separate_commands(void **state)
{
	static const struct vector vectors[] = {
		{ "echo a\necho b", { "echo a", "echo b" } },
		{ "echo a &\necho b", { "echo a &", "echo b" } },
		{ "echo a;\necho b", { "echo a;", "echo b" } },
		{ "f() { echo x; }\nf", { "f() { echo x; }", "f" } },
		{ "f()\n{\n  echo x\n}\nf", { "f()\n{\n  echo x\n}", "f" } },
		{ "function f { echo x; }\nf", { "function f { echo x; }", "f" } },
		{ "((i++))\necho b", { "((i++))", "echo b" } },
		{ "echo a >x 2>&1\n>y\necho b &>>z", { "echo a >x 2>&1", ">y", "echo b &>>z" } },
		{ "if a; then b; fi\nls", { "if a; then b; fi", "ls" } },
		{ "(a; b)\n{ c; }\n! d | e", { "(a; b)", "{ c; }", "! d | e" } },
	};
	CHECK(vectors);
}

static void one_line_is_one_command(void **state)
{
	static const char *const lines[] = {
		"ls -l",
		"cd /tmp && ls; pwd || true | cat &",
		"a & b & c",
		"for i in 1 2 3; do echo $i; sleep 1.5; done",
		"while true; do if [ $((RANDOM % 2)) -eq 0 ]; then break; fi; done",
		"find . -name '*.c' -exec grep -l main {} \\;",
		"diff <(ls a) <(ls b) >(cat)",
		"echo ${x:-$(date \"+%F\")} \"${y#*\"}\"}\" `ls | wc`",
		"echo a#b '#' # c",
	};
	for (size_t i = 0; i < ARRAY_LEN(lines); i++)
		assert_split(lines[i], (const char *const[]){ lines[i], NULL });
}

static void a_newline_within_a_construct_separates_nothing(void **state)
{
	static const char *const texts[] = {
		"echo a &&\necho b",
		"ls |\n\n  wc",
		"echo \\\n    -e 'hello' \\\n    -v",
		"echo -e 'hello\nworld\nare\nyou\\n\nthere?'",
		"echo \"hello\nworld $(date\n) it's `ls\n`\"",
		"for i in 1 2\ndo\n  echo $i\ndone",
		"for i\nin a b\ndo echo; done",
		"while read x\ndo\n  echo\ndone < file",
		"until a\ndo b\ndone",
		"if a\nthen\n  b\nelif c\nthen d\nelse\n  e\nfi",
		"(\n  a\n  b\n)",
		"{\n  a\n\n  b\n} >out 2>&1",
		"if a; then if b; then c; fi fi",
		"x=$(\n  echo a\n  echo b\n)",
	};
	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		assert_split(texts[i], (const char *const[]){ texts[i], NULL });
}

static void a_here_document_ends_with_its_delimiter(void **state)
{
	static const struct vector vectors[] = {
		{ "cat <<EOF\nx\nEOF", { "cat <<EOF\nx\nEOF" } },
		{ "cat <<EOF\nx\nEOF\necho b", { "cat <<EOF\nx\nEOF", "echo b" } },
		{ "cat <<A; cat <<B && c\na\nB\nA\nb\nB\nd",
			{ "cat <<A; cat <<B && c\na\nB\nA\nb\nB", "d" } },
		{ "cat <<-EOF\n\tx\n\tEOF\nls", { "cat <<-EOF\n\tx\n\tEOF", "ls" } },
		{ "cat <<EOF\n\tEOF\nls", { "cat <<EOF\n\tEOF\nls" } },
		{ "if a; then cat <<EOF\nfi\nEOF\nfi\nls",
			{ "if a; then cat <<EOF\nfi\nEOF\nfi", "ls" } },
		{ "cat <<<x\nls", { "cat <<<x", "ls" } },
	};
	CHECK(vectors);
}

static void comments_and_blank_lines_go_with_the_command_before(void **state)
{
	static const struct vector vectors[] = {
		{ "echo a\n# c", { "echo a\n# c" } },
		{ "echo \"Hello\" # c\n# c2\nls -l", { "echo \"Hello\" # c\n# c2", "ls -l" } },
		{ "# c\necho a", { "# c", "echo a" } },
		{ "\n\nls\n\n  \n\npwd\n\n", { "ls", "pwd" } },
		{ "# only this", { "# only this" } },
		{ "", { "" } },
	};
	CHECK(vectors);
}

/* Texts of several lines that OpenHands' parser rejects are sent whole. */
static void what_is_not_understood_is_one_command(void **state)
{
	static const char *const texts[] = {
		"case x in\nx) echo;;\nesac\nls",
		"[[ -f x ]] && echo\nls",
		"echo $((1 + 1))\nls",
		"echo \"$((1 + 1))\"\nls",
		"x=(a b)\necho $x",
		"time ls\nls",
		"select x in a; do b; done\nls",
		"for ((i = 0; i < 3; i++)); do echo; done\nls",
		"cat <<'EOF'\nx\nEOF\nls",
		"cat <<\"EOF\"\nx\nEOF\nls",
		"cat <<EOF\nx",
		"echo \"a\nls",
		"echo 'a\nls",
		"echo `a\nls",
		"echo $(a\nls",
		"echo ${a\nls",
		"echo a)\nls",
		"done\nls",
		"if a; then b\nls",
		"if a; then fi\nls",
		"echo a | \n",
		"; ls\nls",
		"a & & b\nls",
		"a ;; b\nls",
		"ls >\nls",
		"f( x\nls",
		"ls \\",
		"ls\npwd \\",
		"ls | ! wc\npwd",
	};
	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		assert_split(texts[i], (const char *const[]){ texts[i], NULL });
}

/* The commands of OpenHands' own test of joining and splitting. */
static void joined_commands_come_apart_as_they_were(void **state)
{
	static const char *const commands[] = {
		"ls -l",
		"echo -e \"hello\\nworld\"",
		"echo -e \"hello it's me\"",
		"echo \\\n    -e 'hello' \\\n    -v",
		"echo -e 'hello\\nworld\\nare\\nyou\\nthere?'",
		"echo -e 'hello\nworld\nare\nyou\\n\nthere?'",
		"echo -e 'hello\nworld \"\n'",
		"kubectl apply -f - <<EOF\nkind: Pod\nspec:\n  args:\n  - \"1000000\"\nEOF",
		"mkdir -p m && \\\nfor a in {01..04}; do\n    for b in {1..5}; do\n touch \"m/2024-${a}-${b}.md\"\n    done\ndone",
	};
	auto_buf struct buf joined = BUF_INIT(4096);
	const char *items[ITEMS_MAX] = { NULL };
	for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
		buf_printf(&joined, "%s%s", i ? "\n" : "", commands[i]);
		items[i] = commands[i];
	}
	assert_split(joined.ptr, items);
}

static void nesting_has_a_ceiling(void **state)
{
	auto_buf struct buf b = BUF_INIT(1 << 20);
	for (int i = 0; i < 100000; i++)
		buf_puts(&b, "$(");
	struct split split;
	split_commands(buf_str(&b), &split);
	assert_int_equal(split.n, 1);
}

static void beyond_the_ceiling_the_last_item_is_the_rest(void **state)
{
	auto_buf struct buf b = BUF_INIT(1 << 20);
	for (int i = 0; i < 2 * SPLIT_MAX; i++)
		buf_printf(&b, "echo %d\n", i);
	struct split split;
	split_commands(buf_str(&b), &split);
	assert_int_equal(split.n, SPLIT_MAX);
	assert_true(str_is(split.items[SPLIT_MAX - 2], "echo 254"));
	assert_true(str_starts(split.items[SPLIT_MAX - 1], STR("echo 255\necho 256\n")));
	assert_true(str_ends(split.items[SPLIT_MAX - 1], STR("echo 511")));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(newlines_separate_commands),
		cmocka_unit_test(one_line_is_one_command),
		cmocka_unit_test(a_newline_within_a_construct_separates_nothing),
		cmocka_unit_test(a_here_document_ends_with_its_delimiter),
		cmocka_unit_test(comments_and_blank_lines_go_with_the_command_before),
		cmocka_unit_test(what_is_not_understood_is_one_command),
		cmocka_unit_test(joined_commands_come_apart_as_they_were),
		cmocka_unit_test(nesting_has_a_ceiling),
		cmocka_unit_test(beyond_the_ceiling_the_last_item_is_the_rest),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
