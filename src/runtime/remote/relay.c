/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. A relay waits for a request. An action that does not stream is a POST, and
 * its answer the result. Any other is a WebSocket: a worker opens it; what comes over the call
 * socket meanwhile stays there, as it is not read. Then each side's messages are the other side's
 * frames; who is full makes the other wait.
 *
 * A relay whose call has gone while its worker runs is dead: the worker's end frees it.
 */
#include "runtime/remote/relay.h"

#include "action/action.h"
#include "action/channel.h"
#include "base/auto.h"
#include "base/bug.h"
#include "http/client.h"

#include <poll.h>
#include <sys/socket.h>

struct opening {
	struct relay *relay;  /* NULL: it is dead; the loop's alone */
	struct relay *callee; /* the same, for the WebSocket's callbacks: the worker's to pass on */
	char *url, *token, *path;
	struct http_client *client;
	struct http_ws *ws;
	struct error error;
};

struct relay {
	struct list link; /* relays::all */
	struct relays *relays;
	char id[64];
	struct channel *channel;
	struct ask *ask;
	struct opening *opening;
	struct buf request; /* {"action":…,"params":…}, for the WebSocket */
	struct http_client *client;
	struct http_ws *ws;
	struct watch *watch;
	bool is_over; /* a result or an error came */
};

static const struct http_ws_ops ws_ops;

void relays_init(struct relays *relays, struct asker *asker)
{
	*relays = (struct relays){ .asker = asker };
	list_init(&relays->all);
}

static void opening_free(struct opening *o)
{
	http_ws_free(o->ws);
	http_client_free(o->client);
	free(o->url);
	free(o->token);
	free(o->path);
	free(o);
}

/* To be as it was before the call. */
static void reset(struct relay *r)
{
	loop_undefer(r->relays->asker->loop, r);
	ask_drop(take_ptr(r->ask));
	if (r->opening)
		r->opening->relay = NULL;
	r->opening = NULL;
	watch_free(take_ptr(r->watch));
	http_ws_free(take_ptr(r->ws));
	http_client_free(take_ptr(r->client));
	buf_reset(&r->request);
	r->is_over = false;
	if (r->channel)
		channel_pause(r->channel, false);
}

static void relay_free(struct relay *r)
{
	channel_free(take_ptr(r->channel));
	reset(r);
	loop_undefer(r->relays->asker->loop, r);
	list_remove(&r->link);
	r->relays->n--;
	buf_fini(&r->request);
	free(r);
}

void relays_fini(struct relays *relays)
{
	while (!list_is_empty(&relays->all))
		relay_free(list_get_first(&relays->all, struct relay, link));
}

static void fail(struct relay *r, const struct error *err)
{
	channel_send_error(r->channel, err);
	channel_close(take_ptr(r->channel));
	relay_free(r);
}

/* ---- a request and its answer ---- */

static void on_answer(void *arg, int status, struct str body, const struct error *err)
{
	struct relay *r = arg;
	r->ask = NULL;
	if (err) {
		fail(r, err);
		return;
	}
	channel_send(r->channel, FRAME_RESULT, 0, body);
	reset(r);
}

static void post(struct relay *r, const struct action *action, const struct json *params)
{
	auto_buf struct buf body = BUF_INIT(FRAME_PAYLOAD_MAX);
	auto_free char *url = mem_printf("%s/v1/sandboxes/%s/actions/%s", r->relays->base, r->id,
		action->name);
	json_write(params, &body);
	const struct ask_plan plan = {
		.method = "POST",
		.url = url,
		.unix_path = r->relays->unix_path,
		.json = params ? buf_str(&body) : STR("{}"),
		.keys = { r->relays->key },
		.timeout_ms = -1,
		.is_harmless = action->flags & ACTION_READS,
		.done = on_answer,
		.arg = r,
	};
	r->ask = ask_new(r->relays->asker, &plan);
}

/* ---- a WebSocket ---- */

static void end_later(void *arg)
{
	struct relay *r = arg;
	reset(r);
}

static void lost(struct relay *r, const char *why)
{
	struct error err;
	error_set(&err, ERROR_DISCONNECTED, "%s: %s", r->relays->url, why);
	fail(r, &err);
}

static void adjust(struct relay *r)
{
	short events = http_ws_poll_events(r->ws);
	channel_pause(r->channel, http_ws_is_full(r->ws));
	watch_set(r->watch,
		(events & POLLIN && !channel_is_full(r->channel) ? LOOP_READ : 0) |
			(events & POLLOUT ? LOOP_WRITE : 0));
}

static void turn(struct relay *r)
{
	struct error err;
	if (http_ws_turn(r->ws, &err) < 0 && !r->is_over) {
		lost(r, err.text);
		return;
	}
	if (r->is_over)
		loop_defer(r->relays->asker->loop, end_later, r);
	else
		adjust(r);
}

static void on_ready(void *arg, int events)
{
	struct relay *r = arg;
	if (r->is_over)
		watch_set(r->watch, 0);
	else
		turn(r);
}

static void pass_text(struct relay *r, const struct json *json)
{
	static const struct {
		const char *key;
		enum frame_kind kind;
	} known[] = {
		{ "event", FRAME_EVENT },
		{ "result", FRAME_RESULT },
		{ "error", FRAME_ERROR },
	};
	for (size_t i = 0; i < ARRAY_LEN(known); i++) {
		const struct json *value = json_find(json, known[i].key);
		auto_buf struct buf b = BUF_INIT(FRAME_PAYLOAD_MAX);
		if (!value)
			continue;
		json_write(value, &b);
		channel_send(r->channel, known[i].kind, 0, buf_str(&b));
		r->is_over = known[i].kind != FRAME_EVENT;
	}
}

