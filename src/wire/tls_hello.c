/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. The handshake message is put together from its records first, so that what
 * reads it sees one run of bytes. `struct reader` takes from the front; one that wanted more than
 * there was stays broken and gives zeroes, so a chain of takes needs one check, at its end.
 */
#include "wire/tls_hello.h"

enum {
	RECORD_HEADER = 5,
	RECORD_HANDSHAKE = 22,
	MESSAGE_HEADER = 4,
	CLIENT_HELLO = 1,
	EXTENSION_SERVER_NAME = 0,
	NAME_HOST = 0,
};

struct reader {
	struct str rest;
	bool is_broken;
};

static struct str take(struct reader *r, size_t n)
{
	if (r->is_broken || n > r->rest.len) {
		r->is_broken = true;
		return STR_NONE;
	}
	struct str piece = str_first(r->rest, n);
	r->rest = str_skip(r->rest, n);
	return piece;
}

static size_t take_number(struct reader *r, size_t bytes)
{
	struct str s = take(r, bytes);
	size_t value = 0;
	for (size_t i = 0; i < s.len; i++)
		value = value << 8 | (uint8_t)s.ptr[i];
	return value;
}

/* A run of bytes behind its length, which has so many bytes. */
static struct reader take_vector(struct reader *r, size_t length_bytes)
{
	size_t n = take_number(r, length_bytes);
	struct str piece = take(r, n);
	return (struct reader){ piece, r->is_broken };
}

static int no_hello(struct error *err)
{
	return error_set(err, ERROR_INVALID,
		"the connection does not begin with a TLS ClientHello");
}

/* 1: the whole message is in *message; 0: not yet. */
static int gather(struct str bytes, struct buf *message, struct error *err)
{
	while (bytes.len >= RECORD_HEADER) {
		size_t size = (size_t)(uint8_t)bytes.ptr[3] << 8 | (uint8_t)bytes.ptr[4];
		if (bytes.ptr[0] != RECORD_HANDSHAKE || bytes.ptr[1] != 3 || size == 0)
			return no_hello(err);
		struct str piece = str_first(str_skip(bytes, RECORD_HEADER), size);
		if (buf_put(message, piece) < 0 ||
			(message->len && message->ptr[0] != CLIENT_HELLO))
			return no_hello(err);
		if (message->len >= MESSAGE_HEADER) {
			struct reader r = { str_skip(buf_str(message), 1), false };
			size_t length = take_number(&r, 3);
			if (length > TLS_HELLO_MAX - MESSAGE_HEADER)
				return no_hello(err);
			if (r.rest.len >= length)
				return 1;
		}
		if (piece.len < size)
			return 0;
		bytes = str_skip(bytes, RECORD_HEADER + size);
	}
	bool is_possible = bytes.len == 0 || bytes.ptr[0] == RECORD_HANDSHAKE;
	return is_possible ? 0 : no_hello(err);
}

static int read_server_name(struct reader extension, char *ret_name, struct error *err)
{
	struct reader list = take_vector(&extension, 2);
	while (!list.is_broken && list.rest.len) {
		size_t kind = take_number(&list, 1);
		struct reader name = take_vector(&list, 2);
		if (kind == NAME_HOST && !name.is_broken)
			return dns_name(name.rest, ret_name, err);
	}
	return list.is_broken ? no_hello(err) : 0;
}

int tls_hello_name(struct str bytes, char ret_name[DNS_NAME_SIZE], struct error *err)
{
	auto_buf struct buf message = BUF_INIT(TLS_HELLO_MAX);
	ret_name[0] = '\0';
	int r = gather(bytes, &message, err);
	if (r <= 0)
		return r;
	struct reader hello = { str_skip(buf_str(&message), 1), false };
	hello = take_vector(&hello, 3);
	take(&hello, 2 + 32);   /* version, random */
	take_vector(&hello, 1); /* session */
	take_vector(&hello, 2); /* ciphers */
	take_vector(&hello, 1); /* compressions */
	if (hello.is_broken)
		return no_hello(err);
	if (hello.rest.len == 0)
		return 1;
	struct reader extensions = take_vector(&hello, 2);
	while (!extensions.is_broken && extensions.rest.len) {
		size_t kind = take_number(&extensions, 2);
		struct reader extension = take_vector(&extensions, 2);
		if (kind == EXTENSION_SERVER_NAME && !extension.is_broken)
			return read_server_name(extension, ret_name, err) < 0 ? -1 : 1;
	}
	return extensions.is_broken ? no_hello(err) : 1;
}
