/* SPDX-License-Identifier: Apache-2.0 */
/*
 * service: a small shell script of ours, run inside a sandbox for one of its callers: git,
 * workspaces. It needs nothing but a shell and what the script calls. Arguments are arguments,
 * never text of the script; what it reads as its input (a token) is in no argument, variable, file
 * or event.
 *
 * It is one event, {"service":"git_clone","arguments":[…]}, and its observation. No gate is asked:
 * what it does is ours; what it starts of the agent's is an action, asked about as any.
 */
#pragma once

#include "base/error.h"
#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>

struct sandbox;
struct service;

enum {
	SERVICE_OUTPUT_MAX = 8 * 1024 * 1024,
	SERVICE_TIMEOUT_MS = 600000,
	SERVICE_ARGUMENTS_MAX = 16
};

struct service_result {
	int64_t exit_code; /* 128 + N: signal N ended it */
	struct str out, err;
};

/* Once, never from inside service_run; result NULL: err says why it did not run to its end. */
typedef void service_fn(void *arg, const struct service_result *result, const struct error *err);

struct service_wish {
	const char *name, *script; /* literals */
	struct str arguments[SERVICE_ARGUMENTS_MAX];
	size_t n_arguments;
	struct str input;
	int64_t timeout_ms; /* 0: SERVICE_TIMEOUT_MS */
};

struct service *service_run(struct sandbox *s, const struct service_wish *wish, service_fn *done,
	void *arg);
void service_cancel(struct service *service); /* kills it; NULL is fine */
/* The last line that a program said of its failure; for an error's text. */
struct str service_complaint(const struct service_result *result);
