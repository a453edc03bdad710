/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. pasta stays in the foreground, so that it is our child and dies with us; it
 * says that the network is there by its pid file, which is a FIFO here: it is written after the
 * device was set up. A pasta that hangs instead (as one does that may not open /dev/net/tun) is
 * killed after READY_MS.
 *
 * It joins the sandbox's user namespace and makes namespaces in which it locks itself up; in a
 * sandbox none can be made. So they can for as long as it starts: nothing of the agent's runs by
 * then.
 */
#include "sandbox/pasta.h"

#include "base/auto.h"
#include "base/bug.h"
#include "base/family.h"
#include "base/file.h"
#include "base/log.h"
#include "sandbox/filterlog.h"
#include "sandbox/fence.h"
#include "sandbox/host.h"
#include "sandbox/nft.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

enum { LOG_GROUP = 1, READY_MS = 5000, TEXT_MAX = 64 * 1024, SAID_MAX = 2048 };

#define REMEDY_INSTALL "sudo apt-get install passt"
#define REMEDY_TUN     "sudo chmod 666 /dev/net/tun"

static const char *const places[] = { "/usr/bin/pasta", "/usr/local/bin/pasta", "/bin/pasta" };

static const char *find_program(void)
{
	for (size_t i = 0; i < ARRAY_LEN(places); i++)
		if (access(places[i], X_OK) == 0)
			return places[i];
	return NULL;
}

/* What only root can mend is said before anything is tried. */
static int check_host(struct error *err)
{
	if (geteuid() == 0)
		return error_set(err, ERROR_UNSUPPORTED,
			"pasta is for who is not root: with root, --network bridge");
	if (!find_program())
		return error_set(err, ERROR_UNSUPPORTED, "pasta is not installed: " REMEDY_INSTALL);
	auto_fd int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return error_set(err, ERROR_UNSUPPORTED, "/dev/net/tun: %s: " REMEDY_TUN,
			strerror(errno));
	return 0;
}

/*
 * The host's own addresses, whatever the list says: a socket of pasta's to one of them would find
 * what listens here. Those that it is given later are not among them.
 */
static void put_host(struct buf *b)
{
	struct ifaddrs *all = NULL;
	char text[INET_ADDRSTRLEN];
	if (getifaddrs(&all) < 0)
		return;
	for (const struct ifaddrs *a = all; a; a = a->ifa_next) {
		struct sockaddr_in in;
		if (!a->ifa_addr || a->ifa_addr->sa_family != AF_INET)
			continue;
		memcpy(&in, a->ifa_addr, sizeof(in));
		if (inet_ntop(AF_INET, &in.sin_addr, text, sizeof(text)))
			buf_printf(b, "ip daddr %s goto out_no\n", text);
	}
	freeifaddrs(all);
}

/*
 * What comes in is answers alone; what goes out passes the fence. The sandbox's own loopback is its
 * own.
 */
static int put_rules(const struct spec_net *net, int user_ns_fd, int net_ns_fd, uint16_t group,
	struct error *err)
{
	auto_buf struct buf b = BUF_INIT(TEXT_MAX);
	buf_puts(&b, "table inet cay {\n");
	fence_put_sets(&b);
	fence_put_ends("out", group, 0, &b); /* pasta has a table of its own */
	buf_puts(&b,
		"chain input { type filter hook input priority 0; policy drop;\n"
		"iifname \"lo\" accept\nct state established,related accept\n}\n"
		"chain output { type filter hook output priority 0; policy drop;\n"
		"oifname \"lo\" accept\nct state established,related accept\n");
	put_host(&b);
	fence_put_rules(net, "out", &b);
	buf_puts(&b, "}\n}\n");
	return nft_run(user_ns_fd, net_ns_fd, buf_str(&b), err);
}

