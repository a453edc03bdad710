/* SPDX-License-Identifier: Apache-2.0 */
#include "executor/pty.h"

#include "base/auto.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

static void set_modes(int fd, bool is_raw_output)
{
	struct termios t;
	if (tcgetattr(fd, &t) < 0)
		return;
	t.c_iflag |= IUTF8;
	if (is_raw_output)
		t.c_oflag &= ~(tcflag_t)OPOST;
	else
		t.c_oflag |= OPOST;
	tcsetattr(fd, TCSANOW, &t);
}

int pty_open(struct pty *ret, int cols, int rows, bool is_raw_output, struct error *err)
{
	auto_fd int master_fd = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
	if (master_fd < 0)
		return error_sys(err, errno, "open /dev/ptmx");
	int unlocked = 0;
	if (ioctl(master_fd, TIOCSPTLCK, &unlocked) < 0)
		return error_sys(err, errno, "unlock a terminal");
	auto_fd int slave_fd = ioctl(master_fd, TIOCGPTPEER,
		O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
	if (slave_fd < 0)
		return error_sys(err, errno, "open a terminal");
	set_modes(slave_fd, is_raw_output);
	*ret = (struct pty){ take_fd(&master_fd), take_fd(&slave_fd) };
	pty_resize(ret, cols, rows);
	return 0;
}

int pty_open_slave(const struct pty *pty, int *ret_fd, struct error *err)
{
	int fd = ioctl(pty->master_fd, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (fd < 0)
		return error_sys(err, errno, "open a terminal");
	*ret_fd = fd;
	return 0;
}

/*
 * Best effort: an executor that is not root runs everything as itself, and owns the terminal
 * already.
 */
void pty_give(int slave_fd, uid_t uid)
{
	if (uid != geteuid() && fchown(slave_fd, uid, (gid_t)-1) < 0)
		return;
}

void pty_close(struct pty *pty)
{
	pty->master_fd = close_fd(pty->master_fd);
	pty->slave_fd = close_fd(pty->slave_fd);
}

void pty_resize(const struct pty *pty, int cols, int rows)
{
	struct winsize size = { .ws_col = (unsigned short)cols, .ws_row = (unsigned short)rows };
	ioctl(pty->master_fd, TIOCSWINSZ, &size);
}

bool pty_is_newline(const struct pty *pty)
{
	struct termios t;
	return tcgetattr(pty->slave_fd, &t) < 0 || (t.c_oflag & ONLCR);
}

bool pty_has_echo(const struct pty *pty)
{
	struct termios t;
	return tcgetattr(pty->slave_fd, &t) < 0 || (t.c_lflag & ECHO) || !(t.c_lflag & ICANON);
}

void pty_flush_input(const struct pty *pty)
{
	tcflush(pty->slave_fd, TCIFLUSH);
}

size_t pty_until_signal(const struct pty *pty, struct str bytes)
{
	static const int keys[] = { VINTR, VQUIT, VSUSP };
	struct termios t;
	if (tcgetattr(pty->slave_fd, &t) < 0 || !(t.c_lflag & ISIG))
		return bytes.len;
	size_t n = bytes.len;
	for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
		ptrdiff_t at = str_find_char(str_first(bytes, n), (char)t.c_cc[keys[i]]);
		if (at >= 0 && t.c_cc[keys[i]] != _POSIX_VDISABLE)
			n = (size_t)at;
	}
	return n;
}

/* poll(2) makes the kernel hand on what is on its way through the terminal; FIONREAD would not. */
bool pty_has_input(const struct pty *pty)
{
	struct pollfd p = { .fd = pty->slave_fd, .events = POLLIN };
	return poll(&p, 1, 0) > 0 && (p.revents & POLLIN);
}

void pty_set_output(const struct pty *pty, bool is_raw_output)
{
	set_modes(pty->slave_fd, is_raw_output);
}
