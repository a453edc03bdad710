/* SPDX-License-Identifier: Apache-2.0 */
/*
 * judge: a language model, behind any endpoint that speaks OpenAI's chat completions, that scores
 * one call of an action or tool: 1 no harm, 2 minimal, 3 risk. What it is told and asked is CAMEL's
 * LLMGuardRuntime; but the arguments are fenced data, the answer has to be the tool's, its score an
 * integer from 1 to 3, and of several scores the highest counts.
 *
 * Failures are retried while the deadline lasts: no connection, 429 and 5xx `retries` times, an
 * answer that is none once. What remains is an error, and who asked must take it for a no.
 */
#pragma once

#include "event/loop.h"
#include "wire/json.h"

struct judge;
struct judge_ask;

enum {
	JUDGE_TIMEOUT_MS = 30000,
	JUDGE_RETRIES = 3,
	JUDGE_ARGUMENTS_MAX = 64 * 1024,
	JUDGE_REASON_MAX = 1000,
	JUDGE_ASKS_MAX = 256, /* at once */
};

#define JUDGE_URL   "https://api.openai.com/v1"
#define JUDGE_MODEL "gpt-4.1-mini-2025-04-14"

struct judge_config {
	const char *url, *model, *key; /* key NULL: none is shown */
	int64_t timeout_ms;            /* of everything */
	int retries;
};

/* score 1 to 3, or err. Once, never from inside judge_ask. */
typedef void judge_fn(void *arg, int score, struct str reason, const struct error *err);

struct judge *judge_new(struct loop *loop, const struct judge_config *config);
void judge_free(struct judge *judge); /* nobody is told */
/* NULL with *err: it cannot even be asked. */
struct judge_ask *judge_ask(struct judge *judge, struct str name, struct str description,
	const struct json *arguments, judge_fn *done, void *arg, struct error *err);
void judge_cancel(struct judge_ask *ask); /* NULL is fine */

/* For tests: the request's body, and what an answer says (-1: it is none). */
int judge_put_request(struct buf *b, const char *model, struct str name, struct str description,
	const struct json *arguments, struct error *err);
int judge_read_answer(struct str body, struct buf *ret_reason, struct error *err);
