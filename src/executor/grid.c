/* SPDX-License-Identifier: Apache-2.0 */
#include "executor/grid.h"

#include "base/bug.h"
#include "wire/utf8.h"

#include <stdint.h>
#include <vterm.h>

enum { LINE_BYTES_MAX = 2000 * VTERM_MAX_CHARS_PER_CELL * 4 };

struct grid {
	VTerm *vt;
	VTermScreen *screen;
	int cols, rows;
	grid_line_fn *on_line;
	void *arg;
	struct buf line; /* the line being read off */
	VTermPos cursor;
	bool is_alternate;
	bool is_newline;
};

/* A cell without a character is a blank; the second half of a wide one is marked with -1. */
static void put_cell(struct buf *b, const VTermScreenCell *cell)
{
	if (cell->chars[0] == UINT32_MAX)
		return;
	if (cell->chars[0] == 0)
		buf_putc(b, ' ');
	for (int i = 0; i < VTERM_MAX_CHARS_PER_CELL && cell->chars[i]; i++)
		utf8_put(b, cell->chars[i]);
}

static void trim(struct buf *b)
{
	size_t n = b->len;
	while (n && b->ptr[n - 1] == ' ')
		n--;
	buf_cut(b, n);
}

static bool is_full_line(const VTermScreenCell *last)
{
	return last->chars[0] != 0 && last->chars[0] != ' ';
}

static int on_pushline(int cols, const VTermScreenCell *cells, void *user)
{
	struct grid *g = user;
	buf_reset(&g->line);
	for (int i = 0; i<cols; i += cells[i].width> 1 ? cells[i].width : 1)
		put_cell(&g->line, &cells[i]);
	trim(&g->line);
	g->on_line(g->arg, buf_str(&g->line), is_full_line(&cells[cols - 1]));
	return 1;
}

static int on_move(VTermPos pos, VTermPos old, int visible, void *user)
{
	struct grid *g = user;
	/* A step back from the first column after a change of size takes vterm to column -1. */
	g->cursor.row = pos.row > 0 ? pos.row : 0;
	g->cursor.col = pos.col > 0 ? pos.col : 0;
	return 1;
}

static int on_property(VTermProp prop, VTermValue *value, void *user)
{
	struct grid *g = user;
	if (prop == VTERM_PROP_ALTSCREEN)
		g->is_alternate = value->boolean;
	return 1;
}

static const VTermScreenCallbacks callbacks = {
	.movecursor = on_move,
	.settermprop = on_property,
	.sb_pushline = on_pushline,
};

struct grid *grid_new(int cols, int rows, grid_line_fn *on_line, void *arg)
{
	struct grid *g = mem_new(struct grid);
	g->cols = cols;
	g->rows = rows;
	g->on_line = on_line;
	g->arg = arg;
	buf_init(&g->line, LINE_BYTES_MAX);
	g->vt = vterm_new(rows, cols);
	BUG_IF(!g->vt, "no memory for a terminal");
	vterm_set_utf8(g->vt, 1);
	g->screen = vterm_obtain_screen(g->vt);
	vterm_screen_set_callbacks(g->screen, &callbacks, g);
	vterm_screen_enable_altscreen(g->screen, 1);
	vterm_screen_reset(g->screen, 1);
	return g;
}

void grid_free(struct grid *g)
{
	if (!g)
		return;
	vterm_free(g->vt);
	buf_fini(&g->line);
	free(g);
}

void grid_resize(struct grid *g, int cols, int rows)
{
	g->cols = cols;
	g->rows = rows;
	vterm_set_size(g->vt, rows, cols);
}

void grid_set_newline(struct grid *g, bool is_on)
{
	if (g->is_newline == is_on)
		return;
	g->is_newline = is_on;
	grid_feed(g, is_on ? STR("\033[20h") : STR("\033[20l"));
}

/* What the terminal would answer (its position, its type) is not passed on: nobody asked this screen. */
void grid_feed(struct grid *g, struct str bytes)
{
	vterm_input_write(g->vt, bytes.ptr, bytes.len);
	vterm_screen_flush_damage(g->screen);
}

/*
 * Marks that are both combining and wide (U+302A to U+302F, U+3099, U+309A): libvterm adds their widths to that of
 * their character, and writes beyond the line with what is then too wide.
 */
static bool is_wide_mark(const char *c)
{
	if (c[0] != '\xe3')
		return false;
	return (c[1] == '\x80' && (unsigned char)c[2] >= 0xaa && (unsigned char)c[2] <= 0xaf) ||
		(c[1] == '\x82' && (c[2] == '\x99' || c[2] == '\x9a'));
}

static size_t ascii_run(struct str s)
{
	size_t n = 0;
	while (n < s.len && (unsigned char)s.ptr[n] < 0x80)
		n++;
	return n;
}

void grid_feed_text(struct grid *g, struct str text)
{
	while (text.len) {
		size_t n = ascii_run(text);
		if (n) {
			grid_feed(g, str_first(text, n));
		} else if ((n = utf8_len(text)) == 0) {
			grid_feed(g, STR("\xef\xbf\xbd"));
			n = 1;
		} else if (n != 3 || !is_wide_mark(text.ptr)) {
			grid_feed(g, str_first(text, n));
		}
		text = str_skip(text, n);
	}
}

static void read_line(struct grid *g, int row, bool *ret_is_wrapped)
{
	VTermScreenCell cell = { 0 };
	buf_reset(&g->line);
	for (int col = 0; col<g->cols; col += cell.width> 1 ? cell.width : 1) {
		vterm_screen_get_cell(g->screen, (VTermPos){ row, col }, &cell);
		put_cell(&g->line, &cell);
	}
	*ret_is_wrapped = is_full_line(&cell);
	trim(&g->line);
}

static bool is_blank(struct grid *g, int row)
{
	bool is_wrapped;
	read_line(g, row, &is_wrapped);
	return g->line.len == 0;
}

static int last_row(struct grid *g)
{
	int row = g->rows - 1;
	while (row > g->cursor.row && is_blank(g, row))
		row--;
	return row;
}

void grid_put(struct grid *g, struct buf *out)
{
	int last = last_row(g);
	for (int row = 0; row <= last; row++) {
		bool is_wrapped;
		read_line(g, row, &is_wrapped);
		/* Blanks before the cursor are part of a prompt: "Name: ". */
		if (row == g->cursor.row && row == last)
			while (g->line.len < (size_t)g->cursor.col && g->line.len && !is_wrapped)
				buf_putc(&g->line, ' ');
		buf_put(out, buf_str(&g->line));
		if (row < last && !is_wrapped)
			buf_putc(out, '\n');
	}
}

bool grid_is_at_end(struct grid *g)
{
	return !g->is_alternate && last_row(g) == g->cursor.row;
}
