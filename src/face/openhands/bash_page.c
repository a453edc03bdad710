/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. The events of all processes are numbered first, which takes no more than
 * what the executor says of them: entries, in the order that is asked for. Then those of the page
 * are written, one after the other; an output that holds something is read from the log of its
 * process first, a piece by a call of its own. A page ends at PAGE_BYTES of output, or at its
 * limit; what follows is the next one.
 *
 * Of the pieces of a long log only those are entries that may be kept: its first and its last half.
 * Where something is missing the output says so.
 */
#include "action/process_actions.h"
#include "base/auto.h"
#include "base/bug.h"
#include "base/clock.h"
#include "face/openhands/bash.h"
#include "wire/utf8.h"

enum {
	PAGE_BYTES = 8 * BASH_PIECE,
	PIECES_KEPT = BASH_LOG_MAX / BASH_PIECE / 2 + 1, /* at each end of a log */
	PARAMS_MAX = 256,
	LAST_MAX = 2 * BASH_PIECE,
	JOINED_MAX = 8 * BASH_PIECE, /* of all of it in one event */
	BEFORE = 3,                  /* bytes before a piece that may begin its first character */
};

struct entry {
	size_t process;
	int64_t number; /* as in bash_id.h */
	int64_t time_ms;
};

/* The last bytes that were read, as long as they are of one channel and without a gap. */
struct run {
	uint8_t channel;
	char bytes[BEFORE];
	size_t n;
};

struct page {
	struct chore *ask;
	struct bash_wish wish;
	struct bash_process *processes;
	size_t n_processes;
	struct entry *entries;
	size_t n_entries, at;
	int64_t n_put;
	struct buf body;
	struct jsonw w;
	int64_t read_bytes; /* of all outputs of the page */
	/* the output that is being read */
	int64_t position, from, until; /* in the log */
	struct run run;
	struct buf text[2]; /* of channels 1 and 2 */
	bool is_cut;        /* bytes of it are kept no longer */
};

static void page_drop(struct chore *a)
{
	struct page *p = a->state;
	for (size_t i = 0; i < p->n_processes; i++)
		bash_process_fini(&p->processes[i]);
	free(p->processes);
	free(p->entries);
	buf_fini(&p->body);
	buf_fini(&p->text[0]);
	buf_fini(&p->text[1]);
	free(p);
}

/* ---- which events there are ---- */

/* How many outputs there are by now: one more when it has ended, which is the last one. */
static int64_t outputs_of(const struct bash_process *b)
{
	int64_t n = b->total_bytes / BASH_PIECE + b->has_ended;
	return MIN(n, BASH_NUMBER_MAX - 1);
}

static bool is_last(const struct bash_process *b, int64_t order)
{
	return b->has_ended && order == outputs_of(b) - 1;
}

static bool is_wanted(const struct bash_wish *w, const struct entry *e)
{
	bool is_command = e->number == 0;
	return (w->number < 0 || w->number == e->number) &&
		!(is_command ? w->no_commands : w->no_outputs) &&
		(is_command || e->number - 1 > w->order_gt) &&
		(!w->since_ms || e->time_ms >= w->since_ms) &&
		(!w->until_ms || e->time_ms < w->until_ms);
}

static void add_entry(struct page *p, size_t process, int64_t number)
{
	const struct bash_process *b = &p->processes[process];
	struct entry e = { process, number,
		number && is_last(b, number - 1) ? b->ended_ms : b->started_ms };
	if (is_wanted(&p->wish, &e))
		p->entries[p->n_entries++] = e;
}

static int compare(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;
	if (x->time_ms != y->time_ms)
		return x->time_ms < y->time_ms ? -1 : 1;
	if (x->process != y->process)
		return x->process < y->process ? -1 : 1;
	return x->number < y->number ? -1 : 1;
}

static void number_entries(struct page *p)
{
	p->entries = mem_new_n(struct entry, p->n_processes * (2 * PIECES_KEPT + 2) + 1);
	for (size_t i = 0; i < p->n_processes; i++) {
		int64_t n = outputs_of(&p->processes[i]);
		add_entry(p, i, 0);
		for (int64_t k = 0; k < MIN(n, PIECES_KEPT); k++)
			add_entry(p, i, k + 1);
		for (int64_t k = MAX(PIECES_KEPT, n - PIECES_KEPT - 1); k < n; k++)
			add_entry(p, i, k + 1);
	}
	qsort(p->entries, p->n_entries, sizeof(*p->entries), compare);
	for (size_t i = 0; p->wish.is_descending && i < p->n_entries / 2; i++) {
		struct entry e = p->entries[i];
		p->entries[i] = p->entries[p->n_entries - 1 - i];
		p->entries[p->n_entries - 1 - i] = e;
	}
}

static void id_of(const struct page *p, size_t at, char ret[BASH_ID_SIZE])
{
	const struct entry *e = &p->entries[at];
	bash_id_of_event(p->processes[e->process].id.command, e->number, ret);
}

