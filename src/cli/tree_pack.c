/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/tree.h"

#include "base/auto.h"
#include "base/bug.h"
#include "base/file.h"
#include "wire/ignore.h"
#include "wire/pack.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

enum { PIECE = 256 * 1024 };

struct packing {
	const struct tree_how *how;
	struct pack_writer *writer;
	struct tree_count count;
	int depth;
	char *piece;
};

static int write_out(void *arg, struct str bytes, struct error *err)
{
	return file_write_all(*(int *)arg, bytes, err);
}

/* A file that shrinks while it is read is filled with zeros, as tar does; one that grows is cut. */
static int pack_bytes(struct packing *p, int fd, int64_t size, struct error *err)
{
	while (size > 0) {
		size_t wanted = (size_t)MIN(size, PIECE);
		ssize_t n = read(fd, p->piece, wanted);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return error_sys(err, errno, "read");
		if (n == 0) {
			memset(p->piece, 0, wanted);
			n = (ssize_t)wanted;
		}
		if (pack_write(p->writer, str_from_len(p->piece, (size_t)n), err) < 0)
			return -1;
		size -= n;
	}
	return 0;
}

static int pack_file(struct packing *p, int dir_fd, const char *name, struct pack_item *item,
	struct error *err)
{
	struct stat st;
	auto_fd int fd = openat(dir_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0)
		return error_sys(err, errno, "open");
	if (!S_ISREG(st.st_mode))
		return error_set(err, ERROR_CONFLICT, "it became another kind of file");
	item->size = st.st_size;
	if (pack_add(p->writer, item, err) < 0)
		return -1;
	return pack_bytes(p, fd, st.st_size, err);
}

static int pack_link(struct packing *p, int dir_fd, const char *name, struct pack_item *item,
	struct error *err)
{
	char target[PACK_PATH_MAX + 1];
	ssize_t n = readlinkat(dir_fd, name, target, sizeof(target) - 1);
	if (n < 0)
		return error_sys(err, errno, "read link");
	target[n] = '\0';
	item->target = target;
	int r = pack_add(p->writer, item, err);
	item->target = "";
	return r;
}

static int pack_dir(struct packing *p, int dir_fd, const char *prefix, struct error *err);

static int pack_below(struct packing *p, int dir_fd, const char *name, struct pack_item *item,
	struct error *err)
{
	auto_free char *prefix = mem_printf("%s/", item->path);
	auto_fd int fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return error_sys(err, errno, "open");
	if (++p->depth > TREE_DEPTH_MAX)
		return error_set(err, ERROR_LIMIT, "more than %d directories deep", TREE_DEPTH_MAX);
	item->path = prefix;
	int r = pack_add(p->writer, item, err);
	if (r == 0)
		r = pack_dir(p, fd, prefix, err);
	p->depth--;
	return r;
}

static bool is_kept(const struct tree_how *how, const char *path)
{
	for (const char *const *kept = how->kept; kept && *kept; kept++)
		if (!strcmp(*kept, path))
			return true;
	return false;
}

/*
 * A directory that is left out may hold an exception, or what is kept: it is looked into all the
 * same.
 */
static bool is_left_out(const struct packing *p, const char *path, bool is_dir)
{
	const struct tree_how *how = p->how;
	if (!how->ignore || is_kept(how, path) || !ignore_has(how->ignore, str_from(path)))
		return false;
	return !is_dir || (!how->ignore->has_exceptions && !how->kept);
}

static int pack_entry(struct packing *p, int dir_fd, const char *name, const char *path,
	struct error *err)
{
	struct stat st;
	if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return error_sys(err, errno, "look");
	struct pack_item item = { .path = path,
		.target = "",
		.mode = st.st_mode & 07777,
		.mtime_s = st.st_mtim.tv_sec };
	if (is_left_out(p, path, S_ISDIR(st.st_mode)))
		return 0;
	p->count.entries++;
	switch (st.st_mode & S_IFMT) {
	case S_IFREG:
		item.kind = PACK_FILE;
		return pack_file(p, dir_fd, name, &item, err);
	case S_IFDIR:
		item.kind = PACK_DIR;
		return pack_below(p, dir_fd, name, &item, err);
	case S_IFLNK:
		item.kind = PACK_SYMLINK;
		return pack_link(p, dir_fd, name, &item, err);
	default:
		p->count.entries--;
		p->count.skipped++;
		return 0;
	}
}

static int pack_dir(struct packing *p, int dir_fd, const char *prefix, struct error *err)
{
	int own_fd = fcntl(dir_fd, F_DUPFD_CLOEXEC, 0);
	DIR *dir = own_fd < 0 ? NULL : fdopendir(own_fd);
	if (!dir) {
		close_fd(own_fd);
		return error_sys(err, errno, "open directory");
	}
	int r = 0;
	struct dirent *e;
	while (r == 0 && (errno = 0, e = readdir(dir))) {
		if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."))
			continue;
		auto_free char *path = mem_printf("%s%s", prefix, e->d_name);
		r = pack_entry(p, dir_fd, e->d_name, path, err);
		if (r < 0 && p->depth == 0)
			error_wrap(err, "%s", e->d_name);
	}
	if (r == 0 && errno)
		r = error_sys(err, errno, "read directory");
	closedir(dir);
	return r;
}

static int pack_extra(struct packing *p, struct error *err)
{
	const struct tree_how *how = p->how;
	struct pack_item item = { .kind = PACK_FILE,
		.path = how->extra_name,
		.target = "",
		.mode = 0644,
		.size = (int64_t)how->extra.len };
	if (!how->extra_name)
		return 0;
	return pack_add(p->writer, &item, err) < 0 ? -1 : pack_write(p->writer, how->extra, err);
}

int tree_pack(int dir_fd, const struct tree_how *how, int out_fd, struct tree_count *ret,
	struct error *err)
{
	static const struct tree_how all = { 0 };
	auto_free char *piece = mem_alloc(PIECE);
	struct packing p = { .how = how ? how : &all, .piece = piece };
	if (pack_writer_new(PACK_TAR, write_out, &out_fd, &p.writer, err) < 0)
		return -1;
	int r = pack_dir(&p, dir_fd, "", err);
	if (r == 0)
		r = pack_extra(&p, err);
	if (r == 0)
		r = pack_end(p.writer, err);
	pack_writer_free(p.writer);
	*ret = p.count;
	return r;
}
