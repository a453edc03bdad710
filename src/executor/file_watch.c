/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The verb watch: what changes in a directory, by inotify. Each call has a descriptor of its own,
 * and a watch for each directory that it looks into; of those that appear below it learns as it is
 * told of them, and what they hold by then is told as created.
 *
 * inotify wants paths, and there is no /proc that this process is in: the directory that was opened
 * beneath the root becomes the current one for the call, so nobody can lead it elsewhere meanwhile.
 *
 * What this executor writes comes by another name and is renamed: the name that it takes is told,
 * the other one is not.
 */
#include "base/auto.h"
#include "base/bug.h"
#include "base/map.h"
#include "executor/executor.h"
#include "executor/file_verbs.h"
#include "executor/files.h"
#include "executor/replace.h"
#include "executor/walk.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/inotify.h>
#include <unistd.h>

enum {
	ENTRIES_MAX = 20000, /* looked at for directories, in one tree */
};

#define MASK                                                                           \
	(IN_CREATE | IN_DELETE | IN_MODIFY | IN_MOVED_FROM | IN_MOVED_TO | IN_ATTRIB | \
		IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR | IN_DONT_FOLLOW)

struct watching {
	struct call *call;
	const struct watch_params *p;
	char *path; /* of the directory, absolute; in the call's arena */
	int fd;     /* inotify's */
	struct watch *watch;
	struct map dirs; /* watch descriptor → where it is, relative to path: char * */
	size_t n_dirs;
	int root;            /* the directory's own watch descriptor */
	uint32_t own_cookie; /* of the renaming by which what we write takes its name */
	bool is_over;
};

static struct str key_of(const int *wd)
{
	return str_from_len((const char *)wd, sizeof(*wd));
}

/* Its watch descriptor. */
static int add_dir(struct watching *w, int dir_fd, const char *place, struct error *err)
{
	auto_fd int before = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (w->n_dirs >= WATCH_DIRS_MAX)
		return error_set(err, ERROR_LIMIT, "watch %s: over %d directories", w->path,
			WATCH_DIRS_MAX);
	if (before < 0 || fchdir(dir_fd) < 0)
		return error_sys(err, errno, "watch %s", w->path);
	int wd = inotify_add_watch(w->fd, ".", MASK);
	int sys = errno;
	if (fchdir(before) < 0)
		BUG_IF(chdir("/") < 0, "no way back to the root");
	if (wd < 0)
		return error_sys(err, sys == ENOSPC ? EMFILE : sys, "watch %s", w->path);
	char *old = map_put(&w->dirs, key_of(&wd), mem_strdup(place));
	if (!old)
		w->n_dirs++;
	free(old);
	return wd;
}

static int open_below(const struct watching *w, const char *place)
{
	auto_free char *whole = mem_printf("%s%s%s", w->path, place[0] ? "/" : "", place);
	int fd = -1;
	path_open_dir(&w->call->executor->files->root, whole[0] ? whole : "/", &fd, NULL);
	return fd;
}

/* ---- what is told ---- */

static void tell(struct watching *w, const char *event, const char *name)
{
	auto_buf struct buf b = BUF_INIT(FRAME_PAYLOAD_MAX);
	struct jsonw j = JSONW(&b);
	jsonw_open(&j);
	jsonw_key_str(&j, "event", str_from(event));
	if (name)
		jsonw_key_str(&j, "name", str_from(name));
	if (name && w->p->entries) {
		auto_free char *whole = mem_printf("%s/%s", w->path, name);
		jsonw_key(&j, "entry");
		files_put_entry(&j, &w->call->executor->files->root, whole, w->p->xattrs);
	}
	jsonw_close(&j);
	if (!b.is_full)
		call_event(w->call, buf_str(&b));
}

