/* SPDX-License-Identifier: Apache-2.0 */
#include "sandbox/nft.h"

#include "base/auto.h"
#include "base/file.h"

#include <dlfcn.h>
#include <linux/netlink.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

/* What is used of libnftables(3). */
struct library {
	void *(*ctx_new)(uint32_t flags);
	int (*ctx_buffer_error)(void *ctx);
	const char *(*ctx_get_error_buffer)(void *ctx);
	int (*run_cmd_from_buffer)(void *ctx, const char *text);
};

static int load(struct library *ret, struct error *err)
{
	static const char *const names[] = { "nft_ctx_new", "nft_ctx_buffer_error",
		"nft_ctx_get_error_buffer", "nft_run_cmd_from_buffer" };
	void *symbols[ARRAY_LEN(names)];
	void *handle = dlopen("libnftables.so.1", RTLD_NOW | RTLD_LOCAL);
	if (!handle)
		return error_set(err, ERROR_UNSUPPORTED,
			"libnftables is not installed: " NFT_REMEDY);
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		symbols[i] = dlsym(handle, names[i]);
		if (!symbols[i])
			return error_set(err, ERROR_UNSUPPORTED, "libnftables has no %s", names[i]);
	}
	_Static_assert(sizeof(*ret) == sizeof(symbols), "one member for each name, in this order");
	memcpy(ret, symbols, sizeof(symbols));
	return 0;
}

/* "Error: what\nthe text\n   ^^^": the first line says it. */
static int run(struct str text, struct error *err)
{
	struct library lib;
	if (load(&lib, err) < 0)
		return -1;
	void *ctx = lib.ctx_new(0);
	if (!ctx)
		return error_set(err, ERROR_UNSUPPORTED, "libnftables does not start");
	auto_free char *copy = str_dup(text);
	lib.ctx_buffer_error(ctx);
	if (lib.run_cmd_from_buffer(ctx, copy) == 0)
		return 0; /* its socket stays open: tables may belong to it */
	struct str said = str_trim(str_from(lib.ctx_get_error_buffer(ctx))), line;
	str_split(&said, '\n', &line);
	return error_set(err, ERROR_UNSUPPORTED, "nftables: %.*s", STR_ARG(str_first(line, 160)));
}

static int enter(int user_ns_fd, int net_ns_fd, struct error *err)
{
	if (user_ns_fd >= 0 && setns(user_ns_fd, CLONE_NEWUSER) < 0)
		return error_sys(err, errno, "enter the user namespace");
	if (net_ns_fd >= 0 && setns(net_ns_fd, CLONE_NEWNET) < 0)
		return error_sys(err, errno, "enter the network namespace");
	return 0;
}

/* That of the library, when no other is open. */
static int find_socket(void)
{
	enum { FIRST = 3, LAST = 64 };
	for (int fd = FIRST; fd <= LAST; fd++) {
		int domain = 0, protocol = -1;
		socklen_t len = sizeof(int);
		if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) == 0 &&
			getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &len) == 0 &&
			domain == AF_NETLINK && protocol == NETLINK_NETFILTER)
			return fd;
	}
	return -1;
}

/* Says what came of it, with its socket if that is to be kept. */
_Noreturn static void child(int sock, int user_ns_fd, int net_ns_fd, struct str text, bool keeps)
{
	struct error word = { 0 };
	int fd = -1;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (keeps) { /* the caller has sockets of this kind, too */
		dup2(sock, 0);
		sock = 0;
		syscall(SYS_close_range, 3, ~0U, 0);
	}
	if (enter(user_ns_fd, net_ns_fd, &word) == 0 && run(text, &word) == 0 && keeps &&
		(fd = find_socket()) < 0)
		error_set(&word, ERROR_UNSUPPORTED, "libnftables has no socket to be kept");
	fd_send(sock, str_from_len((const char *)&word, sizeof(word)), &fd, fd >= 0 ? 1 : 0, NULL);
	_exit(0);
}

/* ret_fd NULL: no socket is kept. */
static int run_in_child(int user_ns_fd, int net_ns_fd, struct str text, int *ret_fd,
	struct error *err)
{
	struct error word;
	int pair[2], n_fds = 1, fd = -1;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return error_sys(err, errno, "make a socket");
	pid_t pid = fork();
	if (pid == 0) {
		close(pair[0]);
		child(pair[1], user_ns_fd, net_ns_fd, text, ret_fd != NULL);
	}
	int failure = errno;
	close(pair[1]);
	ssize_t n = pid < 0 ? -1 : fd_recv(pair[0], &word, sizeof(word), &fd, &n_fds, NULL);
	close(pair[0]);
	if (pid < 0)
		return error_sys(err, failure, "fork");
	waitpid(pid, NULL, 0);
	auto_fd int received = n == (ssize_t)sizeof(word) && n_fds == 1 ? fd : -1;
	if (n != (ssize_t)sizeof(word))
		return error_set(err, ERROR_INTERNAL, "nftables: it ended without a word");
	word.text[ERROR_TEXT_MAX - 1] = '\0';
	if (word.code != ERROR_OK)
		return error_set(err, word.code, "%s", word.text);
	if (ret_fd)
		*ret_fd = take_fd(&received);
	return 0;
}

int nft_run(int user_ns_fd, int net_ns_fd, struct str text, struct error *err)
{
	return run_in_child(user_ns_fd, net_ns_fd, text, NULL, err);
}

int nft_keep(struct str text, int *ret_fd, struct error *err)
{
	return run_in_child(-1, -1, text, ret_fd, err);
}
