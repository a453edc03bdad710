/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. libcurl's multi interface says which descriptors to watch and when to call
 * it again; both are a watch and a timer of the loop. What it says of finished requests is read
 * after each call of it, never from inside one of its callbacks, so that on_done may do as it
 * likes.
 *
 * libcurl reads from a server for as long as that one sends. One that never ends would keep
 * everything else from being done: after TURN_BYTES a fetch rests until the loop has been round
 * once.
 *
 * libcurl forbids to remove a request from inside its callbacks: a fetch that is cancelled there
 * becomes a zombie, which answers every further callback with "stop" and is freed when libcurl has
 * returned.
 */
#include "http/fetch.h"

#include "base/auto.h"
#include "base/bug.h"
#include "base/list.h"

#include <curl/curl.h>

enum { TURN_BYTES = 256 * 1024 };

struct fetcher {
	struct loop *loop;
	CURLM *multi;
	struct timer *timer;
	bool is_due;         /* libcurl is called at the end of the turn: it wanted to be at once */
	bool has_rest;       /* at the end of the turn some fetch has rested */
	struct list fetches; /* fetch::link */
	int depth;           /* of calls into libcurl that may call back */
};

struct fetch {
	struct list link; /* fetcher::fetches */
	struct fetcher *fetcher;
	const struct fetch_ops *ops;
	void *arg;
	CURL *easy;
	struct curl_slist *headers;
	char *where; /* the server's name for error texts: no path and no password, which are secrets */
	struct error error;   /* of a callback that ended it */
	bool is_new;          /* made from inside a callback, where libcurl takes none */
	bool is_zombie;       /* cancelled from inside a callback */
	bool waits_for_bytes; /* pull said FETCH_WAIT */
	bool is_paused;
	bool is_resting;
	size_t turn_bytes; /* since it rested last */
};

static int describe(CURLcode code, const char *where, struct error *err)
{
	switch (code) {
	case CURLE_OPERATION_TIMEDOUT:
		return error_set(err, ERROR_TIMEOUT, "%s: no answer in time", where);
	case CURLE_COULDNT_CONNECT:
	case CURLE_COULDNT_RESOLVE_HOST:
	case CURLE_SEND_ERROR:
	case CURLE_RECV_ERROR:
	case CURLE_GOT_NOTHING:
	case CURLE_PARTIAL_FILE:
	case CURLE_SEND_FAIL_REWIND: /* a kept connection broke; not asked again */
		return error_set(err, ERROR_UNAVAILABLE, "%s: %s", where, curl_easy_strerror(code));
	case CURLE_UNSUPPORTED_PROTOCOL: /* of the answer: the URL's was looked at */
		return error_set(err, ERROR_PROTOCOL, "%s: what it sent is no HTTP", where);
	default:
		return error_set(err, ERROR_PROTOCOL, "%s: %s", where, curl_easy_strerror(code));
	}
}

/* ---- the end of a fetch ---- */

static void fetch_free(struct fetch *f)
{
	list_remove(&f->link);
	if (f->easy)
		curl_multi_remove_handle(f->fetcher->multi, f->easy);
	curl_easy_cleanup(f->easy);
	curl_slist_free_all(f->headers);
	free(f->where);
	free(f);
}

static void free_zombies(struct fetcher *fetcher)
{
	struct fetch *f, *next;
	if (fetcher->depth)
		return;
	list_for_each_safe(f, next, &fetcher->fetches, link)
		if (f->is_zombie)
			fetch_free(f);
}

static void begin_new(struct fetcher *fetcher)
{
	struct fetch *f;
	list_for_each(f, &fetcher->fetches, link) {
		if (f->is_new && !f->is_zombie)
			curl_multi_add_handle(fetcher->multi, f->easy);
		f->is_new = false;
	}
}

