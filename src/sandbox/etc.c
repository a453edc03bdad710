/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The /etc of the host image: what programs need to run, from an allow list, and nothing that tells
 * who uses the host. It is copied once into run_dir/etc-STAMP and then serves as the lower layer of
 * every sandbox. The stamp is a digest of the times of what tends to change, so an outdated copy is
 * never found by its name, and `cay gc` removes it. Whatever the list says, only what everyone may
 * read is copied.
 */
#include "sandbox/etc.h"

#include "base/auto.h"
#include "base/bug.h"
#include "base/file.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/sendfile.h>
#include <sys/stat.h>

enum { COPY_DEPTH_MAX = 12, COPY_ENTRIES_MAX = 40000, STAMP_VERSION = 2, MAKE_TRIES = 4 };

static const char *const allowed[] = {
	"X11",
	"alternatives",
	"apt/apt.conf.d",
	"apt/preferences.d",
	"apt/sources.list",
	"apt/sources.list.d",
	"apt/trusted.gpg.d",
	"bash.bashrc",
	"bash_completion.d",
	"ca-certificates",
	"ca-certificates.conf",
	"crypto-policies",
	"debian_version",
	"fonts",
	"gai.conf",
	"groff",
	"host.conf",
	"inputrc",
	"java",
	"java-11-openjdk",
	"java-17-openjdk",
	"java-21-openjdk",
	"ld.so.cache",
	"ld.so.conf",
	"ld.so.conf.d",
	"locale.alias",
	"locale.conf",
	"locale.gen",
	"localtime",
	"login.defs",
	"lsb-release",
	"magic",
	"magic.mime",
	"mailcap",
	"manpath.config",
	"matplotlibrc",
	"maven",
	"mime.types",
	"networks",
	"os-release",
	"perl",
	"pki/ca-trust",
	"pki/tls/certs",
	"profile",
	"profile.d",
	"protocols",
	"python3",
	"python3.11",
	"python3.12",
	"python3.13",
	"redhat-release",
	"resolv.conf",
	"rpc",
	"services",
	"shells",
	"skel",
	"ssl/certs",
	"ssl/openssl.cnf",
	"terminfo",
	"timezone",
	"vim",
	"xdg",
};

/*
 * Directories tell of new, removed and replaced entries; these are the ones that change in a
 * machine's life.
 */
static const char *const watched[] = {
	"/etc",
	"/etc/alternatives",
	"/etc/apt/sources.list.d",
	"/etc/ld.so.cache",
	"/etc/ld.so.conf.d",
	"/etc/localtime",
	"/etc/profile.d",
	"/etc/resolv.conf",
	"/etc/ssl/certs",
};

static const struct {
	const char *name, *content;
} made[] = {
	{ "passwd",
		"root:x:0:0:root:/root:/bin/bash\n"
		"daemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin\n"
		"bin:x:2:2:bin:/bin:/usr/sbin/nologin\n"
		"sys:x:3:3:sys:/dev:/usr/sbin/nologin\n"
		"man:x:6:12:man:/var/cache/man:/usr/sbin/nologin\n"
		"mail:x:8:8:mail:/var/mail:/usr/sbin/nologin\n"
		"www-data:x:33:33:www-data:/var/www:/usr/sbin/nologin\n"
		"_apt:x:42:65534::/nonexistent:/usr/sbin/nologin\n"
		"agent:x:1000:1000:agent:/home/agent:/bin/bash\n"
		"nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n" },
	{ "group",
		"root:x:0:\ndaemon:x:1:\nbin:x:2:\nsys:x:3:\nadm:x:4:\ntty:x:5:\ndisk:x:6:\nman:x:12:\n"
		"mail:x:8:\nwww-data:x:33:\nshadow:x:42:\nutmp:x:43:\nstaff:x:50:\nagent:x:1000:\n"
		"nogroup:x:65534:\n" },
	{ "nsswitch.conf",
		"passwd: files\ngroup: files\nshadow: files\nhosts: files dns\nnetworks: files\n"
		"protocols: files\nservices: files\nethers: files\nrpc: files\n" },
	{ "environment", "" },
	{ "fstab", "" },
	{ "machine-id", "00000000000000000000000000000ca1\n" },
};

struct copy {
	int entries; /* so far */
};

