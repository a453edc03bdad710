/* SPDX-License-Identifier: Apache-2.0 */
#include "executor/canvas.h"

#include "base/auto.h"
#include "base/bug.h"
#include "wire/utf8.h"

static struct line line_new(int cols)
{
	return (struct line){ mem_new_n(struct cell, (size_t)cols), 0, false };
}

void canvas_init(struct canvas *c, int cols, int rows)
{
	c->cols = MAX(cols, 1);
	c->rows = MAX(rows, 1);
	c->lines = mem_new_n(struct line, (size_t)c->rows);
	for (int row = 0; row < c->rows; row++)
		c->lines[row] = line_new(c->cols);
}

void canvas_fini(struct canvas *c)
{
	for (int row = 0; row < c->rows && c->lines; row++)
		free(c->lines[row].cells);
	free(c->lines);
	*c = (struct canvas){ 0 };
}

static bool has_row(const struct canvas *c, int row)
{
	return row >= 0 && row < c->rows;
}

/* NULL: there is none. */
static struct cell *cell_at(const struct canvas *c, int row, int col)
{
	return has_row(c, row) && col >= 0 && col < c->cols ? &c->lines[row].cells[col] : NULL;
}

static bool is_second_half(const struct cell *cell)
{
	return cell && cell->chars[0] == CELL_SECOND_HALF;
}

static void blank(struct cell *cell)
{
	if (cell)
		*cell = (struct cell){ 0 };
}

/* Between two columns a line is to be cut: a wide character that lies across becomes blank. */
static void part(struct canvas *c, int row, int col)
{
	if (is_second_half(cell_at(c, row, col))) {
		blank(cell_at(c, row, col - 1));
		blank(cell_at(c, row, col));
	}
}

void canvas_erase(struct canvas *c, int row, int from, int to)
{
	if (!has_row(c, row))
		return;
	struct line *line = &c->lines[row];
	part(c, row, from);
	part(c, row, to);
	from = MAX(from, 0);
	if (from < MIN(to, line->used))
		memset(&line->cells[from], 0,
			(size_t)(MIN(to, line->used) - from) * sizeof(*line->cells));
	if (to >= line->used)
		line->used = MIN(line->used, from);
	if (to >= c->cols)
		line->is_wrapped = false;
}

void canvas_clear(struct canvas *c)
{
	for (int row = 0; row < c->rows; row++)
		canvas_erase(c, row, 0, c->cols);
}

void canvas_put(struct canvas *c, int row, int col, uint32_t ch, int width)
{
	struct cell *cell = cell_at(c, row, col);
	if (!cell || col + width > c->cols)
		return;
	part(c, row, col);
	part(c, row, col + width);
	*cell = (struct cell){ { ch } };
	if (width == 2)
		cell[1] = (struct cell){ { CELL_SECOND_HALF } };
	c->lines[row].used = MAX(c->lines[row].used, col + width);
}

void canvas_join(struct canvas *c, int row, int col, uint32_t mark)
{
	struct cell *cell = cell_at(c, row, col);
	if (is_second_half(cell))
		cell = cell_at(c, row, col - 1);
	if (!cell || cell->chars[0] == 0)
		return;
	for (int i = 1; i < CELL_CHARS; i++) {
		if (cell->chars[i] == 0) {
			cell->chars[i] = mark;
			return;
		}
	}
}

void canvas_shift(struct canvas *c, int row, int col, int by)
{
	if (!cell_at(c, row, col))
		return;
	struct line *line = &c->lines[row];
	line->is_wrapped = false;
	if (col >= line->used)
		return;
	int n = MIN(abs(by), c->cols - col);
	int room = MIN(line->used - col + n, c->cols - col); /* beyond it all is blank, and stays */
	struct cell *cells = &line->cells[col];
	size_t rest = (size_t)(room - n) * sizeof(*cells);
	part(c, row, col);
	part(c, row, by > 0 ? c->cols - n : col + n);
	memmove(by > 0 ? cells + n : cells, by > 0 ? cells : cells + n, rest);
	memset(by > 0 ? cells : cells + room - n, 0, (size_t)n * sizeof(*cells));
	line->used = by > 0 ? col + room : MAX(line->used - n, col);
}

