/* SPDX-License-Identifier: Apache-2.0 */
#include "executor/process_log.h"

#include "base/auto.h"
#include "base/bug.h"

enum { PIECE_MAX = 32 * 1024, PIECE_FIRST = 512, LIMIT_MIN = 4096 };

struct piece {
	struct list link; /* process_log::pieces */
	uint64_t at;
	size_t len, cap;
	uint8_t channel;
	bool is_head; /* among the first half: stays */
	char bytes[];
};

void process_log_init(struct process_log *log, size_t limit)
{
	*log = (struct process_log){ .limit = limit };
	list_init(&log->pieces);
}

static void remove_piece(struct piece *p)
{
	list_remove(&p->link);
	free(p);
}

void process_log_fini(struct process_log *log)
{
	struct piece *p;
	while ((p = list_first(&log->pieces, struct piece, link)))
		remove_piece(p);
}

static struct piece *last_piece(struct process_log *log)
{
	return list_is_empty(&log->pieces) ? NULL
					   : list_entry(log->pieces.prev, struct piece, link);
}

/* Small enough that dropping one piece does not drop much of the limit. */
static size_t piece_max(const struct process_log *log)
{
	return MIN((size_t)PIECE_MAX, log->limit / 8);
}

/* Drops the oldest pieces that are not of the head, until `more` bytes have room. */
static void make_room(struct process_log *log, size_t more)
{
	struct piece *p, *tmp;
	list_for_each_safe(p, tmp, &log->pieces, link) {
		if (log->tail_bytes + more <= log->limit / 2)
			return;
		if (p->is_head)
			continue;
		log->tail_bytes -= p->len;
		log->dropped_bytes += p->len;
		remove_piece(p);
	}
}

static struct piece *last_of_head(struct process_log *log)
{
	struct piece *p, *last = NULL;
	list_for_each(p, &log->pieces, link) {
		if (!p->is_head)
			break;
		last = p;
	}
	return last;
}

void process_log_trim(struct process_log *log, size_t limit_bytes)
{
	struct piece *p;
	log->limit = MAX(limit_bytes, (size_t)LIMIT_MIN);
	make_room(log, 0);
	while (log->head_bytes > log->limit / 2 && (p = last_of_head(log))) {
		log->head_bytes -= p->len;
		log->dropped_bytes += p->len;
		remove_piece(p);
	}
}

/*
 * The last piece, if it is of this channel and half, with room for at least one byte; or a new one.
 */
static struct piece *open_piece(struct process_log *log, uint8_t channel, bool is_head, size_t want)
{
	struct piece *p = last_piece(log);
	size_t max = piece_max(log);
	if (p && p->channel == channel && p->is_head == is_head && p->len < max) {
		if (p->len == p->cap) {
			list_remove(&p->link);
			p->cap = MIN(max, MAX(p->cap * 2, p->len + MIN(want, max - p->len)));
			p = mem_realloc(p, sizeof(*p) + p->cap);
			list_append(&log->pieces, &p->link);
		}
		return p;
	}
	size_t cap = MIN(max, MAX(want, (size_t)PIECE_FIRST));
	p = mem_alloc(sizeof(*p) + cap);
	*p = (struct piece){ .at = log->total_bytes,
		.cap = cap,
		.channel = channel,
		.is_head = is_head };
	list_append(&log->pieces, &p->link);
	return p;
}

void process_log_add(struct process_log *log, uint8_t channel, struct str bytes)
{
	while (bytes.len) {
		size_t head_room = log->limit / 2 - log->head_bytes;
		bool is_head = head_room > 0 && log->tail_bytes == 0 && log->dropped_bytes == 0;
		struct piece *p = open_piece(log, channel, is_head, bytes.len);
		size_t n = MIN(bytes.len, p->cap - p->len);
		if (is_head)
			n = MIN(n, head_room);
		memcpy(p->bytes + p->len, bytes.ptr, n);
		p->len += n;
		log->total_bytes += n;
		if (is_head) {
			log->head_bytes += n;
		} else {
			log->tail_bytes += n;
			make_room(log, 0);
		}
		bytes = str_skip(bytes, n);
	}
}

bool process_log_read(const struct process_log *log, uint64_t after, struct log_entry *ret)
{
	struct piece *p;
	list_for_each(p, &log->pieces, link) {
		if (p->at + p->len <= after)
			continue;
		size_t skip = after > p->at ? (size_t)(after - p->at) : 0;
		*ret = (struct log_entry){ p->channel, p->at + skip,
			{ p->bytes + skip, p->len - skip } };
		return true;
	}
	return false;
}
