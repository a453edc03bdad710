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

/* Writes what stands for an ASCII character that does not stand for itself; where that ends. */
static char *escape(unsigned char c, char *to)
{
	static const char letters
		[128] = { ['"'] = '"', ['\\'] = '\\', ['\n'] = 'n', ['\r'] = 'r', ['\t'] = 't' };
	static const char hex[] = "0123456789abcdef";
	*to++ = '\\';
	if (letters[c]) {
		*to++ = letters[c];
		return to;
	}
	memcpy(to, "u00", 3);
	to[3] = hex[c >> 4];
	to[4] = hex[c & 15];
	return to + 5;
}

/*
 * Bytes that do not stand for themselves, and few between them that do, in one append; up to a
 * character of several bytes. The rest.
 */
static struct str put_escaped(struct buf *b, struct str s)
{
	enum { LONGEST = 6, PLAIN_MAX = 2 };
	char out[512], *to = out;
	size_t at = 0, n_plain = 0;
	while (at < s.len && n_plain < PLAIN_MAX && to <= out + sizeof(out) - LONGEST) {
		unsigned char c = (unsigned char)s.ptr[at];
		bool is_plain = json_is_plain(c);
		if (is_plain) {
			*to++ = (char)c;
		} else if (c < 0x80) {
			to = escape(c, to);
		} else if (utf8_len(str_skip(s, at)) == 0) {
			memcpy(to, "\xef\xbf\xbd", 3);
			to += 3;
		} else {
			break;
		}
		n_plain = is_plain ? n_plain + 1 : 0;
		at++;
	}
	buf_add(b, out, (size_t)(to - out));
	return str_skip(s, at);
}

static void put_quoted(struct buf *b, struct str s)
{
	buf_putc(b, '"');
	while (s.len) {
		/* A run of bytes that stand for themselves goes in one append. */
		size_t plain = json_plain(s);
		buf_add(b, s.ptr, plain);
		s = put_escaped(b, str_skip(s, plain));
		size_t n = utf8_run(s);
		buf_add(b, s.ptr, n);
		s = str_skip(s, n);
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
