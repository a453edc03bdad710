/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Numbers are in the machine's own byte order: a file of another machine has no entry that counts.
 * An entry is written by one pwritev, at the place behind the one before; what a failed one has
 * left there is overwritten, or torn.
 */
#include "runtime/journal.h"

#include "base/auto.h"
#include "base/bug.h"
#include "base/file.h"

#include <fcntl.h>
#include <sys/uio.h>

enum { MAGIC = 0x6a796163, READ_STEP = 16 * 1024 };

struct head {
	uint32_t magic, size; /* of what follows */
	int64_t generation;
	uint64_t number; /* from 0 */
	uint64_t sum;    /* of the head with 0 here, and what follows */
};

/* Before its three strings, each with a NUL behind it. */
struct event_head {
	int64_t seq, index, time_ms, cause;
	uint32_t sandbox, kind, data, unused; /* lengths */
};

struct journal {
	int fd;
	struct journal_content content;
	struct buf events;
};

/* ---- events ---- */

static void put_text(struct buf *b, struct str text)
{
	buf_put(b, text);
	buf_putc(b, '\0');
}

void journal_encode(struct buf *b, const struct event *event)
{
	const struct event_head head = {
		.seq = event->seq,
		.index = event->index,
		.time_ms = event->time_ms,
		.cause = event->cause,
		.sandbox = (uint32_t)event->sandbox.len,
		.kind = (uint32_t)event->kind.len,
		.data = (uint32_t)event->data.len,
	};
	buf_add(b, &head, sizeof(head));
	put_text(b, event->sandbox);
	put_text(b, event->kind);
	put_text(b, event->data);
}

static bool take_text(struct str *in, uint32_t len, struct str *ret)
{
	if (in->len <= len || in->ptr[len] != '\0')
		return false;
	*ret = str_first(*in, len);
	*in = str_skip(*in, (size_t)len + 1);
	return true;
}

ssize_t journal_decode(struct str events, struct event *ret)
{
	struct event_head head;
	struct str rest = events;
	if (rest.len == 0)
		return 0;
	if (rest.len < sizeof(head))
		return -1;
	memcpy(&head, rest.ptr, sizeof(head));
	rest = str_skip(rest, sizeof(head));
	*ret = (struct event){
		.seq = head.seq,
		.index = head.index,
		.time_ms = head.time_ms,
		.cause = head.cause,
	};
	if (!take_text(&rest, head.sandbox, &ret->sandbox) ||
		!take_text(&rest, head.kind, &ret->kind) ||
		!take_text(&rest, head.data, &ret->data))
		return -1;
	return (ssize_t)(events.len - rest.len);
}

/* ---- entries ---- */

/* As FNV-1a, but eight bytes at a time: it finds what was torn, and nobody forges here. */
static uint64_t add_sum(uint64_t sum, struct str bytes)
{
	for (uint64_t word; bytes.len; bytes = str_skip(bytes, MIN(bytes.len, sizeof(word)))) {
		word = 0;
		memcpy(&word, bytes.ptr, MIN(bytes.len, sizeof(word)));
		sum = (sum ^ word) * 0x100000001b3;
		sum ^= sum >> 29;
	}
	return sum;
}

static uint64_t sum_of(struct head head, struct str payload)
{
	head.sum = 0;
	return add_sum(add_sum(0xcbf29ce484222325, str_from_len((const char *)&head, sizeof(head))),
		payload);
}

/* How many events; -1: there is something else among them. */
static ssize_t count_events(struct str events)
{
	struct event event;
	ssize_t n, count = 0;
	for (; (n = journal_decode(events, &event)) > 0; count++)
		events = str_skip(events, (size_t)n);
	return n < 0 ? -1 : count;
}

struct journal_content journal_parse(struct str file, int64_t generation, struct buf *ret_events)
{
	struct journal_content c = { .generation = generation };
	struct str rest = file;
	struct head head;
	for (; rest.len >= sizeof(head); c.n_entries++) {
		memcpy(&head, rest.ptr, sizeof(head));
		struct str events = str_skip(rest, sizeof(head));
		bool is_next = c.n_entries ? head.generation == c.generation
					   : head.generation >= generation;
		if (head.magic != MAGIC || !is_next || head.number != c.n_entries ||
			head.size > events.len)
			break;
		events = str_first(events, head.size);
		ssize_t n = sum_of(head, events) == head.sum ? count_events(events) : -1;
		if (n < 0 || buf_put(ret_events, events) < 0)
			break;
		c.generation = head.generation;
		c.n_events += (size_t)n;
		rest = str_skip(rest, sizeof(head) + head.size);
	}
	c.bytes = file.len - rest.len;
	return c;
}

/* ---- the journal ---- */

static int load(struct journal *j, struct error *err)
{
	auto_buf struct buf file = BUF_INIT(JOURNAL_BYTES_MAX);
	char *to;
	ssize_t n = 1;
	while (n > 0 && (to = buf_room(&file, READ_STEP))) {
		n = pread(j->fd, to, READ_STEP, (off_t)file.len);
		if (n < 0)
			return error_sys(err, errno, "read");
		buf_grown(&file, (size_t)n);
	}
	j->content = journal_parse(buf_str(&file), j->content.generation, &j->events);
	return 0;
}

int journal_open(const char *path, int64_t generation, struct journal **ret, struct error *err)
{
	struct journal *j = mem_new(struct journal);
	j->content.generation = generation;
	buf_init(&j->events, JOURNAL_BYTES_MAX);
	j->fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	int r = j->fd < 0 ? error_sys(err, errno, "open") : load(j, err);
	if (r < 0) {
		journal_close(j);
		return error_wrap(err, "%s", path);
	}
	*ret = j;
	return 0;
}

void journal_close(struct journal *j)
{
	if (!j)
		return;
	close_fd(j->fd);
	buf_fini(&j->events);
	free(j);
}

/* Less than the file may have when it is read: what was written can be loaded. */
bool journal_has_room(const struct journal *j, size_t bytes, size_t n_events)
{
	return j->content.bytes + sizeof(struct head) + bytes <= JOURNAL_BYTES_MAX - READ_STEP &&
		j->content.n_events + n_events <= JOURNAL_EVENTS_MAX;
}

int journal_put(struct journal *j, struct str events, size_t n_events, struct error *err)
{
	struct head head = {
		.magic = MAGIC,
		.size = (uint32_t)events.len,
		.generation = j->content.generation,
		.number = j->content.n_entries,
	};
	size_t size = sizeof(head) + events.len;
	BUG_IF(!journal_has_room(j, events.len, n_events), "more events than a journal holds");
	head.sum = sum_of(head, events);
	struct iovec parts[] = {
		{ &head, sizeof(head) },
		{ (char *)(uintptr_t)events.ptr, events.len },
	};
	ssize_t n = pwritev(j->fd, parts, ARRAY_LEN(parts), (off_t)j->content.bytes);
	if (n != (ssize_t)size)
		return error_sys(err, n < 0 ? errno : ENOSPC, "write to the journal");
	buf_put(&j->events, events);
	j->content.bytes += size;
	j->content.n_events += n_events;
	j->content.n_entries++;
	return 0;
}

void journal_start_over(struct journal *j)
{
	j->content = (struct journal_content){ .generation = j->content.generation + 1 };
	buf_cut(&j->events, 0);
}

int64_t journal_generation(const struct journal *j)
{
	return j->content.generation;
}

bool journal_is_empty(const struct journal *j)
{
	return j->content.n_entries == 0;
}

struct str journal_events(const struct journal *j)
{
	return buf_str(&j->events);
}
