/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cay tool: tools of a sandbox, or, with --http, of any tool server of CAMEL's kind, which this
 * program then calls itself. In place of a sandbox's server there is then no server of ours at all.
 */
#include "cli/tool.h"

#include "base/auto.h"
#include "base/bug.h"
#include "base/clock.h"
#include "wire/url.h"

#include <poll.h>

enum {
	PARAMS_MAX = 15 * 1024 * 1024,
	PATH_MAX_BYTES = 8192,
	WAIT_MS = 10000,
	PROBE_MS = 2000,
	PROBE_PAUSE_MS = 100,
};

/* ---- what is sent ---- */

static int put_json(struct jsonw *w, const char *text, enum json_kind kind, struct error *err)
{
	auto_json struct json *json = NULL;
	if (json_parse(str_from(text), &json, err) < 0)
		return error_wrap(err, "%.60s", text);
	if (json_kind(json) != kind)
		return error_set(err, ERROR_INVALID, "%.60s: %s is wanted", text,
			json_kind_name(kind));
	json_write(json, w->b);
	w->needs_comma = true;
	return 0;
}

/* "args":[…],"kwargs":{…} of words that are VALUE or NAME=VALUE. */
static void put_arguments(struct jsonw *w, const char *const *words, int n)
{
	jsonw_key(w, "args");
	jsonw_open_array(w);
	for (int i = 0; i < n; i++)
		if (!strchr(words[i], '=') || words[i][0] == '=' || strchr("\"[{", words[i][0]))
			client_put_word(w, words[i]);
	jsonw_close_array(w);
	jsonw_key(w, "kwargs");
	jsonw_open(w);
	for (int i = 0; i < n; i++) {
		const char *at = strchr(words[i], '=');
		if (!at || at == words[i] || strchr("\"[{", words[i][0]))
			continue;
		jsonw_key_dyn(w, str_from_len(words[i], (size_t)(at - words[i])));
		client_put_word(w, at + 1);
	}
	jsonw_close(w);
}

/* ---- a sandbox's tools ---- */

static int act(const struct tool_call_of_cli *c, const char *action, const struct buf *params,
	struct json **ret, struct error *err)
{
	auto_remote struct remote s = REMOTE_INIT;
	if (params->is_full)
		return error_set(err, ERROR_TOO_LARGE, "more than %d bytes of arguments",
			PARAMS_MAX);
	return remote_open(c->in, &s, err) < 0
		? -1
		: remote_act(&s, c->sandbox, action, buf_str(params), ret, err);
}

static int print(const struct json *json, struct error *err)
{
	auto_buf struct buf text = BUF_INIT(REMOTE_REPLY_MAX);
	json_write(json, &text);
	return out_line(buf_str(&text), err);
}

static int put_add(struct jsonw *w, const struct tool_call_of_cli *c, struct error *err)
{
	const struct tool_options *o = c->o;
	jsonw_open(w);
	if (o->action) {
		jsonw_key_str(w, "action", str_from(o->action));
	} else if (o->name) {
		jsonw_key_str(w, "name", str_from(o->name));
		jsonw_key(w, "argv");
		jsonw_open_array(w);
		for (int i = 0; i < c->n_words; i++)
			jsonw_str(w, str_from(c->words[i]));
		jsonw_close_array(w);
	} else {
		jsonw_key_str(w, "entrypoint", str_from(c->words[0]));
	}
	if (o->description)
		jsonw_key_str(w, "description", str_from(o->description));
	if (o->parameters) {
		jsonw_key(w, "parameters");
		if (put_json(w, o->parameters, JSON_KIND_OBJECT, err) < 0)
			return error_wrap(err, "--parameters");
	}
	if (o->paths.n) {
		jsonw_key(w, "paths");
		jsonw_open_array(w);
		for (int i = 0; i < o->paths.n; i++)
			jsonw_str(w, str_from(o->paths.items[i]));
		jsonw_close_array(w);
	}
	if (o->python)
		jsonw_key_str(w, "python", str_from(o->python));
	jsonw_key_bool(w, "replace", o->replace);
	if (o->timeout_ms)
		jsonw_key_int(w, "timeout_ms", o->timeout_ms);
	if (client_put_env(w, &o->env, err) < 0)
		return -1;
	jsonw_close(w);
	return 0;
}

