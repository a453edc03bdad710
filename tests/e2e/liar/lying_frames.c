/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An executor that lies: linked into cay-executor in front of frame_put (--wrap), it changes what
 * the server is told. How, is in a file of the sandbox, so that each test begins with an honest
 * one:
 *
 *	/tmp/lie	SEED ONE_IN	each frame is changed with a chance of one in ONE_IN
 *
 * and so is what a layer of it consists of (lying_crates.c).
 *
 * The server must answer whoever asked, or say that the executor broke the protocol; it must not
 * fall over, and other sandboxes must not notice.
 */
#include "lying.h"

#include "base/auto.h"
#include "wire/frame.h"

#include <fcntl.h>
#include <stdio.h>

int __real_frame_put(struct buf *b, enum frame_kind kind, uint8_t channel, struct str payload);
int __wrap_frame_put(struct buf *b, enum frame_kind kind, uint8_t channel, struct str payload);

enum { TOKENS_MAX = 4096, DEPTH_MAX = 64 };

/* A value or a key of a JSON text, from `start` to `end`; a key's value is the token after it. */
struct token {
	size_t start, end;
	bool is_key;
};

static struct token tokens[TOKENS_MAX];
static size_t n_tokens;
static uint64_t state;

static const char *const others[] = {
	"null",
	"true",
	"0",
	"-1",
	"1e308",
	"-9223372036854775808",
	"18446744073709551616",
	"0.5",
	"4294967296",
	"2147483648",
	"\"\"",
	"\"\\u0000\"",
	"\"../../../../etc/passwd\"",
	"\"a\\r\\nb: c\"",
	"\"running\"",
	"[]",
	"{}",
	"[[],{},null]",
	"{\"\":{\"\":[]}}",
	"[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]",
	"\"\\ud800\"",
	"tru",
	"\"",
};

uint64_t draw(uint64_t n)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state % n;
}

static size_t string_end(struct str s, size_t at)
{
	for (at++; at < s.len && s.ptr[at] != '"'; at++)
		at += s.ptr[at] == '\\';
	return at < s.len ? at + 1 : s.len;
}

static size_t scalar_end(struct str s, size_t at)
{
	while (at < s.len && !strchr(",]} \t\n", s.ptr[at]))
		at++;
	return at;
}

static void add_token(size_t start, size_t end, bool is_key)
{
	if (n_tokens < TOKENS_MAX)
		tokens[n_tokens++] = (struct token){ start, end, is_key };
}

static void find_tokens(struct str s)
{
	size_t open[DEPTH_MAX], depth = 0;
	n_tokens = 0;
	for (size_t at = 0; at < s.len;) {
		char c = s.ptr[at];
		size_t end = at + 1;
		if (c == '{' || c == '[') {
			open[depth < DEPTH_MAX ? depth++ : DEPTH_MAX - 1] = n_tokens;
			add_token(at, s.len, false);
		} else if (c == '}' || c == ']') {
			if (depth && open[--depth] < n_tokens)
				tokens[open[depth]].end = end;
		} else if (c == '"') {
			end = string_end(s, at);
			add_token(at, end, end < s.len && s.ptr[end] == ':');
		} else if (!strchr(",: \t\n", c)) {
			end = scalar_end(s, at);
			end += end == at;
			add_token(at, end, false);
		}
		at = end;
	}
}

static void put_replaced(struct buf *b, struct str s, const struct token *t, struct str by)
{
	buf_put(b, str_first(s, t->start));
	buf_put(b, by);
	buf_put(b, str_skip(s, t->end));
}

/* Another value, a key less, a key twice, or another key. */
static void lie_in_json(struct buf *b, struct str s)
{
	find_tokens(s);
	if (!n_tokens) {
		buf_put(b, str_from(others[draw(ARRAY_LEN(others))]));
		return;
	}
	const struct token *t = &tokens[draw(n_tokens)];
	if (!t->is_key || t + 1 == tokens + n_tokens) {
		put_replaced(b, s, t, str_from(others[draw(ARRAY_LEN(others))]));
		return;
	}
	struct token member = { t->start, t[1].end, true };
	switch (draw(3)) {
	case 0:
		put_replaced(b, s, &member, STR("\"x\":0"));
		break;
	case 1:
		buf_put(b, str_first(s, member.end));
		buf_put(b, STR(","));
		buf_put(b, str_first(str_skip(s, t->start), t->end - t->start));
		buf_put(b, STR(":[]"));
		buf_put(b, str_skip(s, member.end));
		break;
	default:
		put_replaced(b, s, t, STR("\"\""));
	}
}

static void lie_in_bytes(struct buf *b, struct str s)
{
	size_t at = s.len ? draw(s.len) : 0;
	char bit = (char)(1 << draw(8));
	switch (draw(3)) {
	case 0: /* cut */
		buf_put(b, str_first(s, at));
		break;
	case 1: /* a bit */
		buf_put(b, s);
		if (s.len)
			b->ptr[at] ^= bit;
		break;
	default: /* more */
		buf_put(b, s);
		buf_put(b, s);
	}
}

/* What the frame says it is. */
static int put_disguised(struct buf *b, enum frame_kind kind, uint8_t channel, struct str payload)
{
	size_t at = b->len;
	switch (draw(5)) {
	case 0: /* two ends, or everything twice */
		__real_frame_put(b, kind, channel, payload);
		return __real_frame_put(b, kind, channel, payload);
	case 1: /* nothing */
		return 0;
	case 2: /* a byte of the head */
		if (__real_frame_put(b, kind, channel, payload) < 0)
			return -1;
		b->ptr[at + draw(FRAME_HEAD)] ^= (char)(1 << draw(8));
		return 0;
	case 3:
		return __real_frame_put(b, kind, (uint8_t)draw(256), payload);
	default:
		return __real_frame_put(b, (enum frame_kind)(1 + draw(FRAME_KIND_MAX - 1)), channel,
			payload);
	}
}

/* Whether this frame is to be a lie. */
bool lies(void)
{
	char text[64] = "";
	auto_fd int fd = open("/tmp/lie", O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW);
	unsigned long long seed, one_in;
	if (fd < 0 || read(fd, text, sizeof(text) - 1) <= 0 ||
		sscanf(text, "%llu %llu", &seed, &one_in) != 2 || one_in == 0)
		return false;
	if (!state)
		state = seed * 0x9e3779b97f4a7c15U + 1;
	return draw(one_in) == 0;
}

int __wrap_frame_put(struct buf *b, enum frame_kind kind, uint8_t channel, struct str payload)
{
	if (!lies())
		return __real_frame_put(b, kind, channel, payload);
	if (draw(5) == 0)
		return put_disguised(b, kind, channel, payload);
	auto_buf struct buf changed = BUF_INIT(FRAME_PAYLOAD_MAX);
	if (kind == FRAME_DATA || draw(8) == 0)
		lie_in_bytes(&changed, payload);
	else
		lie_in_json(&changed, payload);
	return __real_frame_put(b, kind, channel, buf_str(&changed));
}
