/* SPDX-License-Identifier: Apache-2.0 */
/*
 * serve: `cay serve` is cay-supervisor, started with defaults filled in and introduced when it is
 * up.
 */
#pragma once

#include "cli/command.h"

/* Does not return if all goes well: this process becomes the supervisor. */
int serve_main(struct invocation *in, struct error *err);
/* cay config */
int config_main(struct invocation *in, struct error *err);
/*
 * What a person reads once requests are accepted: how each kind of client is pointed at the server.
 */
struct buf;
struct serve_options;
void serve_put_greeting(struct buf *b, const struct serve_options *o, const char *state,
	const char *socket);
