/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cdp: the client's side of the Chrome DevTools Protocol over a pair of pipes
 * (https://chromedevtools.github.io/devtools-protocol/; the framing is wire/nuljson.h).
 *
 * It blocks, with a deadline each time: it belongs to the browser's driver, a process of its own
 * (see executor/browser.h). What comes is dispatched while something is waited for: events to one
 * function, which may send and must not wait.
 *
 *	auto_cdp_reply struct cdp_reply reply = { 0 };
 *	if (cdp_call(cdp, session, "Page.navigate", &params, deadline_ms, &reply, err) < 0)
 *		return -1;
 *	... json_find(reply.result, "loaderId") ...
 *
 * Several requests may be under way: cdp_send each, then cdp_wait for each. Errors: ERROR_PROTOCOL,
 * the browser refused, with its words; ERROR_TIMEOUT; ERROR_TOO_LARGE, its answer is over
 * CDP_MESSAGE_MAX; ERROR_UNAVAILABLE, it is gone, and every later call says the same.
 */
#pragma once

#include "base/buf.h"
#include "base/error.h"
#include "wire/json.h"

#include <stdint.h>

enum { CDP_MESSAGE_MAX = 24 * 1024 * 1024, CDP_WAITING_MAX = 64, CDP_ID_SIZE = 64 };

struct cdp;

struct cdp_reply {
	struct json *root;         /* owned */
	const struct json *result; /* in it */
};
void cdp_reply_fini(struct cdp_reply *reply);
#define auto_cdp_reply __attribute__((cleanup(cdp_reply_fini)))

/* session: "" for the browser's own. */
typedef void cdp_event_fn(void *arg, struct str session, struct str method,
	const struct json *params);

/* in_fd and out_fd stay the caller's; both must be non-blocking. */
struct cdp *cdp_new(int in_fd, int out_fd, cdp_event_fn *fn, void *arg);
void cdp_free(struct cdp *cdp);
bool cdp_is_gone(const struct cdp *cdp);

/* Params: a JSON object, or NULL. Deadlines are on the monotonic clock. */
int cdp_call(struct cdp *cdp, const char *session, const char *method, const struct buf *params,
	int64_t deadline_ms, struct cdp_reply *ret, struct error *err);
/* The number to wait for. */
int64_t cdp_send(struct cdp *cdp, const char *session, const char *method, const struct buf *params,
	struct error *err);
int cdp_wait(struct cdp *cdp, int64_t id, int64_t deadline_ms, struct cdp_reply *ret,
	struct error *err);
/* Sends what needs no answer: what comes is passed over. */
void cdp_tell(struct cdp *cdp, const char *session, const char *method, const struct buf *params);
/* Dispatches events until `done` says so. ERROR_TIMEOUT at the deadline. */
int cdp_wait_until(struct cdp *cdp, int64_t deadline_ms, bool (*done)(void *arg), void *arg,
	struct error *err);
/* To be polled for what comes. */
int cdp_fd(const struct cdp *cdp);
/* Dispatches what has come, without waiting; -1 if the browser is gone. */
int cdp_dispatch(struct cdp *cdp, struct error *err);
