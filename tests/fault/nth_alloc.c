/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Preloaded (LD_PRELOAD) into the supervisor and what it starts, this lets one allocation fail: the
 * one at which the count in the file FAULT_FILE reaches zero, in the program that it names. The
 * file is shared memory, so a test sets it while they run, and of all processes only one allocation
 * fails.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

struct fault {
	char program[32];
	_Atomic int64_t countdown; /* the allocation that takes it from 1 to 0 fails */
	_Atomic int64_t n_failed;
};

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t size);

static struct fault *fault;

/* Before main, which may close the file system off. */
__attribute__((constructor)) static void open_fault(void)
{
	const char *path = getenv("FAULT_FILE");
	int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
	if (fd < 0)
		return;
	void *p = mmap(NULL, sizeof(*fault), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (p != MAP_FAILED)
		fault = p;
}

static int fails(void)
{
	if (!fault || fault->countdown <= 0 ||
		strcmp(fault->program, program_invocation_short_name) != 0)
		return 0;
	if (fault->countdown-- != 1)
		return 0;
	fault->n_failed++;
	errno = ENOMEM;
	return 1;
}

__attribute__((visibility("default"))) void *malloc(size_t size)
{
	return fails() ? NULL : __libc_malloc(size);
}

__attribute__((visibility("default"))) void *calloc(size_t n, size_t size)
{
	return fails() ? NULL : __libc_calloc(n, size);
}

__attribute__((visibility("default"))) void *realloc(void *p, size_t size)
{
	return fails() ? NULL : __libc_realloc(p, size);
}
