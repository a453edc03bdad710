/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/terminal.h"

#include <errno.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

static struct termios before;
static int raw_fd = -1;

int terminal_make_raw(int fd, struct error *err)
{
	if (tcgetattr(fd, &before) < 0)
		return error_set(err, ERROR_INVALID, "standard input is no terminal");
	struct termios raw = before;
	cfmakeraw(&raw);
	if (tcsetattr(fd, TCSADRAIN, &raw) < 0)
		return error_sys(err, errno, "terminal");
	raw_fd = fd;
	return 0;
}

void terminal_restore(void)
{
	if (raw_fd >= 0)
		tcsetattr(raw_fd, TCSADRAIN, &before);
	raw_fd = -1;
}

void terminal_size(int64_t *ret_cols, int64_t *ret_rows)
{
	*ret_cols = 80;
	*ret_rows = 24;
	for (int fd = 0; fd <= 2; fd++) {
		struct winsize size;
		if (ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 1 && size.ws_row > 1) {
			*ret_cols = size.ws_col;
			*ret_rows = size.ws_row;
			return;
		}
	}
}
