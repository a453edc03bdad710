/* SPDX-License-Identifier: Apache-2.0 */
/*
 * auto: locals that clean up after themselves, and `take` to give what they hold away.
 *
 *	auto_fd int fd = open(...);
 *	auto_free char *name = mem_printf(...);
 *	...
 *	*ret_fd = take_fd(&fd);
 */
#pragma once

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

static inline void auto_free_fn(void *p)
{
	free(*(void **)p);
}

/* Closes if open, keeps errno, always returns -1: fd = close_fd(fd). */
static inline int close_fd(int fd)
{
	if (fd >= 0) {
		int saved = errno;
		close(fd);
		errno = saved;
	}
	return -1;
}

static inline void auto_fd_fn(int *fd)
{
	close_fd(*fd);
}

static inline int take_fd(int *fd)
{
	int taken = *fd;
	*fd = -1;
	return taken;
}

#define auto_free __attribute__((cleanup(auto_free_fn)))
#define auto_fd   __attribute__((cleanup(auto_fd_fn)))

#define take_ptr(p)                     \
	({                              \
		__typeof__(p) t_ = (p); \
		(p) = NULL;             \
		t_;                     \
	})

#define ARRAY_LEN(a)                  (sizeof(a) / sizeof((a)[0]))
#define MIN(a, b)                     ((a) < (b) ? (a) : (b))
#define MAX(a, b)                     ((a) > (b) ? (a) : (b))
#define container_of(p, type, member) ((type *)((char *)(p)-offsetof(type, member)))
