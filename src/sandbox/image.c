/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. The archive is unpacked into `new-ID` beside its final place and then
 * renamed, so a directory that bears a key is whole. Two who unpack the same archive at once do it
 * twice; the rename of the second fails, and it uses the first one's. What a killed one leaves is
 * removed by the next that unpacks something: its lock tells that nobody is at it.
 */
#include "sandbox/image.h"

#include "base/auto.h"
#include "base/bug.h"
#include "base/file.h"
#include "sandbox/errand.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>

int image_put_cache_dir(const struct host *host, struct buf *b, struct error *err)
{
	const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
	if (cache && cache[0] == '/')
		buf_printf(b, "%s/cay/images", cache);
	else if (host->is_root)
		buf_puts(b, "/var/cache/cay/images");
	else if (home && home[0] == '/')
		buf_printf(b, "%s/.cache/cay/images", home);
	else
		return error_set(err, ERROR_INVALID,
			"neither XDG_CACHE_HOME nor HOME names a directory");
	return b->is_full ? error_set(err, ERROR_INVALID, "the path of the image cache is too long")
			  : 0;
}

static void put_key(const struct stat *st, struct buf *b)
{
	buf_printf(b, "%llx-%llx-%llx-%llx.%lx-%llx.%lx", (unsigned long long)st->st_dev,
		(unsigned long long)st->st_ino, (unsigned long long)st->st_size,
		(unsigned long long)st->st_mtim.tv_sec, (unsigned long)st->st_mtim.tv_nsec,
		(unsigned long long)st->st_ctim.tv_sec, (unsigned long)st->st_ctim.tv_nsec);
}

/* The option of tar for what the file begins with; tar itself does not look at standard input. */
static const char *compression(int fd)
{
	static const struct {
		struct str magic;
		const char *option;
	} rows[] = {
		{ { "\x1f\x8b", 2 }, "--gzip" },
		{ { "BZh", 3 }, "--bzip2" },
		{ { "\xfd"
		    "7zXZ",
			  5 },
			"--xz" },
		{ { "\x28\xb5\x2f\xfd", 4 }, "--zstd" },
	};
	char head[8];
	ssize_t n = pread(fd, head, sizeof(head), 0);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (n > 0 && str_starts(str_from_len(head, (size_t)n), rows[i].magic))
			return rows[i].option;
	return NULL;
}

static void fill_spec(const char *dir, struct spec *spec)
{
	*spec = (struct spec){ .network = NETWORK_NONE, .n_mounts = 1 };
	id_make(spec->id);
	struct spec_mount *m = &spec->mounts[0];
	snprintf(m->source, sizeof(m->source), "%s", dir);
	snprintf(m->target, sizeof(m->target), "/workspace");
	m->mode = MOUNT_WRITABLE;
}

/* What tar said first is why it failed. */
static int blame_tar(int said_fd, struct error *err)
{
	char said[ERROR_TEXT_MAX / 2] = "";
	ssize_t n = pread(said_fd, said, sizeof(said) - 1, 0);
	struct str line = str_from_len(said, n > 0 ? (size_t)n : 0);
	ptrdiff_t end = str_find_char(line, '\n');
	line = end < 0 ? line : str_first(line, (size_t)end);
	return error_set(err, ERROR_INVALID, "%.*s",
		STR_ARG(line.len ? line : STR("tar was killed")));
}

static int run_tar(const struct host *host, const char *dir, int tar_fd, struct error *err)
{
	auto_free struct spec *spec = mem_new(struct spec);
	fill_spec(dir, spec);
	const char *argv[] = { "tar", "-x", "-f", "-", "-C", "/workspace", "--no-same-owner",
		"--no-same-permissions", "--delay-directory-restore", "--exclude=dev/*",
		"--exclude=./dev/*", compression(tar_fd), NULL };
	auto_fd int said_fd = memfd_create("cay-tar", MFD_CLOEXEC);
	auto_fd int null_fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
	if (said_fd < 0 || null_fd < 0)
		return error_sys(err, errno, "open descriptors for tar");
	const struct errand errand = { host, spec, argv, { tar_fd, null_fd, said_fd } };
	int status;
	if (errand_run(&errand, &status, err) < 0)
		return -1;
	return status == 0 ? 0 : blame_tar(said_fd, err);
}

