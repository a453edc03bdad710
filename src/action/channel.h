/* SPDX-License-Identifier: Apache-2.0 */
/*
 * channel: one end of a call socket on a loop. Frames come in through a callback and go out through
 * a queue with a ceiling; the kernel's socket buffer is the back-pressure between two programs.
 *
 * The callback sees each frame once, in order; its payload is valid until it returns. After the
 * peer is gone, or sent what is no frame, `on_end` is called once, with NULL for a clean end. The
 * owner frees the channel, in a callback if it likes. A sender of much data stops while
 * channel_is_full and goes on when on_drain is called; a queue that grows beyond CHANNEL_QUEUE_MAX
 * ends the channel (ERROR_LIMIT).
 */
#pragma once

#include "event/loop.h"
#include "wire/frame.h"

enum {
	CHANNEL_HIGH = 512 * 1024, /* queued bytes at which channel_is_full */
	CHANNEL_QUEUE_MAX = FRAME_PAYLOAD_MAX + CHANNEL_HIGH, /* a result may be large */
};

struct channel;

struct channel_ops {
	void (*on_frame)(void *arg, const struct frame *frame);
	void (*on_end)(void *arg, const struct error *reason); /* NULL: the peer closed */
	void (*on_drain)(void *arg);                           /* may be NULL */
};

/* Takes the descriptor, a connected stream socket. */
struct channel *channel_new(struct loop *loop, int fd, const struct channel_ops *ops, void *arg);
/*
 * From now on *held includes the memory of this channel for what is no whole frame yet; it outlives
 * the channel. One by which it grows beyond `max` ends (ERROR_LIMIT).
 */
void channel_set_account(struct channel *c, size_t *held, size_t max);
/* Closes at once: what is queued is dropped. */
void channel_free(struct channel *c);
/*
 * Frees as soon as everything queued has been sent (or the peer is gone); no callback comes any
 * more.
 */
void channel_close(struct channel *c);
void channel_send(struct channel *c, enum frame_kind kind, uint8_t channel, struct str payload);
bool channel_is_full(const struct channel *c);
/* Gives the callbacks to another owner; from within one, what comes next is the new owner's. */
void channel_hand_over(struct channel *c, const struct channel_ops *ops, void *arg);
/* Whether nothing of its present owner is left in it: nothing queued, no end, no pause. */
bool channel_is_clear(const struct channel *c);
/* Stops and resumes reading: how a slow consumer slows the producer down. */
void channel_pause(struct channel *c, bool is_paused);
/* Sends FRAME_ERROR made of *e. */
void channel_send_error(struct channel *c, const struct error *e);
