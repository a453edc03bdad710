/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/http1.h"

#include "base/num.h"

enum {
	CHUNK_LINE_MAX = 256,
	TRAILERS_MAX = 8 * 1024,
};

static int bad(struct error *err, const char *what)
{
	return error_set(err, ERROR_INVALID, "HTTP: %s", what);
}

/* RFC 9110 5.6.2 */
static bool is_token_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
		(c && strchr("!#$%&'*+-.^_`|~", c));
}

static bool is_token(struct str s)
{
	for (size_t i = 0; i < s.len; i++)
		if (!is_token_char(s.ptr[i]))
			return false;
	return s.len > 0;
}

ssize_t http1_head_end(struct str in, size_t *scanned, struct error *err)
{
	if (in.len && !is_token_char(in.ptr[0]))
		return bad(err, "the message does not start with a request");
	while (*scanned < in.len) {
		const char *lf = memchr(in.ptr + *scanned, '\n', in.len - *scanned);
		if (!lf) {
			*scanned = in.len;
			return 0;
		}
		size_t at = (size_t)(lf - in.ptr);
		if (at == 0 || in.ptr[at - 1] != '\r')
			return bad(err, "a line that ends in LF without CR");
		*scanned = at + 1;
		if (at >= 3 && in.ptr[at - 2] == '\n')
			return (ssize_t)*scanned;
	}
	return 0;
}

/* Cuts a line off, without its CRLF; http1_head_end has seen that every LF follows a CR. */
static bool next_line(struct str *rest, struct str *ret)
{
	if (!str_split(rest, '\n', ret) || ret->len == 0)
		return false;
	ret->len--;
	return true;
}

static struct str trim_ows(struct str s)
{
	while (s.len && (s.ptr[0] == ' ' || s.ptr[0] == '\t'))
		s = str_skip(s, 1);
	while (s.len && (s.ptr[s.len - 1] == ' ' || s.ptr[s.len - 1] == '\t'))
		s.len--;
	return s;
}

static bool is_field_value(struct str s)
{
	for (size_t i = 0; i < s.len; i++) {
		unsigned char c = (unsigned char)s.ptr[i];
		if ((c < 0x20 && c != '\t') || c == 0x7f)
			return false;
	}
	return true;
}

static int parse_version(struct str s, struct http1_head *ret, struct error *err)
{
	if (s.len != 8 || !str_starts(s, STR("HTTP/")))
		return bad(err, "a request line that is not 'METHOD target HTTP/1.1'");
	if (s.ptr[5] != '1' || s.ptr[6] != '.' || (s.ptr[7] != '0' && s.ptr[7] != '1'))
		return error_set(err, ERROR_UNSUPPORTED, "HTTP: version %.*s; this is HTTP/1.1",
			STR_ARG(str_skip(s, 5)));
	ret->minor = s.ptr[7] - '0';
	return 0;
}

static int parse_target(struct str target, struct http1_head *ret, struct error *err)
{
	if (!target.len || target.ptr[0] != '/')
		return bad(err, "a target that does not start with '/'");
	for (size_t i = 0; i < target.len; i++) {
		unsigned char c = (unsigned char)target.ptr[i];
		if (c <= 0x20 || c >= 0x7f || c == '#')
			return bad(err, "a byte in the target that must be percent-encoded");
	}
	ptrdiff_t at = str_find_char(target, '?');
	ret->path = at < 0 ? target : str_first(target, (size_t)at);
	ret->query = at < 0 ? STR_NONE : str_skip(target, (size_t)at + 1);
	return 0;
}

static int parse_request_line(struct str line, struct http1_head *ret, struct error *err)
{
	struct str target, version;
	if (!str_split(&line, ' ', &ret->method) || !str_split(&line, ' ', &target) || !line.ptr)
		return bad(err, "a request line that is not 'METHOD target HTTP/1.1'");
	version = line;
	if (!is_token(ret->method))
		return bad(err, "a method that is no token");
	if (parse_version(version, ret, err) < 0)
		return -1;
	return parse_target(target, ret, err);
}

