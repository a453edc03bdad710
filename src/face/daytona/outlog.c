/* SPDX-License-Identifier: Apache-2.0 */
#include "face/daytona/outlog.h"

#include "base/auto.h"

void outlog_init(struct outlog *log)
{
	*log = (struct outlog){ 0 };
	buf_init(&log->head, OUTLOG_HALF);
	buf_init(&log->old, OUTLOG_HALF);
	buf_init(&log->young, OUTLOG_HALF);
}

void outlog_fini(struct outlog *log)
{
	buf_fini(&log->head);
	buf_fini(&log->old);
	buf_fini(&log->young);
}

/* Where there is room for a prefix and a byte behind it. */
static struct buf *with_room(struct outlog *log)
{
	if (!log->is_past_head && OUTLOG_HALF - log->head.len > OUTLOG_PREFIX)
		return &log->head;
	log->is_past_head = true;
	if (OUTLOG_HALF - log->young.len <= OUTLOG_PREFIX) {
		struct buf gone = log->old;
		log->old = log->young;
		log->young = gone;
		buf_reset(&log->young);
	}
	return &log->young;
}

/* Each buffer begins with a prefix of its own: it may be the first that somebody reads. */
void outlog_add(struct outlog *log, int channel, struct str bytes)
{
	static const char *const prefixes[] = { "\1\1\1", "\2\2\2" };
	while (bytes.len) {
		struct buf *b = with_room(log);
		size_t before = b->len;
		if (b->len == 0 || channel != log->channel)
			buf_add(b, prefixes[channel == 2], OUTLOG_PREFIX);
		log->channel = channel;
		size_t n = MIN(bytes.len, OUTLOG_HALF - b->len);
		buf_add(b, bytes.ptr, n);
		bytes = str_skip(bytes, n);
		log->total += (int64_t)(b->len - before);
	}
}

bool outlog_next(const struct outlog *log, int64_t *position, struct str *ret)
{
	int64_t young_at = log->total - (int64_t)log->young.len;
	int64_t old_at = young_at - (int64_t)log->old.len;
	const struct {
		const struct buf *b;
		int64_t at;
	} parts[] = { { &log->head, 0 }, { &log->old, old_at }, { &log->young, young_at } };
	for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
		int64_t end = parts[i].at + (int64_t)parts[i].b->len;
		if (!parts[i].b->len || *position >= end)
			continue;
		*position = MAX(*position, parts[i].at);
		*ret = str_skip(buf_str(parts[i].b), (size_t)(*position - parts[i].at));
		*position = end;
		return true;
	}
	return false;
}

static bool is_prefix(struct str s, char c)
{
	return s.len >= OUTLOG_PREFIX && s.ptr[0] == c && s.ptr[1] == c && s.ptr[2] == c;
}

static void put_part(struct str part, int wanted, int *channel, struct buf *b)
{
	while (part.len) {
		if (is_prefix(part, 1) || is_prefix(part, 2)) {
			*channel = (unsigned char)part.ptr[0];
			part = str_skip(part, OUTLOG_PREFIX);
			continue;
		}
		size_t n = 1;
		while (n < part.len && !is_prefix(str_skip(part, n), 1) &&
			!is_prefix(str_skip(part, n), 2))
			n++;
		if (wanted == 0 || wanted == *channel)
			buf_put(b, str_first(part, n));
		part = str_skip(part, n);
	}
}

void outlog_put(const struct outlog *log, int channel, struct buf *b)
{
	int64_t at = 0, before = 0;
	int current = 0;
	struct str part;
	while (outlog_next(log, &at, &part)) {
		int64_t gap = at - (int64_t)part.len - before;
		if (gap > 0)
			buf_printf(b, "\n[... %lld bytes are left out here ...]\n", (long long)gap);
		if (channel < 0)
			buf_put(b, part);
		else
			put_part(part, channel, &current, b);
		before = at;
	}
}

size_t outlog_size(const struct outlog *log)
{
	return log->head.cap + log->old.cap + log->young.cap;
}
