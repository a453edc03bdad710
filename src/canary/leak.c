/* SPDX-License-Identifier: Apache-2.0 */
/* What may have been left lying around: descriptors, environment, sockets, the network. */
#include "canary/attack.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static struct finding inherited_fds(void)
{
	for (int fd = 3; fd < 1024; fd++) {
		struct stat st;
		if (fstat(fd, &st) == 0)
			return reached("descriptor %d is open, mode %o", fd, st.st_mode);
	}
	return blocked(EBADF);
}

static struct finding environment(void)
{
	static const char *const names[] = { "ESCAPE_SECRET", "CAY_TOKEN", "AWS_SECRET_ACCESS_KEY",
		"SSH_AUTH_SOCK", "DBUS_SESSION_BUS_ADDRESS", NULL };
	for (int i = 0; names[i]; i++)
		if (getenv(names[i]))
			return reached("%s is in the environment", names[i]);
	return blocked(0);
}

/* The driver listens on the host, under this name. */
static struct finding abstract_socket(void)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	static const char name[] = "\0cay-escape";
	memcpy(a.sun_path, name, sizeof(name) - 1);
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	if (connect(fd, (struct sockaddr *)&a,
		    (socklen_t)(offsetof(struct sockaddr_un, sun_path) + sizeof(name) - 1)) == 0)
		return reached("connected to an abstract socket of the host");
	return blocked(errno);
}

static struct finding tcp_to(const char *where, int port)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons((unsigned short)port) };
	inet_pton(AF_INET, where, &a.sin_addr);
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	if (fd < 0)
		return blocked(errno);
	int r = connect(fd, (struct sockaddr *)&a, sizeof(a));
	close(fd);
	return r == 0 ? reached("connected to %s port %d", where, port) : blocked(errno);
}

static struct finding loopback_of_host(void)
{
	static const char *const ways[] = { "127.0.0.1", "127.0.0.2", "0.0.0.0", NULL };
	const char *port = getenv("ESCAPE_PORT");
	struct finding f = absent(0);
	for (int i = 0; port && ways[i]; i++) {
		f = tcp_to(ways[i], (int)strtol(port, NULL, 10));
		if (f.outcome == REACHED)
			return f;
	}
	return f;
}

/* Bad routes answer at once; nothing is sent to anybody. */
static struct finding way_out(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(9) };
	inet_pton(AF_INET, "192.0.2.1", &a.sin_addr);
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	if (fd < 0)
		return blocked(errno);
	int r = connect(fd, (struct sockaddr *)&a,
		sizeof(a)); /* UDP: asks for a route, sends nothing */
	close(fd);
	return r == 0 ? reached("there is a route to the world") : blocked(errno);
}

static struct finding host_terminal(void)
{
	return judge_open(open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY), "/dev/tty");
}

static struct finding host_name(void)
{
	char name[256] = "";
	const char *host = getenv("ESCAPE_HOSTNAME");
	if (!host)
		return absent(0);
	gethostname(name, sizeof(name) - 1);
	return strcmp(name, host) == 0 ? reached("the host is called %s", name) : blocked(0);
}

const struct attack leak_attacks[] = {
	{ "inherited-fds", FDS, false, inherited_fds, "use a descriptor that somebody forgot" },
	{ "environment", MANY, false, environment, "find secrets in the environment" },
	{ "abstract-socket", MANY, false, abstract_socket,
		"connect to an abstract socket of the host" },
	{ "host-loopback", NAMESPACES, false, loopback_of_host, "connect to a port of the host" },
	{ "way-out", MANY, true, way_out, "find a route out" },
	{ "host-terminal", MANY, true, host_terminal, "open the caller's terminal" },
	{ "host-name", NAMESPACES, false, host_name, "learn the host's name" },
	{ 0 },
};
