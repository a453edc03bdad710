/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/remote/ask.h"

#include "base/auto.h"
#include "base/bug.h"
#include "base/list.h"

#include <sys/random.h>

enum { DETAIL_MAX = 300, REFUSAL_MAX = 64 * 1024 };

struct ask {
	struct list link; /* asker::asks */
	struct asker *asker;
	struct ask_plan plan;
	char *url, *unix_path, *body;
	size_t body_len;
	char *keys[ASK_HEADERS_MAX];
	struct fetch *fetch; /* NULL: between two tries */
	struct timer *timer;
	struct buf reply;
	int n_tries;
	size_t body_at; /* pulled, of a body that must not be sent twice */
	bool was_pulled;
};

void asker_init(struct asker *asker, struct loop *loop)
{
	asker->loop = loop;
	asker->fetcher = fetcher_new(loop);
	list_init(&asker->asks);
}

void asker_fini(struct asker *asker)
{
	while (!list_is_empty(&asker->asks))
		ask_drop(list_get_first(&asker->asks, struct ask, link));
	fetcher_free(asker->fetcher);
}

void ask_drop(struct ask *a)
{
	if (!a)
		return;
	list_remove(&a->link);
	fetch_cancel(a->fetch);
	timer_free(a->timer);
	loop_undefer(a->asker->loop, a);
	buf_fini(&a->reply);
	for (int i = 0; i < ASK_HEADERS_MAX; i++)
		free(a->keys[i]);
	free(a->url);
	free(a->unix_path);
	free(a->body);
	free(a);
}

/* ---- what an answer means ---- */

void ask_put_detail(struct str body, struct buf *b)
{
	auto_json struct json *json = NULL;
	struct str text = STR_NONE;
	if (json_parse(body, &json, NULL) == 0) {
		text = json_str(json_find(json, "detail"));
		if (!text.ptr)
			text = json_str(json_find(json_find(json, "error"), "message"));
		if (!text.ptr)
			text = json_str(json_find(json, "message"));
	}
	buf_put(b, str_first(str_trim(text.ptr ? text : body), DETAIL_MAX));
}

static enum error_code code_of(int status)
{
	static const struct {
		int status;
		enum error_code code;
	} known[] = {
		{ 400, ERROR_INVALID },
		{ 401, ERROR_UNAUTHORIZED },
		{ 403, ERROR_UNAUTHORIZED },
		{ 404, ERROR_NOT_FOUND },
		{ 422, ERROR_INVALID },
		{ 429, ERROR_LIMIT },
		{ 501, ERROR_UNSUPPORTED },
		{ 502, ERROR_DISCONNECTED },
		{ 503, ERROR_NOT_READY },
		{ 504, ERROR_DISCONNECTED },
	};
	for (size_t i = 0; i < ARRAY_LEN(known); i++)
		if (known[i].status == status)
			return known[i].code;
	return ERROR_INTERNAL;
}

int ask_parse(struct str body, struct json **ret, struct error *err)
{
	if (json_parse(body, ret, err) == 0)
		return 0;
	error_wrap(err, "the server's answer");
	err->code = ERROR_PROTOCOL; /* it is not the caller's who was misunderstood */
	return -1;
}

static int judge(const struct ask *a, int status, struct str body, struct error *err)
{
	auto_buf struct buf detail = BUF_INIT(DETAIL_MAX);
	if (status >= 200 && status < 300)
		return 0;
	if (status < 400)
		return error_set(err, ERROR_PROTOCOL,
			status < 300 ? "the server answered %d"
				     : "the server answered %d: a redirect is not followed",
			status);
	auto_json struct json *json = NULL;
	const struct json *ours = NULL;
	if (json_parse(body, &json, NULL) == 0)
		ours = json_find(json, "error");
	if (json_str(json_find(ours, "code")).ptr)
		return json_to_error(ours, err);
	ask_put_detail(body, &detail);
	bool is_keyless = code_of(status) == ERROR_UNAUTHORIZED && !a->keys[0] &&
		!a->plan.unix_path && !a->plan.tls; /* an engine wants none, a cluster has said */
	return error_set(err, code_of(status), "the server answered %d%s%s%s", status,
		detail.len ? ": " : "", detail.ptr,
		is_keyless
			? "; no key was shown to it: SANDBOX_API_KEY, or what `cay help serve` names"
			: "");
}

static int judge_failure(const struct ask *a, const struct error *failure, struct error *err)
{
	*err = *failure;
	if (err->code == ERROR_UNAVAILABLE)
		err->code = ERROR_DISCONNECTED;
	if (err->code == ERROR_TIMEOUT)
		return error_set(err, ERROR_TIMEOUT, "no answer within %.1f s",
			(double)a->plan.timeout_ms / 1000);
	return -1;
}

/* ---- tries ---- */

static void send_now(void *arg);

static int64_t pause_ms(int n_tries)
{
	uint16_t random = 0;
	int64_t ms = ASK_PAUSE_MS;
	for (int i = 1; i < n_tries && ms < ASK_PAUSE_MAX_MS; i++)
		ms *= 2;
	ms = MIN(ms, ASK_PAUSE_MAX_MS);
	if (getrandom(&random, sizeof(random), GRND_NONBLOCK) < 0)
		return ms;
	return ms - ms / 4 * random / UINT16_MAX;
}

