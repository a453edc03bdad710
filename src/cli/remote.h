/* SPDX-License-Identifier: Apache-2.0 */
/*
 * remote: the server that a command talks to, found as base/home.h and the options say.
 *
 *	auto_remote struct remote s = REMOTE_INIT;
 *	auto_json struct json *list = NULL;
 *	if (remote_open(in, &s, err) < 0 || remote_get_json(&s, "/v1/sandboxes", &list, err) < 0)
 *		return -1;
 *
 * The URL of an OpenHands deployment is served by a server for the length of the command
 * (cli/embedded.h).
 *
 * Nobody listening is one sentence that says what to do. The token of the state directory goes to
 * the socket or to this machine, never to another: for that there is CAY_TOKEN.
 */
#pragma once

#include "base/buf.h"
#include "cli/command.h"
#include "cli/embedded.h"
#include "http/client.h"
#include "wire/json.h"

enum { REMOTE_REPLY_MAX = 64 * 1024 * 1024 };

struct remote {
	struct http_client *http;
	char *url;                /* as it was given */
	struct embedded embedded; /* if that is no cay server's */
	bool is_approver;         /* it is the approver's token that is shown */
};
#define REMOTE_INIT                       \
	{                                 \
		.embedded = EMBEDDED_INIT \
	}
#define auto_remote __attribute__((cleanup(remote_close)))

int remote_open(const struct invocation *in, struct remote *ret, struct error *err);
/* For what a server has that stays: an OpenHands deployment is refused, since it has no `what`. */
int remote_open_lasting(const struct invocation *in, const char *what, struct remote *ret,
	struct error *err);
/* With the approver's token: CAY_APPROVER_TOKEN, or approver-token in the state directory. */
int remote_open_approver(const struct invocation *in, struct remote *ret, struct error *err);
void remote_close(struct remote *s);

int remote_call(struct remote *s, struct http_call *call, struct error *err);
int remote_get(struct remote *s, const char *path, struct buf *reply, struct error *err);
int remote_post(struct remote *s, const char *path, struct str json, struct buf *reply,
	struct error *err);
int remote_delete(struct remote *s, const char *path, struct error *err);
int remote_ws(struct remote *s, const char *path, const struct http_ws_ops *ops, void *arg,
	struct http_ws **ret, struct error *err);
/* The same with the reply parsed; the caller frees it. */
int remote_get_json(struct remote *s, const char *path, struct json **ret, struct error *err);
int remote_post_json(struct remote *s, const char *path, struct str json, struct json **ret,
	struct error *err);

/* Appends "/v1/sandboxes/KEY" and `rest`; the key is encoded. */
void remote_put_path(struct buf *b, const char *key, const char *rest);
/* POST …/actions/ACTION */
int remote_act(struct remote *s, const char *key, const char *action, struct str params,
	struct json **ret, struct error *err);
