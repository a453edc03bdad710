/* SPDX-License-Identifier: Apache-2.0 */
#include "sandbox/landlock.h"

#include "base/auto.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>

/* Rights younger than the header this is built with. */
enum {
	FS_TRUNCATE = 1 << 14,        /* ABI 3 */
	FS_IOCTL_DEV = 1 << 15,       /* ABI 5 */
	FS_RESOLVE_UNIX = 1 << 16,    /* ABI 9 */
	SCOPE_ABSTRACT_UNIX = 1 << 0, /* ABI 6 */
	SCOPE_SIGNAL = 1 << 1,
	NET_BIND_TCP = 1 << 0, /* ABI 4 */
	NET_CONNECT_TCP = 1 << 1,
};

enum {
	FS_READ = LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_READ_FILE |
		LANDLOCK_ACCESS_FS_READ_DIR,
	FS_WRITE = LANDLOCK_ACCESS_FS_WRITE_FILE | FS_TRUNCATE,
	FS_MAKE = LANDLOCK_ACCESS_FS_REMOVE_DIR | LANDLOCK_ACCESS_FS_REMOVE_FILE |
		LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_REG |
		LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_MAKE_FIFO |
		LANDLOCK_ACCESS_FS_MAKE_SYM | LANDLOCK_ACCESS_FS_REFER,
	FS_DEVICES = LANDLOCK_ACCESS_FS_MAKE_CHAR | LANDLOCK_ACCESS_FS_MAKE_BLOCK,
};

/* Each ABI with the file rights it was the first to know. */
static const struct {
	int abi;
	uint64_t rights;
} grown[] = {
	{ 1,
		FS_READ | LANDLOCK_ACCESS_FS_WRITE_FILE | FS_DEVICES |
			(FS_MAKE & ~LANDLOCK_ACCESS_FS_REFER) },
	{ 2, LANDLOCK_ACCESS_FS_REFER },
	{ 3, FS_TRUNCATE },
	{ 5, FS_IOCTL_DEV },
	{ 9, FS_RESOLVE_UNIX },
};

/* As in kernels since ABI 6; older ones take a prefix of it. */
struct ruleset_attr {
	uint64_t handled_fs, handled_net, scoped;
};

struct ruleset {
	int fd;
	uint64_t handled;
};

int landlock_abi(void)
{
	long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
	return abi > 0 ? (int)abi : 0;
}

static uint64_t rights_known(int abi)
{
	uint64_t rights = 0;
	for (size_t i = 0; i < ARRAY_LEN(grown); i++)
		if (abi >= grown[i].abi)
			rights |= grown[i].rights;
	return rights;
}

static int ruleset_make_with(int abi, uint64_t handled_net, struct ruleset *ret, struct error *err)
{
	struct ruleset_attr attr = {
		.handled_fs = rights_known(abi),
		.handled_net = abi >= 6 ? handled_net : 0,
		.scoped = abi >= 6 ? SCOPE_ABSTRACT_UNIX | SCOPE_SIGNAL : 0,
	};
	size_t size = abi >= 6 ? sizeof(attr) : sizeof(attr.handled_fs);
	long fd = syscall(SYS_landlock_create_ruleset, &attr, size, 0);
	if (fd < 0)
		return error_sys(err, errno, "make a Landlock ruleset");
	*ret = (struct ruleset){ (int)fd, attr.handled_fs };
	return 0;
}

static int ruleset_make(int abi, struct ruleset *ret, struct error *err)
{
	return ruleset_make_with(abi, 0, ret, err);
}

/*
 * What is not there gets no rule. A symbolic link to a directory neither: what it points to has its
 * own.
 */
static int allow_kind(const struct ruleset *rules, int dir_fd, const char *path, int kind,
	uint64_t rights, struct error *err)
{
	auto_fd int fd = openat(dir_fd, path, O_PATH | kind | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0) {
		if (errno == ENOENT || errno == ENOTDIR || errno == ELOOP)
			return 0;
		return error_sys(err, errno, "open %s for a Landlock rule", path);
	}
	struct landlock_path_beneath_attr rule = {
		.allowed_access = rights & rules->handled,
		.parent_fd = fd,
	};
	if (syscall(SYS_landlock_add_rule, rules->fd, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) < 0)
		return error_sys(err, errno, "add a Landlock rule for %s", path);
	return 0;
}

static int allow(const struct ruleset *rules, int dir_fd, const char *path, uint64_t rights,
	struct error *err)
{
	return allow_kind(rules, dir_fd, path, O_DIRECTORY, rights, err);
}

static int is_written(const char *name)
{
	static const char *const never[] = { ".", "..", "dev", "proc", "sys" };
	for (size_t i = 0; i < ARRAY_LEN(never); i++)
		if (!strcmp(name, never[i]))
			return 0;
	return 1;
}

