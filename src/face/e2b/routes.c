/* SPDX-License-Identifier: Apache-2.0 */
#include "face/e2b/handlers.h"

#define UPLOAD_MAX ((int64_t)64 << 30)
#define BODY       .body_max = E2B_BODY_MAX
#define P          "/e2b"
#define ENVD       BODY, .role = ROLE_SANDBOX, .data = &envd
#define CODE       BODY, .role = ROLE_SANDBOX, .data = &code
#define NONE(path)                                                                   \
	{                                                                            \
		HTTP_ANY_METHOD, P path, e2b_not_offered, BODY, .summary = "refused" \
	}
/* Both spellings: clients before 2.50 know no /v2. */
#define BOX(method, tail, ...)                                   \
	{ method, P "/sandboxes/{id}" tail, __VA_ARGS__ },       \
	{                                                        \
		method, P "/v2/sandboxes/{id}" tail, __VA_ARGS__ \
	}

static const enum e2b_kind envd = E2B_ENVD, code = E2B_CODE, files = E2B_FILES;

/* clang-format off */
const struct http_route e2b_routes[] = {
	{ "POST", P "/sandboxes", e2b_boxes_create, BODY, .summary = "make a sandbox" },
	{ "POST", P "/v2/sandboxes", e2b_boxes_create, BODY, .summary = "make a sandbox" },
	{ "GET", P "/sandboxes", e2b_boxes_list_old, .summary = "list those that run" },
	{ "GET", P "/v2/sandboxes", e2b_boxes_list, .summary = "list sandboxes, by page" },
	BOX("GET", "", e2b_boxes_get, .role = ROLE_SANDBOX, .summary = "tell about a sandbox"),
	BOX("DELETE", "", e2b_boxes_delete, .summary = "end it"),
	BOX("POST", "/timeout", e2b_boxes_timeout, BODY, .summary = "let it end after so long"),
	BOX("POST", "/refreshes", e2b_boxes_refresh, BODY, .summary = "let it live so long at least"),
	BOX("POST", "/connect", e2b_boxes_connect, BODY, .summary = "give its tokens; resume it if it is paused"),
	BOX("POST", "/resume", e2b_boxes_resume, BODY, .summary = "resume it"),
	BOX("POST", "/pause", e2b_boxes_pause, BODY, .summary = "freeze its processes"),
	BOX("GET", "/metrics", e2b_boxes_metrics, .role = ROLE_SANDBOX, .summary = "tell what it uses"),
	BOX("POST", "/snapshots", e2b_snapshots_create, BODY, .summary = "make an image of its files"),
	BOX("POST", "/fork", e2b_boxes_fork, BODY, .summary = "make others that begin with its files"),
	BOX(HTTP_ANY_METHOD, "/{rest*}", e2b_not_offered, BODY, .summary = "refused"),
	{ "GET", P "/snapshots", e2b_snapshots_list, .summary = "list snapshots" },
	{ "DELETE", P "/templates/{name*}", e2b_snapshots_delete, .summary = "remove a snapshot" },
	 NONE("/templates"), NONE("/templates/{name*}"),
	NONE("/v2/templates/{rest*}"), NONE("/v3/templates"), NONE("/v3/templates/{rest*}"),
	NONE("/volumes"), NONE("/volumes/{rest*}"), NONE("/secrets"), NONE("/secrets/{rest*}"),
	NONE("/teams"), NONE("/teams/{rest*}"),

	{ "GET", P "/health", e2b_health, ENVD, .summary = "tell whether it runs" },
	{ "GET", P "/envs", e2b_envs, ENVD, .summary = "list its variables" },
	{ "GET", P "/metrics", e2b_use, ENVD, .summary = "tell what it uses" },
	{ "POST", P "/process.Process/Start", e2b_process_start, HTTP_TAKES_TEXT, ENVD, .summary = "start a process and follow it" },
	{ "POST", P "/process.Process/Connect", e2b_process_connect, HTTP_TAKES_TEXT, ENVD, .summary = "follow a process" },
	{ "POST", P "/process.Process/List", e2b_process_list, ENVD, .summary = "list processes" },
	{ "POST", P "/process.Process/SendInput", e2b_process_input, ENVD, .summary = "write to its input" },
	{ "POST", P "/process.Process/CloseStdin", e2b_process_close, ENVD, .summary = "close its input" },
	{ "POST", P "/process.Process/SendSignal", e2b_process_signal, ENVD, .summary = "kill it" },
	{ "POST", P "/process.Process/Update", e2b_process_update, ENVD, .summary = "resize its terminal" },
	{ "POST", P "/process.Process/{rest*}", e2b_rpc_not_offered, HTTP_TAKES_TEXT, ENVD, .summary = "refused" },
	{ "POST", P "/filesystem.Filesystem/Stat", e2b_tree_stat, ENVD, .summary = "tell about a file" },
	{ "POST", P "/filesystem.Filesystem/ListDir", e2b_tree_list, ENVD, .summary = "list a directory" },
	{ "POST", P "/filesystem.Filesystem/MakeDir", e2b_tree_make, ENVD, .summary = "make a directory" },
	{ "POST", P "/filesystem.Filesystem/Move", e2b_tree_move, ENVD, .summary = "move" },
	{ "POST", P "/filesystem.Filesystem/Remove", e2b_tree_remove, ENVD, .summary = "remove" },
	{ "POST", P "/filesystem.Filesystem/WatchDir", e2b_watch_dir, HTTP_TAKES_TEXT, ENVD, .summary = "follow what changes in a directory" },
	{ "POST", P "/filesystem.Filesystem/CreateWatcher", e2b_watcher_create, ENVD, .summary = "keep what changes in a directory" },
	{ "POST", P "/filesystem.Filesystem/GetWatcherEvents", e2b_watcher_events, ENVD, .summary = "give it" },
	{ "POST", P "/filesystem.Filesystem/RemoveWatcher", e2b_watcher_remove, ENVD, .summary = "end that" },
	{ "POST", P "/filesystem.Filesystem/{rest*}", e2b_rpc_not_offered, HTTP_TAKES_TEXT, ENVD, .summary = "refused" },

	{ "GET", P "/files", e2b_files_get, .role = ROLE_SANDBOX, .data = &files, .summary = "give a file" },
	{ "GET", "/files", e2b_files_get, .role = ROLE_SANDBOX, .data = &files, .summary = "give a file" },
	{ "POST", P "/files", e2b_files_post, HTTP_STREAMS_BODY, .body_max = UPLOAD_MAX, .role = ROLE_SANDBOX,
		.data = &files, .summary = "store files" },
	{ "POST", "/files", e2b_files_post, HTTP_STREAMS_BODY, .body_max = UPLOAD_MAX, .role = ROLE_SANDBOX,
		.data = &files, .summary = "store files" },

	{ "POST", P "/execute", e2b_code_execute, CODE, .summary = "run code" },
	{ "GET", P "/contexts", e2b_contexts_list, CODE, .summary = "list contexts" },
	{ "POST", P "/contexts", e2b_contexts_create, CODE, .summary = "open a context" },
	{ "DELETE", P "/contexts/{context}", e2b_contexts_delete, CODE, .summary = "end it" },
	{ "POST", P "/contexts/{context}/restart", e2b_contexts_restart, CODE, .summary = "begin it anew" },
	{ 0 },
};
/* clang-format on */