static int copy_entry(int from, int to, const char *name, int depth, struct copy *copy,
	struct error *err);

static int copy_file(int from, int to, const char *name, const struct stat *st, struct error *err)
{
	auto_fd int in = openat(from, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	auto_fd int out = openat(to, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
		(st->st_mode & 0111) ? 0755 : 0644);
	if (in < 0 || out < 0)
		return error_sys(err, errno, "copy %s", name);
	for (off_t left = st->st_size; left > 0;) {
		ssize_t n = sendfile(out, in, NULL, (size_t)left);
		if (n < 0)
			return error_sys(err, errno, "copy %s", name);
		if (n == 0)
			break;
		left -= n;
	}
	return 0;
}

static int copy_link(int from, int to, const char *name, struct error *err)
{
	char target[1024];
	ssize_t n = readlinkat(from, name, target, sizeof(target) - 1);
	if (n < 0)
		return error_sys(err, errno, "read link %s", name);
	target[n] = '\0';
	return symlinkat(target, to, name) < 0 ? error_sys(err, errno, "link %s", name) : 0;
}

static int copy_children(int from, int to, int depth, struct copy *copy, struct error *err)
{
	int fd = fcntl(from, F_DUPFD_CLOEXEC, 3);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	if (!dir) {
		close_fd(fd);
		return error_sys(err, errno, "read directory");
	}
	int r = 0;
	struct dirent *e;
	while (r == 0 && (e = readdir(dir)))
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			r = copy_entry(from, to, e->d_name, depth + 1, copy, err);
	closedir(dir);
	return r;
}

static int copy_dir(int from, int to, const char *name, int depth, struct copy *copy,
	struct error *err)
{
	auto_fd int in = openat(from, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (in < 0)
		return error_sys(err, errno, "open %s", name);
	if (mkdirat(to, name, 0755) < 0 && errno != EEXIST)
		return error_sys(err, errno, "mkdir %s", name);
	auto_fd int out = openat(to, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (out < 0)
		return error_sys(err, errno, "open the copy of %s", name);
	return copy_children(in, out, depth, copy, err);
}

static int copy_entry(int from, int to, const char *name, int depth, struct copy *copy,
	struct error *err)
{
	struct stat st;
	if (fstatat(from, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : error_sys(err, errno, "stat %s", name);
	if (depth > COPY_DEPTH_MAX || ++copy->entries > COPY_ENTRIES_MAX)
		return error_set(err, ERROR_TOO_LARGE, "more than %d entries or %d levels",
			COPY_ENTRIES_MAX, COPY_DEPTH_MAX);
	if (S_ISLNK(st.st_mode))
		return copy_link(from, to, name, err);
	if (S_ISREG(st.st_mode) && (st.st_mode & 0004))
		return copy_file(from, to, name, &st, err);
	if (S_ISDIR(st.st_mode) && (st.st_mode & 0005) == 0005)
		return copy_dir(from, to, name, depth, copy, err);
	return 0;
}

/* One entry of the list, which may have one or two slashes in it. */
static int copy_allowed(int from, int to, const char *path, struct copy *copy, struct error *err)
{
	const char *slash = strchr(path, '/');
	if (!slash)
		return copy_entry(from, to, path, 0, copy, err);
	char dir[64];
	snprintf(dir, sizeof(dir), "%.*s", (int)(slash - path), path);
	auto_fd int in = openat(from, dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (in < 0)
		return errno == ENOENT ? 0 : error_sys(err, errno, "open %s", dir);
	if (mkdirat(to, dir, 0755) < 0 && errno != EEXIST)
		return error_sys(err, errno, "mkdir %s", dir);
	auto_fd int out = openat(to, dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (out < 0)
		return error_sys(err, errno, "open the copy of %s", dir);
	return copy_allowed(in, out, slash + 1, copy, err);
}

static int fill(int to, struct error *err)
{
	auto_fd int from = open("/etc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (from < 0)
		return error_sys(err, errno, "open /etc");
	struct copy copy = { 0 };
	for (size_t i = 0; i < ARRAY_LEN(allowed); i++)
		if (copy_allowed(from, to, allowed[i], &copy, err) < 0)
			return error_wrap(err, "/etc/%s", allowed[i]);
	for (size_t i = 0; i < ARRAY_LEN(made); i++)
		if (file_replace(to, made[i].name, str_from(made[i].content), 0644, err) < 0)
			return -1;
	return symlinkat("/proc/self/mounts", to, "mtab") < 0 ? error_sys(err, errno, "link mtab")
							      : 0;
}

/*
 * Made under another name and renamed: who comes at the same time makes the same, and one of both
 * stays.
 */
static int make(const char *run_dir, const char *path, struct error *err)
{
	uint64_t random = 0;
	if (getrandom(&random, sizeof(random), 0) != sizeof(random))
		return error_sys(err, errno, "getrandom");
	auto_free char *temp = mem_printf("%s/new-%016llx", run_dir, (unsigned long long)random);
	mode_t mask = umask(022);
	int r = mkdir(temp, 0755) < 0 ? error_sys(err, errno, "mkdir %s", temp) : 0;
	auto_fd int fd = r < 0 ? -1 : open(temp, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (r == 0)
		r = fd < 0 || flock(fd, LOCK_SH) < 0 ? error_sys(err, errno, "open %s", temp)
						     : fill(fd, err);
	umask(mask);
	if (r == 0 && rename(temp, path) < 0 && errno != ENOTEMPTY && errno != EEXIST)
		r = error_sys(err, errno, "rename to %s", path);
	file_remove_tree(AT_FDCWD, temp, NULL); /* is not there if all went well */
	return r;
}

static uint64_t mix(uint64_t digest, uint64_t value)
{
	digest ^= value;
	digest *= UINT64_C(0x100000001b3); /* FNV-1a, 64 bits at a time */
	return digest ^ digest >> 29;
}

uint64_t etc_stamp(void)
{
	uint64_t digest = UINT64_C(0xcbf29ce484222325) + STAMP_VERSION;
	struct stat st;
	for (size_t i = 0; i < ARRAY_LEN(watched); i++) {
		if (stat(watched[i], &st) < 0)
			continue;
		digest = mix(digest, st.st_ino);
		digest = mix(digest, (uint64_t)st.st_mtim.tv_sec);
		digest = mix(digest, (uint64_t)st.st_mtim.tv_nsec);
	}
	return digest;
}

static bool is_same(int fd, const char *path)
{
	struct stat ours, theirs;
	return fd >= 0 && fstat(fd, &ours) == 0 && stat(path, &theirs) == 0 &&
		ours.st_ino == theirs.st_ino && ours.st_dev == theirs.st_dev;
}

/*
 * Shared as long as the sandbox lives, so that nobody removes the copy from under it (sweep.c). All
 * that one process builds have the same open file: the kernel keeps the locks of a file in a list
 * and goes through all of it to add one or to take one away.
 */
static int lock_copy(const char *path, int *ret_fd, struct error *err)
{
	static int last_fd = -1;
	if (is_same(last_fd, path)) {
		*ret_fd = fcntl(last_fd, F_DUPFD_CLOEXEC, 3);
		return *ret_fd < 0 ? error_sys(err, errno, "duplicate a descriptor") : 0;
	}
	auto_fd int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;
	if (fd < 0 && errno == ENOENT)
		return 0;
	if (fd < 0 || flock(fd, LOCK_SH) < 0 || fstat(fd, &st) < 0)
		return error_sys(err, errno, "lock %s", path);
	if (st.st_nlink == 0) /* removed while we waited for the lock */
		return 0;
	close_fd(last_fd);
	last_fd = fcntl(fd, F_DUPFD_CLOEXEC, 3); /* without one, the next does all this again */
	*ret_fd = take_fd(&fd);
	return 0;
}

int etc_find(struct build *b, const struct step *s, struct error *err)
{
	snprintf(b->etc_path, sizeof(b->etc_path), "%s/etc-%016llx", s->path,
		(unsigned long long)etc_stamp());
	for (int i = 0; i < MAKE_TRIES; i++) {
		if (lock_copy(b->etc_path, &b->etc_fd, err) < 0)
			return -1;
		if (b->etc_fd >= 0)
			return 0;
		if (make(s->path, b->etc_path, err) < 0)
			return -1;
	}
	return error_set(err, ERROR_CONFLICT, "%s is removed as fast as it is made", b->etc_path);
}
