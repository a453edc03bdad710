/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/relay.h"

#include "base/auto.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>

void relay_size(uint16_t *ret_rows, uint16_t *ret_columns)
{
	struct winsize size = { 0 };
	ioctl(STDIN_FILENO, TIOCGWINSZ, &size);
	*ret_rows = size.ws_row ? size.ws_row : 24;
	*ret_columns = size.ws_col ? size.ws_col : 80;
}

void relay_resize(struct relay *r)
{
	struct winsize size;
	if (r->tty_fd >= 0 && ioctl(STDIN_FILENO, TIOCGWINSZ, &size) == 0)
		ioctl(r->tty_fd, TIOCSWINSZ, &size);
}

static void add_pump(struct relay *r, int from, int to, bool owns_to)
{
	struct pump *p = &r->pumps[r->n_pumps++];
	p->from = from;
	p->to = to;
	p->owns_to = owns_to;
	p->at = p->len = 0;
}

/* The command gets one end of a pipe, the other is pumped from or to the terminal. */
static int replace_by_pipe(struct relay *r, int fd, struct error *err)
{
	int ends[2];
	if (pipe2(ends, O_CLOEXEC) < 0)
		return error_sys(err, errno, "make a pipe");
	bool is_input = fd == STDIN_FILENO;
	r->given[fd] = ends[is_input ? 0 : 1];
	r->is_pipe[fd] = true;
	if (is_input)
		add_pump(r, fd, ends[1], true);
	else
		add_pump(r, ends[0], fd, false);
	return 0;
}

int relay_init(struct relay *r, enum relay_tty want, struct error *err)
{
	r->tty_fd = -1;
	r->n_pumps = 0;
	r->is_raw = false;
	r->has_tty = want == RELAY_TTY || (isatty(STDIN_FILENO) && isatty(STDOUT_FILENO));
	for (int fd = 0; fd < 3; fd++) {
		r->given[fd] = fd;
		r->is_pipe[fd] = false;
		if (!r->has_tty && isatty(fd) && replace_by_pipe(r, fd, err) < 0)
			return -1;
	}
	return 0;
}

static void make_raw(struct relay *r)
{
	if (tcgetattr(STDIN_FILENO, &r->saved) < 0)
		return;
	struct termios raw = r->saved;
	cfmakeraw(&raw);
	r->is_raw = tcsetattr(STDIN_FILENO, TCSADRAIN, &raw) == 0;
}

void relay_start(struct relay *r, int tty_fd)
{
	for (int fd = 0; fd < 3; fd++)
		if (r->is_pipe[fd])
			r->given[fd] = close_fd(r->given[fd]);
	if (tty_fd < 0)
		return;
	r->tty_fd = tty_fd;
	add_pump(r, STDIN_FILENO, tty_fd, false);
	add_pump(r, tty_fd, STDOUT_FILENO, false);
	make_raw(r);
}

static void end_pump(struct pump *p)
{
	if (p->owns_to)
		close_fd(p->to);
	p->from = p->to = -1;
}

int relay_watch(const struct relay *r, struct pollfd *fds)
{
	for (int i = 0; i < r->n_pumps; i++) {
		const struct pump *p = &r->pumps[i];
		bool is_full = p->len > 0;
		fds[2 * i] = (struct pollfd){ .fd = is_full ? -1 : p->from, .events = POLLIN };
		fds[2 * i + 1] = (struct pollfd){ .fd = is_full ? p->to : -1, .events = POLLOUT };
	}
	return 2 * r->n_pumps;
}

static void fill(struct pump *p)
{
	ssize_t n = read(p->from, p->bytes, sizeof(p->bytes));
	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	if (n <= 0) { /* a terminal whose other side is gone says EIO */
		end_pump(p);
		return;
	}
	p->at = 0;
	p->len = (size_t)n;
}

/*
 * The caller's terminal is gone: so is the one inside, whose session the kernel tells by SIGHUP.
 * Raw mode knows no other end of input.
 */
static void hang_up(struct relay *r)
{
	for (int i = 0; i < r->n_pumps; i++)
		r->pumps[i].from = r->pumps[i].to = -1;
	r->tty_fd = close_fd(r->tty_fd);
}

static void empty(struct pump *p)
{
	ssize_t n = write(p->to, p->bytes + p->at, p->len);
	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	if (n < 0) {
		end_pump(p);
		return;
	}
	p->at += (size_t)n;
	p->len -= (size_t)n;
}

void relay_move(struct relay *r, const struct pollfd *fds, int n)
{
	for (int i = 0; 2 * i + 1 < n; i++) {
		if (fds[2 * i].revents)
			fill(&r->pumps[i]);
		else if (fds[2 * i + 1].revents)
			empty(&r->pumps[i]);
	}
	if (r->is_raw && r->pumps[0].from < 0)
		hang_up(r);
}

void relay_drain(struct relay *r)
{
	for (int i = 0; i < r->n_pumps; i++) {
		struct pump *p = &r->pumps[i];
		while (p->from >= 0 && p->from != STDIN_FILENO) {
			if (p->len)
				empty(p);
			else
				fill(p);
		}
	}
}

void relay_fini(struct relay *r)
{
	if (r->is_raw)
		tcsetattr(STDIN_FILENO, TCSADRAIN, &r->saved);
	r->is_raw = false;
}
