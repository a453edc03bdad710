/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A server by hand, for the tests of the supervisor: takes commands from the test on an abstract socket
 * (SOCK_SEQPACKET, its name in FAKE_CAYD_SOCKET), one datagram each, and answers each with one datagram.
 *
 *	greet | hello, which is to greet and be ready | adopt INDEX | create ID [HOSTNAME] | destroy ID | usage ID | freeze ID 0|1 | host
 *	flood            asks about the host until there is no more room, reads nothing, says how often
 *	raw BYTES        that many zeroes instead of a request
 *	post COMMAND...  sends a request, and does not wait for its reply
 *	next             waits for a message of the supervisor
 *	call ID          asks that sandbox's executor who it is
 *	who              uid, open descriptors, state directory, NoNewPrivs
 *	exit STATUS
 */
#include "base/auto.h"
#include "base/file.h"
#include "sandbox/monitor.h"

#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>

enum { KNOWN_MAX = 64 };

static struct {
	char id[ID_SIZE];
	int control_fd;
} known[KNOWN_MAX];
static int n_known;
static uint64_t serial;
static int test_fd;
static const char *state_dir = "";

static void say(const char *text)
{
	if (send(test_fd, text, strlen(text), 0) < 0)
		_exit(1);
}

static int control_of(const char *id)
{
	for (int i = n_known - 1; i >= 0; i--)
		if (!strcmp(known[i].id, id))
			return known[i].control_fd;
	return -1;
}

static const struct {
	const char *word;
	uint32_t op;
} words[] = {
	{ "greet", MONITOR_HELLO },
	{ "ready", MONITOR_READY },
	{ "adopt", MONITOR_ADOPT },
	{ "create", MONITOR_CREATE },
	{ "destroy", MONITOR_DESTROY },
	{ "usage", MONITOR_USAGE },
	{ "freeze", MONITOR_FREEZE },
	{ "host", MONITOR_HOST },
	{ "ended", MONITOR_ENDED },
};

static const char *word_of(uint32_t op)
{
	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		if (words[i].op == op)
			return words[i].word;
	return "unknown";
}

static void receive(void)
{
	struct monitor_reply m;
	struct error err;
	int fds[FD_PASS_MAX], n_fds = FD_PASS_MAX;
	char text[1024];
	ssize_t n = fd_recv(MONITOR_FD, &m, sizeof(m), fds, &n_fds, &err);
	if (n != sizeof(m)) {
		say("closed");
		return;
	}
	if (n_fds == 1 && n_known < KNOWN_MAX) {
		memcpy(known[n_known].id, m.id, ID_SIZE);
		known[n_known++].control_fd = fds[0];
	}
	snprintf(text, sizeof(text),
		"op=%s serial=%lu code=%s id=%s count=%u reason=%u pid=%d fds=%d uid=%u controls=%#lx "
		"pids=%ld text=%s",
		word_of(m.op), (unsigned long)m.serial, error_name(m.error.code), m.id, m.count,
		m.end_reason, m.init_pid, n_fds, m.enforced.uid, (unsigned long)m.enforced.controls,
		(long)m.usage.pids, m.error.text);
	say(text);
}

static void request(const char *word, const char *a, const char *b)
{
	static struct monitor_request r;
	r = (struct monitor_request){ .version = MONITOR_VERSION };
	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		if (!strcmp(words[i].word, word))
			r.op = words[i].op;
	if (r.op != MONITOR_READY)
		r.serial = ++serial;
	if (r.op == MONITOR_CREATE) {
		snprintf(r.spec.id, sizeof(r.spec.id), "%s", a);
		snprintf(r.spec.hostname, sizeof(r.spec.hostname), "%s", b);
	}
	if (r.op == MONITOR_ADOPT)
		r.index = (uint32_t)strtoul(a, NULL, 10);
	snprintf(r.id, sizeof(r.id), "%s", a);
	r.flag = (uint32_t)strtoul(b, NULL, 10);
	if (send(MONITOR_FD, &r, sizeof(r), 0) < 0)
		say("closed");
}

