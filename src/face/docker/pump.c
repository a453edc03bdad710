/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A pump joins a client's raw connection with a call. Without a terminal each piece of output has
 * Docker's head of 8 bytes: channel, three zeros, length. The one who is slower sets the pace, both
 * ways.
 *
 * It ends in one of three ways: its call is over (the client gets what is left, then the end), the
 * client is gone (the calls are cancelled; what runs goes on), or its container is forgotten
 * (pumps_free).
 */
#include "face/docker/pump.h"

#include "action/process_actions.h"
#include "base/auto.h"
#include "base/bug.h"

struct pump {
	struct list link; /* container::pumps */
	struct pump_wish wish;
	struct hijack *hijack;
	struct runtime_call *call;  /* NULL: not begun, or over */
	struct runtime_call *input; /* NULL: the client's bytes go to `call`, or nowhere */
	struct buf early;           /* what the client sent before there was a call */
	bool takes_input, is_begun, has_started, has_eof;
};

enum { EARLY_MAX = 256 * 1024 };

static void release(struct pump *p)
{
	list_remove(&p->link);
	if (p->call)
		runtime_call_cancel(p->call);
	if (p->input)
		runtime_call_cancel(p->input);
	buf_fini(&p->early);
	free(p);
}

void pump_end(struct pump *p)
{
	struct container *c = p->wish.container;
	hijack_end(p->hijack);
	release(p);
	container_check_doom(c);
}

void pumps_free(struct container *c)
{
	while (!list_is_empty(&c->pumps)) {
		struct pump *p = list_get_first(&c->pumps, struct pump, link);
		hijack_end(p->hijack);
		release(p);
	}
}

/* From the process to the client. */

static void send_framed(struct pump *p, uint8_t channel, struct str bytes)
{
	char head[8] = { (char)channel };
	uint32_t n = (uint32_t)bytes.len;
	for (int i = 0; i < 4; i++)
		head[4 + i] = (char)(n >> (24 - 8 * i));
	bool is_plain = p->wish.is_tty;
	hijack_send(p->hijack, is_plain ? STR_NONE : str_from_len(head, sizeof(head)), bytes);
}

static void on_data(void *arg, uint8_t channel, struct str bytes)
{
	struct pump *p = arg;
	if (channel == 2 ? !p->wish.has_stderr : !p->wish.has_stdout)
		return;
	send_framed(p, channel, bytes);
	if (hijack_is_full(p->hijack))
		runtime_call_pause(p->call, true);
}

static void on_event(void *arg, struct str text)
{
	struct pump *p = arg;
	auto_json struct json *event = NULL;
	if (json_parse(text, &event, NULL) < 0 ||
		!str_is(json_str(json_find(event, "event")), "started"))
		return;
	p->has_started = true;
	if (p->wish.ops->started)
		p->wish.ops->started(p->wish.arg, json_find(event, "process"));
}

/* As Docker does it: on the output, where a shell would say it. */
static void say_error(struct pump *p, const struct error *err)
{
	auto_buf struct buf b = BUF_INIT(4096);
	const char *why = err->code == ERROR_NOT_FOUND ? ": executable file not found in $PATH"
						       : "";
	buf_printf(&b, "OCI runtime exec failed: %s%s\r\n", err->text, why);
	send_framed(p, 1, buf_str(&b));
}

static void over(struct pump *p, struct str result, const struct error *err)
{
	struct container *c = p->wish.container;
	p->call = NULL;
	if (err && p->wish.says_errors && !p->has_started)
		say_error(p, err);
	list_remove(&p->link);
	p->wish.ops->ended(p->wish.arg, result, err);
	hijack_end(p->hijack);
	release(p);
	container_check_doom(c);
}

static void on_result(void *arg, struct str result)
{
	over(arg, result, NULL);
}

static void on_error(void *arg, const struct error *err)
{
	over(arg, STR_NONE, err);
}

/* From the client to the process. */

static struct runtime_call *taker(const struct pump *p)
{
	return p->input ? p->input : p->takes_input ? p->call : NULL;
}

