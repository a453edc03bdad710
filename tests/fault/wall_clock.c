/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Preloaded (LD_PRELOAD) into the supervisor and what it starts, this sets the wall clock forward
 * or back by what the file CLOCK_FILE says, and no other clock. The file is shared memory, so a
 * test turns the clock while they run.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static _Atomic int64_t *ahead_s;

/* Before main, which may close the file system off. */
__attribute__((constructor)) static void open_clock(void)
{
	const char *path = getenv("CLOCK_FILE");
	int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	if (fd < 0)
		return;
	void *p = mmap(NULL, sizeof(*ahead_s), PROT_READ, MAP_SHARED, fd, 0);
	close(fd);
	if (p != MAP_FAILED)
		ahead_s = p;
}

__attribute__((visibility("default"))) int clock_gettime(clockid_t id, struct timespec *t)
{
	int r = (int)syscall(SYS_clock_gettime, id, t);
	if (r == 0 && id == CLOCK_REALTIME && ahead_s)
		t->tv_sec += *ahead_s;
	return r;
}
