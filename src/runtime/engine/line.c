/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. While there is no executor we listen. The first to connect to a new
 * sandbox's socket is its executor, since nothing else runs there yet. Later anybody in the
 * container may come: each caller has to say who he is with his first message, and only so many are
 * listened to at once; who stays silent is replaced. Once the executor is there the socket is gone.
 *
 * The directory's path may be longer than a socket's name can be: the socket is named by way of a
 * descriptor.
 */
#include "runtime/engine/line.h"

#include "base/auto.h"
#include "base/bug.h"
#include "base/file.h"
#include "base/list.h"
#include "base/num.h"
#include "event/loop.h"
#include "runtime/handover.h"
#include "wire/dial.h"

#include <fcntl.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

enum { CALLERS_MAX = 8, BACKLOG = 16, MESSAGE_MAX = 1 + DIAL_TEXT_MAX };

struct caller {
	struct list link; /* line::callers, oldest first */
	struct line *line;
	int fd;
	struct watch *watch;
};

struct line {
	struct loop *loop;
	const struct line_ops *ops;
	void *arg;
	int run_fd;    /* of its directory, O_PATH */
	int listen_fd; /* -1: the executor is there */
	struct acceptor *acceptor;
	struct list callers;
	size_t n_callers;
	int control_fd;
	struct handover handover;
	struct watch *control_watch;
	char secret[DIAL_SECRET_SIZE];
	bool is_new, is_ready;
};

static void caller_free(struct caller *c)
{
	list_remove(&c->link);
	c->line->n_callers--;
	watch_free(c->watch);
	close_fd(c->fd);
	free(c);
}

static void stop_listening(struct line *l)
{
	acceptor_free(take_ptr(l->acceptor));
	if (l->listen_fd >= 0)
		unlinkat(l->run_fd, "socket", 0);
	l->listen_fd = close_fd(l->listen_fd);
	while (!list_is_empty(&l->callers))
		caller_free(list_get_first(&l->callers, struct caller, link));
}

/* ---- the executor is there ---- */

static void let_go(struct line *l)
{
	watch_free(take_ptr(l->control_watch));
	handover_fini(&l->handover);
	l->control_fd = close_fd(l->control_fd);
}

static void on_end(struct line *l)
{
	struct error err;
	let_go(l);
	if (l->is_ready) {
		l->ops->lost(l->arg);
		return;
	}
	error_set(&err, ERROR_INTERNAL, "the container ended before its executor was ready");
	l->ops->failed(l->arg, &err);
}

static void on_ready(struct line *l, struct str who)
{
	struct str rest = who, uid;
	int64_t numbers[2] = { 0 };
	str_split(&rest, ':', &uid);
	if (num_parse_i64(uid, 0, UINT32_MAX, &numbers[0], NULL) < 0 ||
		num_parse_i64(rest, 0, UINT32_MAX, &numbers[1], NULL) < 0)
		numbers[0] = numbers[1] = UINT32_MAX; /* it is believed nothing that counts */
	l->is_ready = true;
	handover_begin(&l->handover, l->control_fd);
	l->ops->ready(l->arg, (uint32_t)numbers[0], (uint32_t)numbers[1]);
}

/* One message a turn: what is called may free the line. */
static void on_control(void *arg, int events)
{
	struct line *l = arg;
	char text[MESSAGE_MAX + 1];
	ssize_t n = recv(l->control_fd, text, MESSAGE_MAX, MSG_DONTWAIT);
	/* It ended without having read our secret. What it said before comes after that error. */
	if (n < 0 && errno == ECONNRESET)
		n = recv(l->control_fd, text, MESSAGE_MAX, MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		on_end(l);
		return;
	}
	text[n] = '\0';
	if (l->is_ready)
		return; /* it has nothing more to say */
	if (text[0] == DIAL_READY) {
		on_ready(l, str_from_len(text + 1, (size_t)n - 1));
	} else if (text[0] == DIAL_FAILED) {
		struct error err;
		error_set(&err, ERROR_INTERNAL, "the executor cannot start: %s", text + 1);
		let_go(l); /* that it has ended, too, is no second failure */
		l->ops->failed(l->arg, &err);
	}
}

static void accept_executor(struct line *l, int fd)
{
	stop_listening(l);
	l->control_fd = fd;
	l->control_watch = watch_new(l->loop, fd, LOOP_READ, on_control, l);
	if (!l->is_new)
		return;
	char message[1 + DIAL_SECRET_SIZE] = { DIAL_SECRET };
	memcpy(message + 1, l->secret, sizeof(l->secret));
	/* If it is gone already, the watch will tell. */
	fd_send(fd, str_from_len(message, sizeof(message)), NULL, 0, NULL);
}

/* ---- who calls ---- */

