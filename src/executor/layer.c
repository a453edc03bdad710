/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The verb layer, in a worker. What a sandbox changes is in the upper directories of its overlays:
 * "upper/root" for "/", and one for each directory of the host that has an overlay of its own
 * ("upper/usr"; see sandbox/rootfs.c); where "/" is no overlay, in "root". Nothing inside has a
 * path to them: the executor was given a descriptor (--layer-fd).
 *
 * overlayfs' marks become those of an image: a character device 0:0 is a name that is gone,
 * user.overlay.opaque a directory that hides what is below it
 * (https://docs.kernel.org/filesystems/overlayfs.html). Files with several names stay one file.
 *
 * A step of a build gives all of it at once. A snapshot is first looked through, and then asked for
 * part by part (executor/layer_owners.h); directories that are mounted as copies (`trees`) are
 * given as they are seen.
 */
#include "action/image_actions.h"
#include "base/auto.h"
#include "base/bug.h"
#include "base/map.h"
#include "base/num.h"
#include "executor/executor.h"
#include "executor/files.h"
#include "executor/image_verbs.h"
#include "executor/layer_owners.h"
#include "executor/parcel.h"
#include "executor/unpack.h"
#include "executor/walk.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

/* Names that are kept, with what each takes beside its bytes. */
enum { LINKS_BYTES_MAX = 128 * 1024 * 1024, LINK_BYTES = 160 };

struct taking {
	const struct layer_params *p;
	struct parcel *parcel; /* NULL: it is only looked through */
	struct map links;      /* "DEVICE:INODE" → the first name, of files with several */
	size_t links_bytes;
	int64_t entries, file_bytes, foreign;
	struct layer_owners owners;
	struct layer_part
		at[WALK_DEPTH_MAX + 1]; /* the directories on the way; 0: where it began */
	int upper_fd;
	bool is_plain; /* "/": no overlay, and what hangs in it is to be passed over */
	bool is_seen;  /* a tree as it is seen: without marks */
	dev_t dev;     /* of that */
};

static bool is_split(const struct taking *t)
{
	return t->p->level >= 0;
}

static bool is_wanted(const struct taking *t, struct layer_part part)
{
	return t->parcel &&
		(!is_split(t) || (part.level == t->p->level && part.uid == t->p->owner));
}

/* Without holes. */
static int64_t bytes_of(const struct stat *st)
{
	return MIN(st->st_size, st->st_blocks * 512);
}

static int add(struct taking *t, enum pack_kind kind, const char *path, const char *target,
	const struct stat *st, struct error *err)
{
	struct pack_item item = { .kind = kind,
		.path = path,
		.target = target,
		.mode = st->st_mode & (S_ISDIR(st->st_mode) ? 01777 : 0777),
		.size = kind == PACK_FILE ? st->st_size : 0,
		.mtime_s = st->st_mtim.tv_sec };
	t->foreign += st->st_uid != 0 || st->st_gid != 0;
	return parcel_add(t->parcel, &item, err);
}

static int add_mark(struct taking *t, enum pack_kind kind, const char *path, struct error *err)
{
	return parcel_add(t->parcel,
		&(struct pack_item){ .kind = kind, .path = path, .target = "" }, err);
}

/* Of all layers of a snapshot the lowest hides what lies below them. path ends with a slash. */
static int add_opaque(struct taking *t, const char *path, struct error *err)
{
	auto_free char *in = mem_printf("%sopaque", path);
	return t->parcel && (!is_split(t) || t->p->is_last) ? add_mark(t, PACK_OPAQUE, in, err) : 0;
}

static bool is_opaque(int fd)
{
	char value[4];
	return fgetxattr(fd, "user.overlay.opaque", value, sizeof(value)) == 1 && value[0] == 'y';
}

/* path ends with a slash; fd -1: it cannot be read. */
static int add_dir(struct taking *t, int fd, struct layer_part part, const struct stat *st,
	const char *path, struct error *err)
{
	if (is_wanted(t, part) && add(t, PACK_DIR, path, "", st, err) < 0)
		return -1;
	return fd >= 0 && !t->is_seen && is_opaque(fd) ? add_opaque(t, path, err) : 0;
}

/*
 * 1: it is another name of a file that is there already. Of directories that are mounted as copies
 * some files lie on another device, where the same number is another file's.
 */
static int add_link(struct taking *t, const struct stat *st, const char *path, struct error *err)
{
	char key[48];
	if (st->st_nlink < 2)
		return 0;
	snprintf(key, sizeof(key), "%llx:%llx", (unsigned long long)st->st_dev,
		(unsigned long long)st->st_ino);
	const char *first = map_find(&t->links, str_from(key));
	if (first)
		return add(t, PACK_HARDLINK, path, first, st, err) < 0 ? -1 : 1;
	t->links_bytes += strlen(path) + LINK_BYTES;
	if (t->links_bytes > LINKS_BYTES_MAX)
		return error_set(err, ERROR_LIMIT,
			"the names of files that have several take more than %d MiB",
			LINKS_BYTES_MAX >> 20);
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
	t->file_bytes += bytes_of(&st);
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

/*
 * 0: it may not be read, and need not: it is not the agent's, who has changed nothing in it. An
 * agent that is root reads everything.
 */
static int open_entry(const struct taking *t, const struct walk_entry *e, const struct stat *st,
	const char *path, int *ret_fd, struct error *err)
{
	*ret_fd = openat(e->dir_fd, e->name,
		O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (*ret_fd >= 0)
		return 1;
	return is_split(t) && errno == EACCES && st->st_uid != geteuid()
		? 0
		: error_sys(err, errno, "open %s", path);
}

static int add_child_dir(struct taking *t, struct walk *walk, const struct walk_entry *e,
	struct layer_part part, const struct stat *st, const char *path, struct error *err)
{
	auto_free char *dir = mem_printf("%s/", path);
	auto_fd int fd = -1;
	int r = open_entry(t, e, st, path, &fd, err);
	bool is_deeper = t->parcel && is_split(t) && part.level > t->p->level;
	if (r == 0 || is_deeper || (t->is_seen && st->st_dev != t->dev))
		walk_skip(walk);
	t->at[e->depth] = part;
	return r < 0 ? -1 : add_dir(t, fd, part, st, dir, err);
}

static int look_at(struct taking *t, struct layer_part part, const struct stat *st,
	struct error *err)
{
	if (S_ISREG(st->st_mode) && st->st_size > UNPACK_FILE_MAX)
		return error_set(err, ERROR_TOO_LARGE,
			"a file of %lld bytes, holes counted; the limit is %lld",
			(long long)st->st_size, (long long)UNPACK_FILE_MAX);
	t->entries++;
	t->file_bytes += S_ISREG(st->st_mode) ? bytes_of(st) : 0;
	return layer_note(&t->owners, part, err);
}

/*
 * Whether overlayfs shows what lower layers have in the directory of this name, too. That a
 * directory is one of several it tells by its count of links (ovl_getattr of fs/overlayfs/inode.c).
 */
static bool is_merged(const char *path)
{
	struct stat st;
	const char *name = strrchr(path, '/');
	auto_free char *dir = mem_printf("/%.*s", name ? (int)(name - path) : 0, path);
	return lstat(dir, &st) == 0 && S_ISDIR(st.st_mode) && st.st_nlink == 1;
}

/*
 * Sockets and FIFOs are made anew by who needs them. What a lower layer may have by that name is
 * gone, as it is where overlayfs has made its mark. Where nothing is merged such a mark would be
 * seen.
 */
static int add_other(struct taking *t, const struct walk_entry *e, const struct stat *st,
	const char *path, struct error *err)
{
	bool is_mark = S_ISCHR(st->st_mode) && st->st_rdev == makedev(0, 0);
	if (t->is_seen || t->is_plain || !is_wanted(t, t->at[e->depth - 1]) ||
		(!is_mark && !is_merged(path)))
		return 0;
	return add_mark(t, PACK_GONE, path, err);
}

static int add_entry(struct taking *t, struct walk *walk, const struct walk_entry *e,
	const char *path, struct error *err)
{
	struct stat st;
	struct layer_part above = t->at[e->depth - 1];
	if (fstatat(e->dir_fd, e->name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return error_sys(err, errno, "stat %s", path);
	if (!S_ISLNK(st.st_mode) && !S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode))
		return add_other(t, e, &st, path, err);
	struct layer_part part = layer_below(&t->owners, above, st.st_uid);
	if (!t->parcel && look_at(t, part, &st, err) < 0)
		return error_wrap(err, "%s", path);
	if (S_ISDIR(st.st_mode))
		return add_child_dir(t, walk, e, part, &st, path, err);
	if (!is_wanted(t, part))
		return 0;
	if (S_ISLNK(st.st_mode))
		return add_symlink(t, e, &st, path, err);
	auto_fd int fd = -1;
	int r = open_entry(t, e, &st, path, &fd, err);
	return r <= 0 ? r : add_file(t, fd, path, err);
}

/* What hangs in a "/" that is no overlay is told by the overlay's own upper layer. */
static bool is_hung(const struct taking *t, const char *path)
{
	struct stat st;
	bool is_below_var = !strcmp(path, "var/lib/dpkg");
	return t->is_plain && (is_below_var || !strchr(path, '/')) && strcmp(path, "var") != 0 &&
		fstatat(t->upper_fd, path, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

static bool is_excluded(const struct taking *t, const char *path)
{
	for (size_t i = 0; i < t->p->exclude.n; i++)
		if (str_eq(t->p->exclude.items[i], str_from(path)))
			return true;
	for (size_t i = 0; i < t->p->trees.n && !t->is_seen; i++)
		if (str_eq(str_skip(t->p->trees.items[i], 1), str_from(path)))
			return true;
	return is_hung(t, path);
}

/* Takes dir_fd. prefix: "" or with a slash at its end; t->at[0] says whose it is. */
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
			r = add_entry(t, walk, &e, path, err);
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

static bool is_empty(int dir_fd)
{
	int copy = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = copy < 0 ? NULL : fdopendir(copy);
	struct dirent *e;
	bool is_empty = true;
	while (dir && is_empty && (e = readdir(dir)))
		is_empty = !strcmp(e->d_name, ".") || !strcmp(e->d_name, "..");
	if (dir)
		closedir(dir);
	return is_empty;
}

/* An overlay in which nothing was changed is not told: it would be a layer to every fork. */
static int add_overlay(struct taking *t, const struct walk_entry *e, struct error *err)
{
	struct stat st;
	auto_free char *prefix = mem_printf("%.*s/", STR_ARG(e->path));
	auto_fd int fd = openat(e->dir_fd, e->name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0)
		return error_sys(err, errno, "open %s", prefix);
	if (is_split(t) && is_empty(fd))
		return 0;
	t->at[0] = layer_below(&t->owners, (struct layer_part){ 0, 0 }, st.st_uid);
	if (!t->parcel && look_at(t, t->at[0], &st, err) < 0)
		return -1;
	return add_dir(t, fd, t->at[0], &st, prefix, err) < 0
		? -1
		: add_tree(t, take_fd(&fd), prefix, err);
}

static int add_root(struct taking *t, int work_fd, struct error *err)
{
	auto_fd int fd = openat(t->upper_fd, "root", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	t->is_plain = fd < 0 && errno == ENOENT;
	if (t->is_plain)
		fd = openat(work_fd, "root", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return error_sys(err, errno, "open the upper layer");
	t->at[0] = (struct layer_part){ 0, 0 };
	int r = !t->parcel ? layer_note(&t->owners, t->at[0], err) : 0;
	if (r == 0)
		r = add_tree(t, take_fd(&fd), "", err);
	t->is_plain = false;
	return r;
}

/* One name on the way to a tree. */
static int enter_part(struct taking *t, struct str name, struct buf *path, int *fd,
	struct error *err)
{
	struct stat st;
	buf_put(path, name);
	auto_free char *text = str_dup(name);
	auto_fd int next = openat(*fd, text, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (next < 0 || fstat(next, &st) < 0)
		return error_sys(err, errno, "open /%s", path->ptr);
	buf_putc(path, '/');
	t->at[0] = layer_below(&t->owners, t->at[0], st.st_uid);
	t->dev = st.st_dev;
	if (!t->parcel && look_at(t, t->at[0], &st, err) < 0)
		return -1;
	close_fd(*fd);
	*fd = take_fd(&next);
	return add_dir(t, -1, t->at[0], &st, path->ptr, err);
}

/* A directory that is mounted as a copy, with the way to it; it hides what lies below it. */
static int add_seen(struct taking *t, struct str target, struct error *err)
{
	auto_buf struct buf path = BUF_INIT(PATH_SIZE);
	auto_fd int fd = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct str name;
	t->at[0] = (struct layer_part){ 0, 0 };
	while (str_split(&target, '/', &name))
		if (name.len && enter_part(t, name, &path, &fd, err) < 0)
			return -1;
	t->is_seen = true;
	int r = add_opaque(t, path.ptr, err);
	if (r == 0)
		r = add_tree(t, take_fd(&fd), path.ptr, err);
	t->is_seen = false;
	return r;
}

/* The root first, then what hangs in it; not the sandbox's mounts, but for the trees. */
static int add_all(struct taking *t, int work_fd, struct error *err)
{
	auto_fd int upper_fd = openat(work_fd, "upper", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (upper_fd < 0)
		return error_sys(err, errno, "open the upper layers");
	t->upper_fd = upper_fd;
	if (add_root(t, work_fd, err) < 0)
		return -1;
	int all_fd = openat(upper_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (all_fd < 0)
		return error_sys(err, errno, "open the upper layers");
	struct walk *walk = walk_new(all_fd, &(struct walk_limits){ .depth = 1 });
	struct walk_entry e;
	int r;
	while ((r = walk_next(walk, &e, err)) > 0) {
		if (str_is(e.path, "root") || str_starts(e.path, STR("mount")))
			continue;
		r = add_overlay(t, &e, err);
		if (r < 0)
			break;
	}
	walk_free(walk);
	for (size_t i = 0; r == 0 && i < t->p->trees.n; i++)
		r = add_seen(t, t->p->trees.items[i], err);
	return r;
}

static void put_parts(const struct taking *t, struct jsonw *w)
{
	const struct layer_owners *o = &t->owners;
	jsonw_key(w, "owners");
	jsonw_open_array(w);
	for (int i = 0; i < o->n_uids; i++)
		jsonw_int(w, o->uids[i]);
	jsonw_close_array(w);
	jsonw_key(w, "parts");
	jsonw_open_array(w);
	for (int i = 0; i < o->n_parts; i++) {
		jsonw_open(w);
		jsonw_key_int(w, "level", o->parts[i].level);
		jsonw_key_int(w, "owner", o->parts[i].uid);
		jsonw_close(w);
	}
	jsonw_close_array(w);
}

static void put_result(const struct taking *t, struct buf *result)
{
	struct jsonw w = JSONW(result);
	jsonw_open(&w);
	jsonw_key_int(&w, "bytes", t->parcel ? t->parcel->bytes : 0);
	jsonw_key_int(&w, "entries", t->parcel ? t->parcel->entries : t->entries);
	jsonw_key_int(&w, "file_bytes", t->file_bytes);
	jsonw_key_int(&w, "foreign", t->foreign);
	if (!t->parcel)
		put_parts(t, &w);
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

static int keep_owners(struct taking *t, struct error *err)
{
	const struct field_strings *list = &t->p->owners;
	t->owners.is_closed = t->parcel != NULL;
	if (list->n > LAYER_UIDS_MAX)
		return error_set(err, ERROR_INVALID, "%zu owners; the limit is %d", list->n,
			LAYER_UIDS_MAX);
	for (size_t i = 0; i < list->n; i++) {
		int64_t uid;
		if (num_parse_i64(list->items[i], 1, UINT32_MAX, &uid, err) < 0)
			return -1;
		t->owners.uids[t->owners.n_uids++] = (uint32_t)uid;
	}
	return 0;
}

static int take_in_worker(void *arg, struct worker_io *io, struct buf *result, struct error *err)
{
	struct taking *t = mem_new(struct taking);
	t->p = arg;
	signal(SIGPIPE, SIG_IGN); /* who takes it may end first, and then says why */
	int r = t->p->is_look ? 0 : parcel_new(io, PACK_CRATE, &t->parcel, err);
	if (r == 0)
		r = keep_owners(t, err);
	if (r == 0)
		r = add_all(t, io->root->fd, err);
	if (r == 0 && t->parcel)
		r = parcel_end(t->parcel, err);
	if (r == 0 && t->parcel && t->parcel->truncated)
		r = error_set(err, ERROR_CONFLICT, "a file became shorter meanwhile");
	if (r == 0)
		put_result(t, result);
	free_links(&t->links);
	parcel_free(t->parcel);
	free(t);
	return r < 0 ? error_wrap(err, "take the layer") : 0;
}

static void start_layer(struct call *call, const void *params)
{
	const struct layer_params *p = params;
	struct files *files = call->executor->files;
	struct error err;
	struct worker *w = NULL;
	if (files->layer_root.fd < 0)
		error_set(&err, ERROR_UNSUPPORTED, "this sandbox was not made to give its layer");
	else if (!p->is_look && call->stream_fd < 0)
		error_set(&err, ERROR_PROTOCOL, "layer: no pipe came with it");
	else
		w = worker_new(&files->layers, call, take_in_worker, (void *)(uintptr_t)p, &err);
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
