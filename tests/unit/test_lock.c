/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Each lock is put on by a forked child in a user namespace of its own, and looked at from there.
 */
#include "sandbox/lock.h"

#include "base/auto.h"
#include "base/buf.h"
#include "base/file.h"
#include "sandbox/caps.h"
#include "sandbox/landlock.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

/* What a child saw of itself; shared memory. */
struct seen {
	struct error error;
	char status[4096];
	uint64_t nofile_hard;
	int open_fds;
	int kept_is_open;
	int proc_write_errno;
	int vsock_errno;
	int clone3_errno;
	int signal_errno;
};

static struct seen *seen_new(void)
{
	void *p = mmap(NULL, sizeof(struct seen), PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(p, MAP_FAILED);
	return p;
}

static int put(const char *path, const char *text)
{
	return file_write_once(AT_FDCWD, path, str_from(text), NULL);
}

/* A user namespace with one mapped id, as an ordinary user gets it. */
static void enter_user_ns(uint32_t uid)
{
	char map[64];
	uid_t outer_uid = getuid();
	gid_t outer_gid = getgid();
	if (unshare(CLONE_NEWUSER) < 0 || put("/proc/self/setgroups", "deny") < 0)
		_exit(70);
	snprintf(map, sizeof(map), "%u %u 1", uid, outer_uid);
	if (put("/proc/self/uid_map", map) < 0)
		_exit(71);
	snprintf(map, sizeof(map), "%u %u 1", uid, outer_gid);
	if (put("/proc/self/gid_map", map) < 0)
		_exit(72);
}

static int count_fds(void)
{
	int n = 0;
	for (int fd = 0; fd < 1024; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

static int errno_of(long r)
{
	return r < 0 ? errno : 0;
}

static void look(struct seen *seen, int kept_fd)
{
	seen->open_fds = count_fds();
	seen->kept_is_open = fcntl(kept_fd, F_GETFD) >= 0;
	int fd = open("/proc/self/status", O_RDONLY);
	ssize_t n = read(fd, seen->status, sizeof(seen->status) - 1);
	seen->status[n > 0 ? n : 0] = '\0';
	close(fd);
	struct rlimit limit;
	getrlimit(RLIMIT_NOFILE, &limit);
	seen->nofile_hard = limit.rlim_max;
	seen->proc_write_errno = errno_of(open("/proc/self/oom_score_adj", O_WRONLY));
	seen->vsock_errno = errno_of(socket(AF_VSOCK, SOCK_STREAM, 0));
	seen->clone3_errno = errno_of(syscall(SYS_clone3, NULL, 0));
}

static struct lock lock_of(enum user_mode user)
{
	static struct spec spec;
	struct lock lock;
	struct error err;
	spec.user = user;
	if (lock_make(&spec, &lock, &err) < 0)
		fail_msg("%s", err.text);
	lock.parts &= ~(1U << LOCK_GROUPS); /* one mapped id: setgroups is denied */
	return lock;
}

/* Forks; the child puts the lock on in one step or in two, and looks around. */
static struct seen *locked(enum user_mode user, bool is_in_two_steps)
{
	struct seen *seen = seen_new();
	struct lock lock = lock_of(user);
	pid_t pid = fork();
	if (pid == 0) {
		enter_user_ns(lock.uid);
		int kept = fcntl(STDERR_FILENO, F_DUPFD, 40);
		int leaked = fcntl(STDERR_FILENO, F_DUPFD, 50);
		lock_keep(&lock, kept);
		if (leaked < 0)
			_exit(73);
		if (is_in_two_steps &&
			(lock_drop(&lock, &seen->error) < 0 || lock_enter(&lock, &seen->error) < 0))
			_exit(74);
		if (lock_apply(&lock, &seen->error) < 0)
			_exit(75);
		look(seen, kept);
		_exit(0);
	}
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (status != 0)
		fail_msg("child status %#x: %s", status, seen->error.text);
	return seen;
}

static void assert_line(const struct seen *seen, const char *line)
{
	if (!strstr(seen->status, line))
		fail_msg("no \"%s\" in:\n%s", line, seen->status);
}

static void assert_agent(const struct seen *seen, const char *filters)
{
	static const char *const sets[] = { "CapInh:\t", "CapPrm:\t", "CapEff:\t", "CapBnd:\t",
		"CapAmb:\t" };
	for (size_t i = 0; i < ARRAY_LEN(sets); i++) {
		char line[64];
		snprintf(line, sizeof(line), "%s0000000000000000", sets[i]);
		assert_line(seen, line);
	}
	assert_line(seen, "NoNewPrivs:\t1");
	assert_line(seen, "Seccomp:\t2");
	assert_line(seen, filters);
	assert_int_equal(seen->open_fds, 4);
	assert_true(seen->kept_is_open);
	assert_true(seen->nofile_hard <= 65536);
	assert_int_equal(seen->vsock_errno, EAFNOSUPPORT);
	assert_int_equal(seen->clone3_errno, ENOSYS);
	if (landlock_abi() > 0)
		assert_int_equal(seen->proc_write_errno, EACCES);
}

static void an_agent_is_left_with_nothing(void **state)
{
	struct seen *seen = locked(USER_AGENT, false);
	assert_agent(seen, "Seccomp_filters:\t1");
	munmap(seen, sizeof(*seen));
}

static void two_steps_leave_an_agent_with_nothing_too(void **state)
{
	struct seen *seen = locked(USER_AGENT, true);
	assert_agent(seen, "Seccomp_filters:\t2");
	munmap(seen, sizeof(*seen));
}

static void root_mode_keeps_the_short_list_and_no_more(void **state)
{
	struct seen *seen = locked(USER_ROOT, false);
	char line[64];
	snprintf(line, sizeof(line), "CapEff:\t%016llx",
		(unsigned long long)caps_of_user(USER_ROOT));
	assert_line(seen, line);
	snprintf(line, sizeof(line), "CapBnd:\t%016llx",
		(unsigned long long)caps_of_user(USER_ROOT));
	assert_line(seen, line);
	assert_line(seen, "CapInh:\t0000000000000000");
	assert_line(seen, "CapAmb:\t0000000000000000");
	assert_line(seen, "NoNewPrivs:\t1");
	assert_int_equal(seen->vsock_errno, EAFNOSUPPORT);
	munmap(seen, sizeof(*seen));
}

/* A process that lives until it is killed; in the domain it was forked in. */
static pid_t sleeper(void)
{
	pid_t pid = fork();
	if (pid == 0) {
		for (;;)
			pause();
	}
	return pid;
}

static void children_of_one_entered_executor_can_signal_each_other(void **state)
{
	struct seen *seen = seen_new();
	struct lock lock = lock_of(USER_AGENT);
	pid_t pid = fork();
	if (pid == 0) {
		enter_user_ns(lock.uid);
		if (lock_drop(&lock, &seen->error) < 0 || lock_enter(&lock, &seen->error) < 0)
			_exit(74);
		pid_t other = sleeper();
		if (lock_apply(&lock, &seen->error) < 0)
			_exit(75);
		seen->signal_errno = errno_of(kill(other, SIGKILL));
		_exit(waitpid(other, NULL, 0) == other ? 0 : 76);
	}
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (status != 0)
		fail_msg("child status %#x: %s", status, seen->error.text);
	assert_int_equal(seen->signal_errno, 0);
	munmap(seen, sizeof(*seen));
}

static void a_locked_child_cannot_signal_what_is_outside_its_domain(void **state)
{
	if (landlock_abi() < 6)
		skip();
	struct seen *seen = seen_new();
	struct lock lock = lock_of(USER_AGENT);
	pid_t pid = fork();
	if (pid == 0) {
		enter_user_ns(lock.uid);
		pid_t outside = sleeper();
		pid_t inside = fork();
		if (inside == 0) {
			if (lock_apply(&lock, &seen->error) < 0)
				_exit(75);
			seen->signal_errno = errno_of(kill(outside, SIGKILL));
			_exit(0);
		}
		int inner;
		if (waitpid(inside, &inner, 0) != inside)
			_exit(76);
		kill(outside, SIGKILL);
		_exit(inner == 0 ? 0 : 77);
	}
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (status != 0)
		fail_msg("child status %#x: %s", status, seen->error.text);
	assert_int_equal(seen->signal_errno, EPERM);
	munmap(seen, sizeof(*seen));
}

static void a_sealed_lock_is_read_back_as_it_was(void **state)
{
	struct lock lock = lock_of(USER_AGENT), back;
	auto_fd int fd = -1;
	assert_int_equal(lock_seal(&lock, &fd, NULL), 0);
	assert_int_equal(lock_open(fd, &back, NULL), 0);
	assert_memory_equal(&lock, &back, sizeof(lock));
	assert_int_equal(pwrite(fd, "x", 1, 0), -1);
	assert_int_equal(ftruncate(fd, 0), -1);
}

static void a_lock_that_is_not_sealed_is_refused(void **state)
{
	struct lock lock = lock_of(USER_AGENT), back;
	struct error err;
	auto_fd int fd = memfd_create("open", MFD_ALLOW_SEALING | MFD_CLOEXEC);
	assert_int_equal(write(fd, &lock, sizeof(lock)), sizeof(lock));
	assert_int_equal(lock_open(fd, &back, &err), -1);
	assert_int_equal(err.code, ERROR_INVALID);
	assert_int_equal(lock_open(STDIN_FILENO, &back, &err), -1);
}

static void a_lock_of_another_version_or_size_is_refused(void **state)
{
	struct lock lock = lock_of(USER_AGENT), back;
	lock.version++;
	auto_fd int fd = -1;
	assert_int_equal(lock_seal(&lock, &fd, NULL), 0);
	assert_int_equal(lock_open(fd, &back, NULL), -1);
	lock.version--;
	lock.n_rlimits = LOCK_RLIMITS_MAX + 1;
	auto_fd int other = -1;
	assert_int_equal(lock_seal(&lock, &other, NULL), 0);
	assert_int_equal(lock_open(other, &back, NULL), -1);
}

static void the_controls_of_a_lock_are_named(void **state)
{
	struct lock lock = lock_of(USER_AGENT);
	uint64_t want = 1ULL << CONTROL_SECCOMP | 1ULL << CONTROL_NO_NEW_PRIVS |
		1ULL << CONTROL_CAPS | 1ULL << CONTROL_RLIMITS;
	assert_int_equal(lock_controls(&lock) & want, want);
	assert_int_equal(!!(lock_controls(&lock) & 1ULL << CONTROL_LANDLOCK), landlock_abi() > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_agent_is_left_with_nothing),
		cmocka_unit_test(two_steps_leave_an_agent_with_nothing_too),
		cmocka_unit_test(root_mode_keeps_the_short_list_and_no_more),
		cmocka_unit_test(children_of_one_entered_executor_can_signal_each_other),
		cmocka_unit_test(a_locked_child_cannot_signal_what_is_outside_its_domain),
		cmocka_unit_test(a_sealed_lock_is_read_back_as_it_was),
		cmocka_unit_test(a_lock_that_is_not_sealed_is_refused),
		cmocka_unit_test(a_lock_of_another_version_or_size_is_refused),
		cmocka_unit_test(the_controls_of_a_lock_are_named),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
