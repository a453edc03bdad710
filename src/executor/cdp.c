/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. A request that is waited for has a place in `waiting` by its number; its
 * answer is kept there until cdp_wait takes it. Requests of cdp_tell have none, and what answers
 * them finds no place. An answer over the ceiling is known by its head, which begins with the
 * number: {"id":17,…
 */
#include "executor/cdp.h"

#include "base/auto.h"
#include "base/bug.h"
#include "base/clock.h"
#include "base/num.h"
#include "wire/nuljson.h"

#include <poll.h>

enum { READ_STEP = 256 * 1024, REQUEST_MAX = 8 * 1024 * 1024, HEAD_MAX = 1024 };

struct waiting {
	int64_t id; /* 0: a free place */
	bool is_answered, is_cut;
	struct json *root;
};

struct cdp {
	int in_fd, out_fd;
	cdp_event_fn *fn;
	void *arg;
	int64_t next_id;
	struct nuljson in;
	struct waiting waiting[CDP_WAITING_MAX];
	bool is_gone;
	char *piece; /* READ_STEP bytes */
};

void cdp_reply_fini(struct cdp_reply *reply)
{
	json_free(reply->root);
	*reply = (struct cdp_reply){ 0 };
}

struct cdp *cdp_new(int in_fd, int out_fd, cdp_event_fn *fn, void *arg)
{
	struct cdp *cdp = mem_new(struct cdp);
	*cdp = (struct cdp){ .in_fd = in_fd,
		.out_fd = out_fd,
		.fn = fn,
		.arg = arg,
		.next_id = 1,
		.piece = mem_alloc(READ_STEP) };
	nuljson_init(&cdp->in, CDP_MESSAGE_MAX);
	return cdp;
}

void cdp_free(struct cdp *cdp)
{
	if (!cdp)
		return;
	for (size_t i = 0; i < CDP_WAITING_MAX; i++)
		json_free(cdp->waiting[i].root);
	nuljson_fini(&cdp->in);
	free(cdp->piece);
	free(cdp);
}

bool cdp_is_gone(const struct cdp *cdp)
{
	return cdp->is_gone;
}

static int gone(struct cdp *cdp, struct error *err)
{
	cdp->is_gone = true;
	return error_set(err, ERROR_UNAVAILABLE,
		"the browser has ended; the next step starts another one");
}

/* ---- what comes ---- */

static struct waiting *find_waiting(struct cdp *cdp, int64_t id)
{
	for (size_t i = 0; i < CDP_WAITING_MAX; i++)
		if (cdp->waiting[i].id == id)
			return &cdp->waiting[i];
	return NULL;
}

/* {"id":17, … of an answer over the ceiling. An event of that size is passed over. */
static void note_cut(struct cdp *cdp, struct str head)
{
	static const struct str start = { "{\"id\":", 6 };
	if (!str_starts(head, start))
		return;
	struct str number = str_skip(head, start.len);
	ptrdiff_t comma = str_find_char(number, ',');
	int64_t id;
	if (comma < 0 ||
		num_parse_i64(str_first(number, (size_t)comma), 1, INT64_MAX, &id, NULL) < 0)
		return;
	struct waiting *w = find_waiting(cdp, id);
	if (w)
		w->is_answered = w->is_cut = true;
}

static int hex_unit(const char *p)
{
	static const char digits[] = "0123456789abcdef";
	int unit = 0;
	for (int i = 2; i < 6; i++) {
		const char *digit = p[i] ? strchr(digits, p[i] | 0x20) : NULL;
		if (p[0] != '\\' || p[1] != 'u' || !digit)
			return -1;
		unit = unit << 4 | (int)(digit - digits);
	}
	return unit;
}

/*
 * What a page holds may be half a surrogate pair, which is no Unicode: in place, U+FFFD for each.
 */
static void mend(struct buf *text)
{
	for (char *p = text->ptr, *end = p + text->len; p + 6 <= end; p++) {
		if (*p != '\\')
			continue;
		int unit = hex_unit(p);
		bool is_high = unit >= 0xd800 && unit < 0xdc00;
		int low = is_high && p + 12 <= end ? hex_unit(p + 6) : -1;
		if (low >= 0xdc00 && low < 0xe000)
			p += 11;
		else if (unit >= 0xd800 && unit < 0xe000)
			memcpy(p + 2, "fffd", 4);
		else
			p++; /* what is escaped */
	}
}

static int parse(struct str text, struct json **ret)
{
	if (json_parse(text, ret, NULL) == 0)
		return 0;
	auto_buf struct buf copy = BUF_INIT(CDP_MESSAGE_MAX);
	buf_put(&copy, text);
	mend(&copy);
	return json_parse(buf_str(&copy), ret, NULL);
}

static int on_message(void *arg, struct str text, bool is_cut, struct error *err)
{
	struct cdp *cdp = arg;
	struct json *root;
	if (is_cut || parse(text, &root) < 0) {
		note_cut(cdp, text);
		return 0;
	}
	int64_t id = json_int(json_find(root, "id"));
	struct waiting *w = id > 0 ? find_waiting(cdp, id) : NULL;
	if (w && !w->is_answered) {
		w->is_answered = true;
		w->root = root;
		return 0;
	}
	struct str method = json_str(json_find(root, "method")),
		   session = json_str(json_find(root, "sessionId"));
	if (method.ptr)
		cdp->fn(cdp->arg, session.ptr ? session : STR(""), method,
			json_find(root, "params"));
	json_free(root);
	return 0;
}

/* 1: something came, 0: nothing is there, -1: it is gone. */
static int read_some(struct cdp *cdp, struct error *err)
{
	ssize_t n = read(cdp->in_fd, cdp->piece, READ_STEP);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n <= 0)
		return gone(cdp, err);
	return nuljson_parse(&cdp->in, str_from_len(cdp->piece, (size_t)n), on_message, cdp, err) <
			0
		? -1
		: 1;
}

