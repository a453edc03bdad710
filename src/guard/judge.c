/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. An ask is one body that is sent until there is an answer: `fetch` while it
 * is under way, `timer` while the next attempt waits. The deadline is that of all attempts
 * together: each gets what is left of it.
 */
#include "guard/judge.h"

#include "base/auto.h"
#include "base/bug.h"
#include "base/clock.h"
#include "base/list.h"
#include "http/fetch.h"

enum { ANSWER_MAX = 1024 * 1024, REQUEST_MAX = 4 * 1024 * 1024, BACK_OFF_MS = 250 };

struct judge {
	struct loop *loop;
	struct fetcher *fetcher;
	struct list asks; /* judge_ask::link */
	int n_asks;
	char *url, *model, *authorization;
	int64_t timeout_ms;
	int retries;
};

struct judge_ask {
	struct list link; /* judge::asks */
	struct judge *judge;
	struct fetch *fetch;
	struct timer *timer;
	struct buf request, answer;
	int64_t deadline_ms;
	int n_failed, n_malformed;
	struct error error; /* why the last attempt failed */
	judge_fn *done;
	void *arg;
};

struct judge *judge_new(struct loop *loop, const struct judge_config *config)
{
	struct judge *judge = mem_new(struct judge);
	struct str url = str_from(config->url ?: JUDGE_URL);
	while (str_ends(url, STR("/")))
		url.len--;
	judge->loop = loop;
	judge->fetcher = fetcher_new(loop);
	judge->url = mem_printf("%.*s/chat/completions", STR_ARG(url));
	judge->model = mem_strdup(config->model ?: JUDGE_MODEL);
	if (config->key)
		judge->authorization = mem_printf("Authorization: Bearer %s", config->key);
	judge->timeout_ms = config->timeout_ms ? config->timeout_ms : JUDGE_TIMEOUT_MS;
	judge->retries = config->retries;
	list_init(&judge->asks);
	return judge;
}

void judge_cancel(struct judge_ask *ask)
{
	if (!ask)
		return;
	list_remove(&ask->link);
	ask->judge->n_asks--;
	fetch_cancel(ask->fetch);
	timer_free(ask->timer);
	buf_fini(&ask->request);
	buf_fini(&ask->answer);
	free(ask);
}

void judge_free(struct judge *judge)
{
	if (!judge)
		return;
	while (!list_is_empty(&judge->asks))
		judge_cancel(list_get_first(&judge->asks, struct judge_ask, link));
	fetcher_free(judge->fetcher);
	free(judge->url);
	free(judge->model);
	free(judge->authorization);
	free(judge);
}

static void end(struct judge_ask *ask, int score, struct str reason, const struct error *err)
{
	judge_fn *done = ask->done;
	void *arg = ask->arg;
	auto_buf struct buf kept = BUF_INIT(2 * JUDGE_REASON_MAX);
	struct error error;
	buf_put(&kept, reason);
	if (err) {
		error = *err;
		error_wrap(&error, "the guard's model");
	}
	judge_cancel(ask);
	done(arg, score, buf_str(&kept), err ? &error : NULL);
}

static void attempt(void *arg);

/* Tries again as long as it may: a failure of the way there, or of the answer. */
static void try_again(struct judge_ask *ask, bool may, const struct error *err)
{
	int64_t wait_ms = BACK_OFF_MS << MIN(ask->n_failed, 6);
	int64_t left_ms = ask->deadline_ms - clock_mono_ms();
	if (!may || left_ms <= wait_ms) {
		end(ask, 0, STR_NONE, err);
		return;
	}
	timer_set(ask->timer, wait_ms);
}

static int on_body(void *arg, struct str piece, struct error *err)
{
	struct judge_ask *ask = arg;
	if (buf_put(&ask->answer, piece) < 0)
		return error_set(err, ERROR_TOO_LARGE, "an answer of over %d bytes", ANSWER_MAX);
	return 0;
}

static void on_answer(struct judge_ask *ask)
{
	auto_buf struct buf reason = BUF_INIT(2 * JUDGE_REASON_MAX);
	struct error err;
	int score = judge_read_answer(buf_str(&ask->answer), &reason, &err);
	if (score > 0)
		end(ask, score, buf_str(&reason), NULL);
	else
		try_again(ask, ask->n_malformed++ == 0, &err);
}

static void on_done(void *arg, const struct error *err)
{
	struct judge_ask *ask = arg;
	int status = fetch_status(ask->fetch);
	ask->fetch = NULL;
	struct error refused;
	if (!err && status == 200) {
		on_answer(ask);
		return;
	}
	bool is_passing = err ? error_is_retryable(err->code) : status == 429 || status >= 500;
	if (!err) {
		/* The body may quote the question; the log of events is no place for it. */
		error_set(&refused, ERROR_UNAVAILABLE, "it answered with status %d", status);
		err = &refused;
	}
	try_again(ask, is_passing && ask->n_failed++ < ask->judge->retries, err);
}

static void attempt(void *arg)
{
	static const struct fetch_ops ops = { .on_body = on_body, .on_done = on_done };
	struct judge_ask *ask = arg;
	const char *headers[] = { "Content-Type: application/json", ask->judge->authorization,
		NULL };
	int64_t left_ms = ask->deadline_ms - clock_mono_ms();
	const struct fetch_request request = {
		.method = "POST",
		.url = ask->judge->url,
		.headers = headers,
		.body = buf_str(&ask->request),
		.timeout_ms = MAX(left_ms, 1),
	};
	buf_reset(&ask->answer);
	ask->fetch = fetch_new(ask->judge->fetcher, &request, &ops, ask);
}

struct judge_ask *judge_ask(struct judge *judge, struct str name, struct str description,
	const struct json *arguments, judge_fn *done, void *arg, struct error *err)
{
	auto_buf struct buf request = BUF_INIT(REQUEST_MAX);
	if (judge->n_asks >= JUDGE_ASKS_MAX) {
		error_set(err, ERROR_LIMIT, "the guard's model is asked %d questions already",
			judge->n_asks);
		return NULL;
	}
	if (judge_put_request(&request, judge->model, name, description, arguments, err) < 0)
		return NULL;
	struct judge_ask *ask = mem_new(struct judge_ask);
	ask->judge = judge;
	ask->done = done;
	ask->arg = arg;
	ask->request = request;
	request = BUF_INIT(0);
	buf_init(&ask->answer, ANSWER_MAX);
	ask->deadline_ms = clock_mono_ms() + judge->timeout_ms;
	ask->timer = timer_new(judge->loop, attempt, ask);
	list_append(&judge->asks, &ask->link);
	judge->n_asks++;
	attempt(ask);
	return ask;
}
