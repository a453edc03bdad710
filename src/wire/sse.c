/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/sse.h"

/* Where the line at the front of s ends; s.len if no end is there. */
static size_t line_end(struct str s)
{
	size_t i = 0;
	while (i < s.len && s.ptr[i] != '\n' && s.ptr[i] != '\r')
		i++;
	return i;
}

int sse_put(struct buf *out, const char *event, const char *id, struct str data)
{
	if (event)
		buf_printf(out, "event: %s\n", event);
	if (id)
		buf_printf(out, "id: %s\n", id);
	for (;;) {
		size_t n = line_end(data);
		buf_puts(out, "data: ");
		buf_put(out, str_first(data, n));
		buf_putc(out, '\n');
		if (n == data.len)
			break;
		bool is_crlf = str_starts(str_skip(data, n), STR("\r\n"));
		data = str_skip(data, n + (is_crlf ? 2 : 1));
	}
	return buf_putc(out, '\n');
}

void sse_parser_init(struct sse_parser *p, size_t limit)
{
	*p = (struct sse_parser){ 0 };
	buf_init(&p->line, limit);
	buf_init(&p->event, limit);
	buf_init(&p->data, limit);
	buf_init(&p->id, limit);
}

void sse_parser_fini(struct sse_parser *p)
{
	buf_fini(&p->line);
	buf_fini(&p->event);
	buf_fini(&p->data);
	buf_fini(&p->id);
}

static int dispatch(struct sse_parser *p, sse_fn *fn, void *arg, struct error *err)
{
	int r = 0;
	if (p->data.len) {
		buf_cut(&p->data, p->data.len - 1); /* the line feed after the last line */
		struct sse_event e = {
			.event = p->event.len ? buf_str(&p->event) : STR("message"),
			.data = buf_str(&p->data),
			.id = buf_str(&p->id),
		};
		r = fn(arg, &e, err);
	}
	buf_reset(&p->event);
	buf_reset(&p->data);
	return r;
}

static void set(struct buf *b, struct str value)
{
	buf_reset(b);
	buf_put(b, value);
}

static int use_line(struct sse_parser *p, struct str line, sse_fn *fn, void *arg, struct error *err)
{
	if (line.len == 0)
		return dispatch(p, fn, arg, err);
	ptrdiff_t colon = str_find_char(line, ':');
	struct str name = colon < 0 ? line : str_first(line, (size_t)colon);
	struct str value = colon < 0 ? STR("") : str_skip(line, (size_t)colon + 1);
	if (str_starts(value, STR(" ")))
		value = str_skip(value, 1);
	if (str_is(name, "data")) {
		buf_put(&p->data, value);
		buf_putc(&p->data, '\n');
	} else if (str_is(name, "event")) {
		set(&p->event, value);
	} else if (str_is(name, "id") && !str_has_nul(value)) {
		set(&p->id, value);
	}
	if (p->data.is_full)
		return error_set(err, ERROR_TOO_LARGE, "event stream: an event over %zu bytes",
			p->data.limit);
	return 0;
}

int sse_parse(struct sse_parser *p, struct str piece, sse_fn *fn, void *arg, struct error *err)
{
	while (piece.len) {
		if (p->had_cr && piece.ptr[0] == '\n')
			piece = str_skip(piece, 1);
		p->had_cr = false;
		size_t n = line_end(piece);
		if (buf_put(&p->line, str_first(piece, n)) < 0)
			return error_set(err, ERROR_TOO_LARGE,
				"event stream: a line over %zu bytes", p->line.limit);
		if (n == piece.len)
			return 0;
		p->had_cr = piece.ptr[n] == '\r';
		piece = str_skip(piece, n + 1);

		struct str line = buf_str(&p->line);
		if (!p->has_begun && str_starts(line, STR("\xef\xbb\xbf")))
			line = str_skip(line, 3);
		p->has_begun = true;
		int r = use_line(p, line, fn, arg, err);
		buf_reset(&p->line);
		if (r < 0)
			return -1;
	}
	return 0;
}
