/* SPDX-License-Identifier: Apache-2.0 */
/*
 * camel: what a client of CAMEL's LLMGuardRuntime sees, for faces that offer it: its sentences, to the letter,
 * and its grants. A guarded tool call is
 *
 *	if (!grants_take(&grants, name)) guard_score(…)   an error, or no score: camel_put_failed
 *	score > threshold (CAMEL_THRESHOLD unless said)    camel_put_refusal
 *
 * `ignore_risk` lets an agent wave its own next call through: that is a hint and no wall, so a server offers
 * it only where its operator said so. A grant is for one call of one name, and lapses.
 */
#pragma once

#include "base/buf.h"
#include "base/error.h"
#include "base/list.h"

#include <stdint.h>

enum { CAMEL_THRESHOLD = 2, GRANTS_MAX = 256, GRANT_MS = 600000 };

/* The OpenAI schema of ignore_risk. */
extern const char camel_ignore_risk_schema[];

/* {"error": "Risk assessment not passed for …"} and its siblings. */
void camel_put_refusal(struct buf *b, struct str name, int score, int threshold, struct str reason);
void camel_put_failed(struct buf *b);
/* "Ignored risk for function …!" as a JSON string. */
void camel_put_ignored(struct buf *b, struct str name);

struct grants {
	struct list list; /* of struct grant, private */
	int n;
};

void grants_init(struct grants *g);
void grants_reset(struct grants *g); /* also at the end */
/* is_known: whether there is a tool of that name. */
int grants_add(struct grants *g, struct str name, bool is_known, int64_t now_ms, struct error *err);
/* Whether the next call of it is granted; it no longer is afterwards. */
bool grants_take(struct grants *g, struct str name, int64_t now_ms);
