/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. Nearly all output is lines of plain text, perhaps coloured, and a terminal emulator
 * costs 20 to 50 times what copying them costs. So there are two states.
 *
 * Plain: runs of printable bytes, tabs and newlines go to the ring as they are. CR LF is a newline; what
 * shows nothing (colours, titles, bells, cursor shapes, erasing to the right of the end of the last line)
 * is dropped. An escape sequence that is cut off by the end of the bytes waits in `held`.
 *
 * Grid: with the first thing that moves the cursor, the last lines are taken back from the ring and fed to
 * an emulator of the size of the terminal, and everything that follows as well; lines that scroll off go to
 * the ring. As soon as a whole screen of plain lines has come since the last such thing, nothing of before
 * can be reached by the cursor any more: the picture goes to the ring and the state is plain again.
 *
 * The last line of the ring, or the picture of the grid, may still change after it was given out: `shown` is
 * what was given of it, and if the text goes on from there, only the rest is given next time.
 */
#include "executor/screen.h"

#include "base/auto.h"
#include "base/bug.h"
#include "executor/grid.h"

enum {
	HELD_MAX = 4096,        /* an escape sequence; a longer one is dropped as far as it goes */
	PARAMS_MAX = 256,       /* parameters of a control sequence; nobody means more */
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

/* Bytes that a terminal shows one after the other: no controls but tab and newline. */
static size_t plain_run(const unsigned char *p, size_t len)
{
	size_t i = 0;
	for (; i + 64 <= len; i += 64) { /* vectorized: 64 bytes without a branch */
		unsigned char special = 0;
		for (size_t j = 0; j < 64; j++) {
			unsigned char c = p[i + j];
			special |= (unsigned char)(c == 0x7f) |
				(unsigned char)((c < 0x20) & (c != '\n') & (c != '\t'));
		}
		if (special)
			break;
	}
	while (i < len && p[i] != 0x7f && (p[i] >= 0x20 || p[i] == '\n' || p[i] == '\t'))
		i++;
	return i;
}

/* ---- escape sequences ---- */

enum meaning {
	CUT_OFF, /* more bytes are needed to tell */
	NOTHING, /* changes nothing that is visible in plain text */
	NEWLINE,
	MOVES, /* for the grid */
};

static bool is_param(char c)
{
	return c >= 0x20 && c < 0x40;
}

/* CSI ? 25 h and its like: modes of the terminal that show nothing, but for the alternate screen. */
static bool is_quiet_mode(struct str params)
{
	struct str piece, rest = str_skip(params, 1);
	while (str_split(&rest, ';', &piece))
		if (str_is(piece, "47") || str_is(piece, "1047") || str_is(piece, "1049") ||
			str_is(piece, "3") || str_is(piece, "6") || str_is(piece, "7"))
			return false;
	return true;
}

static enum meaning csi(struct str s, size_t *ret_len)
{
	size_t n = 2;
	while (n < s.len && is_param(s.ptr[n]))
		n++;
	*ret_len = n;
	if (n > PARAMS_MAX)
		return NOTHING;
	if (n == s.len)
		return CUT_OFF;
	*ret_len = n + 1;
	struct str params = str_from_len(s.ptr + 2, n - 2);
	switch (s.ptr[n]) {
	case 'm': /* colours */
	case 'n': /* questions */
	case 'c':
	case 'q': /* shape of the cursor */
		return NOTHING;
	case 'K': /* the end of the last line: nothing is to the right of it */
	case 'J':
		return params.len == 0 || str_is(params, "0") ? NOTHING : MOVES;
	case 'h':
	case 'l':
		return params.len && params.ptr[0] == '?' && is_quiet_mode(params) ? NOTHING
										   : MOVES;
	case 't': /* window operations */
		return NOTHING;
	default:
		return MOVES;
	}
}

/* OSC, DCS, APC, PM, SOS: up to BEL or ST. */
static enum meaning string_sequence(struct str s, size_t *ret_len)
{
	for (size_t n = 2; n < s.len; n++) {
		if (s.ptr[n] == '\a') {
			*ret_len = n + 1;
			return NOTHING;
		}
		if (s.ptr[n] == '\033') {
			if (n + 1 == s.len)
				return CUT_OFF;
			*ret_len = s.ptr[n + 1] == '\\' ? n + 2
							: n; /* another ESC ends the string */
			return NOTHING;
		}
	}
	return CUT_OFF;
}

static enum meaning escape(struct str s, size_t *ret_len)
{
	if (s.len < 2)
		return CUT_OFF;
	*ret_len = 2;
	switch (s.ptr[1]) {
	case '[':
		return csi(s, ret_len);
	case ']':
	case 'P':
	case '_':
	case '^':
	case 'X':
		return string_sequence(s, ret_len);
	case '(': /* character sets; the line drawing one is for the grid */
	case ')':
		*ret_len = 3;
		return s.len < 3 ? CUT_OFF : s.ptr[2] == 'B' ? NOTHING : MOVES;
	case '=':
	case '>':
	case '\\':
		return NOTHING;
	default:
		return MOVES;
	}
}

static enum meaning carriage_return(const struct screen *s, struct str in, size_t *ret_len)
{
	size_t n = 1;
	while (n < in.len && in.ptr[n] == '\r')
		n++;
	*ret_len = n - 1;
	if (n == in.len) /* the last one may belong to a newline */
		return n > 1 ? NOTHING : CUT_OFF;
	*ret_len = n;
	if (in.ptr[n] == '\n') {
		*ret_len = n + 1;
		return NEWLINE;
	}
	return s->in_line ? MOVES : NOTHING;
}

static enum meaning control(const struct screen *s, struct str in, size_t *ret_len)
{
	*ret_len = 1;
	switch (in.ptr[0]) {
	case '\033':
		return escape(in, ret_len);
	case '\r':
		return carriage_return(s, in, ret_len);
	case '\b':
	case '\v':
	case '\f':
		return MOVES;
	default:
		return NOTHING;
	}
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
	grid_feed(s->grid, buf_str(&last));
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

/* Whether there is anything in it that could take the cursor to another line. */
static bool is_movement(const struct screen *s, struct str in)
{
	while (in.len) {
		size_t n = plain_run((const unsigned char *)in.ptr, in.len);
		if (n == 0) {
			enum meaning m = control(s, in, &n);
			if (m == MOVES || m == CUT_OFF)
				return true;
		}
		in = str_skip(in, n);
	}
	return false;
}

/* Feeds in pieces that end with a newline, to see where a screen of plain lines has passed. */
static struct str feed_grid(struct screen *s, struct str in)
{
	while (in.len && s->grid) {
		ptrdiff_t at = str_find_char(in, '\n');
		struct str line = at < 0 ? in : str_first(in, (size_t)at + 1);
		in = str_skip(in, line.len);
		grid_feed(s->grid, line);
		bool is_crlf = line.len >= 2 && line.ptr[line.len - 2] == '\r';
		struct str body = at < 0 ? line : str_first(line, line.len - 1 - is_crlf);
		s->plain_lines = is_movement(s, body) ? 0 : s->plain_lines + (at >= 0);
		if (s->plain_lines > s->rows && grid_is_at_end(s->grid))
			leave_grid(s);
	}
	return in;
}

/* Takes what can be taken in plain state; 0 if the rest is cut off, or for the grid, which is then there. */
static size_t feed_plain(struct screen *s, struct str in)
{
	size_t n = plain_run((const unsigned char *)in.ptr, in.len);
	if (n) {
		add(s, str_first(in, n));
		return n;
	}
	switch (control(s, in, &n)) {
	case CUT_OFF:
		return 0;
	case NOTHING:
		return n;
	case NEWLINE:
		add(s, STR("\n"));
		return n;
	case MOVES:
		enter_grid(s);
		return 0;
	}
	return 0;
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
		if (s->grid) {
			in = feed_grid(s, in);
			continue;
		}
		size_t n = feed_plain(s, in);
		in = str_skip(in, n);
		if (n == 0 && !s->grid) {
			hold(s, in);
			return;
		}
	}
}

void screen_feed(struct screen *s, struct str in)
{
	if (s->is_skipping)
		in = skip_string(s, in);
	/* What is held goes on in the first bytes: enough of them to see its end, or to see that it has none. */
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
