/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tokens of a sandbox, and the signatures that SDKs make with them: "v1_" and the base64, without
 * padding, of SHA-256 over PATH:OPERATION:USER:TOKEN and, if the link ends, ":SECONDS".
 *
 * A link names no sandbox where its client was not told of a header: then it is the one whose token
 * made it. Looking for that costs a hash for each living sandbox of this face.
 */
#include "face/e2b/state.h"

#include "base/auto.h"
#include "base/clock.h"
#include "base/num.h"
#include "runtime/port.h"
#include "wire/base64.h"
#include "wire/sha256.h"

enum { PURPOSE_SIZE = 2 * ID_SIZE, NUMBER_MAX = 24 };

static void purpose(const char *what, struct str id, char ret[PURPOSE_SIZE])
{
	snprintf(ret, PURPOSE_SIZE, "e2b %s %.*s", what, STR_ARG(str_first(id, ID_LEN)));
}

void e2b_token(const struct http_request *r, struct str id, char ret[E2B_TOKEN_SIZE])
{
	char text[PURPOSE_SIZE];
	purpose("envd", id, text);
	ticket_make(r, str_from(text), ret);
}

bool e2b_token_is_valid(const struct http_request *r, struct str id, struct str token)
{
	char text[PURPOSE_SIZE];
	purpose("envd", id, text);
	return id_is_valid(id) && ticket_is_valid(r, str_from(text), token);
}

void e2b_traffic_token(const struct http_request *r, struct str id, char ret[E2B_TOKEN_SIZE])
{
	char text[PORT_PURPOSE_SIZE];
	port_purpose_of_all(id, text);
	ticket_make(r, str_from(text), ret);
}

bool e2b_traffic_is_valid(const struct http_request *r, struct str id, struct str token)
{
	char text[PORT_PURPOSE_SIZE];
	port_purpose_of_all(id, text);
	return id_is_valid(id) && ticket_is_valid(r, str_from(text), token);
}

/* ---- signatures ---- */

static int digit_of(char c)
{
	return c <= '9' ? c - '0' : c - 'a' + 10;
}

static void put_signature(struct sha256 *h, struct buf *b)
{
	char hex[SHA256_HEX_SIZE], bytes[32];
	sha256_end(h, hex);
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (char)(digit_of(hex[2 * i]) << 4 | digit_of(hex[2 * i + 1]));
	buf_puts(b, "v1_");
	base64_encode(str_from_len(bytes, sizeof(bytes)), b);
	while (b->len && b->ptr[b->len - 1] == '=')
		buf_cut(b, b->len - 1);
}

/* What comes before the token: the same for every sandbox, and of a stranger's length. */
static void hash_link(struct http_request *r, struct sha256 *h)
{
	sha256_init(h);
	sha256_add(h, http_query(r, "path"));
	sha256_add(h, str_is(r->method, "POST") ? STR(":write:") : STR(":read:"));
	sha256_add(h, http_query(r, "username"));
	sha256_add(h, STR(":"));
}

static bool is_signed(struct http_request *r, const struct sha256 *link, struct str id,
	struct str signature, struct str end)
{
	auto_buf struct buf wanted = BUF_INIT(128);
	struct sha256 h = *link;
	char token[E2B_TOKEN_SIZE];
	e2b_token(r, id, token);
	if (!token[0])
		return true; /* this server asks for no token */
	sha256_add(&h, str_from(token));
	if (end.len)
		sha256_add(&h, STR(":"));
	sha256_add(&h, end);
	put_signature(&h, &wanted);
	return str_eq_secret(signature, buf_str(&wanted));
}

static struct e2b_box *find(struct http_request *r, struct str signature, struct str end)
{
	struct str id = e2b_id_of_data(r);
	struct e2b *e = e2b_of(r);
	struct e2b_box *b;
	struct sha256 link;
	if (end.len > NUMBER_MAX)
		return NULL;
	hash_link(r, &link);
	if (id.len)
		return is_signed(r, &link, id, signature, end) ? e2b_box_find(e, id) : NULL;
	list_for_each(b, &e->boxes, link)
		if (is_signed(r, &link, str_from(b->id), signature, end))
			return e2b_box_find(e, str_from(b->id));
	return NULL;
}

struct e2b_box *e2b_signed_box(struct http_request *r, struct error *err)
{
	struct str signature = http_query(r, "signature");
	struct str end = http_query(r, "signature_expiration");
	int64_t until_s = INT64_MAX;
	if (!signature.len) {
		error_set(err, ERROR_UNAUTHORIZED, "missing signature query parameter");
		return NULL;
	}
	struct e2b_box *b = find(r, signature, end);
	if (!b ||
		(end.len &&
			num_parse_i64(end, INT64_MIN / 1000, INT64_MAX / 1000, &until_s, NULL) <
				0)) {
		error_set(err, ERROR_UNAUTHORIZED, "invalid signature");
		return NULL;
	}
	if (end.len && until_s * 1000 <= clock_wall_ms()) {
		error_set(err, ERROR_UNAUTHORIZED, "signature is already expired");
		return NULL;
	}
	return b;
}
