/* SPDX-License-Identifier: Apache-2.0 */
#include "sandbox/rtnl.h"

#include "base/auto.h"
#include "base/bug.h"

#include <arpa/inet.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>
#include <string.h>
#include <sys/socket.h>

enum { REQUEST_MAX = 1024 };

struct request {
	struct nlmsghdr *head;
	char bytes[REQUEST_MAX] __attribute__((aligned(NLMSG_ALIGNTO)));
};

int rtnl_open(int *ret_fd, struct error *err)
{
	*ret_fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	return *ret_fd < 0 ? error_sys(err, errno, "open a netlink socket") : 0;
}

static void *room(struct request *r, size_t len)
{
	size_t at = NLMSG_ALIGN(r->head->nlmsg_len);
	BUG_IF(at + len > REQUEST_MAX, "a netlink request is too large");
	r->head->nlmsg_len = (uint32_t)(at + len);
	return r->bytes + at;
}

static void *begin(struct request *r, uint16_t type, uint16_t flags, size_t body)
{
	memset(r, 0, sizeof(*r));
	r->head = (struct nlmsghdr *)(void *)r->bytes;
	*r->head = (struct nlmsghdr){ .nlmsg_len = NLMSG_HDRLEN,
		.nlmsg_type = type,
		.nlmsg_flags = (uint16_t)(NLM_F_REQUEST | NLM_F_ACK | flags) };
	return room(r, body);
}

static struct rtattr *put(struct request *r, uint16_t type, const void *data, size_t len)
{
	struct rtattr *a = room(r, RTA_LENGTH(len));
	a->rta_type = type;
	a->rta_len = (uint16_t)RTA_LENGTH(len);
	if (len)
		memcpy(RTA_DATA(a), data, len);
	return a;
}

static void put_text(struct request *r, uint16_t type, const char *text)
{
	put(r, type, text, strlen(text) + 1);
}

static void put_u32(struct request *r, uint16_t type, uint32_t value)
{
	put(r, type, &value, sizeof(value));
}

/* Everything since it was put is inside of it. */
static void nest(const struct request *r, struct rtattr *a)
{
	a->rta_len = (uint16_t)(r->bytes + r->head->nlmsg_len - (char *)a);
}

static int ask(int fd, const struct request *r, struct error *err)
{
	struct {
		struct nlmsghdr head;
		struct nlmsgerr error;
		char rest[REQUEST_MAX];
	} said;
	if (send(fd, r->bytes, r->head->nlmsg_len, 0) < 0 || recv(fd, &said, sizeof(said), 0) < 0)
		return error_sys(err, errno, "speak netlink");
	if (said.head.nlmsg_type != NLMSG_ERROR)
		return error_set(err, ERROR_INTERNAL, "an answer of netlink that is none");
	return said.error.error ? error_sys(err, -said.error.error, "netlink") : 0;
}

int rtnl_add_veth(int fd, const char *name, const char *peer, int peer_ns_fd, uint32_t mtu,
	struct error *err)
{
	struct request r;
	begin(&r, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, sizeof(struct ifinfomsg));
	put_text(&r, IFLA_IFNAME, name);
	if (mtu)
		put_u32(&r, IFLA_MTU, mtu);
	struct rtattr *info = put(&r, IFLA_LINKINFO, NULL, 0);
	put_text(&r, IFLA_INFO_KIND, "veth");
	struct rtattr *data = put(&r, IFLA_INFO_DATA, NULL, 0);
	struct rtattr *other = put(&r, VETH_INFO_PEER, NULL, 0);
	room(&r, sizeof(struct ifinfomsg));
	put_text(&r, IFLA_IFNAME, peer);
	if (mtu)
		put_u32(&r, IFLA_MTU, mtu);
	if (peer_ns_fd >= 0)
		put_u32(&r, IFLA_NET_NS_FD, (uint32_t)peer_ns_fd);
	nest(&r, other);
	nest(&r, data);
	nest(&r, info);
	return ask(fd, &r, err) < 0 ? error_wrap(err, "make %s and %s", name, peer) : 0;
}

int rtnl_delete(int fd, const char *name, struct error *err)
{
	struct request r;
	begin(&r, RTM_DELLINK, 0, sizeof(struct ifinfomsg));
	put_text(&r, IFLA_IFNAME, name);
	return ask(fd, &r, err) < 0 ? error_wrap(err, "remove %s", name) : 0;
}

int rtnl_up(int fd, const char *name, struct error *err)
{
	struct request r;
	struct ifinfomsg *link = begin(&r, RTM_NEWLINK, 0, sizeof(*link));
	link->ifi_flags = link->ifi_change = IFF_UP;
	put_text(&r, IFLA_IFNAME, name);
	return ask(fd, &r, err) < 0 ? error_wrap(err, "bring %s up", name) : 0;
}

int rtnl_add_address(int fd, const char *name, uint32_t address, unsigned bits, struct error *err)
{
	struct request r;
	struct ifaddrmsg *a = begin(&r, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, sizeof(*a));
	a->ifa_family = AF_INET;
	a->ifa_prefixlen = (uint8_t)bits;
	a->ifa_index = if_nametoindex(name);
	put_u32(&r, IFA_LOCAL, htonl(address));
	put_u32(&r, IFA_ADDRESS, htonl(address));
	return ask(fd, &r, err) < 0 ? error_wrap(err, "give %s an address", name) : 0;
}

int rtnl_add_route(int fd, const char *name, uint32_t address, unsigned bits, uint32_t via,
	struct error *err)
{
	struct request r;
	struct rtmsg *route = begin(&r, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, sizeof(*route));
	*route = (struct rtmsg){ .rtm_family = AF_INET,
		.rtm_dst_len = (uint8_t)bits,
		.rtm_table = RT_TABLE_MAIN,
		.rtm_protocol = RTPROT_STATIC,
		.rtm_scope = via ? RT_SCOPE_UNIVERSE : RT_SCOPE_LINK,
		.rtm_type = RTN_UNICAST };
	if (bits)
		put_u32(&r, RTA_DST, htonl(address));
	if (via)
		put_u32(&r, RTA_GATEWAY, htonl(via));
	put_u32(&r, RTA_OIF, if_nametoindex(name));
	return ask(fd, &r, err) < 0 ? error_wrap(err, "add a route over %s", name) : 0;
}

int rtnl_add_unreachable(int fd, uint32_t address, unsigned bits, struct error *err)
{
	struct request r;
	struct rtmsg *route = begin(&r, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, sizeof(*route));
	*route = (struct rtmsg){ .rtm_family = AF_INET,
		.rtm_dst_len = (uint8_t)bits,
		.rtm_table = RT_TABLE_MAIN,
		.rtm_protocol = RTPROT_STATIC,
		.rtm_type = RTN_UNREACHABLE };
	put_u32(&r, RTA_DST, htonl(address));
	return ask(fd, &r, err) < 0 ? error_wrap(err, "add a route to nowhere") : 0;
}
