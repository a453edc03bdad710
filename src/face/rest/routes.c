/* SPDX-License-Identifier: Apache-2.0 */
#include "face/rest/handlers.h"

#include "action/file_actions.h"
#include "base/num.h"
#include "runtime/git.h"
#include "runtime/outside.h"
#include "wire/url.h"

#define DOC(...)                 \
	&(const struct rest_doc) \
	{                        \
		__VA_ARGS__      \
	}
#define SANDBOX "/v1/sandboxes/{id}"

enum { UPLOAD_MAX_GIB = 64 };

/* clang-format off */
const struct http_route rest_routes[] = {
	{ "GET", "/v1/health", meta_health, HTTP_NO_AUTH,
		.summary = "tell that the server answers", .data = DOC(.result = "status") },
	{ "GET", "/v1/version", meta_version,
		.summary = "tell the program's name and version", .data = DOC(.result = "name, version, api") },
	{ "GET", "/v1/capabilities", meta_capabilities,
		.summary = "tell what this host can give a sandbox",
		.data = DOC(.result = "controls: each with its meaning and whether it is there; limits; actions") },
	{ "GET", "/v1/openapi.json", meta_openapi,
		.summary = "give this document", .data = DOC(.result = "OpenAPI 3.1") },
	{ "GET", "/v1/stats", meta_stats,
		.summary = "count sandboxes, calls and events", .data = DOC(.result = "numbers") },
	{ "GET", "/v1/events", events_get,
		.summary = "read or follow the events of all sandboxes",
		.data = DOC(.query = events_query, .result = "an array of events, or with follow an event stream of them",
			.is_streamed = true) },
	{ "GET", "/v1/guard", guard_get,
		.summary = "tell what the guard of this server demands, and its rules",
		.data = DOC(.result = "settings, has_model, rules: each with name, risk, score and reason") },
	{ "POST", "/v1/guard/assess", guard_assess,
		.summary = "tell how risky an action or tool call would be; nothing is performed",
		.data = DOC(.body = assess_fields, .result = "score (1 to 3), risk (LOW, MEDIUM, HIGH), by (rules, llm), reason") },
	{ "GET", "/v1/confirmations", confirmations_get,
		.summary = "list the actions that wait to be confirmed",
		.data = DOC(.result = "confirmations: each with id, sandbox, action, params, risk, score, by, reason, asked_at, expires_at") },
	{ "POST", "/v1/confirmations/{confirmation}/confirm", confirmations_confirm,
		.summary = "let a waiting action be performed; takes the approver's token",
		.data = DOC(.body = decision_fields, .result = "verdict") },
	{ "POST", "/v1/confirmations/{confirmation}/reject", confirmations_reject,
		.summary = "refuse a waiting action; takes the approver's token",
		.data = DOC(.body = decision_fields, .result = "verdict") },
	{ "POST", "/v1/builds", builds_post, HTTP_STREAMS_BODY, .body_max = UPLOAD_MAX_GIB * 1024LL * 1024 * 1024,
		.summary = "build an image from a Dockerfile and its context, a tar archive; the output as an event stream if it is accepted",
		.data = DOC(.query = build_query, .body_type = "application/x-tar", .result = "the image", .status = 201, .is_streamed = true) },
	{ "DELETE", "/v1/builds", builds_prune,
		.summary = "forget the layers that builds have cached",
		.data = DOC(.result = "freed_bytes") },
	{ "GET", "/v1/images", images_get_all,
		.summary = "list the images that the server keeps", .data = DOC(.result = "images: an array of images") },
	{ "POST", "/v1/images", images_import, HTTP_STREAMS_BODY, .body_max = UPLOAD_MAX_GIB * 1024LL * 1024 * 1024,
		.summary = "take an image in: a tar archive of a root file system, of docker save, or of an OCI layout",
		.data = DOC(.query = images_import_query, .body_type = "application/x-tar",
			.result = "images: an array of images", .status = 201) },
	{ "DELETE", "/v1/images", images_gc,
		.summary = "remove images without a name and a sandbox, and layers of no image",
		.data = DOC(.result = "images, layers: how many of each") },
	{ "GET", "/v1/images/{image*}", images_get_one,
		.summary = "describe an image", .data = DOC(.result = "the image") },
	{ "PUT", "/v1/images/{image*}", images_fetch,
		.summary = "make sure that an image is there: fetched, if the backend can (docker)", .data = DOC(.result = "the image") },
	{ "POST", "/v1/images/{image*}", images_name,
		.summary = "give an image one more name", .data = DOC(.body = images_tag_fields, .result = "the image") },
	{ "DELETE", "/v1/images/{image*}", images_drop,
		.summary = "remove a name of an image; with the last one, or by its id, the image",
		.data = DOC(.query = images_remove_query, .result = "removed: whether the image itself is gone") },
	{ "POST", "/v1/sandboxes", sandboxes_create, .body_max = 16 * 1024 * 1024,
		.summary = "make a sandbox",
		.data = DOC(.body = create_fields, .result = "the sandbox, ready", .status = 201) },
	{ "GET", "/v1/sandboxes", sandboxes_list,
		.summary = "list the sandboxes, the living before the ended",
		.data = DOC(.result = "sandboxes: an array of sandboxes") },
	{ "GET", SANDBOX, sandboxes_get,
		.role = ROLE_SANDBOX, .summary = "describe a sandbox", .data = DOC(.result = "the sandbox") },
	{ "DELETE", SANDBOX, sandboxes_delete,
		.role = ROLE_SANDBOX, .summary = "end and forget a sandbox; its events stay",
		.data = DOC(.result = "nothing: all of it is gone", .status = 204) },
	{ "POST", SANDBOX "/stop", sandboxes_stop,
		.role = ROLE_SANDBOX, .summary = "end a sandbox and keep its record", .data = DOC(.result = "the sandbox") },
	{ "POST", SANDBOX "/pause", sandboxes_pause,
		.role = ROLE_SANDBOX, .summary = "freeze every process", .data = DOC(.result = "the sandbox") },
	{ "POST", SANDBOX "/resume", sandboxes_resume,
		.role = ROLE_SANDBOX, .summary = "let the processes go on", .data = DOC(.result = "the sandbox") },
	{ "POST", SANDBOX "/snapshot", snapshots_post,
		.summary = "make an image of a sandbox: its own, and what it has changed since",
		.data = DOC(.body = snapshot_fields, .result = "the image", .status = 201) },
	{ "POST", SANDBOX "/fork", forks_post, .body_max = 16 * 1024 * 1024,
		.summary = "make sandboxes that begin with the files that this one has now",
		.data = DOC(.body = fork_fields, .result = "sandboxes: an array of sandboxes, ready", .status = 201) },
	{ "GET", SANDBOX "/stats", sandboxes_usage,
		.role = ROLE_SANDBOX, .summary = "tell what a sandbox uses",
		.data = DOC(.result = "memory_bytes, memory_peak_bytes, pids, cpu_us, disk_bytes, disk_inodes, oom_kills; null where unknown") },
	{ "POST", SANDBOX "/actions/{action}", actions_perform, .body_max = 16 * 1024 * 1024 - 4096,
		.role = ROLE_SANDBOX, .summary = "perform an action",
		.data = DOC(.result = "the action's result; with Accept: text/event-stream the events data, event, then result or error") },
	{ "PUT", SANDBOX "/files", files_put, HTTP_STREAMS_BODY, .body_max = UPLOAD_MAX_GIB * 1024LL * 1024 * 1024,
		.role = ROLE_SANDBOX, .summary = "upload a file, or unpack an archive", .data = NULL },
	{ "GET", SANDBOX "/files", files_get,
		.role = ROLE_SANDBOX, .summary = "download a file, or a directory as an archive", .data = NULL },
	{ "GET", SANDBOX "/events", events_of_sandbox,
		.role = ROLE_SANDBOX, .summary = "read or follow the events of a sandbox",
		.data = DOC(.query = events_of_query, .result = "an array of events, or with follow an event stream of them",
			.is_streamed = true) },
	{ "GET", SANDBOX "/plugins", plugins_list,
		.role = ROLE_SANDBOX, .summary = "list the plugins of a sandbox and the actions they add",
		.data = DOC(.result = "plugins: name, version, description, actions (as MCP tools: name, description, inputSchema)") },
	{ "POST", SANDBOX "/plugins/{plugin}/{action}", plugins_perform, .body_max = 16 * 1024 * 1024 - 4096,
		.role = ROLE_SANDBOX, .summary = "perform an action that a plugin adds",
		.data = DOC(.result = "as of an MCP tool call: content, isError, and what else the plugin says") },
	{ "GET", SANDBOX "/ports/{port}", ports_describe,
		.role = ROLE_SANDBOX, .summary = "tell how a port inside a sandbox is reached",
		.data = DOC(.result = "url: the port as an origin of its own; link: the same with a ticket, for a browser "
			"(both only where the server listens on TCP); path: the same below this server, for programs; port, sandbox") },
	{ HTTP_ANY_METHOD, SANDBOX "/ports/{port}/{path*}", ports_pass, HTTP_STREAMS_BODY, .body_max = INT64_MAX,
		.role = ROLE_SANDBOX, .summary = "pass a request on to what listens on a port inside a sandbox; WebSockets too",
		.data = DOC(.result = "what that answers, or an error of this server", .type = "*/*") },
	{ "POST", SANDBOX "/env", environment_post,
		.role = ROLE_SANDBOX, .summary = "set variables for everything that is started from now on, and in the main session",
		.data = DOC(.body = environment_fields, .result = "names; session: updated, busy (it gets them when it is started anew) or none") },
	{ "POST", SANDBOX "/git/clone", git_clone_post,
		.role = ROLE_SANDBOX, .summary = "clone a repository", .data = DOC(.body = git_clone_fields,
			.result = "directory, branch, commit, has_setup, has_hook; its scripts are not run, see setup") },
	{ "POST", SANDBOX "/git/init", git_init_post,
		.role = ROLE_SANDBOX, .summary = "make a repository", .data = DOC(.body = git_init_fields, .result = "directory, branch, commit or null") },
	{ "POST", SANDBOX "/git/push", git_push_post,
		.role = ROLE_SANDBOX, .summary = "push a branch", .data = DOC(.body = git_sync_fields, .result = "output") },
	{ "POST", SANDBOX "/git/pull", git_pull_post,
		.role = ROLE_SANDBOX, .summary = "pull what can be fast-forwarded", .data = DOC(.body = git_sync_fields, .result = "output") },
	{ "POST", SANDBOX "/git/branch", git_branch_post,
		.role = ROLE_SANDBOX, .summary = "check out or make a branch, and list them", .data = DOC(.body = git_branch_fields, .result = "branch, branches") },
	{ "GET", SANDBOX "/git/changes", git_changes_get,
		.role = ROLE_SANDBOX, .summary = "list what differs from where the branch left its origin",
		.data = DOC(.query = git_changes_fields, .result = "an array of status (A, M, D, U) and path, sorted") },
	{ "GET", SANDBOX "/git/diff", git_diff_get,
		.role = ROLE_SANDBOX, .summary = "give a file as it is and as it was there",
		.data = DOC(.query = git_diff_fields, .result = "modified, original") },
	{ "POST", SANDBOX "/git/hook", git_hook_post,
		.role = ROLE_SANDBOX, .summary = "install .openhands/pre-commit.sh as a hook", .data = DOC(.body = git_init_fields, .result = "hook, has_setup") },
	{ "POST", SANDBOX "/setup", setup_post,
		.role = ROLE_SANDBOX, .summary = "run .openhands/setup.sh in the main session and install the hook",
		.data = DOC(.body = git_init_fields, .result = "setup: status, exit_code, output, or null; hook") },
	{ "GET", SANDBOX "/microagents", microagents_get,
		.role = ROLE_SANDBOX, .summary = "read .openhands/microagents and .openhands_instructions of a repository",
		.data = DOC(.query = microagents_fields, .result = "an array of name, type (repo, knowledge, task), triggers, content, …") },
	{ "POST", SANDBOX "/tool-server", tool_server_open,
		.summary = "listen as a tool server of CAMEL, at the root of a port, as long as this request is open",
		.data = DOC(.body = tool_server_fields, .result = "an event stream: first `listening` with the port",
			.type = "text/event-stream") },
	{ "DELETE", SANDBOX "/tool-server", tool_server_close,
		.summary = "end such a server: when this is answered, the port is free",
		.data = DOC(.query = tool_server_query, .result = "nothing", .status = 204) },
	{ "POST", SANDBOX "/tools", tools_add, .body_max = 4 * 1024 * 1024,
		.summary = "add tools that this server performs: an HTTP endpoint, a tool server, an MCP server",
		.data = DOC(.body = outside_fields, .result = "the pack, as tool_list has it; its tools are called and removed like the others") },
	{ "GET", "/v1/tools", server_tools_get,
		.summary = "list the server's own tools: those of the sandbox `tools`",
		.data = DOC(.result = "as the action tool_list") },
	{ "POST", "/v1/tools", server_tools_post, .body_max = 4 * 1024 * 1024,
		.summary = "add tools to the server: what tool_add or the tools of a sandbox take",
		.data = DOC(.result = "the pack; the sandbox `tools` is made if there is none") },
	{ "POST", "/v1/tools/{tool}", server_tools_call, .body_max = 16 * 1024 * 1024 - 4096,
		.summary = "call a tool of the server", .data = DOC(.body = server_tool_fields, .result = "as the action tool_call") },
	{ "DELETE", "/v1/tools/{tool}", server_tools_delete,
		.summary = "forget a tool or a pack of the server", .data = DOC(.result = "the empty object") },
	{ "POST", SANDBOX "/tokens", tokens_post,
		.summary = "make a token that is good for this sandbox alone, or for one file of it until a time",
		.data = DOC(.body = token_fields, .result = "token, role, expires_at; of a file also path: where it is downloaded "
			"from (GET) or uploaded to (PUT) without any other token, and link: the same with this server's address",
			.status = 201) },
	{ "GET", "/v1/links/{token}", links_get, .role = ROLE_READ,
		.summary = "download the file that the token is for", .data = DOC(.result = "the file", .type = "application/octet-stream") },
	{ "PUT", "/v1/links/{token}", links_put, HTTP_STREAMS_BODY, .body_max = UPLOAD_MAX_GIB * 1024LL * 1024 * 1024,
		.role = ROLE_WRITE, .summary = "upload the file that the token is for",
		.data = DOC(.body_type = "application/octet-stream", .result = "as of the action upload") },
	{ "GET", SANDBOX "/stream", stream_open, HTTP_WEBSOCKET,
		.role = ROLE_SANDBOX, .summary = "perform an action over a WebSocket",
		.data = DOC(.result = "first a text {\"action\",\"params\"} from the client; then binary messages both ways, "
			"each a channel byte and data; texts {\"control\":…} and {\"eof\":channel} to the server; texts "
			"{\"event\":…} and at the end {\"result\":…} or {\"error\":…} from it", .status = 101) },
	{ 0 },
};
/* clang-format on */

