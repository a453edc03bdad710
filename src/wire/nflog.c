/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/nflog.h"

#include "base/auto.h"

#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_log.h>
#include <linux/netlink.h>
#include <netinet/in.h>

enum { PACKET = NFNL_SUBSYS_ULOG << 8 | NFULNL_MSG_PACKET };

static size_t aligned(size_t size)
{
	return (size + 3) & ~(size_t)3;
}

/* A piece with a header that begins with its size, header included: the body, and past it. */
static bool take_piece(struct str *rest, size_t header, size_t size, struct str *ret_body)
{
	if (size < header || size > rest->len)
		return false;
	*ret_body = str_skip(str_first(*rest, size), header);
	*rest = str_skip(*rest, MIN(aligned(size), rest->len));
	return true;
}

static uint32_t big32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* Behind the header of the internet protocol: the second half of four bytes. */
static uint16_t port_at(struct str packet, size_t header, int protocol)
{
	const uint8_t *p = (const uint8_t *)packet.ptr;
	if ((protocol != IPPROTO_TCP && protocol != IPPROTO_UDP) || packet.len < header + 4)
		return 0;
	return (uint16_t)(p[header + 2] << 8 | p[header + 3]);
}

static bool parse_v4(struct str packet, struct nflog_packet *ret)
{
	const uint8_t *p = (const uint8_t *)packet.ptr;
	size_t header = packet.len ? (size_t)(p[0] & 15) * 4 : 0;
	if (header < 20 || packet.len < header)
		return false;
	bool is_first = ((p[6] & 31) | p[7]) == 0; /* of its fragments */
	ret->protocol = p[9];
	ret->to = netaddr_v4(big32(p + 16));
	ret->port = is_first ? port_at(packet, header, ret->protocol) : 0;
	return true;
}

static bool parse_v6(struct str packet, struct nflog_packet *ret)
{
	enum { HEADER = 40 };
	const uint8_t *p = (const uint8_t *)packet.ptr;
	if (packet.len < HEADER)
		return false;
	ret->protocol = p[6];
	memcpy(ret->to.bytes, p + 24, sizeof(ret->to.bytes));
	ret->port = port_at(packet, HEADER, ret->protocol);
	return true;
}

static bool parse_packet(struct str packet, struct nflog_packet *ret)
{
	int version = packet.len ? (uint8_t)packet.ptr[0] >> 4 : 0;
	return version == 4 ? parse_v4(packet, ret) : version == 6 && parse_v6(packet, ret);
}

static bool parse_message(struct str body, struct nflog_packet *ret)
{
	struct str packet = STR_NONE, value;
	struct nlattr head;
	ret->prefix = STR_NONE;
	if (body.len < sizeof(struct nfgenmsg))
		return false;
	body = str_skip(body, sizeof(struct nfgenmsg));
	while (body.len >= sizeof(head)) {
		memcpy(&head, body.ptr, sizeof(head));
		if (!take_piece(&body, sizeof(head), head.nla_len, &value))
			return false;
		if ((head.nla_type & NLA_TYPE_MASK) == NFULA_PAYLOAD)
			packet = value;
		else if ((head.nla_type & NLA_TYPE_MASK) == NFULA_PREFIX)
			ret->prefix = str_first(value, strnlen(value.ptr, value.len));
	}
	return parse_packet(packet, ret);
}

bool nflog_next(struct str *rest, struct nflog_packet *ret)
{
	struct nlmsghdr head;
	struct str body;
	while (rest->len >= sizeof(head)) {
		memcpy(&head, rest->ptr, sizeof(head));
		if (!take_piece(rest, sizeof(head), head.nlmsg_len, &body))
			break;
		if (head.nlmsg_type == PACKET && parse_message(body, ret))
			return true;
	}
	*rest = STR_NONE;
	return false;
}
