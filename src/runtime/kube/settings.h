/* SPDX-License-Identifier: Apache-2.0 */
/*
 * settings: what cay.toml's [kubernetes] says of pods, as the server is told it: an object with the
 * keys' own names. Private to runtime/kube.
 */
#pragma once

#include "base/error.h"
#include "wire/json.h"

#include <stdint.h>

struct kube_settings {
	char *namespace;      /* NULL: the access's, else "default" */
	char *executor_image; /* holds /cay-executor */
	char *pull_secret, *runtime_class, *node_key, *node_value;
	char *volume_size,
		*volume_class; /* of a claim for the workspace; NULL: none, its node's disk */
	char *workspace;       /* where that is mounted */
	char *tolerations;     /* JSON, an array; NULL: none */
	char *cpu_request;
	int64_t memory_request_bytes, memory_limit_bytes;
	bool forwards;       /* executors are reached through the API server */
	int64_t schedule_ms; /* how long there may be no room */
};

int kube_settings_read(const struct json *from, struct kube_settings *ret, struct error *err);
void kube_settings_fini(struct kube_settings *s);

/* "1Gi", "500m", "2", "1e3": in bytes or in wholes, rounded up. */
int kube_parse_quantity(struct str text, int64_t *ret, struct error *err);
/* A name of an object: a DNS label, or several with dots between. */
bool kube_is_name(struct str name);
