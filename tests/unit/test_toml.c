/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TOML as configurations use it, and each way to get it wrong. The public cases:
 * tests/e2e/test_toml.py.
 */
#include "wire/toml.h"

#include "unit.h"

#include "base/auto.h"
#include "base/buf.h"

#include <math.h>

struct world {
	struct arena arena;
	struct toml *root;
	struct error err;
};

static int read_text(struct world *w, const char *text)
{
	arena_fini(&w->arena);
	w->arena = ARENA_INIT(TOML_ARENA_MAX);
	w->err = (struct error){ 0 };
	return toml_parse(str_from(text), &w->arena, &w->root, &w->err);
}

static const struct toml *at(struct world *w, const char *path)
{
	struct str rest = str_from(path), part;
	const struct toml *t = w->root;
	while (str_split(&rest, '.', &part))
		t = toml_find(t, part);
	if (!t)
		fail_msg("there is no %s", path);
	return t;
}

static int setup(void **state)
{
	static struct world w;
	*state = &w;
	return 0;
}

static int teardown(void **state)
{
	arena_fini(&((struct world *)*state)->arena);
	return 0;
}

static void every_kind_of_value_is_read(void **state)
{
	struct world *w = *state;
	static const char text[] = "# a comment\r\n"
				   "s = \"tab\\there \\u00e9\"\r\nl = 'C:\\path'\n"
				   "m = \"\"\"\nfirst\\\n   second\"\"\"\ni = 1_000\nh = 0xff\n"
				   "f = -1.5e3\nx = inf\nb = true\nd = 1979-05-27 07:32:00z\n"
				   "a = [ 1, # one\n 2, ]\nt = { x = 1, y.z = 'q' }\n";
	assert_works(read_text(w, text), w->err);
	assert_str(at(w, "s")->text, "tab\there \xc3\xa9");
	assert_str(at(w, "l")->text, "C:\\path");
	assert_str(at(w, "m")->text, "firstsecond");
	assert_int_equal(at(w, "i")->number, 1000);
	assert_int_equal(at(w, "h")->number, 255);
	assert_true(at(w, "f")->real == -1500.0);
	assert_true(isinf(at(w, "x")->real));
	assert_int_equal(at(w, "b")->kind, TOML_BOOL);
	assert_str(at(w, "d")->text, "1979-05-27T07:32:00Z");
	assert_int_equal(at(w, "a")->n, 2);
	assert_str(at(w, "t.y.z")->text, "q");
}

static void tables_are_made_by_headers_and_dots(void **state)
{
	struct world *w = *state;
	assert_works(
		read_text(w,
			"[a.b]\nx = 1\n[a]\ny = 2\n[[list]]\nn = 1\n[[list]]\nn = 2\n[list.sub]\nz = 3\n"),
		w->err);
	assert_int_equal(at(w, "a.b.x")->number, 1);
	assert_int_equal(at(w, "a.y")->number, 2);
	assert_int_equal(at(w, "list")->n, 2);
	assert_int_equal(toml_find(toml_find(at(w, "list")->last, STR("sub")), STR("z"))->number,
		3);
}

static void mistakes_name_their_line(void **state)
{
	static const struct {
		const char *text, *words;
	} examples[] = {
		{ "a = 1\na = 2", "line 2: 'a' is defined already, in line 1" },
		{ "[a]\n[a]", "line 2: 'a' cannot be added to: it was defined in line 1" },
		{ "a = host", "line 1: 'host' is no value: a string stands in quotes" },
		{ "a = ", "a value is missing" },
		{ "a 1", "'=' is missing" },
		{ "= 1", "a key is missing" },
		{ "a = \"x", "a string has no end" },
		{ "a = \"\\q\"", "'\\q' is no escape" },
		{ "a = [1", "',' or ']' is missing" },
		{ "a = {b = 1,}", "a key is missing" },
		{ "[a", "']' is missing" },
		{ "a = 1 b = 2", "something follows" },
		{ "a = 2021-02-30", "is no date" },
		{ "a = 9223372036854775808", "is too large" },
		{ "a = 1\na.b = 2", "cannot be added to" },
		{ "a = \"\x01\"", "a control character" },
		{ "\xff", "not a text in UTF-8" },
		{ 0 },
	};
	struct world *w = *state;
	for (int i = 0; examples[i].text; i++)
		assert_fails(read_text(w, examples[i].text), w->err, INVALID, examples[i].words);
}

static void what_is_too_deep_or_too_much_is_refused(void **state)
{
	struct world *w = *state;
	auto_buf struct buf b = BUF_INIT(4 << 20);
	buf_puts(&b, "a = ");
	for (int i = 0; i < 100000; i++)
		buf_puts(&b, "[");
	assert_fails(read_text(w, b.ptr), w->err, INVALID, "within each other");
	buf_reset(&b);
	for (int i = 0; i < 10000; i++)
		buf_printf(&b, "k%d = 1\n", i);
	assert_fails(read_text(w, b.ptr), w->err, INVALID, "keys");
	buf_reset(&b);
	buf_puts(&b, "a = [");
	for (int i = 0; i < 100000; i++)
		buf_puts(&b, "1,");
	assert_fails(read_text(w, b.ptr), w->err, INVALID, "values");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_kind_of_value_is_read),
		cmocka_unit_test(tables_are_made_by_headers_and_dots),
		cmocka_unit_test(mistakes_name_their_line),
		cmocka_unit_test(what_is_too_deep_or_too_much_is_refused),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
