/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rules: how risky an action or tool call is, without asking anybody. Rows of rule.def, matched
 * against what the parameters would do: commands as programs and words (guard/shell.h), paths,
 * URLs, source code.
 *
 *	struct risk risk;
 *	rules_judge(STR("run"), params, 0, &risk);
 *	risk.score        1 LOW, 2 MEDIUM, 3 HIGH: that of the worst rule that matched
 *
 * It knows well-known ways to do harm and is no wall: who wants to hide something from it can. The
 * wall is the sandbox.
 */
#pragma once

#include "base/error.h"
#include "wire/json.h"

enum rule {
#define RULE(name, word, score, reason) RULE_##name,
#include "guard/rule.def"
#undef RULE
	RULE_MAX,
};

enum risk_score { RISK_LOW = 1, RISK_MEDIUM = 2, RISK_HIGH = 3 };

struct risk {
	int score;
	uint64_t rules;     /* 1 << RULE_x: all that matched and are not ignored */
	enum rule worst;    /* RULE_MAX: none */
	const char *reason; /* of the worst */
};

const char *rule_word(enum rule rule);
int rule_score(enum rule rule);
const char *rule_reason(enum rule rule);
int rule_parse(struct str word, enum rule *ret, struct error *err);
const char *risk_name(int score); /* "LOW", "MEDIUM", "HIGH" */

/* Actions whose parameters can do harm; of the others nobody is asked. */
bool rules_know(struct str action);
/* `name`: an action or a tool. ignored: 1 << RULE_x. */
void rules_judge(struct str name, const struct json *params, uint64_t ignored, struct risk *ret);
