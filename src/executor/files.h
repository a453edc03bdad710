/* SPDX-License-Identifier: Apache-2.0 */
/*
 * files: what the verbs of the file group share: the sandbox's root, the workers, the editor's
 * history, and how results are written.
 */
#pragma once

#include "action/file_actions.h"
#include "executor/edit_history.h"
#include "executor/path.h"
#include "executor/worker.h"

#include <sys/stat.h>

struct files {
	struct path_root root;
	struct workers jobs; /* searches, removals: as fast as they can */
	/* archives: as fast as the caller, who may be slow; apart from the jobs */
	struct workers streams;
	/* of the work area with the upper layers (layer.c); fd -1: they are not ours to give */
	struct path_root layer_root;
	struct workers layers;
	struct edit_history history;
	int64_t own_bytes; /* that the executor has written itself, ever */
};

/*
 * Files may lie in memory, which counts for who writes them. So what is large is written by a child
 * in the agent's group, and everything is once the executor has written FILES_OWN_ALL
 * (docs/decisions/0045).
 */
enum { FILES_OWN_EACH = 256 * 1024, FILES_OWN_ALL = 64 * 1024 * 1024 };
/* Whether it may write so much more of a file of which it has written `before` itself. */
bool files_may_write(const struct files *f, int64_t before, size_t more);

/*
 * Takes root_fd; place: see path.h. With `walks` the kernel's openat2 is not used, as on kernels
 * before 5.6. `confine` stays the caller's and must live as long.
 */
struct files *files_new(struct loop *loop, int root_fd, const char *place, bool walks,
	const struct confine *confine);
/* Takes layer_fd, before anything else. */
void files_set_layer(struct files *f, int layer_fd);
/* Who what is made belongs to. */
void files_set_owner(struct files *f, const struct user *owner);
void files_free(struct files *f); /* after the last call */

/* The absolute path that a call means. */
int files_path(const struct call *call, const struct file_where *where, char ret_path[PATH_SIZE],
	struct error *err);
/* A copy in the call's arena: for worker arguments. */
char *files_keep(struct call *call, const char *path);

/* "0644" to 0644; STR_NONE gives `standard`. */
int files_mode(struct str text, mode_t standard, mode_t *ret, struct error *err);
/* Base64 or text into bytes: appends to b, or points *ret at the content itself. */
int files_content(struct str content, struct str encoding, struct buf *b, struct str *ret,
	struct error *err);

const char *files_type(mode_t mode); /* "file", "directory", "symlink", ... */
/* "type", "size", "mode", "uid", "gid", "mtime_ms". */
void files_put_stat(struct jsonw *w, const struct stat *st);
void files_put_mode(struct jsonw *w, mode_t mode);
int64_t files_mtime_ms(const struct stat *st);

/* What the verb stat tells of it, a link as such; null if it is not there. */
void files_put_entry(struct jsonw *w, const struct path_root *root, const char *path,
	struct str xattrs);

/* Ends the call with what is in b, or with ERROR_TOO_LARGE if b is full. */
void files_finish(struct call *call, const struct buf *b);
/* Starts a worker for the call, or fails the call. arg must be in the call's arena. */
void files_work(struct call *call, worker_fn *fn, void *arg);
/* Gives a new file to the sandbox's user. */
void files_own(const struct path_root *root, int fd);