static void reverse(struct line *lines, int n)
{
	for (int i = 0; i < n / 2; i++) {
		struct line line = lines[i];
		lines[i] = lines[n - 1 - i];
		lines[n - 1 - i] = line;
	}
}

void canvas_scroll(struct canvas *c, int top, int bottom, int by)
{
	top = MAX(top, 0);
	bottom = MIN(bottom, c->rows - 1);
	int height = bottom - top + 1;
	if (height < 1)
		return;
	int n = MIN(abs(by), height);
	int split = by > 0 ? n : height - n;
	/* Three turns are one rotation: lines move by their pointers. */
	reverse(c->lines + top, split);
	reverse(c->lines + top + split, height - split);
	reverse(c->lines + top, height);
	int first = by > 0 ? bottom - n + 1 : top;
	for (int row = first; row < first + n; row++)
		canvas_erase(c, row, 0, c->cols);
	/* No line goes on across an end of the region any more. */
	canvas_set_wrapped(c, top - 1, false);
	canvas_set_wrapped(c, by > 0 ? first - 1 : bottom, false);
}

static void widen(struct line *line, int old, int cols)
{
	line->cells = mem_realloc(line->cells, (size_t)cols * sizeof(struct cell));
	for (int col = old; col < cols; col++)
		blank(&line->cells[col]);
	line->used = MIN(line->used, cols);
	line->is_wrapped = false;
}

void canvas_resize(struct canvas *c, int cols, int rows)
{
	cols = MAX(cols, 1);
	rows = MAX(rows, 1);
	for (int row = rows; row < c->rows; row++)
		free(c->lines[row].cells);
	c->lines = mem_realloc(c->lines, (size_t)rows * sizeof(*c->lines));
	for (int row = 0; row < MIN(rows, c->rows) && cols != c->cols; row++) {
		part(c, row, cols);
		widen(&c->lines[row], c->cols, cols);
	}
	for (int row = c->rows; row < rows; row++)
		c->lines[row] = line_new(cols);
	c->cols = cols;
	c->rows = rows;
}

static void put_cell(struct buf *out, const struct cell *cell)
{
	if (is_second_half(cell))
		return;
	if (cell->chars[0] == 0)
		buf_putc(out, ' ');
	for (int i = 0; i < CELL_CHARS && cell->chars[i]; i++)
		utf8_put(out, cell->chars[i]);
}

static bool is_space(const struct cell *cell)
{
	return cell->chars[0] == 0 || (cell->chars[0] == ' ' && cell->chars[1] == 0);
}

/*
 * Blanks at the end of a line are nothing; but a space that was written is text where the line goes
 * on.
 */
static int text_end(const struct line *line, int cols)
{
	cols = MIN(cols, line->used);
	while (cols &&
		(line->is_wrapped ? line->cells[cols - 1].chars[0] == 0
				  : is_space(&line->cells[cols - 1])))
		cols--;
	return cols;
}

void canvas_put_line(const struct canvas *c, int row, int least, struct buf *out)
{
	if (!has_row(c, row))
		return;
	const struct line *line = &c->lines[row];
	int n = MIN(MAX(text_end(line, c->cols), least), c->cols);
	for (int col = 0; col < n; col++)
		put_cell(out, &line->cells[col]);
}

bool canvas_is_blank(const struct canvas *c, int row)
{
	return !has_row(c, row) || text_end(&c->lines[row], c->cols) == 0;
}

bool canvas_is_wrapped(const struct canvas *c, int row)
{
	return has_row(c, row) && c->lines[row].is_wrapped;
}

void canvas_set_wrapped(struct canvas *c, int row, bool is_wrapped)
{
	if (has_row(c, row))
		c->lines[row].is_wrapped = is_wrapped;
}
