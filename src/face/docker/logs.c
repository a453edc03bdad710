/* SPDX-License-Identifier: Apache-2.0 */
/*
 * attach and logs: what the main process said and says. Who attaches before the start sets the
 * process's pace (life.c); who comes later reads the log, of which the first and the last half of
 * DOCKER_LOG_BYTES are kept.
 *
 * The log knows no dates: `since`, `until` and `timestamps` are refused.
 */
#include "face/docker/handlers.h"
#include "face/docker/pump.h"

#include "action/process_actions.h"
#include "base/auto.h"
#include "base/bug.h"
#include "base/num.h"

/* ---- attach ---- */

static void on_over(void *arg, struct str result, const struct error *err)
{
}

static const struct pump_ops quiet_ops = { .ended = on_over };

static struct pump_wish wish_of(struct http_request *r, struct container *c)
{
	bool is_tty = container_is_tty(c);
	return (struct pump_wish){
		.container = c,
		.is_tty = is_tty,
		.has_stdin = docker_flag(r, "stdin", false) &&
			json_bool(json_find(c->config, "OpenStdin")),
		.has_stdout = docker_flag(r, "stdout", false),
		.has_stderr = docker_flag(r, "stderr", false) && !is_tty,
		.ops = &quiet_ops,
	};
}

static void follow(struct container *c, struct pump *p, int64_t after, bool is_followed)
{
	auto_buf struct buf params = BUF_INIT(512);
	struct sandbox *s = container_sandbox(c);
	buf_printf(&params, "{\"process\":\"%s\",\"after\":%lld,\"follow\":%s}", c->process,
		(long long)after, is_followed ? "true" : "false");
	pump_run(p, s, &process_logs_action, buf_str(&params), false);
	if (!pump_has_stdin(p))
		return;
	buf_reset(&params);
	buf_printf(&params, "{\"process\":\"%s\",\"stream\":true,\"eof\":%s}", c->process,
		json_bool(json_find(c->config, "StdinOnce")) ? "true" : "false");
	pump_run_input(p, s, buf_str(&params));
}

void logs_attach_waiting(struct container *c)
{
	struct pump *p;
	while ((p = pump_next_waiting(c)))
		follow(c, p, 0, true);
}

/* How far the process has come: attaching shows what is said from now on. */
static void on_position(void *arg, struct str text)
{
	struct http_request *r = arg;
	auto_json struct json *process = NULL;
	struct container *c = container_of_request(r);
	if (!c)
		return;
	json_parse(text, &process, NULL);
	struct pump_wish wish = wish_of(r, c);
	struct pump *p = pump_new(r, &wish);
	follow(c, p,
		json_count(json_find(process, "stdout_bytes")) +
			json_count(json_find(process, "stderr_bytes")),
		true);
}

static void on_no_position(void *arg, const struct error *err)
{
	docker_fail_error(arg, err);
}

static void attach_now(struct http_request *r, struct container *c)
{
	static const struct call_sink sink = { .result = on_position, .error = on_no_position };
	auto_buf struct buf params = BUF_INIT(256);
	buf_printf(&params, "{\"process\":\"%s\",\"timeout_ms\":1}", c->process);
	struct sandbox *s = container_need_sandbox(r, c);
	if (s)
		runtime_perform(s, &process_wait_action, buf_str(&params), &sink, r);
}

void containers_attach(struct http_request *r)
{
	struct container *c = container_of_request(r);
	if (!c)
		return;
	const struct sandbox *s = container_sandbox(c);
	if (sandbox_state_is_final(s->state) || s->state == SANDBOX_PAUSED) {
		docker_fail(r, 409, "Container %s is %s", c->id, sandbox_state_name(s->state));
		return;
	}
	bool has_logs = docker_flag(r, "logs", false);
	if (c->state == CONTAINER_RUNNING && !has_logs) {
		attach_now(r, c);
		return;
	}
	bool is_over = c->state == CONTAINER_EXITED && !docker_flag(r, "stream", false);
	struct pump_wish wish = wish_of(r, c);
	struct pump *p = pump_new(r, &wish);
	/* Else it waits for the start. */
	if (c->process[0] && (c->state == CONTAINER_RUNNING || is_over))
		follow(c, p, 0, c->state == CONTAINER_RUNNING);
}

/* ---- logs ---- */

struct reading {
	struct http_request *request;
	struct runtime_call *call;
	char id[ID_SIZE]; /* of the container */
	bool is_tty, has_stdout, has_stderr, is_followed, is_begun;
	int64_t tail;    /* lines; -1: all */
	bool is_tail;    /* what comes is kept for now */
	struct buf kept; /* channel, length (4 bytes, ours), bytes; … */
};

static void begin(struct reading *l)
{
	if (!l->is_begun)
		http_stream_begin(l->request, 200,
			l->is_tty ? "application/vnd.docker.raw-stream"
				  : "application/vnd.docker.multiplexed-stream",
			-1);
	l->is_begun = true;
}

static void send(struct reading *l, uint8_t channel, struct str bytes)
{
	char head[8] = { (char)channel };
	if (bytes.len == 0)
		return;
	for (int i = 0; i < 4; i++)
		head[4 + i] = (char)((uint32_t)bytes.len >> (24 - 8 * i));
	begin(l);
	if (!l->is_tty)
		http_stream_write(l->request, str_from_len(head, sizeof(head)));
	http_stream_write(l->request, bytes);
}

static void count_out(struct reading *l)
{
	struct container *c = container_find(docker_of(l->request), str_from(l->id));
	if (c)
		container_reading(c, false);
}

