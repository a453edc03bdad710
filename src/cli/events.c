/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/client.h"

#include "base/auto.h"
#include "cli/options.h"
#include "wire/utf8.h"

enum { LINE_MAX_BYTES = 1024 * 1024, DETAIL_BYTES = 160, PAGE = 1000 };

struct showing {
	const struct events_options *options;
	struct out out;
	int64_t after; /* number of the last event seen */
};

/* The first line of a text, shortened. */
static void put_short(struct buf *b, struct str text)
{
	struct str line = str_trim(text);
	ptrdiff_t end = str_find_char(line, '\n');
	struct str first = str_first(line,
		MIN(end < 0 ? line.len : (size_t)end, (size_t)DETAIL_BYTES));
	utf8_put_valid(b, first);
	if (first.len < line.len)
		buf_puts(b, " …");
}

/* What an action is about: its command, its program, its path. */
static void put_params(struct buf *b, const struct json *params)
{
	static const char *const telling[] = { "command", "path", "process", "pattern", "session" };
	const struct json *argv = json_find(params, "argv");
	for (size_t i = 0; i < json_len(argv); i++) {
		buf_putc(b, ' ');
		put_short(b, json_str(json_at(argv, i)));
	}
	for (size_t i = 0; i < ARRAY_LEN(telling); i++) {
		struct str text = json_str(json_find(params, telling[i]));
		if (text.len == 0)
			continue;
		buf_putc(b, ' ');
		put_short(b, text);
		return;
	}
}

static void put_result(struct buf *b, const struct json *data)
{
	const struct json *error = json_find(data, "error"), *result = json_find(data, "result");
	const struct json *code = json_find(result, "exit_code");
	struct str output = json_str(json_find(result, "output"));
	buf_puts(b, " (");
	out_put_duration(b, json_int(json_find(data, "duration_ms")));
	buf_putc(b, ')');
	if (error)
		buf_printf(b, " failed: %.*s", STR_ARG(json_str(json_find(error, "message"))));
	if (json_kind(code) == JSON_KIND_INT)
		buf_printf(b, " exit %lld", (long long)json_int(code));
	if (output.len) {
		buf_puts(b, ": ");
		put_short(b, output);
	}
}

static void put_words(struct buf *b, const struct json *data, const char *const *keys)
{
	for (; *keys; keys++) {
		struct str word = json_str(json_find(data, *keys));
		if (word.len)
			buf_printf(b, " %.*s", STR_ARG(word));
	}
}

static void put_reason(struct buf *b, const struct json *data)
{
	struct str reason = json_str(json_find(data, "reason"));
	if (reason.len)
		buf_puts(b, ": ");
	put_short(b, reason);
}

/* "denied udp 10.9.9.9:53: it is not allowed", "swapped GITHUB_TOKEN api.github.com:443" */
static void put_network(struct buf *b, const struct json *data)
{
	static const char *const keys[] = { "decision", "protocol", "secret", "name", NULL };
	static const char *const where[] = { "address", NULL };
	int64_t port = json_int(json_find(data, "port"));
	put_words(b, data, keys);
	if (!json_find(data, "name"))
		put_words(b, data, where);
	if (port)
		buf_printf(b, ":%lld", (long long)port);
	put_reason(b, data);
}

/* "run blocked HIGH rules: it removes a system directory" */
static void put_verdict(struct buf *b, const struct json *data)
{
	static const char *const keys[] = { "verdict", "risk", "by", NULL };
	put_words(b, data, keys);
	put_reason(b, data);
}

static void put_detail(struct buf *b, struct str kind, const struct json *data)
{
	if (str_is(kind, "state")) {
		buf_printf(b, " %.*s", STR_ARG(json_str(json_find(data, "state"))));
		put_reason(b, data);
		return;
	}
	struct str action = json_str(json_find(data, "action"));
	if (action.len)
		buf_printf(b, " %.*s", STR_ARG(action));
	if (str_is(kind, "action"))
		put_params(b, json_find(data, "params"));
	else if (str_is(kind, "observation"))
		put_result(b, data);
	else if (str_is(kind, "network"))
		put_network(b, data);
	else if (str_is(kind, "verdict"))
		put_verdict(b, data);
	else
		json_write(data, b);
}

/* "17  09:15:02.123  demo…  action run make" */
static void put_event(struct buf *b, const struct json *event)
{
	struct str kind = json_str(json_find(event, "kind"));
	struct str time = str_skip(json_str(json_find(event, "time")), 11);
	buf_printf(b, "%6lld  %.*s  %.*s  %.*s", (long long)json_int(json_find(event, "seq")),
		STR_ARG(str_first(time, 12)),
		STR_ARG(str_first(json_str(json_find(event, "sandbox")), 8)), STR_ARG(kind));
	put_detail(b, kind, json_find(event, "data"));
	buf_putc(b, '\n');
}

static int show(struct showing *s, const struct json *event, struct error *err)
{
	auto_buf struct buf line = BUF_INIT(LINE_MAX_BYTES);
	int64_t seq = json_int(json_find(event, "seq"));
	if (seq <= s->after)
		return error_set(err, ERROR_PROTOCOL, "after event %lld the server tells of %lld",
			(long long)s->after, (long long)seq);
	s->after = seq;
	if (s->options->common.json) {
		json_write(event, &line);
		return out_line(buf_str(&line), err);
	}
	put_event(&line, event);
	if (out_write(&s->out, buf_str(&line), err) < 0)
		return -1;
	return out_end(&s->out, err);
}

static int on_event(void *arg, struct str name, struct str data, struct error *err)
{
	auto_json struct json *event = NULL;
	if (json_parse(data, &event, err) < 0)
		return -1;
	return show(arg, event, err);
}

static void put_path(struct buf *b, const struct invocation *in, const struct showing *s)
{
	if (in->n_args)
		remote_put_path(b, in->args[0], "/events");
	else
		buf_puts(b, "/v1/events");
	buf_printf(b, "?after=%lld", (long long)s->after);
}

static int follow(struct remote *server, const struct invocation *in, struct showing *s,
	struct error *err)
{
	auto_buf struct buf path = BUF_INIT(4096);
	put_path(&path, in, s);
	buf_puts(&path, "&follow=true");
	struct http_call call = { .method = "GET",
		.path = path.ptr,
		.accept = "text/event-stream",
		.on_event = on_event,
		.arg = s };
	return remote_call(server, &call, err);
}

/* Page by page until an empty one. */
static int read_all(struct remote *server, const struct invocation *in, struct showing *s,
	struct error *err)
{
	for (;;) {
		auto_buf struct buf path = BUF_INIT(4096);
		auto_json struct json *events = NULL;
		put_path(&path, in, s);
		buf_printf(&path, "&limit=%d", PAGE);
		if (remote_get_json(server, path.ptr, &events, err) < 0)
			return -1;
		if (json_len(events) == 0)
			return 0;
		for (size_t i = 0; i < json_len(events); i++)
			if (show(s, json_at(events, i), err) < 0)
				return -1;
	}
}

int events_main(struct invocation *in, struct error *err)
{
	const struct events_options *o = in->values;
	struct showing s = { .options = o, .after = o->after };
	auto_remote struct remote server = REMOTE_INIT;
	out_init(&s.out, STDOUT_FILENO, o->raw);
	if (remote_open_lasting(in, "record of what was done", &server, err) < 0)
		return -1;
	return o->follow ? follow(&server, in, &s, err) : read_all(&server, in, &s, err);
}
