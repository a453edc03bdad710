/* SPDX-License-Identifier: Apache-2.0 */
/* The verb glob. In a worker: a tree may have millions of entries. */
#include "base/auto.h"
#include "base/bug.h"
#include "executor/executor.h"
#include "executor/file_verbs.h"
#include "executor/files.h"
#include "executor/glob.h"
#include "executor/walk.h"

#include <dirent.h>

enum { RESULT_MAX = 8 * 1024 * 1024 };

struct glob_job {
	const struct glob_params *p;
	struct glob glob;
	const char *path; /* where the walk begins, after the pattern's plain prefix */
	const char *asked;
};

static const char *type_name(unsigned char type)
{
	return files_type(DTTOIF((mode_t)type));
}

static bool wants_type(struct str wanted, unsigned char type)
{
	return str_is(wanted, "any") || str_is(wanted, type_name(type));
}

static int find(const struct glob_job *job, struct walk *walk, struct jsonw *w, struct error *err)
{
	const char *slash = str_is(STR("/"), job->path) ? "" : "/";
	struct walk_entry e;
	int64_t given = 0;
	bool truncated = false;
	int r;
	jsonw_key(w, "matches");
	jsonw_open_array(w);
	while (!truncated && (r = walk_next(walk, &e, err)) > 0) {
		if (e.type == DT_DIR && !glob_may_match_below(&job->glob, e.path))
			walk_skip(walk);
		if (!wants_type(job->p->type, e.type) || !glob_match(&job->glob, e.path))
			continue;
		truncated = given == job->p->limit || w->b->len > RESULT_MAX;
		if (truncated)
			break;
		given++;
		auto_free char *path = mem_printf("%s%s%.*s", job->path, slash, STR_ARG(e.path));
		jsonw_open(w);
		jsonw_key_str(w, "path", str_from(path));
		jsonw_key_str(w, "type", str_from(type_name(e.type)));
		jsonw_close(w);
	}
	jsonw_close_array(w);
	jsonw_key_bool(w, "truncated", truncated);
	jsonw_key_int(w, "visited", walk_visited(walk));
	return r;
}

static int glob_in_worker(void *arg, struct worker_io *io, struct buf *result, struct error *err)
{
	const struct glob_job *job = arg;
	auto_fd int fd = -1;
	struct jsonw w = JSONW(result);
	jsonw_open(&w);
	jsonw_key_str(&w, "path", str_from(job->asked));
	if (path_open_dir(io->root, job->path, &fd, err) < 0) {
		bool is_pattern = err->code == ERROR_NOT_FOUND &&
			strcmp(job->path, job->asked) != 0;
		if (!is_pattern)
			return -1;
		buf_puts(result, ",\"matches\":[],\"truncated\":false,\"visited\":0}");
		return 0;
	}
	struct walk *walk = walk_new(take_fd(&fd), &(struct walk_limits){ .hidden = true });
	int r = find(job, walk, &w, err);
	walk_free(walk);
	jsonw_close(&w);
	return r < 0 ? error_wrap(err, "glob in %s", job->path) : 0;
}

static int make_job(struct call *call, const struct glob_params *p, struct glob_job *job,
	struct error *err)
{
	char path[PATH_SIZE];
	auto_buf struct buf prefix = BUF_INIT(PATH_SIZE);
	if (files_path(call, &p->where, path, err) < 0 ||
		glob_compile(&job->glob, p->pattern, p->hidden, &call->arena, err) < 0)
		return -1;
	job->p = p;
	job->asked = files_keep(call, path);
	job->path = job->asked;
	if (p->pattern.ptr[0] == '/')
		buf_puts(&prefix, "/");
	glob_take_prefix(&job->glob, &prefix);
	if (prefix.len == 0)
		return 0;
	if (path_join(str_from(job->asked), STR_NONE, buf_str(&prefix), path, err) < 0)
		return -1;
	job->path = files_keep(call, path);
	return 0;
}

static void start_glob(struct call *call, const void *params)
{
	struct glob_job *job = arena_new(&call->arena, struct glob_job);
	struct error err;
	if (make_job(call, params, job, &err) < 0)
		call_fail(call, &err);
	else
		files_work(call, glob_in_worker, job);
}

const struct verb glob_verb = {
	.action = &glob_action,
	.start = start_glob,
	.drain = worker_on_drain,
	.drop = worker_on_drop,
};
