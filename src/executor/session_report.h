/* SPDX-License-Identifier: Apache-2.0 */
/*
 * session_report: sessions and what comes of a run as JSON; the shapes are in
 * action/session_actions.h.
 */
#pragma once

#include "executor/session.h"
#include "wire/json.h"

void session_put(const struct session *s, struct jsonw *w);
void session_emit_started(struct session *s);
void session_emit_ended(struct session *s);
const char *outcome_name(enum outcome outcome); /* "exited" */
/* Takes the output and appends the whole result of a run. */
struct telling {
	enum outcome outcome;
	struct expects *expects; /* NULL: nothing was looked for */
	bool escapes;            /* bytes that are no UTF-8 are shown as \xNN */
};
void session_put_outcome(struct session *s, const struct telling *t, struct buf *out);