static void finish(struct fetch *f, CURLcode code)
{
	const struct fetch_ops *ops = f->ops;
	void *arg = f->arg;
	struct error err = f->error;
	/* A server that refuses an upload may close before it has read all of it. */
	bool has_answer = fetch_status(f) >= 400 &&
		(code == CURLE_SEND_ERROR || code == CURLE_RECV_ERROR);
	if (err.code == ERROR_OK && code != CURLE_OK && !has_answer)
		describe(code, f->where, &err);
	if (err.code == ERROR_TIMEOUT && code == CURLE_OPERATION_TIMEDOUT && !fetch_was_sent(f))
		error_set(&err, ERROR_UNAVAILABLE, "%s: no connection in time", f->where);
	/* The fetch is still there while it is told of its end: its status can be asked for. */
	if (!f->is_zombie) {
		f->is_zombie = true;
		ops->on_done(arg, err.code == ERROR_OK ? NULL : &err);
	}
}

/* After each call of libcurl that may have finished something. */
static void settle(struct fetcher *fetcher)
{
	int left;
	CURLMsg *m;
	if (fetcher->depth)
		return;
	fetcher->depth++;
	while ((m = curl_multi_info_read(fetcher->multi, &left))) {
		char *who = NULL;
		if (m->msg != CURLMSG_DONE)
			continue;
		CURLcode code = m->data.result;
		curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, &who);
		finish((struct fetch *)(void *)who, code);
	}
	fetcher->depth--;
	begin_new(fetcher);
	free_zombies(fetcher);
}

/* ---- libcurl on the loop ---- */

struct socket_watch {
	struct fetcher *fetcher;
	struct watch *watch;
	int fd;
};

static void act(struct fetcher *fetcher, curl_socket_t fd, int mask)
{
	int running;
	fetcher->depth++;
	curl_multi_socket_action(fetcher->multi, fd, mask, &running);
	fetcher->depth--;
	settle(fetcher);
}

static void on_ready(void *arg, int events)
{
	const struct socket_watch *w = arg;
	act(w->fetcher, w->fd,
		(events & LOOP_READ ? CURL_CSELECT_IN : 0) |
			(events & LOOP_WRITE ? CURL_CSELECT_OUT : 0));
}

static void on_timer(void *arg)
{
	act(arg, CURL_SOCKET_TIMEOUT, 0);
}

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *socket_arg)
{
	struct fetcher *fetcher = arg;
	struct socket_watch *w = socket_arg;
	if (what == CURL_POLL_REMOVE) {
		if (w)
			watch_free(w->watch);
		free(w);
		curl_multi_assign(fetcher->multi, fd, NULL);
		return 0;
	}
	if (!w) {
		w = mem_new(struct socket_watch);
		w->fetcher = fetcher;
		w->fd = fd;
		w->watch = watch_new(fetcher->loop, fd, 0, on_ready, w);
		curl_multi_assign(fetcher->multi, fd, w);
	}
	watch_set(w->watch,
		(what & CURL_POLL_IN ? LOOP_READ : 0) | (what & CURL_POLL_OUT ? LOOP_WRITE : 0));
	return 0;
}

static void on_due(void *arg)
{
	struct fetcher *fetcher = arg;
	fetcher->is_due = false;
	act(fetcher, CURL_SOCKET_TIMEOUT, 0);
}

/*
 * At once is at the end of this turn: a timer without time that sets itself again is all that
 * timers would do.
 */
static int on_timeout(CURLM *multi, long ms, void *arg)
{
	struct fetcher *fetcher = arg;
	if (ms > 0) {
		timer_set(fetcher->timer, ms);
		return 0;
	}
	timer_clear(fetcher->timer);
	if (ms == 0 && !fetcher->is_due) {
		fetcher->is_due = true;
		loop_defer(fetcher->loop, on_due, fetcher);
	}
	return 0;
}

