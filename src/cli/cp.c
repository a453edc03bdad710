/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One end is in a sandbox, the other is a file, a directory or `-`. A file's bytes go as they are;
 * a directory goes as a tar stream, which a child process makes or takes apart while this one talks
 * HTTP: libcurl pulls uploads from a descriptor and pushes downloads, libarchive does the opposite.
 */
#include "cli/client.h"

#include "base/auto.h"
#include "base/bug.h"
#include "base/clock.h"
#include "base/file.h"
#include "cli/tree.h"
#include "wire/url.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>

enum { PATH_BYTES_MAX = 4200 };

struct place {
	char *sandbox; /* heap; NULL: on this machine */
	const char *path;
	bool is_stream; /* - */
};

static void place_fini(struct place *p)
{
	free(p->sandbox);
}
#define auto_place __attribute__((cleanup(place_fini)))

/* "demo:/x" is in a sandbox; "./a:b" and "/a:b" are not. */
static struct place place_from(const char *text)
{
	const char *colon = strchr(text, ':'), *slash = strchr(text, '/');
	struct place p = { .path = text, .is_stream = !strcmp(text, "-") };
	if (colon && colon != text && (!slash || colon < slash)) {
		p.sandbox = str_dup(str_from_len(text, (size_t)(colon - text)));
		p.path = colon[1] ? colon + 1 : ".";
	}
	return p;
}

/* "c" of "a/b/c/"; "" of "/", "." and "..": then what is in the directory is meant. */
static struct str last_part(const char *path)
{
	struct str s = str_from(path), part = s;
	while (str_ends(s, STR("/")))
		s.len--;
	while (str_split(&s, '/', &part))
		;
	return str_is(part, ".") || str_is(part, "..") ? STR("") : part;
}

/* TO itself, or what FROM is called in it. */
static int put_target(struct buf *b, const struct place *from, const struct place *to,
	bool goes_into, struct error *err)
{
	buf_puts(b, to->path);
	if (goes_into) {
		buf_putc(b, '/');
		buf_put(b, last_part(from->path));
	}
	return b->is_full ? error_set(err, ERROR_INVALID, "%.60s…: the path is too long", to->path)
			  : 0;
}

static bool ends_in_slash(const char *path)
{
	return str_ends(str_from(path), STR("/"));
}

/* The file in the sandbox, as its `stat` tells; ERROR_NOT_FOUND if there is none. */
static int remote_stat(struct remote *s, const struct place *p, struct json **ret,
	struct error *err)
{
	auto_buf struct buf params = BUF_INIT(PATH_BYTES_MAX);
	struct jsonw w = JSONW(&params);
	jsonw_open(&w);
	jsonw_key_str(&w, "path", str_from(p->path));
	jsonw_close(&w);
	return remote_act(s, p->sandbox, "stat", buf_str(&params), ret, err);
}

static bool is_dir(const struct json *stat)
{
	return str_is(json_str(json_find(stat, "type")), "directory");
}

/* How far it is, for who watches a terminal and waits for more than a second. */
struct copying {
	int fd;      /* of a download */
	bool is_new; /* a regular file of ours */
	bool is_watched, is_shown;
	int64_t next_ms;
};

enum { SHOW_AFTER_MS = 1000, SHOW_EACH_MS = 200 };

static void on_progress(void *arg, int64_t bytes)
{
	struct copying *c = arg;
	int64_t now = clock_mono_ms();
	if (!c->is_watched || now < c->next_ms)
		return;
	auto_buf struct buf text = BUF_INIT(100);
	out_put_size(&text, bytes);
	fprintf(stderr, "\r%s\033[K", text.ptr);
	c->next_ms = now + SHOW_EACH_MS;
	c->is_shown = true;
}

static int on_body(void *arg, struct str piece, struct error *err)
{
	const struct copying *c = arg;
	return c->is_new ? file_write_sparse(c->fd, piece, err) : file_write_all(c->fd, piece, err);
}

static int transfer(struct remote *s, struct http_call *call, int to_fd, struct error *err)
{
	bool is_shown_there = to_fd == STDOUT_FILENO && isatty(to_fd);
	struct stat st;
	struct copying c = { .fd = to_fd,
		.is_new = to_fd != STDOUT_FILENO && fstat(to_fd, &st) == 0 && S_ISREG(st.st_mode),
		.is_watched = isatty(STDERR_FILENO) && !is_shown_there,
		.next_ms = clock_mono_ms() + SHOW_AFTER_MS };
	call->on_progress = on_progress;
	call->arg = &c; /* cppcheck-suppress autoVariables ; the call ends before this returns */
	int status = remote_call(s, call, err);
	if (c.is_shown)
		fputs("\r\033[K", stderr);
	return status;
}