/* Of a program, or of the server behind --endpoint. */
static int put_mcp(struct jsonw *w, const struct tool_call_of_cli *c, struct error *err)
{
	if (c->o->endpoint && c->n_words)
		return error_set(err, ERROR_INVALID, "--mcp: a program or --endpoint, not both");
	jsonw_key(w, "mcp");
	jsonw_open(w);
	if (c->o->endpoint) {
		jsonw_key_str(w, "url", str_from(c->o->endpoint));
	} else {
		jsonw_key_str(w, "command", c->n_words ? str_from(c->words[0]) : STR(""));
		jsonw_key(w, "args");
		jsonw_open_array(w);
		for (int i = 1; i < c->n_words; i++)
			jsonw_str(w, str_from(c->words[i]));
		jsonw_close_array(w);
		if (client_put_env(w, &c->o->env, err) < 0)
			return -1;
	}
	jsonw_close(w);
	return 0;
}

/* A pack that the server performs: the body of POST …/tools. */
static int put_outside(struct jsonw *w, const struct tool_call_of_cli *c, struct error *err)
{
	const struct tool_options *o = c->o;
	jsonw_open(w);
	if (o->endpoint && !o->mcp)
		jsonw_key_str(w, "url", str_from(o->endpoint));
	if (o->server)
		jsonw_key_str(w, "server", str_from(o->server));
	if (o->name)
		jsonw_key_str(w, "name", str_from(o->name));
	if (o->description)
		jsonw_key_str(w, "description", str_from(o->description));
	if (o->parameters) {
		jsonw_key(w, "parameters");
		if (put_json(w, o->parameters, JSON_KIND_OBJECT, err) < 0)
			return error_wrap(err, "--parameters");
	}
	if (o->timeout_ms)
		jsonw_key_int(w, "timeout_ms", o->timeout_ms);
	if (o->mcp && put_mcp(w, c, err) < 0)
		return -1;
	jsonw_key(w, "headers");
	jsonw_open(w);
	for (int i = 0; i < o->headers.n; i++) {
		const char *text = o->headers.items[i], *eq = strchr(text, '=');
		if (!eq || eq == text)
			return error_set(err, ERROR_INVALID, "--header: '%.60s' is not NAME=VALUE",
				text);
		jsonw_key_dyn(w, str_from_len(text, (size_t)(eq - text)));
		jsonw_str(w, str_from(eq + 1));
	}
	jsonw_close(w);
	jsonw_close(w);
	return 0;
}

static int add_outside(const struct tool_call_of_cli *c, struct json **ret, struct error *err)
{
	auto_remote struct remote s = REMOTE_INIT;
	auto_buf struct buf body = BUF_INIT(PARAMS_MAX), path = BUF_INIT(PATH_MAX_BYTES);
	struct jsonw w = JSONW(&body);
	remote_put_path(&path, c->sandbox, "/tools");
	return put_outside(&w, c, err) < 0 || remote_open(c->in, &s, err) < 0
		? -1
		: remote_post_json(&s, path.ptr, buf_str(&body), ret, err);
}

static int add_inside(const struct tool_call_of_cli *c, struct json **ret, struct error *err)
{
	auto_buf struct buf params = BUF_INIT(PARAMS_MAX);
	struct jsonw w = JSONW(&params);
	if (!c->o->action && c->n_words < 1)
		return error_set(err, ERROR_INVALID,
			"add wants an ENTRYPOINT, --action ACTION, --name NAME and a program, --endpoint, --server "
			"or --mcp");
	return put_add(&w, c, err) < 0 ? -1 : act(c, "tool_add", &params, ret, err);
}

static int tool_add(const struct tool_call_of_cli *c, struct error *err)
{
	auto_json struct json *pack = NULL;
	bool is_outside = c->o->endpoint || c->o->server || c->o->mcp;
	if ((is_outside ? add_outside : add_inside)(c, &pack, err) < 0)
		return -1;
	if (c->o->common.json)
		return print(pack, err);
	const struct json *tools = json_find(pack, "tools");
	for (size_t i = 0; i < json_len(tools); i++)
		if (out_line(json_str(json_at(tools, i)), err) < 0)
			return -1;
	return 0;
}

static int print_tools(const struct json *tools, struct error *err)
{
	struct out_table t = { .n_columns = 2, .headings = { "TOOL", "DESCRIPTION" } };
	for (size_t i = 0; i < json_len(tools); i++) {
		const struct json *f = json_find(json_at(tools, i), "function");
		struct str text = json_str(json_find(f, "description"));
		ptrdiff_t end = str_find_char(text, '\n');
		out_cell(&t, json_str(json_find(f, "name")));
		out_cell(&t, end < 0 ? text : str_first(text, (size_t)end));
	}
	return out_table_end(&t, err);
}