static bool may_try_again(const struct ask *a, int status, bool was_sent, const struct error *err)
{
	if (a->was_pulled || a->n_tries >= (a->plan.tries ?: ASK_TRIES))
		return false;
	if (status == 429)
		return true;
	return err->code == ERROR_DISCONNECTED && (!was_sent || a->plan.is_harmless);
}

static void on_done(void *arg, const struct error *failure)
{
	struct ask *a = arg;
	struct error err;
	int status = fetch_status(a->fetch);
	bool was_sent = fetch_was_sent(a->fetch);
	int r = failure ? judge_failure(a, failure, &err)
			: judge(a, status, buf_str(&a->reply), &err);
	a->fetch = NULL;
	if (r < 0 && may_try_again(a, failure ? 0 : status, was_sent, &err)) {
		timer_set(a->timer, pause_ms(a->n_tries));
		return;
	}
	ask_fn *done = a->plan.done;
	void *done_arg = a->plan.arg;
	auto_buf struct buf reply = a->reply;
	buf_init(&a->reply, 0);
	ask_drop(a);
	done(done_arg, status, buf_str(&reply), r < 0 ? &err : NULL);
}

static int on_body(void *arg, struct str piece, struct error *err)
{
	struct ask *a = arg;
	int status = fetch_status(a->fetch);
	bool is_good = status >= 200 && status < 300;
	if (!is_good) {
		if (a->reply.len < REFUSAL_MAX)
			buf_put(&a->reply, str_first(piece, REFUSAL_MAX - a->reply.len));
		return 0;
	}
	if (a->plan.on_body)
		return a->plan.on_body(a->plan.arg, piece, err);
	if (buf_put(&a->reply, piece) < 0)
		return error_set(err, ERROR_TOO_LARGE, "an answer of more than %d bytes",
			ASK_REPLY_MAX);
	return 0;
}

/*
 * libcurl asks a kept connection that breaks without an answer again on a new one, if it can begin
 * the body anew. From a callback it cannot: so what must not be performed twice is not.
 */
static ssize_t pull_body(void *arg, char *to, size_t size, struct error *err)
{
	struct ask *a = arg;
	size_t n = MIN(size, a->body_len - a->body_at);
	memcpy(to, a->body + a->body_at, n);
	a->body_at += n;
	return (ssize_t)n;
}

static ssize_t on_pull(void *arg, char *to, size_t size, struct error *err)
{
	struct ask *a = arg;
	a->was_pulled = true;
	return a->plan.pull(a->plan.arg, to, size, err);
}

static void send_now(void *arg)
{
	static const struct fetch_ops plain = { .on_body = on_body, .on_done = on_done },
				      pulling = { on_pull, on_body, NULL, on_done },
				      once = { pull_body, on_body, NULL, on_done };
	const struct fetch_ops *use = &plain;
	struct ask *a = arg;
	auto_free char *type = mem_printf("Content-Type: %s",
		a->plan.pull ? a->plan.content_type : "application/json");
	const char *headers[ASK_HEADERS_MAX + 3] = { a->body || a->plan.pull ? type : "Accept: */*",
		"Expect:" };
	for (int i = 0, n = 2; i < ASK_HEADERS_MAX && a->keys[i]; i++)
		headers[n++] = a->keys[i];
	bool is_once = a->body_len && !a->plan.is_harmless;
	if (a->plan.pull || is_once)
		use = is_once ? &once : &pulling;
	a->body_at = 0;
	const struct fetch_request request = {
		.method = a->plan.method,
		.url = a->url,
		.unix_path = a->unix_path,
		.headers = headers,
		.tls = a->plan.tls,
		.body = a->body && !is_once ? str_from_len(a->body, a->body_len) : STR_NONE,
		.pull_size = is_once ? (int64_t)a->body_len : 0,
		.timeout_ms = MAX(a->plan.timeout_ms, 0),
		.stall_ms = a->plan.timeout_ms ? 0 : 60000,
	};
	a->n_tries++;
	buf_reset(&a->reply);
	a->fetch = fetch_new(a->asker->fetcher, &request, use, a);
}

struct ask *ask_new(struct asker *asker, const struct ask_plan *plan)
{
	struct ask *a = mem_new(struct ask);
	a->asker = asker;
	a->plan = *plan;
	a->url = mem_strdup(plan->url);
	a->unix_path = plan->unix_path ? mem_strdup(plan->unix_path) : NULL;
	a->body = plan->json.ptr ? str_dup(plan->json) : NULL;
	a->body_len = plan->json.len;
	for (int i = 0; i < ASK_HEADERS_MAX && plan->keys[i]; i++)
		a->keys[i] = mem_strdup(plan->keys[i]);
	a->timer = timer_new(asker->loop, send_now, a);
	buf_init(&a->reply, ASK_REPLY_MAX);
	list_append(&asker->asks, &a->link);
	send_now(a);
	return a;
}

void ask_wake(struct ask *a)
{
	if (a->fetch)
		fetch_wake(a->fetch);
}

void ask_pause(struct ask *a, bool is_paused)
{
	if (a->fetch)
		fetch_pause(a->fetch, is_paused);
}
