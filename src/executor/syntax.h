/* SPDX-License-Identifier: Apache-2.0 */
/*
 * syntax: whether bash can read a command, as `bash -n` says. A bash of the sandbox's own reads it
 * from a file without a name and does nothing; it has SYNTAX_MAX_MS for that.
 */
#pragma once

#include "base/error.h"
#include "base/str.h"

struct executor;
struct syntax;

enum { SYNTAX_MAX_MS = 10 * 1000, SYNTAX_OUTPUT_MAX = 64 * 1024 };

struct syntax_verdict {
	int exit_code; /* 0: it can */
	struct str
		output; /* what it says of it, the first of it; valid until the function returns */
};

/* Once, later; the check is gone then. verdict is NULL if err is not. */
typedef void syntax_fn(void *arg, const struct syntax_verdict *verdict, const struct error *err);

int syntax_check(struct executor *e, struct str command, syntax_fn *done, void *arg,
	struct syntax **ret, struct error *err);
void syntax_drop(struct syntax *s); /* done is not called any more; NULL is fine */
