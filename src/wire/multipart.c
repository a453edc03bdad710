/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Before everything the parser pretends to have seen a CRLF, so that the first delimiter looks like
 * all others: "\r\n--boundary". What follows it decides: CRLF begins a part, "--" ends the body.
 * Data is passed on up to where a delimiter could begin; that tail waits for the next piece.
 */
#include "wire/multipart.h"

#include "wire/http1.h"

enum {
	STEP = 64 * 1024,
	PADDING_MAX = 64, /* spaces after a boundary */
	IN_MAX = MULTIPART_HEAD_MAX + 2 * STEP,
};

static int bad(struct error *err, const char *what)
{
	return error_set(err, ERROR_INVALID, "multipart: %s", what);
}

/* Cuts the next parameter off "; a=b; c=\"d\"". 1, 0 at the end, -1 if it is malformed. */
static int next_param(struct str *rest, struct str *ret_name, struct buf *ret_value)
{
	*rest = str_trim(*rest);
	if (rest->len == 0)
		return 0;
	if (rest->ptr[0] != ';')
		return -1;
	*rest = str_trim(str_skip(*rest, 1));
	ptrdiff_t eq = str_find_char(*rest, '=');
	if (eq <= 0)
		return rest->len ? -1 : 0;
	*ret_name = str_trim(str_first(*rest, (size_t)eq));
	*rest = str_skip(*rest, (size_t)eq + 1);
	buf_reset(ret_value);
	if (!str_starts(*rest, STR("\""))) {
		ptrdiff_t end = str_find_char(*rest, ';');
		size_t n = end < 0 ? rest->len : (size_t)end;
		buf_put(ret_value, str_trim(str_first(*rest, n)));
		*rest = str_skip(*rest, n);
		return 1;
	}
	size_t i = 1;
	for (; i < rest->len && rest->ptr[i] != '"'; i++) {
		/*
		 * Browsers escape only the quote; a backslash in a Windows path stands for itself.
		 */
		if (rest->ptr[i] == '\\' && i + 1 < rest->len && rest->ptr[i + 1] == '"')
			i++;
		buf_putc(ret_value, rest->ptr[i]);
	}
	if (i >= rest->len)
		return -1;
	*rest = str_skip(*rest, i + 1);
	return 1;
}

static bool is_boundary(struct str s)
{
	/* RFC 2046 5.1.1 */
	for (size_t i = 0; i < s.len; i++) {
		char c = s.ptr[i];
		bool is_plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
			(c >= '0' && c <= '9');
		if (!is_plain && (!c || !strchr("'()+_,-./:=? ", c)))
			return false;
	}
	return s.len > 0 && s.len <= MULTIPART_BOUNDARY_MAX && s.ptr[s.len - 1] != ' ';
}

static int find_boundary(struct str content_type, struct buf *ret, struct error *err)
{
	ptrdiff_t semicolon = str_find_char(content_type, ';');
	size_t type_len = semicolon < 0 ? content_type.len : (size_t)semicolon;
	if (!str_eq_nocase(str_trim(str_first(content_type, type_len)), STR("multipart/form-data")))
		return bad(err, "Content-Type is not multipart/form-data");
	struct str rest = str_skip(content_type, type_len), name;
	int r;
	while ((r = next_param(&rest, &name, ret)) == 1)
		if (str_eq_nocase(name, STR("boundary")))
			return is_boundary(buf_str(ret)) ? 0 : bad(err, "a malformed boundary");
	return bad(err, r < 0 ? "malformed parameters of Content-Type" : "no boundary");
}

int multipart_init(struct multipart *m, struct str content_type, const struct multipart_ops *ops,
	void *arg, struct error *err)
{
	auto_buf struct buf boundary = BUF_INIT(MULTIPART_HEAD_MAX);
	*m = (struct multipart){ .ops = ops, .arg = arg };
	buf_init(&m->in, IN_MAX);
	if (find_boundary(content_type, &boundary, err) < 0)
		return -1;
	memcpy(m->delimiter, "\r\n--", 4);
	memcpy(m->delimiter + 4, boundary.ptr, boundary.len + 1);
	m->delimiter_len = 4 + boundary.len;
	buf_puts(&m->in, "\r\n");
	return 0;
}