/* Directories that somebody began and nobody holds. */
static void remove_abandoned(int cache_fd)
{
	int copy = fcntl(cache_fd, F_DUPFD_CLOEXEC, 3);
	DIR *dir = copy < 0 ? NULL : fdopendir(copy);
	if (!dir) {
		close_fd(copy);
		return;
	}
	for (struct dirent *e; (e = readdir(dir));) {
		if (!str_starts(str_from(e->d_name), STR("new-")))
			continue;
		auto_fd int fd = openat(cache_fd, e->d_name,
			O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0)
			file_remove_tree(cache_fd, e->d_name, NULL);
	}
	closedir(dir);
}

static int unpack(const struct host *host, const char *cache, int cache_fd, int tar_fd,
	const char *key, struct error *err)
{
	char id[ID_SIZE];
	id_make(id);
	auto_free char *name = mem_printf("new-%s", id);
	auto_free char *path = mem_printf("%s/%s", cache, name);
	remove_abandoned(cache_fd);
	if (mkdirat(cache_fd, name, 0755) < 0)
		return error_sys(err, errno, "make %s", path);
	auto_fd int fd = openat(cache_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || flock(fd, LOCK_EX) < 0)
		return error_sys(err, errno, "hold %s", path);
	int r = run_tar(host, path, tar_fd, err);
	if (r == 0 && renameat(cache_fd, name, cache_fd, key) < 0 && errno != EEXIST &&
		errno != ENOTEMPTY)
		r = error_sys(err, errno, "rename %s", path);
	file_remove_tree(cache_fd, name, NULL);
	return r;
}

static int find_or_unpack(const struct host *host, int tar_fd, const struct stat *st,
	struct spec *spec, struct error *err)
{
	auto_buf struct buf cache = BUF_INIT(SPEC_PATH_SIZE - 128), key = BUF_INIT(127);
	put_key(st, &key);
	if (image_put_cache_dir(host, &cache, err) < 0 || file_mkdirs(cache.ptr, 0700, err) < 0)
		return -1;
	auto_fd int cache_fd = open(cache.ptr, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (cache_fd < 0)
		return error_sys(err, errno, "open %s", cache.ptr);
	if (faccessat(cache_fd, key.ptr, F_OK, 0) < 0 &&
		unpack(host, cache.ptr, cache_fd, tar_fd, key.ptr, err) < 0)
		return error_wrap(err, "unpack image %s", spec->image_path);
	snprintf(spec->image_path, sizeof(spec->image_path), "%s/%s", cache.ptr, key.ptr);
	return 0;
}

int image_resolve(const struct host *host, const struct hostpaths *paths, struct spec *spec,
	struct error *err)
{
	char link[32];
	struct stat st;
	auto_fd int place_fd = -1;
	if (spec->image != IMAGE_DIR)
		return 0;
	if (hostpaths_open(paths, spec->image_path, HOSTPATH_IMAGE, &place_fd, err) < 0)
		return error_wrap(err, "image %s", spec->image_path);
	if (fstat(place_fd, &st) < 0)
		return error_sys(err, errno, "stat image %s", spec->image_path);
	if (S_ISDIR(st.st_mode))
		return 0;
	if (!S_ISREG(st.st_mode))
		return error_set(err, ERROR_INVALID,
			"image %s is neither a directory nor an archive", spec->image_path);
	snprintf(link, sizeof(link), "/proc/self/fd/%d", place_fd);
	auto_fd int fd = open(link, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return error_sys(err, errno, "open image %s", spec->image_path);
	return find_or_unpack(host, fd, &st, spec, err);
}