/* The supervisor answers until its replies find no room, and reads no more then. */
static void flood(void)
{
	static struct monitor_request r;
	char text[32];
	int n = 0, quiet = 0;
	while (quiet < 200) {
		r = (struct monitor_request){ .version = MONITOR_VERSION,
			.op = MONITOR_HOST,
			.serial = serial + 1 };
		if (send(MONITOR_FD, &r, sizeof(r), MSG_DONTWAIT) == (ssize_t)sizeof(r)) {
			serial++;
			n++;
			quiet = 0;
		} else {
			struct timespec pause = { .tv_nsec = 1000000 };
			nanosleep(&pause, NULL);
			quiet++;
		}
	}
	snprintf(text, sizeof(text), "sent=%d", n);
	say(text);
}

static void raw(size_t size)
{
	static char zeroes[1 << 17];
	if (send(MONITOR_FD, zeroes, MIN(size, sizeof(zeroes)), 0) < 0)
		say("closed");
}

static void call(const char *id)
{
	int pair[2];
	char text[512] = "";
	struct error err;
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) < 0)
		_exit(1);
	if (fd_send(control_of(id), STR("C"), &pair[1], 1, &err) < 0)
		snprintf(text, sizeof(text), "failed: %s", err.text);
	close(pair[1]);
	if (!*text && read(pair[0], text, sizeof(text) - 1) <= 0)
		snprintf(text, sizeof(text), "failed: no answer");
	close(pair[0]);
	say(text);
}

static void who(void)
{
	char text[512];
	int n_fds = 0;
	for (int fd = 0; fd < 1024; fd++)
		n_fds += fcntl(fd, F_GETFD) >= 0;
	snprintf(text, sizeof(text), "uid=%u groups=%d fds=%d nnp=%d state=%s writable=%d",
		getuid(), getgroups(0, NULL), n_fds, prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0),
		state_dir, access(state_dir, W_OK) == 0);
	say(text);
}

static void obey(char *line)
{
	char word[32] = "", a[64] = "", b[128] = "";
	bool is_posted = !strncmp(line, "post ", 5);
	sscanf(line + (is_posted ? 5 : 0), "%31s %63s %127s", word, a, b);
	if (!strcmp(word, "exit"))
		_exit((int)strtol(a, NULL, 10));
	if (!strcmp(word, "hello")) {
		request("greet", a, b);
		receive();
		request("ready", a, b);
		return;
	}
	if (!strcmp(word, "call"))
		call(a);
	else if (!strcmp(word, "who"))
		who();
	else if (!strcmp(word, "flood"))
		flood();
	else if (!strcmp(word, "raw"))
		raw(strtoul(a, NULL, 10));
	else if (strcmp(word, "next") != 0)
		request(word, a, b);
	if (is_posted || !strcmp(word, "ready"))
		say("posted");
	else if (strcmp(word, "call") != 0 && strcmp(word, "who") != 0 &&
		strcmp(word, "flood") != 0)
		receive();
}

int main(int argc, char **argv)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	const char *name = getenv("FAKE_CAYD_SOCKET");
	for (int i = 1; i + 1 < argc; i++)
		if (!strcmp(argv[i], "--state"))
			state_dir = argv[i + 1];
	if (!name || strlen(name) + 2 > sizeof(a.sun_path))
		return 1;
	memcpy(a.sun_path + 1, name, strlen(name));
	test_fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + strlen(name));
	if (connect(test_fd, (struct sockaddr *)&a, size) < 0)
		return 1;
	char line[512];
	ssize_t n;
	while ((n = recv(test_fd, line, sizeof(line) - 1, 0)) > 0) {
		line[n] = '\0';
		obey(line);
	}
	return 0;
}
