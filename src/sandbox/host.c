/* SPDX-License-Identifier: Apache-2.0 */
#include "sandbox/host.h"

#include "base/auto.h"
#include "base/buf.h"
#include "base/file.h"
#include "base/num.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/xattr.h>

static const char *const masks[] = {
#define MASK(name) name,
#include "sandbox/mask.def"
#undef MASK
};

static const char *const part_words[PART_COUNT] = { "memory", "pids", "cpu", "cpuacct", "freezer",
	"keeper" };

const char *host_mask(unsigned i)
{
	return i < ARRAY_LEN(masks) ? masks[i] : NULL;
}

const char *host_part(enum cgroup_part part)
{
	return part_words[part];
}

static bool has_caps(uint64_t want)
{
	struct __user_cap_header_struct head = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct data[2] = { 0 };
	if (syscall(SYS_capget, &head, data) < 0)
		return false;
	uint64_t have = (uint64_t)data[1].effective << 32 | data[0].effective;
	return (have & want) == want;
}

/* Ranges of ids can be had only where ids are not mapped already. */
static bool has_all_ids(void)
{
	auto_buf struct buf b = BUF_INIT(4096);
	if (file_read(AT_FDCWD, "/proc/self/uid_map", &b, NULL) < 0)
		return false;
	unsigned inside, outside, count;
	return sscanf(b.ptr, "%u %u %u", &inside, &outside, &count) == 3 && inside == 0 &&
		outside == 0 && count == UINT32_MAX;
}

static bool is_root(const struct host *h)
{
	const uint64_t caps = UINT64_C(1) << CAP_SYS_ADMIN | UINT64_C(1) << CAP_SETUID |
		UINT64_C(1) << CAP_SETGID | UINT64_C(1) << CAP_DAC_OVERRIDE;
	return h->uid == 0 && has_caps(caps) && has_all_ids();
}

static bool is_fs(const char *path, long magic)
{
	struct statfs st;
	return statfs(path, &st) == 0 && (long)st.f_type == magic;
}

/*
 * The path of our own group: of the line "N:WORD:PATH", or "0::PATH" for v2. "" if there is none.
 */
static struct str own_group(struct str table, const char *word)
{
	struct str line, number, words, name;
	while (str_split(&table, '\n', &line)) {
		if (!str_split(&line, ':', &number) || !str_split(&line, ':', &words))
			continue;
		if (!*word && words.len == 0 && !str_starts(line, STR("/..")))
			return line;
		while (*word && str_split(&words, ',', &name))
			if (str_is(name, word))
				return line;
	}
	return STR("");
}

static bool is_ours(const char *dir)
{
	return faccessat(AT_FDCWD, dir, W_OK | X_OK, AT_EACCESS) == 0;
}

/*
 * Below our own group, so that a limit that somebody set on us holds for what we make; in a
 * container that shows only its own part of the hierarchy, the top of that.
 */
static bool find_v1_dir(const char *word, struct str own, char ret[HOST_PATH_SIZE])
{
	int n = snprintf(ret, HOST_PATH_SIZE, HOST_CGROUPS "/%s", word);
	if (!is_fs(ret, CGROUP_SUPER_MAGIC))
		return false;
	size_t top = (size_t)n;
	if (own.len > 1 && own.len < HOST_PATH_SIZE - 64 - top) {
		memcpy(ret + top, own.ptr, own.len);
		ret[top + own.len] = '\0';
		if (is_ours(ret))
			return true;
		ret[top] = '\0';
	}
	return is_ours(ret);
}

static bool has_v1_file(const struct host_cgroup *c, const char *file)
{
	char path[HOST_PATH_SIZE + 40];
	snprintf(path, sizeof(path), "%s/%s", c->dirs[PART_MEMORY], file);
	return access(path, F_OK) == 0;
}

static void find_v1(struct host_cgroup *c, struct str table)
{
	for (unsigned i = 0; i < PART_MAX; i++) {
		if (find_v1_dir(part_words[i], own_group(table, part_words[i]), c->dirs[i]))
			c->parts |= 1U << i;
		else
			c->dirs[i][0] = '\0';
	}
	if (!(c->parts & (1U << PART_MEMORY | 1U << PART_PIDS)))
		return;
	c->kind = CGROUP_V1;
	c->has_swap_limit = has_v1_file(c, "memory.memsw.limit_in_bytes");
	c->has_tcp_limit = has_v1_file(c, "memory.kmem.tcp.limit_in_bytes");
}

