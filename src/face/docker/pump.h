/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pump: bytes between a client, whose connection it takes over, and a process, by the runtime's
 * calls. It hangs on its container's list of pumps, and is gone when its call is over, its client
 * is gone, or the container is.
 */
#pragma once

#include "face/docker/state.h"

struct pump_ops {
	/* Its call said that the process runs; may be NULL. */
	void (*started)(void *arg, const struct json *process);
	/*
	 * Its call is over: {…} or an error. The client has been told what it said; the pump goes
	 * away.
	 */
	void (*ended)(void *arg, struct str result, const struct error *err);
	/* The client is gone, and so is the pump; the process goes on. May be NULL. */
	void (*left)(void *arg);
};
struct pump_wish {
	struct container *container; /* whose list of pumps it hangs on */
	bool is_tty, has_stdin, has_stdout, has_stderr;
	bool says_errors; /* a client is told there why its call did not start */
	const struct pump_ops *ops;
	void *arg;
};
/* Takes the connection over. */
struct pump *pump_new(struct http_request *r, const struct pump_wish *wish);
void pump_set_ops(struct pump *p, const struct pump_ops *ops, void *arg);
/* Performs `action`, whose data go to the client; with `takes_input` the client's go to it. */
void pump_run(struct pump *p, struct sandbox *s, const struct action *action, struct str params,
	bool takes_input);
/* The client's bytes go to a second action. */
void pump_run_input(struct pump *p, struct sandbox *s, struct str params);
/* Sends what is left to send; no callback any more. */
void pump_end(struct pump *p);
bool pump_has_stdin(const struct pump *p);
/* The next client that waits for the start of the container; NULL: none. */
struct pump *pump_next_waiting(struct container *c);
void pumps_free(struct container *c);
