/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One poll(2) loop over the socket, standard input and a signalfd. Output is written where it is
 * received and may block: while it does nothing is read, and the program in the sandbox waits.
 * Input is read only while the socket takes it. The loop ends with a result or an error; a socket
 * that closes before is one.
 */
#include "cli/stream.h"

#include "base/auto.h"
#include "base/bug.h"
#include "cli/terminal.h"

#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>

enum { INPUT_BYTES = 64 * 1024, TEXT_MAX = 4096, PATH_MAX_BYTES = 8192 };
enum { CHANNEL_INPUT, CHANNEL_OUT, CHANNEL_ERR };

struct running {
	const struct stream *stream;
	struct http_ws *ws;
	struct out out[3]; /* by channel; [0] unused */
	struct json *result;
	bool input_ended, is_closed;
	bool has_failed;
	struct error failure; /* the first, if has_failed */
	char *input;          /* the channel's byte and INPUT_BYTES */
};

static void fail(struct running *r, const struct error *err)
{
	if (!r->has_failed)
		r->failure = *err;
	r->has_failed = true;
}

static void on_binary(void *arg, struct str bytes)
{
	struct running *r = arg;
	struct error err;
	if (bytes.len == 0 || bytes.ptr[0] < CHANNEL_OUT || bytes.ptr[0] > CHANNEL_ERR)
		return;
	if (out_write(&r->out[(int)bytes.ptr[0]], str_skip(bytes, 1), &err) < 0)
		fail(r, &err);
}

/* An output of a cell that is no stream: an error, or something shown, of which the text. */
static void on_display(struct running *r, const struct json *event)
{
	const struct json *traceback = json_find(event, "traceback");
	struct str plain = json_str(json_find(json_find(event, "data"), "text/plain"));
	auto_buf struct buf text = BUF_INIT(HTTP_WS_MESSAGE_MAX);
	struct error err;
	for (size_t i = 0; i < json_len(traceback); i++) {
		buf_put(&text, json_str(json_at(traceback, i)));
		buf_putc(&text, '\n');
	}
	buf_put(&text, plain);
	if (plain.len)
		buf_putc(&text, '\n');
	if (out_write(&r->out[traceback ? CHANNEL_ERR : CHANNEL_OUT], buf_str(&text), &err) < 0)
		fail(r, &err);
}

/* What the log had to drop stands where it is missing. */
static void on_event(struct running *r, const struct json *event)
{
	int64_t skipped = json_int(json_find(event, "skipped_bytes"));
	if (json_find(event, "type"))
		on_display(r, event);
	if (skipped > 0)
		fprintf(stderr, "cay: %lld bytes are no longer kept\n", (long long)skipped);
}

static void on_text(void *arg, struct str text)
{
	struct running *r = arg;
	struct error err;
	struct json *message;
	if (json_parse(text, &message, &err) < 0) {
		fail(r, &err);
		return;
	}
	struct json *result = json_find(message, "result");
	if (json_find(message, "error")) {
		json_to_error(json_find(message, "error"), &err);
		fail(r, &err);
	} else if (result) {
		r->result = message;
		return;
	} else {
		on_event(r, json_find(message, "event"));
	}
	json_free(message);
}

static void on_close(void *arg, int code)
{
	struct running *r = arg;
	struct error err;
	r->is_closed = true;
	if (r->result || r->has_failed)
		return;
	error_set(&err, ERROR_UNAVAILABLE, "the connection to the server broke (%d)", code);
	fail(r, &err);
}

static const struct http_ws_ops ops = { on_text, on_binary, on_close };

static void send_control(struct running *r, const char *key, struct str json)
{
	auto_buf struct buf text = BUF_INIT(TEXT_MAX);
	buf_printf(&text, "{\"control\":{\"%s\":%.*s}}", key, STR_ARG(json));
	http_ws_send_text(r->ws, buf_str(&text));
}

static void send_size(struct running *r)
{
	int64_t cols, rows;
	char text[60];
	terminal_size(&cols, &rows);
	snprintf(text, sizeof(text), "[%lld,%lld]", (long long)cols, (long long)rows);
	send_control(r, "resize", str_from(text));
}

static void end_input(struct running *r)
{
	if (!r->input_ended)
		http_ws_send_text(r->ws, STR("{\"eof\":0}"));
	r->input_ended = true;
}

