/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/pycall.h"

#include "unit.h"

#include "base/auto.h"
#include "wire/nuljson.h"

static struct error err;
static struct arena arena = ARENA_INIT(4 << 20);
static struct py_call *calls;
static size_t n;

static void parse(const char *text)
{
	arena_fini(&arena);
	assert_works(pycall_parse(str_from(text), &arena, &calls, &n, &err), err);
}

static const struct py_value *value(size_t call, size_t argument)
{
	assert_true(call < n && argument < calls[call].n);
	return &calls[call].arguments[argument].value;
}

static void calls_stand_one_after_the_other(void **unused)
{
	parse("goto('http://x/?a=1#b')\n  noop(500) scroll(-1.5e2, 200)");
	assert_int_equal(n, 3);
	assert_str(calls[0].name, "goto");
	assert_str(value(0, 0)->text, "http://x/?a=1#b");
	assert_str(calls[1].source, "noop(500)");
	assert_int_equal(value(1, 0)->integer, 500);
	assert_int_equal(value(2, 0)->kind, PY_REAL);
	assert_true(value(2, 0)->real == -150);
}

static void arguments_have_names_and_lists(void **unused)
{
	parse("click('12', button=\"left\", modifiers=['Shift', 'Alt',],)");
	assert_int_equal(calls[0].n, 3);
	assert_null(calls[0].arguments[0].name.ptr);
	assert_str(calls[0].arguments[2].name, "modifiers");
	assert_int_equal(value(0, 2)->kind, PY_LIST);
	assert_int_equal(value(0, 2)->n, 2);
	assert_str(value(0, 2)->items[1].text, "Alt");
}

static void every_literal_has_its_kind(void **unused)
{
	parse("f(None, True, False, (1), (1,), (), {'a': 1, 2: []}, 9223372036854775807)");
	static const enum py_kind kinds[] = { PY_NONE, PY_BOOL, PY_BOOL, PY_INT, PY_TUPLE, PY_TUPLE,
		PY_DICT, PY_INT };
	assert_int_equal(calls[0].n, ARRAY_LEN(kinds));
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
		assert_int_equal(value(0, i)->kind, kinds[i]);
	assert_true(value(0, 1)->boolean && !value(0, 2)->boolean);
	assert_int_equal(value(0, 6)->n, 4);
	assert_true(value(0, 7)->integer == INT64_MAX);
}

static void strings_are_what_python_makes_of_them(void **unused)
{
	parse("f('a\\n\\t\\\\\\'\\\"', \"\\x41\\u20ac\\101\", r'\\d\\n', '''two\nlines'''"
	      ", '\\q', 'a\\\nb')");
	assert_str(value(0, 0)->text, "a\n\t\\'\"");
	assert_str(value(0, 1)->text, "A€A");
	assert_str(value(0, 2)->text, "\\d\\n");
	assert_str(value(0, 3)->text, "two\nlines");
	assert_str(value(0, 4)->text, "\\q");
	assert_str(value(0, 5)->text, "ab");
}

static void what_is_no_call_is_passed_over(void **unused)
{
	parse("I click now: click('1') # not click('2')\nThen (see below) f(x) and 2nd(1) g(1,,2)");
	assert_int_equal(n, 1);
	assert_str(value(0, 0)->text, "1");
	parse("f(a=1, 2) h('open\n') k(1 2)");
	assert_int_equal(n, 0);
	parse("outer(inner('x'))");
	assert_int_equal(n, 1);
	assert_str(calls[0].name, "inner");
}

static void ceilings_are_told(void **unused)
{
	auto_buf struct buf b = BUF_INIT(1 << 20);
	for (int i = 0; i <= PYCALL_CALLS_MAX; i++)
		buf_puts(&b, "f() ");
	arena_fini(&arena);
	assert_fails(pycall_parse(buf_str(&b), &arena, &calls, &n, &err), err, TOO_LARGE,
		"more than 256 calls");
	while (buf_puts(&b, "f('''") == 0 && b.len < PYCALL_TEXT_MAX - 8)
		;
	b.is_full = false;
	arena_fini(&arena);
	assert_int_equal(pycall_parse(buf_str(&b), &arena, &calls, &n, &err), -1);
}

static void shows(const char *text, const char *repr)
{
	auto_buf struct buf b = BUF_INIT(1000);
	pycall_put_repr(&b, str_from(text));
	assert_string_equal(b.ptr, repr);
}

static void repr_is_that_of_python(void **unused)
{
	shows("plain", "'plain'");
	shows("it's", "\"it's\"");
	shows("it's \"so\"", "'it\\'s \"so\"'");
	shows("a\\b\n\t\x01", "'a\\\\b\\n\\t\\x01'");
	shows("é€😀", "'é€😀'");
	shows("\xc2\xa0\xe2\x80\x8b\xee\x80\x80", "'\\xa0\\u200b\\ue000'");
}

/* ---- nuljson ---- */

static int see(void *arg, struct str text, bool is_cut, struct error *ret_err)
{
	buf_printf(arg, "%s%.*s|", is_cut ? "cut " : "", STR_ARG(str_first(text, 12)));
	return 0;
}

static void messages_end_with_a_nul_and_have_a_ceiling(void **unused)
{
	static const char in[] = "{\"id\":1}\0\0{\"id\":2}\0";
	auto_buf struct buf seen = BUF_INIT(1000), large = BUF_INIT(10000);
	struct nuljson messages;
	nuljson_init(&messages, 400);
	nuljson_parse(&messages, str_from_len(in, sizeof(in) - 1), see, &seen, &err);
	buf_puts(&large, "{\"id\":3,\"x\":\"");
	for (int i = 0; i < 100; i++)
		buf_puts(&large, "01234567");
	nuljson_parse(&messages, buf_str(&large), see, &seen, &err);
	nuljson_parse(&messages, str_from_len("\"}\0{}\0", 6), see, &seen, &err);
	assert_string_equal(seen.ptr, "{\"id\":1}|{\"id\":2}|cut {\"id\":3,\"x\":|{}|");
	nuljson_fini(&messages);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(calls_stand_one_after_the_other),
		cmocka_unit_test(arguments_have_names_and_lists),
		cmocka_unit_test(every_literal_has_its_kind),
		cmocka_unit_test(strings_are_what_python_makes_of_them),
		cmocka_unit_test(what_is_no_call_is_passed_over),
		cmocka_unit_test(ceilings_are_told),
		cmocka_unit_test(repr_is_that_of_python),
		cmocka_unit_test(messages_end_with_a_nul_and_have_a_ceiling),
	};
	int r = cmocka_run_group_tests(tests, NULL, NULL);
	arena_fini(&arena);
	return r;
}
