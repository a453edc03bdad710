/* SPDX-License-Identifier: Apache-2.0 */
/* What is left to the server once it is hardened, as a forked child sees it. */
#include "main/harden.h"

#include "base/auto.h"
#include "base/file.h"
#include "sandbox/landlock.h"
#include "unit.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

struct seen {
	struct error error;
	int own_file, other_file, read_config, fork, exec, thread, vsock, dumpable, flush;
};

static int outcome(int r)
{
	return r < 0 ? errno : 0;
}

static int try_open(const char *dir, const char *name, int flags)
{
	char path[128];
	snprintf(path, sizeof(path), "%s/%s", dir, name);
	auto_fd int fd = open(path, flags | O_CLOEXEC, 0600);
	return outcome(fd);
}

static int try_fork(void)
{
	pid_t pid = fork();
	if (pid == 0)
		_exit(0);
	int r = outcome((int)pid);
	if (pid > 0)
		waitpid(pid, NULL, 0);
	return r;
}

static void *run_thread(void *arg)
{
	return arg;
}

static int try_thread(void)
{
	pthread_t thread;
	int r = pthread_create(&thread, NULL, run_thread, NULL);
	if (r == 0)
		pthread_join(thread, NULL);
	return r;
}

static void look(const char *own, const char *other, struct seen *seen)
{
	if (harden(own, true, NULL, &seen->error) < 0)
		return;
	seen->error.code = ERROR_OK;
	seen->own_file = try_open(own, "file", O_CREAT | O_RDWR);
	seen->other_file = try_open(other, "file", O_CREAT | O_RDWR);
	seen->read_config = try_open("/etc", "passwd", O_RDONLY);
	seen->fork = try_fork();
	seen->thread = try_thread();
	seen->vsock = outcome(socket(AF_VSOCK, SOCK_STREAM, 0));
	seen->dumpable = prctl(PR_GET_DUMPABLE);
	seen->flush = outcome(syncfs(-1));
	char name[] = "true", *const argv[] = { name, NULL };
	seen->exec = outcome(execv("/bin/true", argv));
}

static void a_hardened_server_keeps_its_state_and_nothing_else(void **state)
{
	char own[] = "/tmp/cay-unit-XXXXXX", other[] = "/tmp/cay-unit-XXXXXX";
	struct seen *seen = mmap(NULL, sizeof(*seen), PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(seen, MAP_FAILED);
	assert_non_null(mkdtemp(own));
	assert_non_null(mkdtemp(other));
	pid_t pid = fork();
	if (pid == 0) {
		look(own, other, seen);
		_exit(0);
	}
	int status = -1;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	file_remove_tree(AT_FDCWD, own, NULL);
	file_remove_tree(AT_FDCWD, other, NULL);
	assert_int_equal(status, 0);
	assert_int_equal(seen->error.code, ERROR_OK);
	assert_int_equal(seen->own_file, 0);
	assert_int_equal(seen->read_config, 0);
	assert_int_equal(seen->thread, 0);
	assert_int_equal(seen->dumpable, 0);
	assert_int_equal(seen->flush, EBADF); /* it is really made: images wait for it */
	assert_int_equal(seen->fork, EPERM);
	assert_int_equal(seen->exec, EPERM);
	assert_int_equal(seen->vsock, EAFNOSUPPORT);
	if (landlock_abi() > 0)
		assert_int_equal(seen->other_file, EACCES);
	munmap(seen, sizeof(*seen));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_hardened_server_keeps_its_state_and_nothing_else),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
