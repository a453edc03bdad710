/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. What comes here was recognized by executor/escape.h: text, a few controls,
 * and well-formed sequences of a short list, of which each has a row in `sequences`. What they do
 * is that of xterm (https://invisible-island.net/xterm/ctlseqs/ctlseqs.html) as far as it changes
 * which characters are where.
 *
 * The cursor is always on the canvas. After the last column of a line was written it stays there,
 * `is_pending`, and the next character goes to the next line: so a line may be as long as the
 * terminal is wide.
 */
#include "executor/grid.h"

#include "base/auto.h"
#include "base/bug.h"
#include "executor/canvas.h"
#include "wire/utf8.h"
#include "wire/width.h"

enum { PARAMS_MAX = 2, PARAM_MAX = 9999, TAB = 8, LINE_BYTES_MAX = 1 << 20 };

struct cursor {
	int row, col;
	bool is_pending;  /* the next character wraps first */
	bool draws_lines; /* the character set of ESC ( 0 */
};

struct grid {
	struct canvas canvas;
	struct canvas other; /* the one of the two that is not shown; no lines: not made yet */
	struct cursor at, saved;
	int top, bottom; /* the lines that scroll */
	grid_line_fn *on_line;
	void *arg;
	struct buf line; /* the line being read off */
	bool is_alternate;
	bool is_newline; /* LF returns, too */
	bool is_inserting, is_wrapping;
	bool has_origin; /* lines are counted from `top` */
};

/* ---- the cursor ---- */

static int clamp(int value, int low, int high)
{
	return value < low ? low : value > high ? high : value;
}

static void go(struct grid *g, int row, int col)
{
	g->at.row = clamp(row, 0, g->canvas.rows - 1);
	g->at.col = clamp(col, 0, g->canvas.cols - 1);
	g->at.is_pending = false;
}

/* As a program counts: from 1, and perhaps from the margin. */
static void address(struct grid *g, int row, int col)
{
	if (g->has_origin)
		row = clamp(row + g->top, g->top + 1, g->bottom + 1);
	go(g, row - 1, col - 1);
}

/* Up or down by n, and not across a margin. */
static void step(struct grid *g, int n)
{
	int row = g->at.row + n;
	if (n < 0 && g->at.row >= g->top)
		row = MAX(row, g->top);
	if (n > 0 && g->at.row <= g->bottom)
		row = MIN(row, g->bottom);
	go(g, row, g->at.col);
}

static void give_lines(struct grid *g, const struct canvas *c, int n)
{
	for (int row = 0; row < n; row++) {
		buf_reset(&g->line);
		canvas_put_line(c, row, 0, &g->line);
		g->on_line(g->arg, buf_str(&g->line), canvas_is_wrapped(c, row));
	}
}

/*
 * The lines within the margins, up by n or down. What leaves the screen at its top is given away.
 */
static void scroll(struct grid *g, int n)
{
	if (g->top == 0 && !g->is_alternate)
		give_lines(g, &g->canvas, clamp(n, 0, g->bottom + 1));
	canvas_scroll(&g->canvas, g->top, g->bottom, n);
}

/* False: nothing moved. */
static bool line_feed(struct grid *g)
{
	int row = g->at.row;
	if (row == g->bottom)
		scroll(g, 1);
	else
		go(g, row + 1, g->at.col);
	return row == g->bottom || row != g->at.row;
}

static void reverse_feed(struct grid *g)
{
	if (g->at.row == g->top)
		scroll(g, -1);
	else
		go(g, g->at.row - 1, g->at.col);
}

static void new_line(struct grid *g)
{
	line_feed(g);
	go(g, g->at.row, g->is_newline ? 0 : g->at.col);
}

static void tab(struct grid *g, int n)
{
	int stop = g->at.col / TAB + n;
	if (n < 0 && g->at.col % TAB)
		stop++;
	struct cursor before = g->at;
	go(g, g->at.row, clamp(stop, 0, g->canvas.cols / TAB + 1) * TAB);
	g->at.is_pending = before.is_pending && before.col == g->at.col;
}

/* ---- text ---- */

static void wrap(struct grid *g)
{
	struct canvas *c = &g->canvas;
	int row = g->at.row;
	canvas_set_wrapped(c, row, true);
	if (!line_feed(g))
		canvas_set_wrapped(c, row, false);
	else if (g->at.row > g->top || row < g->at.row)
		canvas_set_wrapped(c, g->at.row - 1, true);
	go(g, g->at.row, 0);
}

/* VT100's special graphics, from '_' on. */
static uint32_t line_drawing(uint32_t ch)
{
	static const uint16_t drawn[] = { ' ', 0x25c6, 0x2592, 0x2409, 0x240c, 0x240d, 0x240a, 0xb0,
		0xb1, 0x2424, 0x240b, 0x2518, 0x2510, 0x250c, 0x2514, 0x253c, 0x23ba, 0x23bb,
		0x2500, 0x23bc, 0x23bd, 0x251c, 0x2524, 0x2534, 0x252c, 0x2502, 0x2264, 0x2265,
		0x3c0, 0x2260, 0xa3, 0xb7 };
	return ch >= '_' && ch <= '~' ? drawn[ch - '_'] : ch;
}

static void put_char(struct grid *g, uint32_t ch)
{
	struct canvas *c = &g->canvas;
	int width = MIN(char_width(ch), c->cols);
	if (width == 0) {
		canvas_join(c, g->at.row, g->at.is_pending ? g->at.col : g->at.col - 1, ch);
		return;
	}
	if (g->at.is_pending || (g->is_wrapping && g->at.col + width > c->cols))
		wrap(g);
	int col = MIN(g->at.col, c->cols - width);
	if (g->is_inserting)
		canvas_shift(c, g->at.row, col, width);
	canvas_put(c, g->at.row, col, g->at.draws_lines ? line_drawing(ch) : ch, width);
	go(g, g->at.row, col + width);
	g->at.is_pending = g->is_wrapping && col + width == c->cols;
}

void grid_feed_text(struct grid *g, struct str text)
{
	while (text.len) {
		size_t len;
		uint32_t ch = utf8_char(text, &len);
		if (ch == '\n')
			new_line(g);
		else if (ch == '\t')
			tab(g, 1);
		else
			put_char(g, ch);
		text = str_skip(text, len);
	}
}

/* ---- modes ---- */

static void erase_all(struct grid *g)
{
	canvas_clear(&g->canvas);
}

static void show_other(struct grid *g, bool is_alternate)
{
	if (g->is_alternate == is_alternate)
		return;
	struct canvas shown = g->canvas;
	if (!g->other.lines)
		canvas_init(&g->other, shown.cols, shown.rows);
	g->canvas = g->other;
	g->other = shown;
	g->is_alternate = is_alternate;
}

static void save(struct grid *g, bool is_saving)
{
	if (is_saving) {
		g->saved = g->at;
		return;
	}
	bool is_pending = g->saved.is_pending;
	g->at.draws_lines = g->saved.draws_lines;
	go(g, g->saved.row, g->saved.col);
	g->at.is_pending = is_pending && g->at.col == g->canvas.cols - 1;
}

static void set_mode(struct grid *g, int mode, bool is_private, bool is_on)
{
	if (!is_private) {
		g->is_inserting = is_on; /* 4: executor/escape.h lets no other one through */
		return;
	}
	if (mode == 6) {
		g->has_origin = is_on;
		address(g, 1, 1);
	} else if (mode == 7) {
		g->is_wrapping = is_on;
		g->at.is_pending = false;
	}
	if (mode == 1048 || (mode == 1049 && is_on))
		save(g, is_on);
	if (mode == 47 || mode == 1047 || mode == 1049)
		show_other(g, is_on);
	if (mode == 1049 && is_on)
		erase_all(g);
	if (mode == 1049 && !is_on)
		save(g, false);
	if (mode == 1047 && !is_on && g->other.lines)
		canvas_clear(&g->other);
}

static void reset(struct grid *g)
{
	show_other(g, false);
	erase_all(g);
	g->at = g->saved = (struct cursor){ 0 };
	g->top = 0;
	g->bottom = g->canvas.rows - 1;
	g->is_inserting = g->has_origin = false;
	g->is_wrapping = true;
}

/* ---- control sequences ---- */

/* Numbers: 0 where there is none. */
struct params {
	int n[PARAMS_MAX];
	bool is_private;
};

static int count(const struct params *p)
{
	return MAX(p->n[0], 1);
}

static void erase_in_line(struct grid *g, const struct params *p)
{
	int from = p->n[0] == 0 ? g->at.col : 0;
	int to = p->n[0] == 1 ? g->at.col + 1 : g->canvas.cols;
	canvas_erase(&g->canvas, g->at.row, from, to);
}

static void erase_in_screen(struct grid *g, const struct params *p)
{
	struct canvas *c = &g->canvas;
	if (p->n[0] > 2)
		return; /* the lines that were scrolled off */
	for (int row = 0; row < c->rows; row++)
		if (p->n[0] == 2 || (p->n[0] == 0 && row > g->at.row) ||
			(p->n[0] == 1 && row < g->at.row))
			canvas_erase(c, row, 0, c->cols);
	if (p->n[0] < 2)
		erase_in_line(g, p);
}

/* Only within the lines that scroll, and those above it stay. */
static void insert_lines(struct grid *g, int n)
{
	if (g->at.row >= g->top && g->at.row <= g->bottom)
		canvas_scroll(&g->canvas, g->at.row, g->bottom, -n);
}

static void set_margins(struct grid *g, const struct params *p)
{
	int top = count(p) - 1;
	int bottom = (p->n[1] ? MIN(p->n[1], g->canvas.rows) : g->canvas.rows) - 1;
	if (top >= bottom)
		return;
	g->top = top;
	g->bottom = bottom;
	address(g, 1, 1);
}

/* Those that only move the cursor: by so many lines and columns for each that is asked for. */
static bool move(struct grid *g, char final, int n)
{
	static const struct {
		char final;
		int rows, cols;
		bool is_returning;
	} moves[] = {
		{ 'A', -1, 0, false },
		{ 'B', 1, 0, false },
		{ 'C', 0, 1, false },
		{ 'D', 0, -1, false },
		{ 'E', 1, 0, true },
		{ 'F', -1, 0, true },
		{ 'a', 0, 1, false },
		{ 'e', 1, 0, false },
	};
	for (size_t i = 0; i < ARRAY_LEN(moves); i++) {
		if (moves[i].final != final)
			continue;
		step(g, moves[i].rows * n);
		go(g, g->at.row, moves[i].is_returning ? 0 : g->at.col + moves[i].cols * n);
		return true;
	}
	return false;
}

static bool edit(struct grid *g, char final, const struct params *p)
{
	struct canvas *c = &g->canvas;
	int n = count(p);
	switch (final) {
	case '@':
		canvas_shift(c, g->at.row, g->at.col, n);
		return true;
	case 'J':
		erase_in_screen(g, p);
		return true;
	case 'K':
		erase_in_line(g, p);
		return true;
	case 'L':
		insert_lines(g, n);
		return true;
	case 'M':
		insert_lines(g, -n);
		return true;
	case 'P':
		canvas_shift(c, g->at.row, g->at.col, -n);
		return true;
	case 'S':
		scroll(g, n);
		return true;
	case 'T':
		scroll(g, -n);
		return true;
	case 'X':
		canvas_erase(c, g->at.row, g->at.col, g->at.col + n);
		return true;
	default:
		return false;
	}
}

static void place(struct grid *g, char final, const struct params *p)
{
	switch (final) {
	case 'G':
	case '`':
		go(g, g->at.row, count(p) - 1);
		break;
	case 'H':
	case 'f':
		address(g, count(p), MAX(p->n[1], 1));
		break;
	case 'I':
		tab(g, count(p));
		break;
	case 'Z':
		tab(g, -count(p));
		break;
	case 'd':
		address(g, count(p), g->at.col + 1);
		break;
	case 'h':
	case 'l':
		set_mode(g, p->n[0], p->is_private, final == 'h');
		break;
	case 'r':
		set_margins(g, p);
		break;
	case 's':
	case 'u':
		save(g, final == 's');
		break;
	}
}

static struct params parse_params(struct str s)
{
	struct params p = { .is_private = str_starts(s, STR("?")) };
	int at = 0;
	for (size_t i = 0; i < s.len; i++) {
		bool is_digit = s.ptr[i] >= '0' && s.ptr[i] <= '9';
		at += s.ptr[i] == ';';
		if (is_digit && at < PARAMS_MAX)
			p.n[at] = MIN(10 * p.n[at] + (s.ptr[i] - '0'), PARAM_MAX);
	}
	return p;
}

static void control_sequence(struct grid *g, struct str in)
{
	char final = in.ptr[in.len - 1];
	struct params p = parse_params(str_first(str_skip(in, 2), in.len - 3));
	if (!move(g, final, count(&p)) && !edit(g, final, &p))
		place(g, final, &p);
}

static void escape(struct grid *g, struct str in)
{
	switch (in.ptr[1]) {
	case '[':
		control_sequence(g, in);
		break;
	case '(':
		g->at.draws_lines = in.ptr[in.len - 1] == '0';
		break;
	case '7':
	case '8':
		save(g, in.ptr[1] == '7');
		break;
	case 'D':
		line_feed(g);
		break;
	case 'E':
		line_feed(g);
		go(g, g->at.row, 0);
		break;
	case 'M':
		reverse_feed(g);
		break;
	case 'c':
		reset(g);
		break;
	}
}

void grid_feed(struct grid *g, struct str in)
{
	if (in.len > 1 && in.ptr[0] == '\033') {
		escape(g, in);
		return;
	}
	for (size_t i = 0; i < in.len; i++) {
		if (in.ptr[i] == '\r')
			go(g, g->at.row, 0);
		else if (in.ptr[i] == '\b')
			go(g, g->at.row, g->at.col - 1);
		else if (in.ptr[i] == '\n' || in.ptr[i] == '\v' || in.ptr[i] == '\f')
			new_line(g);
	}
}

/* ---- the whole ---- */

struct grid *grid_new(int cols, int rows, grid_line_fn *on_line, void *arg)
{
	struct grid *g = mem_new(struct grid);
	canvas_init(&g->canvas, cols, rows);
	g->on_line = on_line;
	g->arg = arg;
	buf_init(&g->line, LINE_BYTES_MAX);
	reset(g);
	return g;
}

void grid_free(struct grid *g)
{
	if (!g)
		return;
	canvas_fini(&g->canvas);
	canvas_fini(&g->other);
	buf_fini(&g->line);
	free(g);
}

void grid_set_newline(struct grid *g, bool is_on)
{
	g->is_newline = is_on;
}

/* The lines at the top go, until the cursor is on one of `rows`. */
static void make_room(struct grid *g, struct canvas *c, struct cursor *at, int rows, bool is_given)
{
	int n = clamp(at->row - (MAX(rows, 1) - 1), 0, c->rows);
	if (is_given)
		give_lines(g, c, n);
	canvas_scroll(c, 0, c->rows - 1, n);
	at->row -= n;
}

void grid_resize(struct grid *g, int cols, int rows)
{
	make_room(g, &g->canvas, &g->at, rows, !g->is_alternate);
	canvas_resize(&g->canvas, cols, rows);
	if (g->other.lines) {
		make_room(g, &g->other, &g->saved, rows, g->is_alternate);
		canvas_resize(&g->other, cols, rows);
	}
	g->top = 0;
	g->bottom = g->canvas.rows - 1;
	go(g, g->at.row, g->at.col);
}

static int last_row(const struct grid *g)
{
	int row = g->canvas.rows - 1;
	while (row > g->at.row && canvas_is_blank(&g->canvas, row))
		row--;
	return row;
}

void grid_put(struct grid *g, struct buf *out)
{
	int last = last_row(g);
	for (int row = 0; row <= last; row++) {
		/* Blanks before the cursor are part of a prompt: "Name: ". */
		bool is_prompt = row == last && row == g->at.row &&
			!canvas_is_blank(&g->canvas, row);
		canvas_put_line(&g->canvas, row, is_prompt ? g->at.col : 0, out);
		if (row < last && !canvas_is_wrapped(&g->canvas, row))
			buf_putc(out, '\n');
	}
}

bool grid_is_at_end(struct grid *g)
{
	return !g->is_alternate && last_row(g) == g->at.row;
}
