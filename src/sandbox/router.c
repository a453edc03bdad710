/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. Of the /20, number 1 is the router for every sandbox, 2 and up are
 * sandboxes, and the last two are the ends of the way to the host. A sandbox has its address alone
 * (/32), and a route over its device to the router, which answers for whatever it wants to reach.
 * `rp_filter` sees to it that nobody speaks with an address of another: what does not lie behind
 * the device that it comes from is dropped before any rule.
 *
 * Work in another namespace is done by a child that enters it (setns), one for each thing that is
 * done.
 */
#include "sandbox/router.h"

#include "base/auto.h"
#include "base/bug.h"
#include "base/file.h"
#include "base/log.h"
#include "sandbox/filterlog.h"
#include "sandbox/fence.h"
#include "sandbox/nft.h"
#include "sandbox/nslimit.h"
#include "sandbox/rtnl.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

enum {
	POOL_BITS = 20,
	POOL_SIZE = 1 << (32 - POOL_BITS),
	POOLS = 1 << (POOL_BITS - 10),
	TRIES = 32,
	GATEWAY = 1,
	FIRST = 2,
	UP_INSIDE = POOL_SIZE - 2,
	UP_OUTSIDE = POOL_SIZE - 1,
	TEXT_MAX = 64 * 1024,
	CONNECTIONS_MAX =
		4096, /* of one sandbox, in the router's table and in the host's of some 262,144 */
};
#define POOL_BASE  UINT32_C(0x64400000) /* 100.64.0.0/10, set aside for carriers' own networks */

#define IP_FORMAT  "%u.%u.%u.%u"
#define IP_ARGS(a) (a) >> 24, (a) >> 16 & 255, (a) >> 8 & 255, (a)&255

struct work {
	const struct router *r;
	uint32_t number;
	int sandbox_ns_fd, host_ns_fd, sock;
	const struct spec_net *net;
	uint16_t group; /* of filterlog.h; 0: nobody listens */
};

typedef int work_fn(const struct work *w, struct error *err);

/* In a child: namespaces of a single-threaded process are entered and left with it. */
static int in_child(work_fn *fn, const struct work *w, struct error *err)
{
	struct error word = { 0 };
	int pair[2];
	if (pipe2(pair, O_CLOEXEC) < 0)
		return error_sys(err, errno, "make a pipe");
	pid_t pid = fork();
	if (pid == 0) {
		fn(w, &word);
		_exit(write(pair[1], &word, sizeof(word)) == (ssize_t)sizeof(word) ? 0 : 1);
	}
	close(pair[1]);
	ssize_t n = pid < 0 ? -1 : read(pair[0], &word, sizeof(word));
	close(pair[0]);
	if (pid < 0)
		return error_sys(err, errno, "fork");
	waitpid(pid, NULL, 0);
	if (n != (ssize_t)sizeof(word))
		return error_set(err, ERROR_INTERNAL, "a child ended without a word");
	word.text[ERROR_TEXT_MAX - 1] = '\0';
	return word.code == ERROR_OK ? 0 : error_set(err, word.code, "%s", word.text);
}

static int enter(int ns_fd, struct error *err)
{
	return setns(ns_fd, CLONE_NEWNET) < 0 ? error_sys(err, errno, "enter a network namespace")
					      : 0;
}

static int set(const char *path, const char *value, struct error *err)
{
	return file_write_once(AT_FDCWD, path, str_from(value), err);
}

/* Where there is no IPv6 at all, there is nothing to switch off. */
static int close_ipv6(const char *device, struct error *err)
{
	auto_free char *path = mem_printf("/proc/sys/net/ipv6/conf/%s/disable_ipv6", device);
	return access(path, F_OK) == 0 ? set(path, "1", err) : 0;
}

/* ---- the router itself ---- */

static int make_inside(const struct work *w, struct error *err)
{
	auto_fd int fd = -1;
	uint32_t base = w->r->base;
	if (enter(w->r->ns_fd, err) < 0 || close_ipv6("all", err) < 0 ||
		close_ipv6("default", err) < 0 ||
		set("/proc/sys/net/ipv4/ip_forward", "1", err) < 0 ||
		set("/proc/sys/net/ipv4/conf/all/rp_filter", "1", err) < 0 ||
		set("/proc/sys/net/ipv4/conf/default/rp_filter", "1", err) < 0 ||
		set("/proc/sys/net/ipv4/conf/all/send_redirects", "0", err) < 0 ||
		set("/proc/sys/net/ipv4/conf/default/send_redirects", "0", err) < 0)
		return -1;
	if (rtnl_open(&fd, err) < 0 || rtnl_up(fd, "lo", err) < 0 ||
		rtnl_add_address(fd, "lo", base + GATEWAY, 32, err) < 0 ||
		rtnl_add_veth(fd, "up", w->r->device, w->host_ns_fd, 0, err) < 0 ||
		rtnl_add_address(fd, "up", base + UP_INSIDE, 31, err) < 0 ||
		rtnl_up(fd, "up", err) < 0)
		return -1;
	return rtnl_add_unreachable(fd, base, POOL_BITS, err) < 0
		? -1
		: rtnl_add_route(fd, "up", 0, 0, base + UP_OUTSIDE, err);
}