static int put_files_path(struct buf *b, const struct place *p, const char *path, const char *key,
	const char *value, struct error *err)
{
	remote_put_path(b, p->sandbox, "/files?path=");
	url_encode(str_from(path), b);
	buf_printf(b, "&%s=%s", key, value);
	return b->is_full ? error_set(err, ERROR_INVALID, "%.60s…: the path is too long", path) : 0;
}

/* What a child that packs or unpacks ends with: one write to a pipe. */
struct outcome {
	int status;
	struct tree_count count;
	struct error error;
};

struct worker {
	pid_t pid;
	int data_fd; /* our end of the tar stream */
	int outcome_fd;
};
#define WORKER_INIT                             \
	{                                       \
		.data_fd = -1, .outcome_fd = -1 \
	}

/* Starts a child that packs `dir_fd` into the stream, or unpacks the stream into it. */
static int worker_start(struct worker *w, int dir_fd, bool packs, struct error *err)
{
	int data[2], outcome[2];
	if (pipe2(data, O_CLOEXEC) < 0)
		return error_sys(err, errno, "pipe");
	if (pipe2(outcome, O_CLOEXEC) < 0) {
		close(data[0]);
		close(data[1]);
		return error_sys(err, errno, "pipe");
	}
	int theirs = packs ? 1 : 0;
	w->data_fd = data[!theirs];
	w->outcome_fd = outcome[0];
	w->pid = fork();
	if (w->pid == 0) {
		struct outcome o = { 0 };
		close(w->data_fd);
		o.status = packs ? tree_pack(dir_fd, NULL, data[1], &o.count, &o.error)
				 : tree_unpack(data[0], dir_fd, &o.count, &o.error);
		file_write_all(outcome[1], str_from_len((const char *)&o, sizeof(o)), NULL);
		_exit(0);
	}
	close(data[theirs]);
	close(outcome[1]);
	return w->pid < 0 ? error_sys(err, errno, "fork") : 0;
}

/* Its own failure is the cause of ours: a broken pipe, a body that ended too early. */
static int worker_end(struct worker *w, int status, struct error *err)
{
	struct outcome o;
	w->data_fd = close_fd(w->data_fd);
	ssize_t n = read(w->outcome_fd, &o, sizeof(o));
	close(w->outcome_fd);
	waitpid(w->pid, NULL, 0);
	if (n != sizeof(o))
		return error_set(err, ERROR_INTERNAL, "the process that %s died",
			"packs or unpacks");
	bool is_echo = status < 0 && o.error.sys == EPIPE;
	if (o.status < 0 && !is_echo) {
		*err = o.error;
		return -1;
	}
	if (status == 0 && o.count.skipped)
		fprintf(stderr, "cay: cp: %lld devices, sockets and FIFOs were left out\n",
			(long long)o.count.skipped);
	return status;
}

/* mode: octal permissions, or "" */
static int upload(struct remote *s, const struct place *to, const char *path, const char *kind,
	const char *mode, int fd, int64_t size, struct error *err)
{
	auto_buf struct buf url = BUF_INIT(PATH_BYTES_MAX), reply = BUF_INIT(REMOTE_REPLY_MAX);
	if (put_files_path(&url, to, path, "kind", kind, err) < 0)
		return -1;
	buf_printf(&url, "%s%s", mode[0] ? "&mode=" : "", mode);
	struct http_call call = { .method = "PUT",
		.path = url.ptr,
		.content_type = "application/octet-stream",
		.body_fd = fd,
		.body_size = size,
		.reply = &reply };
	return transfer(s, &call, -1, err);
}

static int upload_file(struct remote *s, const struct place *to, const char *path, int fd,
	const struct stat *st, struct error *err)
{
	char mode[8] = "";
	if (!S_ISREG(st->st_mode))
		return upload(s, to, path, "file", mode, fd, 0, err);
	snprintf(mode, sizeof(mode), "%04o", (unsigned)(st->st_mode & 0777));
	return upload(s, to, path, "file", mode, fd, st->st_size, err);
}

static int upload_dir(struct remote *s, const struct place *to, const char *path, int dir_fd,
	struct error *err)
{
	struct worker w = WORKER_INIT;
	if (worker_start(&w, dir_fd, true, err) < 0)
		return -1;
	return worker_end(&w, upload(s, to, path, "tar", "", w.data_fd, 0, err), err);
}

