/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. A layer is named by a record or a cached step if its digest occurs anywhere
 * in one, be that damaged: so nothing is taken for garbage that somebody might still mend. If one
 * of them cannot be read, no layer is. Both locks of a state directory are held meanwhile, that of
 * the supervisor on the directory and that of the server on a file.
 */
#include "runtime/leftover.h"

#include "base/auto.h"
#include "base/bug.h"
#include "base/file.h"
#include "base/map.h"
#include "runtime/image.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { RECORD_MAX = 2 * IMAGE_JSON_MAX, NAME_SHOWN_MAX = 255 };

/* A walk through the directories of one server. */
struct sweep {
	const char *base; /* the path of what the functions below are given as dir_fd */
	bool is_dry_run;
	void (*found)(void *ctx, const char *what);
	void *ctx;
	struct map named; /* digests of layers → this */
};

/* sub: a directory in dir_fd, or "" for that itself. */
typedef int entry_fn(struct sweep *s, int dir_fd, const char *sub, const char *name,
	struct error *err);

static int open_dir(int dir_fd, const char *name)
{
	return openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

/* One that is not there has no entries. */
static int each(struct sweep *s, int dir_fd, const char *sub, entry_fn *fn, struct error *err)
{
	int fd = open_dir(dir_fd, *sub ? sub : "."), r = 0;
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	if (!dir) {
		r = errno == ENOENT ? 0 : error_sys(err, errno, "open %s/%s", s->base, sub);
		close_fd(fd);
		return r;
	}
	for (struct dirent *e; r == 0 && (e = readdir(dir));)
		if (e->d_name[0] != '.')
			r = fn(s, fd, sub, e->d_name, err);
	closedir(dir);
	return r;
}

static int take(struct sweep *s, int dir_fd, const char *sub, const char *name, struct error *err)
{
	auto_free char *path = mem_printf("%s%s%s/%s", s->base, *sub ? "/" : "", sub, name);
	if (!s->is_dry_run && file_remove_tree(dir_fd, name, err) < 0)
		return error_wrap(err, "%s", path);
	if (s->found)
		s->found(s->ctx, path);
	return 0;
}

/* ---- files that were not written to their end: NAME.new-PID (base/file.h) ---- */

static bool is_plain(const char *name, const char *more)
{
	size_t n = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-.");
	return n > 0 && strspn(name + n, more) == strlen(name + n);
}

static bool is_half(const char *name)
{
	const char *end = strstr(name, ".new-");
	return end && end != name && is_plain(name, "") && end[5] &&
		strspn(end + 5, "0123456789") == strlen(end + 5);
}

static int sweep_file(struct sweep *s, int dir_fd, const char *sub, const char *name,
	struct error *err)
{
	struct stat st;
	bool is_file = is_half(name) && fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		S_ISREG(st.st_mode);
	return is_file ? take(s, dir_fd, sub, name, err) : 0;
}

int leftover_sweep_files(int dir_fd, const char *shown, bool is_dry_run,
	void (*found)(void *ctx, const char *what), void *ctx, struct error *err)
{
	struct sweep s = { .base = shown, .is_dry_run = is_dry_run, .found = found, .ctx = ctx };
	return each(&s, dir_fd, "", sweep_file, err);
}

/* ---- layers ---- */

static void note_digests(struct sweep *s, struct str text)
{
	while (text.len >= SHA256_HEX_SIZE - 1) {
		struct str digest = str_first(text, SHA256_HEX_SIZE - 1);
		bool is_digest = sha256_is_hex(digest);
		if (is_digest)
			map_put(&s->named, digest, s);
		text = str_skip(text, is_digest ? digest.len : 1);
	}
}

/* Neither a link nor a FIFO is opened for longer than it takes to see that. */
static int read_plain(int dir_fd, const char *name, struct buf *b, struct error *err)
{
	struct stat st;
	auto_fd int fd = openat(dir_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0)
		return error_sys(err, errno, "open %s", is_plain(name, "") ? name : "a record");
	if (!S_ISREG(st.st_mode) || st.st_size > RECORD_MAX)
		return error_set(err, ERROR_INVALID, "a record is no file");
	char chunk[8 * 1024];
	for (ssize_t n; (n = read(fd, chunk, sizeof(chunk))) != 0;)
		if (n < 0)
			return error_sys(err, errno, "read a record");
		else if (buf_add(b, chunk, (size_t)n) < 0)
			return error_set(err, ERROR_TOO_LARGE, "a record of %d bytes", RECORD_MAX);
	return 0;
}

static int note_file(struct sweep *s, int dir_fd, const char *sub, const char *name,
	struct error *err)
{
	auto_buf struct buf text = BUF_INIT(RECORD_MAX);
	if (read_plain(dir_fd, name, &text, err) < 0)
		return error_wrap(err, "%s/%s", s->base, sub);
	note_digests(s, buf_str(&text));
	return 0;
}

static int sweep_layer(struct sweep *s, int dir_fd, const char *sub, const char *name,
	struct error *err)
{
	bool is_work = (!strncmp(name, "new-", 4) || !strncmp(name, "old-", 4)) &&
		is_plain(name, "");
	struct str digest = str_first(str_from(name), SHA256_HEX_SIZE - 1);
	bool is_layer = layer_is_name(str_from(name)) && !map_find(&s->named, digest);
	return is_work || is_layer ? take(s, dir_fd, sub, name, err) : 0;
}

/* ---- all of it ---- */

static int sweep_images(struct sweep *s, int images_fd, struct error *err)
{
	static const char *const places[] = { "", "records", "cache" };
	for (size_t i = 0; i < ARRAY_LEN(places); i++)
		if (each(s, images_fd, places[i], sweep_file, err) < 0)
			return -1;
	if (each(s, images_fd, "records", note_file, err) < 0 ||
		each(s, images_fd, "cache", note_file, err) < 0)
		return -1;
	return each(s, images_fd, "layers", sweep_layer, err);
}

static int sweep_all(struct sweep *s, int dir_fd, struct error *err)
{
	static const char *const places[] = { "", "engine", "tool-keys" };
	for (size_t i = 0; i < ARRAY_LEN(places); i++)
		if (each(s, dir_fd, places[i], sweep_file, err) < 0)
			return -1;
	auto_fd int images_fd = open_dir(dir_fd, "images");
	auto_free char *path = mem_printf("%s/images", s->base);
	if (images_fd < 0)
		return errno == ENOENT ? 0 : error_sys(err, errno, "open %s", path);
	s->base = path;
	int r = sweep_images(s, images_fd, err);
	map_fini(&s->named);
	return r;
}

/* -1: somebody has it, or it cannot be opened; *ret_is_held says which. */
static int lock(int dir_fd, const char *name, int flags, bool *ret_is_held)
{
	int fd = openat(dir_fd, name, flags | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	*ret_is_held = fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) < 0;
	return *ret_is_held ? close_fd(fd) : fd;
}

int leftover_sweep(const char *state_dir, bool is_dry_run,
	void (*found)(void *ctx, const char *what), void *ctx, struct error *err)
{
	struct sweep s = { .base = state_dir,
		.is_dry_run = is_dry_run,
		.found = found,
		.ctx = ctx };
	bool is_held;
	auto_fd int dir_fd = lock(AT_FDCWD, state_dir, O_RDONLY | O_DIRECTORY, &is_held);
	if (dir_fd < 0)
		return is_held || errno == ENOENT ? 0 : error_sys(err, errno, "open %s", state_dir);
	auto_fd int lock_fd = lock(dir_fd, "state.lock", O_RDONLY, &is_held);
	return lock_fd < 0 && is_held ? 0 : sweep_all(&s, dir_fd, err);
}

/* ---- images that are damaged ---- */

struct look {
	int images_fd, layers_fd, n;
	struct json *names;
	void (*damaged)(void *ctx, const char *id, const char *name);
	void *ctx;
};

static bool is_whole(const struct look *l, int records_fd, const char *id)
{
	auto_buf struct buf text = BUF_INIT(RECORD_MAX);
	if (read_plain(records_fd, id, &text, NULL) < 0)
		return false;
	struct image *image = image_read_record(id, buf_str(&text));
	bool has_all = image != NULL;
	for (uint32_t i = 0; has_all && i < image->n_layers; i++)
		has_all = faccessat(l->layers_fd, image->layers[i], F_OK, AT_SYMLINK_NOFOLLOW) == 0;
	if (image)
		image_free(image);
	return has_all;
}

/* One that a terminal can be shown. */
static void put_name(const struct json *names, const char *id, struct buf *b)
{
	void *it = NULL;
	struct str name;
	const struct json *value;
	while ((value = json_next(names, &it, &name))) {
		bool is_good = name.len <= NAME_SHOWN_MAX && str_is(json_str(value), id);
		for (size_t i = 0; is_good && i < name.len; i++)
			is_good = name.ptr[i] > ' ' && name.ptr[i] < 0x7f;
		if (is_good) {
			buf_put(b, name);
			return;
		}
	}
}

static void look_at(struct look *l, int records_fd, const char *id)
{
	auto_buf struct buf name = BUF_INIT(NAME_SHOWN_MAX);
	if (!sha256_is_hex(str_from(id)))
		return;
	/* A server may be removing it: first its record, then its layers. */
	if (is_whole(l, records_fd, id) || faccessat(records_fd, id, F_OK, AT_SYMLINK_NOFOLLOW) < 0)
		l->n++;
	else {
		put_name(l->names, id, &name);
		l->damaged(l->ctx, id, name.ptr ? name.ptr : "");
	}
}

static void look_at_names(struct look *l)
{
	auto_buf struct buf text = BUF_INIT(RECORD_MAX);
	if (read_plain(l->images_fd, "names", &text, NULL) == 0)
		json_parse(buf_str(&text), &l->names, NULL);
}

int leftover_look(const char *state_dir,
	void (*damaged)(void *ctx, const char *id, const char *name), void *ctx, struct error *err)
{
	struct look l = { .damaged = damaged, .ctx = ctx };
	auto_fd int dir_fd = open_dir(AT_FDCWD, state_dir);
	if (dir_fd < 0)
		return errno == ENOENT ? 0 : error_sys(err, errno, "open %s", state_dir);
	auto_fd int images_fd = open_dir(dir_fd, "images");
	auto_fd int layers_fd = open_dir(images_fd, "layers");
	int records_fd = open_dir(images_fd, "records");
	DIR *dir = records_fd < 0 ? NULL : fdopendir(records_fd);
	if (!dir) {
		close_fd(records_fd);
		return 0;
	}
	l.images_fd = images_fd;
	l.layers_fd = layers_fd;
	look_at_names(&l);
	for (struct dirent *e; (e = readdir(dir));)
		look_at(&l, records_fd, e->d_name);
	closedir(dir);
	json_free(l.names);
	return l.n;
}
