/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. The walk holds a descriptor for the directory it is in and for each one
 * above it up to the root. A name is entered with O_NOFOLLOW, so a descriptor is only ever got from
 * its parent. ".." goes back to the descriptor held, never to what the file system calls the parent
 * now: renaming a directory away cannot carry the walk out of the root. A symbolic link's text
 * replaces the link in what is still to be walked; an absolute one starts at the root again.
 */
#include "executor/path_walk.h"

#include "base/auto.h"
#include "base/str.h"

#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>

enum { DEPTH_MAX = 256, LINKS_MAX = 40 };

struct walk {
	int root_fd;        /* not owned */
	int fds[DEPTH_MAX]; /* below the root, the deepest last */
	int depth;
	int links;
	char rest[PATH_MAX]; /* still to be walked */
};

static int top(const struct walk *w)
{
	return w->depth ? w->fds[w->depth - 1] : w->root_fd;
}

static void go_up(struct walk *w)
{
	if (w->depth)
		close_fd(w->fds[--w->depth]);
}

static int set_errno(int sys)
{
	errno = sys;
	return -1;
}

/* Puts a link's text in front of the rest. */
static int expand(struct walk *w, struct str text, struct str rest)
{
	if (++w->links > LINKS_MAX)
		return set_errno(ELOOP);
	if (text.len == 0)
		return set_errno(ENOENT);
	if (text.len + rest.len >= sizeof(w->rest))
		return set_errno(ENAMETOOLONG);
	while (text.ptr[0] == '/' && w->depth)
		go_up(w);
	/* The rest begins with a slash, or is nothing; it lies in w->rest already. */
	memmove(w->rest + text.len, rest.ptr, rest.len + 1);
	memcpy(w->rest, text.ptr, text.len);
	return 0;
}

static int enter(struct walk *w, const char *name)
{
	if (w->depth == DEPTH_MAX)
		return set_errno(ENAMETOOLONG);
	int fd = openat(top(w), name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0) {
		char c;
		bool is_link_now = errno == ENOTDIR && readlinkat(top(w), name, &c, 1) >= 0;
		return set_errno(is_link_now || errno == ELOOP ? EAGAIN
				: errno == EINVAL              ? ENOTDIR
							       : errno);
	}
	w->fds[w->depth++] = fd;
	return 0;
}

static int open_last(struct walk *w, const char *name, int flags)
{
	bool wants_link = flags & O_NOFOLLOW;
	int fd = openat(top(w), name, flags | O_NOFOLLOW);
	struct stat st;
	if (fd < 0)
		return errno == ELOOP && !wants_link ? set_errno(EAGAIN) : -1;
	if (flags & O_PATH && !wants_link && fstat(fd, &st) == 0 && S_ISLNK(st.st_mode)) {
		close_fd(fd);
		return set_errno(EAGAIN);
	}
	return fd;
}

/* The result of one component: DONE with a descriptor or -1, or GO_ON. */
enum { GO_ON = -2 };

static int step(struct walk *w, int flags)
{
	struct str rest = str_from(w->rest), piece;
	while (rest.len && rest.ptr[0] == '/')
		rest = str_skip(rest, 1);
	if (rest.len == 0)
		return openat(top(w), ".", flags & ~O_NOFOLLOW);
	size_t n = (size_t)(strchrnul(rest.ptr, '/') - rest.ptr);
	piece = str_first(rest, n);
	rest = str_skip(rest, n);
	char name[NAME_MAX + 1], link[PATH_MAX];
	if (piece.len > NAME_MAX)
		return set_errno(ENAMETOOLONG);
	memcpy(name, piece.ptr, piece.len);
	name[piece.len] = '\0';

	bool is_dot = str_is(STR("."), name), is_dotdot = str_is(STR(".."), name);
	if (is_dotdot)
		go_up(w);
	if (is_dot || is_dotdot) {
		memmove(w->rest, rest.ptr, rest.len + 1);
		return GO_ON;
	}
	bool is_last = rest.len == 0;
	ssize_t linked = is_last && flags & O_NOFOLLOW
		? -1
		: readlinkat(top(w), name, link, sizeof(link));
	if (linked >= 0)
		return expand(w, str_from_len(link, (size_t)linked), rest) < 0 ? -1 : GO_ON;
	if (is_last)
		return open_last(w, name, flags);
	if (enter(w, name) < 0)
		return -1;
	memmove(w->rest, rest.ptr, rest.len + 1);
	return GO_ON;
}

int path_walk(int root_fd, const char *path, int flags)
{
	struct walk w = { .root_fd = root_fd };
	size_t len = strlen(path);
	if (len == 0 || len >= sizeof(w.rest))
		return set_errno(len ? ENAMETOOLONG : ENOENT);
	memcpy(w.rest, path, len + 1);
	int fd;
	do
		fd = step(&w, flags);
	while (fd == GO_ON);
	int sys = errno;
	while (w.depth)
		go_up(&w);
	errno = sys;
	return fd;
}
