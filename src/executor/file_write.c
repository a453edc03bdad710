/* SPDX-License-Identifier: Apache-2.0 */
/* The verbs write and append. */
#include "base/auto.h"
#include "base/file.h"
#include "executor/executor.h"
#include "executor/file_verbs.h"
#include "executor/files.h"
#include "executor/replace.h"

#include <fcntl.h>

struct written {
	const char *path;
	int64_t bytes, size; /* size: after an append; -1: not told */
	bool created;
	mode_t mode;
};

static void finish_written(struct call *call, const struct written *done)
{
	auto_buf struct buf b = BUF_INIT(FRAME_PAYLOAD_MAX);
	struct jsonw w = JSONW(&b);
	jsonw_open(&w);
	jsonw_key_str(&w, "path", str_from(done->path));
	jsonw_key_int(&w, "bytes", done->bytes);
	if (done->size >= 0)
		jsonw_key_int(&w, "size", done->size);
	jsonw_key_bool(&w, "created", done->created);
	files_put_mode(&w, done->mode);
	jsonw_close(&w);
	files_finish(call, &b);
}

static int write_whole(const struct path_root *root, const char *path, const struct write_params *p,
	bool exclusive, struct str content, struct written *ret, struct error *err)
{
	struct replace r = REPLACE_NONE;
	struct replace_how how = { p->create_parents, exclusive, p->mode, p->new_mode };
	int done = replace_begin(&r, root, path, &how, err);
	if (done == 0)
		done = replace_add(&r, content, err);
	if (done == 0)
		done = replace_commit(&r, err);
	replace_end(&r);
	*ret = (struct written){ path, r.bytes, -1, r.created, r.mode };
	return done;
}

/* What was written of a part that did not fit is cut off again. */
static int append_to(int fd, const char *path, struct str content, struct written *ret,
	struct error *err)
{
	struct stat st;
	if (fstat(fd, &st) < 0)
		return error_sys(err, errno, "stat %s", path);
	if (file_write_all(fd, content, err) < 0) {
		if (ftruncate(fd, st.st_size) < 0)
			return error_wrap(err, "append to %s, of which a part was added", path);
		return error_wrap(err, "append to %s", path);
	}
	*ret = (struct written){ path, (int64_t)content.len, st.st_size + (int64_t)content.len,
		false, st.st_mode };
	return 0;
}

static int append(const struct path_root *root, const char *path, const struct write_params *p,
	struct str content, struct written *ret, struct error *err)
{
	auto_fd int fd = -1;
	struct error why;
	/* Twice: somebody may make the file between the two. */
	for (int i = 0; i < 2; i++) {
		if (path_open_file(root, path, O_WRONLY | O_APPEND, &fd, NULL, &why) == 0) {
			if (p->exclusive)
				return error_set(err, ERROR_EXISTS, "append to %s: the file exists",
					path);
			return append_to(fd, path, content, ret, err);
		}
		if (why.code != ERROR_NOT_FOUND)
			break;
		if (write_whole(root, path, p, true, content, ret, &why) == 0) {
			ret->size = ret->bytes;
			return 0;
		}
		if (why.code != ERROR_EXISTS)
			break;
	}
	*err = why;
	return -1;
}

static void start(struct call *call, const struct write_params *p, bool is_append)
{
	const struct path_root *root = &call->executor->files->root;
	struct error err;
	struct written done = { 0 };
	char path[PATH_SIZE];
	auto_buf struct buf decoded = BUF_INIT(FRAME_PAYLOAD_MAX);
	struct str content;
	int r = files_path(call, &p->where, path, &err);
	if (r == 0 && p->where.path.ptr[p->where.path.len - 1] == '/')
		r = error_set(&err, ERROR_INVALID, "write %s/: this names a directory", path);
	if (r == 0)
		r = files_content(p->content, p->encoding, &decoded, &content, &err);
	if (r == 0)
		r = is_append ? append(root, path, p, content, &done, &err)
			      : write_whole(root, path, p, p->exclusive, content, &done, &err);
	if (r < 0)
		call_fail(call, &err);
	else
		finish_written(call, &done);
}

static void start_write(struct call *call, const void *params)
{
	start(call, params, false);
}

static void start_append(struct call *call, const void *params)
{
	start(call, params, true);
}

const struct verb write_verb = { .action = &write_action, .start = start_write };
const struct verb append_verb = { .action = &append_action, .start = start_append };
