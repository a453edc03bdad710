/* SPDX-License-Identifier: Apache-2.0 */
/*
 * settings: how closely the actions of one sandbox are looked at. The server has settings, a
 * sandbox may wish for some; what counts is never less than the server's.
 *
 * An action whose score is above the threshold is blocked; or, with `confirm`, waits for somebody
 * who holds the approver's token. Threshold 0 lets nothing through by itself, 3 only takes notes.
 */
#pragma once

#include "base/error.h"
#include "wire/json.h"

enum guard_mode { GUARD_OFF, GUARD_RULES, GUARD_LLM };

enum { GUARD_THRESHOLD = 2, GUARD_CONFIRM_MS = 300000 };

struct guard_settings {
	enum guard_mode mode;
	int64_t threshold; /* the highest score that is let through, 0 to 3 */
	bool confirm;
	int64_t confirm_timeout_ms; /* then it counts as rejected */
	uint64_t ignored;           /* rules: 1 << RULE_x */
};

#define GUARD_SETTINGS_INIT                          \
	((struct guard_settings){ .mode = GUARD_OFF, \
		.threshold = GUARD_THRESHOLD,        \
		.confirm_timeout_ms = GUARD_CONFIRM_MS })

/* {"mode","threshold","confirm","confirm_timeout_ms","ignore"}; what is not said is as in *base. */
int settings_from_json(const struct json *json, const struct guard_settings *base,
	struct guard_settings *ret, struct error *err);
void settings_write(const struct guard_settings *s, struct buf *b);
/* ERROR_FORBIDDEN if the wish is for less than the server demands. */
int settings_check(const struct guard_settings *demanded, const struct guard_settings *wished,
	struct error *err);
