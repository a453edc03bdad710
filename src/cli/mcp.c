/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cay mcp: a bridge between lines of JSON-RPC on standard input and output and POST /mcp/{sandbox}.
 * Each line becomes a request of its own, so a long call delays no other, and a cancellation gets
 * through. Nothing but messages goes to standard output. The end of the input ends it once
 * everything is answered; SIGTERM and SIGINT at once. A sandbox that was made for it goes then; if
 * that is not possible, its idle timeout ends it.
 */
#include "cli/client.h"

#include "base/auto.h"
#include "base/bug.h"
#include "base/file.h"
#include "cli/options.h"
#include "event/loop.h"
#include "wire/jsonrpc.h"

#include <signal.h>
#include <sys/stat.h>

enum {
	LINE_MAX_BYTES = 16 * 1024 * 1024,
	REPLY_MAX = 64 * 1024 * 1024,
	READ_BYTES = 64 * 1024,
	BODY_MAX = 16 * 1024 * 1024,
	IDLE_MS = 60 * 60 * 1000,
};

struct bridge {
	struct remote *server;
	struct loop *loop;
	struct watch *input;
	struct buf path; /* "/mcp/ID" */
	struct buf line; /* not whole yet */
	int n_pending;
	bool has_ended; /* the input */
	bool has_failed;
	struct error failure;
};

struct pending {
	struct bridge *bridge;
	struct json *message; /* for the id of its answer */
};

static void stop(void *arg)
{
	struct bridge *b = arg;
	loop_stop(b->loop);
}

static void fail(struct bridge *b, const struct error *err)
{
	b->has_failed = true;
	b->failure = *err;
	stop(b);
}

static void say(struct bridge *b, struct str message)
{
	struct error err;
	if (out_line(message, &err) < 0)
		fail(b, &err);
}

/* An answer for this request, whatever came of it. */
static void say_error(struct bridge *b, const struct json *message, const char *text)
{
	struct jsonrpc m;
	auto_buf struct buf answer = BUF_INIT(64 * 1024);
	if (jsonrpc_read(message, &m, NULL) < 0)
		jsonrpc_put_error(&answer, NULL, JSONRPC_INVALID_REQUEST, str_from(text));
	else if (m.kind == JSONRPC_REQUEST)
		jsonrpc_put_error(&answer, m.id, JSONRPC_INTERNAL_ERROR, str_from(text));
	if (answer.len)
		say(b, buf_str(&answer));
}

static void on_answer(void *arg, int status, struct str body, const struct error *err)
{
	struct pending *p = arg;
	struct bridge *b = p->bridge;
	auto_json struct json *answer = NULL;
	struct error failure;
	if (err) {
		say_error(b, p->message, err->text);
	} else if (status == 200) {
		say(b, body);
	} else if (status >= 400) {
		/* The server could not tell whose message it was. */
		error_set(&failure, ERROR_PROTOCOL, "the server answered %d", status);
		struct str text = json_parse(body, &answer, NULL) == 0
			? json_str(json_find(json_find(answer, "error"), "message"))
			: STR_NONE;
		say_error(b, p->message, text.len ? text.ptr : failure.text);
	}
	json_free(p->message);
	free(p);
	if (--b->n_pending == 0 && b->has_ended)
		stop(b);
}

static void take_line(struct bridge *b, struct str line)
{
	struct json *message;
	struct error err;
	auto_buf struct buf answer = BUF_INIT(8192);
	if (!line.len)
		return;
	if (json_parse(line, &message, &err) < 0) {
		jsonrpc_put_error(&answer, NULL, JSONRPC_PARSE_ERROR, str_from(err.text));
		say(b, buf_str(&answer));
		return;
	}
	struct pending *p = mem_new(struct pending);
	p->bridge = b;
	p->message = message;
	b->n_pending++;
	http_client_later(b->server->http, "POST", b->path.ptr, line, REPLY_MAX, on_answer, p);
}

static void take_lines(struct bridge *b)
{
	struct str rest = buf_str(&b->line), line;
	while (str_find_char(rest, '\n') >= 0 && str_split(&rest, '\n', &line))
		take_line(b, str_trim(line));
	buf_drop_front(&b->line, b->line.len - rest.len);
}

