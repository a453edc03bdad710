/* SPDX-License-Identifier: Apache-2.0 */
#include "face/swerex/text.h"

#include "unit.h"

#include "base/auto.h"

static void gives(struct str in, const char *encoding, const char *errors, const char *out)
{
	auto_buf struct buf b = BUF_INIT(1 << 20);
	struct error err;
	assert_works(text_decode(in, str_from(encoding), str_from(errors), &b, &err), err);
	assert_string_equal(b.ptr, out);
}

static void refuses(struct str in, const char *encoding, const char *errors, enum error_code code,
	const char *why)
{
	auto_buf struct buf b = BUF_INIT(1 << 20);
	struct error err;
	assert_int_equal(text_decode(in, str_from(encoding), str_from(errors), &b, &err), -1);
	assert_int_equal(err.code, code);
	assert_non_null(strstr(err.text, why));
}

static void newlines_of_all_kinds_become_one(void **unused)
{
	gives(STR("a\r\nb\rc\n\r\r\n"), NULL, NULL, "a\nb\nc\n\n\n");
	gives(STR("\r"), NULL, NULL, "\n");
	gives(STR("\r\xff\n"), NULL, "ignore", "\n\n");
}

static void what_is_no_text_is_treated_as_asked(void **unused)
{
	const struct str bad = STR("a\xff\xe2\x82z\xf0\x9f\x98");
	gives(bad, NULL, "replace", "a\xef\xbf\xbd\xef\xbf\xbdz\xef\xbf\xbd");
	gives(bad, "UTF_8", "ignore", "az");
	gives(bad, "utf-8", "backslashreplace", "a\\xff\\xe2\\x82z\\xf0\\x9f\\x98");
	refuses(bad, NULL, NULL, ERROR_INVALID, "byte 0xff in position 1");
}

static void encodings_have_their_names(void **unused)
{
	gives(STR("caf\xe9"), "ISO-8859-1", NULL, "caf\xc3\xa9");
	gives(STR("caf\xe9"), "ascii", "backslashreplace", "caf\\xe9");
	refuses(STR("\x80"), "US_ASCII", "strict", ERROR_INVALID, "'ascii' codec");
	refuses(STR(""), "utf-16", NULL, ERROR_UNSUPPORTED, "encoding");
	refuses(STR(""), NULL, "guess", ERROR_UNSUPPORTED, "'guess'");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(newlines_of_all_kinds_become_one),
		cmocka_unit_test(what_is_no_text_is_treated_as_asked),
		cmocka_unit_test(encodings_have_their_names),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
