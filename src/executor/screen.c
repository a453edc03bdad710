/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. Nearly all output is lines of plain text, perhaps coloured, and a terminal
 * emulator costs 20 to 50 times what copying them costs. So there are two states.
 *
 * Plain: runs of printable bytes, tabs and newlines go to the ring as they are. CR LF is a newline;
 * what shows nothing (colours, titles, bells, cursor shapes, erasing to the right of the end of the
 * last line) is dropped. An escape sequence that is cut off by the end of the bytes waits in
 * `held`.
 *
 * Grid: with the first thing that moves the cursor, the last lines are taken back from the ring and
 * fed to an emulator of the size of the terminal, and everything that follows as well; lines that
 * scroll off go to the ring. As soon as a whole screen of plain lines has come since the last such
 * thing, nothing of before can be reached by the cursor any more: the picture goes to the ring and
 * the state is plain again.
 *
 * The last line of the ring, or the picture of the grid, may still change after it was given out:
 * `shown` is what was given of it, and if the text goes on from there, only the rest is given next
 * time.
 */
#include "executor/screen.h"

#include "base/auto.h"
#include "base/bug.h"
#include "executor/escape.h"
#include "executor/grid.h"
#include "wire/utf8.h"

enum {
	HELD_MAX = 4096,        /* an escape sequence; a longer one is dropped as far as it goes */
	SHOWN_MAX = 256 * 1024, /* an unfinished line or a picture: longer ones are given again */
};

struct screen {
	int cols, rows;
	size_t next_limit;
	bool is_newline;
	struct ring ring;  /* whole lines, and in plain state the last, unfinished one */
	struct grid *grid; /* NULL: plain */
	struct buf held;   /* the beginning of an escape sequence, or CR */
	struct buf shown;
	int plain_lines;  /* since the last cursor movement, in grid state */
	bool in_line;     /* plain: the last line is not finished */
	bool is_skipping; /* in a string of an escape sequence that was too long to hold */
};

struct screen *screen_new(int cols, int rows, size_t limit)
{
	struct screen *s = mem_new(struct screen);
	s->cols = cols;
	s->rows = rows;
	s->next_limit = limit;
	s->is_newline = true;
	ring_init(&s->ring, limit);
	buf_init(&s->held, HELD_MAX);
	buf_init(&s->shown, SHOWN_MAX);
	return s;
}

void screen_free(struct screen *s)
{
	if (!s)
		return;
	grid_free(s->grid);
	ring_fini(&s->ring);
	buf_fini(&s->held);
	buf_fini(&s->shown);
	free(s);
}

void screen_resize(struct screen *s, int cols, int rows)
{
	s->cols = cols;
	s->rows = rows;
	if (s->grid)
		grid_resize(s->grid, cols, rows);
}

void screen_set_limit(struct screen *s, size_t limit)
{
	s->next_limit = limit;
	if (ring_is_empty(&s->ring)) {
		s->ring.limit = limit;
		ring_reset(&s->ring);
	}
}

void screen_set_newline(struct screen *s, bool is_on)
{
	s->is_newline = is_on;
	if (s->grid)
		grid_set_newline(s->grid, is_on);
}

static void add(struct screen *s, struct str text)
{
	ring_add(&s->ring, text);
	if (text.len)
		s->in_line = text.ptr[text.len - 1] != '\n';
}

static void on_line(void *arg, struct str line, bool is_wrapped)
{
	struct screen *s = arg;
	add(s, line);
	if (!is_wrapped)
		add(s, STR("\n"));
}

/* ---- the two states ---- */

static void enter_grid(struct screen *s)
{
	size_t most = (size_t)s->cols * (size_t)s->rows * 4;
	auto_buf struct buf last = BUF_INIT(s->ring.limit);
	ring_take_back(&s->ring, (size_t)s->rows - 1, most, &last);
	s->grid = grid_new(s->cols, s->rows, on_line, s);
	s->plain_lines = 0;
	grid_set_newline(s->grid, true);
	grid_feed_text(s->grid, buf_str(&last));
	grid_set_newline(s->grid, s->is_newline);
	s->in_line = false;
}

/* The picture becomes text like any other. */
static void leave_grid(struct screen *s)
{
	auto_buf struct buf picture = BUF_INIT(SIZE_MAX / 2);
	grid_put(s->grid, &picture);
	grid_free(s->grid);
	s->grid = NULL;
	add(s, buf_str(&picture));
}

/* A line has ended, and nothing in it moved the cursor to another. */
static void count_plain_line(struct screen *s)
{
	if (++s->plain_lines > s->rows && grid_is_at_end(s->grid))
		leave_grid(s);
}

/*
 * A line at a time, to see where a screen of them has passed. A character that is cut off waits for
 * the rest.
 */
static size_t feed_grid_plain(struct screen *s, struct str run, bool is_all)
{
	ptrdiff_t at = str_find_char(run, '\n');
	struct str line = at < 0 ? run : str_first(run, (size_t)at + 1);
	if (at < 0 && is_all)
		line.len -= utf8_incomplete_tail(line);
	grid_feed_text(s->grid, line);
	if (at >= 0)
		count_plain_line(s);
	return line.len;
}