static int parse_status_line(struct str line, struct http1_head *ret, struct error *err)
{
	int64_t status;
	if (parse_version(str_first(line, 8), ret, err) < 0)
		return -1;
	line = str_skip(line, 8);
	if (line.len < 4 || line.ptr[0] != ' ' || (line.len > 4 && line.ptr[4] != ' ') ||
		num_parse_i64(str_first(str_skip(line, 1), 3), 100, 999, &status, NULL) < 0)
		return bad(err, "a status line that is not 'HTTP/1.1 200 reason'");
	ret->status = (int)status;
	return 0;
}

static int parse_header(struct str line, struct http1_head *ret, struct error *err)
{
	if (line.ptr[0] == ' ' || line.ptr[0] == '\t')
		return bad(err, "a header folded over two lines");
	ptrdiff_t colon = str_find_char(line, ':');
	struct http1_header h;
	h.name = colon < 0 ? STR_NONE : str_first(line, (size_t)colon);
	h.value = trim_ows(str_skip(line, (size_t)colon + 1));
	if (!is_token(h.name))
		return bad(err, "a header without a proper name");
	if (!is_field_value(h.value))
		return error_set(err, ERROR_INVALID, "HTTP: a control byte in header %.*s",
			STR_ARG(str_first(h.name, 60)));
	if (ret->n_headers == HTTP1_HEADERS_MAX)
		return error_set(err, ERROR_LIMIT, "HTTP: more than %d headers", HTTP1_HEADERS_MAX);
	ret->headers[ret->n_headers++] = h;
	return 0;
}

static int parse_content_length(struct str value, struct http1_head *ret, struct error *err)
{
	if (ret->content_length >= 0)
		return bad(err, "two Content-Length headers");
	for (size_t i = 0; i < value.len; i++)
		if (value.ptr[i] < '0' || value.ptr[i] > '9')
			return bad(err, "a Content-Length that is no number");
	if (num_parse_i64(value, 0, INT64_MAX, &ret->content_length, NULL) < 0)
		return bad(err, "a Content-Length that is no number");
	return 0;
}

/* Where the message ends: exactly one answer, or none at all. */
static int parse_framing(struct http1_head *ret, struct error *err)
{
	ret->keeps_alive = ret->minor == 1;
	for (size_t i = 0; i < ret->n_headers; i++) {
		struct str name = ret->headers[i].name, value = ret->headers[i].value;
		if (str_eq_nocase(name, STR("Content-Length"))) {
			if (parse_content_length(value, ret, err) < 0)
				return -1;
		} else if (str_eq_nocase(name, STR("Transfer-Encoding"))) {
			if (ret->is_chunked || !str_eq_nocase(value, STR("chunked")))
				return error_set(err, ERROR_UNSUPPORTED,
					"HTTP: a Transfer-Encoding other than one 'chunked'");
			ret->is_chunked = true;
		} else if (str_eq_nocase(name, STR("Connection"))) {
			if (http1_has_token(value, "close"))
				ret->keeps_alive = false;
		}
	}
	if (ret->is_chunked && (ret->content_length >= 0 || ret->minor == 0))
		return bad(err, "Transfer-Encoding next to Content-Length, or in HTTP/1.0");
	return 0;
}

static int parse_headers(struct str rest, struct http1_head *ret, struct error *err)
{
	ret->n_headers = 0;
	ret->content_length = -1;
	ret->is_chunked = false;
	struct str line;
	while (next_line(&rest, &line) && line.len > 0)
		if (parse_header(line, ret, err) < 0)
			return -1;
	return parse_framing(ret, err);
}

int http1_parse_request(struct str head, struct http1_head *ret, struct error *err)
{
	struct str line;
	ret->status = 0;
	if (!next_line(&head, &line))
		return bad(err, "no request line");
	if (parse_request_line(line, ret, err) < 0)
		return -1;
	return parse_headers(head, ret, err);
}

