/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/out.h"

#include "base/auto.h"
#include "base/bug.h"
#include "base/file.h"

#include <signal.h>

enum { CLEAN_MAX = 4 * 1024 * 1024, NOTE_MAX = 16 * 1024 };

void out_heed_pipe(int sys)
{
	if (sys != EPIPE)
		return;
	signal(SIGPIPE, SIG_DFL);
	raise(SIGPIPE);
}

static int write_out(int fd, struct str bytes, struct error *err)
{
	struct error own;
	if (file_write_all(fd, bytes, &own) == 0)
		return 0;
	out_heed_pipe(own.sys);
	if (err)
		*err = own;
	return error_wrap(err, fd == STDERR_FILENO ? "standard error" : "standard output");
}

void out_init(struct out *o, int fd, bool is_raw)
{
	*o = (struct out){ .fd = fd, .is_clean = !is_raw && isatty(fd) };
}

/* At most 64 KiB at once: one byte becomes three at worst. */
static int write_clean(struct out *o, struct str bytes, bool is_end, struct error *err)
{
	auto_buf struct buf raw = BUF_INIT(CLEAN_MAX), clean = BUF_INIT(CLEAN_MAX);
	buf_add(&raw, o->held, o->n_held);
	buf_put(&raw, bytes);
	size_t taken = clean_put(&clean, buf_str(&raw), true, is_end);
	o->n_held = raw.len - taken;
	BUG_IF(raw.is_full || clean.is_full || o->n_held > sizeof(o->held), "cleaned output grew");
	memcpy(o->held, raw.ptr + taken, o->n_held);
	return write_out(o->fd, buf_str(&clean), err);
}

int out_write(struct out *o, struct str bytes, struct error *err)
{
	if (!o->is_clean)
		return write_out(o->fd, bytes, err);
	while (bytes.len) {
		struct str piece = str_first(bytes, 64 * 1024);
		if (write_clean(o, piece, false, err) < 0)
			return -1;
		bytes = str_skip(bytes, piece.len);
	}
	return 0;
}

int out_end(struct out *o, struct error *err)
{
	return o->n_held ? write_clean(o, STR(""), true, err) : 0;
}

int out_text(struct str text, struct error *err)
{
	struct out out;
	out_init(&out, STDOUT_FILENO, false);
	return out_write(&out, text, err) < 0 ? -1 : out_end(&out, err);
}

void out_note(const char *fmt, ...)
{
	auto_buf struct buf text = BUF_INIT(NOTE_MAX), line = BUF_INIT(3 * NOTE_MAX + 16);
	va_list ap;
	va_start(ap, fmt);
	buf_vprintf(&text, fmt, ap);
	va_end(ap);
	buf_puts(&line, "cay: ");
	clean_put_line(&line, buf_str(&text));
	buf_putc(&line, '\n');
	fwrite(line.ptr, 1, line.len, stderr);
}

int out_line(struct str text, struct error *err)
{
	if (out_text(text, err) < 0)
		return -1;
	return out_text(STR("\n"), err);
}

void out_cell(struct out_table *t, struct str text)
{
	if (t->n_cells == t->room) {
		t->room = t->room ? 2 * t->room : 64;
		t->cells = mem_realloc(t->cells, t->room * sizeof(*t->cells));
	}
	struct buf cell = BUF_INIT(4 * OUT_CELL_MAX);
	clean_put(&cell, str_first(text, OUT_CELL_MAX), false, true);
	for (size_t i = 0; i < cell.len; i++)
		if (cell.ptr[i] == '\n' || cell.ptr[i] == '\t')
			cell.ptr[i] = ' ';
	if (cell.len == 0)
		buf_putc(&cell, '-');
	t->cells[t->n_cells++] = buf_take(&cell);
}

/* Characters, not columns: names and commands are what is in cells. */
static size_t width_of(const char *text)
{
	size_t n = 0;
	for (; *text; text++)
		n += ((unsigned char)*text & 0xc0) != 0x80;
	return n;
}

static void put_row(struct buf *b, const struct out_table *t, const char *const *cells,
	const size_t *widths)
{
	for (int i = 0; i < t->n_columns; i++) {
		buf_puts(b, cells[i]);
		if (i + 1 < t->n_columns)
			buf_printf(b, "%*s", (int)(widths[i] - width_of(cells[i]) + 2), "");
	}
	buf_putc(b, '\n');
}

int out_table_end(struct out_table *t, struct error *err)
{
	size_t n = (size_t)t->n_columns, widths[OUT_COLUMNS_MAX] = { 0 };
	BUG_IF(t->n_cells % n, "a row of a table that is not whole");
	for (size_t i = 0; i < n; i++)
		widths[i] = width_of(t->headings[i]);
	for (size_t i = 0; i < t->n_cells; i++)
		widths[i % n] = MAX(widths[i % n], width_of(t->cells[i]));

	auto_buf struct buf b = BUF_INIT(256 << 20);
	put_row(&b, t, t->headings, widths);
	for (size_t i = 0; i < t->n_cells; i += n)
		put_row(&b, t, (const char *const *)t->cells + i, widths);
	out_table_drop(t);
	return out_text(buf_str(&b), err);
}

void out_table_drop(struct out_table *t)
{
	for (size_t i = 0; i < t->n_cells; i++)
		free(t->cells[i]);
	free(t->cells);
	*t = (struct out_table){ 0 };
}

void out_put_size(struct buf *b, int64_t bytes)
{
	static const char units[] = "KMGT";
	if (bytes < 0) {
		buf_putc(b, '-');
		return;
	}
	if (bytes < 1024) {
		buf_printf(b, "%d B", (int)bytes);
		return;
	}
	double v = (double)bytes / 1024;
	int i = 0;
	for (; v >= 1024 && units[i + 1]; i++)
		v /= 1024;
	buf_printf(b, v < 10 ? "%.1f %ciB" : "%.0f %ciB", v, units[i]);
}

void out_put_duration(struct buf *b, int64_t ms)
{
	int64_t s = ms / 1000;
	if (ms < 1000)
		buf_printf(b, "%d ms", (int)ms);
	else if (s < 60)
		buf_printf(b, "%.1f s", (double)ms / 1000);
	else if (s < 3600)
		buf_printf(b, "%d min %d s", (int)(s / 60), (int)(s % 60));
	else if (s < 86400)
		buf_printf(b, "%d h %d min", (int)(s / 3600), (int)(s / 60 % 60));
	else
		buf_printf(b, "%d d %d h", (int)(s / 86400), (int)(s / 3600 % 24));
}
