/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The plugins that come with cay. What they give is built into the sandbox's executor, or into its
 * image: to start one is to make sure of it, so that an agent is not the first to find out.
 */
#include "runtime/plugin_internal.h"

#include "action/kernel_actions.h"
#include "action/process_actions.h"
#include "base/auto.h"
#include "base/bug.h"

#include <sys/random.h>

enum { PARAMS_MAX = 64 * 1024, TOKEN_SIZE = 37, SHOWN_MAX = 200 };

static void on_started(void *arg, struct str result)
{
	struct plugin *p = arg;
	p->call = NULL;
	plugin_started(p, NULL);
}

static void on_failed(void *arg, const struct error *err)
{
	struct plugin *p = arg;
	p->call = NULL;
	plugin_started(p, err);
}

/* ---- jupyter, agent_skills: one kernel, with the skills or without ---- */

static void open_kernel(struct plugin *p, bool has_skills)
{
	static const struct call_sink sink = { .result = on_started, .error = on_failed };
	auto_buf struct buf params = BUF_INIT(PARAMS_MAX);
	struct jsonw w = JSONW(&params);
	jsonw_open(&w);
	jsonw_key_bool(&w, "skills", has_skills);
	jsonw_close(&w);
	plugin_perform(p, &kernel_open_action, &params, &sink);
}

static void jupyter_start(struct plugin *p)
{
	if (plugins_has(p->plugins, "agent_skills"))
		plugin_started(p, NULL); /* the kernel is opened there */
	else
		open_kernel(p, false);
}

static void skills_start(struct plugin *p)
{
	open_kernel(p, true);
}

/* ---- what is a script ---- */

static void on_script(void *arg, struct str json)
{
	struct plugin *p = arg;
	auto_json struct json *result = NULL;
	struct error err;
	p->call = NULL;
	if (json_parse(json, &result, &err) < 0) {
		plugin_started(p, &err);
	} else if (json_kind(json_find(result, "exit_code")) != JSON_KIND_INT ||
		json_int(json_find(result, "exit_code")) != 0) {
		struct str said = str_trim(json_str(json_find(result, "stderr")));
		error_set(&err, ERROR_UNSUPPORTED, "%.*s", STR_ARG(str_first(said, SHOWN_MAX)));
		plugin_started(p, &err);
	} else {
		plugin_started(p, NULL);
	}
}

/* Starting a browser takes a second; whether there is one is known at once. */
static void browser_start(struct plugin *p)
{
	static const struct call_sink sink = { .result = on_script, .error = on_failed };
	static const char script[] =
		"command -v chromium || command -v chromium-browser || "
		"command -v google-chrome || { echo 'there is no Chromium in this "
		"image: install the package chromium' >&2; exit 1; }";
	auto_buf struct buf params = BUF_INIT(PARAMS_MAX);
	struct jsonw w = JSONW(&params);
	jsonw_open(&w);
	jsonw_key(&w, "argv");
	jsonw_open_array(&w);
	jsonw_str(&w, STR("/bin/sh"));
	jsonw_str(&w, STR("-c"));
	jsonw_str(&w, STR(script));
	jsonw_close_array(&w);
	jsonw_key_bool(&w, "capture", true);
	jsonw_key_int(&w, "timeout_ms", 10000);
	jsonw_close(&w);
	plugin_perform(p, &exec_action, &params, &sink);
}

/* ---- vscode ---- */

/*
 * $1 the port, $2 the token, $3 the workdir. Becomes the editor, whichever is in the image; where
 * OpenHands' images have theirs is looked at first.
 */
static const char vscode_script[] =
	"cd \"$3\" 2>/dev/null || cd /\n"
	"for editor in /openhands/.openvscode-server/bin/openvscode-server openvscode-server; do\n"
	"  editor=$(command -v \"$editor\") && exec \"$editor\" --host 127.0.0.1 --port \"$1\""
	" --connection-token \"$2\" --disable-workspace-trust\n"
	"done\n"
	"editor=$(command -v code-server) && PASSWORD=$2 exec \"$editor\" --bind-addr \"127.0.0.1:$1\""
	" --auth password --disable-telemetry \"$3\"\n"
	"echo 'there is neither openvscode-server nor code-server in this image' >&2; exit 1\n";