int http1_parse_reply(struct str head, struct http1_head *ret, struct error *err)
{
	struct str line;
	ret->method = ret->path = ret->query = STR_NONE;
	if (!next_line(&head, &line))
		return bad(err, "no status line");
	if (parse_status_line(line, ret, err) < 0)
		return -1;
	return parse_headers(head, ret, err);
}

struct str http1_find(const struct http1_head *head, const char *name)
{
	struct str wanted = str_from(name);
	for (size_t i = 0; i < head->n_headers; i++)
		if (str_eq_nocase(head->headers[i].name, wanted))
			return head->headers[i].value;
	return STR_NONE;
}

bool http1_has_token(struct str value, const char *token)
{
	struct str piece;
	while (str_split(&value, ',', &piece))
		if (str_eq_nocase(trim_ows(piece), str_from(token)))
			return true;
	return false;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)(c | 0x20);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* One byte of "1f;ext\r\n". */
static int size_byte(struct http1_chunks *c, char byte, struct error *err)
{
	int digit = hex_digit(byte);
	if (++c->line_len > CHUNK_LINE_MAX)
		return bad(err, "a chunk size line without an end");
	if (c->has_cr) {
		if (byte != '\n')
			return bad(err, "a CR without LF in a chunk size");
		c->state = c->left ? CHUNK_DATA : CHUNK_TRAILER;
		c->has_cr = c->has_digit = c->in_extension = false;
		c->line_len = 0;
	} else if (byte == '\r') {
		if (!c->has_digit)
			return bad(err, "a chunk without a size");
		c->has_cr = true;
	} else if (c->in_extension || (byte == ';' && c->has_digit)) {
		if ((unsigned char)byte < 0x20 && byte != '\t')
			return bad(err, "a control byte in a chunk extension");
		c->in_extension = true;
	} else if (digit < 0 || c->left >> 58) {
		return bad(err, "a chunk size that is no hex number");
	} else {
		c->left = c->left << 4 | (uint64_t)digit;
		c->has_digit = true;
	}
	return 0;
}

/* One byte of the trailers: lines that are dropped, up to an empty one. */
static int trailer_byte(struct http1_chunks *c, char byte, struct error *err)
{
	if (++c->trailers > TRAILERS_MAX)
		return bad(err, "trailers without an end");
	if (c->has_cr) {
		if (byte != '\n')
			return bad(err, "a CR without LF in a trailer");
		c->state = c->line_len == 0 ? CHUNK_DONE : CHUNK_TRAILER;
		c->has_cr = false;
		c->line_len = 0;
	} else if (byte == '\r') {
		c->has_cr = true;
	} else if ((unsigned char)byte < 0x20 && byte != '\t') {
		return bad(err, "a control byte in a trailer");
	} else {
		c->line_len++;
	}
	return 0;
}

static int data_end_byte(struct http1_chunks *c, char byte, struct error *err)
{
	if (byte != (c->has_cr ? '\n' : '\r'))
		return bad(err, "a chunk that is longer than its size");
	if (c->has_cr)
		c->state = CHUNK_SIZE;
	c->has_cr = !c->has_cr;
	return 0;
}

ssize_t http1_dechunk(struct http1_chunks *c, struct str in, struct str *ret_piece,
	struct error *err)
{
	size_t used = 0;
	int r = 0;
	*ret_piece = STR_NONE;
	while (used < in.len && c->state != CHUNK_DONE && c->state != CHUNK_DATA && r == 0) {
		char byte = in.ptr[used++];
		if (c->state == CHUNK_SIZE)
			r = size_byte(c, byte, err);
		else if (c->state == CHUNK_DATA_END)
			r = data_end_byte(c, byte, err);
		else
			r = trailer_byte(c, byte, err);
	}
	if (r < 0)
		return -1;
	if (c->state == CHUNK_DATA && used < in.len) {
		struct str rest = str_skip(in, used);
		*ret_piece = str_first(rest, c->left < rest.len ? (size_t)c->left : rest.len);
		c->left -= ret_piece->len;
		used += ret_piece->len;
		if (c->left == 0)
			c->state = CHUNK_DATA_END;
	}
	return (ssize_t)used;
}
