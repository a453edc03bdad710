/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/door.h"

#include "base/auto.h"
#include "base/buf.h"
#include "base/num.h"

static const char magic[4] = { 'c', 'a', 'y', '1' };

bool door_take_hello(struct door *d, struct str hello)
{
	if (hello.len != DOOR_HELLO_SIZE || memcmp(hello.ptr, magic, sizeof(magic)) != 0)
		return false;
	char kind = hello.ptr[4];
	if ((kind != DOOR_CALL && kind != DOOR_LINE) || hello.ptr[5] || hello.ptr[6] ||
		hello.ptr[7])
		return false;
	d->kind = kind;
	memcpy(d->server_nonce, hello.ptr + 8, DOOR_NONCE_SIZE);
	return true;
}

void door_put_hello(const struct door *d, char ret[DOOR_HELLO_SIZE])
{
	memset(ret, 0, 8);
	memcpy(ret, magic, sizeof(magic));
	ret[4] = d->kind;
	memcpy(ret + 8, d->server_nonce, DOOR_NONCE_SIZE);
}

void door_prove(const struct door *d, enum door_side side, struct str secret,
	char ret[SHA256_HEX_SIZE])
{
	char text[2 + 2 * DOOR_NONCE_SIZE] = { (char)side, d->kind };
	memcpy(text + 2, d->server_nonce, DOOR_NONCE_SIZE);
	memcpy(text + 2 + DOOR_NONCE_SIZE, d->executor_nonce, DOOR_NONCE_SIZE);
	hmac_sha256(secret, str_from_len(text, sizeof(text)), ret);
}

bool door_is_proof(const struct door *d, enum door_side side, struct str secret, struct str proof)
{
	char right[SHA256_HEX_SIZE];
	door_prove(d, side, secret, right);
	return str_eq_secret(proof, str_from_len(right, DOOR_PROOF_SIZE));
}

static bool take_word(struct str *rest, struct str *ret)
{
	return rest->len && str_split(rest, ' ', ret);
}

bool door_take_ready(struct str line, struct door_ready *ret)
{
	struct str word;
	int64_t uid, gid;
	if (!take_word(&line, &word) || !str_is(word, "R") || !take_word(&line, &word) ||
		num_parse_i64(word, 0, UINT32_MAX, &uid, NULL) < 0 || !take_word(&line, &word) ||
		num_parse_i64(word, 0, UINT32_MAX, &gid, NULL) < 0 || !line.len ||
		line.ptr[0] != '/' || str_has_nul(line))
		return false;
	*ret = (struct door_ready){ (uint32_t)uid, (uint32_t)gid, line };
	return true;
}

bool door_take_usage(struct str line, struct door_usage *ret)
{
	struct str word;
	struct door_usage u = { 0 };
	int64_t *const numbers[] = { &u.memory_bytes, &u.memory_peak_bytes, &u.pids, &u.cpu_us };
	if (!take_word(&line, &word) || !str_is(word, "U"))
		return false;
	for (size_t i = 0; i < ARRAY_LEN(numbers); i++)
		if (!take_word(&line, &word) ||
			num_parse_i64(word, -1, INT64_MAX, numbers[i], NULL) < 0)
			return false;
	if (line.len)
		return false;
	*ret = u;
	return true;
}