/* One that is not there begins anew, as with the original. */
static size_t first_entry(const struct page *p)
{
	char id[BASH_ID_SIZE];
	for (size_t i = 0; p->wish.page_id[0] && i < p->n_entries; i++) {
		id_of(p, i, id);
		if (strcmp(id, p->wish.page_id) == 0)
			return i;
	}
	return 0;
}

/* ---- one event ---- */

static void put_head(struct jsonw *w, const char *kind, const char *id, int64_t time_ms)
{
	char when[CLOCK_TEXT_MAX];
	clock_text(time_ms, when);
	jsonw_open(w);
	jsonw_key_str(w, "id", str_from(id));
	jsonw_key_str(w, "timestamp", str_from(when));
	jsonw_key_str(w, "kind", str_from(kind));
}

void bash_put_command(struct jsonw *w, const char *id, int64_t started_ms, struct str text,
	struct str cwd, int64_t timeout_s)
{
	put_head(w, "BashCommand", id, started_ms);
	jsonw_key_str(w, "command", text);
	jsonw_key(w, "cwd");
	if (cwd.len)
		jsonw_str(w, cwd);
	else
		jsonw_null(w);
	jsonw_key_int(w, "timeout", timeout_s);
	jsonw_close(w);
}

static void put_text(struct jsonw *w, const char *key, const struct buf *text)
{
	jsonw_key(w, key);
	if (text->len)
		jsonw_str(w, buf_str(text));
	else
		jsonw_null(w);
}

static void put_event(struct page *p)
{
	const struct entry *e = &p->entries[p->at];
	const struct bash_process *b = &p->processes[e->process];
	char id[BASH_ID_SIZE];
	id_of(p, p->at, id);
	if (e->number == 0) {
		bash_put_command(&p->w, id, b->started_ms, b->text, b->cwd, b->id.timeout_s);
		return;
	}
	put_head(&p->w, "BashOutput", id, e->time_ms);
	jsonw_key_str(&p->w, "command_id", str_from(b->id.command));
	jsonw_key_int(&p->w, "order", e->number - 1);
	jsonw_key(&p->w, "exit_code");
	if (is_last(b, e->number - 1))
		jsonw_int(&p->w, b->exit_code);
	else
		jsonw_null(&p->w);
	put_text(&p->w, "stdout", &p->text[0]);
	put_text(&p->w, "stderr", &p->text[1]);
	jsonw_close(&p->w);
}

/* ---- the text of an output ---- */

static void run_add(struct run *run, uint8_t channel, struct str bytes)
{
	if (run->channel != channel)
		*run = (struct run){ .channel = channel };
	for (size_t i = bytes.len > BEFORE ? bytes.len - BEFORE : 0; i < bytes.len; i++) {
		if (run->n == BEFORE)
			memmove(run->bytes, run->bytes + 1, --run->n);
		run->bytes[run->n++] = bytes.ptr[i];
	}
}

/* What of it begins a character that the bytes behind it may complete. */
static struct str run_tail(const struct run *run)
{
	struct str all = { run->bytes, run->n };
	return str_skip(all, all.len - utf8_incomplete_tail(all));
}

/* A character that the piece before this one was cut back by. */
static void begin_piece(struct page *p)
{
	struct str tail = run_tail(&p->run);
	if (p->run.n)
		buf_put(&p->text[p->run.channel - 1], tail);
}

static void take(struct page *p, uint8_t channel, struct str bytes)
{
	bool was_before = p->position < p->from;
	size_t n = bytes.len;
	if (was_before)
		n = MIN(n, (size_t)(p->from - p->position));
	else
		n = MIN(n, (size_t)(p->until - p->position));
	if (!was_before)
		buf_put(&p->text[channel - 1], str_first(bytes, n));
	run_add(&p->run, channel, str_first(bytes, n));
	p->position += (int64_t)n;
	if (was_before && p->position == p->from)
		begin_piece(p);
	if (n < bytes.len && p->position < p->until)
		take(p, channel, str_skip(bytes, n));
}

static void next(struct page *p);

static void finish_text(struct page *p)
{
	const struct entry *e = &p->entries[p->at];
	const struct bash_process *b = &p->processes[e->process];
	struct buf *out = &p->text[0], *err = &p->text[1];
	bool is_end = is_last(b, e->number - 1);
	p->is_cut = p->is_cut || (p->wish.is_joined && b->total_bytes > JOINED_MAX);
	if (!is_end && p->run.n) {
		struct buf *text = &p->text[p->run.channel - 1];
		buf_cut(text, text->len - MIN(text->len, run_tail(&p->run).len));
	}
	if (p->is_cut)
		buf_printf(out, "\n[%lld bytes of the output are not told]\n",
			(long long)MAX(b->dropped_bytes,
				p->wish.is_joined ? b->total_bytes - JOINED_MAX : 0));
	if (is_end && b->has_timed_out)
		buf_printf(err, "Command timed out after %lld seconds\n",
			(long long)b->id.timeout_s);
	if (is_end && b->limit.len)
		buf_printf(err, "the command ran into the sandbox's limit: %.*s\n",
			STR_ARG(b->limit));
	p->read_bytes += (int64_t)(out->len + err->len);
	put_event(p);
	buf_reset(out);
	buf_reset(err);
	p->n_put++;
	p->at++;
	next(p);
}