static void finish(struct reading *l, bool is_whole)
{
	struct http_request *r = l->request;
	count_out(l);
	if (l->call)
		runtime_call_cancel(l->call);
	buf_fini(&l->kept);
	begin(l);
	http_stream_end(r, is_whole);
}

static void on_data(void *arg, uint8_t channel, struct str bytes)
{
	struct reading *l = arg;
	uint32_t len = (uint32_t)bytes.len;
	if (channel == 2 ? !l->has_stderr : !l->has_stdout)
		return;
	if (l->is_tail) {
		buf_putc(&l->kept, (char)channel);
		buf_add(&l->kept, &len, sizeof(len));
		buf_put(&l->kept, bytes);
		return;
	}
	send(l, channel, bytes);
	if (http_stream_is_full(l->request))
		runtime_call_pause(l->call, true);
}

/* The next piece of what was kept. */
static bool next_piece(struct str *rest, uint8_t *ret_channel, struct str *ret_bytes)
{
	uint32_t len;
	if (rest->len < 1 + sizeof(len))
		return false;
	*ret_channel = (uint8_t)rest->ptr[0];
	memcpy(&len, rest->ptr + 1, sizeof(len));
	*rest = str_skip(*rest, 1 + sizeof(len));
	*ret_bytes = str_first(*rest, len);
	*rest = str_skip(*rest, len);
	return true;
}

static int64_t count_lines(struct str kept)
{
	int64_t lines = 0;
	char last = '\n';
	uint8_t channel;
	struct str bytes;
	while (next_piece(&kept, &channel, &bytes))
		for (size_t i = 0; i < bytes.len; i++) {
			last = bytes.ptr[i];
			lines += last == '\n';
		}
	return lines + (last != '\n');
}

static void send_tail(struct reading *l)
{
	struct str rest = buf_str(&l->kept), bytes;
	int64_t skip = count_lines(rest) - l->tail;
	uint8_t channel;
	while (next_piece(&rest, &channel, &bytes)) {
		while (skip > 0 && bytes.len) {
			ptrdiff_t at = str_find_char(bytes, '\n');
			bytes = str_skip(bytes, at < 0 ? bytes.len : (size_t)at + 1);
			skip -= at >= 0;
		}
		send(l, channel, bytes);
	}
	l->is_tail = false;
	buf_fini(&l->kept);
}

static int read_log(struct reading *l, struct docker *d, int64_t after, bool is_followed);

static void on_result(void *arg, struct str text)
{
	struct reading *l = arg;
	auto_json struct json *result = NULL;
	bool was_tail = l->is_tail;
	l->call = NULL;
	if (was_tail)
		send_tail(l);
	json_parse(text, &result, NULL);
	if (!was_tail || !l->is_followed ||
		read_log(l, docker_of(l->request), json_count(json_find(result, "next")), true) < 0)
		finish(l, true);
}

static void on_error(void *arg, const struct error *err)
{
	struct reading *l = arg;
	l->call = NULL;
	if (l->is_begun) {
		finish(l, false);
		return;
	}
	buf_fini(&l->kept);
	count_out(l);
	docker_fail_error(l->request, err);
}

static int read_log(struct reading *l, struct docker *d, int64_t after, bool is_followed)
{
	static const struct call_sink sink = {
		.data = on_data,
		.result = on_result,
		.error = on_error,
	};
	auto_buf struct buf params = BUF_INIT(256);
	struct container *c = container_find(d, str_from(l->id));
	struct sandbox *s = c ? container_sandbox(c) : NULL;
	if (!s || !c->process[0])
		return -1;
	buf_printf(&params, "{\"process\":\"%s\",\"after\":%lld,\"follow\":%s}", c->process,
		(long long)after, is_followed ? "true" : "false");
	l->call = runtime_perform(s, &process_logs_action, buf_str(&params), &sink, l);
	return 0;
}

static void on_closed(void *arg)
{
	finish(arg, false);
}

static void on_drain(void *arg)
{
	struct reading *l = arg;
	if (l->call)
		runtime_call_pause(l->call, false);
}

static bool asks_for_dates(struct http_request *r)
{
	static const char *const names[] = { "since", "until" };
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		struct str value = http_query(r, names[i]);
		if (value.len && !str_is(value, "0"))
			return true;
	}
	return docker_flag(r, "timestamps", false);
}

void containers_logs(struct http_request *r)
{
	static const struct http_ops ops = { .on_drain = on_drain, .on_closed = on_closed };
	struct str tail = http_query(r, "tail");
	struct container *c = container_of_request(r);
	if (!c)
		return;
	if (asks_for_dates(r)) {
		docker_fail(r, 501,
			"the log knows no dates: since, until and timestamps are not offered");
		return;
	}
	struct reading *l = arena_new(&r->arena, struct reading);
	*l = (struct reading){
		.request = r,
		.is_tty = container_is_tty(c),
		.has_stdout = docker_flag(r, "stdout", false),
		.has_stderr = docker_flag(r, "stderr", false),
		.is_followed = docker_flag(r, "follow", false),
		.tail = -1,
	};
	memcpy(l->id, c->id, sizeof(l->id));
	buf_init(&l->kept, 4 * DOCKER_LOG_BYTES);
	if (!l->has_stdout && !l->has_stderr) {
		docker_fail(r, 400, "Bad parameters: you must choose at least one stream");
		return;
	}
	if (tail.len && !str_is(tail, "all"))
		num_parse_i64(tail, 0, INT64_MAX, &l->tail, NULL);
	l->is_tail = l->tail >= 0;
	http_listen(r, &ops, l);
	container_reading(c, true);
	if (read_log(l, docker_of(r), 0, l->is_followed && !l->is_tail) < 0)
		finish(l, true);
	else if (l->is_followed)
		begin(l);
}
