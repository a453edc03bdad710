/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kube: the backend `kubernetes`. Each sandbox is a pod of any image; what serves it is our own
 * executor, which an init container puts into a volume of the pod, and which is pid 1 of the
 * image's container. We connect to it: wire/door.h. Calls do not pass through the API server.
 *
 * A pod bears these labels, and is called cay-ID:
 *
 *	cay.sandbox    the sandbox's id
 *	cay.server     which state directory it belongs to (a number of its own, kept there)
 *	cay.network    closed: the policy cay-SERVER is about it; open
 *
 * and the annotation cay.enforced, what it was made with. What its executor knows us by is in a
 * Secret of the same name, which is gone as soon as the executor has it.
 */
#pragma once

#include "runtime/backend.h"

struct json;

struct kube_config {
	const char *kubeconfig; /* NULL or "": what the environment says (runtime/kube/access.h) */
	const char *state_dir;
	const struct json *settings; /* runtime/kube/settings.h; NULL: nothing is said */
};

/*
 * What the backend reads while it serves, for who confines it: files, and directories with all in
 * them; absolute, on the heap.
 */
enum { KUBE_READS_MAX = 5 };
int kube_reads(const char *kubeconfig, char *ret[KUBE_READS_MAX + 1], struct error *err);

int kube_backend_new(struct loop *loop, const struct kube_config *config, struct backend **ret,
	struct error *err);
