/* SPDX-License-Identifier: Apache-2.0 */
/* cay browse: one step of a sandbox's browser. */
#include "cli/client.h"

#include "base/auto.h"
#include "base/file.h"
#include "cli/options.h"
#include "wire/base64.h"

#include <fcntl.h>

enum { PARAMS_MAX = 1024 * 1024, PICTURE_MAX = 16 * 1024 * 1024, NOTE_MAX = 8000 };

static void put_params(struct jsonw *w, const struct browse_options *o, const char *url)
{
	const char *picture = o->marks ? "marks" : "screenshot";
	jsonw_open(w);
	if (url)
		jsonw_key_str(w, "url", str_from(url));
	if (o->program)
		jsonw_key_str(w, "program", str_from(o->program));
	jsonw_key(w, "parts");
	jsonw_open_array(w);
	jsonw_str(w, o->tree ? STR("axtree") : STR("content"));
	if (o->picture)
		jsonw_str(w, str_from(picture));
	jsonw_close_array(w);
	jsonw_key_int(w, "timeout_ms", o->timeout_ms);
	jsonw_close(w);
}

static int write_picture(const char *path, struct str text, struct error *err)
{
	auto_buf struct buf png = BUF_INIT(PICTURE_MAX);
	if (!text.len)
		return error_set(err, ERROR_UNAVAILABLE, "the browser gave no picture");
	if (base64_decode(text, &png, err) < 0)
		return error_wrap(err, "the picture");
	auto_fd int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	if (fd < 0)
		return error_sys(err, errno, "open %s", path);
	return file_write_all(fd, buf_str(&png), err);
}

static void tell_notes(const struct json *result)
{
	const struct json *messages = json_find(result, "messages"),
			  *downloads = json_find(result, "downloads");
	for (size_t i = 0; i < json_len(messages); i++)
		out_note("browse: message: %.*s",
			STR_ARG(str_first(json_str(json_find(json_at(messages, i), "text")),
				NOTE_MAX)));
	for (size_t i = 0; i < json_len(downloads); i++)
		out_note("browse: download: %.*s",
			STR_ARG(json_str(json_find(json_at(downloads, i), "path"))));
}

/* What a page says is for a terminal, perhaps: it is cleaned there. */
static int show(const struct browse_options *o, const struct json *result, struct error *err)
{
	auto_buf struct buf text = BUF_INIT(REMOTE_REPLY_MAX);
	struct str failure = json_str(json_find(result, "error"));
	if (o->picture &&
		write_picture(o->picture,
			json_str(json_find(result, o->marks ? "marks" : "screenshot")), err) < 0)
		return -1;
	if (o->common.json) {
		json_write(result, &text);
		if (out_line(buf_str(&text), err) < 0)
			return -1;
		return failure.len ? 1 : 0;
	}
	tell_notes(result);
	buf_put(&text, json_str(json_find(result, o->tree ? "axtree" : "content")));
	buf_putc(&text, '\n');
	struct out out;
	out_init(&out, STDOUT_FILENO, o->raw);
	if (out_write(&out, buf_str(&text), err) < 0 || out_end(&out, err) < 0)
		return -1;
	if (failure.len)
		out_note("browse: %.*s", STR_ARG(str_first(str_trim(failure), NOTE_MAX)));
	return failure.len ? 1 : 0;
}

int browse_main(struct invocation *in, struct error *err)
{
	const struct browse_options *o = in->values;
	auto_buf struct buf params = BUF_INIT(PARAMS_MAX);
	auto_json struct json *result = NULL;
	auto_remote struct remote s = REMOTE_INIT;
	struct jsonw w = JSONW(&params);
	put_params(&w, o, in->n_args > 1 ? in->args[1] : NULL);
	if (params.is_full)
		return error_set(err, ERROR_TOO_LARGE, "the program does not fit into a request");
	if (remote_open(in, &s, err) < 0 ||
		remote_act(&s, in->args[0], "browse", buf_str(&params), &result, err) < 0)
		return -1;
	return show(o, result, err);
}