static int make_outside(const struct work *w, struct error *err)
{
	auto_fd int fd = -1;
	const char *device = w->r->device;
	if (rtnl_open(&fd, err) < 0 || close_ipv6(device, err) < 0 ||
		rtnl_add_address(fd, device, w->r->base + UP_OUTSIDE, 31, err) < 0)
		return -1;
	return rtnl_up(fd, device, err);
}

/*
 * Nothing is for the router itself; from one sandbox to another there are the rules of a named
 * network alone.
 */
static int put_rules_inside(const struct router *r, struct error *err)
{
	auto_buf struct buf b = BUF_INIT(TEXT_MAX);
	buf_puts(&b, "table inet cay {\n");
	fence_put_sets(&b);
	buf_puts(&b,
		"map doors { type ifname : verdict; }\n"
		"chain input { type filter hook input priority 0; policy drop;\n"
		"iif lo accept\nmeta l4proto tcp reject with tcp reset\nreject\n}\n"
		"chain forward { type filter hook forward priority 0; policy drop;\n"
		"meta nfproto != ipv4 drop\n"
		"ct state established,related accept\n"
		"ct state invalid drop\n"
		"iifname vmap @doors\n}\n"
		"chain nat { type nat hook postrouting priority 100; oifname \"up\" masquerade fully-random; }\n}\n");
	return nft_run(-1, r->ns_fd, buf_str(&b), err);
}

/*
 * The host itself is not reached, and nothing that is begun elsewhere comes in. Rules of others (a
 * firewall, a container engine) count as well: what they drop is dropped.
 */
static int put_rules_outside(struct router *r, struct error *err)
{
	auto_buf struct buf b = BUF_INIT(TEXT_MAX);
	buf_printf(&b,
		"table inet %1$s { flags owner;\n"
		"chain input { type filter hook input priority -10; policy accept;\n"
		"iifname \"%1$s\" meta l4proto tcp reject with tcp reset\niifname \"%1$s\" reject\n}\n"
		"chain forward { type filter hook forward priority -10; policy accept;\n"
		"oifname \"%1$s\" ct state established,related accept\noifname \"%1$s\" drop\n}\n"
		"chain nat { type nat hook postrouting priority 90; policy accept; ip saddr %2$u.%3$u.%4$u.%5$u masquerade fully-random; }\n}\n",
		r->device, IP_ARGS(r->base + UP_INSIDE));
	return nft_keep(buf_str(&b), &r->keep_fd, err);
}

/* Whether the host has a way to any of these addresses but the one to everywhere. */
static bool is_taken(struct str routes, uint32_t base)
{
	struct str line;
	str_split(&routes, '\n', &line);
	while (str_split(&routes, '\n', &line)) {
		unsigned to, mask;
		auto_free char *text = str_dup(line);
		if (sscanf(text, "%*s %x %*x %*x %*d %*d %*d %x", &to, &mask) == 2 && mask != 0 &&
			(((base ^ ntohl(to)) & ntohl(mask)) == 0 ||
				((base ^ ntohl(to)) & ~(uint32_t)(POOL_SIZE - 1)) == 0))
			return true;
	}
	return false;
}

static int choose_addresses(struct router *r, struct error *err)
{
	auto_buf struct buf routes = BUF_INIT(16 * 1024 * 1024);
	if (file_read(AT_FDCWD, "/proc/net/route", &routes, err) < 0)
		return -1;
	for (int i = 0; i < TRIES; i++) {
		uint32_t random;
		if (getrandom(&random, sizeof(random), 0) != (ssize_t)sizeof(random))
			return error_sys(err, errno, "getrandom");
		r->base = POOL_BASE + random % POOLS * POOL_SIZE;
		snprintf(r->device, sizeof(r->device), "cay%08x", random);
		if (!is_taken(buf_str(&routes), r->base) && if_nametoindex(r->device) == 0)
			return 0;
	}
	return error_set(err, ERROR_UNAVAILABLE, "no addresses of 100.64.0.0/10 are free here");
}

static int check_forwarding(struct error *err)
{
	auto_buf struct buf b = BUF_INIT(64);
	if (file_read(AT_FDCWD, "/proc/sys/net/ipv4/ip_forward", &b, err) < 0)
		return -1;
	return str_is(str_trim(buf_str(&b)), "1")
		? 0
		: error_set(err, ERROR_UNSUPPORTED,
			  "this host does not forward packets: sudo sysctl -w net.ipv4.ip_forward=1");
}

