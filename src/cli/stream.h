/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stream: one action over a WebSocket, connected to this program's standard streams until its
 * result comes: data on channel 1 goes to standard output, on channel 2 to standard error; standard
 * input goes to channel 0; signals and the size of the window become controls.
 */
#pragma once

#include "cli/out.h"
#include "cli/remote.h"

struct stream {
	const char *sandbox, *action;
	struct str params; /* JSON object */
	bool has_input;    /* standard input is sent */
	bool has_signals; /* SIGINT, SIGTERM, SIGHUP, SIGQUIT go to the program instead of ending us */
	bool has_size;    /* the window's size is told when it changes */
	bool is_raw;      /* output to a terminal is not cleaned */
	int detach_key; /* typed, it ends the input; -1: none */
};

/* Until the end. *ret is {"result":…}, which the caller frees. */
int stream_run(struct remote *s, const struct stream *stream, struct json **ret, struct error *err);
