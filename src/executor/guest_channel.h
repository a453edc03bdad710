/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guest_channel: packets between the executor and a guest (executor/guest.h), over a SOCK_SEQPACKET
 * pair.
 *
 *	char     nonce[16]   of this guest: a packet without it is passed over
 *	uint8    kind        enum guest_kind
 *	uint8    flags       GUEST_FIRST …
 *	uint8    channel     of GUEST_OUTPUT: 1 or 2
 *	uint8    zero
 *	uint32   request     little endian; 0: none
 *	payload              at most GUEST_PAYLOAD_MAX bytes; a message longer than that has several packets
 *
 * A socket that keeps bounds, and the nonce, because the guest runs the agent's code in its own
 * process: what that prints on a descriptor it found is a packet of its own that nobody takes for
 * one of ours.
 */
#pragma once

#include "base/buf.h"
#include "base/error.h"
#include "event/loop.h"

#include <sys/types.h>

enum guest_kind {
	GUEST_MESSAGE = 1, /* JSON */
	GUEST_OUTPUT = 2,  /* bytes */
	GUEST_FORK = 3,    /* to the guest, with three descriptors: channel, stdout, stderr */
	GUEST_BELL = 4,    /* to the guest, with one descriptor */
	GUEST_REAP = 5,    /* to the guest: a fork of it has ended */
};

enum {
	GUEST_FIRST = 1, /* … piece of a message; what was left of one before is dropped */
	GUEST_LAST = 2,
	GUEST_FINAL = 4,  /* it ends the request */
	GUEST_ERROR = 8,  /* … with {"code":…,"message":…} */
	GUEST_BEHIND = 16 /* there was something in the pipes when it was sent */
};

enum { GUEST_NONCE = 16, GUEST_HEAD = 24, GUEST_PAYLOAD_MAX = 60 * 1024 };

struct guest_packet {
	uint8_t kind, flags, channel;
	uint32_t request;
	struct str payload; /* of GUEST_MESSAGE: all of it; valid until the next is read */
	pid_t sender;       /* 0: not told */
};

struct guest_channel {
	int fd;
	struct watch *watch;
	char nonce[GUEST_NONCE];
	struct buf out; /* packets that did not fit yet, each behind its length */
	struct buf in;  /* pieces of a message */
	bool is_paused;
};

/* *ret_peer_fd: the guest's end. */
int guest_channel_open(struct guest_channel *c, struct loop *loop, watch_fn *fn, void *arg,
	int *ret_peer_fd, struct error *err);
void guest_channel_close(struct guest_channel *c);
/* A packet as it is, without a head: only before any other. */
int guest_channel_send_raw(struct guest_channel *c, struct str bytes, struct error *err);
/* ERROR_LIMIT if the guest takes nothing and the queue is full. */
int guest_channel_send(struct guest_channel *c, uint32_t request, struct str message,
	struct error *err);
/*
 * ERROR_UNAVAILABLE unless it can be sent at once. A peer that is gone is no error: so is who it
 * would have made.
 */
int guest_channel_send_fds(struct guest_channel *c, uint8_t kind, const int *fds, int n_fds,
	struct error *err);
/* GUEST_REAP, or nothing where the guest has other packets to read. */
void guest_channel_send_reap(struct guest_channel *c);
void guest_channel_flush(struct guest_channel *c);
/* 1 a packet, 0 none now, -1 the peer closed. What is no packet is passed over. */
int guest_channel_receive(struct guest_channel *c, struct guest_packet *ret);
void guest_channel_pause(struct guest_channel *c, bool is_paused);
