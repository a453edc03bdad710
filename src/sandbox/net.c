/* SPDX-License-Identifier: Apache-2.0 */
/* The network namespace's loopback device, and the name of the machine that the sandbox sees. */
#include "sandbox/step.h"

#include "base/auto.h"

#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

int net_hostname(struct build *b, const struct step *s, struct error *err)
{
	if (sethostname(s->data, strlen(s->data)) < 0)
		return error_sys(err, errno, "set");
	return 0;
}

int net_loopback(struct build *b, const struct step *s, struct error *err)
{
	auto_fd int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return error_sys(err, errno, "open a socket");
	struct ifreq req = { .ifr_name = "lo", .ifr_flags = IFF_UP | IFF_LOOPBACK | IFF_RUNNING };
	if (ioctl(fd, SIOCSIFFLAGS, &req) < 0)
		return error_sys(err, errno, "bring lo up");
	return 0;
}
