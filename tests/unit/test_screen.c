/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include "base/auto.h"
#include "executor/screen.h"

#include <stdio.h>
#include <stdlib.h>

enum { COLS = 80, ROWS = 10, LIMIT = 4096 };

#define BLANKS_7 "       "
#define BLANKS_69 \
	BLANKS_7 BLANKS_7 BLANKS_7 BLANKS_7 BLANKS_7 BLANKS_7 BLANKS_7 BLANKS_7 BLANKS_7 "      "
#define BLANKS_78 BLANKS_69 BLANKS_7 "  "

static char shown[3 * LIMIT];

/* What a screen of 80 × 10 shows, fed in pieces of `step` bytes. */
static const char *show_in_pieces(struct str in, size_t step)
{
	auto_buf struct buf out = BUF_INIT(sizeof(shown) - 1);
	struct screen *s = screen_new(COLS, ROWS, LIMIT);
	while (in.len) {
		struct str piece = str_first(in, step);
		screen_feed(s, piece);
		in = str_skip(in, piece.len);
	}
	screen_take(s, &out, SCREEN_LAST);
	screen_free(s);
	memcpy(shown, out.ptr, out.len + 1);
	return shown;
}

static void what_a_terminal_shows(void **state)
{
	static const struct {
		const char *in, *out;
	} cases[] = {
		{ "", "" },
		{ "plain\n", "plain\n" },
		{ "no newline", "no newline" },
		{ "crlf\r\nagain\r\r\n", "crlf\nagain\n" },
		{ "\rat the left\n", "at the left\n" },
		{ "tab\tkept\n", "tab\tkept\n" },
		{ "\033[1;31mred\033[0m and \033(Bplain\n", "red and plain\n" },
		{ "\033]0;title\abell\a\n", "bell\n" },
		{ "\033]8;;http://x\033\\link\033]8;;\033\\\n", "link\n" },
		{ "\033P1;2|device\033\\text\n", "text\n" },
		{ "\033[?25l\033[?2004hhidden\033[?25h\n", "hidden\n" },
		{ "one\033[K\ntwo\033[J\n", "one\ntwo\n" },
		{ "10%\r50%\r100%\n", "100%\n" },
		{ "abc\b\bX\n", "aXc\n" },
		{ "long\rab\n", "abng\n" },
		{ "one\ntwo\n\033[2A\033[Kuno\n\n", "uno\ntwo\n" },
		{ "a\nb\nc\033[2J\033[Hd", "d" },
		{ "\033[3;5Hthere\n", "\n\n    there\n" },
		{ "before\n\033[?1049hpicture\033[?1049lafter\n", "before\nafter\n" },
		{ "wide \xe6\x97\xa5\xe6\x9c\xac\rWIDE\n", "WIDE \xe6\x97\xa5\xe6\x9c\xac\n" },
		{ "nul\x01\x02 dropped\x7f\n", "nul dropped\n" },
		{ "\033[31", "" },
		{ "\033cafter reset\n", "after reset\n" },
		{ "ac\033[1;2H\033[4hb\033[4l", "abc" },
		{ "abc\r\033[2Pd\n", "d\n" },
		{ "abc\r\033[@-\n", "-abc\n" },
		{ "abc\r\033[2Xd\n", "d c\n" },
		{ "one\ntwo\nthree\033[2;1H\033[Lnew", "one\nnew\ntwo\nthree" },
		{ "one\ntwo\nthree\033[2;1H\033[M", "one\nthree" },
		{ "a\nb\nc\033[1;2r\033[2;1H\nd\033[r", "a\nb\nd\nc" },
		{ "a\nb\033[H\033Mtop\n", "top\na\nb" },
		{ "\033[2;3r\033[?6h\033[1;1Hin\033[?6l\033[Hout", "out\nin" },
		{ "a\0337b\0338c\n", "ac\n" },
		{ "\033(0lqk\033(B\n", "\xe2\x94\x8c\xe2\x94\x80\xe2\x94\x90\n" },
		{ "\033[2Hx\033[79Cyz\n", "\nx" BLANKS_78 "yz\n" },
		{ "\033[?7l\033[70Ghow far it goes\n", BLANKS_69 "how far its\n" },
		{ "\033[1Ge\xcc\x81\n", "e\xcc\x81\n" },
		{ "x\r\xe6\x97\xa5\xe6\x9c\xac\033[2D-\n", "\xe6\x97\xa5-\n" },
		{ "x\r\xe6\x97\xa5\033[2G-\n", " -\n" },
		{ "x\r\t\t\033[Za\n", "x" BLANKS_7 "a\n" },
		{ "\033[4;99999H\033[-1;5x\033[?25;1hb\n", "b\n" },
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		for (size_t step = 1; step < 40; step += 7)
			assert_string_equal(show_in_pieces(str_from(cases[i].in), step),
				cases[i].out);
}

static void without_newline_translation_lines_step_down(void **state)
{
	auto_buf struct buf out = BUF_INIT(LIMIT);
	struct screen *s = screen_new(COLS, ROWS, LIMIT);
	screen_set_newline(s, false);
	screen_feed(s, STR("\033[Habc\ndef\r\nghi"));
	screen_take(s, &out, SCREEN_LAST);
	assert_str(buf_str(&out), "abc\n   def\nghi");
	screen_free(s);
}

static void a_screen_of_plain_lines_leaves_the_grid(void **state)
{
	auto_buf struct buf in = BUF_INIT(1 << 20);
	auto_buf struct buf want = BUF_INIT(1 << 20);
	buf_puts(&in, "x\rfirst\n");
	buf_puts(&want, "first\n");
	for (int i = 0; i < 200; i++) {
		buf_printf(&in, "\033[32mline\033[m %d\n", i);
		buf_printf(&want, "line %d\n", i);
	}
	assert_string_equal(show_in_pieces(buf_str(&in), 1000), want.ptr);
}

static void lines_longer_than_the_terminal_stay_whole(void **state)
{
	auto_buf struct buf in = BUF_INIT(1 << 20);
	for (int i = 0; i < 5 * COLS; i++)
		buf_putc(&in, (char)('a' + i % 26));
	assert_string_equal(show_in_pieces(buf_str(&in), 33), in.ptr);
	auto_buf struct buf moved = BUF_INIT(1 << 20);
	buf_puts(&moved, "x\r"); /* the same on the grid */
	buf_put(&moved, buf_str(&in));
	assert_string_equal(show_in_pieces(buf_str(&moved), 33), in.ptr);
}

static void a_line_as_wide_as_the_terminal_ends_where_it_ends(void **state)
{
	auto_buf struct buf in = BUF_INIT(1000);
	auto_buf struct buf want = BUF_INIT(1000);
	for (int i = 0; i < COLS; i++)
		buf_putc(&want, (char)('a' + i % 26));
	buf_printf(&in, "x\r%s\r\nnext\n", want.ptr);
	buf_puts(&want, "\nnext\n");
	assert_string_equal(show_in_pieces(buf_str(&in), 9), want.ptr);
}

/*
 * An hour and more, if each looked at each cell: a program that prints little could keep who shows
 * it busy.
 */
static void what_is_blank_is_erased_at_no_cost(void **state)
{
	auto_buf struct buf in = BUF_INIT(1 << 20), out = BUF_INIT(1 << 20);
	struct screen *s = screen_new(2000, 1000, LIMIT);
	for (int i = 0; i < 5000; i++)
		buf_puts(&in, "x\033[2J\033[?1049h\033[?1049l\033c\033[9999P");
	buf_puts(&in, "\033[Hend");
	screen_feed(s, buf_str(&in));
	screen_take(s, &out, SCREEN_LAST);
	assert_string_equal(out.ptr, "end");
	screen_free(s);
}

static void feed_and_take(struct screen *s, const char *in, enum screen_take what, const char *want)
{
	auto_buf struct buf out = BUF_INIT(3 * LIMIT);
	screen_feed(s, str_from(in));
	screen_take(s, &out, what);
	assert_string_equal(out.ptr, want);
}

static void each_take_gives_what_is_new(void **state)
{
	struct screen *s = screen_new(COLS, ROWS, LIMIT);
	feed_and_take(s, "one\nName: ", SCREEN_MORE, "one\nName: ");
	feed_and_take(s, "", SCREEN_MORE, "");
	feed_and_take(s, "bob\nHi\n", SCREEN_MORE, "bob\nHi\n");
	feed_and_take(s, "10%", SCREEN_MORE, "10%");
	feed_and_take(s, "\r20%", SCREEN_MORE, "20%");
	feed_and_take(s, " done\n", SCREEN_LAST, " done\n");
	feed_and_take(s, "next\n", SCREEN_LAST, "next\n");
	screen_free(s);
}

static void a_smaller_terminal_keeps_the_lines_above_the_cursor(void **state)
{
	static const char *const pictures[] = { "", "\033[?1049hpicture\033[20;1H" };
	for (size_t i = 0; i < ARRAY_LEN(pictures); i++) {
		auto_buf struct buf out = BUF_INIT(LIMIT);
		struct screen *s = screen_new(COLS, ROWS, LIMIT);
		screen_feed(s, STR("x\r1\n2\n3\n4\n5\n6\n7\n8\n\xe6\x97\xa5 long"));
		screen_feed(s, str_from(pictures[i]));
		screen_resize(s, 4, 3);
		screen_resize(s, 1, 1);
		screen_resize(s, COLS, ROWS);
		screen_feed(s, i ? STR("\033[?1049l\n!\n") : STR("\r\n!\n"));
		screen_take(s, &out, SCREEN_LAST);
		assert_text(out.ptr, "1\n2\n3\n4\n5\n6\n7\n8\n");
		assert_text(out.ptr, "!\n");
		screen_free(s);
	}
}

static void a_long_escape_string_is_dropped_as_far_as_it_goes(void **state)
{
	auto_buf struct buf in = BUF_INIT(1 << 20);
	buf_puts(&in, "a\033]0;");
	for (int i = 0; i < 20000; i++)
		buf_putc(&in, 'x');
	buf_puts(&in, "\ab\n");
	for (size_t step = 100; step < 30000; step *= 3)
		assert_string_equal(show_in_pieces(buf_str(&in), step), "ab\n");
}

static void beyond_the_limit_the_middle_is_left_out(void **state)
{
	auto_buf struct buf out = BUF_INIT(1 << 20);
	struct screen *s = screen_new(COLS, ROWS, 1000);
	size_t total = 0;
	for (int i = 0; i < 10000; i++) {
		char line[32];
		int n = snprintf(line, sizeof(line), "line %d\n", i);
		screen_feed(s, str_from_len(line, (size_t)n));
		total += (size_t)n;
	}
	struct ring_gap gap = screen_take(s, &out, SCREEN_LAST);
	char notice[100];
	snprintf(notice, sizeof(notice),
		"\n[... %llu bytes in %llu lines are left out here ...]\nline ",
		(unsigned long long)gap.bytes, (unsigned long long)gap.lines);
	assert_text(out.ptr, "line 0\nline 1\n");
	assert_text(out.ptr, notice);
	assert_true(str_ends(buf_str(&out), STR("\nline 9999\n")));
	/* The notice begins with a newline of its own where the head ends within a line. */
	assert_int_equal(out.len - (strlen(notice) - strlen("line ")) + gap.bytes, total);
	screen_free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_a_terminal_shows),
		cmocka_unit_test(without_newline_translation_lines_step_down),
		cmocka_unit_test(a_screen_of_plain_lines_leaves_the_grid),
		cmocka_unit_test(lines_longer_than_the_terminal_stay_whole),
		cmocka_unit_test(a_line_as_wide_as_the_terminal_ends_where_it_ends),
		cmocka_unit_test(what_is_blank_is_erased_at_no_cost),
		cmocka_unit_test(each_take_gives_what_is_new),
		cmocka_unit_test(a_smaller_terminal_keeps_the_lines_above_the_cursor),
		cmocka_unit_test(a_long_escape_string_is_dropped_as_far_as_it_goes),
		cmocka_unit_test(beyond_the_limit_the_middle_is_left_out),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