struct sandbox *rest_sandbox(struct http_request *r)
{
	struct error err;
	struct sandbox *s = runtime_find(rest_of(r)->runtime, http_param(r, "id"), &err);
	if (!s)
		http_reply_error(r, &err);
	return s;
}

const char *rest_sandbox_of(const struct http_request *r)
{
	const struct sandbox *s = runtime_find(rest_of(r)->runtime, http_param(r, "id"), NULL);
	return s ? s->id : NULL;
}

void rest_reply_sandbox(struct http_request *r, int status, const struct sandbox *s)
{
	auto_buf struct buf b = BUF_INIT(REST_JSON_MAX);
	struct jsonw w = JSONW(&b);
	sandbox_write(s, &w);
	http_reply_json(r, status, &b);
}

/*
 * Text as the field's type where it can be read so; else as a string, which decoding will refuse.
 */
static void put_value(const struct field *f, struct str text, struct jsonw *w)
{
	int64_t number;
	if (f && f->type == FIELD_INT &&
		num_parse_i64(text, INT64_MIN, INT64_MAX, &number, NULL) == 0)
		jsonw_int(w, number);
	else if (f && f->type == FIELD_BOOL && (str_is(text, "true") || str_is(text, "1")))
		jsonw_bool(w, true);
	else if (f && f->type == FIELD_BOOL && (str_is(text, "false") || str_is(text, "0")))
		jsonw_bool(w, false);
	else
		jsonw_str(w, text);
}

