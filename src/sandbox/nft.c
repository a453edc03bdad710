/* SPDX-License-Identifier: Apache-2.0 */
#include "sandbox/nft.h"

#include "base/auto.h"
#include "base/file.h"

#include <dlfcn.h>
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

/* Says what came of it; then waits for the other end to go, if it is to stay. */
_Noreturn static void child(int sock, int user_ns_fd, int net_ns_fd, struct str text, bool stays)
{
	struct error word = { 0 };
	sigset_t none;
	char byte;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (stays) {
		dup2(sock, 0);
		sock = 0;
		syscall(SYS_close_range, 3, ~0U, 0);
	}
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if (enter(user_ns_fd, net_ns_fd, &word) == 0)
		run(text, &word);
	if (send(sock, &word, sizeof(word), MSG_NOSIGNAL) == (ssize_t)sizeof(word) && stays &&
		word.code == ERROR_OK)
		while (recv(sock, &byte, 1, 0) < 0 && errno == EINTR)
			;
	_exit(0);
}

static int start(int user_ns_fd, int net_ns_fd, struct str text, bool stays, int *ret_sock,
	pid_t *ret_pid, struct error *err)
{
	struct error word;
	int pair[2];
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return error_sys(err, errno, "make a socket");
	auto_fd int ours = pair[0], theirs = pair[1];
	*ret_pid = fork();
	if (*ret_pid < 0)
		return error_sys(err, errno, "fork");
	if (*ret_pid == 0) {
		close(ours);
		child(theirs, user_ns_fd, net_ns_fd, text, stays);
	}
	theirs = close_fd(theirs);
	ssize_t n;
	while ((n = recv(ours, &word, sizeof(word), 0)) < 0 && errno == EINTR)
		;
	if (n != (ssize_t)sizeof(word))
		return error_set(err, ERROR_INTERNAL, "nftables: it ended without a word");
	word.text[ERROR_TEXT_MAX - 1] = '\0';
	if (word.code != ERROR_OK)
		return error_set(err, word.code, "%s", word.text);
	*ret_sock = take_fd(&ours);
	return 0;
}

int nft_run(int user_ns_fd, int net_ns_fd, struct str text, struct error *err)
{
	pid_t pid = 0;
	int sock = -1;
	int r = start(user_ns_fd, net_ns_fd, text, false, &sock, &pid, err);
	close_fd(sock);
	if (pid > 0)
		waitpid(pid, NULL, 0);
	return r;
}

int nft_keep(struct str text, int *ret_fd, struct error *err)
{
	pid_t pid = 0;
	int r = start(-1, -1, text, true, ret_fd, &pid, err);
	if (r < 0 && pid > 0)
		waitpid(pid, NULL, 0);
	return r; /* else it is waited for with the other orphans */
}
