/* SPDX-License-Identifier: Apache-2.0 */
/* ring and process_log: bounded stores of output, each against a plain copy of everything. */
#include "unit.h"

#include "base/auto.h"
#include "executor/process_log.h"
#include "executor/ring.h"

#include <stdlib.h>

enum { LIMIT = 200, STEPS = 2000 };

/* Pieces of 1 to 90 bytes of numbered text; the same each time. */
static struct str next_piece(unsigned *seed, size_t *at, char *to)
{
	*seed = *seed * 1103515245 + 12345;
	size_t n = 1 + (*seed >> 16) % 90;
	for (size_t i = 0; i < n; i++, ++*at)
		to[i] = *at % 17 == 16 ? '\n' : (char)('a' + *at % 26);
	return str_from_len(to, n);
}

static void a_ring_keeps_the_first_and_last_half(void **state)
{
	auto_buf struct buf all = BUF_INIT(1 << 20);
	struct ring r;
	unsigned seed = 1;
	size_t at = 0;
	ring_init(&r, LIMIT);
	for (int i = 0; i < STEPS; i++) {
		char piece[100];
		struct str s = next_piece(&seed, &at, piece);
		buf_put(&all, s);
		ring_add(&r, s);
		auto_buf struct buf out = BUF_INIT(1 << 20);
		struct ring_gap gap = ring_put(&r, &out);
		size_t head = MIN(all.len, (size_t)LIMIT / 2);
		assert_memory_equal(out.ptr, all.ptr, head);
		if (gap.bytes == 0) {
			assert_str(buf_str(&out), all.ptr);
			continue;
		}
		size_t tail = all.len - head - gap.bytes;
		assert_true(tail <= LIMIT / 2);
		assert_memory_equal(out.ptr + out.len - tail, all.ptr + all.len - tail, tail);
	}
	ring_fini(&r);
}

static void lines_can_be_taken_back(void **state)
{
	auto_buf struct buf out = BUF_INIT(1000);
	auto_buf struct buf rest = BUF_INIT(1000);
	struct ring r;
	ring_init(&r, LIMIT);
	ring_add(&r, STR("one\ntwo\nthree\nfour"));
	ring_take_back(&r, 1, 1000, &out);
	assert_str(buf_str(&out), "three\nfour");
	ring_put(&r, &rest);
	assert_str(buf_str(&rest), "one\ntwo\n");
	ring_add(&r, buf_str(&out));
	buf_reset(&out);
	ring_take_back(&r, 100, 1000, &out);
	assert_str(buf_str(&out), "one\ntwo\nthree\nfour");
	assert_true(ring_is_empty(&r));
	ring_fini(&r);
}

static void taking_back_after_wrapping_around(void **state)
{
	struct ring r;
	ring_init(&r, LIMIT);
	for (int i = 0; i < 1000; i++)
		ring_add(&r, STR("0123456789\n"));
	auto_buf struct buf out = BUF_INIT(1000);
	ring_take_back(&r, 3, 1000, &out);
	assert_str(buf_str(&out), "0123456789\n0123456789\n0123456789\n");
	ring_add(&r, STR("end"));
	auto_buf struct buf all = BUF_INIT(1000);
	struct ring_gap gap = ring_put(&r, &all);
	assert_true(str_ends(buf_str(&all), STR("0123456789\nend")));
	assert_true(gap.bytes > 10000);
	ring_fini(&r);
}

static void a_log_keeps_positions_and_order(void **state)
{
	auto_buf struct buf all = BUF_INIT(1 << 20);
	auto_buf struct buf channels = BUF_INIT(1 << 20);
	struct process_log log;
	unsigned seed = 7;
	size_t at = 0;
	process_log_init(&log, 4096);
	for (int i = 0; i < STEPS; i++) {
		char piece[100];
		struct str s = next_piece(&seed, &at, piece);
		uint8_t channel = (uint8_t)(1 + (seed >> 8) % 2);
		buf_put(&all, s);
		for (size_t j = 0; j < s.len; j++)
			buf_putc(&channels, (char)channel);
		process_log_add(&log, channel, s);
	}
	assert_int_equal(log.total_bytes, all.len);
	struct log_entry e;
	uint64_t kept = 0, jumps = 0;
	for (uint64_t next = 0; process_log_read(&log, next, &e); next = e.at + e.bytes.len) {
		jumps += e.at != next;
		kept += e.bytes.len;
		assert_memory_equal(e.bytes.ptr, all.ptr + e.at, e.bytes.len);
		for (size_t j = 0; j < e.bytes.len; j++)
			assert_int_equal(channels.ptr[e.at + j], e.channel);
	}
	assert_int_equal(jumps, 1);
	assert_int_equal(kept + log.dropped_bytes, log.total_bytes);
	assert_true(kept <= 4096 && kept > 3000);
	assert_true(process_log_read(&log, 5, &e) && e.at == 5);
	assert_false(process_log_read(&log, log.total_bytes, &e));
	process_log_fini(&log);
}

static void a_log_that_is_trimmed_keeps_its_ends_and_goes_on(void **state)
{
	struct process_log log;
	struct log_entry e;
	char piece[100];
	unsigned seed = 7;
	size_t at = 0;
	auto_buf struct buf all = BUF_INIT(1 << 20);
	process_log_init(&log, 256 * 1024);
	for (int i = 0; i < STEPS; i++) {
		struct str s = next_piece(&seed, &at, piece);
		buf_put(&all, s);
		process_log_add(&log, 1, s);
		if (i == STEPS / 4) /* all of it is head yet */
			process_log_trim(&log, log.total_bytes / 2);
		if (i == STEPS / 2)
			process_log_trim(&log, 0);
	}
	uint64_t kept = 0, jumps = 0;
	for (uint64_t next = 0; process_log_read(&log, next, &e); next = e.at + e.bytes.len) {
		jumps += e.at != next;
		kept += e.bytes.len;
		assert_memory_equal(e.bytes.ptr, all.ptr + e.at, e.bytes.len);
	}
	assert_int_equal(jumps, 1);
	assert_int_equal(kept, process_log_held(&log));
	assert_int_equal(kept + log.dropped_bytes, log.total_bytes);
	assert_true(kept > 0 && kept <= 4096);
	process_log_fini(&log);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_ring_keeps_the_first_and_last_half),
		cmocka_unit_test(lines_can_be_taken_back),
		cmocka_unit_test(taking_back_after_wrapping_around),
		cmocka_unit_test(a_log_keeps_positions_and_order),
		cmocka_unit_test(a_log_that_is_trimmed_keeps_its_ends_and_goes_on),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