static int copy_in(struct remote *s, const struct place *from, const struct place *to,
	struct error *err)
{
	auto_json struct json *there = NULL;
	auto_buf struct buf target = BUF_INIT(PATH_BYTES_MAX);
	struct stat st;
	struct error none;
	auto_fd int fd = from->is_stream ? fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3)
					 : open(from->path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0)
		return error_sys(err, errno, "%s", from->path);
	if (remote_stat(s, to, &there, &none) < 0 && none.code != ERROR_NOT_FOUND) {
		*err = none;
		return -1;
	}
	bool goes_into = is_dir(there) || ends_in_slash(to->path);
	if (goes_into && from->is_stream)
		return error_set(err, ERROR_INVALID, "%s is a directory; say which file in it",
			to->path);
	if (put_target(&target, from, to, goes_into, err) < 0)
		return -1;
	return S_ISDIR(st.st_mode) ? upload_dir(s, to, target.ptr, fd, err)
				   : upload_file(s, to, target.ptr, fd, &st, err);
}

static int download(struct remote *s, const struct place *from, const char *format, int to_fd,
	struct error *err)
{
	auto_buf struct buf url = BUF_INIT(PATH_BYTES_MAX);
	struct http_call call = { .method = "GET", .on_body = on_body };
	if (put_files_path(&url, from, from->path, "format", format, err) < 0)
		return -1;
	call.path = url.ptr;
	return transfer(s, &call, to_fd, err);
}

/* A regular file appears whole or not at all; into a device or FIFO the bytes go as they come. */
static int download_file(struct remote *s, const struct place *from, const char *path, mode_t mode,
	struct error *err)
{
	struct stat st;
	if (stat(path, &st) == 0 && !S_ISREG(st.st_mode)) {
		auto_fd int fd = open(path, O_WRONLY | O_CLOEXEC);
		return fd < 0 ? error_sys(err, errno, "%s", path)
			      : download(s, from, "raw", fd, err);
	}
	auto_free char *part = mem_printf("%s.part-XXXXXX", path);
	auto_fd int fd = mkostemp(part, O_CLOEXEC);
	if (fd < 0)
		return error_sys(err, errno, "%s", path);
	mode_t mask = umask(0);
	umask(mask);
	int r = download(s, from, "raw", fd, err);
	if (r == 0)
		r = file_end_sparse(fd, err);
	if (r == 0 && (fchmod(fd, mode & 0777 & ~mask) < 0 || rename(part, path) < 0))
		r = error_sys(err, errno, "%s", path);
	if (r < 0)
		unlink(part);
	return r;
}

static int download_dir(struct remote *s, const struct place *from, const char *path,
	struct error *err)
{
	struct worker w = WORKER_INIT;
	if (mkdir(path, 0777) < 0 && errno != EEXIST)
		return error_sys(err, errno, "%s", path);
	auto_fd int dir_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir_fd < 0)
		return error_sys(err, errno, "%s", path);
	if (worker_start(&w, dir_fd, false, err) < 0)
		return -1;
	return worker_end(&w, download(s, from, "tar", w.data_fd, err), err);
}

/* Permission bits as `stat` writes them: "0644". */
static mode_t mode_from(const struct json *stat)
{
	mode_t mode = 0;
	struct str text = json_str(json_find(stat, "mode"));
	for (size_t i = 0; i < text.len && text.ptr[i] >= '0' && text.ptr[i] <= '7'; i++)
		mode = (mode << 3 | (mode_t)(text.ptr[i] - '0')) & 07777;
	return text.len ? mode : 0644;
}

static int copy_out(struct remote *s, const struct place *from, const struct place *to,
	struct error *err)
{
	auto_json struct json *there = NULL;
	auto_buf struct buf target = BUF_INIT(PATH_BYTES_MAX);
	struct stat st;
	if (remote_stat(s, from, &there, err) < 0)
		return -1;
	if (to->is_stream)
		return download(s, from, is_dir(there) ? "tar" : "raw", STDOUT_FILENO, err);
	bool goes_into = ends_in_slash(to->path) ||
		(stat(to->path, &st) == 0 && S_ISDIR(st.st_mode));
	if (put_target(&target, from, to, goes_into, err) < 0)
		return -1;
	return is_dir(there) ? download_dir(s, from, target.ptr, err)
			     : download_file(s, from, target.ptr, mode_from(there), err);
}

int cp_main(struct invocation *in, struct error *err)
{
	auto_place struct place from = place_from(in->args[0]);
	auto_place struct place to = place_from(in->args[1]);
	auto_remote struct remote s = REMOTE_INIT;
	if (!from.path[0] || !to.path[0])
		return error_set(err, ERROR_INVALID, "an empty path");
	if (!from.sandbox == !to.sandbox)
		return error_set(err, ERROR_INVALID,
			"exactly one of FROM and TO is in a sandbox: SANDBOX:PATH%s",
			from.sandbox ? "; between two there is cay cp A:PATH - | cay cp - B:PATH"
				     : "");
	if (remote_open(in, &s, err) < 0)
		return -1;
	return to.sandbox ? copy_in(&s, &from, &to, err) : copy_out(&s, &from, &to, err);
}
