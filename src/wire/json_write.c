/* SPDX-License-Identifier: Apache-2.0 */
/* The writing half of wire/json.h: it knows a tree only by what the other half tells of it. */
#include "wire/json.h"

#include "base/num.h"
#include "wire/json_text.h"
#include "wire/utf8.h"

#include <math.h>

static void write_value(const struct json *j, struct jsonw *w)
{
	switch (json_kind(j)) {
	case JSON_KIND_OBJECT:
		jsonw_open(w);
		void *i = NULL;
		struct str key;
		struct json *v;
		while ((v = json_next(j, &i, &key))) {
			jsonw_key_dyn(w, key);
			write_value(v, w);
		}
		jsonw_close(w);
		break;
	case JSON_KIND_ARRAY:
		jsonw_open_array(w);
		for (size_t n = 0; n < json_len(j); n++)
			write_value(json_at(j, n), w);
		jsonw_close_array(w);
		break;
	case JSON_KIND_STR:
		jsonw_str(w, json_str(j));
		break;
	case JSON_KIND_INT:
		jsonw_int(w, json_int(j));
		break;
	case JSON_KIND_REAL:
		jsonw_real(w, json_double(j));
		break;
	case JSON_KIND_BOOL:
		jsonw_bool(w, json_bool(j));
		break;
	case JSON_KIND_NULL:
		jsonw_null(w);
		break;
	}
}

int json_write(const struct json *j, struct buf *b)
{
	struct jsonw w = JSONW(b);
	write_value(j, &w);
	return b->is_full ? -1 : 0;
}

static void before_value(struct jsonw *w)
{
	if (w->needs_comma)
		buf_putc(w->b, ',');
	w->needs_comma = true;
}

static void open_with(struct jsonw *w, char c)
{
	before_value(w);
	buf_putc(w->b, c);
	w->needs_comma = false;
}

static void close_with(struct jsonw *w, char c)
{
	buf_putc(w->b, c);
	w->needs_comma = true;
}

void jsonw_open(struct jsonw *w)
{
	open_with(w, '{');
}

void jsonw_close(struct jsonw *w)
{
	close_with(w, '}');
}

void jsonw_open_array(struct jsonw *w)
{
	open_with(w, '[');
}

void jsonw_close_array(struct jsonw *w)
{
	close_with(w, ']');
}

void jsonw_key(struct jsonw *w, const char *key)
{
	before_value(w);
	buf_putc(w->b, '"');
	buf_puts(w->b, key);
	buf_puts(w->b, "\":");
	w->needs_comma = false;
}

static void put_char(struct buf *b, unsigned char c)
{
	switch (c) {
	case '"':
		buf_puts(b, "\\\"");
		break;
	case '\\':
		buf_puts(b, "\\\\");
		break;
	case '\n':
		buf_puts(b, "\\n");
		break;
	case '\r':
		buf_puts(b, "\\r");
		break;
	case '\t':
		buf_puts(b, "\\t");
		break;
	default:
		buf_printf(b, "\\u%04x", c);
	}
}

static void put_quoted(struct buf *b, struct str s)
{
	buf_putc(b, '"');
	while (s.len) {
		/* A run of bytes that stand for themselves goes in one append. */
		size_t plain = json_plain(s);
		buf_add(b, s.ptr, plain);
		s = str_skip(s, plain);
		if (!s.len)
			break;
		unsigned char c = (unsigned char)s.ptr[0];
		if (c < 0x80) {
			put_char(b, c);
			s = str_skip(s, 1);
			continue;
		}
		size_t n = utf8_run(s);
		if (n)
			buf_add(b, s.ptr, n);
		else
			buf_puts(b, "\xef\xbf\xbd");
		s = str_skip(s, n ? n : 1);
	}
	buf_putc(b, '"');
}

void jsonw_key_dyn(struct jsonw *w, struct str key)
{
	before_value(w);
	put_quoted(w->b, key);
	buf_putc(w->b, ':');
	w->needs_comma = false;
}

void jsonw_str(struct jsonw *w, struct str s)
{
	before_value(w);
	put_quoted(w->b, s);
}

void jsonw_int(struct jsonw *w, int64_t v)
{
	before_value(w);
	buf_printf(w->b, "%lld", (long long)v);
}

void jsonw_real(struct jsonw *w, double v)
{
	before_value(w);
	if (!isfinite(v)) {
		buf_puts(w->b, "null");
		return;
	}
	char text[NUM_REAL_SIZE];
	num_print_real(text, v);
	buf_puts(w->b, text);
}

void jsonw_bool(struct jsonw *w, bool v)
{
	before_value(w);
	buf_puts(w->b, v ? "true" : "false");
}

void jsonw_null(struct jsonw *w)
{
	before_value(w);
	buf_puts(w->b, "null");
}

void jsonw_raw(struct jsonw *w, struct str json)
{
	before_value(w);
	buf_put(w->b, json);
}

void jsonw_error(struct jsonw *w, const struct error *e)
{
	jsonw_open(w);
	jsonw_key_str(w, "code", str_from(error_name(e->code)));
	jsonw_key_str(w, "message", str_from(e->text));
	jsonw_close(w);
}
