/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An executor that lies: linked into cay-executor in front of frame_put (--wrap), it changes what
 * the server is told. How, is in a file of the sandbox, so that each test begins with an honest
 * one:
 *
 *	/tmp/lie	SEED ONE_IN	each frame is changed with a chance of one in ONE_IN,
 *					and so is what a layer consists of (lying_crates.c)
 *	/tmp/lie	each WAY	of all frames with the same keys the first has its first
 *					value changed in that way, the next its second, until none
 *					is left. Ways: the lines of `others`, then what can be done
 *					to a key, then those of enum spoiled, which befall each
 *					second frame of their kind
 *	/tmp/lie	unfinished	of each result only the last byte is left out, and it is as
 *					long as one may be
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

enum { TOKENS_MAX = 4096, DEPTH_MAX = 64, SHAPES_MAX = 512, EACH_MAX = 64 };

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

enum { KEY_WAYS = 3, MUCH = 1024 * 1024 };

enum spoiled {
	DATA_CUT,
	DATA_TWICE,
	DATA_EMPTY,
	DATA_ELSEWHERE,
	DATA_NOWHERE,
	DATA_MUCH,
	END_TWICE,
	END_THEN_DATA,
	END_THEN_EVENT,
	END_THEN_ERROR,
	END_AS_EVENT,
	SPOILED_WAYS,
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

/* The key and its value go, the key comes twice, or it is another. */
static void lie_about_key(struct buf *b, struct str s, const struct token *t, uint64_t way)
{
	struct token member = { t->start, t[1].end, true };
	switch (way) {
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
	lie_about_key(b, s, t, draw(3));
}

/* ---- each value once ---- */

/* Frames with the same keys in the same order, and which of their values is next. */
static struct shape {
	uint64_t keys;
	size_t next;
} shapes[SHAPES_MAX];
static size_t n_shapes, begin_at;

static struct shape *find_shape(struct str s)
{
	uint64_t keys = 14695981039346656037U;
	size_t i = 0;
	for (size_t k = 0; k < n_tokens; k++)
		for (size_t at = tokens[k].start; tokens[k].is_key && at < tokens[k].end; at++)
			keys = (keys ^ (unsigned char)s.ptr[at]) * 1099511628211U;
	while (i < n_shapes && shapes[i].keys != keys)
		i++;
	if (i == n_shapes && i < SHAPES_MAX)
		shapes[n_shapes++] = (struct shape){ keys, begin_at };
	return i < SHAPES_MAX ? &shapes[i] : NULL;
}

/* ---- values of a size that none has ---- */

enum {
	SWOLLEN_AT = ARRAY_LEN(others) + KEY_WAYS + SPOILED_WAYS,
	SWOLLEN_BYTES = 5 * 1024 * 1024,
	MANY_BYTES = 1024 * 1024, /* fewer values than a result may have */
};

enum swollen {
	LONG_TEXT,
	LONG_ESCAPES,  /* a text that grows when it is told again */
	MANY_ELEMENTS, /* an array's own, again and again */
	MANY_OBJECTS,  /* an array of objects without anything */
	MANY_MEMBERS,  /* an object's */
	MANY_DIGITS,   /* a number's */
	MANY_LINES,    /* the value itself, between ends of lines */
};

static void put_many(struct buf *b, struct str piece)
{
	for (bool is_first = true; b->len < MANY_BYTES; is_first = false) {
		if (!is_first)
			buf_putc(b, ',');
		buf_put(b, piece);
	}
}

/* False: a value of that kind does not swell in that way. */
static bool put_swollen(struct buf *b, enum swollen way, struct str value, struct str element)
{
	bool is_array = str_starts(value, STR("[")), is_object = str_starts(value, STR("{"));
	bool is_text = str_starts(value, STR("\""));
	switch (way) {
	case LONG_TEXT:
	case LONG_ESCAPES:
		buf_putc(b, '"');
		while (b->len < SWOLLEN_BYTES)
			buf_puts(b, way == LONG_TEXT ? "/a long text" : "\\u001b\\\"");
		buf_putc(b, '"');
		return is_text;
	case MANY_ELEMENTS:
	case MANY_OBJECTS:
		buf_putc(b, '[');
		put_many(b, way == MANY_OBJECTS || !element.len ? STR("{}") : element);
		buf_putc(b, ']');
		return is_array;
	case MANY_MEMBERS:
		buf_puts(b, "{\"\":0");
		for (int i = 0; b->len < SWOLLEN_BYTES; i++)
			buf_printf(b, ",\"k%d\":[]", i);
		buf_putc(b, '}');
		return is_object;
	case MANY_LINES:
		buf_puts(b, "\r\n");
		buf_put(b, value);
		buf_puts(b, "\n\n");
		return true;
	default:
		while (b->len < SWOLLEN_BYTES)
			buf_putc(b, '9');
		return !is_text && !is_object && !is_array;
	}
}

/* False: the frame has been told with all of its lies. */
static bool swell_once(struct buf *b, struct str s, enum swollen way)
{
	find_tokens(s);
	struct shape *shape = find_shape(s);
	while (shape && shape->next < MIN(n_tokens, (size_t)EACH_MAX)) {
		auto_buf struct buf big = BUF_INIT(FRAME_PAYLOAD_MAX);
		const struct token *t = &tokens[shape->next++];
		struct str value = str_first(str_skip(s, t->start), t->end - t->start);
		bool has_element = t + 1 < tokens + n_tokens && t[1].end < t->end;
		struct str element = has_element
			? str_first(str_skip(s, t[1].start), t[1].end - t[1].start)
			: STR_NONE;
		if (t->is_key || !put_swollen(&big, way, value, element))
			continue;
		put_replaced(b, s, t, buf_str(&big));
		return true;
	}
	return false;
}

/* False: the frame has been told with all of its lies. */
static bool lie_once(struct buf *b, struct str s, size_t way)
{
	bool wants_key = way >= ARRAY_LEN(others);
	if (way >= SWOLLEN_AT)
		return swell_once(b, s, (enum swollen)(way - SWOLLEN_AT));
	find_tokens(s);
	struct shape *shape = find_shape(s);
	while (shape && shape->next < MIN(n_tokens, (size_t)EACH_MAX)) {
		const struct token *t = &tokens[shape->next++];
		if (t->is_key != wants_key || (wants_key && t + 1 == tokens + n_tokens))
			continue;
		if (wants_key)
			lie_about_key(b, s, t, way - ARRAY_LEN(others));
		else
			put_replaced(b, s, t, str_from(others[way]));
		return true;
	}
	return false;
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

/* ---- what becomes of frames ---- */

static int spoil_data(struct buf *b, enum spoiled way, uint8_t channel, struct str bytes)
{
	static char much[MUCH];
	switch (way) {
	case DATA_CUT:
		bytes = str_first(bytes, bytes.len / 2);
		break;
	case DATA_TWICE:
		__real_frame_put(b, FRAME_DATA, channel, bytes);
		break;
	case DATA_EMPTY:
		bytes = STR_NONE;
		break;
	case DATA_ELSEWHERE:
		channel ^= 3;
		break;
	case DATA_NOWHERE:
		channel = 255;
		break;
	default:
		memset(much, '\n', sizeof(much));
		bytes = str_from_len(much, sizeof(much));
	}
	return __real_frame_put(b, FRAME_DATA, channel, bytes);
}

static int spoil_end(struct buf *b, enum spoiled way, enum frame_kind kind, struct str json)
{
	if (way == END_AS_EVENT)
		__real_frame_put(b, FRAME_EVENT, 0, json);
	int r = __real_frame_put(b, kind, 0, json);
	switch (way) {
	case END_TWICE:
		return __real_frame_put(b, kind, 0, json);
	case END_THEN_DATA:
		return __real_frame_put(b, FRAME_DATA, 1, json);
	case END_THEN_EVENT:
		return __real_frame_put(b, FRAME_EVENT, 0, json);
	case END_THEN_ERROR:
		return __real_frame_put(b, FRAME_ERROR, 0,
			STR("{\"code\":\"gone\",\"message\":\"m\"}"));
	default:
		return r;
	}
}

/* False: this frame is none of that way's. */
static bool spoil(struct buf *b, size_t at, enum frame_kind kind, uint8_t channel,
	struct str payload)
{
	static size_t n;
	enum spoiled way = (enum spoiled)(at - ARRAY_LEN(others) - KEY_WAYS);
	bool is_end = kind == FRAME_RESULT || kind == FRAME_ERROR;
	if (at < ARRAY_LEN(others) + KEY_WAYS || at >= SWOLLEN_AT ||
		!(way <= DATA_MUCH ? kind == FRAME_DATA : is_end) || n++ % 2)
		return false;
	if (way <= DATA_MUCH)
		spoil_data(b, way, channel, payload);
	else
		spoil_end(b, way, kind, payload);
	return true;
}

static int put_unfinished(struct buf *b, enum frame_kind kind)
{
	auto_buf struct buf junk = BUF_INIT(FRAME_PAYLOAD_MAX);
	char *room = buf_room(&junk, FRAME_PAYLOAD_MAX);
	if (room)
		memset(room, ' ', FRAME_PAYLOAD_MAX);
	buf_grown(&junk, FRAME_PAYLOAD_MAX);
	int r = __real_frame_put(b, kind, 0, buf_str(&junk));
	if (r == 0)
		buf_cut(b, b->len - 1);
	return r;
}

static void read_how(char text[static 64])
{
	auto_fd int fd = open("/tmp/lie", O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW);
	memset(text, 0, 64);
	if (fd >= 0 && read(fd, text, 63) < 0)
		text[0] = '\0';
}

bool lies(void)
{
	char text[64];
	unsigned long long seed, one_in;
	read_how(text);
	if (sscanf(text, "%llu %llu", &seed, &one_in) != 2 || one_in == 0)
		return false;
	if (!state)
		state = seed * 0x9e3779b97f4a7c15U + 1;
	return draw(one_in) == 0;
}

int __wrap_frame_put(struct buf *b, enum frame_kind kind, uint8_t channel, struct str payload)
{
	auto_buf struct buf changed = BUF_INIT(FRAME_PAYLOAD_MAX);
	char how[64];
	size_t way = 0;
	read_how(how);
	if (kind == FRAME_RESULT && strncmp(how, "unfinished", 10) == 0)
		return put_unfinished(b, kind);
	bool is_each = sscanf(how, "each %zu %zu", &way, &begin_at) >= 1;
	if (is_each && spoil(b, way, kind, channel, payload))
		return 0;
	bool is_value = way < ARRAY_LEN(others) + KEY_WAYS || way >= SWOLLEN_AT;
	if (is_each && is_value && kind != FRAME_DATA && lie_once(&changed, payload, way))
		return __real_frame_put(b, kind, channel, buf_str(&changed));
	if (!lies())
		return __real_frame_put(b, kind, channel, payload);
	if (draw(5) == 0)
		return put_disguised(b, kind, channel, payload);
	if (kind == FRAME_DATA || draw(8) == 0)
		lie_in_bytes(&changed, payload);
	else
		lie_in_json(&changed, payload);
	return __real_frame_put(b, kind, channel, buf_str(&changed));
}
