/* SPDX-License-Identifier: Apache-2.0 */
/*
 * process_log: what a process wrote, in order, in bounded memory: the first and the last half of
 * the limit. A position is the number of bytes, of both channels, before it; it never changes its
 * meaning.
 */
#pragma once

#include "base/list.h"
#include "base/str.h"

#include <stdint.h>

struct process_log {
	struct list pieces; /* in order, without gaps but one: where the middle was dropped */
	size_t limit;
	size_t head_bytes, tail_bytes;
	uint64_t total_bytes;
	uint64_t dropped_bytes;
};

struct log_entry {
	uint8_t channel;
	uint64_t at;      /* position of its first byte */
	struct str bytes; /* valid until the next add */
};

void process_log_init(struct process_log *log, size_t limit_bytes);
void process_log_fini(struct process_log *log);
/* From now on it keeps no more than that (but 4 KiB); what is more goes now, the middle first. */
void process_log_trim(struct process_log *log, size_t limit_bytes);
static inline size_t process_log_held(const struct process_log *log)
{
	return log->head_bytes + log->tail_bytes;
}
void process_log_add(struct process_log *log, uint8_t channel, struct str bytes);
/*
 * The entry that holds the position, from there on, or the first one behind it; false at the end.
 */
bool process_log_read(const struct process_log *log, uint64_t after, struct log_entry *ret);
