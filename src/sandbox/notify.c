/* SPDX-License-Identifier: Apache-2.0 */
#include "sandbox/notify.h"

#include "base/auto.h"
#include "base/log.h"

#include <stddef.h>
#include <sys/socket.h>
#include <sys/un.h>

static struct sockaddr_un address = { .sun_family = AF_UNIX };
static socklen_t address_size; /* 0: nobody asked */

void notify_init(void)
{
	const char *path = getenv("NOTIFY_SOCKET");
	size_t len = path ? strlen(path) : 0;
	if ((len > 1 && len < sizeof(address.sun_path)) && (path[0] == '/' || path[0] == '@')) {
		memcpy(address.sun_path, path, len);
		if (path[0] == '@')
			address.sun_path[0] = '\0'; /* in the abstract namespace */
		address_size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
	}
	unsetenv("NOTIFY_SOCKET");
}

void notify_say(const char *state)
{
	if (!address_size)
		return;
	auto_fd int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0 ||
		sendto(fd, state, strlen(state), MSG_NOSIGNAL, (struct sockaddr *)&address,
			address_size) < 0)
		log_warn("notify", "state=%s error=%s", state, strerror(errno));
}
