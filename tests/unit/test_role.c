/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include "base/auto.h"
#include "base/id.h"
#include "http/role.h"

#define KEY "0123456789abcdef0123456789abcdef"

static char id[ID_SIZE];

static struct str make(const struct grant *g, struct buf *b)
{
	struct error err;
	assert_int_equal(grant_put(g, KEY, b, &err), 0);
	return buf_str(b);
}

static int parse(struct str text, struct grant *ret)
{
	static struct arena arena = ARENA_INIT(1 << 20);
	struct error err;
	return grant_parse(text, KEY, &arena, ret, &err);
}

static void test_a_token_says_what_was_put_into_it(void **state)
{
	static const char *const paths[] = { "a", "/workspace/report.pdf",
		"with space and \xc3\xa9", "../x", "a b c 1" };
	for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
		auto_buf struct buf b = BUF_INIT(ROLE_TOKEN_MAX);
		const struct grant g = { ROLE_READ, str_from(id), 1234567890 + (int64_t)i,
			str_from(paths[i]) };
		struct grant back;
		assert_int_equal(parse(make(&g, &b), &back), 0);
		assert_int_equal(back.role, ROLE_READ);
		assert_true(str_is(back.sandbox, id));
		assert_int_equal(back.until_s, g.until_s);
		assert_true(str_is(back.path, paths[i]));
	}
}

static void test_it_goes_into_a_path_as_it_is(void **state)
{
	auto_buf struct buf b = BUF_INIT(ROLE_TOKEN_MAX);
	struct grant g = { ROLE_WRITE, str_from(id), 1, STR("\xff\xfe\xfb?\xef\xbf\xbe>>>") };
	struct str text = make(&g, &b);
	for (size_t i = 0; i < text.len; i++)
		assert_non_null(
			strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.",
				text.ptr[i]));
}

static void test_a_change_anywhere_is_seen(void **state)
{
	auto_buf struct buf b = BUF_INIT(ROLE_TOKEN_MAX);
	const struct grant g = { ROLE_SANDBOX, str_from(id), 1234567890 };
	struct str text = make(&g, &b);
	struct grant back;
	for (size_t i = 0; i < text.len; i++) {
		for (int bit = 0; bit < 7; bit++) {
			b.ptr[i] = (char)(b.ptr[i] ^ 1 << bit);
			assert_int_equal(parse(text, &back), -1);
			b.ptr[i] = (char)(b.ptr[i] ^ 1 << bit);
		}
		assert_int_equal(parse(str_first(text, i), &back), -1);
	}
	buf_puts(&b, "0");
	assert_int_equal(parse(buf_str(&b), &back), -1);
}

static void test_it_is_good_with_its_own_key_alone(void **state)
{
	auto_buf struct buf b = BUF_INIT(ROLE_TOKEN_MAX);
	static struct arena arena = ARENA_INIT(1 << 20);
	const struct grant g = { ROLE_SANDBOX, str_from(id), 1234567890 };
	struct grant back;
	struct error err;
	assert_int_equal(
		grant_parse(make(&g, &b), "another key of its length, nearly", &arena, &back, &err),
		-1);
	assert_int_equal(err.code, ERROR_UNAUTHORIZED);
}

static void test_what_cannot_stand_in_one_is_refused(void **state)
{
	auto_buf struct buf b = BUF_INIT(ROLE_TOKEN_MAX);
	const struct grant bad[] = {
		{ ROLE_READ, str_from(id), 1, STR("") },
		{ ROLE_READ, str_from(id), 1, STR("a\nb") },
		{ ROLE_WRITE, str_from(id), 1, { "a\0b", 3 } },
		{ ROLE_SANDBOX, STR("abcd"), 1 },
		{ ROLE_SANDBOX, STR("with space"), 1 },
	};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct error err;
		assert_int_equal(grant_put(&bad[i], KEY, &b, &err), -1);
		assert_int_equal(err.code, ERROR_INVALID);
		assert_int_equal(b.len, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_token_says_what_was_put_into_it),
		cmocka_unit_test(test_it_goes_into_a_path_as_it_is),
		cmocka_unit_test(test_a_change_anywhere_is_seen),
		cmocka_unit_test(test_it_is_good_with_its_own_key_alone),
		cmocka_unit_test(test_what_cannot_stand_in_one_is_refused),
	};
	id_make(id);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
