/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plugin: a capability that is loaded into a sandbox when it is made. Shipped are agent_skills,
 * jupyter, browser and vscode; a user's own is a manifest:
 *
 *	{"name":"hello","version":"1.0","description":"says hello",
 *	 "program":["python3","hello.py"],          runs in the sandbox, in a directory with its files
 *	 "files":{"hello.py":"…"},                  their contents
 *	 "init_timeout_ms":30000}
 *
 * The program speaks MCP on its standard input and output: `initialize` is its init hook, its tools
 * are the actions it adds. A sandbox whose plugins do not all start is not made, and the error
 * names the plugin.
 *
 * What was loaded is a part of the sandbox's spec (without the files), so a server that was started
 * again knows it, and starts a program again when it is next called.
 */
#pragma once

#include "runtime/mcp.h"
#include "runtime/runtime.h"

struct plugins;

enum {
	PLUGINS_MAX = 32,
	PLUGIN_FILES_MAX = 64,
	PLUGIN_FILES_BYTES = 2 * 1024 * 1024, /* all files of one plugin */
	PLUGIN_INIT_MS = 120 * 1000,          /* of all plugins together */
	PLUGIN_VSCODE_PORT = 8765,            /* inside the sandbox */
};

#define PLUGIN_VSCODE_PROCESS "vscode"

bool plugin_is_shipped(struct str name);
/* A JSON array of names and manifests. ERROR_NOT_FOUND: "Plugin x not found". */
int plugins_check(const struct json *wish, struct error *err);
/* Appends the wish as the spec keeps it. */
void plugins_put_spec(const struct json *wish, struct jsonw *w);

/*
 * Starts them, all at once. done: all have started, or the first that did not. For a sandbox being
 * made.
 */
void plugins_load(struct sandbox *s, const struct json *wish, runtime_done_fn *done, void *arg);
/*
 * Loads a shipped one into a sandbox that is ready. One that does not start is as if it was never
 * asked for.
 */
void plugins_add(struct sandbox *s, struct str name, runtime_done_fn *done, void *arg);
void plugins_free(struct plugins *plugins);

/*
 * Appends [{"name","version","description","actions":[…]}]: actions are known once a program has
 * started.
 */
void plugins_write(struct sandbox *s, struct jsonw *w);
/*
 * Performs an action of a plugin. done: as of an MCP tool call, {"content":[…],"isError":…}. NULL:
 * there is no such plugin, or it adds no actions; *err says so.
 */
struct mcp_request *plugin_call(struct sandbox *s, struct str plugin, struct str action,
	struct str arguments_json, int64_t timeout_ms, mcp_done_fn *done, void *arg,
	struct error *err);

/*
 * The token of the editor that runs in the sandbox, from its process_list; STR_NONE if none runs.
 */
struct str plugin_vscode_token(const struct json *process_list);
