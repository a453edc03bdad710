/* SPDX-License-Identifier: Apache-2.0 */
#include "base/file.h"

#include "base/auto.h"
#include "base/bug.h"

#include <dirent.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/stat.h>

enum { READ_STEP = 8 * 1024, KEEP_IDLE_S = 30, KEEP_STEP_S = 10 };

int file_read(int dir_fd, const char *path, struct buf *b, struct error *err)
{
	auto_fd int fd = openat(dir_fd, path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return error_sys(err, errno, "open %s", path);
	for (;;) {
		size_t step = MIN((size_t)READ_STEP, b->limit - b->len + 1);
		char chunk[READ_STEP];
		ssize_t n = read(fd, chunk, step);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return error_sys(err, errno, "read %s", path);
		if (n == 0)
			return 0;
		if (buf_add(b, chunk, (size_t)n) < 0)
			return error_set(err, ERROR_TOO_LARGE, "%s is over %zu bytes", path,
				b->limit);
	}
}

const char *file_beneath(const char *path, const char *dir)
{
	size_t n = dir[1] ? strlen(dir) : 0; /* of "/" the rest is all */
	if (strncmp(path, dir, n) != 0)
		return NULL;
	const char *rest = path + n;
	if (n == 0 && !path[1])
		return "";
	return *rest == '/' || *rest == '\0' ? rest : NULL;
}

int file_write_all(int fd, struct str data, struct error *err)
{
	while (data.len) {
		ssize_t n = write(fd, data.ptr, data.len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return error_sys(err, errno, "write");
		data = str_skip(data, (size_t)n);
	}
	return 0;
}

static bool is_zeros(struct str data)
{
	return data.ptr[0] == '\0' && !memcmp(data.ptr, data.ptr + 1, data.len - 1);
}

int file_write_sparse(int fd, struct str data, struct error *err)
{
	enum { BLOCK = 4096 };
	while (data.len) {
		size_t n = MIN(data.len, BLOCK);
		bool is_hole = is_zeros(str_first(data, n));
		while (n < data.len) { /* as far as it is the same */
			struct str next = str_first(str_skip(data, n), BLOCK);
			if (is_zeros(next) != is_hole)
				break;
			n += next.len;
		}
		if (is_hole && lseek(fd, (off_t)n, SEEK_CUR) < 0)
			return error_sys(err, errno, "leave a hole");
		if (!is_hole && file_write_all(fd, str_first(data, n), err) < 0)
			return -1;
		data = str_skip(data, n);
	}
	return 0;
}

int file_end_sparse(int fd, struct error *err)
{
	off_t size = lseek(fd, 0, SEEK_CUR);
	return size < 0 || ftruncate(fd, size) < 0 ? error_sys(err, errno, "set its size") : 0;
}

int file_write_once(int dir_fd, const char *path, struct str data, struct error *err)
{
	auto_fd int fd = openat(dir_fd, path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return error_sys(err, errno, "open %s", path);
	ssize_t n = write(fd, data.ptr, data.len);
	if (n != (ssize_t)data.len)
		return error_sys(err, n < 0 ? errno : EIO, "write '%.*s' to %s",
			STR_ARG(str_first(str_trim(data), 40)), path);
	return 0;
}

static int replace(int dir_fd, const char *path, struct str data, mode_t mode, bool flushes,
	struct error *err)
{
	auto_free char *temp = mem_printf("%s.new-%d", path, (int)getpid());
	auto_fd int fd = openat(dir_fd, temp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW,
		mode);
	if (fd < 0)
		return error_sys(err, errno, "create %s", temp);
	int r = file_write_all(fd, data, err);
	if (r == 0 && flushes && fsync(fd) < 0)
		r = error_sys(err, errno, "flush %s", temp);
	if (r == 0 && renameat(dir_fd, temp, dir_fd, path) < 0)
		r = error_sys(err, errno, "rename %s", temp);
	if (r < 0) {
		unlinkat(dir_fd, temp, 0);
		return error_wrap(err, "replace %s", path);
	}
	return 0;
}

int file_replace(int dir_fd, const char *path, struct str data, mode_t mode, struct error *err)
{
	return replace(dir_fd, path, data, mode, false, err);
}

int file_replace_and_flush(const char *path, struct str data, mode_t mode, struct error *err)
{
	return replace(AT_FDCWD, path, data, mode, true, err);
}

int file_mkdirs(const char *path, mode_t mode, struct error *err)
{
	auto_free char *copy = mem_strdup(path);
	for (char *p = copy + 1; *copy; p++) {
		char c = *p;
		if (c != '/' && c != '\0')
			continue;
		*p = '\0';
		if (mkdirat(AT_FDCWD, copy, mode) < 0 && errno != EEXIST)
			return error_sys(err, errno, "mkdir %s", copy);
		*p = c;
		if (c == '\0')
			break;
	}
	return 0;
}

/*
 * Depth is bounded by the descriptors a process may hold; a deeper tree is refused, not followed.
 */
static int remove_children(int fd, dev_t dev, int depth, struct error *err);

static int remove_entry(int dir_fd, const char *name, dev_t dev, int depth, struct error *err)
{
	if (unlinkat(dir_fd, name, 0) == 0 || errno == ENOENT)
		return 0;
	if (errno != EISDIR && errno != EPERM)
		return error_sys(err, errno, "remove %s", name);
	auto_fd int fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;
	if (fd < 0 || fstat(fd, &st) < 0)
		return error_sys(err, errno, "open %s", name);
	if (st.st_dev != dev)
		return error_set(err, ERROR_FORBIDDEN,
			"remove %s: another file system is mounted there", name);
	if (remove_children(fd, dev, depth + 1, err) < 0)
		return error_wrap(err, "%s", name);
	if (unlinkat(dir_fd, name, AT_REMOVEDIR) < 0 && errno != ENOENT)
		return error_sys(err, errno, "remove %s", name);
	return 0;
}

static int remove_children(int fd, dev_t dev, int depth, struct error *err)
{
	if (depth > 512)
		return error_set(err, ERROR_LIMIT, "more than 512 directories deep");
	int copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	DIR *dir = copy < 0 ? NULL : fdopendir(copy);
	if (!dir) {
		close_fd(copy);
		return error_sys(err, errno, "read directory");
	}
	int r = 0;
	struct dirent *e;
	struct stat st;
	/* Its owner may have made it read-only, as caches of modules are. */
	if (fstat(fd, &st) == 0 && (st.st_mode & 0300) != 0300)
		fchmod(fd, 0700);
	while (r == 0 && (e = readdir(dir))) {
		if (str_is(STR("."), e->d_name) || str_is(STR(".."), e->d_name))
			continue;
		r = remove_entry(fd, e->d_name, dev, depth, err);
	}
	closedir(dir);
	return r;
}

int file_remove_tree(int dir_fd, const char *name, struct error *err)
{
	struct stat st;
	if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : error_sys(err, errno, "stat %s", name);
	return remove_entry(dir_fd, name, st.st_dev, 0, err);
}

int fd_set_nonblock(int fd, struct error *err)
{
	int flags = fcntl(fd, F_GETFL);
	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
		return error_sys(err, errno, "fcntl O_NONBLOCK");
	return 0;
}

void fd_keep_alive(int fd)
{
	const int yes = 1, idle = KEEP_IDLE_S, step = KEEP_STEP_S;
	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &yes, sizeof(yes));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof(idle));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &step, sizeof(step));
}

