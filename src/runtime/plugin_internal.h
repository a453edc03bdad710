/* SPDX-License-Identifier: Apache-2.0 */
/* plugin_internal: what plugin.c and the shipped plugins share. */
#pragma once

#include "runtime/internal.h"
#include "runtime/plugin.h"

struct plugin {
	struct plugins *plugins;
	const struct plugin_kind *kind; /* NULL: a program */
	char *name;
	struct json *manifest; /* of a program */
	struct mcp_client *client;
	char *actions;             /* of a program that has started: a JSON array */
	struct runtime_call *call; /* while it starts */
	struct mcp_request *request;
	struct buf output; /* what starting it said */
	size_t next_file;
	bool is_starting;
	bool is_loaded; /* once, before this server or by it */
};

struct plugins {
	struct runtime *rt;
	char sandbox[ID_SIZE];
	struct plugin *items[PLUGINS_MAX];
	size_t n;
	int n_starting;
	struct timer *timer;
	runtime_done_fn *done; /* NULL: told */
	void *arg;
};

struct plugin_kind {
	const char *name;
	const char *summary;
	void (*start)(struct plugin *p);
};

extern const struct plugin_kind plugin_kinds[]; /* ended by an empty row */

/* Of a plugin that starts: once. The plugin may be gone afterwards. */
void plugin_started(struct plugin *p, const struct error *err);
/* Performs an action for it, without an event; 0, or -1 if it has failed, and is told so. */
int plugin_perform(struct plugin *p, const struct action *action, const struct buf *params,
	const struct call_sink *sink);
bool plugins_has(const struct plugins *plugins, const char *name);
