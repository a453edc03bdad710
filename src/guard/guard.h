/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guard: looks at actions and tool calls before they are performed: the rules first (rules.h),
 * then, where the settings say so, a language model (judge.h); then, if the score is above the
 * threshold, a person. It is a gate (action/gate.h): the runtime knows no more of it than that.
 *
 *	passed                 score at or below the threshold
 *	blocked                above it; or the model could not be asked, whatever the rules say
 *	awaiting_confirmation  above it, and `confirm` is set; then confirmed or rejected
 *
 * Every one of these is an event of the kind `verdict`. Who confirms shows the approver's token,
 * which is not the token that actions are asked for with: no agent approves itself. A question that
 * nobody answers in time is rejected; one whose caller goes away is gone.
 */
#pragma once

#include "action/gate.h"
#include "guard/judge.h"
#include "guard/settings.h"

struct guard;

enum {
	GUARD_WAITING_MAX = 256, /* questions for a person at once */
	GUARD_SHARE = 64,        /* of those, and of the ones for the model, one sandbox's */
};

/*
 * What a server is told, as JSON: a guard's settings, and llm_url, llm_model, llm_key,
 * llm_timeout_ms, llm_retries.
 */
int guard_new(struct loop *loop, const struct json *config, struct guard **ret, struct error *err);
void guard_free(struct guard *guard);
struct gate *guard_gate(struct guard *guard);

/* What waits for a person, oldest first: {"id","sandbox","action","params",…} each. */
void guard_write_waiting(struct guard *guard, struct jsonw *w);
/* ERROR_NOT_FOUND: there is no such question, or not any more. `reason` is the approver's own. */
int guard_decide(struct guard *guard, struct str id, bool is_confirmed, struct str reason,
	struct error *err);

/*
 * How risky a call would be, without performing anything: by the rules, and by the model if the
 * server has one. done(score 1 to 3, whose, why) or an error, which counts as a no. NULL: done has
 * been deferred.
 */
typedef void guard_score_fn(void *arg, int score, struct str by, struct str reason,
	const struct error *err);
struct guard_score;
struct guard_score *guard_score(struct guard *guard, struct str name, struct str description,
	const struct json *arguments, guard_score_fn *done, void *arg);
void guard_score_cancel(struct guard_score *score); /* NULL is fine */
/* {"settings":{…},"has_model":…,"rules":[{"name","risk","score","reason"}]} */
void guard_write(struct guard *guard, struct jsonw *w);
