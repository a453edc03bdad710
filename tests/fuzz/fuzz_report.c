/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What comes on a shell's channel, from the shell or from a program that found it, and what comes
 * from its terminal: no report without the nonce, and no byte of output lost or made up by the
 * search for the mark.
 */
#include "base/auto.h"
#include "base/bug.h"
#include "executor/shell.h"

#include <stdint.h>
#include <sys/socket.h>

static const char nonce[] = "abcdefghijklmnopqrstuvwxyz";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void feed_channel(struct shell *s, struct str in)
{
	int fds[2];
	struct shell_report report;
	BUG_IF(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, fds) < 0, "no sockets");
	s->channel_fd = fds[0];
	bool has_nonce = str_find(in, str_from(nonce)) >= 0;
	for (int i = 0; in.len && i < 50; i++) {
		struct str piece = str_first(in, 4000);
		in = str_skip(in, piece.len);
		BUG_IF(send(fds[1], piece.ptr, piece.len, 0) < 0, "a socket that takes nothing");
		BUG_IF(shell_receive(s, &report) == 1 && !has_nonce, "a report without the nonce");
	}
	close(fds[0]);
	close(fds[1]);
}

static void feed_terminal(struct shell *s, struct str in, size_t step)
{
	auto_buf struct buf before = BUF_INIT(SIZE_MAX / 2);
	struct str rest = in, after = STR_NONE;
	bool is_found = false;
	while (rest.len && !is_found) {
		struct str piece = str_first(rest, step);
		rest = str_skip(rest, piece.len);
		is_found = shell_split(s, piece, &before, &after);
	}
	if (!is_found)
		buf_put(&before, buf_str(&s->held));
	BUG_IF(!str_starts(in, buf_str(&before)), "output was changed");
	BUG_IF(!is_found && before.len != in.len, "output was lost");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct shell s = { .channel_fd = -1 };
	if (size < 1)
		return 0;
	memcpy(s.nonce, nonce, sizeof(nonce));
	buf_init(&s.in, SHELL_REPORT_MAX);
	buf_init(&s.held, ID_LEN + 8);
	feed_channel(&s, str_from_len((const char *)data + 1, size - 1));
	feed_terminal(&s, str_from_len((const char *)data + 1, size - 1), 1 + data[0]);
	buf_fini(&s.in);
	buf_fini(&s.held);
	return 0;
}
