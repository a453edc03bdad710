/* SPDX-License-Identifier: Apache-2.0 */
#include "executor/limit.h"

#include "base/auto.h"
#include "base/num.h"

#include <sys/statvfs.h>

/* The number behind the key in a file of lines "key number"; 0 if there is none. */
static int64_t read_count(int fd, const char *key)
{
	char text[1024];
	ssize_t n = fd < 0 ? -1 : pread(fd, text, sizeof(text), 0);
	struct str rest = str_from_len(text, n > 0 ? (size_t)n : 0), line, word;
	int64_t count = 0;
	while (str_split(&rest, '\n', &line))
		if (str_split(&line, ' ', &word) && str_is(word, key))
			num_parse_i64(line, 0, INT64_MAX, &count, NULL);
	return count;
}

static bool has_grown(int64_t *known, int64_t now)
{
	bool is_more = now > *known;
	*known = now;
	return is_more;
}

/* "/" is the file system that everything a sandbox writes is in. */
static const char *what_is_full(void)
{
	struct statvfs st;
	if (statvfs("/", &st) < 0 || st.f_blocks == 0)
		return NULL;
	return st.f_bavail == 0 ? "disk" : st.f_favail == 0 ? "inodes" : NULL;
}

const char *limits_hit(struct limits *l)
{
	bool is_memory = has_grown(&l->n_memory, read_count(l->memory_fd, "oom_kill"));
	bool is_pids = has_grown(&l->n_pids, read_count(l->pids_fd, "max"));
	return is_memory ? "memory" : is_pids ? "pids" : what_is_full();
}