static int make_namespace(const struct work *w, struct error *err)
{
	if (unshare(CLONE_NEWNET) < 0)
		return nslimit_sys(err, errno, "make a network namespace");
	auto_fd int fd = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return error_sys(err, errno, "open it");
	return fd_send(w->sock, STR("N"), &fd, 1, err);
}

static int open_namespace(int *ret_fd, struct error *err)
{
	int pair[2], n = 1;
	char byte;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return error_sys(err, errno, "make a socket");
	auto_fd int ours = pair[0], theirs = pair[1];
	const struct work w = { .sock = theirs };
	if (in_child(make_namespace, &w, err) < 0)
		return -1;
	if (fd_recv(ours, &byte, 1, ret_fd, &n, err) != 1 || n != 1)
		return error_set(err, ERROR_INTERNAL, "no namespace came");
	return 0;
}

/* The name of the device, so that what is left of us can be found. */
static int write_record(struct router *r, const char *run_dir, struct error *err)
{
	auto_free char *dir = mem_printf("%s/routers", run_dir);
	auto_free char *path = mem_printf("%s/%s", dir, r->device);
	if (file_mkdirs(dir, 0700, err) < 0)
		return -1;
	r->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (r->lock_fd < 0 || flock(r->lock_fd, LOCK_EX | LOCK_NB) < 0)
		return error_sys(err, errno, "record %s", r->device);
	return 0;
}

static int make(struct router *r, const char *run_dir, struct error *err)
{
	auto_fd int host_ns_fd = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	const struct work w = { .r = r, .host_ns_fd = host_ns_fd };
	if (host_ns_fd < 0)
		return error_sys(err, errno, "open the host's network namespace");
	if (check_forwarding(err) < 0 || choose_addresses(r, err) < 0 ||
		write_record(r, run_dir, err) < 0 || open_namespace(&r->ns_fd, err) < 0 ||
		in_child(make_inside, &w, err) < 0 || make_outside(&w, err) < 0)
		return -1;
	r->next = FIRST;
	return put_rules_inside(r, err) < 0 ? -1 : put_rules_outside(r, err);
}

void router_fini(struct router *r)
{
	auto_fd int fd = -1;
	if (r->ns_fd >= 0 && rtnl_open(&fd, NULL) == 0)
		rtnl_delete(fd, r->device, NULL); /* at once, not when the kernel gets to it */
	r->keep_fd = close_fd(r->keep_fd);
	r->ns_fd = close_fd(r->ns_fd);
	if (r->lock_fd >= 0) {
		char path[64], name[4096];
		snprintf(path, sizeof(path), "/proc/self/fd/%d", r->lock_fd);
		ssize_t n = readlink(path, name, sizeof(name) - 1);
		name[n > 0 ? n : 0] = '\0';
		unlink(name);
	}
	r->lock_fd = close_fd(r->lock_fd);
	memset(r->used, 0, sizeof(r->used));
}

int router_probe(const char *run_dir, struct error *err)
{
	static struct router r = ROUTER_INIT;
	int result = make(&r, run_dir, err);
	router_fini(&r);
	return result;
}

/* ---- sandboxes ---- */

static int find_number(struct router *r, uint32_t *ret, struct error *err)
{
	for (uint32_t i = 0; i < ROUTER_MAX; i++) {
		uint32_t number = FIRST + (r->next - FIRST + i) % (ROUTER_MAX - FIRST);
		if (!r->used[number]) {
			r->next = number +
				1; /* one that ended leaves its number alone for as long as may be */
			*ret = number;
			return 0;
		}
	}
	return error_set(err, ERROR_LIMIT, "%d sandboxes have the network bridge", ROUTER_MAX);
}

static int wire(const struct work *w, struct error *err)
{
	char device[16];
	auto_fd int here = -1, there = -1;
	uint32_t base = w->r->base, address = base + w->number;
	snprintf(device, sizeof(device), "b%u", w->number);
	if (enter(w->r->ns_fd, err) < 0 || rtnl_open(&here, err) < 0 ||
		rtnl_add_veth(here, device, "eth0", w->sandbox_ns_fd, 0, err) < 0 ||
		rtnl_up(here, device, err) < 0 ||
		rtnl_add_route(here, device, address, 32, 0, err) < 0)
		return -1;
	if (enter(w->sandbox_ns_fd, err) < 0 || close_ipv6("eth0", err) < 0 ||
		rtnl_open(&there, err) < 0 ||
		rtnl_add_address(there, "eth0", address, 32, err) < 0 ||
		rtnl_up(there, "eth0", err) < 0 ||
		rtnl_add_route(there, "eth0", base + GATEWAY, 32, 0, err) < 0)
		return -1;
	return rtnl_add_route(there, "eth0", 0, 0, base + GATEWAY, err);
}