struct fetcher *fetcher_new(struct loop *loop)
{
	struct fetcher *fetcher = mem_new(struct fetcher);
	fetcher->loop = loop;
	fetcher->multi = curl_multi_init();
	BUG_IF(!fetcher->multi, "libcurl cannot start");
	fetcher->timer = timer_new(loop, on_timer, fetcher);
	list_init(&fetcher->fetches);
	curl_multi_setopt(fetcher->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
	curl_multi_setopt(fetcher->multi, CURLMOPT_SOCKETDATA, fetcher);
	curl_multi_setopt(fetcher->multi, CURLMOPT_TIMERFUNCTION, on_timeout);
	curl_multi_setopt(fetcher->multi, CURLMOPT_TIMERDATA, fetcher);
	return fetcher;
}

void fetcher_free(struct fetcher *fetcher)
{
	if (!fetcher)
		return;
	BUG_IF(fetcher->depth, "a fetcher is freed from inside a callback of it");
	while (!list_is_empty(&fetcher->fetches))
		fetch_free(list_get_first(&fetcher->fetches, struct fetch, link));
	curl_multi_cleanup(fetcher->multi);
	timer_free(fetcher->timer);
	loop_undefer(fetcher->loop, fetcher);
	free(fetcher);
}

/* ---- one fetch ---- */

static void end_rest(void *arg);

static void rest_soon(struct fetcher *fetcher)
{
	if (fetcher->has_rest)
		return;
	fetcher->has_rest = true;
	loop_defer(fetcher->loop, end_rest, fetcher);
}

static size_t on_write(char *bytes, size_t size, size_t n, void *arg)
{
	struct fetch *f = arg;
	if (f->is_zombie)
		return 0;
	if (f->turn_bytes > TURN_BYTES) {
		f->is_resting = true;
		rest_soon(f->fetcher);
	}
	if (f->is_paused || f->is_resting)
		return CURL_WRITEFUNC_PAUSE;
	f->turn_bytes += size * n;
	if (f->ops->on_body &&
		f->ops->on_body(f->arg, str_from_len(bytes, size * n), &f->error) < 0)
		return 0;
	return f->is_zombie ? 0 : size * n;
}

static size_t on_read(char *to, size_t size, size_t n, void *arg)
{
	struct fetch *f = arg;
	if (f->is_zombie)
		return CURL_READFUNC_ABORT;
	ssize_t r = f->ops->pull(f->arg, to, size * n, &f->error);
	if (r == FETCH_WAIT) {
		f->waits_for_bytes = true;
		return CURL_READFUNC_PAUSE;
	}
	return r < 0 || f->is_zombie ? CURL_READFUNC_ABORT : (size_t)r;
}

static int on_xfer(void *arg, curl_off_t down_total, curl_off_t down, curl_off_t up_total,
	curl_off_t up)
{
	struct fetch *f = arg;
	if (f->is_zombie)
		return 1;
	if (f->ops->on_progress)
		f->ops->on_progress(f->arg, down + up);
	return 0;
}

static void set_common(CURL *easy, const char *url, const char *unix_path)
{
	curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)FETCH_CONNECT_MS);
	curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
	/*
	 * Before servers close it: what is sent into a connection that closes is neither done nor
	 * not done.
	 */
	curl_easy_setopt(easy, CURLOPT_MAXAGE_CONN, (long)FETCH_REUSE_S);
	curl_easy_setopt(easy, CURLOPT_PROXY, "");
	curl_easy_setopt(easy, CURLOPT_NOPROXY, "*");
	curl_easy_setopt(easy, CURLOPT_URL, url);
	curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L);
	if (unix_path)
		curl_easy_setopt(easy, CURLOPT_UNIX_SOCKET_PATH, unix_path);
}

static void add_header(struct fetch *f, const char *line)
{
	struct curl_slist *longer = curl_slist_append(f->headers, line);
	BUG_IF(!longer, "out of memory");
	f->headers = longer;
}

static void set_body(struct fetch *f, const struct fetch_request *r)
{
	if (f->ops->pull && !r->body.ptr) {
		curl_easy_setopt(f->easy, CURLOPT_UPLOAD, 1L);
		curl_easy_setopt(f->easy, CURLOPT_READFUNCTION, on_read);
		curl_easy_setopt(f->easy, CURLOPT_READDATA, f);
		curl_easy_setopt(f->easy, CURLOPT_INFILESIZE_LARGE,
			r->pull_size > 0 ? (curl_off_t)r->pull_size : (curl_off_t)-1);
	} else if (r->body.ptr || str_is(STR("POST"), r->method)) {
		curl_easy_setopt(f->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)r->body.len);
		curl_easy_setopt(f->easy, CURLOPT_POSTFIELDS, r->body.ptr ? r->body.ptr : "");
		add_header(f, "Expect:"); /* it is at hand: no round trip to ask */
	}
}

