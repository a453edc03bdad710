/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The network namespace with its loopback device, and the name of the machine that the sandbox
 * sees.
 */
#include "sandbox/step.h"

#include "base/auto.h"
#include "sandbox/nslimit.h"

#include <fcntl.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

int net_hostname(struct build *b, const struct step *s, struct error *err)
{
	if (sethostname(s->data, strlen(s->data)) < 0)
		return error_sys(err, errno, "set");
	return 0;
}

static int raise_loopback(struct error *err)
{
	auto_fd int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return error_sys(err, errno, "open a socket");
	struct ifreq req = { .ifr_name = "lo", .ifr_flags = IFF_UP | IFF_LOOPBACK | IFF_RUNNING };
	if (ioctl(fd, SIOCSIFFLAGS, &req) < 0)
		return error_sys(err, errno, "bring lo up");
	return 0;
}

/*
 * `ip route add local 0.0.0.0/0 dev lo`: whatever is connected to is here, and nothing goes
 * anywhere.
 */
static int own_every_address(struct error *err)
{
	struct {
		struct nlmsghdr head;
		struct rtmsg route;
		struct rtattr attr;
		uint32_t device;
	} ask = {
		.head = { .nlmsg_len = sizeof(ask),
			.nlmsg_type = RTM_NEWROUTE,
			.nlmsg_flags = NLM_F_REQUEST | NLM_F_CREATE | NLM_F_ACK },
		.route = { .rtm_family = AF_INET,
			.rtm_table = RT_TABLE_LOCAL,
			.rtm_protocol = RTPROT_STATIC,
			.rtm_scope = RT_SCOPE_HOST,
			.rtm_type = RTN_LOCAL },
		.attr = { .rta_len = sizeof(struct rtattr) + sizeof(uint32_t),
			.rta_type = RTA_OIF },
		.device = if_nametoindex("lo"),
	};
	struct {
		struct nlmsghdr head;
		struct nlmsgerr error;
		char rest[256];
	} said;
	auto_fd int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	if (fd < 0 || send(fd, &ask, sizeof(ask), 0) < 0 || recv(fd, &said, sizeof(said), 0) < 0)
		return error_sys(err, errno, "ask for a route");
	if (said.head.nlmsg_type != NLMSG_ERROR || said.error.error != 0)
		return error_sys(err, -said.error.error, "make every address the sandbox's own");
	return 0;
}

/* In the second process; pid 1 joins it later (net_join, second.c). */
int net_make(struct build *b, const struct step *s, struct error *err)
{
	if (unshare(CLONE_NEWNET) < 0)
		return nslimit_sys(err, errno, "make a network namespace");
	if (s->data && raise_loopback(err) < 0)
		return -1;
	if (s->data && strcmp(s->data, "proxy") == 0 && own_every_address(err) < 0)
		return -1;
	b->net_fd = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	return b->net_fd < 0 ? error_sys(err, errno, "open the network namespace") : 0;
}