static uint32_t read_parts(const char *dir, const char *file)
{
	char path[HOST_PATH_SIZE + 32];
	snprintf(path, sizeof(path), "%s/%s", dir, file);
	auto_buf struct buf b = BUF_INIT(4096);
	if (file_read(AT_FDCWD, path, &b, NULL) < 0)
		return 0;
	uint32_t parts = 0;
	struct str rest = str_trim(buf_str(&b)), word;
	while (str_split(&rest, ' ', &word))
		for (unsigned i = 0; i < PART_MAX; i++)
			if (str_is(word, part_words[i]))
				parts |= 1U << i;
	return parts;
}

bool host_own_v2(char ret[HOST_PATH_SIZE])
{
	auto_buf struct buf b = BUF_INIT(64 * 1024);
	if (!is_fs(HOST_CGROUPS, CGROUP2_SUPER_MAGIC) ||
		file_read(AT_FDCWD, "/proc/self/cgroup", &b, NULL) < 0)
		return false;
	struct str own = own_group(buf_str(&b), "");
	if (own.len == 0 || own.len >= HOST_PATH_SIZE - 64)
		return false;
	snprintf(ret, HOST_PATH_SIZE, HOST_CGROUPS "%.*s", own.len > 1 ? (int)own.len : 0, own.ptr);
	return true;
}

bool host_is_delegated(const char *dir)
{
	static const char *const marks[] = { "trusted.delegate", "user.delegate" };
	char value[4];
	for (size_t i = 0; i < ARRAY_LEN(marks); i++)
		if (getxattr(dir, marks[i], value, sizeof(value)) == 1 && value[0] == '1')
			return true;
	return false;
}

/*
 * A group with processes of its own hands nothing on, if it does not already; but that at the top
 * of the machine, the only one without a type.
 */
static bool can_hand_on(const char *dir)
{
	char path[HOST_PATH_SIZE + 32];
	auto_buf struct buf b = BUF_INIT(1 << 20);
	snprintf(path, sizeof(path), "%s/cgroup.type", dir);
	if (access(path, F_OK) < 0 || read_parts(dir, "cgroup.subtree_control") & 1U << PART_PIDS)
		return true;
	snprintf(path, sizeof(path), "%s/cgroup.procs", dir);
	return file_read(AT_FDCWD, path, &b, NULL) == 0 && b.len == 0;
}

/*
 * Our groups belong beside our own, in what was delegated to the service that we are
 * (delegation.h). Where that is not so, root makes them at the top, and anybody else needs a parent
 * of our own group that is theirs and hands controllers on (a systemd user service or scope).
 */
static void find_v2(struct host_cgroup *c, bool for_root)
{
	char *dir = c->dirs[0];
	bool has_parent = host_own_v2(dir) && strlen(dir) > strlen(HOST_CGROUPS);
	bool is_settled = has_parent && str_ends(str_from(dir), STR(HOST_KEEPERS));
	if (has_parent)
		*strrchr(dir, '/') = '\0';
	bool is_given = is_settled || (has_parent && host_is_delegated(dir));
	if (for_root && !is_given)
		snprintf(dir, HOST_PATH_SIZE, HOST_CGROUPS);
	if (!(for_root || has_parent) || !is_ours(dir))
		return;
	bool asks = for_root || is_given;
	if (asks && !can_hand_on(dir))
		return;
	c->parts = read_parts(dir, asks ? "cgroup.controllers" : "cgroup.subtree_control");
	if (!(c->parts & 1U << PART_PIDS))
		return;
	c->kind = CGROUP_V2;
	c->parts |= 1U << PART_CPUACCT | 1U << PART_FREEZER; /* v2 has both everywhere */
}

static void find_cgroups(struct host *h)
{
	auto_buf struct buf b = BUF_INIT(64 * 1024);
	if (file_read(AT_FDCWD, "/proc/self/cgroup", &b, NULL) < 0)
		return;
	if (is_fs(HOST_CGROUPS, CGROUP2_SUPER_MAGIC))
		find_v2(&h->cgroup, h->is_root);
	else if (h->is_root)
		find_v1(&h->cgroup, buf_str(&b));
	if (h->cgroup.kind == CGROUP_NONE)
		h->cgroup = (struct host_cgroup){ 0 };
}

