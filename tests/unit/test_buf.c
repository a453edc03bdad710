/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include "base/buf.h"

#include <stdlib.h>

static void a_new_buf_is_an_empty_c_string(void **state)
{
	auto_buf struct buf b = BUF_INIT(10);
	assert_string_equal(b.ptr, "");
	assert_int_equal(b.len, 0);
	assert_false(b.is_full);
}

static void appends_of_every_kind_follow_one_another(void **state)
{
	auto_buf struct buf b = BUF_INIT(1000);
	buf_puts(&b, "a");
	buf_putc(&b, 'b');
	buf_put(&b, STR("cd"));
	buf_add(&b, "\0e", 2);
	buf_printf(&b, "%d", 42);
	assert_int_equal(b.len, 8);
	assert_memory_equal(b.ptr, "abcd\0e42", 9);
}

static void the_ceiling_holds_to_the_byte(void **state)
{
	auto_buf struct buf b = BUF_INIT(3);
	assert_int_equal(buf_puts(&b, "abc"), 0);
	assert_false(b.is_full);
	assert_int_equal(buf_putc(&b, 'd'), -1);
	assert_true(b.is_full);
	assert_string_equal(b.ptr, "abc");
}

static void a_refused_append_refuses_all_that_follow(void **state)
{
	auto_buf struct buf b = BUF_INIT(4);
	assert_int_equal(buf_printf(&b, "%s", "12345"), -1);
	assert_int_equal(buf_putc(&b, 'x'), -1);
	assert_int_equal(b.len, 0);
	buf_reset(&b);
	assert_int_equal(buf_putc(&b, 'x'), 0);
	assert_string_equal(b.ptr, "x");
}

static void an_append_of_nothing_leaves_a_c_string(void **state)
{
	auto_buf struct buf b = BUF_INIT(100);
	buf_add(&b, "", 0);
	assert_string_equal(b.ptr, "");
	buf_room(&b, 50);
	assert_string_equal(b.ptr, "");
}

static void room_is_counted_only_when_it_was_used(void **state)
{
	auto_buf struct buf b = BUF_INIT(100);
	char *to = buf_room(&b, 50);
	assert_non_null(to);
	memcpy(to, "hello", 5);
	buf_grown(&b, 5);
	assert_string_equal(b.ptr, "hello");
	assert_null(buf_room(&b, 96));
	assert_true(b.is_full);
}

static void the_front_and_the_end_can_be_cut(void **state)
{
	auto_buf struct buf b = BUF_INIT(100);
	buf_puts(&b, "0123456789");
	buf_drop_front(&b, 3);
	assert_string_equal(b.ptr, "3456789");
	buf_cut(&b, 2);
	assert_string_equal(b.ptr, "34");
	buf_cut(&b, 5);
	assert_string_equal(b.ptr, "34");
	buf_drop_front(&b, 2);
	assert_string_equal(b.ptr, "");
}

static void what_is_taken_belongs_to_the_taker(void **state)
{
	auto_buf struct buf b = BUF_INIT(100);
	buf_puts(&b, "mine");
	char *taken = buf_take(&b);
	assert_string_equal(taken, "mine");
	assert_string_equal(b.ptr, "");
	free(taken);
	taken = buf_take(&b);
	assert_string_equal(taken, "");
	free(taken);
	buf_puts(&b, "again");
	assert_string_equal(b.ptr, "again");
}

static void a_reset_gives_large_memory_back(void **state)
{
	auto_buf struct buf b = BUF_INIT(1 << 20);
	assert_non_null(buf_room(&b, 200000));
	assert_true(b.cap >= 200000);
	buf_reset(&b);
	assert_int_equal(b.cap, 0);
	buf_puts(&b, "small");
	size_t cap = b.cap;
	buf_reset(&b);
	assert_int_equal(b.cap, cap);
	assert_string_equal(b.ptr, "");
}

static void a_million_single_bytes_arrive(void **state)
{
	auto_buf struct buf b = BUF_INIT(1000000);
	for (int i = 0; i < 1000000; i++)
		assert_int_equal(buf_putc(&b, (char)('a' + i % 26)), 0);
	assert_int_equal(b.len, 1000000);
	assert_int_equal(b.ptr[999999], 'a' + 999999 % 26);
	assert_int_equal(b.ptr[1000000], '\0');
}

static void formatting_fits_to_the_byte_and_a_refused_one_leaves_no_trace(void **state)
{
	for (size_t before = 0; before < 130; before++) {
		auto_buf struct buf b = BUF_INIT(before + 10);
		for (size_t i = 0; i < before; i++)
			buf_putc(&b, 'x');
		assert_int_equal(buf_printf(&b, "%s", "0123456789"), 0);
		assert_int_equal(b.len, before + 10);
		assert_string_equal(b.ptr + before, "0123456789");
		buf_cut(&b, before);
		assert_int_equal(buf_printf(&b, "%s", "0123456789a"), -1);
		assert_int_equal(b.len, before);
		assert_int_equal(b.ptr[before], '\0');
		assert_true(b.is_full);
	}
}

static void no_more_memory_is_taken_than_the_ceiling_needs(void **state)
{
	auto_buf struct buf b = BUF_INIT(100);
	for (int i = 0; i < 100; i++)
		buf_putc(&b, 'x');
	assert_int_equal(b.cap, 101);
}

static void text_is_replaced_as_often_as_it_is_there(void **state)
{
	auto_buf struct buf b = BUF_INIT(100);
	assert_int_equal(buf_put_replaced(&b, STR("aXbXX"), STR("X"), STR("--")), 3);
	assert_string_equal(b.ptr, "a--b----");
	buf_reset(&b);
	assert_int_equal(buf_put_replaced(&b, STR("aaa"), STR("aa"), STR("")), 1);
	assert_int_equal(buf_put_replaced(&b, STR("b"), STR(""), STR("x")), 0);
	assert_string_equal(b.ptr, "ab");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(text_is_replaced_as_often_as_it_is_there),
		cmocka_unit_test(a_new_buf_is_an_empty_c_string),
		cmocka_unit_test(appends_of_every_kind_follow_one_another),
		cmocka_unit_test(the_ceiling_holds_to_the_byte),
		cmocka_unit_test(a_refused_append_refuses_all_that_follow),
		cmocka_unit_test(an_append_of_nothing_leaves_a_c_string),
		cmocka_unit_test(room_is_counted_only_when_it_was_used),
		cmocka_unit_test(the_front_and_the_end_can_be_cut),
		cmocka_unit_test(what_is_taken_belongs_to_the_taker),
		cmocka_unit_test(a_reset_gives_large_memory_back),
		cmocka_unit_test(a_million_single_bytes_arrive),
		cmocka_unit_test(formatting_fits_to_the_byte_and_a_refused_one_leaves_no_trace),
		cmocka_unit_test(no_more_memory_is_taken_than_the_ceiling_needs),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