static void on_text(void *arg, struct str text)
{
	struct relay *r = arg;
	auto_json struct json *json = NULL;
	if (!r->is_over && json_parse(text, &json, NULL) == 0)
		pass_text(r, json);
}

static void on_binary(void *arg, struct str bytes)
{
	struct relay *r = arg;
	if (r->is_over || !bytes.len)
		return;
	uint8_t channel = (uint8_t)bytes.ptr[0];
	bytes = str_skip(bytes, 1);
	while (bytes.len) {
		struct str piece = str_first(bytes, FRAME_DATA_MAX);
		channel_send(r->channel, FRAME_DATA, channel, piece);
		bytes = str_skip(bytes, piece.len);
	}
}

static void on_close(void *arg, int code)
{
	struct relay *r = arg;
	struct error err;
	if (r->is_over)
		return;
	error_set(&err, ERROR_DISCONNECTED, "%s: the call broke off (%d)", r->relays->url, code);
	channel_send_error(r->channel, &err);
	r->is_over = true;
}

static const struct http_ws_ops ws_ops = { on_text, on_binary, on_close };

static void open_in_worker(void *arg)
{
	struct opening *o = arg;
	if (http_client_new(o->url, o->token, &o->client, &o->error) == 0)
		http_ws_open(o->client, o->path, NULL, &ws_ops, o->callee, &o->ws, &o->error);
}

static void on_opened(void *arg)
{
	struct opening *o = arg;
	struct relay *r = o->relay;
	if (r && o->error.code == ERROR_OK) {
		r->opening = NULL;
		r->client = take_ptr(o->client);
		r->ws = take_ptr(o->ws);
		r->watch = watch_new(r->relays->asker->loop, http_ws_fd(r->ws), 0, on_ready, r);
		http_ws_send_text(r->ws, buf_str(&r->request));
		adjust(r);
		turn(r); /* what came behind the handshake waits for nobody */
	} else if (r) {
		r->opening = NULL;
		if (o->error.code == ERROR_UNAVAILABLE)
			o->error.code = ERROR_DISCONNECTED;
		fail(r, &o->error);
	}
	opening_free(o);
}

static void open_socket(struct relay *r, struct str request)
{
	struct opening *o = mem_new(struct opening);
	o->relay = o->callee = r;
	o->url = mem_strdup(r->relays->url);
	o->token = r->relays->token ? mem_strdup(r->relays->token) : NULL;
	o->path = mem_printf("/v1/sandboxes/%s/stream", r->id);
	buf_put(&r->request, request);
	r->opening = o;
	channel_pause(r->channel, true);
	loop_work(r->relays->asker->loop, open_in_worker, on_opened, o);
}

/* ---- the call socket ---- */

static void start(struct relay *r, struct str request)
{
	auto_json struct json *json = NULL;
	struct error err;
	const struct action *action;
	if (json_parse(request, &json, &err) < 0) {
		fail(r, &err);
		return;
	}
	action = action_find(json_str(json_find(json, "action")));
	if (action && !(action->flags & (ACTION_STREAMS_IN | ACTION_STREAMS_OUT)))
		post(r, action, json_find(json, "params"));
	else
		open_socket(r, request);
}

static void forward(struct relay *r, const struct frame *f)
{
	auto_buf struct buf b = BUF_INIT(FRAME_PAYLOAD_MAX);
	if (f->kind == FRAME_DATA) {
		buf_putc(&b, (char)f->channel);
		buf_put(&b, f->payload);
		http_ws_send_binary(r->ws, buf_str(&b));
	} else if (f->kind == FRAME_EOF) {
		buf_printf(&b, "{\"eof\":%d}", f->channel);
		http_ws_send_text(r->ws, buf_str(&b));
	} else if (f->kind == FRAME_CONTROL) {
		buf_puts(&b, "{\"control\":");
		buf_put(&b, f->payload);
		buf_puts(&b, "}");
		http_ws_send_text(r->ws, buf_str(&b));
	}
	adjust(r);
}

static void on_frame(void *arg, const struct frame *frame)
{
	struct relay *r = arg;
	if (r->is_over)
		reset(r); /* the next call is faster than the end of the last one */
	bool is_idle = !r->ask && !r->opening && !r->ws;
	if (frame->kind == FRAME_REQUEST && is_idle)
		start(r, frame->payload);
	else if (r->ws)
		forward(r, frame);
}

static void on_end(void *arg, const struct error *reason)
{
	relay_free(arg);
}

static void on_drain(void *arg)
{
	struct relay *r = arg;
	if (r->ws && !r->is_over)
		adjust(r);
}

static const struct channel_ops channel_ops = { on_frame, on_end, on_drain };

int relay_open_call(struct relays *relays, const char *id, int *ret_fd, struct error *err)
{
	int ends[2];
	if (relays->n >= RELAYS_MAX)
		return error_set(err, ERROR_LIMIT, "%d calls at once", RELAYS_MAX);
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) < 0)
		return error_sys(err, errno, "make a call socket");
	struct relay *r = mem_new(struct relay);
	r->relays = relays;
	snprintf(r->id, sizeof(r->id), "%s", id);
	buf_init(&r->request, FRAME_PAYLOAD_MAX);
	list_append(&relays->all, &r->link);
	relays->n++;
	r->channel = channel_new(relays->asker->loop, ends[1], &channel_ops, r);
	*ret_fd = ends[0];
	return 0;
}