static void set_blob(CURL *easy, CURLoption option, const char *pem)
{
	struct curl_blob blob = { .data = (char *)(uintptr_t)pem, .flags = CURL_BLOB_COPY };
	if (!pem)
		return;
	blob.len = strlen(pem);
	curl_easy_setopt(easy, option, &blob);
}

static void set_tls(CURL *easy, const struct fetch_tls *tls)
{
	set_blob(easy, CURLOPT_CAINFO_BLOB, tls->authorities);
	set_blob(easy, CURLOPT_SSLCERT_BLOB, tls->certificate);
	set_blob(easy, CURLOPT_SSLKEY_BLOB, tls->key);
	if (tls->believes_anybody) {
		curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 0L);
		curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 0L);
	}
}

static void set_deadlines(struct fetch *f, const struct fetch_request *r)
{
	curl_easy_setopt(f->easy, CURLOPT_TIMEOUT_MS, (long)r->timeout_ms);
	if (r->stall_ms > 0) {
		curl_easy_setopt(f->easy, CURLOPT_LOW_SPEED_LIMIT, 1L);
		curl_easy_setopt(f->easy, CURLOPT_LOW_SPEED_TIME,
			(long)((r->stall_ms + 999) / 1000));
	}
}

static char *name_server(const char *url, const char *unix_path)
{
	struct str s = str_from(url);
	ptrdiff_t scheme = str_find(s, STR("://"));
	if (unix_path)
		return mem_strdup(unix_path);
	size_t host = scheme < 0 ? 0 : (size_t)scheme + 3;
	size_t end = host + strcspn(s.ptr + host, "/?#");
	size_t at = end;
	while (at > host && s.ptr[at - 1] != '@')
		at--;
	return mem_printf("%.*s%.*s", (int)host, s.ptr, (int)(end - at), s.ptr + at);
}

struct fetch *fetch_new(struct fetcher *fetcher, const struct fetch_request *r,
	const struct fetch_ops *ops, void *arg)
{
	struct fetch *f = mem_new(struct fetch);
	f->fetcher = fetcher;
	f->ops = ops;
	f->arg = arg;
	f->easy = curl_easy_init();
	BUG_IF(!f->easy, "libcurl cannot start");
	f->where = name_server(r->url, r->unix_path);
	list_append(&fetcher->fetches, &f->link);
	set_common(f->easy, r->url, r->unix_path);
	for (size_t i = 0; r->headers && r->headers[i]; i++)
		add_header(f, r->headers[i]);
	if (r->tls)
		set_tls(f->easy, r->tls);
	set_body(f, r);
	set_deadlines(f, r);
	curl_easy_setopt(f->easy, CURLOPT_CUSTOMREQUEST, r->method);
	curl_easy_setopt(f->easy, CURLOPT_HTTPHEADER, f->headers);
	curl_easy_setopt(f->easy, CURLOPT_WRITEFUNCTION, on_write);
	curl_easy_setopt(f->easy, CURLOPT_WRITEDATA, f);
	curl_easy_setopt(f->easy, CURLOPT_PRIVATE, f);
	curl_easy_setopt(f->easy, CURLOPT_NOPROGRESS, 0L);
	curl_easy_setopt(f->easy, CURLOPT_XFERINFOFUNCTION, on_xfer);
	curl_easy_setopt(f->easy, CURLOPT_XFERINFODATA, f);
	f->is_new = fetcher->depth > 0;
	if (!f->is_new)
		curl_multi_add_handle(fetcher->multi, f->easy);
	return f;
}

void fetch_cancel(struct fetch *f)
{
	if (!f)
		return;
	if (f->fetcher->depth)
		f->is_zombie = true;
	else
		fetch_free(f);
}

int fetch_status(const struct fetch *f)
{
	long status = 0;
	curl_easy_getinfo(f->easy, CURLINFO_RESPONSE_CODE, &status);
	return (int)status;
}

