/* SPDX-License-Identifier: Apache-2.0 */
#include "executor/cover.h"

#include "base/auto.h"
#include "base/bug.h"
#include "executor/call.h"
#include "executor/executor.h"

/* What a call holds back: of one channel, since what comes on another one ends it. */
struct held {
	struct call *call;
	struct buf bytes;
	struct timer *timer;
	uint8_t channel;
};

void cover_learn(struct executor *e)
{
	for (size_t i = 0; i < e->secrets.n; i++)
		mask_add(&e->mask, str_from(env_get(&e->env, str_from(e->secrets.names[i])) ?: ""));
}

bool cover_wants(const struct call *call)
{
	return call->executor->mask.n && call->verb && !(call->verb->action->flags & ACTION_RAW);
}

struct str cover_json(const struct call *call, struct str json, struct buf *b)
{
	const struct mask *mask = &call->executor->mask;
	if (!cover_wants(call) || !mask_finds(mask, json, MASK_JSON))
		return json;
	mask_put(mask, json, MASK_JSON, b);
	return buf_str(b);
}

void cover_flush(struct call *call)
{
	struct held *held = call->held;
	if (!held || held->bytes.len == 0)
		return;
	timer_clear(held->timer);
	auto_buf struct buf out = BUF_INIT(SIZE_MAX / 2);
	mask_put(&call->executor->mask, buf_str(&held->bytes), MASK_PLAIN, &out);
	buf_reset(&held->bytes);
	call_send_bare(call, held->channel, buf_str(&out));
}

static void on_waited(void *arg)
{
	struct held *held = arg;
	cover_flush(held->call);
}

static struct held *held_of(struct call *call)
{
	if (!call->held) {
		call->held = mem_new(struct held);
		call->held->call = call;
		call->held->timer = timer_new(call->executor->loop, on_waited, call->held);
		buf_init(&call->held->bytes, SIZE_MAX / 2);
	}
	return call->held;
}

void cover_data(struct call *call, uint8_t channel, struct str bytes)
{
	const struct mask *mask = &call->executor->mask;
	struct held *held = held_of(call);
	if (held->channel != channel)
		cover_flush(call);
	held->channel = channel;
	buf_put(&held->bytes, bytes);
	auto_buf struct buf out = BUF_INIT(SIZE_MAX / 2);
	mask_put(mask, buf_str(&held->bytes), MASK_PLAIN, &out);
	/*
	 * Its end may be the beginning of a secret; that of what was put in the place of one is
	 * not.
	 */
	size_t tail = mask_tail(mask, buf_str(&out));
	buf_reset(&held->bytes);
	buf_put(&held->bytes, str_skip(buf_str(&out), out.len - tail));
	buf_cut(&out, out.len - tail);
	if (tail)
		timer_set(held->timer, tail < COVER_LONG ? COVER_HOLD_MS : COVER_HOLD_LONG_MS);
	else
		timer_clear(held->timer);
	call_send_bare(call, channel, buf_str(&out));
}

void cover_drop(struct call *call)
{
	struct held *held = call->held;
	if (!held)
		return;
	timer_free(held->timer);
	buf_fini(&held->bytes);
	free(held);
	call->held = NULL;
}
