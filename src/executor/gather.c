/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The verb gather, in a worker. The directory is the root of all that is opened: a source that is a
 * symbolic link is followed as if the directory were "/", so nothing outside of it is ever given.
 * Links beneath a source are given as they are. Each pattern is looked for in one walk, no deeper
 * than it has slashes.
 *
 * The same walk gives the archive or its digest: a digest is made of one line for each entry and of
 * the files' bytes.
 */
#include "action/image_actions.h"
#include "base/auto.h"
#include "base/bug.h"
#include "executor/executor.h"
#include "executor/files.h"
#include "executor/image_verbs.h"
#include "executor/parcel.h"
#include "executor/walk.h"
#include "wire/ignore.h"
#include "wire/sha256.h"

#include <dirent.h>
#include <fcntl.h>

enum { ARENA_MAX = 16 * 1024 * 1024, HEAD_SIZE = 512, TAR_MAGIC_AT = 257 };

struct gathering {
	const struct gather_params *p;
	struct arena arena;
	struct path_root root; /* the directory */
	struct ignore ignore;
	struct parcel *parcel; /* NULL: a digest is wanted */
	struct sha256 hash;
	mode_t mode;
	bool has_mode;
	int64_t bytes, entries;
	size_t n_items;
	struct jsonw w; /* in "items" */
	char chunk[64 * 1024];
};

/* ---- one entry ---- */

static int hash_bytes(struct gathering *g, int fd, int64_t size, struct error *err)
{
	while (size > 0) {
		ssize_t n = read(fd, g->chunk, (size_t)MIN(size, (int64_t)sizeof(g->chunk)));
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return error_set(err, ERROR_CONFLICT, "a file became shorter meanwhile");
		sha256_add(&g->hash, str_from_len(g->chunk, (size_t)n));
		size -= n;
	}
	return 0;
}

static int put(struct gathering *g, struct pack_item *item, int fd, struct error *err)
{
	auto_buf struct buf line = BUF_INIT(3 * PACK_PATH_MAX);
	if (g->has_mode && item->kind != PACK_SYMLINK)
		item->mode = g->mode;
	if (item->kind == PACK_DIR && g->has_mode)
		item->mode |= (item->mode & 0444) >> 2; /* who may read may enter */
	g->entries++;
	g->bytes += item->size;
	if (g->parcel)
		return parcel_add(g->parcel, item, err) < 0
			? -1
			: parcel_add_bytes(g->parcel, fd, item->size, err);
	buf_printf(&line, "%d %o %lld %s", (int)item->kind, item->mode, (long long)item->size,
		item->path);
	buf_putc(&line, '\0');
	buf_puts(&line, item->target);
	buf_putc(&line, '\0');
	sha256_add(&g->hash, buf_str(&line));
	return hash_bytes(g, fd, item->size, err);
}

static int put_file(struct gathering *g, int fd, const struct stat *st, const char *name,
	struct error *err)
{
	struct pack_item item = { .kind = PACK_FILE,
		.path = name,
		.target = "",
		.mode = st->st_mode & 0777,
		.size = st->st_size,
		.mtime_s = st->st_mtim.tv_sec };
	return put(g, &item, fd, err);
}

