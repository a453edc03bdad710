/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Packets of a guest, good and bad, give messages within their ceilings or nothing. Input: for each
 * packet one byte of length, whose highest bit says that the nonce goes before, then so many bytes.
 */
#include "base/auto.h"
#include "base/bug.h"
#include "executor/guest.h"
#include "executor/guest_channel.h"

#include <sys/socket.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void on_event(void *arg, int events)
{
}

static void receive_all(struct guest_channel *c)
{
	struct guest_packet p;
	while (guest_channel_receive(c, &p) > 0) {
		BUG_IF(p.kind != GUEST_MESSAGE && p.kind != GUEST_OUTPUT, "a packet of no kind");
		BUG_IF(p.payload.len > GUEST_MESSAGE_MAX, "a message beyond the ceiling");
		BUG_IF(p.kind == GUEST_OUTPUT && p.channel != 1 && p.channel != 2,
			"an output of no channel");
		auto_free char *copy = str_dup(p.payload);
		BUG_IF(!copy, "bytes that cannot be read");
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct loop *loop;
	struct guest_channel c = { .fd = -1 };
	int peer_fd;
	if (!loop && loop_new(&loop, NULL) < 0)
		return 0;
	if (guest_channel_open(&c, loop, on_event, NULL, &peer_fd, NULL) < 0)
		return 0;
	while (size > 0) {
		char packet[GUEST_NONCE + 128];
		bool has_nonce = data[0] & 0x80;
		size_t len = MIN((size_t)(data[0] & 0x7f), size - 1);
		memcpy(packet, c.nonce, GUEST_NONCE);
		memcpy(packet + (has_nonce ? GUEST_NONCE : 0), data + 1, len);
		if (send(peer_fd, packet, len + (has_nonce ? GUEST_NONCE : 0), MSG_DONTWAIT) < 0)
			receive_all(&c);
		data += 1 + len;
		size -= 1 + len;
	}
	receive_all(&c);
	close(peer_fd);
	struct guest_packet p;
	while (guest_channel_receive(&c, &p) > 0)
		;
	guest_channel_close(&c);
	return 0;
}
