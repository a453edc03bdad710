/* SPDX-License-Identifier: Apache-2.0 */
#include "face/mcp/tools.h"

#include "base/auto.h"

/* Of the server's own use, and what takes or gives bytes that no message holds. */
static bool is_tool(const struct action *a)
{
	bool is_bytes = a->flags & ACTION_STREAMS_IN && !(a->flags & ACTION_STREAMS_OUT) &&
		!action_has_field(a, "text");
	bool is_setting = str_is(str_from(a->group), "executor") && !(a->flags & ACTION_READS);
	return !is_bytes && !is_setting && action_can_be_whole(a);
}

const struct action *tools_find(struct str name)
{
	const struct action *a = action_find(name);
	return a && is_tool(a) ? a : NULL;
}

static void put_description(struct jsonw *w, const struct action *a)
{
	auto_buf struct buf b = BUF_INIT(16 * 1024);
	buf_puts(&b, a->summary);
	if (b.len && b.ptr[0] >= 'a' && b.ptr[0] <= 'z')
		b.ptr[0] = (char)(b.ptr[0] - 'a' + 'A');
	buf_putc(&b, '.');
	if (a->result)
		buf_printf(&b, " Result: %s.", a->result);
	jsonw_key_str(w, "description", buf_str(&b));
}

static void put_tool(struct jsonw *w, const struct action *a)
{
	jsonw_open(w);
	jsonw_key_str(w, "name", str_from(a->name));
	put_description(w, a);
	jsonw_key(w, "inputSchema");
	fields_schema(a->fields, w);
	jsonw_key(w, "annotations");
	jsonw_open(w);
	jsonw_key_bool(w, "readOnlyHint", a->flags & ACTION_READS);
	jsonw_key_bool(w, "openWorldHint", false);
	jsonw_close(w);
	jsonw_close(w);
}

void tools_put_list(struct buf *b)
{
	struct jsonw w = JSONW(b);
	jsonw_open(&w);
	jsonw_key(&w, "tools");
	jsonw_open_array(&w);
	for (const struct action *const *a = action_table; *a; a++)
		if (is_tool(*a))
			put_tool(&w, *a);
	jsonw_close_array(&w);
	jsonw_close(&w);
}

/* ---- results ---- */

static void put_text(struct jsonw *w, struct str text)
{
	jsonw_open(w);
	jsonw_key_str(w, "type", STR("text"));
	jsonw_key_str(w, "text", text);
	jsonw_close(w);
}

/* What a person would look at first, by the names under which results have it. */
static struct str main_text(const struct json *result)
{
	static const char *const keys[] = { "output", "stdout", "content", "text" };
	for (size_t i = 0; i < ARRAY_LEN(keys); i++)
		if (json_kind(json_find(result, keys[i])) == JSON_KIND_STR)
			return json_str(json_find(result, keys[i]));
	return STR_NONE;
}

static bool has_failed(const struct json *result)
{
	const struct json *code = json_find(result, "exit_code");
	return (json_kind(code) == JSON_KIND_INT && json_int(code) != 0) ||
		json_str(json_find(result, "signal")).len > 0;
}

/*
 * Behind the text: what a program said on its other channel, and how it ended, unless all is well.
 */
static void put_epilogue(struct buf *b, const struct json *result)
{
	struct str stderr_text = json_str(json_find(result, "stderr"));
	struct str status = json_str(json_find(result, "status"));
	const struct json *code = json_find(result, "exit_code");
	bool is_quiet = !status.len || str_is(status, "exited");
	if (stderr_text.len) {
		buf_puts(b, b->len && b->ptr[b->len - 1] != '\n' ? "\n" : "");
		buf_put(b, stderr_text);
	}
	if (is_quiet && !has_failed(result))
		return;
	buf_puts(b, b->len && b->ptr[b->len - 1] != '\n' ? "\n" : "");
	if (!is_quiet)
		buf_printf(b, "[%.*s]", STR_ARG(status));
	else if (json_kind(code) == JSON_KIND_INT)
		buf_printf(b, "[exit code %lld]", (long long)json_int(code));
	else
		buf_printf(b, "[ended by signal %.*s]",
			STR_ARG(json_str(json_find(result, "signal"))));
}

void tools_put_result(struct buf *b, struct str json)
{
	auto_json struct json *result = NULL;
	auto_buf struct buf text = BUF_INIT(b->limit);
	struct jsonw w = JSONW(b);
	if (json_parse(json, &result, NULL) == 0 && main_text(result).ptr) {
		buf_put(&text, main_text(result));
		put_epilogue(&text, result);
	} else {
		buf_put(&text, json);
	}
	jsonw_open(&w);
	jsonw_key(&w, "content");
	jsonw_open_array(&w);
	put_text(&w, buf_str(&text));
	jsonw_close_array(&w);
	jsonw_key(&w, "structuredContent");
	jsonw_raw(&w, json);
	jsonw_key_bool(&w, "isError", has_failed(result));
	jsonw_close(&w);
}

void tools_put_failure(struct buf *b, const struct error *err)
{
	auto_buf struct buf text = BUF_INIT(2048);
	struct jsonw w = JSONW(b);
	buf_printf(&text, "%s: %s", error_name(err->code), err->text);
	jsonw_open(&w);
	jsonw_key(&w, "content");
	jsonw_open_array(&w);
	put_text(&w, buf_str(&text));
	jsonw_close_array(&w);
	jsonw_key_bool(&w, "isError", true);
	jsonw_close(&w);
}
