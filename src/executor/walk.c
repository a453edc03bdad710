/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. A stack of directories, each with its descriptor and its sorted names. Names
 * are read whole when a directory is entered, so that a page of results is the same next time; what
 * they may take in memory has a ceiling for the whole stack.
 */
#include "executor/walk.h"

#include "base/auto.h"
#include "base/buf.h"
#include "base/bug.h"
#include "executor/path.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdint.h>
#include <sys/stat.h>

struct level {
	int fd;
	struct buf names;  /* type byte, name, NUL */
	uint32_t *offsets; /* sorted */
	size_t n, next;
	size_t path_len; /* of walk::path, for what is in here */
};

struct walk {
	struct walk_limits limits;
	struct level levels[WALK_DEPTH_MAX];
	int depth;
	int start_fd; /* until the first call */
	struct buf path;
	size_t memory;
	bool wants_enter; /* the entry given last is a directory to be entered */
	int64_t visited, unread;
};

static void leave(struct walk *w)
{
	struct level *l = &w->levels[--w->depth];
	w->memory -= l->names.cap + l->n * sizeof(*l->offsets);
	close_fd(l->fd);
	buf_fini(&l->names);
	free(l->offsets);
}

static int compare(const void *a, const void *b, void *names)
{
	const char *base = names;
	return strcmp(base + *(const uint32_t *)a + 1, base + *(const uint32_t *)b + 1);
}

static int read_names(struct walk *w, struct level *l, DIR *dir, struct error *err)
{
	struct dirent *e;
	size_t room = 0;
	while ((errno = 0, e = readdir(dir))) {
		bool is_dots = str_is(STR("."), e->d_name) || str_is(STR(".."), e->d_name);
		if (is_dots || (e->d_name[0] == '.' && !w->limits.hidden))
			continue;
		if (l->n == room) {
			room = room ? 2 * room : 16;
			l->offsets = mem_realloc(l->offsets, room * sizeof(*l->offsets));
		}
		l->offsets[l->n++] = (uint32_t)l->names.len;
		buf_putc(&l->names, (char)e->d_type);
		buf_add(&l->names, e->d_name, strlen(e->d_name) + 1);
		if (w->memory + l->names.len + room * sizeof(*l->offsets) > WALK_NAMES_MAX)
			return error_set(err, ERROR_LIMIT, "too many names to keep in %d bytes",
				WALK_NAMES_MAX);
	}
	if (errno)
		return error_sys(err, errno, "read directory");
	if (l->n)
		qsort_r(l->offsets, l->n, sizeof(*l->offsets), compare, l->names.ptr);
	return 0;
}

/* Takes fd. */
static int enter(struct walk *w, int fd, struct error *err)
{
	struct level *l = &w->levels[w->depth];
	*l = (struct level){ .fd = fd, .path_len = w->path.len };
	buf_init(&l->names, WALK_NAMES_MAX);
	w->depth++;
	int copy = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = copy < 0 ? NULL : fdopendir(copy);
	if (!dir) {
		int sys = errno;
		close_fd(copy);
		return error_sys(err, sys, "read directory");
	}
	int r = read_names(w, l, dir, err);
	closedir(dir);
	w->memory += l->names.cap + l->n * sizeof(*l->offsets);
	return r;
}

struct walk *walk_new(int dir_fd, const struct walk_limits *limits)
{
	struct walk *w = mem_new(struct walk);
	w->limits = *limits;
	if (w->limits.depth <= 0 || w->limits.depth > WALK_DEPTH_MAX)
		w->limits.depth = WALK_DEPTH_MAX;
	buf_init(&w->path, WALK_DEPTH_MAX * PATH_NAME_SIZE);
	w->start_fd = dir_fd;
	return w;
}

void walk_free(struct walk *w)
{
	if (!w)
		return;
	while (w->depth)
		leave(w);
	close_fd(w->start_fd);
	buf_fini(&w->path);
	free(w);
}

/* Enters the directory whose path is in w->path, a child of the top level. */
static int enter_child(struct walk *w, struct error *err)
{
	struct level *l = &w->levels[w->depth - 1];
	const char *name = l->names.ptr + l->offsets[l->next - 1] + 1;
	if (w->depth >= w->limits.depth) {
		w->unread += w->limits.depth == WALK_DEPTH_MAX;
		return 0;
	}
	int fd = openat(l->fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0 || !path_is_allowed_fs(fd)) {
		w->unread += fd < 0 && errno != ENOENT;
		close_fd(fd);
		return 0;
	}
	if (enter(w, fd, err) < 0)
		return error_wrap(err, "%s", w->path.ptr);
	return 0;
}

static unsigned char find_type(int dir_fd, const char *name, unsigned char type)
{
	struct stat st;
	if (type != DT_UNKNOWN || fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return type;
	return (unsigned char)IFTODT(st.st_mode);
}

int walk_next(struct walk *w, struct walk_entry *ret, struct error *err)
{
	if (w->start_fd >= 0 && enter(w, take_fd(&w->start_fd), err) < 0)
		return -1;
	if (w->wants_enter && enter_child(w, err) < 0)
		return -1;
	w->wants_enter = false;
	while (w->depth && w->levels[w->depth - 1].next == w->levels[w->depth - 1].n)
		leave(w);
	if (!w->depth)
		return 0;
	if (w->limits.entries && w->visited >= w->limits.entries)
		return error_set(err, ERROR_LIMIT, "more than %lld entries",
			(long long)w->limits.entries);

	struct level *l = &w->levels[w->depth - 1];
	const char *record = l->names.ptr + l->offsets[l->next++];
	buf_cut(&w->path, l->path_len);
	buf_printf(&w->path, "%s%s", l->path_len ? "/" : "", record + 1);
	w->visited++;
	*ret = (struct walk_entry){
		.path = buf_str(&w->path),
		.name = record + 1,
		.dir_fd = l->fd,
		.type = find_type(l->fd, record + 1, (unsigned char)record[0]),
		.depth = w->depth,
	};
	w->wants_enter = ret->type == DT_DIR;
	return 1;
}

void walk_skip(struct walk *w)
{
	w->wants_enter = false;
}

int64_t walk_unread(const struct walk *w)
{
	return w->unread;
}

int64_t walk_visited(const struct walk *w)
{
	return w->visited;
}