static void on_taken(void *arg)
{
	struct pump *p = arg;
	hijack_pause(p->hijack, false);
}

static void give(struct pump *p, struct str bytes)
{
	struct runtime_call *call = taker(p);
	if (!call)
		return;
	runtime_call_send(call, 0, bytes);
	if (runtime_call_is_full(call))
		hijack_pause(p->hijack, true);
}

static void on_bytes(void *arg, struct str bytes)
{
	struct pump *p = arg;
	if (!p->wish.has_stdin)
		return;
	if (p->is_begun) {
		give(p, bytes);
		return;
	}
	buf_put(&p->early, bytes);
	if (p->early.len > EARLY_MAX / 2)
		hijack_pause(p->hijack, true);
}

static void on_eof(void *arg)
{
	struct pump *p = arg;
	p->has_eof = true;
	if (p->is_begun && p->wish.has_stdin && taker(p))
		runtime_call_eof(taker(p), 0);
}

static void on_drain(void *arg)
{
	struct pump *p = arg;
	if (p->call)
		runtime_call_pause(p->call, false);
}

static void on_closed(void *arg)
{
	struct pump *p = arg;
	struct container *c = p->wish.container;
	const struct pump_ops *ops = p->is_begun ? p->wish.ops : NULL;
	void *ops_arg = p->wish.arg;
	hijack_free(p->hijack);
	release(p);
	if (ops && ops->left)
		ops->left(ops_arg);
	container_check_doom(c);
}

struct pump *pump_new(struct http_request *r, const struct pump_wish *wish)
{
	static const struct hijack_ops ops = { on_bytes, on_eof, on_drain, on_closed };
	struct pump *p = mem_new(struct pump);
	p->wish = *wish;
	/* What one read can bring more, and then reading stops. */
	buf_init(&p->early, EARLY_MAX);
	list_append(&wish->container->pumps, &p->link);
	p->hijack = hijack_accept(r,
		wish->is_tty ? "application/vnd.docker.raw-stream"
			     : "application/vnd.docker.multiplexed-stream",
		&ops, p);
	return p;
}

void pump_set_ops(struct pump *p, const struct pump_ops *ops, void *arg)
{
	p->wish.ops = ops;
	p->wish.arg = arg;
}

static void begin_input(struct pump *p)
{
	if (!p->wish.has_stdin)
		return;
	give(p, buf_str(&p->early));
	buf_fini(&p->early);
	if (p->has_eof && taker(p))
		runtime_call_eof(taker(p), 0);
	else if (!taker(p) || !runtime_call_is_full(taker(p)))
		hijack_pause(p->hijack, false);
}

void pump_run(struct pump *p, struct sandbox *s, const struct action *action, struct str params,
	bool takes_input)
{
	static const struct call_sink sink = {
		.data = on_data,
		.event = on_event,
		.drain = on_taken,
		.result = on_result,
		.error = on_error,
	};
	p->is_begun = true;
	p->takes_input = takes_input;
	p->call = runtime_perform(s, action, params, &sink, p);
	if (takes_input)
		begin_input(p);
}

static void on_input_over(void *arg, struct str result)
{
	struct pump *p = arg;
	p->input = NULL;
}

static void on_input_failed(void *arg, const struct error *err)
{
	struct pump *p = arg;
	p->input = NULL; /* it takes no more; what it says still comes */
}

void pump_run_input(struct pump *p, struct sandbox *s, struct str params)
{
	static const struct call_sink sink = {
		.drain = on_taken,
		.result = on_input_over,
		.error = on_input_failed,
	};
	p->input = runtime_perform(s, &process_input_action, params, &sink, p);
	begin_input(p);
}

bool pump_has_stdin(const struct pump *p)
{
	return p->wish.has_stdin;
}

struct pump *pump_next_waiting(struct container *c)
{
	struct pump *p;
	list_for_each(p, &c->pumps, link)
		if (!p->is_begun)
			return p;
	return NULL;
}