static int tool_ls(const struct tool_call_of_cli *c, struct error *err)
{
	auto_json struct json *list = NULL;
	const struct buf none = BUF_INIT(0);
	if (act(c, "tool_list", &none, &list, err) < 0)
		return -1;
	return c->o->common.json ? print(list, err) : print_tools(json_find(list, "tools"), err);
}

/* What it printed, then its value; an exception is the exit status 1. */
static int show_result(const struct tool_call_of_cli *c, const struct json *result,
	struct error *err)
{
	const struct json *failure = json_find(result, "error");
	bool has_failed = json_kind(failure) == JSON_KIND_OBJECT;
	if (c->o->common.json)
		return print(result, err) < 0 ? -1 : has_failed;
	auto_buf struct buf text = BUF_INIT(REMOTE_REPLY_MAX);
	clean_put(&text, json_str(json_find(result, "stderr")), true, true);
	fwrite(text.ptr, 1, text.len, stderr);
	buf_reset(&text);
	clean_put(&text, json_str(json_find(result, "stdout")), true, true);
	if (has_failed) {
		fwrite(text.ptr, 1, text.len, stdout);
		return error_set(err, ERROR_INVALID, "%.*s: %.*s",
			STR_ARG(json_str(json_find(failure, "type"))),
			STR_ARG(str_first(json_str(json_find(failure, "message")), 300)));
	}
	clean_put(&text, json_str(json_find(result, "output")), true, true);
	return out_line(buf_str(&text), err);
}

static int tool_call(const struct tool_call_of_cli *c, struct error *err)
{
	auto_buf struct buf params = BUF_INIT(PARAMS_MAX);
	auto_json struct json *result = NULL;
	struct jsonw w = JSONW(&params);
	if (c->n_words < 1)
		return error_set(err, ERROR_INVALID, "call wants the name of a tool");
	jsonw_open(&w);
	jsonw_key_str(&w, "tool", str_from(c->words[0]));
	put_arguments(&w, c->words + 1, c->n_words - 1);
	if (c->o->timeout_ms)
		jsonw_key_int(&w, "timeout_ms", c->o->timeout_ms);
	jsonw_close(&w);
	return act(c, "tool_call", &params, &result, err) < 0 ? -1 : show_result(c, result, err);
}

static int act_on_name(const struct tool_call_of_cli *c, const char *action, const char *key,
	struct error *err)
{
	auto_buf struct buf params = BUF_INIT(PARAMS_MAX);
	auto_json struct json *result = NULL;
	struct jsonw w = JSONW(&params);
	jsonw_open(&w);
	if (c->n_words)
		jsonw_key_str(&w, key, str_from(c->words[0]));
	jsonw_close(&w);
	return act(c, action, &params, &result, err);
}

static int tool_rm(const struct tool_call_of_cli *c, struct error *err)
{
	return act_on_name(c, "tool_remove", "name", err);
}

static int tool_reset(const struct tool_call_of_cli *c, struct error *err)
{
	return act_on_name(c, "tool_reset", "pack", err);
}

/* ---- any tool server ---- */

static int http_open(const struct tool_call_of_cli *c, struct http_client **ret, struct error *err)
{
	const char *token = getenv("CAY_TOOL_TOKEN");
	return http_client_new(c->o->http, token && token[0] ? token : NULL, ret, err);
}

static int http_ls(const struct tool_call_of_cli *c, struct error *err)
{
	struct http_client *http = NULL;
	auto_buf struct buf reply = BUF_INIT(REMOTE_REPLY_MAX);
	auto_json struct json *health = NULL;
	if (http_open(c, &http, err) < 0)
		return -1;
	int r = http_client_get(http, "/health", &reply, err);
	http_client_free(http);
	if (r < 0 || json_parse(buf_str(&reply), &health, err) < 0)
		return -1;
	if (c->o->common.json)
		return print(health, err);
	const struct json *tools = json_find(health, "endpoints");
	for (size_t i = 0; i < json_len(tools); i++)
		if (out_line(json_str(json_at(tools, i)), err) < 0)
			return -1;
	return 0;
}