const char *fetch_type(const struct fetch *f)
{
	char *type = NULL;
	curl_easy_getinfo(f->easy, CURLINFO_CONTENT_TYPE, &type);
	return type ? type : "";
}

const char *fetch_header(const struct fetch *f, const char *name)
{
	struct curl_header *header;
	return curl_easy_header(f->easy, name, 0, CURLH_HEADER, -1, &header) == CURLHE_OK
		? header->value
		: "";
}

bool fetch_was_sent(const struct fetch *f)
{
	long size = 0;
	curl_easy_getinfo(f->easy, CURLINFO_REQUEST_SIZE, &size);
	return size > 0;
}

static void resume(struct fetch *f)
{
	int mask = (f->is_paused || f->is_resting ? CURLPAUSE_RECV : 0) |
		(f->waits_for_bytes ? CURLPAUSE_SEND : 0);
	if (f->is_zombie)
		return;
	/* It calls back at once with what it has kept. */
	f->fetcher->depth++;
	curl_easy_pause(f->easy, mask);
	f->fetcher->depth--;
	begin_new(f->fetcher);
	free_zombies(f->fetcher);
}

/* It may cancel others, which are no more then: begins anew after each. */
static struct fetch *find_resting(const struct fetcher *fetcher)
{
	struct fetch *f;
	list_for_each(f, &fetcher->fetches, link)
		if (f->is_resting && f->turn_bytes)
			return f;
	return NULL;
}

static void end_rest(void *arg)
{
	struct fetcher *fetcher = arg;
	struct fetch *f;
	fetcher->has_rest = false;
	while ((f = find_resting(fetcher))) {
		f->is_resting = false;
		f->turn_bytes = 0;
		resume(f);
	}
	settle(fetcher);
}

void fetch_wake(struct fetch *f)
{
	if (!f->waits_for_bytes)
		return;
	f->waits_for_bytes = false;
	resume(f);
}

void fetch_pause(struct fetch *f, bool is_paused)
{
	if (f->is_paused == is_paused)
		return;
	f->is_paused = is_paused;
	resume(f);
}

/* ---- a bare connection ---- */

int fetch_socket_open(const char *url, const char *unix_path, const struct fetch_tls *tls,
	struct fetch_socket *ret, struct error *err)
{
	curl_socket_t fd;
	CURL *easy = curl_easy_init();
	BUG_IF(!easy, "libcurl cannot start");
	ret->curl = easy;
	set_common(easy, url, unix_path);
	if (tls)
		set_tls(easy, tls);
	curl_easy_setopt(easy, CURLOPT_CONNECT_ONLY, 1L);
	CURLcode code = curl_easy_perform(easy);
	if (code != CURLE_OK)
		return describe(code, unix_path ? unix_path : url, err);
	curl_easy_getinfo(easy, CURLINFO_ACTIVESOCKET, &fd);
	ret->fd = fd;
	return 0;
}

void fetch_socket_close(struct fetch_socket *s)
{
	curl_easy_cleanup(s->curl);
	s->curl = NULL;
}

ssize_t fetch_socket_recv(struct fetch_socket *s, char *to, size_t len)
{
	size_t n = 0;
	CURLcode code = curl_easy_recv(s->curl, to, len, &n);
	if (code == CURLE_AGAIN)
		return 0;
	return code == CURLE_OK && n > 0 ? (ssize_t)n : -1;
}

/*
 * TLS wants what it did not take again as it was: as many bytes, at the same address. Anything else
 * it refuses, which libcurl (7.88) tells as CURLE_AGAIN, for ever.
 */
ssize_t fetch_socket_send(struct fetch_socket *s, struct str bytes)
{
	size_t n = 0;
	if (!s->n_held) {
		s->n_held = MIN(bytes.len, sizeof(s->held));
		memcpy(s->held, bytes.ptr, s->n_held);
	}
	CURLcode code = curl_easy_send(s->curl, s->held, s->n_held, &n);
	if (code == CURLE_AGAIN)
		return 0;
	s->n_held = 0;
	return code == CURLE_OK ? (ssize_t)n : -1;
}