static bool is_executor(const struct line *l, struct str hello)
{
	if (hello.len < 1 || hello.ptr[0] != DIAL_HELLO)
		return false;
	struct str shown = str_skip(hello, 1);
	return l->is_new ? shown.len == 0
			 : str_eq_secret(shown, str_from_len(l->secret, sizeof(l->secret)));
}

static void on_caller(void *arg, int events)
{
	struct caller *c = arg;
	struct line *l = c->line;
	char hello[2 + DIAL_SECRET_SIZE];
	ssize_t n = recv(c->fd, hello, sizeof(hello), MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	int fd = -1;
	if (n > 0 && is_executor(l, str_from_len(hello, (size_t)n)))
		fd = take_fd(&c->fd);
	if (fd < 0) {
		caller_free(c);
		return;
	}
	watch_free(take_ptr(c->watch));
	accept_executor(l, fd);
}

static void on_connection(void *arg, int fd)
{
	struct line *l = arg;
	if (l->n_callers == CALLERS_MAX)
		caller_free(list_get_first(&l->callers, struct caller, link));
	struct caller *c = mem_new(struct caller);
	c->line = l;
	c->fd = fd;
	c->watch = watch_new(l->loop, fd, LOOP_READ, on_caller, c);
	list_append(&l->callers, &c->link);
	l->n_callers++;
}

static int start_listening(struct line *l, struct error *err)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	snprintf(at.sun_path, sizeof(at.sun_path), "/proc/self/fd/%d/socket", l->run_fd);
	if (unlinkat(l->run_fd, "socket", 0) < 0 && errno != ENOENT)
		return error_sys(err, errno, "remove an old socket");
	l->listen_fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (l->listen_fd < 0 || bind(l->listen_fd, (const struct sockaddr *)&at, sizeof(at)) < 0 ||
		fchmodat(l->run_fd, "socket", 0666, 0) < 0 || listen(l->listen_fd, BACKLOG) < 0)
		return error_sys(err, errno, "listen for the executor");
	l->acceptor = acceptor_new(l->loop, l->listen_fd, on_connection, l);
	return 0;
}

static int make_secret(struct line *l, int dir_fd, struct error *err)
{
	if (getrandom(l->secret, sizeof(l->secret), 0) != sizeof(l->secret))
		return error_sys(err, errno, "make a secret");
	return file_replace(dir_fd, "secret", str_from_len(l->secret, sizeof(l->secret)), 0600,
		err);
}

static int read_secret(struct line *l, int dir_fd, struct error *err)
{
	auto_buf struct buf b = BUF_INIT(DIAL_SECRET_SIZE);
	if (file_read(dir_fd, "secret", &b, err) < 0)
		return -1;
	if (b.len != sizeof(l->secret))
		return error_set(err, ERROR_INTERNAL, "a secret of %zu bytes", b.len);
	memcpy(l->secret, b.ptr, sizeof(l->secret));
	return 0;
}

static int open_line(struct line *l, const char *dir, struct error *err)
{
	auto_free char *run = mem_printf("%s/run", dir);
	if (l->is_new && file_mkdirs(run, 0755, err) < 0)
		return -1;
	auto_fd int dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	l->run_fd = open(run, O_PATH | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (dir_fd < 0 || l->run_fd < 0)
		return error_sys(err, errno, "open %s", run);
	/*
	 * Whatever the umask: the user in the container goes through `run`, which lies where only
	 * we can go.
	 */
	if (fchmod(dir_fd, 0700) < 0 || fchmodat(dir_fd, "run", 0755, 0) < 0)
		return error_sys(err, errno, "set the mode of %s", run);
	if ((l->is_new ? make_secret : read_secret)(l, dir_fd, err) < 0)
		return -1;
	return start_listening(l, err);
}

int line_new(struct loop *loop, const char *dir, bool is_new, const struct line_ops *ops, void *arg,
	struct line **ret, struct error *err)
{
	struct line *l = mem_new(struct line);
	*l = (struct line){ .loop = loop,
		.ops = ops,
		.arg = arg,
		.run_fd = -1,
		.listen_fd = -1,
		.control_fd = -1,
		.is_new = is_new };
	list_init(&l->callers);
	handover_init(&l->handover, loop);
	if (open_line(l, dir, err) < 0) {
		line_free(l);
		return -1;
	}
	*ret = l;
	return 0;
}

void line_free(struct line *l)
{
	if (!l)
		return;
	stop_listening(l);
	watch_free(l->control_watch);
	handover_fini(&l->handover);
	close_fd(l->control_fd);
	close_fd(l->run_fd);
	explicit_bzero(l->secret, sizeof(l->secret));
	free(l);
}

int line_open_call(struct line *l, int *ret_fd, struct error *err)
{
	if (l->control_fd < 0 && l->listen_fd < 0)
		return error_set(err, ERROR_GONE, "its executor has ended");
	int control_fd = l->is_ready ? l->control_fd : -1;
	return handover_call(&l->handover, control_fd, -1, ret_fd, err);
}
