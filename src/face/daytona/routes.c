/* SPDX-License-Identifier: Apache-2.0 */
#include "face/daytona/git.h"
#include "face/daytona/handlers.h"
#include "face/daytona/storage.h"

#define UPLOAD_MAX ((int64_t)64 << 30)
#define BODY       .body_max = DAYTONA_BODY_MAX
#define A          "/daytona/api"
#define S          A "/sandbox/{id}"
#define P          "/daytona/preview/{id}/{port}"

/* As clients of today ask for it, and as those before 0.110 did. */
#define TOOL(method, tail, ...)                                     \
	{ method, "/daytona/toolbox/{id}" tail, __VA_ARGS__ },      \
	{                                                           \
		method, A "/toolbox/{id}/toolbox" tail, __VA_ARGS__ \
	}
#define GIT(method, tail, row, text) \
	TOOL(method, "/git" tail, git_run, BODY, .data = &git_##row, .summary = text)
#define NONE(method, path)                                                    \
	{                                                                     \
		method, path, daytona_not_offered, BODY, .summary = "refused" \
	}
/* Who has a ticket comes in too: daytona.c. */
#define PREVIEW \
	HTTP_STREAMS_BODY, .role = ROLE_SANDBOX, .body_max = INT64_MAX, .data = daytona_preview

#define O       STORAGE_ROOT STORAGE_BUCKET
#define STORAGE .data = daytona_storage

const char daytona_preview[] = "preview";
const char daytona_storage[] = "storage";

/* clang-format off */
const struct http_route daytona_routes[] = {
	{ "GET", A "/config", daytona_config, .summary = "tell where the toolbox is" },
	{ "POST", A "/sandbox", boxes_create, BODY, .summary = "make a sandbox" },
	{ "GET", A "/sandbox", boxes_list, .summary = "list sandboxes" },
	{ "GET", A "/sandbox/paginated", boxes_list, .summary = "list sandboxes, by page" },
	{ "GET", S, boxes_get, .role = ROLE_SANDBOX, .summary = "tell about a sandbox" },
	{ "DELETE", S, boxes_delete, .summary = "end it" },
	{ "POST", S "/start", boxes_start, BODY, .summary = "let it run again" },
	{ "POST", S "/stop", boxes_stop, BODY, .summary = "end its processes" },
	{ "POST", S "/archive", boxes_archive, BODY, .summary = "put a stopped one away" },
	{ "POST", S "/pause", boxes_pause, BODY, .summary = "freeze its processes" },
	{ "POST", S "/snapshot", boxes_snapshot, BODY, .summary = "make an image of it" },
	{ "POST", S "/fork", boxes_fork, BODY, .summary = "make one with the same files" },
	{ "POST", S "/recover", boxes_recover, BODY, .summary = "refused: nothing to recover from" },
	{ "PUT", S "/labels", labels_put, BODY, .summary = "set its labels" },
	{ "POST", S "/autostop/{minutes}", autostop_post, BODY, .summary = "stop it when unused for so long" },
	{ "POST", S "/autoarchive/{minutes}", autoarchive_post, BODY, .summary = "keep the interval" },
	{ "POST", S "/autodelete/{minutes}", autodelete_post, BODY, .summary = "delete it when stopped for so long" },
	{ "POST", S "/autopause/{minutes}", autopause_post, BODY, .summary = "refused but for 0" },
	{ "POST", S "/ttl/{minutes}", ttl_post, BODY, .summary = "delete it after so long" },
	{ "POST", S "/public/{public}", public_post, BODY, .summary = "open its previews, or close them" },
	{ "POST", S "/last-activity", activity_post, BODY, .role = ROLE_SANDBOX, .summary = "say that it is in use" },
	{ "GET", S "/build-logs-url", build_logs_url, .summary = "tell where its image's build tells of itself" },
	{ "GET", S "/build-logs", build_logs, .summary = "what the build of its image says" },
	{ "GET", S "/toolbox-proxy-url", toolbox_url, .role = ROLE_SANDBOX, .summary = "tell where its toolbox is" },
	{ "GET", S "/ports/{port}/preview-url", previews_get, .role = ROLE_SANDBOX, .summary = "give a link and a token" },
	{ "GET", S "/ports/{port}/signed-preview-url", previews_signed, .role = ROLE_SANDBOX, .summary = "give a link that needs no token" },
	{ "POST", S "/ports/{port}/signed-preview-url/{token}/expire", previews_expire, BODY, .role = ROLE_SANDBOX, .summary = "end such a link" },
	{ HTTP_ANY_METHOD, S "/{rest*}", boxes_not_offered, BODY, .summary = "refused" },

	{ "GET", A "/snapshots", snapshots_list, .summary = "list the server's images" },
	{ "POST", A "/snapshots", snapshots_create, BODY, .summary = "name an image, or build one" },
	{ "GET", A "/snapshots/{name*}", snapshots_get, .summary = "tell about an image" },
	{ "GET", A "/snapshots/{name}/build-logs-url", build_logs_url, .summary = "tell where its build tells of itself" },
	{ "GET", A "/snapshots/{name}/build-logs", build_logs, .summary = "what its build says" },
	{ "POST", A "/snapshots/{name}/activate", snapshots_activate, BODY, .summary = "tell about an image" },
	{ "DELETE", A "/snapshots/{name*}", snapshots_delete, .summary = "remove a name, or the image" },
	{ "GET", A "/volumes", empty_list, .summary = "list volumes: none" },
	{ "GET", A "/volumes/by-name/{key}", volumes_none, .summary = "refused" },
	{ "GET", A "/volumes/{key}", volumes_none, .summary = "refused" },
	{ "DELETE", A "/volumes/{key}", volumes_none, .summary = "refused" },
	NONE("POST", A "/volumes"),
	{ HTTP_ANY_METHOD, A "/{rest*}", daytona_not_offered, BODY, .summary = "refused" },

	{ "GET", A "/object-storage/push-access", storage_access, .summary = "tell where files for images go" },
	{ "GET", O, storage_list, STORAGE, .summary = "tell whether files are there" },
	{ "GET", O "/{rest*}", storage_head, STORAGE, .summary = "tell whether files are there" },
	{ "PUT", O "/{rest*}", storage_put, HTTP_STREAMS_BODY, .body_max = STORAGE_BYTES_MAX, STORAGE, .summary = "take in files for images" },
	{ "POST", O "/{rest*}", storage_post, BODY, STORAGE, .summary = "begin or end files in parts" },
	{ "DELETE", O "/{rest*}", storage_abort, STORAGE, .summary = "give files in parts up" },

	{ HTTP_ANY_METHOD, P, previews_pass, PREVIEW, .summary = "what listens inside" },
	{ HTTP_ANY_METHOD, P "/{rest*}", previews_pass, PREVIEW, .summary = "what listens inside" },

	TOOL("GET", "/version", version_get, .summary = "tell the version of the toolbox"),
	TOOL("GET", "/user-home-dir", home_dir, .summary = "tell the home directory"),
	TOOL("GET", "/project-dir", work_dir, .summary = "tell the working directory"),
	TOOL("GET", "/work-dir", work_dir, .summary = "tell the working directory"),
	TOOL("GET", "/system/metrics", metrics_get, .summary = "tell what it uses"),
	TOOL("POST", "/env", env_post, BODY, .summary = "set variables"),
	TOOL("GET", "/port", listeners_get, .summary = "list ports that are listened on"),
	TOOL("GET", "/port/{port}/in-use", listeners_in_use, .summary = "tell of one port"),

	TOOL("POST", "/process/execute", process_execute, BODY, .summary = "run a command"),
	TOOL("POST", "/process/code-run", process_code_run, BODY, .summary = "run code"),
	TOOL("GET", "/process/session", sessions_list, .summary = "list sessions"),
	TOOL("POST", "/process/session", sessions_create, BODY, .summary = "open a session"),
	TOOL("GET", "/process/session/entrypoint", entrypoint_get, .summary = "refused: there is none"),
	TOOL("GET", "/process/session/entrypoint/logs", entrypoint_get, HTTP_WEBSOCKET | HTTP_PLAIN_TOO,
		.summary = "refused: there is none"),
	TOOL("GET", "/process/session/{session}", sessions_get, .summary = "tell about a session"),
	TOOL("DELETE", "/process/session/{session}", sessions_delete, .summary = "end it"),
	TOOL("POST", "/process/session/{session}/exec", sessions_execute, BODY, .summary = "run a command in it"),
	TOOL("GET", "/process/session/{session}/command/{command}", sessions_command, .summary = "tell about a command"),
	TOOL("POST", "/process/session/{session}/command/{command}/input", sessions_input, BODY,
		.summary = "write to its input"),
	TOOL("GET", "/process/session/{session}/command/{command}/logs", sessions_logs,
		HTTP_WEBSOCKET | HTTP_PLAIN_TOO, .summary = "read or follow its output"),
	TOOL("GET", "/process/pty", ptys_list, .summary = "list terminals"),
	TOOL("POST", "/process/pty", ptys_create, BODY, .summary = "open a terminal"),
	TOOL("GET", "/process/pty/create-connect", ptys_create_connect, HTTP_WEBSOCKET, .summary = "open and join one"),
	TOOL("GET", "/process/pty/{pty}", ptys_get, .summary = "tell about a terminal"),
	TOOL("DELETE", "/process/pty/{pty}", ptys_delete, .summary = "end it"),
	TOOL("GET", "/process/pty/{pty}/connect", ptys_connect, HTTP_WEBSOCKET, .summary = "join it"),
	TOOL("POST", "/process/pty/{pty}/resize", ptys_resize, BODY, .summary = "set its size"),
	TOOL("GET", "/process/interpreter/context", contexts_list, .summary = "list contexts"),
	TOOL("POST", "/process/interpreter/context", contexts_create, BODY, .summary = "open a context"),
	TOOL("DELETE", "/process/interpreter/context/{context}", contexts_delete, .summary = "end it"),
	TOOL("GET", "/process/interpreter/execute", interpreter_execute, HTTP_WEBSOCKET, .summary = "run Python in one"),

	TOOL("GET", "/files", files_list, .summary = "list a directory"),
	TOOL("DELETE", "/files", files_delete, .summary = "remove a file or directory"),
	TOOL("GET", "/files/info", files_info, .summary = "tell about a file"),
	TOOL("POST", "/files/folder", files_folder, BODY, .summary = "make a directory"),
	TOOL("POST", "/files/move", files_move, BODY, .summary = "move"),
	TOOL("POST", "/files/permissions", files_permissions, BODY, .summary = "change mode and owner"),
	TOOL("GET", "/files/find", files_find, .summary = "find text in files"),
	TOOL("GET", "/files/search", files_search, .summary = "find files by name"),
	TOOL("POST", "/files/replace", files_replace, BODY, .summary = "replace text in files"),
	TOOL("POST", "/files/upload", upload_one, HTTP_STREAMS_BODY, .body_max = UPLOAD_MAX, .summary = "store a file"),
	TOOL("POST", "/files/bulk-upload", upload_many, HTTP_STREAMS_BODY, .body_max = UPLOAD_MAX,
		.summary = "store files"),
	TOOL("GET", "/files/download", download_one, .summary = "give a file"),
	TOOL("POST", "/files/bulk-download", download_many, BODY, .summary = "give files"),

	TOOL("POST", "/git/clone", git_clone_repository, BODY, .summary = "clone a repository"),
	TOOL("POST", "/git/push", git_sync_changes, BODY, .summary = "push"),
	TOOL("POST", "/git/pull", git_sync_changes, BODY, .summary = "pull"),
	GIT("GET", "/status", status, "tell what has changed"),
	GIT("GET", "/branches", branches, "list branches"),
	GIT("POST", "/branches", create_branch, "make a branch and check it out"),
	GIT("DELETE", "/branches", delete_branch, "remove a branch"),
	GIT("POST", "/checkout", checkout, "check out"),
	GIT("POST", "/add", add, "stage files"),
	GIT("POST", "/commit", commit, "commit"),
	GIT("GET", "/history", history, "list commits"),
	GIT("POST", "/init", init_route, "make a repository"),
	GIT("POST", "/reset", reset, "reset"),
	GIT("POST", "/restore", restore, "restore files"),
	GIT("GET", "/remotes", remotes, "list remotes"),
	GIT("POST", "/remotes", add_remote, "add a remote"),
	GIT("GET", "/config", get_config, "tell a setting"),
	GIT("POST", "/config", set_config, "set it"),
	GIT("POST", "/config/user", set_user, "set who commits"),
	TOOL(HTTP_ANY_METHOD, "/{rest*}", daytona_not_offered, BODY, .summary = "refused"),
	{ 0 },
};
/* clang-format on */