_Noreturn static void child(const char *program, int said_fd, pid_t parent, pid_t init_pid,
	const struct cgroup *cgroup, const char *pid_file)
{
	char user_ns[64], net_ns[64];
	sigset_t none;
	snprintf(user_ns, sizeof(user_ns), "/proc/%d/ns/user", (int)init_pid);
	snprintf(net_ns, sizeof(net_ns), "/proc/%d/ns/net", (int)init_pid);
	const char *const argv[] = { "pasta", "--foreground", "--quiet", "--ipv4-only",
		"--config-net", "--ns-ifname", "eth0", "--tcp-ports", "none", "--udp-ports", "none",
		"--tcp-ns", "none", "--udp-ns", "none", "--no-map-gw", "--no-dhcp",
		"--no-netns-quit", "--pid", pid_file, "--userns", user_ns, "--netns", net_ns,
		NULL };
	const char *const envp[] = { "PATH=/usr/bin:/bin", NULL };
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	bool is_in_group = cgroup_enter_keeper(cgroup, NULL) == 0;
	int null_fd = open("/dev/null", O_RDWR);
	dup2(null_fd, 0);
	dup2(null_fd, 1);
	dup2(said_fd, 2);
	syscall(SYS_close_range, 3, ~0U, 0);
	if (family_follow(parent) && is_in_group)
		execve(program, (char *const *)(uintptr_t)argv, (char *const *)(uintptr_t)envp);
	_exit(127);
}

/* Waits for its word, its end, or the time. */
static int await(int fifo_fd, int pidfd, int said_fd, struct error *err)
{
	struct pollfd p[2] = { { .fd = fifo_fd, .events = POLLIN },
		{ .fd = pidfd, .events = POLLIN } };
	char said[SAID_MAX + 1];
	int n = poll(p, 2, READY_MS);
	if (n > 0 && (p[0].revents & POLLIN))
		return 0;
	ssize_t len = recv(said_fd, said, SAID_MAX, MSG_DONTWAIT);
	struct str text = str_trim(str_from_len(said, len > 0 ? (size_t)len : 0)), line,
		   last = STR_NONE;
	while (str_split(&text, '\n', &line))
		if (str_find(line, STR("syslog")) < 0)
			last = line;
	return error_set(err, ERROR_UNSUPPORTED, "pasta: %.*s",
		STR_ARG(n == 0 ? STR("it did not set the network up in time")
			       : str_first(last, 160)));
}

/* How many namespaces of a kind can be made in the user namespace. */
static int allow_namespaces(int user_ns_fd, const char *number, struct error *err)
{
	static const char *const limits[] = { "/proc/sys/user/max_mnt_namespaces",
		"/proc/sys/user/max_ipc_namespaces", "/proc/sys/user/max_uts_namespaces",
		"/proc/sys/user/max_pid_namespaces" };
	int status = -1;
	pid_t pid = fork();
	if (pid < 0)
		return error_sys(err, errno, "fork");
	if (pid == 0) {
		if (setns(user_ns_fd, CLONE_NEWUSER) < 0)
			_exit(1);
		for (size_t i = 0; i < ARRAY_LEN(limits); i++)
			if (file_write_once(AT_FDCWD, limits[i], str_from(number), NULL) < 0)
				_exit(2);
		_exit(0);
	}
	if (waitpid(pid, &status, 0) != pid || status != 0)
		return error_set(err, ERROR_INTERNAL, "the limits on namespaces cannot be set");
	return 0;
}

