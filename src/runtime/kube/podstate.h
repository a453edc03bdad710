/* SPDX-License-Identifier: Apache-2.0 */
/*
 * podstate: what the API server says of a pod, in our words. No socket, no clock. Private to
 * runtime/kube.
 */
#pragma once

#include "base/error.h"
#include "base/id.h"
#include "sandbox/monitor.h"
#include "wire/json.h"
#include "wire/netaddr.h"

enum pod_phase {
	POD_WAITS,  /* on its way; `why` has what it waits for, if that is said */
	POD_STUCK,  /* it waits for what may never come: no room, a missing volume */
	POD_FAILED, /* it will not become anything: no such image, … */
	POD_RUNS,   /* its executor runs, at `address` */
	POD_LEAVES, /* it is being deleted */
	POD_ENDED,  /* it ran, and does not any more */
};

enum { POD_TOKEN_SIZE = 512 };

struct pod_state {
	char id[ID_SIZE];
	enum pod_phase phase;
	char address[NETADDR_TEXT_MAX]; /* of POD_RUNS */
	struct error why;               /* code ERROR_OK: nothing is said */
	enum end_reason end;            /* of POD_ENDED */
	bool is_leaving;                /* it is being deleted, whatever its phase */
	bool was_ours;                  /* of POD_ENDED: the sandbox's own container began */
	struct enforced enforced;
};

/* False: it is no pod of this server. */
bool pod_read(const struct json *pod, const char *server_id, struct pod_state *ret);

/* An event of a watch, one line of its body. */
enum watch_kind {
	WATCH_CHANGED,
	WATCH_DELETED,
	WATCH_BOOKMARK,
	WATCH_EXPIRED, /* too old a version was asked for: everything has to be listed anew */
	WATCH_FAILED,  /* *err has it */
};
enum watch_kind watch_read(const struct json *event, const struct json **ret_pod,
	struct error *err);