static int query_to_json(struct str rest, const struct field *fields, struct buf *b,
	struct error *err)
{
	struct jsonw w = JSONW(b);
	struct str name, value;
	auto_buf struct buf key = BUF_INIT(HTTP_HEAD_MAX);
	auto_buf struct buf text = BUF_INIT(HTTP_HEAD_MAX);
	jsonw_open(&w);
	while (url_query_next(&rest, &name, &value)) {
		buf_reset(&key);
		buf_reset(&text);
		if (url_decode(name, URL_QUERY, &key, err) < 0 ||
			url_decode(value, URL_QUERY, &text, err) < 0)
			return error_wrap(err, "query");
		jsonw_key_dyn(&w, buf_str(&key));
		put_value(fields_find(fields, buf_str(&key)), buf_str(&text), &w);
	}
	jsonw_close(&w);
	return 0;
}

int rest_query_json(struct http_request *r, const struct field *fields, struct buf *b)
{
	struct error err;
	if (query_to_json(r->query, fields, b, &err) == 0)
		return 0;
	http_reply_error(r, &err);
	return -1;
}

/* The tree they point into is freed; the request lives longer. */
void rest_keep_strings(const struct field *fields, char *params, struct arena *arena)
{
	for (const struct field *f = fields; f->name; f++) {
		struct str *s = (struct str *)(void *)(params + f->offset);
		if (f->type == FIELD_STRING && s->ptr)
			s->ptr = arena_str(arena, *s);
	}
}

int rest_query(struct http_request *r, const struct field *fields, size_t size, void **ret)
{
	auto_buf struct buf b = BUF_INIT(4 * HTTP_HEAD_MAX);
	auto_json struct json *json = NULL;
	struct error err;
	if (rest_query_json(r, fields, &b) < 0)
		return -1;
	if (json_parse(buf_str(&b), &json, &err) == 0 &&
		fields_decode(fields, size, "query", json, &r->arena, ret, &err) == 0) {
		rest_keep_strings(fields, *ret, &r->arena);
		return 0;
	}
	http_reply_error(r, &err);
	return -1;
}

int rest_body(struct http_request *r, const char *name, const struct field *fields, size_t size,
	struct json **ret_tree, void **ret)
{
	struct error err;
	if ((!r->body.len || json_parse(r->body, ret_tree, &err) == 0) &&
		fields_decode(fields, size, name, *ret_tree, &r->arena, ret, &err) == 0)
		return 0;
	http_reply_error(r, &err);
	return -1;
}
