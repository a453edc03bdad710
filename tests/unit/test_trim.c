/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/trim.h"

#include "unit.h"

#include "base/bug.h"
#include "wire/json.h"

static void gives(const char *in, size_t max, const char *out)
{
	auto_buf struct buf b = BUF_INIT(1 << 20);
	struct error err;
	assert_works(trim_json(str_from(in), max, &b, NULL, &err), err);
	assert_string_equal(b.ptr, out);
}

static void refuses(const char *in, const char *why)
{
	struct error err;
	assert_fails(trim_json(str_from(in), 100, NULL, NULL, &err), err, PROTOCOL, why);
}

static void json_comes_out_on_one_line(void **unused)
{
	gives("{\"a\": [1, -2.5e+3,\n\ttrue], \"b\" : {} }\n", 100,
		"{\"a\":[1,-2.5e+3,true],\"b\":{}}");
	gives(" null ", 100, "null");
	gives("\"a b\\u00e9\\n\"", 100, "\"a b\\u00e9\\n\"");
}

static void long_strings_are_cut_between_characters(void **unused)
{
	gives("{\"k\":\"abcdefgh\",\"n\":1}", 4, "{\"k\":\"abcd… [4 more bytes]\",\"n\":1}");
	gives("\"abcd\"", 4, "\"abcd\"");
	gives("\"éé\"", 3, "\"éé\"");
	gives("\"ééé\"", 3, "\"éé… [2 more bytes]\"");
	gives("\"\\n\\n\\n\"", 3, "\"\\n\\n… [2 more bytes]\"");
	gives("\"\\n\\n\\n\"", 2, "\"\\n… [4 more bytes]\"");
	gives("\"\\ud83d\\ude00x\"", 6, "\"\\ud83d\\ude00… [1 more bytes]\"");
}

static void what_is_no_json_is_refused(void **unused)
{
	refuses("", "unknown word");
	refuses("{", "member without name");
	refuses("{\"a\"}", "without ':'");
	refuses("{\"a\":1,}", "nothing after it");
	refuses("[1 2]", "no ','");
	refuses("[01]", "no ','");
	refuses("1.", "digits after its point");
	refuses("1e", "exponent");
	refuses("\"a", "unfinished string");
	refuses("\"a\nb\"", "control byte");
	refuses("\"\\x\"", "unknown escape");
	refuses("\"\\u12g4\"", "unknown escape");
	refuses("\"\xff\"", "UTF-8");
	refuses("{}{}", "after the value");
	refuses("nul", "unknown word");
	refuses("data: x", "unknown word");
}

static void depth_has_a_limit(void **unused)
{
	auto_buf struct buf b = BUF_INIT(1000);
	for (int i = 0; i < JSON_DEPTH_MAX; i++)
		buf_putc(&b, '[');
	for (int i = 0; i < JSON_DEPTH_MAX; i++)
		buf_putc(&b, ']');
	gives(b.ptr, 100, b.ptr);
	auto_buf struct buf deeper = BUF_INIT(1000);
	buf_printf(&deeper, "[%s]", b.ptr);
	refuses(deeper.ptr, "nested too deep");
}

static void the_kind_of_the_value_is_told(void **unused)
{
	char kind = 0;
	struct error err;
	assert_works(trim_json(STR(" {}"), 10, NULL, &kind, &err), err);
	assert_int_equal(kind, '{');
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(json_comes_out_on_one_line),
		cmocka_unit_test(long_strings_are_cut_between_characters),
		cmocka_unit_test(what_is_no_json_is_refused),
		cmocka_unit_test(depth_has_a_limit),
		cmocka_unit_test(the_kind_of_the_value_is_told),
	};
	return cmocka_run_group_tests_name("trim", tests, NULL, NULL);
}
