/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/tarcut.h"

#include "unit.h"

#include "base/auto.h"
#include "base/bug.h"

#include <stdio.h>

/* A header with that in its field of a size, and data up to a block's end. */
static void add_member(struct buf *b, const char *size, size_t n_data)
{
	char header[TARCUT_BLOCK] = "name", data[TARCUT_BLOCK] = { 0 };
	memcpy(header + 124, size, strlen(size));
	buf_add(b, header, sizeof(header));
	for (size_t i = 0; i < n_data; i += TARCUT_BLOCK)
		buf_add(b, data, sizeof(data));
}

static void cuts_to(const struct buf *in, size_t wanted)
{
	for (size_t piece = 1; piece <= in->len; piece += 255) {
		auto_buf struct buf out = BUF_INIT(1 << 20);
		struct tarcut cut = { 0 };
		struct error err;
		for (struct str rest = buf_str(in); rest.len;
			rest = str_skip(rest, MIN(piece, rest.len)))
			assert_works(tarcut_feed(&cut, str_first(rest, MIN(piece, rest.len)), &out,
					     &err),
				err);
		assert_works(tarcut_end(&cut, &err), err);
		assert_true(str_eq(buf_str(&out), str_first(buf_str(in), wanted)));
	}
}

static void an_archive_loses_its_end(void **unused)
{
	auto_buf struct buf in = BUF_INIT(1 << 20);
	add_member(&in, "00000001000", 512);
	add_member(&in, "00000001001", 1024);
	add_member(&in, "        0 ", 0);
	size_t n = in.len;
	buf_add(&in, tarcut_zeros, sizeof(tarcut_zeros));
	buf_add(&in, tarcut_zeros, sizeof(tarcut_zeros));
	cuts_to(&in, n);
}

static void zeros_of_a_file_are_no_end(void **unused)
{
	auto_buf struct buf in = BUF_INIT(1 << 20);
	add_member(&in, "00000004000", 2048);
	cuts_to(&in, in.len);
}

static void a_large_size_is_a_number_behind_a_set_bit(void **unused)
{
	auto_buf struct buf in = BUF_INIT(1 << 20);
	add_member(&in, "0", 512);
	memcpy(in.ptr + 124, "\x80\0\0\0\0\0\0\0\0\0\x01\x10", 12);
	cuts_to(&in, in.len);
}

static void what_is_cut_off_or_has_no_size_is_refused(void **unused)
{
	auto_buf struct buf in = BUF_INIT(1 << 20), out = BUF_INIT(1 << 20);
	struct tarcut cut = { 0 };
	struct error err;
	add_member(&in, "00000001000", 0);
	assert_works(tarcut_feed(&cut, buf_str(&in), &out, &err), err);
	assert_fails(tarcut_end(&cut, &err), err, INVALID, "cut off");
	static const char *const sizes[] = { "12x", "-1", "9",
		"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff" };
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		buf_reset(&in);
		cut = (struct tarcut){ 0 };
		add_member(&in, sizes[i], 0);
		assert_fails(tarcut_feed(&cut, buf_str(&in), &out, &err), err, INVALID, "tar: ");
	}
}

static void a_file_is_a_member_with_a_sum(void **unused)
{
	auto_buf struct buf out = BUF_INIT(1 << 20);
	unsigned sum = 0;
	tarcut_put_file(&out, "Dockerfile", STR("FROM host\n"));
	assert_int_equal(out.len, 2 * TARCUT_BLOCK);
	for (int i = 0; i < TARCUT_BLOCK; i++)
		sum += i >= 148 && i < 156 ? ' ' : (unsigned char)out.ptr[i];
	assert_int_equal(strtoul(out.ptr + 148, NULL, 8), sum);
	assert_string_equal(out.ptr + 124, "00000000012");
	assert_string_equal(out.ptr + 257, "ustar");
	cuts_to(&out, out.len);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_archive_loses_its_end),
		cmocka_unit_test(zeros_of_a_file_are_no_end),
		cmocka_unit_test(a_large_size_is_a_number_behind_a_set_bit),
		cmocka_unit_test(a_file_is_a_member_with_a_sum),
		cmocka_unit_test(what_is_cut_off_or_has_no_size_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
