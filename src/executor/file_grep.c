/* SPDX-License-Identifier: Apache-2.0 */
/* The verb grep. In a worker. */
#include "base/auto.h"
#include "base/bug.h"
#include "executor/executor.h"
#include "executor/file_verbs.h"
#include "executor/files.h"
#include "executor/glob.h"
#include "executor/grep.h"
#include "executor/walk.h"

#include <dirent.h>
#include <fcntl.h>

enum { RESULT_MAX = 8 * 1024 * 1024, PATTERNS_MAX = 64 };

struct grep_job {
	const struct grep_params *p;
	struct glob *include, *exclude;
	const char *path;
};

struct searching {
	const struct grep_job *job;
	struct grep_pattern *pattern;
	struct jsonw w;
	const char *path; /* of the file at hand, absolute */
	int64_t matches, files, files_matched, skipped_binary;
	bool has_matched; /* the file at hand */
	bool truncated;
};

static bool on_match(void *arg, const struct grep_match *m)
{
	struct searching *s = arg;
	struct jsonw *w = &s->w;
	if (s->matches == s->job->p->max_matches || w->b->len > RESULT_MAX) {
		s->truncated = true;
		return false;
	}
	s->matches++;
	s->has_matched = true;
	jsonw_open(w);
	jsonw_key_str(w, "path", str_from(s->path));
	jsonw_key_int(w, "line", m->line);
	jsonw_key_str(w, "text", m->text);
	jsonw_key(w, "before");
	jsonw_open_array(w);
	for (int i = 0; i < m->n_before; i++)
		jsonw_str(w, m->before[i]);
	jsonw_close_array(w);
	jsonw_key(w, "after");
	jsonw_open_array(w);
	return true;
}

static void on_after(void *arg, struct str line)
{
	struct searching *s = arg;
	jsonw_str(&s->w, line);
}

static void on_match_end(void *arg)
{
	struct searching *s = arg;
	jsonw_close_array(&s->w);
	jsonw_close(&s->w);
}

static void search_fd(struct searching *s, int fd)
{
	static const struct grep_events events = { on_match, on_after, on_match_end };
	s->has_matched = false;
	enum grep_outcome r = grep_file(s->pattern, fd, (int)s->job->p->context, &events, s);
	s->files += r != GREP_BINARY && r != GREP_FAILED;
	s->skipped_binary += r == GREP_BINARY;
	s->files_matched += s->has_matched;
}

static bool matches_any(const struct glob *globs, size_t n, struct str path)
{
	for (size_t i = 0; i < n; i++)
		if (glob_match(&globs[i], path))
			return true;
	return false;
}

static void search_entry(struct searching *s, struct walk *walk, const struct walk_entry *e)
{
	const struct grep_job *job = s->job;
	struct stat st;
	if (matches_any(job->exclude, job->p->exclude.n, e->path)) {
		walk_skip(walk);
		return;
	}
	if (e->type != DT_REG ||
		(job->p->include.n && !matches_any(job->include, job->p->include.n, e->path)))
		return;
	auto_fd int fd = openat(e->dir_fd, e->name,
		O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || !path_is_allowed_fs(fd))
		return;
	const char *slash = str_is(STR("/"), job->path) ? "" : "/";
	auto_free char *path = mem_printf("%s%s%.*s", job->path, slash, STR_ARG(e->path));
	s->path = path;
	search_fd(s, fd);
	s->path = NULL;
}

static int search_dir(struct searching *s, int fd, struct error *err)
{
	struct walk *walk = walk_new(fd, &(struct walk_limits){ .hidden = s->job->p->hidden });
	struct walk_entry e;
	int r;
	while ((r = walk_next(walk, &e, err)) > 0 && !s->truncated)
		search_entry(s, walk, &e);
	walk_free(walk);
	return r < 0 ? error_wrap(err, "grep in %s", s->job->path) : 0;
}

static int search(struct searching *s, const struct path_root *root, struct error *err)
{
	const char *path = s->job->path;
	auto_fd int fd = -1;
	struct stat st;
	if (path_open(root, path, O_RDONLY, &fd, err) < 0 || path_check_fs(fd, path, err) < 0)
		return -1;
	if (fstat(fd, &st) < 0)
		return error_sys(err, errno, "stat %s", path);
	if (S_ISDIR(st.st_mode))
		return search_dir(s, take_fd(&fd), err);
	if (!S_ISREG(st.st_mode))
		return error_set(err, ERROR_INVALID, "grep %s: not a regular file", path);
	s->path = path;
	search_fd(s, fd);
	return 0;
}

static int grep_in_worker(void *arg, struct worker_io *io, struct buf *result, struct error *err)
{
	struct searching s = { .job = arg, .w = JSONW(result) };
	struct jsonw *w = &s.w;
	if (grep_compile(s.job->p->pattern, s.job->p->fixed, s.job->p->ignore_case, &s.pattern,
		    err) < 0)
		return -1;
	jsonw_open(w);
	jsonw_key_str(w, "path", str_from(s.job->path));
	jsonw_key(w, "matches");
	jsonw_open_array(w);
	if (search(&s, io->root, err) < 0)
		return -1;
	jsonw_close_array(w);
	jsonw_key_int(w, "files", s.files);
	jsonw_key_int(w, "files_matched", s.files_matched);
	jsonw_key_int(w, "skipped_binary", s.skipped_binary);
	jsonw_key_bool(w, "truncated", s.truncated);
	jsonw_close(w);
	return 0;
}

static int compile_all(struct call *call, const struct field_strings *list, struct glob **ret,
	struct error *err)
{
	if (list->n > PATTERNS_MAX)
		return error_set(err, ERROR_INVALID, "%zu patterns of paths; the limit is %d",
			list->n, PATTERNS_MAX);
	*ret = arena_new_n(&call->arena, struct glob, list->n + 1);
	for (size_t i = 0; i < list->n; i++)
		if (glob_compile_name(&(*ret)[i], list->items[i], &call->arena, err) < 0)
			return -1;
	return 0;
}

/* The expression is compiled in the worker: a hostile one takes the worker's memory and time. */
static void start_grep(struct call *call, const void *params)
{
	const struct grep_params *p = params;
	struct grep_job *job = arena_new(&call->arena, struct grep_job);
	struct error err;
	char path[PATH_SIZE];
	if (files_path(call, &p->where, path, &err) < 0 ||
		compile_all(call, &p->include, &job->include, &err) < 0 ||
		compile_all(call, &p->exclude, &job->exclude, &err) < 0) {
		call_fail(call, &err);
		return;
	}
	job->p = p;
	job->path = files_keep(call, path);
	files_work(call, grep_in_worker, job);
}

const struct verb grep_verb = {
	.action = &grep_action,
	.start = start_grep,
	.drain = worker_on_drain,
	.drop = worker_on_drop,
};
