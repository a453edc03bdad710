/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http1: the framing of HTTP/1.1 messages (RFC 9112), strictly. What two parsers could read in two
 * ways is refused: bare LF, NUL and other control bytes, folded headers, a space before the colon,
 * two Content-Length, Content-Length next to Transfer-Encoding, any coding but "chunked", "+5" as a
 * length.
 *
 *	size_t scanned = 0;
 *	ssize_t n = http1_head_end(in, &scanned, err);       0: more bytes are needed
 *	if (n > 0 && http1_parse_request(str_first(in, n), &head, err) == 0) …
 *
 * All views point into the bytes that were parsed.
 */
#pragma once

#include "base/error.h"
#include "base/str.h"

#include <stdint.h>
#include <sys/types.h>

enum { HTTP1_HEADERS_MAX = 100 };

struct http1_header {
	struct str name, value;
};

struct http1_head {
	struct str method, path,
		query;          /* of a request; query without '?', STR_NONE if there is none */
	int status;             /* of a reply */
	int minor;              /* HTTP/1.minor */
	int64_t content_length; /* -1: none was given */
	bool is_chunked;
	bool keeps_alive;
	size_t n_headers;
	struct http1_header headers[HTTP1_HEADERS_MAX];
};

/*
 * The size of the head at the front of `in`, its empty line included; 0 if that is not there yet;
 * -1 (ERROR_INVALID) as soon as the bytes cannot become a head. *scanned starts at 0 and saves
 * rescanning.
 */
ssize_t http1_head_end(struct str in, size_t *scanned, struct error *err);
/*
 * ERROR_INVALID; ERROR_UNSUPPORTED for another version or coding; ERROR_LIMIT for too many headers.
 */
int http1_parse_request(struct str head, struct http1_head *ret, struct error *err);
int http1_parse_reply(struct str head, struct http1_head *ret, struct error *err);
/* The first value under this name (case does not matter), or STR_NONE. */
struct str http1_find(const struct http1_head *head, const char *name);
/* True if the comma-separated list in `value` holds the token (case does not matter). */
bool http1_has_token(struct str value, const char *token);

/* A chunked body being read. Starts as all zero. */
struct http1_chunks {
	enum { CHUNK_SIZE, CHUNK_DATA, CHUNK_DATA_END, CHUNK_TRAILER, CHUNK_DONE } state;
	uint64_t left; /* of the chunk */
	int line_len;  /* of the size line or trailer being read */
	int trailers;  /* bytes of trailers seen; they are dropped */
	bool has_digit, in_extension, has_cr;
};

/*
 * Reads from the front of `in`: returns how many bytes were used and in *ret_piece the data among
 * them (empty if there is none). Call again with the rest until it uses 0 bytes or state is
 * CHUNK_DONE.
 */
ssize_t http1_dechunk(struct http1_chunks *c, struct str in, struct str *ret_piece,
	struct error *err);
