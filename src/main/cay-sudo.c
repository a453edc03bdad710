/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sudo, as it is found in a sandbox whose user may become root: asks the executor (executor/sudo.h)
 * to run a command, hands over its own standard descriptors, and ends with the status that comes
 * back. It decides nothing: which options there are and who may ask is the executor's to say.
 *
 * It needs no privilege and no C library: the same file runs in every image.
 */
#include "executor/sudo_wire.h"
#include "main/bare.h"

#include <stddef.h>
#include <sys/socket.h>
#include <sys/un.h>

enum { FAILED = 1 };

static char request[SUDO_REQUEST_MAX];
static unsigned long used;

_Noreturn static void leave(int status)
{
	for (;;)
		call(SYS_exit_group, status, 0, 0, 0);
}

static unsigned long length(const char *text)
{
	unsigned long n = 0;
	while (text[n])
		n++;
	return n;
}

_Noreturn static void fail(const char *text)
{
	call(SYS_write, 2, (long)text, (long)length(text), 0);
	leave(FAILED);
}

static void add(const char *text)
{
	unsigned long n = length(text) + 1;
	if (n > sizeof(request) - used)
		fail("sudo: arguments and environment are too long\n");
	for (unsigned long i = 0; i < n; i++)
		request[used + i] = text[i];
	used += n;
}

/* directory, number of arguments, arguments, environment */
static void fill(const long *stack)
{
	const char *const *at = (const char *const *)(stack + 1);
	unsigned argc = (unsigned)stack[0];
	char digits[12] = { 0 };
	int i = sizeof(digits) - 1;
	long n = call(SYS_getcwd, (long)request, sizeof(request) / 2, 0, 0);
	if (n <= 0 || request[0] != '/')
		fail("sudo: the current directory cannot be told\n");
	used = (unsigned long)n;
	do
		digits[--i] = (char)('0' + argc % 10);
	while (argc /= 10);
	add(digits + i);
	for (; *at; at++)
		add(*at);
	for (at++; *at; at++)
		add(*at);
}

static void send_request(int sock)
{
	enum { N_FDS = 3 }; /* standard input, output, error */
	struct iovec part = { request, used };
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(N_FDS * sizeof(int))];
	} control = { .room = { 0 } };
	control.head = (struct cmsghdr){ CMSG_LEN(N_FDS * sizeof(int)), SOL_SOCKET, SCM_RIGHTS };
	for (int i = 0; i < N_FDS; i++)
		((int *)(void *)CMSG_DATA(&control.head))[i] = i;
	struct msghdr message = { .msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control) };
	if (call(SYS_sendmsg, sock, (long)&message, MSG_NOSIGNAL, 0) != (long)used)
		fail("sudo: the sandbox does not take the request\n");
}

/* status as text, and a message for people, if there is one */
_Noreturn static void await(int sock)
{
	static struct sudo_reply reply;
	long n;
	do
		n = call(SYS_read, sock, (long)&reply, sizeof(reply), 0);
	while (n == -4 /* -EINTR */);
	if (n < (long)offsetof(struct sudo_reply, text))
		fail("sudo: the sandbox does not answer\n");
	call(SYS_write, 2, (long)reply.text, n - (long)offsetof(struct sudo_reply, text), 0);
	leave(reply.status);
}

_Noreturn void sudo_main(const long *stack);
_Noreturn void sudo_main(const long *stack)
{
	struct sockaddr_un name = { .sun_family = AF_UNIX, .sun_path = SUDO_SOCKET };
	int sock = (int)call(SYS_socket, AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, 0);
	if (sock < 0 || call(SYS_connect, sock, (long)&name, sizeof(name), 0) < 0)
		fail("sudo: nobody may become root in this sandbox\n");
	fill(stack);
	send_request(sock);
	await(sock);
}

BARE_START(sudo_main);
