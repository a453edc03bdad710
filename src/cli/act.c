/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cay act: any action by its name. For who writes a script, or a plugin: the commands of their own
 * (exec, py, cp, …) are made for people.
 */
#include "cli/client.h"

#include "action/action.h"
#include "base/auto.h"
#include "base/bug.h"
#include "cli/options.h"
#include "wire/url.h"

enum { PARAMS_MAX = 15 * 1024 * 1024, PATH_BYTES_MAX = 8192 };

/* ---- what is sent ---- */

/* Of what is not in our table the server says so. */
static bool wants_string(const struct action *a, struct str name)
{
	const struct field *f = a ? fields_find(a->fields, name) : NULL;
	return f && f->type == FIELD_STRING;
}

/* NAME=VALUE…, or all of it as one JSON object. */
static int put_params(struct buf *b, const struct action *a, const char *const *words, int n,
	struct error *err)
{
	auto_json struct json *json = NULL;
	struct jsonw w = JSONW(b);
	if (n == 1 && words[0][0] == '{') {
		buf_puts(b, words[0]);
		return json_parse(buf_str(b), &json, err);
	}
	jsonw_open(&w);
	for (int i = 0; i < n; i++) {
		const char *at = strchr(words[i], '=');
		if (!at || at == words[i])
			return error_set(err, ERROR_INVALID, "%.60s: NAME=VALUE is wanted",
				words[i]);
		struct str name = str_from_len(words[i], (size_t)(at - words[i]));
		jsonw_key_dyn(&w, name);
		if (wants_string(a, name))
			jsonw_str(&w, str_from(at + 1));
		else
			client_put_word(&w, at + 1);
	}
	jsonw_close(&w);
	return b->is_full ? error_set(err, ERROR_TOO_LARGE, "more than %d bytes", PARAMS_MAX) : 0;
}

/* ---- what there is ---- */

static void put_rows(struct out_table *t, const struct json *plugins)
{
	for (const struct action *const *a = action_table; *a; a++) {
		out_cell(t, str_from((*a)->name));
		out_cell(t, str_from((*a)->summary));
	}
	for (size_t i = 0; i < json_len(plugins); i++) {
		const struct json *plugin = json_at(plugins, i),
				  *actions = json_find(plugin, "actions");
		for (size_t k = 0; k < json_len(actions); k++) {
			auto_buf struct buf name = BUF_INIT(PATH_BYTES_MAX);
			struct str text = json_str(json_find(json_at(actions, k), "description"));
			ptrdiff_t end = str_find_char(text, '\n');
			buf_put(&name, json_str(json_find(plugin, "name")));
			buf_putc(&name, '/');
			buf_put(&name, json_str(json_find(json_at(actions, k), "name")));
			out_cell(t, buf_str(&name));
			out_cell(t, end < 0 ? text : str_first(text, (size_t)end));
		}
	}
}

static int list(struct remote *s, const char *sandbox, struct error *err)
{
	struct out_table t = { .n_columns = 2, .headings = { "ACTION", "WHAT IT DOES" } };
	auto_buf struct buf path = BUF_INIT(PATH_BYTES_MAX);
	auto_json struct json *reply = NULL;
	remote_put_path(&path, sandbox, "/plugins");
	if (remote_get_json(s, path.ptr, &reply, err) < 0)
		return -1;
	put_rows(&t, json_find(reply, "plugins"));
	return out_table_end(&t, err);
}

/* ---- a call ---- */

static int act_of_plugin(struct remote *s, const char *sandbox, const char *action,
	struct str params, struct json **ret, struct error *err)
{
	auto_buf struct buf path = BUF_INIT(PATH_BYTES_MAX);
	const char *slash = strchr(action, '/');
	remote_put_path(&path, sandbox, "/plugins/");
	url_encode(str_from_len(action, (size_t)(slash - action)), &path);
	buf_putc(&path, '/');
	url_encode(str_from(slash + 1), &path);
	return remote_post_json(s, path.ptr, params, ret, err);
}

/* As MCP tools say it; an action of our own that fails is an error. */
static bool has_failed(const struct json *result)
{
	return json_bool(json_find(result, "isError"));
}

int act_main(struct invocation *in, struct error *err)
{
	auto_remote struct remote s = REMOTE_INIT;
	auto_buf struct buf params = BUF_INIT(PARAMS_MAX), text = BUF_INIT(REMOTE_REPLY_MAX);
	auto_json struct json *result = NULL;
	const char *sandbox = in->args[0], *name = in->n_args > 1 ? in->args[1] : NULL;
	if (remote_open(in, &s, err) < 0)
		return -1;
	if (!name)
		return list(&s, sandbox, err);
	if (put_params(&params, action_find(str_from(name)), in->args + 2, in->n_args - 2, err) < 0)
		return -1;
	int r = strchr(name, '/') ? act_of_plugin(&s, sandbox, name, buf_str(&params), &result, err)
				  : remote_act(&s, sandbox, name, buf_str(&params), &result, err);
	if (r < 0)
		return -1;
	json_write(result, &text);
	return out_line(buf_str(&text), err) < 0 ? -1 : has_failed(result);
}