/* The grid gets nothing but text and whole, well-formed sequences that change what is seen. */
static size_t feed_grid(struct screen *s, struct str in)
{
	size_t n = escape_plain(in);
	if (n)
		return feed_grid_plain(s, str_first(in, n), n == in.len);
	switch (escape_parse(in, &n)) {
	case ESCAPE_CUT_OFF:
		return 0;
	case ESCAPE_SILENT:
		return n;
	case ESCAPE_NEWLINE:
		grid_feed(s->grid, str_first(in, n));
		count_plain_line(s);
		return n;
	case ESCAPE_MOVES:
		s->plain_lines = 0;
		grid_feed(s->grid, str_first(in, n));
		return n;
	case ESCAPE_ERASES:
	case ESCAPE_RETURN:
		grid_feed(s->grid, str_first(in, n));
		return n;
	}
	return n;
}

/*
 * Takes what can be taken in plain state; what is for the grid stays, and the grid is then there.
 */
static size_t feed_plain(struct screen *s, struct str in)
{
	size_t n = escape_plain(in);
	if (n) {
		add(s, str_first(in, n));
		return n;
	}
	switch (escape_parse(in, &n)) {
	case ESCAPE_CUT_OFF:
		return 0;
	case ESCAPE_SILENT:
	case ESCAPE_ERASES: /* at the end of the last line */
		return n;
	case ESCAPE_NEWLINE:
		add(s, STR("\n"));
		return n;
	case ESCAPE_RETURN:
		if (!s->in_line)
			return n;
		break;
	case ESCAPE_MOVES:
		break;
	}
	enter_grid(s);
	return feed_grid(s, in);
}

/* The rest of a string that was too long to hold: up to its end. */
static struct str skip_string(struct screen *s, struct str in)
{
	for (size_t i = 0; i < in.len; i++)
		if (in.ptr[i] == '\a' || in.ptr[i] == '\033') {
			s->is_skipping = false;
			return str_skip(in, in.ptr[i] == '\a' ? i + 1 : i);
		}
	return STR_NONE;
}

static void hold(struct screen *s, struct str in)
{
	if (buf_put(&s->held, in) < 0) {
		buf_reset(&s->held);
		s->is_skipping = true;
	}
}

static void feed(struct screen *s, struct str in)
{
	while (in.len) {
		size_t n = s->grid ? feed_grid(s, in) : feed_plain(s, in);
		if (n == 0) {
			hold(s, in);
			return;
		}
		in = str_skip(in, n);
	}
}

void screen_feed(struct screen *s, struct str in)
{
	if (s->is_skipping)
		in = skip_string(s, in);
	/*
	 * What is held goes on in the first bytes: enough of them to see its end, or to see that it
	 * has none.
	 */
	while (s->held.len && in.len) {
		auto_buf struct buf both = BUF_INIT(2 * HELD_MAX);
		struct str piece = str_first(in, HELD_MAX);
		buf_put(&both, buf_str(&s->held));
		buf_put(&both, piece);
		buf_reset(&s->held);
		feed(s, buf_str(&both));
		in = str_skip(in, piece.len);
		if (s->is_skipping)
			in = skip_string(s, in);
	}
	feed(s, in);
}

/* ---- giving out ---- */

/* Removes what was given before from the front of `text`, if it is there still. */
static struct str without_shown(const struct screen *s, struct str text)
{
	return str_starts(text, buf_str(&s->shown)) ? str_skip(text, s->shown.len) : text;
}

/* The part that may still change: of plain text the unfinished line, of a grid the picture. */
static void remember_shown(struct screen *s, struct str text)
{
	size_t from = text.len;
	while (from && text.ptr[from - 1] != '\n')
		from--;
	buf_reset(&s->shown);
	if (buf_put(&s->shown, str_skip(text, from)) < 0)
		buf_reset(&s->shown);
}

static struct ring_gap take_plain(struct screen *s, struct buf *text)
{
	struct ring_gap gap = ring_put(&s->ring, text);
	ring_reset(&s->ring);
	return gap;
}

struct ring_gap screen_take(struct screen *s, struct buf *out, enum screen_take what)
{
	auto_buf struct buf text = BUF_INIT(SIZE_MAX / 2);
	if (what == SCREEN_LAST && s->grid)
		leave_grid(s);
	struct ring_gap gap = take_plain(s, &text);
	if (s->grid) {
		auto_buf struct buf picture = BUF_INIT(SIZE_MAX / 2);
		grid_put(s->grid, &picture);
		buf_put(&text, buf_str(&picture));
		buf_put(out, without_shown(s, buf_str(&text)));
		buf_reset(&s->shown);
		buf_put(&s->shown, buf_str(&picture));
	} else {
		buf_put(out, without_shown(s, buf_str(&text)));
		remember_shown(s, buf_str(&text));
		if (what == SCREEN_MORE && s->in_line)
			ring_add(&s->ring, buf_str(&s->shown));
	}
	if (what == SCREEN_LAST) {
		buf_reset(&s->held);
		buf_reset(&s->shown);
		s->is_skipping = s->in_line = false;
		s->ring.limit = s->next_limit;
		ring_reset(&s->ring);
	}
	return gap;
}
