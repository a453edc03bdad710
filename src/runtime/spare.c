/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A call socket costs the server and the executor some twenty system calls and a turn of the
 * executor's loop,
 * 25 µs in all. Calls that follow each other use the same one, and those that come side by side
 * find as many as were needed before, up to SPARES_MAX, and ALL_MAX in all sandboxes together. One
 * is kept only if its call ended with a result and nothing of it is left on our side; a frame that
 * comes without a call ends it.
 */
#include "runtime/internal.h"

#include "action/channel.h"
#include "base/bug.h"

enum { SPARES_MAX = 64, ALL_MAX = 1024 };

struct spare {
	struct list link; /* sandbox::spares, the last used first */
	struct sandbox *sandbox;
	struct channel *channel;
};

static struct channel *take(struct spare *spare)
{
	struct channel *c = spare->channel;
	list_remove(&spare->link);
	spare->sandbox->n_spares--;
	spare->sandbox->runtime->n_spares--;
	free(spare);
	return c;
}

static void on_frame(void *arg, const struct frame *frame)
{
	channel_free(take(arg));
}

static void on_end(void *arg, const struct error *reason)
{
	channel_free(take(arg));
}

static const struct channel_ops ops = { .on_frame = on_frame, .on_end = on_end };

struct channel *spare_take(struct sandbox *s)
{
	struct spare *spare = list_first(&s->spares, struct spare, link);
	return spare ? take(spare) : NULL;
}

void spare_keep(struct sandbox *s, struct channel *c)
{
	if (s->n_spares >= SPARES_MAX || s->runtime->n_spares >= ALL_MAX || !channel_is_clear(c)) {
		channel_free(c);
		return;
	}
	struct spare *spare = mem_new(struct spare);
	spare->sandbox = s;
	spare->channel = c;
	list_append(s->spares.next, &spare->link); /* the first: what was used last is warm */
	s->n_spares++;
	s->runtime->n_spares++;
	channel_hand_over(c, &ops, spare);
}

void spare_free_all(struct sandbox *s)
{
	if (!s->spares.next)
		return; /* it never was the runtime's */
	while (!list_is_empty(&s->spares))
		channel_free(spare_take(s));
}
