/* SPDX-License-Identifier: Apache-2.0 */
#include "base/usage.h"

#include "base/auto.h"
#include "base/buf.h"
#include "base/file.h"
#include "base/num.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/statvfs.h>

enum { PROC_FILE_MAX = 4096 };

/* /proc/self/statm: "total resident …", in pages. */
static int read_memory(struct usage *u, struct error *err)
{
	auto_buf struct buf text = BUF_INIT(PROC_FILE_MAX);
	if (file_read(AT_FDCWD, "/proc/self/statm", &text, err) < 0)
		return -1;
	struct str rest = buf_str(&text), total = STR_NONE, resident = STR_NONE;
	str_split(&rest, ' ', &total);
	str_split(&rest, ' ', &resident);
	if (num_parse_i64(total, 0, INT64_MAX >> 20, &u->vms_bytes, err) < 0 ||
		num_parse_i64(resident, 0, INT64_MAX >> 20, &u->rss_bytes, err) < 0)
		return error_wrap(err, "/proc/self/statm");
	u->vms_bytes *= sysconf(_SC_PAGESIZE);
	u->rss_bytes *= sysconf(_SC_PAGESIZE);
	u->memory_bytes = (int64_t)sysconf(_SC_PHYS_PAGES) * sysconf(_SC_PAGESIZE);
	return 0;
}

/* /proc/self/io has lines like "read_bytes: 0"; a kernel without accounting has no such file. */
static void read_io(struct usage *u)
{
	auto_buf struct buf text = BUF_INIT(PROC_FILE_MAX);
	if (file_read(AT_FDCWD, "/proc/self/io", &text, NULL) < 0)
		return;
	struct str rest = buf_str(&text), line;
	while (str_split(&rest, '\n', &line)) {
		if (str_starts(line, STR("read_bytes: ")))
			num_parse_i64(str_skip(line, 12), 0, INT64_MAX, &u->read_bytes, NULL);
		else if (str_starts(line, STR("write_bytes: ")))
			num_parse_i64(str_skip(line, 13), 0, INT64_MAX, &u->written_bytes, NULL);
	}
}

static int64_t to_us(struct timeval t)
{
	return (int64_t)t.tv_sec * 1000000 + t.tv_usec;
}

int usage_read(struct usage *ret, struct error *err)
{
	struct usage u = { 0 };
	struct rusage self;
	struct statvfs root;
	if (read_memory(&u, err) < 0)
		return -1;
	if (getrusage(RUSAGE_SELF, &self) < 0)
		return error_sys(err, errno, "getrusage");
	if (statvfs("/", &root) < 0)
		return error_sys(err, errno, "look at the file system of /");
	read_io(&u);
	u.cpu_us = to_us(self.ru_utime) + to_us(self.ru_stime);
	u.disk_bytes = (int64_t)(root.f_blocks * root.f_frsize);
	u.disk_used = (int64_t)((root.f_blocks - root.f_bfree) * root.f_frsize);
	u.disk_free = (int64_t)(root.f_bavail * root.f_frsize);
	*ret = u;
	return 0;
}
