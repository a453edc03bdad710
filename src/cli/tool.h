/* SPDX-License-Identifier: Apache-2.0 */
/* tool: what the files of `cay tool` share. */
#pragma once

#include "cli/client.h"

struct tool_call_of_cli {
	struct invocation *in;
	const struct tool_options *o;
	const char *const *words; /* behind the verb, and behind the sandbox if there is one */
	int n_words;
	const char *sandbox; /* NULL: --http, host */
};

/* tool_host.c */
int tool_serve(const struct tool_call_of_cli *c, struct error *err);
int tool_host(const struct tool_call_of_cli *c, struct error *err);