/* A new directory, and what it holds already. -1: not all of it. */
static int enter(struct watching *w, const char *place, bool tells)
{
	int fd = open_below(w, place);
	struct walk_limits limits = { .hidden = true, .entries = ENTRIES_MAX };
	struct walk_entry e;
	int r = 0;
	if (fd < 0)
		return 0; /* gone by now */
	if (add_dir(w, fd, place, NULL) < 0) {
		close(fd);
		return -1;
	}
	struct walk *walk = walk_new(fd, &limits);
	while (r >= 0 && (r = walk_next(walk, &e, NULL)) > 0) {
		auto_free char *below = mem_printf("%s%s%.*s", place, place[0] ? "/" : "",
			STR_ARG(e.path));
		if (tells)
			tell(w, "create", below);
		if (tells && e.type == DT_REG)
			tell(w, "write", below);
		if (e.type != DT_DIR)
			continue;
		auto_fd int dir_fd = openat(e.dir_fd, e.name,
			O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (dir_fd >= 0)
			r = add_dir(w, dir_fd, below, NULL);
	}
	walk_free(walk);
	return r;
}

static bool has_content(const struct watching *w, const char *name)
{
	auto_free char *whole = mem_printf("%s/%s", w->path, name);
	auto_fd int fd = -1;
	struct stat st;
	return path_open(&w->call->executor->files->root, whole, O_PATH | O_NOFOLLOW, &fd, NULL) ==
		0 &&
		fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size > 0;
}

/* One that appears with its content has been written, too. */
static void tell_new(struct watching *w, const struct inotify_event *e, const char *name)
{
	tell(w, "create", name);
	if (e->mask & IN_ISDIR) {
		if (w->p->recursive && enter(w, name, true) < 0)
			tell(w, "lost", NULL);
	} else if (e->mask & IN_MOVED_TO || has_content(w, name)) {
		/* What we write got its owner and mode under the other name. */
		if (e->cookie && e->cookie == w->own_cookie)
			tell(w, "chmod", name);
		tell(w, "write", name);
	}
}

static void take_named(struct watching *w, const struct inotify_event *e, const char *place)
{
	auto_free char *name = mem_printf("%s%s%s", place, place[0] ? "/" : "", e->name);
	if (replace_is_temp(str_from(e->name))) {
		w->own_cookie = e->mask & IN_MOVED_FROM ? e->cookie : w->own_cookie;
		return;
	}
	if (e->mask & (IN_CREATE | IN_MOVED_TO))
		tell_new(w, e, name);
	else if (e->mask & IN_MOVED_FROM)
		tell(w, "rename", name);
	else if (e->mask & IN_DELETE)
		tell(w, "remove", name);
	else if (e->mask & IN_MODIFY)
		tell(w, "write", name);
	else if (e->mask & IN_ATTRIB)
		tell(w, "chmod", name);
}

static void take(struct watching *w, const struct inotify_event *e)
{
	const char *place = map_find(&w->dirs, key_of(&e->wd));
	if (e->mask & IN_Q_OVERFLOW) {
		tell(w, "lost", NULL);
	} else if (e->mask & IN_IGNORED) {
		w->is_over = w->is_over || e->wd == w->root;
		w->n_dirs -= place != NULL;
		free(map_remove(&w->dirs, key_of(&e->wd)));
	} else if (e->wd == w->root && e->mask & (IN_DELETE_SELF | IN_MOVE_SELF)) {
		w->is_over = true;
	} else if (place && e->len) {
		take_named(w, e, place);
	}
}

/* False: the call is over, and w is gone. */
static bool pump(struct watching *w)
{
	_Alignas(struct inotify_event) char bytes[8192];
	while (!w->is_over && !channel_is_full(w->call->channel)) {
		ssize_t n = read(w->fd, bytes, sizeof(bytes));
		if (n <= 0)
			break;
		for (ssize_t at = 0; at < n;) {
			const struct inotify_event *e = (const void *)(bytes + at);
			take(w, e);
			at += (ssize_t)(sizeof(*e) + e->len);
		}
	}
	if (w->is_over) {
		call_finish(w->call, STR("{}"));
		return false;
	}
	watch_set(w->watch, channel_is_full(w->call->channel) ? 0 : LOOP_READ);
	return true;
}

static void on_events(void *arg, int events)
{
	pump(arg);
}

/* ---- the call ---- */

static int begin(struct call *call, const struct watch_params *p, struct watching *w,
	struct error *err)
{
	char path[PATH_SIZE];
	if (call->executor->n_watches > WATCHES_MAX)
		return error_set(err, ERROR_LIMIT,
			"%d directories are being watched; that is the limit", WATCHES_MAX);
	if (files_path(call, &p->where, path, err) < 0)
		return -1;
	w->path = files_keep(call, path);
	if (str_is(str_from(path), "/"))
		w->path = files_keep(call, "");
	auto_fd int fd = -1;
	if (path_open_dir(&call->executor->files->root, path, &fd, err) < 0)
		return -1;
	w->fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (w->fd < 0)
		return error_sys(err, errno, "watch %s", path);
	w->root = add_dir(w, fd, "", err);
	if (w->root < 0)
		return -1;
	bool is_all = !p->recursive || enter(w, "", false) >= 0;
	call_event(call, STR("{\"event\":\"started\"}"));
	if (!is_all)
		tell(w, "lost", NULL);
	w->watch = watch_new(call->executor->loop, w->fd, LOOP_READ, on_events, w);
	return 0;
}

static void start_watch(struct call *call, const void *params)
{
	struct watching *w = mem_new(struct watching);
	struct error err;
	w->call = call;
	w->p = params;
	w->fd = -1;
	call->state = w;
	call->executor->n_watches++;
	if (begin(call, params, w, &err) < 0)
		call_fail(call, &err);
}

/* Whoever asks has then heard of all that was done before. */
static void take_control(struct call *call, const struct json *control)
{
	struct watching *w = call->state;
	if (json_bool(json_find(control, "sync")) && pump(w))
		tell(w, "synced", NULL);
}

static void drain(struct call *call)
{
	pump(call->state);
}

static void drop(struct call *call)
{
	struct watching *w = take_ptr(call->state);
	struct str key;
	size_t i = 0;
	void *place;
	if (!w)
		return;
	call->executor->n_watches--;
	watch_free(w->watch);
	if (w->fd >= 0)
		close(w->fd);
	while ((place = map_next(&w->dirs, &i, &key)))
		free(place);
	map_fini(&w->dirs);
	free(w);
}

const struct verb watch_verb = {
	.action = &watch_action,
	.start = start_watch,
	.control = take_control,
	.drain = drain,
	.drop = drop,
};
