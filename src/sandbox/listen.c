/* SPDX-License-Identifier: Apache-2.0 */
#include "sandbox/listen.h"

#include "base/auto.h"
#include "base/num.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

enum { BACKLOG = 1024 };

union address {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
	struct sockaddr_un un;
};

static int open_socket(int family, int *ret_fd, struct error *err)
{
	*ret_fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	return *ret_fd < 0 ? error_sys(err, errno, "make a socket") : 0;
}

/* A file of a server that was killed: connecting to it is refused. */
static int remove_stale(const char *path, const union address *a, struct error *err)
{
	struct stat st;
	if (lstat(path, &st) < 0)
		return errno == ENOENT ? 0 : error_sys(err, errno, "stat %s", path);
	if (!S_ISSOCK(st.st_mode))
		return error_set(err, ERROR_EXISTS, "%s is there, and is no socket", path);
	auto_fd int fd = -1;
	if (open_socket(AF_UNIX, &fd, err) < 0)
		return -1;
	if (connect(fd, &a->any, sizeof(a->un)) == 0 || errno != ECONNREFUSED)
		return error_set(err, ERROR_EXISTS, "a server listens on %s already", path);
	if (unlink(path) < 0)
		return error_sys(err, errno, "remove %s", path);
	return 0;
}

int listen_unix(const char *path, int *ret_fd, struct error *err)
{
	union address a = { .un = { .sun_family = AF_UNIX } };
	if (strlen(path) >= sizeof(a.un.sun_path))
		return error_set(err, ERROR_INVALID, "the socket path %s is longer than %zu bytes",
			path, sizeof(a.un.sun_path) - 1);
	memcpy(a.un.sun_path, path, strlen(path) + 1);
	if (remove_stale(path, &a, err) < 0)
		return -1;
	auto_fd int fd = -1;
	if (open_socket(AF_UNIX, &fd, err) < 0)
		return -1;
	mode_t old = umask(0177); /* born with its mode: nobody else can connect for a moment */
	int r = bind(fd, &a.any, sizeof(a.un)), sys = errno;
	umask(old);
	if (r < 0)
		return error_sys(err, sys, "bind to %s", path);
	if (listen(fd, BACKLOG) < 0)
		return error_sys(err, errno, "listen on %s", path);
	*ret_fd = take_fd(&fd);
	return 0;
}

/* host without brackets, into the address; the port is set later. */
static int parse_host(struct str host, union address *ret, struct error *err)
{
	char text[64];
	if (host.len >= sizeof(text))
		return error_set(err, ERROR_INVALID, "no address is as long as %.64s…", host.ptr);
	snprintf(text, sizeof(text), "%.*s", STR_ARG(host));
	if (host.len == 0 || str_is(host, "localhost"))
		snprintf(text, sizeof(text), "127.0.0.1");
	if (inet_pton(AF_INET, text, &ret->v4.sin_addr) == 1) {
		ret->v4.sin_family = AF_INET;
		return 0;
	}
	if (inet_pton(AF_INET6, text, &ret->v6.sin6_addr) == 1) {
		ret->v6.sin6_family = AF_INET6;
		return 0;
	}
	return error_set(err, ERROR_INVALID, "\"%s\" is not an IP address", text);
}

static int parse(const char *where, union address *ret, struct error *err)
{
	const char *colon = strrchr(where, ':');
	if (!colon)
		return error_set(err, ERROR_INVALID, "\"%s\" is not HOST:PORT", where);
	struct str host = str_from_len(where, (size_t)(colon - where));
	if (str_starts(host, STR("[")) && str_ends(host, STR("]")))
		host = str_from_len(host.ptr + 1, host.len - 2);
	int64_t port;
	if (num_parse_i64(str_from(colon + 1), 0, 65535, &port, err) < 0)
		return error_wrap(err, "the port of %s", where);
	if (parse_host(host, ret, err) < 0)
		return -1;
	if (ret->any.sa_family == AF_INET)
		ret->v4.sin_port = htons((uint16_t)port);
	else
		ret->v6.sin6_port = htons((uint16_t)port);
	return 0;
}

static bool is_loopback(const union address *a)
{
	if (a->any.sa_family == AF_INET)
		return ntohl(a->v4.sin_addr.s_addr) >> 24 == 127;
	return IN6_IS_ADDR_LOOPBACK(&a->v6.sin6_addr);
}

int listen_tcp(const char *where, int *ret_fd, bool *ret_is_open, struct error *err)
{
	union address a = { 0 };
	if (parse(where, &a, err) < 0)
		return -1;
	auto_fd int fd = -1;
	if (open_socket(a.any.sa_family, &fd, err) < 0)
		return -1;
	int on = 1;
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0)
		return error_sys(err, errno, "set SO_REUSEADDR");
	socklen_t size = a.any.sa_family == AF_INET ? sizeof(a.v4) : sizeof(a.v6);
	if (bind(fd, &a.any, size) < 0)
		return error_sys(err, errno, "bind to %s (--listen names another)", where);
	if (listen(fd, BACKLOG) < 0)
		return error_sys(err, errno, "listen on %s", where);
	*ret_is_open = !is_loopback(&a);
	*ret_fd = take_fd(&fd);
	return 0;
}