void multipart_fini(struct multipart *m)
{
	buf_fini(&m->in);
}

/* What a head says about its part; the texts live in the bufs. */
struct part_texts {
	struct buf name, filename, type;
	bool has_name, has_filename, has_type;
};

static int use_disposition(struct part_texts *t, struct str value, struct error *err)
{
	auto_buf struct buf text = BUF_INIT(MULTIPART_HEAD_MAX);
	struct str name, rest = value;
	ptrdiff_t semicolon = str_find_char(value, ';');
	size_t n = semicolon < 0 ? value.len : (size_t)semicolon;
	if (!str_eq_nocase(str_trim(str_first(value, n)), STR("form-data")))
		return bad(err, "a part that is not form-data");
	rest = str_skip(value, n);
	int r;
	while ((r = next_param(&rest, &name, &text)) == 1) {
		bool is_name = str_eq_nocase(name, STR("name"));
		bool is_filename = str_eq_nocase(name, STR("filename"));
		if (is_name && !t->has_name)
			t->has_name = buf_put(&t->name, buf_str(&text)) == 0;
		else if (is_filename && !t->has_filename)
			t->has_filename = buf_put(&t->filename, buf_str(&text)) == 0;
		else if (is_name || is_filename)
			return bad(err, "a part with two names");
	}
	return r < 0 ? bad(err, "a malformed Content-Disposition") : 0;
}

static int use_header(struct part_texts *t, struct str line, struct error *err)
{
	ptrdiff_t colon = str_find_char(line, ':');
	if (colon <= 0 || str_has_nul(line))
		return bad(err, "a malformed header");
	struct str name = str_first(line, (size_t)colon);
	struct str value = str_trim(str_skip(line, (size_t)colon + 1));
	if (str_eq_nocase(name, STR("Content-Disposition")))
		return use_disposition(t, value, err);
	if (str_eq_nocase(name, STR("Content-Transfer-Encoding")) &&
		!str_eq_nocase(value, STR("binary")) && !str_eq_nocase(value, STR("8bit")) &&
		!str_eq_nocase(value, STR("7bit")))
		return bad(err, "a transfer encoding, which form-data does not have");
	if (str_eq_nocase(name, STR("Content-Type")) && !t->has_type)
		t->has_type = buf_put(&t->type, value) == 0;
	return 0;
}

static int begin_part(struct multipart *m, struct str head, struct error *err)
{
	struct part_texts t = { BUF_INIT(MULTIPART_HEAD_MAX), BUF_INIT(MULTIPART_HEAD_MAX),
		BUF_INIT(MULTIPART_HEAD_MAX), false, false, false };
	struct str line;
	int r = 0;
	while (r == 0 && str_split(&head, '\n', &line) && str_trim(line).len)
		r = use_header(&t, str_trim(line), err);
	if (r == 0 && !t.has_name)
		r = bad(err, "a part without a name");
	if (r == 0 && ++m->n_parts > MULTIPART_PARTS_MAX)
		r = error_set(err, ERROR_LIMIT, "multipart: more than %d parts",
			MULTIPART_PARTS_MAX);
	struct multipart_part part = { buf_str(&t.name),
		t.has_filename ? buf_str(&t.filename) : STR_NONE,
		t.has_type ? buf_str(&t.type) : STR_NONE };
	if (r == 0)
		r = m->ops->on_part(m->arg, &part, err);
	buf_fini(&t.name);
	buf_fini(&t.filename);
	buf_fini(&t.type);
	return r < 0 ? -1 : 0;
}

