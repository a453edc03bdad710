/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A server by hand, for the tests of the supervisor: takes commands from the test on an abstract
 * socket (SOCK_SEQPACKET, its name in FAKE_CAYD_SOCKET), one datagram each, and answers each with
 * one datagram.
 *
 *	greet | hello, which is to greet and be ready | adopt INDEX | create ID [HOSTNAME] | destroy ID | usage ID | freeze ID 0|1 | host
 *	flood            asks about the host until there is no more room, reads nothing, says how often
 *	raw BYTES        that many zeroes instead of a request
 *	storm SEED N     N requests of any kind about a few sandboxes, most of them unreasonable, some with descriptors,
 *	                 without waiting for replies; then says how many were answered, and how often wrongly
 *	post COMMAND...  sends a request, and does not wait for its reply
 *	next             waits for a message of the supervisor
 *	call ID          asks that sandbox's executor who it is
 *	who              uid, open descriptors, state directory, NoNewPrivs
 *	linger           leaves a process that has all descriptors of the server and does not die with it; says its pid
 *	exit STATUS
 */
#include "base/auto.h"
#include "base/clock.h"
#include "base/file.h"
#include "sandbox/monitor.h"

#include <fcntl.h>
#include <poll.h>
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

/* ---- storm ---- */

enum { STORM_MAX = 20000, STORM_IDS = 5, STORM_WAIT_MS = 30000 };

static struct {
	uint64_t random;
	char ids[STORM_IDS][ID_SIZE];
	uint8_t answers[STORM_MAX + 1]; /* by serial */
	uint64_t first;
	int n_sent, n_answered, n_wrong, n_made;
	uint32_t ops[STORM_MAX + 1];
} storm;

static uint32_t draw(uint32_t n)
{
	storm.random = storm.random * 6364136223846793005U + 1442695040888963407U;
	return (uint32_t)(storm.random >> 33) % n;
}

static const char *pick(const char *const *words_, size_t n)
{
	return words_[draw((uint32_t)n)];
}

#define PICK(list) pick(list, ARRAY_LEN(list))

static int64_t strange_number(void)
{
	static const int64_t numbers[] = { 0, 0, 0, 1, -1, -2, 4096, 1 << 20, 1 << 30, INT64_MAX,
		INT64_MIN, 1000, 3 };
	return numbers[draw(ARRAY_LEN(numbers))];
}

static void strange_mount(struct spec_mount *m)
{
	static const char *const sources[] = { "/tmp", "/etc", "/", "/dev/null", "/proc/self",
		"/nowhere", "tmp", "/tmp/../etc", "/proc/self/fd/3", "/var/lib" };
	static const char *const targets[] = { "/mnt/a", "/mnt/b", "/usr", "/etc/passwd", "/proc",
		"/workspace", "/mnt/a/../b", "/", "/mnt/a/b/c", "/tmp" };
	snprintf(m->source, sizeof(m->source), "%s", PICK(sources));
	snprintf(m->target, sizeof(m->target), "%s", PICK(targets));
	m->mode = draw(6);
}

/* Each wish is strange with a chance of one in six: so that some sandboxes are made. */
static void strange_spec(struct spec *spec)
{
	static const char *const hostnames[] = { "", "a", "-", "a b", "very.long.name",
		"\xff\xfe" };
	static const char *const places[] = { "", "/workspace", "/etc", "/a/b/c", "relative", "/..",
		"/proc" };
	bool is_strange[9];
	for (size_t i = 0; i < ARRAY_LEN(is_strange); i++)
		is_strange[i] = draw(6) == 0;
	if (is_strange[0])
		snprintf(spec->hostname, sizeof(spec->hostname), "%s", PICK(hostnames));
	if (is_strange[1])
		snprintf(spec->workdir, sizeof(spec->workdir), "%s", PICK(places));
	if (is_strange[2])
		spec->network = draw(8);
	spec->user = is_strange[3] ? draw(4) : draw(2);
	if (is_strange[4])
		spec->owner_uid = draw(70000);
	for (size_t i = 0; is_strange[5] && i < sizeof(spec->limits) / sizeof(int64_t); i++)
		((int64_t *)&spec->limits)[i] = strange_number();
	if (is_strange[6])
		spec->required = 1ULL << draw(64);
	spec->keeps_layer = draw(3);
	spec->n_mounts = is_strange[7] ? draw(3) : 0;
	for (uint32_t i = 0; i < spec->n_mounts; i++)
		strange_mount(&spec->mounts[i]);
	if (is_strange[8]) {
		spec->image = draw(4);
		snprintf(spec->image_path, sizeof(spec->image_path), "%s", PICK(places));
		spec->n_layers = draw(2);
	}
}