static void on_data(struct chore *a, uint8_t channel, struct str bytes)
{
	struct page *p = a->state;
	if (channel != 1 && channel != 2)
		return;
	take(p, channel, bytes);
	if (p->position < p->until)
		return;
	runtime_call_cancel(take_ptr(a->call));
	finish_text(p);
}

/* {"skipped_bytes":n} */
static void on_event(struct chore *a, struct str text)
{
	struct page *p = a->state;
	auto_json struct json *event = NULL;
	if (json_parse(text, &event, NULL) < 0)
		return;
	int64_t gap = MAX(json_int(json_find(event, "skipped_bytes")), 0);
	p->position = gap > p->until - p->position ? p->until : p->position + gap;
	p->is_cut = p->is_cut || p->position > p->from;
	p->run = (struct run){ 0 };
	if (p->position < p->until)
		return;
	runtime_call_cancel(take_ptr(a->call));
	finish_text(p);
}

static void on_end_of_log(struct chore *a, const struct json *result)
{
	finish_text(a->state);
}

/* Somebody has removed it meanwhile: there is no such event any more. */
static void on_no_log(struct chore *a, const struct error *err)
{
	struct page *p = a->state;
	if (err->code != ERROR_NOT_FOUND && err->code != ERROR_GONE) {
		chore_fail(a, err);
		return;
	}
	p->at++;
	next(p);
}

static void read_text(struct page *p)
{
	const struct entry *e = &p->entries[p->at];
	const struct bash_process *b = &p->processes[e->process];
	auto_buf struct buf params = BUF_INIT(PARAMS_MAX);
	char name[BASH_NAME_SIZE];
	bash_name(b->id.command, name);
	p->from = p->wish.is_joined ? 0 : (e->number - 1) * BASH_PIECE;
	/* To its end: what is masked in it may have another length. */
	p->until = p->wish.is_joined        ? JOINED_MAX
		: is_last(b, e->number - 1) ? p->from + LAST_MAX
					    : e->number * BASH_PIECE;
	p->position = MAX(p->from - BEFORE, 0);
	p->run = (struct run){ 0 };
	p->is_cut = false;
	if (b->total_bytes == p->from) {
		finish_text(p);
		return;
	}
	buf_printf(&params, "{\"process\":\"%s\",\"after\":%lld}", name, (long long)p->position);
	chore_perform(p->ask, &process_logs_action, &params, on_end_of_log);
}

/* ---- the page ---- */

static void answer(struct page *p)
{
	char id[BASH_ID_SIZE];
	if (p->wish.is_one && !p->n_put) {
		errand_refuse(p->ask, 404, "Not Found");
		return;
	}
	struct chore *a = p->ask;
	auto_buf struct buf body = BUF_INIT(HTTP_REPLY_MAX);
	if (!p->wish.is_one) {
		jsonw_close_array(&p->w);
		jsonw_key(&p->w, "next_page_id");
		if (p->at < p->n_entries) {
			id_of(p, p->at, id);
			jsonw_str(&p->w, str_from(id));
		} else {
			jsonw_null(&p->w);
		}
		jsonw_close(&p->w);
	}
	body = p->body;
	p->body = BUF_INIT(0);
	errand_reply(a, &body);
}

static void next(struct page *p)
{
	if (p->at == p->n_entries || p->n_put == p->wish.limit || p->read_bytes >= PAGE_BYTES) {
		answer(p);
	} else if (p->entries[p->at].number) {
		read_text(p);
	} else {
		put_event(p);
		p->n_put++;
		p->at++;
		next(p);
	}
}

void bash_page_reply(struct chore *a, const struct bash_wish *wish, struct bash_process *processes,
	size_t n)
{
	struct page *p = mem_new(struct page);
	p->ask = a;
	p->wish = *wish;
	p->processes = processes;
	p->n_processes = n;
	buf_init(&p->body, HTTP_REPLY_MAX);
	buf_init(&p->text[0], (wish->is_joined ? JOINED_MAX : LAST_MAX) + 1024);
	buf_init(&p->text[1], (wish->is_joined ? JOINED_MAX : LAST_MAX) + 1024);
	p->w = JSONW(&p->body);
	number_entries(p);
	p->at = first_entry(p);
	a->state = p;
	a->drop = page_drop;
	a->failed = on_no_log;
	a->data = on_data;
	a->event = on_event;
	if (!wish->is_one) {
		jsonw_open(&p->w);
		jsonw_key(&p->w, "items");
		jsonw_open_array(&p->w);
	}
	next(p);
}