static int start(pid_t init_pid, const struct cgroup *cgroup, const char *fifo, struct pasta *ret,
	struct error *err)
{
	int pair[2];
	const char *program = find_program();
	if (!program)
		return error_set(err, ERROR_UNSUPPORTED, "pasta is not installed: " REMEDY_INSTALL);
	auto_fd int fifo_fd = open(fifo, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (fifo_fd < 0)
		return error_sys(err, errno, "open %s", fifo);
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return error_sys(err, errno, "make a socket");
	auto_fd int ours = pair[0], theirs = pair[1];
	pid_t parent = getpid(), pid = fork();
	if (pid < 0)
		return error_sys(err, errno, "fork");
	if (pid == 0)
		child(program, theirs, parent, init_pid, cgroup, fifo);
	ret->pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (ret->pidfd >= 0 && await(fifo_fd, ret->pidfd, ours, err) == 0)
		return 0;
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	ret->pidfd = close_fd(ret->pidfd);
	return -1;
}

/* Without a log the network is what it is otherwise. */
static uint16_t open_log(int user_ns_fd, int net_ns_fd, int *ret_fd)
{
	struct error err;
	if (filterlog_open(user_ns_fd, net_ns_fd, LOG_GROUP, ret_fd, &err) == 0)
		return LOG_GROUP;
	log_warn("pasta.decisions", "error=%s", err.text);
	return 0;
}

int pasta_attach(const struct spec_net *net, pid_t init_pid, const struct cgroup *cgroup,
	struct pasta *ret, int *ret_decisions_fd, struct error *err)
{
	auto_fd int decisions_fd = -1;
	char user_ns[64], net_ns[64], dir[] = "/tmp/cay-pasta-XXXXXX", fifo[64];
	if (check_host(err) < 0)
		return -1;
	snprintf(user_ns, sizeof(user_ns), "/proc/%d/ns/user", (int)init_pid);
	snprintf(net_ns, sizeof(net_ns), "/proc/%d/ns/net", (int)init_pid);
	auto_fd int user_fd = open(user_ns, O_RDONLY | O_CLOEXEC);
	auto_fd int net_fd = open(net_ns, O_RDONLY | O_CLOEXEC);
	if (user_fd < 0 || net_fd < 0)
		return error_sys(err, errno, "pasta: open the sandbox's namespaces");
	uint16_t group = open_log(user_fd, net_fd, &decisions_fd);
	if (put_rules(net, user_fd, net_fd, group, err) < 0)
		return error_wrap(err, "pasta");
	if (!mkdtemp(dir))
		return error_sys(err, errno, "pasta: make a directory");
	snprintf(fifo, sizeof(fifo), "%s/ready", dir);
	int r = mkfifo(fifo, 0600) < 0 ? error_sys(err, errno, "make %s", fifo)
				       : allow_namespaces(user_fd, "16", err);
	if (r == 0)
		r = start(init_pid, cgroup, fifo, ret, err);
	unlink(fifo);
	rmdir(dir);
	/* Without a way to take that back there is no sandbox. */
	if (r == 0 && allow_namespaces(user_fd, "0", err) < 0) {
		pasta_detach(ret);
		r = -1;
	}
	if (r == 0)
		*ret_decisions_fd = take_fd(&decisions_fd);
	return r;
}

void pasta_detach(struct pasta *p)
{
	if (p->pidfd >= 0)
		syscall(SYS_pidfd_send_signal, p->pidfd, SIGKILL, NULL, 0);
	p->pidfd = close_fd(p->pidfd);
}

/* Namespaces as a sandbox has them, in a child that waits to be killed. */
static int make_namespaces(int ready_fd, pid_t parent)
{
	char map[64];
	unsigned uid = getuid(), gid = getgid();
	if (!family_follow(parent) || unshare(CLONE_NEWUSER | CLONE_NEWNET) < 0 ||
		file_write_once(AT_FDCWD, "/proc/self/setgroups", STR("deny"), NULL) < 0)
		return -1;
	snprintf(map, sizeof(map), "%d %u 1", AGENT_UID, uid);
	if (file_write_once(AT_FDCWD, "/proc/self/uid_map", str_from(map), NULL) < 0)
		return -1;
	snprintf(map, sizeof(map), "%d %u 1", AGENT_UID, gid);
	if (file_write_once(AT_FDCWD, "/proc/self/gid_map", str_from(map), NULL) < 0)
		return -1;
	return write(ready_fd, "", 1) == 1 ? 0 : -1;
}

int pasta_probe(struct error *err)
{
	static const struct spec_net closed;
	const struct cgroup none = CGROUP_INIT;
	struct pasta p = PASTA_INIT;
	auto_fd int decisions_fd = -1;
	int pair[2];
	char byte;
	if (check_host(err) < 0)
		return -1;
	if (pipe2(pair, O_CLOEXEC) < 0)
		return error_sys(err, errno, "make a pipe");
	pid_t parent = getpid(), pid = fork();
	if (pid == 0) {
		close(pair[0]);
		if (make_namespaces(pair[1], parent) == 0)
			pause();
		_exit(1);
	}
	close(pair[1]);
	int r = pid > 0 && read(pair[0], &byte, 1) == 1
		? pasta_attach(&closed, pid, &none, &p, &decisions_fd, err)
		: error_set(err, ERROR_UNSUPPORTED, "no user namespace with a network can be made");
	close(pair[0]);
	pasta_detach(&p);
	if (pid > 0) {
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
	}
	return r;
}
