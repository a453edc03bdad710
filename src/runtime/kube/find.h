/* SPDX-License-Identifier: Apache-2.0 */
/* find: which cluster `--backend kubernetes` means, for the backend and for `cay doctor`. */
#pragma once

#include "base/error.h"

/* What a cluster gives to each of its pods: token, ca.crt and namespace. */
#define KUBE_OWN_DIR "/var/run/secrets/kubernetes.io/serviceaccount"

/*
 * *ret_path (heap): a kubeconfig: the given one, that of KUBECONFIG, or ~/.kube/config; NULL: in a
 * pod, its own account, which counts before the last.
 */
int kube_find(const char *given, char **ret_path, struct error *err);
