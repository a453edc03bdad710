/* SPDX-License-Identifier: Apache-2.0 */
#include "http/role.h"

#include "base/auto.h"
#include "base/id.h"
#include "base/num.h"
#include "wire/base64.h"
#include "wire/sha256.h"

#define PREFIX "cay1."

/* Nothing else that is keyed with the token begins so. */
#define PURPOSE "cay token 1\n"

static const char *const names[ROLE_MAX] = {
	[ROLE_ADMIN] = "admin",
	[ROLE_SANDBOX] = "sandbox",
	[ROLE_READ] = "read",
	[ROLE_WRITE] = "write",
};

const char *role_name(enum role role)
{
	return names[role];
}

int role_parse(struct str name, enum role *ret, struct error *err)
{
	for (int i = ROLE_ADMIN + 1; i < ROLE_MAX; i++)
		if (str_is(name, names[i])) {
			*ret = (enum role)i;
			return 0;
		}
	return error_set(err, ERROR_INVALID, "'%.*s' is no role: sandbox, read and write are",
		STR_ARG(str_first(name, 20)));
}

static bool is_of_file(enum role role)
{
	return role == ROLE_READ || role == ROLE_WRITE;
}

static bool has_control(struct str s)
{
	for (size_t i = 0; i < s.len; i++)
		if ((unsigned char)s.ptr[i] < 0x20 || s.ptr[i] == 0x7f)
			return true;
	return false;
}

static void put_mac(struct str payload, const char *key, char ret_hex[SHA256_HEX_SIZE])
{
	auto_buf struct buf b = BUF_INIT(sizeof(PURPOSE) + ROLE_TOKEN_MAX);
	buf_puts(&b, PURPOSE);
	buf_put(&b, payload);
	hmac_sha256(str_from(key), buf_str(&b), ret_hex);
}

/* ---- making ---- */

/* RFC 4648 5, without padding: it goes into a path. */
static void put_base64url(struct str bytes, struct buf *b)
{
	size_t from = b->len;
	base64_encode(bytes, b);
	while (b->len > from && b->ptr[b->len - 1] == '=')
		buf_cut(b, b->len - 1);
	for (size_t i = from; i < b->len; i++)
		b->ptr[i] = b->ptr[i] == '+' ? '-' : b->ptr[i] == '/' ? '_' : b->ptr[i];
}

int grant_put(const struct grant *g, const char *key, struct buf *b, struct error *err)
{
	auto_buf struct buf payload = BUF_INIT(ROLE_PATH_MAX + 256);
	char mac[SHA256_HEX_SIZE];
	if (!id_is_valid(g->sandbox))
		return error_set(err, ERROR_INVALID, "a token is for a sandbox, by its whole id");
	if (is_of_file(g->role) &&
		(!g->path.len || g->path.len > ROLE_PATH_MAX || has_control(g->path)))
		return error_set(err, ERROR_INVALID,
			"a token for a file takes a path of 1 to %d bytes without control characters",
			ROLE_PATH_MAX);
	buf_printf(&payload, "%s %.*s %lld", names[g->role], STR_ARG(g->sandbox),
		(long long)g->until_s);
	if (is_of_file(g->role))
		buf_printf(&payload, " %.*s", STR_ARG(g->path));
	put_mac(buf_str(&payload), key, mac);
	buf_puts(b, PREFIX);
	put_base64url(buf_str(&payload), b);
	buf_printf(b, ".%s", mac);
	return 0;
}

/* ---- reading ---- */

bool grant_is_token(struct str text)
{
	return str_starts(text, STR(PREFIX));
}

static int take_base64url(struct str text, struct buf *b)
{
	auto_buf struct buf standard = BUF_INIT(ROLE_TOKEN_MAX);
	for (size_t i = 0; i < text.len; i++) {
		char c = text.ptr[i];
		if (c == '+' || c == '/' || c == '=')
			return -1; /* one text for each token */
		buf_putc(&standard, c == '-' ? '+' : c == '_' ? '/' : c);
	}
	while (standard.len % 4)
		buf_putc(&standard, '=');
	return base64_decode(buf_str(&standard), b, NULL);
}

static int take_payload(struct str payload, struct arena *arena, struct grant *ret)
{
	struct str rest = payload, name, id, until;
	struct grant g = { 0 };
	if (!str_split(&rest, ' ', &name) || !str_split(&rest, ' ', &id) ||
		!str_split(&rest, ' ', &until) || role_parse(name, &g.role, NULL) < 0 ||
		num_parse_i64(until, 0, INT64_MAX, &g.until_s, NULL) < 0)
		return -1;
	g.sandbox = (struct str){ arena_str(arena, id), id.len };
	if (is_of_file(g.role))
		g.path = (struct str){ arena_str(arena, rest), rest.len };
	*ret = g;
	return 0;
}

int grant_parse(struct str text, const char *key, struct arena *arena, struct grant *ret,
	struct error *err)
{
	auto_buf struct buf payload = BUF_INIT(ROLE_TOKEN_MAX);
	char wanted[SHA256_HEX_SIZE];
	struct str body = str_skip(text, sizeof(PREFIX) - 1);
	ptrdiff_t dot = str_find_char(body, '.');
	if (!grant_is_token(text) || text.len > ROLE_TOKEN_MAX || dot < 0 ||
		take_base64url(str_first(body, (size_t)dot), &payload) < 0)
		return error_set(err, ERROR_UNAUTHORIZED, "the token is wrong");
	put_mac(buf_str(&payload), key, wanted);
	/* First the proof, then a look at what it says. */
	if (!str_eq_secret(str_skip(body, (size_t)dot + 1), str_from(wanted)) ||
		take_payload(buf_str(&payload), arena, ret) < 0)
		return error_set(err, ERROR_UNAUTHORIZED, "the token is wrong");
	return 0;
}