static int put_entry(struct gathering *g, const struct walk_entry *e, const char *name,
	struct error *err)
{
	struct stat st;
	char target[PATH_SIZE] = "";
	if (fstatat(e->dir_fd, e->name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return error_sys(err, errno, "stat %s", name);
	struct pack_item item = { .kind = PACK_DIR,
		.path = name,
		.target = target,
		.mode = st.st_mode & 0777,
		.mtime_s = st.st_mtim.tv_sec };
	if (e->type == DT_LNK) {
		ssize_t n = readlinkat(e->dir_fd, e->name, target, sizeof(target) - 1);
		if (n <= 0)
			return error_sys(err, errno, "read link %s", name);
		target[n] = '\0';
		item.kind = PACK_SYMLINK;
		return put(g, &item, -1, err);
	}
	if (e->type == DT_DIR)
		return put(g, &item, -1, err);
	if (e->type != DT_REG)
		return 0; /* sockets, FIFOs, devices are nobody's to copy */
	auto_fd int fd = openat(e->dir_fd, e->name,
		O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || !path_is_allowed_fs(fd))
		return error_sys(err, fd < 0 ? errno : EACCES, "open %s", name);
	return put_file(g, fd, &st, name, err);
}

/* ---- one source ---- */

static int put_tree(struct gathering *g, int dir_fd, struct str path, struct error *err)
{
	struct walk *walk = walk_new(dir_fd, &(struct walk_limits){ .hidden = true });
	struct walk_entry e;
	int r;
	while ((r = walk_next(walk, &e, err)) > 0) {
		auto_free char *whole = mem_printf("%.*s%s%.*s", STR_ARG(path), path.len ? "/" : "",
			STR_ARG(e.path));
		if (ignore_has(&g->ignore, str_from(whole))) {
			/* With exceptions: what counts in it brings it along. */
			if (e.type == DT_DIR && !g->ignore.has_exceptions)
				walk_skip(walk);
			continue;
		}
		auto_free char *name = mem_printf("%.*s%s", STR_ARG(e.path),
			e.type == DT_DIR ? "/" : "");
		if (strlen(name) > PACK_PATH_MAX)
			r = error_set(err, ERROR_TOO_LARGE, "a path of %zu bytes", strlen(name));
		else
			r = put_entry(g, &e, name, err);
		if (r < 0)
			break;
	}
	if (r == 0 && walk_unread(walk) > 0)
		r = error_set(err, ERROR_FORBIDDEN, "%lld directories cannot be read",
			(long long)walk_unread(walk));
	walk_free(walk);
	return r;
}

/* By its first bytes: compressed, or a tar. Who unpacks it finds out the rest. */
static bool is_archive(int fd)
{
	static const struct str magics[] = { { "\x1f\x8b\x08", 3 }, { "BZh", 3 },
		{ "\xfd"
		  "7zXZ",
			5 },
		{ "\x28\xb5\x2f\xfd", 4 } };
	char head[HEAD_SIZE];
	ssize_t n = pread(fd, head, sizeof(head), 0);
	struct str got = str_from_len(head, n > 0 ? (size_t)n : 0);
	for (size_t i = 0; i < ARRAY_LEN(magics); i++)
		if (str_starts(got, magics[i]))
			return true;
	return got.len == sizeof(head) && !memcmp(head + TAR_MAGIC_AT, "ustar", 5);
}

static struct str last_name(struct str path)
{
	size_t at = path.len;
	while (at > 0 && path.ptr[at - 1] != '/')
		at--;
	return str_skip(path, at);
}

static void put_item(struct gathering *g, struct str path, const char *kind)
{
	jsonw_open(&g->w);
	jsonw_key_str(&g->w, "path", path);
	jsonw_key_str(&g->w, "kind", str_from(kind));
	jsonw_close(&g->w);
	g->n_items++;
}

/* path: relative, clean; "" is the directory itself. */
static int put_source(struct gathering *g, struct str path, struct error *err)
{
	auto_free char *absolute = mem_printf("/%.*s", STR_ARG(path));
	auto_fd int fd = -1;
	struct stat st;
	if (g->n_items == GATHER_ITEMS_MAX)
		return error_set(err, ERROR_LIMIT, "over %d sources", GATHER_ITEMS_MAX);
	if (path_open(&g->root, absolute, O_RDONLY, &fd, err) < 0)
		return -1;
	if (fstat(fd, &st) < 0)
		return error_sys(err, errno, "stat %.*s", STR_ARG(path));
	if (S_ISDIR(st.st_mode)) {
		put_item(g, path, "directory");
		return put_tree(g, take_fd(&fd), path, err);
	}
	if (!S_ISREG(st.st_mode) || !path_is_allowed_fs(fd))
		return error_set(err, ERROR_INVALID, "%.*s is neither a file nor a directory",
			STR_ARG(path));
	put_item(g, path, is_archive(fd) ? "archive" : "file");
	auto_free char *name = str_dup(g->p->name.len ? g->p->name : last_name(path));
	return put_file(g, fd, &st, name, err);
}

static int levels(struct str pattern)
{
	int n = 1;
	for (size_t i = 0; i < pattern.len; i++)
		n += pattern.ptr[i] == '/';
	return pattern.len > 1 && str_find(pattern, STR("**")) >= 0 ? 0 : n;
}

static int put_pattern(struct gathering *g, struct str pattern, struct error *err)
{
	size_t before = g->n_items;
	auto_fd int fd = -1;
	if (path_open_dir(&g->root, "/", &fd, err) < 0)
		return -1;
	struct walk *walk = walk_new(take_fd(&fd),
		&(struct walk_limits){ .hidden = true, .depth = levels(pattern) });
	struct walk_entry e;
	int r;
	while ((r = walk_next(walk, &e, err)) > 0) {
		if (!pattern_fits(pattern, e.path) || ignore_has(&g->ignore, e.path))
			continue;
		r = put_source(g, e.path, err);
		if (r < 0)
			break;
	}
	walk_free(walk);
	if (r == 0 && g->n_items == before)
		return error_set(err, ERROR_NOT_FOUND, "%.*s fits no file", STR_ARG(pattern));
	return r;
}

/* "./x/", "/x" and "x" are the same; nothing leads out. */
static int clean_source(struct str source, struct buf *b, struct error *err)
{
	struct str piece, rest = source;
	while (str_split(&rest, '/', &piece)) {
		if (piece.len == 0 || str_is(piece, "."))
			continue;
		if (str_is(piece, ".."))
			return error_set(err, ERROR_FORBIDDEN, "%.*s leads out of the context",
				STR_ARG(source));
		buf_printf(b, "%s%.*s", b->len ? "/" : "", STR_ARG(piece));
	}
	return b->is_full ? error_set(err, ERROR_TOO_LARGE, "a path of %zu bytes", source.len) : 0;
}

static int put_sources(struct gathering *g, struct error *err)
{
	for (size_t i = 0; i < g->p->sources.n; i++) {
		auto_buf struct buf path = BUF_INIT(PATH_SIZE - 2);
		if (clean_source(g->p->sources.items[i], &path, err) < 0)
			return -1;
		if (!g->p->is_literal && !pattern_is_plain(buf_str(&path))) {
			if (put_pattern(g, buf_str(&path), err) < 0)
				return -1;
			continue;
		}
		if (path.len && ignore_has(&g->ignore, buf_str(&path)) && !g->ignore.has_exceptions)
			return error_set(err, ERROR_NOT_FOUND, "%s is left out by .dockerignore",
				path.ptr);
		if (put_source(g, buf_str(&path), err) < 0)
			return -1;
	}
	return 0;
}

/* ---- all of it ---- */

static int prepare(struct gathering *g, struct worker_io *io, struct error *err)
{
	const struct gather_params *p = g->p;
	int fd;
	if (p->sources.n > GATHER_SOURCES_MAX)
		return error_set(err, ERROR_LIMIT, "over %d sources", GATHER_SOURCES_MAX);
	g->has_mode = p->mode.len > 0;
	if (files_mode(p->mode, 0, &g->mode, err) < 0 ||
		ignore_parse(p->ignore, &g->arena, &g->ignore, err) < 0 ||
		path_open_dir(io->root, p->path.ptr, &fd, err) < 0)
		return -1;
	g->root = path_root(fd);
	g->root.walks |= io->root->walks;
	sha256_init(&g->hash);
	return p->is_digest ? 0 : parcel_new(io, PACK_TAR, &g->parcel, err);
}

static int gather_all(struct gathering *g, struct worker_io *io, struct buf *result,
	struct error *err)
{
	char digest[SHA256_HEX_SIZE];
	if (prepare(g, io, err) < 0)
		return -1;
	g->w = JSONW(result);
	jsonw_open(&g->w);
	jsonw_key(&g->w, "items");
	jsonw_open_array(&g->w);
	if (put_sources(g, err) < 0 || (g->parcel && parcel_end(g->parcel, err) < 0))
		return -1;
	if (g->parcel && g->parcel->truncated)
		return error_set(err, ERROR_CONFLICT, "a file became shorter meanwhile");
	jsonw_close_array(&g->w);
	sha256_end(&g->hash, digest);
	jsonw_key_str(&g->w, "digest", str_from(digest));
	jsonw_key_int(&g->w, "bytes", g->bytes);
	jsonw_key_int(&g->w, "entries", g->entries);
	jsonw_close(&g->w);
	return 0;
}

static int gather_in_worker(void *arg, struct worker_io *io, struct buf *result, struct error *err)
{
	struct gathering *g = mem_new(struct gathering);
	g->p = arg;
	g->arena = ARENA_INIT(ARENA_MAX);
	g->root.fd = -1;
	int r = gather_all(g, io, result, err);
	close_fd(g->root.fd);
	parcel_free(g->parcel);
	arena_fini(&g->arena);
	free(g);
	return r;
}

static void start_gather(struct call *call, const void *params)
{
	struct error err;
	struct worker *w = worker_new(&call->executor->files->streams, call, gather_in_worker,
		(void *)(uintptr_t)params, &err);
	call->state = w;
	if (!w)
		call_fail(call, &err);
}

const struct verb gather_verb = {
	.action = &gather_action,
	.start = start_gather,
	.drain = worker_on_drain,
	.drop = worker_on_drop,
};