/* Until it answers, whatever that is: no tool server says when it has begun. */
static int http_wait(const struct tool_call_of_cli *c, struct error *err)
{
	int64_t until_ms = clock_mono_ms() + (c->o->timeout_ms ? c->o->timeout_ms : WAIT_MS);
	for (;;) {
		struct http_client *http = NULL;
		auto_buf struct buf reply = BUF_INIT(REMOTE_REPLY_MAX);
		struct http_call call = {
			.method = "GET",
			.path = "/",
			.reply = &reply,
			.timeout_ms = PROBE_MS,
			.takes_errors = true,
		};
		if (http_open(c, &http, err) < 0)
			return -1;
		int r = http_client_call(http, &call, err);
		http_client_free(http);
		if (r >= 0)
			return 0;
		if (err->code != ERROR_UNAVAILABLE || clock_mono_ms() >= until_ms)
			return -1;
		poll(NULL, 0, PROBE_PAUSE_MS);
	}
}

/* Its answer carries the value as text; an error's body has the words of what the tool raised. */
static int http_show(const struct tool_call_of_cli *c, int status, const struct buf *reply,
	struct error *err)
{
	auto_json struct json *answer = NULL;
	if (json_parse(buf_str(reply), &answer, err) < 0)
		return error_set(err, ERROR_PROTOCOL, "%s answered %d with what is no JSON",
			c->o->http, status);
	struct str message = json_str(json_find(answer, "error_message"));
	if (status == 404)
		return error_set(err, ERROR_NOT_FOUND, "%s has no tool %s", c->o->http,
			c->words[0]);
	if (status != 200)
		return error_set(err, status == 401 ? ERROR_UNAUTHORIZED : ERROR_INVALID,
			"%s: %.*s", c->words[0],
			STR_ARG(str_first(message.ptr ? message : buf_str(reply), 300)));
	return show_result(c, answer, err);
}

static int http_call(const struct tool_call_of_cli *c, struct error *err)
{
	struct http_client *http = NULL;
	auto_buf struct buf body = BUF_INIT(PARAMS_MAX), reply = BUF_INIT(REMOTE_REPLY_MAX),
			    path = BUF_INIT(PATH_MAX_BYTES);
	struct jsonw w = JSONW(&body);
	if (c->n_words < 1)
		return error_set(err, ERROR_INVALID, "call wants the name of a tool");
	jsonw_open(&w);
	put_arguments(&w, c->words + 1, c->n_words - 1);
	jsonw_key_bool(&w, "redirect_stdout", true);
	jsonw_close(&w);
	buf_putc(&path, '/');
	url_encode(str_from(c->words[0]), &path);
	struct http_call call = {
		.method = "POST",
		.path = path.ptr,
		.content_type = "application/json",
		.body = buf_str(&body),
		.reply = &reply,
		.timeout_ms = c->o->timeout_ms,
		.takes_errors = true,
	};
	if (http_open(c, &http, err) < 0)
		return -1;
	int r = http_client_call(http, &call, err);
	http_client_free(http);
	return r < 0 ? -1 : http_show(c, call.ret_status, &reply, err);
}

/* ---- the command ---- */

static const struct {
	const char *name;
	int (*run)(const struct tool_call_of_cli *c, struct error *err);
	int (*run_http)(const struct tool_call_of_cli *c, struct error *err);
} verbs[] = {
	{ "add", tool_add, NULL },
	{ "ls", tool_ls, http_ls },
	{ "call", tool_call, http_call },
	{ "rm", tool_rm, NULL },
	{ "reset", tool_reset, NULL },
	{ "serve", tool_serve, NULL },
	{ "host", tool_host, NULL },
	{ "wait", NULL, http_wait },
};

int tool_main(struct invocation *in, struct error *err)
{
	const struct tool_options *o = in->values;
	bool has_sandbox = !o->http && strcmp(in->args[0], "host") != 0;
	int first = has_sandbox ? 2 : 1;
	struct tool_call_of_cli c = { in, o, in->args + first, in->n_args - first,
		has_sandbox ? in->args[1] : NULL };
	for (size_t i = 0; i < ARRAY_LEN(verbs); i++) {
		if (strcmp(verbs[i].name, in->args[0]) != 0)
			continue;
		if (o->http && !verbs[i].run_http)
			return error_set(err, ERROR_INVALID, "%s does not go with --http",
				verbs[i].name);
		if (!o->http && !verbs[i].run)
			return error_set(err, ERROR_INVALID, "%s wants --http", verbs[i].name);
		if (c.n_words < 0)
			return error_set(err, ERROR_INVALID, "%s wants a SANDBOX", verbs[i].name);
		return (o->http ? verbs[i].run_http : verbs[i].run)(&c, err);
	}
	return error_set(err, ERROR_INVALID,
		"no verb '%.40s': it is one of add, ls, call, rm, reset, serve, host, wait",
		in->args[0]);
}
