/* SPDX-License-Identifier: Apache-2.0 */
#include "executor/proc.h"

#include "base/auto.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/num.h"

#include <ctype.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

int proc_read(struct buf *b, const char *fmt, ...)
{
	char path[80];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(path, sizeof(path), fmt, ap);
	va_end(ap);
	buf_reset(b);
	return file_read(AT_FDCWD, path, b, NULL);
}

static int64_t ms_of_ticks(unsigned long long ticks)
{
	return (int64_t)(ticks * 1000 / (unsigned long long)sysconf(_SC_CLK_TCK));
}

static int64_t boot_ms(void)
{
	struct timespec up;
	clock_gettime(CLOCK_BOOTTIME, &up);
	return clock_wall_ms() - (up.tv_sec * 1000 + up.tv_nsec / 1000000);
}

/* "12 (name with ) and spaces) S ppid pgrp session tty_nr tpgid …": proc(5). */
bool proc_read_stat(long pid, struct proc_stat *ret)
{
	auto_buf struct buf b = BUF_INIT(PROC_FILE_MAX);
	unsigned long long user, kernel, start, size;
	long pages;
	if (proc_read(&b, "/proc/%ld/stat", pid) < 0)
		return false;
	const char *begin = strchr(b.ptr, '('), *end = strrchr(b.ptr, ')');
	if (!begin || !end || end < begin ||
		sscanf(end + 1,
			" %c %ld %ld %ld %ld %ld %*u %*u %*u %*u %*u %llu %llu %*d %*d %*d %*d %ld %*d %llu %llu %ld",
			&ret->state, &ret->ppid, &ret->pgrp, &ret->session, &ret->tty, &ret->tpgid,
			&user, &kernel, &ret->threads, &start, &size, &pages) != 12)
		return false;
	snprintf(ret->name, sizeof(ret->name), "%.*s", (int)(end - begin - 1), begin + 1);
	ret->cpu_ms = ms_of_ticks(user + kernel);
	ret->started_ms = boot_ms() + ms_of_ticks(start);
	ret->virtual_bytes = (int64_t)size;
	ret->resident_bytes = pages * sysconf(_SC_PAGESIZE);
	return true;
}

long proc_next(DIR *dir)
{
	const struct dirent *entry;
	while ((entry = readdir(dir))) {
		int64_t n;
		if (isdigit((unsigned char)entry->d_name[0]) &&
			num_parse_i64(str_from(entry->d_name), 1, INT32_MAX, &n, NULL) == 0)
			return (long)n;
	}
	return 0;
}

bool proc_is_own(void)
{
	char self[16] = "";
	ssize_t n = readlink("/proc/self", self, sizeof(self) - 1);
	return n < 0 || strcmp(self, "1") == 0;
}