static void on_input(struct running *r)
{
	ssize_t n = read(STDIN_FILENO, r->input + 1, INPUT_BYTES);
	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	bool may_detach = n > 0 && r->stream->detach_key >= 0;
	char *key = may_detach ? memchr(r->input + 1, r->stream->detach_key, (size_t)n) : NULL;
	if (key)
		n = key - (r->input + 1);
	if (n > 0)
		http_ws_send_binary(r->ws, str_from_len(r->input, (size_t)n + 1));
	if (n <= 0 || key)
		end_input(r);
}

static void on_signal(struct running *r, int signal_fd)
{
	struct signalfd_siginfo info;
	if (read(signal_fd, &info, sizeof(info)) != sizeof(info))
		return;
	if (info.ssi_signo == SIGWINCH) {
		send_size(r);
		return;
	}
	char name[20];
	snprintf(name, sizeof(name), "\"%s\"", sigabbrev_np((int)info.ssi_signo));
	send_control(r, "signal", str_from(name));
}

static int open_signals(const struct stream *stream, int *ret_fd, struct error *err)
{
	static const int passed[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT };
	sigset_t set;
	sigemptyset(&set);
	if (stream->has_size)
		sigaddset(&set, SIGWINCH);
	for (size_t i = 0; stream->has_signals && i < ARRAY_LEN(passed); i++)
		sigaddset(&set, passed[i]);
	sigprocmask(SIG_BLOCK, &set, NULL);
	*ret_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return *ret_fd < 0 ? error_sys(err, errno, "signalfd") : 0;
}

static int wait_once(struct running *r, int signal_fd, struct error *err)
{
	bool wants_input = r->stream->has_input && !r->input_ended && !http_ws_is_full(r->ws);
	struct pollfd fds[] = {
		{ http_ws_fd(r->ws), http_ws_poll_events(r->ws), 0 },
		{ signal_fd, POLLIN, 0 },
		{ wants_input ? STDIN_FILENO : -1, POLLIN, 0 },
	};
	if (poll(fds, ARRAY_LEN(fds), -1) < 0)
		return errno == EINTR ? 0 : error_sys(err, errno, "poll");
	if (fds[1].revents)
		on_signal(r, signal_fd);
	if (fds[2].revents)
		on_input(r);
	return http_ws_turn(r->ws, err);
}

static int run(struct running *r, int signal_fd, struct error *err)
{
	auto_buf struct buf request = BUF_INIT(HTTP_WS_MESSAGE_MAX);
	buf_printf(&request, "{\"action\":\"%s\",\"params\":%.*s}", r->stream->action,
		STR_ARG(r->stream->params));
	if (request.is_full)
		return error_set(err, ERROR_TOO_LARGE, "a request of more than %d bytes",
			HTTP_WS_MESSAGE_MAX);
	http_ws_send_text(r->ws, buf_str(&request));
	while (!r->result && !r->has_failed && !r->is_closed)
		if (wait_once(r, signal_fd, err) < 0)
			return -1;
	for (int channel = CHANNEL_OUT; channel <= CHANNEL_ERR; channel++)
		if (out_end(&r->out[channel], err) < 0)
			return -1;
	if (r->has_failed)
		*err = r->failure;
	return r->has_failed ? -1 : 0;
}

int stream_run(struct remote *s, const struct stream *stream, struct json **ret, struct error *err)
{
	auto_free char *input = mem_zalloc(1 + INPUT_BYTES);
	struct running r = { .stream = stream, .input = input };
	out_init(&r.out[CHANNEL_OUT], STDOUT_FILENO, stream->is_raw);
	out_init(&r.out[CHANNEL_ERR], STDERR_FILENO, stream->is_raw);
	auto_buf struct buf path = BUF_INIT(PATH_MAX_BYTES);
	auto_fd int signal_fd = -1;
	remote_put_path(&path, stream->sandbox, "/stream");
	if (open_signals(stream, &signal_fd, err) < 0 ||
		remote_ws(s, path.ptr, &ops, &r, &r.ws, err) < 0)
		return -1;
	int status = run(&r, signal_fd, err);
	http_ws_free(r.ws);
	if (status < 0)
		json_free(r.result);
	else
		*ret = r.result;
	return status;
}