int fd_send(int sock, struct str data, const int *fds, int n_fds, struct error *err)
{
	BUG_IF(n_fds > FD_PASS_MAX, "too many descriptors for one message");
	union {
		struct cmsghdr head;
		char space[CMSG_SPACE(sizeof(int) * FD_PASS_MAX)];
	} control = { 0 };
	char *bytes = (char *)(uintptr_t)data.ptr; /* sendmsg does not write to it */
	struct iovec iov = { bytes, data.len };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	if (n_fds > 0) {
		msg.msg_control = control.space;
		msg.msg_controllen = CMSG_SPACE(sizeof(int) * (size_t)n_fds);
		struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int) * (size_t)n_fds);
		memcpy(CMSG_DATA(c), fds, sizeof(int) * (size_t)n_fds);
	}
	ssize_t n;
	do
		n = sendmsg(sock, &msg, MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	if (n != (ssize_t)data.len)
		return error_sys(err, n < 0 ? errno : EMSGSIZE, "send message");
	return 0;
}

static void take_fds(struct msghdr *msg, int *fds, int *n_fds)
{
	int room = *n_fds;
	*n_fds = 0;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		int n = (int)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));
		for (int i = 0; i < n; i++) {
			int fd;
			memcpy(&fd, CMSG_DATA(c) + sizeof(int) * (size_t)i, sizeof(fd));
			if (*n_fds < room)
				fds[(*n_fds)++] = fd;
			else
				close(fd);
		}
	}
}

static bool has_no_room(int fd)
{
	int more = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (more < 0)
		return errno == EMFILE;
	close(more);
	return false;
}

ssize_t fd_recv(int sock, void *data, size_t size, int *fds, int *n_fds, struct error *err)
{
	union {
		struct cmsghdr head;
		char space[CMSG_SPACE(sizeof(int) * FD_PASS_MAX)];
	} control;
	struct iovec iov = { data, size };
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.space,
		.msg_controllen = sizeof(control.space),
	};
	ssize_t n;
	do
		n = recvmsg(sock, &msg, MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n < 0) {
		*n_fds = 0;
		return error_sys(err, errno, "receive message");
	}
	take_fds(&msg, fds, n_fds);
	if (msg.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) {
		bool is_full = has_no_room(sock); /* before any is closed */
		while (*n_fds > 0)
			close(fds[--*n_fds]);
		if (is_full)
			return error_sys(err, EMFILE,
				"receive descriptors: this process may have no more (ulimit -n)");
		return error_set(err, ERROR_PROTOCOL, "a message was cut off");
	}
	return n;
}
