/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A hostile peer of a WebSocket, for both roles: messages keep to the limit, text is UTF-8, and it
 * ends. The first byte chooses the role and how many bytes a read gives.
 */
#include "base/auto.h"
#include "base/bug.h"
#include "base/buf.h"
#include "http/wsframe.h"
#include "wire/utf8.h"

enum { MESSAGE_MAX = 3000 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct peer {
	struct str left;
	size_t step;
	struct wsframe *w;
	size_t written;
	int n_messages;
};

static ssize_t peer_read(void *arg, char *to, size_t len)
{
	struct peer *p = arg;
	size_t n = MIN(MIN(len, p->left.len), p->step);
	if (n == 0)
		return -1;
	memcpy(to, p->left.ptr, n);
	p->left = str_skip(p->left, n);
	return (ssize_t)n;
}

static void peer_write(void *arg, struct str bytes)
{
	struct peer *p = arg;
	p->written += bytes.len;
}

static void on_text(void *arg, struct str text)
{
	struct peer *p = arg;
	BUG_IF(text.len > MESSAGE_MAX, "a message beyond the limit");
	BUG_IF(!utf8_is_valid(text), "text that is no UTF-8");
	wsframe_send(p->w, WSFRAME_TEXT, text);
}

static void on_binary(void *arg, struct str bytes)
{
	struct peer *p = arg;
	BUG_IF(bytes.len > MESSAGE_MAX, "a message beyond the limit");
	if (++p->n_messages == 5)
		wsframe_close(p->w, 1000, STR("enough"));
	if (p->n_messages == 7)
		wsframe_mute(p->w);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct wsframe_ops ops = { peer_read, peer_write, on_text, on_binary };
	if (size == 0)
		return 0;
	struct peer p = { .left = { (const char *)data + 1, size - 1 }, .step = 1 + data[0] / 2 };
	p.w = wsframe_new(data[0] & 1 ? WSFRAME_SERVER : WSFRAME_CLIENT, MESSAGE_MAX, &ops, &p);
	int code = wsframe_receive(p.w);
	BUG_IF(code < 1000 && code != 0, "an end without a code");
	BUG_IF(p.written > 64 * size + 1000, "a peer that makes us write without measure");
	wsframe_free(p.w);
	return 0;
}
