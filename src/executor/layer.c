/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The verb layer, in a worker. What a sandbox changes is in the upper directories of its overlays:
 * "root" for "/", and one for each directory of the host that has an overlay of its own ("usr"; see
 * sandbox/rootfs.c). Nothing inside has a path to them: the executor was given a descriptor
 * (--layer-fd).
 *
 * overlayfs' marks become those of an image: a character device 0:0 is a name that is gone,
 * user.overlay.opaque a directory that hides what is below it
 * (https://docs.kernel.org/filesystems/overlayfs.html). Files with several names stay one file.
 */
#include "action/image_actions.h"
#include "base/auto.h"
#include "base/bug.h"
#include "base/map.h"
#include "executor/executor.h"
#include "executor/files.h"
#include "executor/image_verbs.h"
#include "executor/parcel.h"
#include "executor/walk.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

enum { LINKS_MAX = 1000 * 1000 };

struct taking {
	const struct layer_params *p;
	struct parcel *parcel;
	struct map links; /* "INODE" → the first name, of files with several */
	int64_t file_bytes, foreign;
};

static int add(struct taking *t, enum pack_kind kind, const char *path, const char *target,
	const struct stat *st, struct error *err)
{
	struct pack_item item = { .kind = kind,
		.path = path,
		.target = target,
		.mode = st->st_mode & 0777,
		.size = kind == PACK_FILE ? st->st_size : 0,
		.mtime_s = st->st_mtim.tv_sec };
	t->foreign += st->st_uid != 0 || st->st_gid != 0;
	return parcel_add(t->parcel, &item, err);
}

/* "a/b" → "a/.wh.b" */
static int add_whiteout(struct taking *t, const char *path, struct error *err)
{
	const char *name = strrchr(path, '/');
	int n_above = name ? (int)(name - path) + 1 : 0;
	auto_free char *mark = mem_printf("%.*s.wh.%s", n_above, path, path + n_above);
	struct pack_item item = { .kind = PACK_FILE, .path = mark, .target = "" };
	return parcel_add(t->parcel, &item, err);
}

static int add_opaque(struct taking *t, int fd, const char *path, struct error *err)
{
	char value[4];
	if (fgetxattr(fd, "user.overlay.opaque", value, sizeof(value)) != 1 || value[0] != 'y')
		return 0;
	auto_free char *mark = mem_printf("%s.wh..wh..opq", path);
	struct pack_item item = { .kind = PACK_FILE, .path = mark, .target = "" };
	return parcel_add(t->parcel, &item, err);
}

/* path ends with a slash. */
static int add_dir(struct taking *t, int fd, const char *path, struct error *err)
{
	struct stat st;
	if (fstat(fd, &st) < 0)
		return error_sys(err, errno, "stat %s", path);
	return add(t, PACK_DIR, path, "", &st, err) < 0 ? -1 : add_opaque(t, fd, path, err);
}

/* 1: it is another name of a file that is there already. */
static int add_link(struct taking *t, const struct stat *st, const char *path, struct error *err)
{
	char key[32];
	if (st->st_nlink < 2)
		return 0;
	snprintf(key, sizeof(key), "%llx", (unsigned long long)st->st_ino);
	const char *first = map_find(&t->links, str_from(key));
	if (first)
		return add(t, PACK_HARDLINK, path, first, st, err) < 0 ? -1 : 1;
	if (t->links.count < LINKS_MAX)
		map_put(&t->links, str_from(key), str_dup(str_from(path)));
	return 0;
}

static int add_file(struct taking *t, int fd, const char *path, struct error *err)
{
	struct stat st;
	if (fstat(fd, &st) < 0)
		return error_sys(err, errno, "stat %s", path);
	int r = add_link(t, &st, path, err);
	if (r != 0)
		return r < 0 ? -1 : 0;
	t->file_bytes += st.st_size;
	return add(t, PACK_FILE, path, "", &st, err) < 0
		? -1
		: parcel_add_bytes(t->parcel, fd, st.st_size, err);
}

static int add_symlink(struct taking *t, const struct walk_entry *e, const struct stat *st,
	const char *path, struct error *err)
{
	char target[PATH_SIZE];
	ssize_t n = readlinkat(e->dir_fd, e->name, target, sizeof(target) - 1);
	if (n <= 0)
		return error_sys(err, errno, "read link %s", path);
	target[n] = '\0';
	return add(t, PACK_SYMLINK, path, target, st, err);
}

static int add_entry(struct taking *t, const struct walk_entry *e, const char *path,
	struct error *err)
{
	struct stat st;
	if (fstatat(e->dir_fd, e->name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return error_sys(err, errno, "stat %s", path);
	if (S_ISCHR(st.st_mode) && st.st_rdev == makedev(0, 0))
		return add_whiteout(t, path, err);
	if (S_ISLNK(st.st_mode))
		return add_symlink(t, e, &st, path, err);
	if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode))
		return 0; /* sockets and FIFOs are made anew by who needs them */
	auto_fd int fd = openat(e->dir_fd, e->name,
		O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd < 0)
		return error_sys(err, errno, "open %s", path);
	if (S_ISREG(st.st_mode))
		return add_file(t, fd, path, err);
	auto_free char *dir = mem_printf("%s/", path);
	return add_dir(t, fd, dir, err);
}

static bool is_excluded(const struct taking *t, const char *path)
{
	for (size_t i = 0; i < t->p->exclude.n; i++)
		if (str_eq(t->p->exclude.items[i], str_from(path)))
			return true;
	return false;
}

/* prefix: "" or with a slash at its end. */
static int add_tree(struct taking *t, int dir_fd, const char *prefix, struct error *err)
{
	struct walk *walk = walk_new(dir_fd, &(struct walk_limits){ .hidden = true });
	struct walk_entry e;
	int r;
	while ((r = walk_next(walk, &e, err)) > 0) {
		auto_free char *path = mem_printf("%s%.*s", prefix, STR_ARG(e.path));
		if (strlen(path) > PACK_PATH_MAX - 16)
			r = error_set(err, ERROR_TOO_LARGE, "a path of %zu bytes", strlen(path));
		else if (!is_excluded(t, path))
			r = add_entry(t, &e, path, err);
		else if (e.type == DT_DIR)
			walk_skip(walk);
		if (r < 0)
			break;
	}
	if (r == 0 && walk_unread(walk) > 0)
		r = error_set(err, ERROR_FORBIDDEN, "%lld directories cannot be read",
			(long long)walk_unread(walk));
	walk_free(walk);
	return r;
}

/* The root first, then what hangs in it; not the sandbox's mounts. */
static int add_all(struct taking *t, int layer_fd, struct error *err)
{
	auto_fd int root_fd = openat(layer_fd, "root", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (root_fd < 0)
		return error_sys(err, errno, "open the upper layer");
	if (add_tree(t, take_fd(&root_fd), "", err) < 0)
		return -1;
	auto_fd int all_fd = openat(layer_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (all_fd < 0)
		return error_sys(err, errno, "open the upper layers");
	struct walk *walk = walk_new(take_fd(&all_fd), &(struct walk_limits){ .depth = 1 });
	struct walk_entry e;
	int r;
	while ((r = walk_next(walk, &e, err)) > 0) {
		if (str_is(e.path, "root") || str_starts(e.path, STR("mount")))
			continue;
		auto_free char *prefix = mem_printf("%.*s/", STR_ARG(e.path));
		auto_fd int fd = openat(e.dir_fd, e.name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (fd < 0) {
			r = error_sys(err, errno, "open %s", prefix);
			break;
		}
		r = add_dir(t, fd, prefix, err);
		if (r == 0)
			r = add_tree(t, take_fd(&fd), prefix, err);
		if (r < 0)
			break;
	}
	walk_free(walk);
	return r;
}

static void put_result(const struct taking *t, struct buf *result)
{
	struct jsonw w = JSONW(result);
	jsonw_open(&w);
	jsonw_key_int(&w, "bytes", t->parcel->bytes);
	jsonw_key_int(&w, "entries", t->parcel->entries);
	jsonw_key_int(&w, "file_bytes", t->file_bytes);
	jsonw_key_int(&w, "foreign", t->foreign);
	jsonw_close(&w);
}

static void free_links(struct map *links)
{
	struct str key;
	size_t i = 0;
	void *name;
	while ((name = map_next(links, &i, &key)))
		free(name);
	map_fini(links);
}

static int take_in_worker(void *arg, struct worker_io *io, struct buf *result, struct error *err)
{
	struct taking t = { .p = arg };
	if (parcel_new(io, PACK_TAR, &t.parcel, err) < 0)
		return -1;
	int r = add_all(&t, io->root->fd, err);
	if (r == 0)
		r = parcel_end(t.parcel, err);
	if (r == 0 && t.parcel->truncated)
		r = error_set(err, ERROR_CONFLICT, "a file became shorter meanwhile");
	if (r == 0)
		put_result(&t, result);
	free_links(&t.links);
	parcel_free(t.parcel);
	return r < 0 ? error_wrap(err, "take the layer") : 0;
}

static void start_layer(struct call *call, const void *params)
{
	struct files *files = call->executor->files;
	struct error err;
	struct worker *w = NULL;
	if (files->layer_root.fd < 0)
		error_set(&err, ERROR_UNSUPPORTED, "this sandbox was not made to give its layer");
	else
		w = worker_new(&files->layers, call, take_in_worker, (void *)(uintptr_t)params,
			&err);
	call->state = w;
	if (!w)
		call_fail(call, &err);
}

const struct verb layer_verb = {
	.action = &layer_action,
	.start = start_layer,
	.drain = worker_on_drain,
	.drop = worker_on_drop,
};
