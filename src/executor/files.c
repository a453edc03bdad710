/* SPDX-License-Identifier: Apache-2.0 */
#include "executor/files.h"

#include "base/auto.h"
#include "base/bug.h"
#include "executor/executor.h"
#include "wire/base64.h"

#include <stdio.h>

struct files *files_new(struct loop *loop, int root_fd, const char *place, bool walks,
	const struct confine *confine)
{
	struct files *f = mem_new(struct files);
	f->root = path_root(root_fd);
	f->root.place = place;
	f->root.walks |= walks;
	workers_init(&f->jobs, loop, &f->root, confine);
	workers_init(&f->streams, loop, &f->root, confine);
	f->layer_root.fd = -1;
	/* Outside of the sandbox's groups, which are frozen meanwhile. */
	workers_init(&f->layers, loop, &f->layer_root, NULL);
	edit_history_init(&f->history);
	return f;
}

void files_set_layer(struct files *f, int layer_fd)
{
	f->layer_root = path_root(layer_fd);
}

void files_set_owner(struct files *f, const struct user *owner)
{
	f->root.has_owner = owner->is_other;
	f->root.uid = owner->uid;
	f->root.gid = owner->gid;
}

bool files_may_write(const struct files *f, int64_t before, size_t more)
{
	return before + (int64_t)more <= FILES_OWN_EACH &&
		f->own_bytes + (int64_t)more <= FILES_OWN_ALL;
}

void files_free(struct files *f)
{
	if (!f)
		return;
	workers_fini(&f->jobs);
	workers_fini(&f->streams);
	workers_fini(&f->layers);
	edit_history_fini(&f->history);
	close_fd(f->root.fd);
	close_fd(f->layer_root.fd);
	free(f);
}

/* Where files are the host's, the workspace can also be called as it is in a sandbox. */
static int from_workspace(const struct path_root *root, char path[PATH_SIZE], struct error *err)
{
	static const struct str usual = { "/workspace", 10 };
	struct str rest = str_skip(str_from(path), usual.len);
	if (!str_starts(str_from(path), usual) || (rest.len && rest.ptr[0] != '/') ||
		str_starts(str_from(path), str_from(root->place)))
		return 0;
	auto_free char *joined = mem_printf("%s%.*s", root->place, STR_ARG(rest));
	return path_join(STR_NONE, STR_NONE, str_from(joined), path, err);
}

int files_path(const struct call *call, const struct file_where *where, char ret_path[PATH_SIZE],
	struct error *err)
{
	const struct path_root *root = &call->executor->files->root;
	if (path_join(str_from(call->executor->workdir), where->cwd, where->path, ret_path, err) <
		0)
		return -1;
	return root->place ? from_workspace(root, ret_path, err) : 0;
}

char *files_keep(struct call *call, const char *path)
{
	return arena_str(&call->arena, str_from(path));
}

int files_mode(struct str text, mode_t standard, mode_t *ret, struct error *err)
{
	mode_t mode = 0;
	for (size_t i = 0; i < text.len; i++) {
		if (text.ptr[i] < '0' || text.ptr[i] > '7' || text.len > 5)
			return error_set(err, ERROR_INVALID,
				"'%.*s' is no mode; octal digits are wanted, such as 0644",
				STR_ARG(str_first(text, 20)));
		mode = mode << 3 | (mode_t)(text.ptr[i] - '0');
	}
	if (mode > 07777)
		return error_set(err, ERROR_INVALID, "mode %o is beyond 7777", mode);
	*ret = text.len ? mode : standard;
	return 0;
}

int files_content(struct str content, struct str encoding, struct buf *b, struct str *ret,
	struct error *err)
{
	*ret = content;
	if (!str_is(encoding, "base64"))
		return 0;
	if (base64_decode(content, b, err) < 0)
		return error_wrap(err, "content");
	*ret = buf_str(b);
	return 0;
}

const char *files_type(mode_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFREG:
		return "file";
	case S_IFDIR:
		return "directory";
	case S_IFLNK:
		return "symlink";
	case S_IFIFO:
		return "fifo";
	case S_IFSOCK:
		return "socket";
	case S_IFCHR:
		return "char_device";
	case S_IFBLK:
		return "block_device";
	default:
		return "unknown";
	}
}

void files_put_mode(struct jsonw *w, mode_t mode)
{
	char text[8];
	snprintf(text, sizeof(text), "%04o", mode & 07777);
	jsonw_key_str(w, "mode", str_from(text));
}

int64_t files_mtime_ms(const struct stat *st)
{
	return (int64_t)st->st_mtim.tv_sec * 1000 + st->st_mtim.tv_nsec / 1000000;
}

void files_put_stat(struct jsonw *w, const struct stat *st)
{
	jsonw_key_str(w, "type", str_from(files_type(st->st_mode)));
	jsonw_key_int(w, "size", st->st_size);
	files_put_mode(w, st->st_mode);
	jsonw_key_int(w, "uid", st->st_uid);
	jsonw_key_int(w, "gid", st->st_gid);
	jsonw_key_int(w, "mtime_ms", files_mtime_ms(st));
}

void files_finish(struct call *call, const struct buf *b)
{
	struct error err;
	if (!b->is_full) {
		call_finish(call, buf_str(b));
		return;
	}
	error_set(&err, ERROR_TOO_LARGE, "the result is over %zu bytes", b->limit);
	call_fail(call, &err);
}

void files_work(struct call *call, worker_fn *fn, void *arg)
{
	struct error err;
	call->state = worker_new(&call->executor->files->jobs, call, fn, arg, &err);
	if (!call->state)
		call_fail(call, &err);
}

/* Fails only where the executor may not give files away; then they stay its own. */
void files_own(const struct path_root *root, int fd)
{
	if (root->has_owner && fchown(fd, root->uid, root->gid) < 0)
		return;
}
