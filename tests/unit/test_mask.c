/* SPDX-License-Identifier: Apache-2.0 */
/* Secrets are taken out of texts, of JSON, and of what comes in pieces. */
#include "wire/mask.h"

#include "unit.h"

static void masked(struct mask *m, const char *text, enum mask_form form, const char *wanted)
{
	auto_buf struct buf b = BUF_INIT(65536);
	mask_put(m, str_from(text), form, &b);
	assert_string_equal(b.ptr, wanted);
	assert_int_equal(mask_finds(m, str_from(text), form), strcmp(text, wanted) != 0);
}

static void every_place_is_masked(void **state)
{
	struct mask m = { 0 };
	mask_add(&m, STR("s3cret"));
	mask_add(&m, STR("s3cret-longer"));
	mask_add(&m, STR("s3cret"));
	masked(&m, "a s3cret, s3crets3cret", MASK_PLAIN,
		"a <secret_hidden>, <secret_hidden><secret_hidden>");
	masked(&m, "s3cret-longer s3cret-long", MASK_PLAIN, "<secret_hidden> <secret_hidden>-long");
	masked(&m, "nothing", MASK_PLAIN, "nothing");
	masked(&m, "", MASK_PLAIN, "");
	mask_fini(&m);
}

static void in_json_it_is_found_as_it_is_escaped(void **state)
{
	struct mask m = { 0 };
	mask_add(&m, STR("a\"b\nc"));
	masked(&m, "{\"x\":\"-a\\\"b\\nc-\"}", MASK_JSON, "{\"x\":\"-<secret_hidden>-\"}");
	mask_fini(&m);
}

static void what_is_too_short_is_left_alone(void **state)
{
	struct mask m = { 0 };
	mask_add(&m, STR("abc"));
	mask_add(&m, STR(""));
	masked(&m, "abc", MASK_PLAIN, "abc");
	mask_fini(&m);
}

static void a_beginning_at_the_end_is_noticed(void **state)
{
	struct mask m = { 0 };
	mask_add(&m, STR("abab-x"));
	assert_int_equal(mask_tail(&m, STR("zzabab")), 4);
	assert_int_equal(mask_tail(&m, STR("zzaba")), 3);
	assert_int_equal(mask_tail(&m, STR("zzz")), 0);
	assert_int_equal(mask_tail(&m, STR("a")), 1);
	assert_int_equal(mask_tail(&m, STR("")), 0);
	mask_fini(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_place_is_masked),
		cmocka_unit_test(in_json_it_is_found_as_it_is_escaped),
		cmocka_unit_test(what_is_too_short_is_left_alone),
		cmocka_unit_test(a_beginning_at_the_end_is_noticed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
