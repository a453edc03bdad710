/* SPDX-License-Identifier: Apache-2.0 */
/* /read_file and /write_file: text. */
#include "action/file_actions.h"
#include "base/auto.h"
#include "face/swerex/state.h"
#include "face/swerex/text.h"
#include "wire/pycall.h"

enum { PARAMS_MAX = 64 * 1024 };

static void put_path(struct buf *params, struct str path)
{
	struct jsonw w = JSONW(params);
	jsonw_open(&w);
	jsonw_key_str(&w, "path", path);
	jsonw_close(&w);
}

/* In the words of Python, where it has some. */
static void fail_file(struct turn *turn, const struct error *err)
{
	static const struct {
		const char *part, *class, *text;
	} words[] = {
		{ "s a directory", BUILTIN("IsADirectoryError"), "[Errno 21] Is a directory: " },
		{ "ot a directory", BUILTIN("NotADirectoryError"), "[Errno 20] Not a directory: " },
	};
	auto_buf struct buf text = BUF_INIT(PARAMS_MAX);
	const char *class = NULL;
	for (size_t i = 0; i < ARRAY_LEN(words) && !class; i++) {
		if (str_find(str_from(err->text), str_from(words[i].part)) < 0)
			continue;
		class = words[i].class;
		buf_puts(&text, words[i].text);
	}
	if (err->code == ERROR_NOT_FOUND && !class) {
		class = BUILTIN("FileNotFoundError");
		buf_puts(&text, "[Errno 2] No such file or directory: ");
	}
	if (!class) {
		turn_fail(turn, err);
		return;
	}
	pycall_put_repr(&text, json_str(json_find(turn->body, "path")));
	turn_raise(turn, class, &text, NULL);
}

/* ---- read ---- */

struct reading {
	struct str encoding, errors;
};

static void on_read(struct turn *turn, const struct json *result)
{
	const struct reading *x = turn->state;
	auto_buf struct buf text = BUF_INIT(5 * SWEREX_READ_MAX), b = BUF_INIT(HTTP_REPLY_MAX);
	struct jsonw w = JSONW(&b);
	struct error err;
	if (text_decode(buf_str(&turn->output), x->encoding, x->errors, &text, &err) < 0) {
		turn_raise_text(turn,
			err.code == ERROR_UNSUPPORTED ? BUILTIN("LookupError")
						      : BUILTIN("UnicodeDecodeError"),
			"%s", err.text);
		return;
	}
	jsonw_open(&w);
	jsonw_key_str(&w, "content", buf_str(&text));
	jsonw_close(&w);
	if (text.is_full)
		b.is_full = true;
	turn_reply_buf(turn, &b);
}

static void too_large(struct turn *turn)
{
	turn_raise_text(turn, BUILTIN("ValueError"),
		"the file is larger than the %d bytes that are given at once", SWEREX_READ_MAX);
}

/* A name, or null. */
static bool take_name(struct turn *turn, const char *key, struct str *ret)
{
	*ret = STR_NONE;
	return json_kind(json_find(turn->body, key)) == JSON_KIND_NULL ||
		body_str(turn, key, "", ret);
}

static void read_file(struct turn *turn)
{
	struct reading *x = arena_new(&turn->r->arena, struct reading);
	auto_buf struct buf params = BUF_INIT(PARAMS_MAX);
	struct str path;
	if (!body_str(turn, "path", NULL, &path) || !take_name(turn, "encoding", &x->encoding) ||
		!take_name(turn, "errors", &x->errors))
		return;
	turn->state = x;
	turn->failed = fail_file;
	turn->too_much = too_large;
	buf_init(&turn->output, SWEREX_READ_MAX);
	put_path(&params, path);
	turn_perform(turn, &download_action, &params, on_read);
}

void swerex_read_file(struct http_request *r)
{
	turn_begin(r, read_file);
}

/* ---- write ---- */

static void on_written(struct turn *turn, const struct json *result)
{
	turn_reply(turn, 200, SWEREX_EMPTY);
}

static void write_file(struct turn *turn)
{
	auto_buf struct buf params = BUF_INIT(PARAMS_MAX);
	struct str path, content;
	if (!body_str(turn, "path", NULL, &path) || !body_str(turn, "content", NULL, &content))
		return;
	turn->failed = fail_file;
	put_path(&params, path);
	if (turn_perform(turn, &upload_action, &params, on_written))
		turn_send(turn, content);
}

void swerex_write_file(struct http_request *r)
{
	turn_begin(r, write_file);
}