/* What follows a delimiter: its length, 0 if it is not there yet, -1 if it is something else. */
static ssize_t after_delimiter(struct str s, bool *ret_is_last)
{
	size_t n = 0;
	*ret_is_last = str_starts(s, STR("--"));
	if (*ret_is_last)
		return 2;
	while (n < s.len && (s.ptr[n] == ' ' || s.ptr[n] == '\t'))
		n++;
	if (n > PADDING_MAX)
		return -1;
	if (str_starts(str_skip(s, n), STR("\r\n")))
		return (ssize_t)n + 2;
	struct str rest = str_skip(s, n);
	bool may_come = rest.len == 0 || str_is(rest, "\r") || (n == 0 && str_is(rest, "-"));
	return may_come ? 0 : -1;
}

/*
 * How many bytes at the front of s are data. What follows them is a delimiter, *ret_len bytes long
 * with all that belongs to it, or (*ret_len is 0) may become one, or is the end of s.
 */
static size_t find_delimiter(const struct multipart *m, struct str s, size_t *ret_len,
	bool *ret_is_last)
{
	*ret_len = 0;
	for (size_t at = 0; at < s.len; at++) {
		const char *cr = memchr(s.ptr + at, '\r', s.len - at);
		if (!cr)
			break;
		at = (size_t)(cr - s.ptr);
		struct str rest = str_skip(s, at);
		size_t n = rest.len < m->delimiter_len ? rest.len : m->delimiter_len;
		if (memcmp(rest.ptr, m->delimiter, n) != 0)
			continue;
		if (n < m->delimiter_len)
			return at;
		ssize_t tail = after_delimiter(str_skip(rest, n), ret_is_last);
		if (tail < 0)
			continue; /* the boundary as the start of something longer is data */
		*ret_len = tail ? n + (size_t)tail : 0;
		return at;
	}
	return s.len;
}

static ssize_t use_data(struct multipart *m, struct str s, struct error *err)
{
	size_t delimiter;
	bool is_last = false;
	size_t data = find_delimiter(m, s, &delimiter, &is_last);
	if (m->state == MULTIPART_DATA) {
		if (data && m->ops->on_data(m->arg, str_first(s, data), err) < 0)
			return -1;
		if (delimiter && m->ops->on_part_end(m->arg, err) < 0)
			return -1;
	}
	if (delimiter)
		m->state = is_last ? MULTIPART_EPILOGUE : MULTIPART_HEAD;
	return (ssize_t)(data + delimiter);
}

static ssize_t use_head(struct multipart *m, struct str s, struct error *err)
{
	if (str_starts(s, STR("\r\n")))
		return begin_part(m, STR(""), err); /* no headers, hence no name: fails */
	ptrdiff_t end = str_find(s, STR("\r\n\r\n"));
	if ((end < 0 && s.len >= MULTIPART_HEAD_MAX + 4) || end > MULTIPART_HEAD_MAX)
		return bad(err, "the headers of a part are too long");
	if (end < 0)
		return 0;
	if (begin_part(m, str_first(s, (size_t)end), err) < 0)
		return -1;
	m->state = MULTIPART_DATA;
	return end + 4;
}

/* Uses bytes at the front of s: how many, 0 if more are needed, -1 for an error. */
static ssize_t use(struct multipart *m, struct str s, struct error *err)
{
	switch (m->state) {
	case MULTIPART_HEAD:
		return use_head(m, s, err);
	case MULTIPART_EPILOGUE:
		return (ssize_t)s.len;
	default:
		return use_data(m, s, err);
	}
}

int multipart_parse(struct multipart *m, struct str piece, struct error *err)
{
	while (piece.len) {
		buf_put(&m->in, str_first(piece, STEP));
		piece = str_skip(piece, STEP);
		struct str rest = buf_str(&m->in);
		ssize_t n = 1;
		while (rest.len && (n = use(m, rest, err)) > 0)
			rest = str_skip(rest, (size_t)n);
		if (n < 0)
			return -1;
		buf_drop_front(&m->in, m->in.len - rest.len);
	}
	return 0;
}

int multipart_end(struct multipart *m, struct error *err)
{
	return m->state == MULTIPART_EPILOGUE ? 0
					      : bad(err, "the body ends before its last boundary");
}