static void find_links(struct host *h)
{
	static const char *const names[] = { "bin", "lib", "lib32", "lib64", "libx32", "sbin" };
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		struct host_link *l = &h->links[h->n_links];
		char path[32];
		snprintf(path, sizeof(path), "/%s", names[i]);
		ssize_t n = readlink(path, l->target, sizeof(l->target) - 1);
		if (n < 0 && errno != EINVAL)
			continue;
		l->target[MAX(n, 0)] =
			'\0'; /* EINVAL: a real directory, from before /usr was merged */
		snprintf(l->name, sizeof(l->name), "%s", names[i]);
		h->n_links++;
	}
}

static bool has_entries(const char *path)
{
	DIR *dir = opendir(path);
	if (!dir)
		return false;
	int n = 0;
	while (n < 3 && readdir(dir))
		n++;
	closedir(dir);
	return n > 2;
}

static void find_masks(struct host *h)
{
	auto_fd int proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct stat st;
	for (unsigned i = 0; i < ARRAY_LEN(masks); i++)
		if (fstatat(proc, masks[i], &st, AT_SYMLINK_NOFOLLOW) == 0 && (st.st_mode & 0007))
			h->masks |= (S_ISDIR(st.st_mode) ? UINT64_C(1) << 32 : 1) << i;
}

static bool is_private_dir(const char *path, uid_t uid)
{
	struct stat st;
	return lstat(path, &st) == 0 && S_ISDIR(st.st_mode) && st.st_uid == uid &&
		!(st.st_mode & 0022);
}

static int find_run_dir(struct host *h, struct error *err)
{
	const char *xdg = getenv("XDG_RUNTIME_DIR");
	if (h->uid == 0)
		snprintf(h->run_dir, HOST_PATH_SIZE, "/run/cay");
	else if (xdg && xdg[0] == '/' && strlen(xdg) < HOST_PATH_SIZE - 32 &&
		is_private_dir(xdg, h->uid))
		snprintf(h->run_dir, HOST_PATH_SIZE, "%s/cay", xdg);
	else
		snprintf(h->run_dir, HOST_PATH_SIZE, "/tmp/cay-%u", h->uid);
	if (mkdir(h->run_dir, 0755) < 0 && errno != EEXIST)
		return error_sys(err, errno, "make %s", h->run_dir);
	if (!is_private_dir(h->run_dir, h->uid))
		return error_set(err, ERROR_FORBIDDEN,
			"%s is not a directory that only uid %u may write", h->run_dir, h->uid);
	return 0;
}

/* 0: there is none. */
static uint32_t read_number(const char *path)
{
	int64_t n = 0;
	auto_buf struct buf b = BUF_INIT(64);
	if (file_read(AT_FDCWD, path, &b, NULL) < 0 ||
		num_parse_i64(str_trim(buf_str(&b)), 0, UINT32_MAX, &n, NULL) < 0)
		return 0;
	return (uint32_t)n;
}

int host_init(struct host *ret, struct error *err)
{
	struct host h = { .uid = geteuid(), .gid = getegid() };
	h.is_root = is_root(&h);
	if (h.uid == 0 && !h.is_root)
		return error_set(err, ERROR_UNSUPPORTED,
			"uid 0 without CAP_SYS_ADMIN or in a user namespace of its own cannot give a sandbox "
			"other ids than its own; run cay as an ordinary user there (of a container: "
			"--user 1000:1000), or a container of a real root with --privileged");
	h.has_opt = has_entries("/opt");
	h.has_dpkg = has_entries("/var/lib/dpkg");
	h.has_time_ns = access("/proc/self/ns/time", F_OK) == 0;
	h.inotify_instances = read_number("/proc/sys/fs/inotify/max_user_instances");
	h.inotify_watches = read_number("/proc/sys/fs/inotify/max_user_watches");
	find_cgroups(&h);
	find_links(&h);
	find_masks(&h);
	if (find_run_dir(&h, err) < 0)
		return -1;
	*ret = h;
	return 0;
}