/* False at the end. */
static bool read_some(struct bridge *b)
{
	struct error err;
	char *to = buf_room(&b->line, READ_BYTES);
	if (!to) {
		error_set(&err, ERROR_TOO_LARGE, "a message of more than %d bytes", LINE_MAX_BYTES);
		fail(b, &err);
		return false;
	}
	ssize_t n = read(STDIN_FILENO, to, READ_BYTES);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return true;
	if (n > 0) {
		buf_grown(&b->line, (size_t)n);
		take_lines(b);
	}
	return n > 0;
}

static void end_input(struct bridge *b)
{
	take_line(b, str_trim(buf_str(&b->line)));
	b->has_ended = true;
	watch_free(take_ptr(b->input));
	if (b->n_pending == 0)
		stop(b);
}

static void on_input(void *arg, int events)
{
	struct bridge *b = arg;
	if (!read_some(b))
		end_input(b);
}

static void serve(struct bridge *b)
{
	struct stat st;
	struct signal_watch *term = signal_new(b->loop, SIGTERM, stop, b);
	struct signal_watch *interrupt = signal_new(b->loop, SIGINT, stop, b);
	/* Of a file, or of /dev/null. */
	bool is_ready = fstat(STDIN_FILENO, &st) == 0 &&
		(S_ISREG(st.st_mode) || (S_ISCHR(st.st_mode) && !isatty(STDIN_FILENO)));
	if (!is_ready) {
		b->input = watch_new(b->loop, STDIN_FILENO, LOOP_READ, on_input, b);
	} else {
		while (read_some(b)) /* it has no readiness to wait for */
			;
		end_input(b);
	}
	if (!is_ready || b->n_pending)
		loop_run(b->loop);
	watch_free(b->input);
	signal_free(term);
	signal_free(interrupt);
}

/* It becomes a part of paths. */
static int take_id(const struct json *sandbox, struct buf *id, struct error *err)
{
	struct str text = json_str(json_find(sandbox, "id"));
	if (!text.len || buf_put(id, text) < 0)
		return error_set(err, ERROR_PROTOCOL, "the server does not say which sandbox");
	return 0;
}

static int make_sandbox(struct invocation *in, struct remote *s, struct buf *id, struct error *err)
{
	struct create_options *o = in->values;
	auto_buf struct buf body = BUF_INIT(BODY_MAX);
	auto_json struct json *made = NULL;
	struct jsonw w = JSONW(&body);
	if (!o->idle_timeout_ms)
		o->idle_timeout_ms = IDLE_MS;
	if (create_put_body(&w, o, err) < 0 ||
		remote_post_json(s, "/v1/sandboxes", buf_str(&body), &made, err) < 0)
		return -1;
	return take_id(made, id, err);
}

static int find_sandbox(struct remote *s, const char *key, struct buf *id, struct error *err)
{
	auto_json struct json *found = NULL;
	auto_buf struct buf path = BUF_INIT(8192);
	remote_put_path(&path, key, "");
	if (remote_get_json(s, path.ptr, &found, err) < 0)
		return -1;
	return take_id(found, id, err);
}

int mcp_main(struct invocation *in, struct error *err)
{
	bool is_own = in->n_args == 0;
	auto_remote struct remote server = REMOTE_INIT;
	auto_buf struct buf id = BUF_INIT(128);
	auto_buf struct buf path = BUF_INIT(8192);
	struct error ignored;
	struct bridge b = { .server = &server };
	if (remote_open(in, &server, err) < 0)
		return -1;
	if (is_own ? make_sandbox(in, &server, &id, err) < 0
		   : find_sandbox(&server, in->args[0], &id, err) < 0)
		return -1;
	buf_init(&b.path, 256);
	buf_init(&b.line, LINE_MAX_BYTES);
	buf_printf(&b.path, "/mcp/%s", id.ptr);
	b.loop = http_client_loop(server.http);
	serve(&b);
	buf_fini(&b.path);
	buf_fini(&b.line);
	remote_put_path(&path, id.ptr, "");
	if (is_own && remote_delete(&server, path.ptr, &ignored) < 0)
		out_note("mcp: sandbox %s stays: %s", id.ptr, ignored.text);
	if (b.has_failed)
		*err = b.failure;
	return b.has_failed ? -1 : 0;
}
