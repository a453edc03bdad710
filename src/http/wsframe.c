/* SPDX-License-Identifier: Apache-2.0 */
#include "http/wsframe.h"

#include "base/auto.h"
#include "base/buf.h"
#include "base/bug.h"
#include "wire/base64.h"
#include "wire/sha1.h"
#include "wire/utf8.h"

#include <sys/random.h>
#include <wslay/wslay.h>

enum {
	REASON_MAX = 120,
	FRAGMENTS_MAX = 4096, /* of one message: each costs more memory than its bytes */
	CLOSE_POLICY = 1008,
	OUT_MAX = 64 * 1024 * 1024, /* one message of ours, framed */
};

struct wsframe {
	wslay_event_context_ptr context;
	const struct wsframe_ops *ops;
	void *arg;
	struct buf out;  /* what one wslay_event_send gives: written in one piece */
	int n_fragments; /* of the message being received */
	size_t held;     /* bytes of it, so far */
	bool is_control; /* what is being received is no part of it */
	bool is_muted;
	bool is_gone; /* the transport said so */
};

static ssize_t on_recv(wslay_event_context_ptr context, uint8_t *to, size_t len, int flags,
	void *arg)
{
	struct wsframe *w = arg;
	ssize_t n = w->ops->read(w->arg, (char *)to, len);
	if (n > 0)
		return n;
	w->is_gone = n < 0;
	wslay_event_set_error(context, n < 0 ? WSLAY_ERR_CALLBACK_FAILURE : WSLAY_ERR_WOULDBLOCK);
	return -1;
}

static ssize_t on_send(wslay_event_context_ptr context, const uint8_t *data, size_t len, int flags,
	void *arg)
{
	struct wsframe *w = arg;
	buf_add(&w->out, data, len);
	return (ssize_t)len;
}

static int on_mask(wslay_event_context_ptr context, uint8_t *to, size_t len, void *arg)
{
	BUG_IF(getrandom(to, len, 0) != (ssize_t)len, "the kernel gives no random bytes");
	return 0;
}

static void on_frame(wslay_event_context_ptr context,
	const struct wslay_event_on_frame_recv_start_arg *frame, void *arg)
{
	struct wsframe *w = arg;
	if (w->ops->on_frame)
		w->ops->on_frame(w->arg);
	w->is_control = wslay_is_ctrl_frame(frame->opcode);
	if (w->is_control)
		return;
	w->n_fragments = frame->opcode == WSLAY_CONTINUATION_FRAME ? w->n_fragments + 1 : 1;
	if (w->n_fragments <= FRAGMENTS_MAX)
		return;
	wslay_event_queue_close(context, CLOSE_POLICY, NULL, 0);
	wslay_event_shutdown_read(context);
}

static void on_chunk(wslay_event_context_ptr context,
	const struct wslay_event_on_frame_recv_chunk_arg *chunk, void *arg)
{
	struct wsframe *w = arg;
	w->held += w->is_control ? 0 : chunk->data_length;
}

static void on_message(wslay_event_context_ptr context,
	const struct wslay_event_on_msg_recv_arg *message, void *arg)
{
	struct wsframe *w = arg;
	struct str bytes = { (const char *)message->msg, message->msg_length };
	w->held = wslay_is_ctrl_frame(message->opcode) ? w->held : 0;
	if (w->is_muted)
		return;
	if (message->opcode == WSLAY_TEXT_FRAME)
		w->ops->on_text(w->arg, bytes);
	else if (message->opcode == WSLAY_BINARY_FRAME)
		w->ops->on_binary(w->arg, bytes);
}

struct wsframe *wsframe_new(enum wsframe_role role, size_t message_max,
	const struct wsframe_ops *ops, void *arg)
{
	static const struct wslay_event_callbacks callbacks = {
		.recv_callback = on_recv,
		.send_callback = on_send,
		.genmask_callback = on_mask,
		.on_frame_recv_start_callback = on_frame,
		.on_frame_recv_chunk_callback = on_chunk,
		.on_msg_recv_callback = on_message,
	};
	struct wsframe *w = mem_new(struct wsframe);
	w->ops = ops;
	w->arg = arg;
	buf_init(&w->out, OUT_MAX);
	int r = role == WSFRAME_SERVER
		? wslay_event_context_server_init(&w->context, &callbacks, w)
		: wslay_event_context_client_init(&w->context, &callbacks, w);
	BUG_IF(r != 0, "out of memory");
	wslay_event_config_set_max_recv_msg_length(w->context, message_max);
	return w;
}

void wsframe_free(struct wsframe *w)
{
	if (!w)
		return;
	wslay_event_context_free(w->context);
	buf_fini(&w->out);
	free(w);
}

size_t wsframe_held(const struct wsframe *w)
{
	return w->held;
}

void wsframe_mute(struct wsframe *w)
{
	w->is_muted = true;
}

/* Writes what wslay has queued, in one piece. */
static void flush(struct wsframe *w)
{
	if (!wslay_event_want_write(w->context))
		return;
	BUG_IF(wslay_event_send(w->context) != 0, "frames that wslay cannot write");
	w->ops->write(w->arg, buf_str(&w->out));
	buf_reset(&w->out);
}

int wsframe_receive(struct wsframe *w)
{
	int r = wslay_event_recv(w->context);
	flush(w);
	if (w->is_gone || r != 0)
		return WSFRAME_CLOSE_GONE;
	if (wslay_event_get_close_received(w->context))
		return wslay_event_get_status_code_received(w->context);
	if (!wslay_event_get_read_enabled(w->context))
		return wslay_event_get_status_code_sent(w->context);
	return 0;
}

void wsframe_send(struct wsframe *w, enum wsframe_kind kind, struct str bytes)
{
	auto_buf struct buf valid = BUF_INIT(3 * bytes.len + 1);
	if (kind == WSFRAME_TEXT && !utf8_is_valid(bytes)) {
		utf8_put_valid(&valid, bytes);
		bytes = buf_str(&valid);
	}
	struct wslay_event_msg message = {
		.opcode = (uint8_t)kind,
		.msg = (const uint8_t *)(bytes.ptr ? bytes.ptr : ""),
		.msg_length = bytes.len,
	};
	if (wslay_event_queue_msg(w->context, &message) == 0)
		flush(w); /* else a close is on its way already: nothing may follow it */
}

void wsframe_close(struct wsframe *w, int code, struct str reason)
{
	reason = str_first(reason, REASON_MAX);
	reason.len -= utf8_incomplete_tail(reason);
	wslay_event_queue_close(w->context, (uint16_t)code, (const uint8_t *)reason.ptr,
		reason.len);
	flush(w);
}

void wsframe_accept(struct str key, char ret[WSFRAME_ACCEPT_SIZE])
{
	uint8_t digest[SHA1_SIZE];
	auto_buf struct buf text = BUF_INIT(256);
	buf_put(&text, str_first(key, 64));
	buf_puts(&text, "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"); /* RFC 6455 1.3 */
	sha1(buf_str(&text), digest);
	buf_reset(&text);
	base64_encode(str_from_len((const char *)digest, SHA1_SIZE), &text);
	memcpy(ret, text.ptr, WSFRAME_ACCEPT_SIZE);
}
