/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gate: who is asked before an action or a tool call is performed. The runtime knows this struct of
 * functions and nothing behind it; src/guard is one, main sets it (runtime_config::gate). Without a
 * gate, or where its settings say nothing, everything passes.
 *
 * `ask` decides at once, or later through `done`: exactly once, never from inside `ask`, not after
 * `drop`. Whoever asks writes down each note, an event's data, before it goes on. All on the loop's
 * thread.
 */
#pragma once

#include "base/buf.h"
#include "base/error.h"
#include "wire/json.h"

struct gate_check; /* a question without an answer yet */

struct gate_question {
	const char *sandbox; /* its id */
	struct str settings; /* what `settings` made for it */
	struct str name;     /* of the action or tool */
	struct str description;
	const struct json *params; /* an object; only valid while `ask` runs */
};

struct gate_asker {
	/* {"action":…,"verdict":…,"risk":…,"score":…,"by":…,"reason":…} */
	void (*note)(void *arg, struct str json);
	void (*done)(void *arg, const struct error *refused); /* NULL: it may be performed */
};

enum gate_answer { GATE_REFUSED = -1, GATE_PASSED = 0, GATE_WAITS = 1 };

/*
 * How the text of every refusal begins, for who has to tell one from a failure of the action
 * itself.
 */
#define GATE_REFUSAL "the guard "

static inline bool gate_is_refusal(const struct error *err)
{
	return err->code == ERROR_FORBIDDEN && !err->sys &&
		!strncmp(err->text, GATE_REFUSAL, sizeof(GATE_REFUSAL) - 1);
}

struct gate {
	/*
	 * What a sandbox wishes (NULL: nothing) and the server demands, as one JSON object for
	 * gate_question::settings; nothing is appended if nothing is to be asked. ERROR_FORBIDDEN
	 * for a wish to be guarded less than the server demands.
	 */
	int (*settings)(struct gate *gate, const struct json *wish, struct buf *ret,
		struct error *err);
	/* Whether actions of this name are asked about at all. */
	bool (*wants)(struct gate *gate, struct str name);
	/* GATE_REFUSED fills *refused, GATE_WAITS *ret_check. */
	enum gate_answer (*ask)(struct gate *gate, const struct gate_question *question,
		const struct gate_asker *asker, void *arg, struct gate_check **ret_check,
		struct error *refused);
	/* Who asked is gone: what was to be approved no longer can be. NULL is fine. */
	void (*drop)(struct gate *gate, struct gate_check *check);
};