/* By getdents64: opendir would allocate, and this runs between fork and exec. */
static int allow_root_entries(const struct ruleset *rules, struct error *err)
{
	auto_fd int root = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (root < 0)
		return error_sys(err, errno, "open /");
	_Alignas(struct dirent64) char buf[4096];
	long n;
	while ((n = syscall(SYS_getdents64, root, buf, sizeof(buf))) > 0) {
		for (long at = 0; at < n;) {
			const struct dirent64 *d = (const void *)(buf + at);
			at += d->d_reclen;
			if (is_written(d->d_name) &&
				allow(rules, root, d->d_name, FS_READ | FS_WRITE | FS_MAKE, err) <
					0)
				return -1;
		}
	}
	return n < 0 ? error_sys(err, errno, "read /") : 0;
}

static int allow_all(const struct ruleset *rules, enum user_mode user, bool makes_marks,
	struct error *err)
{
	/* Root mode may put a new directory into the root, and then use it. */
	uint64_t root = FS_READ | (user == USER_ROOT ? FS_WRITE | FS_MAKE : 0) |
		(makes_marks ? LANDLOCK_ACCESS_FS_MAKE_CHAR : 0);
	if (allow(rules, AT_FDCWD, "/", root, err) < 0)
		return -1;
	if (user != USER_ROOT && allow_root_entries(rules, err) < 0)
		return -1;
	if (allow(rules, AT_FDCWD, "/dev", FS_READ | FS_WRITE | FS_IOCTL_DEV, err) < 0 ||
		allow(rules, AT_FDCWD, "/dev/shm", FS_READ | FS_WRITE | FS_MAKE, err) < 0)
		return -1;
	return allow(rules, AT_FDCWD, "/dev/mqueue", FS_READ | FS_WRITE | FS_MAKE, err);
}

static int restrict_self(const struct ruleset *rules, struct error *err)
{
	if (syscall(SYS_landlock_restrict_self, rules->fd, 0) < 0)
		return error_sys(err, errno, "enter the Landlock domain");
	return 0;
}

int landlock_enter(int abi, enum user_mode user, bool makes_marks, int layer_fd, struct error *err)
{
	struct ruleset rules = { -1, 0 };
	if (ruleset_make(abi, &rules, err) < 0)
		return -1;
	int r = allow_all(&rules, user, makes_marks, err);
	if (r == 0 && layer_fd >= 0)
		r = allow(&rules, layer_fd, ".", FS_READ & ~LANDLOCK_ACCESS_FS_EXECUTE, err);
	if (r == 0)
		r = restrict_self(&rules, err);
	close(rules.fd);
	return r;
}

static int allow_reading(const struct ruleset *rules, const char *path, struct error *err)
{
	struct stat st;
	if (stat(path, &st) == 0 && !S_ISDIR(st.st_mode))
		return allow_kind(rules, AT_FDCWD, path, 0, LANDLOCK_ACCESS_FS_READ_FILE, err);
	return allow(rules, AT_FDCWD, path, FS_READ & ~LANDLOCK_ACCESS_FS_EXECUTE, err);
}

static int allow_server(const struct ruleset *rules, const char *state_dir,
	const char *const *readable, struct error *err)
{
	static const char *const read[] = { "/usr", "/lib", "/lib64", "/etc", "/proc",
		"/run/resolvconf", "/run/systemd/resolve" };
	static const char *const devices[] = { "/dev/null", "/dev/urandom" };
	for (size_t i = 0; i < ARRAY_LEN(read); i++)
		if (allow(rules, AT_FDCWD, read[i], FS_READ & ~LANDLOCK_ACCESS_FS_EXECUTE, err) < 0)
			return -1;
	for (size_t i = 0; i < ARRAY_LEN(devices); i++)
		if (allow_kind(rules, AT_FDCWD, devices[i], 0,
			    LANDLOCK_ACCESS_FS_READ_FILE | FS_WRITE, err) < 0)
			return -1;
	for (; readable && *readable; readable++)
		if (allow_reading(rules, *readable, err) < 0)
			return -1;
	if (allow(rules, AT_FDCWD, state_dir, FS_READ | FS_WRITE | FS_MAKE, err) < 0)
		return -1;
	return 0;
}

int landlock_enter_server(int abi, const char *state_dir, const char *const *readable,
	struct error *err)
{
	struct ruleset rules = { -1, 0 };
	if (ruleset_make(abi, &rules, err) < 0)
		return -1;
	int r = allow_server(&rules, state_dir, readable, err);
	if (r == 0)
		r = restrict_self(&rules, err);
	close(rules.fd);
	return r;
}

int landlock_enter_nothing(int abi, struct error *err)
{
	struct ruleset rules = { -1, 0 };
	if (ruleset_make_with(abi, NET_BIND_TCP | NET_CONNECT_TCP, &rules, err) < 0)
		return -1;
	int r = restrict_self(&rules, err);
	close(rules.fd);
	return r;
}
