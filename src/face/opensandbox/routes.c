/* SPDX-License-Identifier: Apache-2.0 */
#include "face/opensandbox/handlers.h"

#define UPLOAD_MAX ((int64_t)64 << 30)
#define BODY       .body_max = OSB_BODY_MAX
#define P          "/opensandbox/v1"
#define E          "/opensandbox/sandboxes/{id}/proxy/44772"
#define G          "/opensandbox/sandboxes/{id}/proxy/18080"
#define PORT       "/opensandbox/sandboxes/{id}/proxy/{port}"
#define SIGNED     "/opensandbox/sandboxes/{id}/signed/{ticket}/{port}"
#define EXECD      BODY, .role = ROLE_SANDBOX, .data = &execd
#define EGRESS     BODY, .role = ROLE_SANDBOX, .data = &egress
#define PASS       HTTP_STREAMS_BODY, .body_max = INT64_MAX, .role = ROLE_SANDBOX, .data = &port

static const enum osb_kind execd = OSB_KIND_EXECD, egress = OSB_KIND_EGRESS, port = OSB_KIND_PORT;

/* clang-format off */
const struct http_route osb_routes[] = {
	{ "POST", P "/sandboxes", osb_create, BODY, .summary = "make a sandbox" },
	{ "GET", P "/sandboxes", osb_list, .summary = "list sandboxes, by page" },
	{ "GET", P "/sandboxes/{id}", osb_get, .role = ROLE_SANDBOX, .summary = "tell about a sandbox" },
	{ "DELETE", P "/sandboxes/{id}", osb_delete, .summary = "end it" },
	{ "PATCH", P "/sandboxes/{id}/metadata", osb_patch_metadata, BODY, .summary = "change its metadata" },
	{ "POST", P "/sandboxes/{id}/pause", osb_pause, BODY, .summary = "freeze its processes" },
	{ "POST", P "/sandboxes/{id}/resume", osb_resume, BODY, .summary = "let them go on" },
	{ "POST", P "/sandboxes/{id}/renew-expiration", osb_renew, BODY, .summary = "let it end at another time" },
	{ "GET", P "/sandboxes/{id}/endpoints/{port}", osb_endpoint, .role = ROLE_SANDBOX, .summary = "tell where a port of it is" },
	{ "POST", P "/sandboxes/{id}/snapshots", osb_snapshot_create, BODY, .summary = "make an image of its files" },
	{ HTTP_ANY_METHOD, P "/sandboxes/{id}/{rest*}", osb_not_offered, BODY, .summary = "refused" },
	{ "GET", P "/snapshots", osb_snapshots_list, .summary = "list snapshots, by page" },
	{ "GET", P "/snapshots/{snapshot}", osb_snapshot_get, .summary = "tell about one" },
	{ "DELETE", P "/snapshots/{snapshot}", osb_snapshot_delete, .summary = "remove it" },

	{ "GET", E "/ping", osb_ping, EXECD, .summary = "tell whether it runs" },
	{ "GET", E "/metrics", osb_metrics, EXECD, .summary = "tell what it uses" },
	{ "GET", E "/metrics/watch", osb_metrics_watch, EXECD, .summary = "the same, every second" },
	{ "POST", E "/command", osb_command_run, EXECD, .summary = "run a command and follow it" },
	{ "DELETE", E "/command", osb_command_interrupt, EXECD, .summary = "end it" },
	{ "GET", E "/command/status/{command}", osb_command_status, EXECD, .summary = "tell what became of it" },
	{ "GET", E "/command/{command}/logs", osb_command_logs, EXECD, .summary = "give its output" },
	{ "POST", E "/session", osb_session_create, EXECD, .summary = "open a bash session" },
	{ "POST", E "/session/{session}/run", osb_session_run, EXECD, .summary = "run a command in it and follow it" },
	{ "DELETE", E "/session/{session}", osb_session_delete, EXECD, .summary = "end it" },
	{ "POST", E "/code", osb_code_run, EXECD, .summary = "run code and follow it" },
	{ "DELETE", E "/code", osb_code_interrupt, EXECD, .summary = "interrupt it" },
	{ "POST", E "/code/context", osb_context_create, EXECD, .summary = "open a context" },
	{ "GET", E "/code/contexts", osb_contexts_list, EXECD, .summary = "list contexts" },
	{ "DELETE", E "/code/contexts", osb_contexts_delete, EXECD, .summary = "end those of a language" },
	{ "GET", E "/code/contexts/{context}", osb_context_get, EXECD, .summary = "tell about one" },
	{ "DELETE", E "/code/contexts/{context}", osb_context_delete, EXECD, .summary = "end it" },
	{ "GET", E "/files/info", osb_files_info, EXECD, .summary = "tell about files" },
	{ "DELETE", E "/files", osb_files_delete, EXECD, .summary = "remove files" },
	{ "POST", E "/files/permissions", osb_files_permissions, EXECD, .summary = "set owners and permissions" },
	{ "POST", E "/files/mv", osb_files_move, EXECD, .summary = "move files" },
	{ "GET", E "/files/search", osb_files_search, EXECD, .summary = "find files by name" },
	{ "POST", E "/files/replace", osb_files_replace, EXECD, .summary = "replace text in files" },
	{ "POST", E "/files/upload", osb_files_upload, HTTP_STREAMS_BODY, .body_max = UPLOAD_MAX, .role = ROLE_SANDBOX,
		.data = &execd, .summary = "store files" },
	{ "GET", E "/files/download", osb_files_download, EXECD, .summary = "give a file" },
	{ "GET", E "/directories/list", osb_directories_list, EXECD, .summary = "list a directory" },
	{ "POST", E "/directories", osb_directories_make, EXECD, .summary = "make directories" },
	{ "DELETE", E "/directories", osb_directories_delete, EXECD, .summary = "remove directories" },
	{ "POST", E "/pty", osb_pty_create, EXECD, .summary = "open a terminal" },
	{ "GET", E "/pty/{pty}", osb_pty_get, EXECD, .summary = "tell about it" },
	{ "DELETE", E "/pty/{pty}", osb_pty_delete, EXECD, .summary = "end it" },
	{ "GET", E "/pty/{pty}/ws", osb_pty_connect, HTTP_WEBSOCKET, EXECD, .summary = "connect to it" },

	{ "GET", G "/policy", osb_policy_get, EGRESS, .summary = "tell the policy of its network" },
	{ "PATCH", G "/policy", osb_policy_patch, HTTP_TAKES_TURNS, EGRESS, .summary = "add rules to it" },
	{ "DELETE", G "/policy", osb_policy_delete, HTTP_TAKES_TURNS, EGRESS, .summary = "take rules from it" },
	{ HTTP_ANY_METHOD, G "/{rest*}", osb_not_offered, EGRESS, .summary = "refused" },

	{ HTTP_ANY_METHOD, PORT, osb_port_pass, PASS, .summary = "pass on to what listens inside" },
	{ HTTP_ANY_METHOD, PORT "/{rest*}", osb_port_pass, PASS, .summary = "pass on to what listens inside" },
	{ HTTP_ANY_METHOD, SIGNED, osb_port_pass, PASS, .summary = "the same, by a link" },
	{ HTTP_ANY_METHOD, SIGNED "/{rest*}", osb_port_pass, PASS, .summary = "the same, by a link" },
	{ 0 },
};
/* clang-format on */