static void take_answers(int timeout_ms)
{
	struct monitor_reply m;
	int fds[FD_PASS_MAX], n_fds;
	struct pollfd p = { .fd = MONITOR_FD, .events = POLLIN };
	while (poll(&p, 1, timeout_ms) == 1) {
		n_fds = FD_PASS_MAX;
		if (fd_recv(MONITOR_FD, &m, sizeof(m), fds, &n_fds, NULL) != sizeof(m))
			_exit(1);
		for (int i = 0; i < n_fds; i++)
			close(fds[i]);
		timeout_ms = 0;
		if (m.op == MONITOR_ENDED)
			continue;
		uint64_t i = m.serial - storm.first;
		if (i >= (uint64_t)storm.n_sent || storm.answers[i]++) {
			storm.n_wrong++;
			continue;
		}
		storm.n_answered++;
		storm.n_made += m.op == MONITOR_CREATE && m.error.code == ERROR_OK;
	}
}

static void strange_request(struct monitor_request *r)
{
	static const uint32_t ops[] = { MONITOR_CREATE, MONITOR_CREATE, MONITOR_CREATE,
		MONITOR_DESTROY, MONITOR_DESTROY, MONITOR_USAGE, MONITOR_FREEZE, MONITOR_HOST,
		MONITOR_ADOPT, MONITOR_BOUNDARY, MONITOR_DECISIONS };
	*r = (struct monitor_request){ .version = MONITOR_VERSION,
		.op = ops[draw(ARRAY_LEN(ops))],
		.serial = ++serial,
		.index = draw(4),
		.flag = draw(3) };
	memcpy(r->id, storm.ids[draw(STORM_IDS)], ID_SIZE);
	memcpy(r->spec.id, storm.ids[draw(STORM_IDS)], ID_SIZE);
	if (draw(30) == 0)
		memset(r->id, 'x', ID_SIZE);
	strange_spec(&r->spec);
}

static void make_storm(uint64_t seed, int n)
{
	static struct monitor_request r;
	char text[256];
	uint32_t missing = 0;
	int fds[3] = { 0, MONITOR_FD, test_fd };
	storm.random = seed;
	storm.first = serial + 1;
	for (int i = 0; i < STORM_IDS; i++)
		id_make(storm.ids[i]);
	while (storm.n_sent < MIN(n, (int)STORM_MAX)) {
		strange_request(&r);
		storm.ops[storm.n_sent++] = r.op;
		struct str bytes = str_from_len((const char *)&r, sizeof(r));
		int n_fds = draw(8) == 0 ? (int)draw(4) : 0;
		while (fd_send(MONITOR_FD, bytes, fds, n_fds, NULL) < 0) {
			if (errno != EAGAIN)
				_exit(1);
			take_answers(1000);
		}
		take_answers(0);
	}
	int64_t until_ms = clock_mono_ms() + STORM_WAIT_MS;
	while (storm.n_answered < storm.n_sent && clock_mono_ms() < until_ms)
		take_answers(100);
	for (int i = 0; i < storm.n_sent && !missing; i++)
		missing = storm.answers[i] ? 0 : storm.ops[i];
	snprintf(text, sizeof(text), "sent=%d answered=%d wrong=%d made=%d missing=%u",
		storm.n_sent, storm.n_answered, storm.n_wrong, storm.n_made, missing);
	say(text);
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

static void linger(void)
{
	char text[32];
	pid_t pid = fork();
	while (pid == 0)
		pause();
	snprintf(text, sizeof(text), "pid=%d", (int)pid);
	say(text);
}

/* Commands that ask nothing of the supervisor, and give the answer themselves. */
static bool obey_alone(const char *word, const char *a, const char *b)
{
	if (!strcmp(word, "call"))
		call(a);
	else if (!strcmp(word, "who"))
		who();
	else if (!strcmp(word, "flood"))
		flood();
	else if (!strcmp(word, "linger"))
		linger();
	else if (!strcmp(word, "storm"))
		make_storm(strtoull(a, NULL, 10), (int)strtol(b, NULL, 10));
	else
		return false;
	return true;
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
	if (obey_alone(word, a, b))
		return;
	if (!strcmp(word, "raw"))
		raw(strtoul(a, NULL, 10));
	else if (strcmp(word, "next") != 0)
		request(word, a, b);
	if (is_posted || !strcmp(word, "ready"))
		say("posted");
	else
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