/* Of a named network there is the set of its members' addresses. */
static int put_rules(const struct work *w, struct error *err)
{
	auto_buf struct buf b = BUF_INIT(TEXT_MAX);
	uint32_t address = w->r->base + w->number;
	const char *name = w->net->name;
	char chain[16];
	if (name[0])
		buf_printf(&b,
			"add set inet cay net_%s { type ipv4_addr; }\n"
			"add element inet cay net_%s { " IP_FORMAT " }\n",
			name, name, IP_ARGS(address));
	snprintf(chain, sizeof(chain), "b%u", w->number);
	buf_puts(&b, "table inet cay {\n");
	fence_put_ends(chain, w->group, CONNECTIONS_MAX, &b);
	buf_printf(&b, "chain b%u {\nip saddr != " IP_FORMAT " drop\n", w->number,
		IP_ARGS(address));
	if (name[0])
		buf_printf(&b, "oifname != \"up\" ip daddr @net_%s goto %s_yes\n", name, chain);
	buf_printf(&b, "oifname != \"up\" goto %s_no\n", chain);
	fence_put_rules(w->net, chain, &b);
	buf_printf(&b, "}\n}\nadd element inet cay doors { \"b%u\" : jump b%u }\n", w->number,
		w->number);
	return b.is_full ? error_set(err, ERROR_TOO_LARGE, "too many rules")
			 : nft_run(-1, w->r->ns_fd, buf_str(&b), err);
}

/*
 * The set of a named network goes with its last member: the kernel refuses while a rule speaks of
 * it.
 */
static void drop_set(struct router *r, const char *name)
{
	auto_buf struct buf b = BUF_INIT(TEXT_MAX);
	struct error err;
	buf_printf(&b, "delete set inet cay net_%s\n", name);
	nft_run(-1, r->ns_fd, buf_str(&b), &err);
}

void router_detach(struct router *r, struct router_port *port)
{
	auto_buf struct buf b = BUF_INIT(TEXT_MAX);
	struct error err;
	uint32_t number = port->number;
	if (!number)
		return;
	buf_printf(&b,
		"delete element inet cay doors { \"b%1$u\" }\ndelete chain inet cay b%1$u\n"
		"delete chain inet cay b%1$u_yes\ndelete chain inet cay b%1$u_no\n",
		number);
	if (port->name[0])
		buf_printf(&b, "delete element inet cay net_%s { " IP_FORMAT " }\n", port->name,
			IP_ARGS(r->base + number));
	/* A number whose rules are still there is given to nobody. */
	if (nft_run(-1, r->ns_fd, buf_str(&b), &err) < 0)
		log_error("bridge.detach", "error=%s", err.text);
	else
		r->used[number] = false;
	if (port->name[0])
		drop_set(r, port->name);
	*port = (struct router_port){ 0 };
}

/* Without a log the network is what it is otherwise. */
static uint16_t open_log(const struct router *r, uint32_t number, int *ret_fd)
{
	struct error err;
	if (filterlog_open(-1, r->ns_fd, (uint16_t)number, ret_fd, &err) == 0)
		return (uint16_t)number;
	log_warn("bridge.decisions", "error=%s", err.text);
	return 0;
}

int router_attach(struct router *r, const struct spec_net *net, pid_t init_pid, const char *run_dir,
	struct router_port *ret, int *ret_decisions_fd, struct error *err)
{
	auto_fd int decisions_fd = -1;
	auto_free char *path = mem_printf("/proc/%d/ns/net", (int)init_pid);
	auto_fd int sandbox_ns_fd = open(path, O_RDONLY | O_CLOEXEC);
	if (sandbox_ns_fd < 0)
		return error_sys(err, errno, "bridge: open %s", path);
	if (r->ns_fd < 0 && make(r, run_dir, err) < 0) {
		router_fini(r);
		return error_wrap(err, "bridge");
	}
	struct work w = { .r = r, .sandbox_ns_fd = sandbox_ns_fd, .host_ns_fd = -1, .net = net };
	if (find_number(r, &w.number, err) < 0)
		return error_wrap(err, "bridge");
	w.group = open_log(r, w.number, &decisions_fd);
	/* The rules first: there is no moment without them. */
	if (put_rules(&w, err) < 0)
		return error_wrap(err, "bridge");
	r->used[w.number] = true;
	ret->number = w.number;
	memcpy(ret->name, net->name, sizeof(ret->name));
	if (in_child(wire, &w, err) < 0) {
		router_detach(r, ret);
		return error_wrap(err, "bridge");
	}
	*ret_decisions_fd = take_fd(&decisions_fd);
	return 0;
}
