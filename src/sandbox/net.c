/* SPDX-License-Identifier: Apache-2.0 */
/* The network namespace with its loopback device, and the name of the machine that the sandbox sees. */
#include "sandbox/step.h"

#include "base/auto.h"

#include <fcntl.h>
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

/* In the second process; pid 1 joins it later (net_join, second.c). */
int net_make(struct build *b, const struct step *s, struct error *err)
{
	if (unshare(CLONE_NEWNET) < 0)
		return error_sys(err, errno, "make a network namespace");
	if (s->data && raise_loopback(err) < 0)
		return -1;
	b->net_fd = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	return b->net_fd < 0 ? error_sys(err, errno, "open the network namespace") : 0;
}