static void make_token(char ret[TOKEN_SIZE])
{
	uint8_t b[16];
	BUG_IF(getrandom(b, sizeof(b), 0) != sizeof(b), "the kernel has no randomness");
	b[6] = (uint8_t)((b[6] & 0x0f) | 0x40); /* RFC 9562: version 4 */
	b[8] = (uint8_t)((b[8] & 0x3f) | 0x80);
	size_t at = 0;
	for (size_t i = 0; i < sizeof(b); i++)
		at += (size_t)snprintf(ret + at, TOKEN_SIZE - at,
			i == 4 || i == 6 || i == 8 || i == 10 ? "-%02x" : "%02x", b[i]);
}

/*
 * It says where it listens as soon as it does: "Web UI available at http://…", "HTTP server
 * listening on …".
 */
static void on_vscode_output(void *arg, uint8_t channel, struct str bytes)
{
	struct plugin *p = arg;
	buf_put(&p->output, str_first(bytes, p->output.limit - p->output.len));
	if (str_find(buf_str(&p->output), STR("available at ")) < 0 &&
		str_find(buf_str(&p->output), STR("listening on ")) < 0)
		return;
	runtime_call_cancel(take_ptr(p->call)); /* it goes on without an audience */
	plugin_started(p, NULL);
}

static void on_vscode_end(void *arg, struct str json)
{
	struct plugin *p = arg;
	struct error err;
	struct str said = str_trim(buf_str(&p->output));
	p->call = NULL;
	if (said.len > SHOWN_MAX)
		said = str_skip(said, said.len - SHOWN_MAX);
	error_set(&err, ERROR_UNSUPPORTED, "%.*s",
		STR_ARG(said.len ? said : STR("the editor ended without a word")));
	plugin_started(p, &err);
}

static void vscode_start(struct plugin *p)
{
	static const struct call_sink sink = { .data = on_vscode_output,
		.result = on_vscode_end,
		.error = on_failed };
	auto_buf struct buf params = BUF_INIT(PARAMS_MAX);
	struct jsonw w = JSONW(&params);
	char token[TOKEN_SIZE], port[8];
	auto_json struct json *spec = NULL;
	const struct sandbox *s = runtime_find(p->plugins->rt, str_from(p->plugins->sandbox), NULL);
	if (s && s->spec_json)
		json_parse(str_from(s->spec_json), &spec, NULL);
	struct str workdir = json_str(json_find(spec, "workdir"));
	make_token(token);
	snprintf(port, sizeof(port), "%d", PLUGIN_VSCODE_PORT);
	jsonw_open(&w);
	jsonw_key(&w, "argv");
	jsonw_open_array(&w);
	jsonw_str(&w, STR("/bin/sh"));
	jsonw_str(&w, STR("-c"));
	jsonw_str(&w, STR(vscode_script));
	jsonw_str(&w, STR("vscode"));
	jsonw_str(&w, str_from(port));
	jsonw_str(&w, str_from(token));
	jsonw_str(&w, workdir.len ? workdir : STR("/workspace"));
	jsonw_close_array(&w);
	jsonw_key_str(&w, "name", STR(PLUGIN_VSCODE_PROCESS));
	jsonw_key_int(&w, "log_bytes", 64 * 1024);
	jsonw_close(&w);
	plugin_perform(p, &exec_action, &params, &sink);
}

struct str plugin_vscode_token(const struct json *process_list)
{
	const struct json *list = json_find(process_list, "processes");
	for (size_t i = 0; i < json_len(list); i++) {
		const struct json *p = json_at(list, i), *argv = json_find(p, "argv");
		if (str_is(json_str(json_find(p, "name")), PLUGIN_VSCODE_PROCESS) &&
			str_is(json_str(json_find(p, "status")), "running") && json_len(argv) == 7)
			return json_str(json_at(argv, 5));
	}
	return STR_NONE;
}

const struct plugin_kind plugin_kinds[] = {
	{ "agent_skills", "functions for agents in the Python kernel: files, search, an editor",
		skills_start },
	{ "browser", "web pages: the actions browse and browser_close", browser_start },
	{ "jupyter", "a Python kernel that stays alive: the actions cell and kernel_…",
		jupyter_start },
	{ "vscode", "an editor in the browser, on port 8765 of the sandbox", vscode_start },
	{ 0 },
};
