/* SPDX-License-Identifier: Apache-2.0 */
/*
 * podspec: from a wish for a sandbox to a pod and to what goes with it. No socket, no clock.
 * Private to runtime/kube.
 */
#pragma once

#include "base/buf.h"
#include "runtime/kube/settings.h"
#include "sandbox/spec.h"

enum { KUBE_LEASE_MS = 600000, KUBE_BODY_MAX = 256 * 1024 };

#define KUBE_LABEL_SANDBOX "cay.sandbox"
#define KUBE_LABEL_SERVER  "cay.server"
#define KUBE_LABEL_NETWORK "cay.network" /* "closed": the policy is about it */
#define KUBE_NOTE_ENFORCED "cay.enforced"

struct pod_wish {
	const struct spec *spec;
	const char *image;
	const char *server_id;
	const struct kube_settings *settings;
};

/* Refuses what a pod cannot give, before anything is asked of the cluster. */
int pod_check(const struct pod_wish *wish, struct error *err);
/* What a pod of this wish is confined by. */
void pod_promise(const struct pod_wish *wish, struct enforced *ret);
/* ERROR_UNSUPPORTED if what was required is not among that. */
int pod_check_promise(const struct pod_wish *wish, const struct enforced *promise,
	struct error *err);
void pod_put(const struct pod_wish *wish, const struct enforced *promise, struct buf *b);
/* What its executor knows us by; `secret` is a text. */
void pod_put_secret(const char *id, const char *server_id, struct str secret, struct buf *b);
/* Of all pods of this server whose network is closed: nothing goes out, and in only to us. */
void pod_put_policy(const char *server_id, struct buf *b);
