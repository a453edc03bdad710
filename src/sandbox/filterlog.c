/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A socket belongs to the network namespace that it was made in: a child goes there, makes it and
 * sends it back.
 */
#include "sandbox/filterlog.h"

#include "base/auto.h"
#include "base/file.h"

#include <arpa/inet.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_log.h>
#include <linux/netlink.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

enum { HEADERS_BYTES = 64 }; /* of a packet, of which no more is wanted */

/* One attribute of a configuration, of up to 8 bytes. */
struct ask {
	struct nlmsghdr head;
	struct nfgenmsg group;
	struct nlattr attr;
	uint8_t value[8];
};

static int configure(int fd, uint16_t group, uint16_t type, const void *value, size_t size,
	struct error *err)
{
	struct {
		struct nlmsghdr head;
		struct nlmsgerr error;
		char rest[128];
	} said;
	struct ask ask = {
		.head = { .nlmsg_len = (uint32_t)(offsetof(struct ask, value) + ((size + 3) & ~3U)),
			.nlmsg_type = NFNL_SUBSYS_ULOG << 8 | NFULNL_MSG_CONFIG,
			.nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK },
		.group = { .nfgen_family = AF_UNSPEC,
			.version = NFNETLINK_V0,
			.res_id = htons(group) },
		.attr = { .nla_len = (uint16_t)(sizeof(struct nlattr) + size), .nla_type = type },
	};
	memcpy(ask.value, value, size);
	if (send(fd, &ask, ask.head.nlmsg_len, 0) < 0)
		return error_sys(err, errno, "ask for the packet filter's log");
	/* Packets of others who had this group would come before the answer: there are none. */
	if (recv(fd, &said, sizeof(said), 0) < (ssize_t)(sizeof(said.head) + sizeof(said.error)) ||
		said.head.nlmsg_type != NLMSG_ERROR)
		return error_sys(err, errno ? errno : EPROTO, "hear of the packet filter's log");
	return said.error.error ? error_sys(err, -said.error.error, "the packet filter's log") : 0;
}

static int open_here(uint16_t group, int *ret_fd, struct error *err)
{
	const struct nfulnl_msg_config_cmd bind = { .command = NFULNL_CFG_CMD_BIND };
	const struct nfulnl_msg_config_mode mode = { .copy_range = htonl(HEADERS_BYTES),
		.copy_mode = NFULNL_COPY_PACKET };
	const uint32_t at_once = htonl(1);
	auto_fd int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER);
	if (fd < 0)
		return error_sys(err, errno, "open a socket to the packet filter");
	if (configure(fd, group, NFULA_CFG_CMD, &bind, sizeof(bind), err) < 0 ||
		configure(fd, group, NFULA_CFG_MODE, &mode, sizeof(mode), err) < 0 ||
		configure(fd, group, NFULA_CFG_QTHRESH, &at_once, sizeof(at_once), err) < 0 ||
		fd_set_nonblock(fd, err) < 0)
		return -1;
	*ret_fd = take_fd(&fd);
	return 0;
}

static int open_there(int user_ns_fd, int net_ns_fd, uint16_t group, int *ret_fd, struct error *err)
{
	if (user_ns_fd >= 0 && setns(user_ns_fd, CLONE_NEWUSER) < 0)
		return error_sys(err, errno, "enter the user namespace");
	if (setns(net_ns_fd, CLONE_NEWNET) < 0)
		return error_sys(err, errno, "enter the network namespace");
	return open_here(group, ret_fd, err);
}

_Noreturn static void child(int sock, int user_ns_fd, int net_ns_fd, uint16_t group)
{
	struct error word = { 0 };
	int fd = -1;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	open_there(user_ns_fd, net_ns_fd, group, &fd, &word);
	int r = fd_send(sock, str_from_len((const char *)&word, sizeof(word)), &fd, fd >= 0, NULL);
	_exit(r < 0 ? 1 : 0);
}

static int hear(int sock, int *ret_fd, struct error *err)
{
	struct error word;
	int fd = -1, n = 1;
	if (fd_recv(sock, &word, sizeof(word), &fd, &n, err) != (ssize_t)sizeof(word))
		return error_set(err, ERROR_INTERNAL, "a child ended without a word");
	word.text[ERROR_TEXT_MAX - 1] = '\0';
	if (word.code != ERROR_OK || n != 1)
		return error_set(err, word.code != ERROR_OK ? word.code : ERROR_INTERNAL, "%s",
			word.text);
	*ret_fd = fd;
	return 0;
}

int filterlog_open(int user_ns_fd, int net_ns_fd, uint16_t group, int *ret_fd, struct error *err)
{
	int pair[2];
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return error_sys(err, errno, "make a socket");
	auto_fd int ours = pair[0], theirs = pair[1];
	pid_t pid = fork();
	if (pid < 0)
		return error_sys(err, errno, "fork");
	if (pid == 0)
		child(theirs, user_ns_fd, net_ns_fd, group);
	theirs = close_fd(theirs);
	int r = hear(ours, ret_fd, err);
	waitpid(pid, NULL, 0);
	return r;
}