static int wait_for_fd(int fd, short events, int64_t deadline_ms)
{
	int64_t left = deadline_ms - clock_mono_ms();
	struct pollfd p = { .fd = fd, .events = events };
	if (left <= 0)
		return 0;
	int r = poll(&p, 1, (int)MIN(left, (int64_t)INT32_MAX));
	return r < 0 && errno == EINTR ? 1 : r;
}

int cdp_wait_until(struct cdp *cdp, int64_t deadline_ms, bool (*done)(void *arg), void *arg,
	struct error *err)
{
	while (!done(arg)) {
		if (cdp->is_gone)
			return gone(cdp, err);
		int r = wait_for_fd(cdp->in_fd, POLLIN, deadline_ms);
		if (r == 0)
			return error_set(err, ERROR_TIMEOUT, "no answer in time");
		if (r < 0 || read_some(cdp, err) < 0)
			return cdp->is_gone ? gone(cdp, err) : -1;
	}
	return 0;
}

int cdp_dispatch(struct cdp *cdp, struct error *err)
{
	int r = 1;
	while (r > 0 && !cdp->is_gone)
		r = read_some(cdp, err);
	return cdp->is_gone ? gone(cdp, err) : r;
}

/* ---- what goes ---- */

static int write_all(struct cdp *cdp, struct str bytes, struct error *err)
{
	enum { WRITE_PATIENCE_MS = 10000 };
	int64_t deadline_ms = clock_mono_ms() + WRITE_PATIENCE_MS;
	while (bytes.len) {
		ssize_t n = write(cdp->out_fd, bytes.ptr, bytes.len);
		if (n > 0) {
			bytes = str_skip(bytes, (size_t)n);
			continue;
		}
		if (n < 0 && errno == EINTR)
			continue;
		if (n == 0 || errno != EAGAIN)
			return gone(cdp, err);
		if (wait_for_fd(cdp->out_fd, POLLOUT, deadline_ms) == 0)
			return gone(cdp, err); /* half a message is written: of no use any more */
	}
	return 0;
}

static int put_request(struct cdp *cdp, int64_t id, const char *session, const char *method,
	const struct buf *params, struct error *err)
{
	auto_buf struct buf b = BUF_INIT(REQUEST_MAX + HEAD_MAX);
	struct jsonw w = JSONW(&b);
	if (cdp->is_gone)
		return gone(cdp, err);
	jsonw_open(&w);
	jsonw_key_int(&w, "id", id);
	jsonw_key_str(&w, "method", str_from(method));
	if (*session)
		jsonw_key_str(&w, "sessionId", str_from(session));
	if (params) {
		jsonw_key(&w, "params");
		jsonw_raw(&w, buf_str(params));
	}
	jsonw_close(&w);
	buf_putc(&b, '\0');
	if (b.is_full || (params && params->is_full))
		return error_set(err, ERROR_TOO_LARGE, "a request to the browser over %d bytes",
			REQUEST_MAX);
	return write_all(cdp, buf_str(&b), err);
}

int64_t cdp_send(struct cdp *cdp, const char *session, const char *method, const struct buf *params,
	struct error *err)
{
	struct waiting *w = find_waiting(cdp, 0);
	int64_t id = cdp->next_id++;
	BUG_IF(!w, "too many requests to the browser are waited for");
	if (put_request(cdp, id, session, method, params, err) < 0)
		return -1;
	*w = (struct waiting){ .id = id };
	return id;
}

void cdp_tell(struct cdp *cdp, const char *session, const char *method, const struct buf *params)
{
	put_request(cdp, cdp->next_id++, session, method, params, NULL);
}

static bool is_answered(void *arg)
{
	return ((struct waiting *)arg)->is_answered;
}

int cdp_wait(struct cdp *cdp, int64_t id, int64_t deadline_ms, struct cdp_reply *ret,
	struct error *err)
{
	struct waiting *w = find_waiting(cdp, id);
	BUG_IF(id <= 0 || !w, "an answer is waited for that nobody asked for");
	int r = cdp_wait_until(cdp, deadline_ms, is_answered, w, err);
	struct waiting done = *w;
	*w = (struct waiting){ 0 };
	struct cdp_reply reply = { .root = done.root, .result = json_find(done.root, "result") };
	const struct json *refusal = json_find(done.root, "error");
	if (r == 0 && done.is_cut)
		r = error_set(err, ERROR_TOO_LARGE, "the browser's answer is over %d bytes",
			CDP_MESSAGE_MAX);
	if (r == 0 && refusal)
		r = error_set(err, ERROR_PROTOCOL, "%.*s",
			STR_ARG(str_first(json_str(json_find(refusal, "message")), 200)));
	if (r < 0 || !ret)
		cdp_reply_fini(&reply);
	else
		*ret = reply;
	return r;
}

int cdp_call(struct cdp *cdp, const char *session, const char *method, const struct buf *params,
	int64_t deadline_ms, struct cdp_reply *ret, struct error *err)
{
	int64_t id = cdp_send(cdp, session, method, params, err);
	if (id < 0 || cdp_wait(cdp, id, deadline_ms, ret, err) < 0)
		return error_wrap(err, "%s", method);
	return 0;
}

int cdp_fd(const struct cdp *cdp)
{
	return cdp->in_fd;
}
