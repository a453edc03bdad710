/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. bash runs with -i and without line editing. Its descriptor 0 is a socket,
 * the channel; 1 and 2 are the terminal, which is also its controlling terminal. An interactive
 * bash reads commands from descriptor 0, whatever that is, and so it is told what to run on the
 * channel, a line at a time, and never by typing: no limit of the terminal's on the length of a
 * line, no echo, nothing that a program which reads its input could eat. Two lines are sent for
 * each command:
 *
 *	{ __cay_in 0; }; builtin eval $'COMMAND' </dev/tty; { __cay_out NONCE; }
 *	{ __cay_report NONCE $?; }
 *
 * eval gives the command the terminal as input; meanwhile bash keeps the channel on a descriptor
 * above 9 that is closed on exec, so no program inherits it. COMMAND is quoted to a single line of
 * ASCII without controls, so that the outer parser never asks for more: unclosed quotes,
 * here-documents and all other errors of syntax are eval's and end it.
 *
 * The report, with the nonce, is the completion. Usually it is sent at the end of the first line.
 * The second line is run when the shell has finished the first, however that ended: bash itself
 * goes on to it after an interrupt, an unbound variable, an error of syntax; it reports if the
 * first did not. The nonce is new for each command. The channel keeps the bounds of packets, and
 * both the end of the first line and the whole of the second are in its last one, which bash has
 * read before it begins: a program that finds the channel, or prints what looks like a prompt,
 * finds no nonce, and takes nothing away.
 *
 * The prompt. PS1, PS0 and PROMPT_COMMAND are the user's while a command runs, and put aside
 * otherwise: __cay_in puts them back (where there is no more than PS1 to put back, and $? is 0, an
 * assignment in its place), __cay_out takes the prompts away right after the command, before bash
 * would print them. PROMPT_COMMAND runs once per command, by bash, between the two lines, as its
 * authors expect, and jobs are announced there: if there may be either, it is the second line that
 * reports. When PROMPT_COMMAND sets PS1, or when the command was interrupted, the prompt is
 * printed, and the report says what it was, so that it can be cut from the output.
 *
 * The mark is a string with the nonce, that the executor writes to the terminal after the report:
 * what came before it is the command's output, or an older job's. executor/session.c says when it
 * is needed.
 *
 * Known: `set -e` ends the shell with the first command that fails, as in any interactive shell. An
 * ERR trap runs once more for eval; a DEBUG trap once more too. `exec 0<file` lasts to the end of
 * the run.
 */
#include "executor/shell.h"

#include "base/auto.h"
#include "base/bug.h"
#include "base/file.h"
#include "base/num.h"

#include <fcntl.h>
#include <linux/sockios.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

enum { MARK_MAX = ID_LEN + 8, REPORT_FIELDS = 8, READ_STEP = 16 * 1024, PACKET = 1024 };

/*
 * What runs in the shell. It costs every command its time, so the usual case takes few steps: no
 * PROMPT_COMMAND, no jobs, nothing read-only. All of it must survive `set -u`, functions named like
 * builtins, and variables of its own that are gone; `builtin` is the one name it relies on.
 */
static const char script[] =
	/* __cay_in STATUS [READ-ONLY]: gives the prompts, and $?, back to the user. */
	"__cay_in() {\n"
	"  __cay_s=\n"
	"  if [[ ! ${2-} ]]; then PS1=${__cay_ps1-}; fi\n"
	"  if [[ ${__cay_ps0-} ]]; then PS0=$__cay_ps0; fi\n"
	"  if [[ ${__cay_pc-} ]]; then\n"
	"    if ((${#__cay_pc[@]} == 1)); then PROMPT_COMMAND=${__cay_pc[0]}; else PROMPT_COMMAND=(\"${__cay_pc[@]}\"); fi\n"
	"    __cay_pc=()\n"
	"  fi\n"
	"  builtin return $1\n"
	"}\n"

	/*
	 * __cay_out NONCE [READ-ONLY]: the command has come to its end. First what is usual, in few
	 * steps.
	 */
	"__cay_out() {\n"
	"  __cay_s=$? __cay_f=$-\n"
	"  if [[ $__cay_s${2-}${PS0-}${PROMPT_COMMAND-}${!-}${__cay_j-} == 0 && $__cay_f != *[vx]* ]]; then\n"
	"    __cay_ps0= __cay_ps1=${PS1-} PS1= __cay_said=$1\n"
	"    builtin printf '%s\\0' \"$1\" 0 '' \"$__cay_f\" u \"$PWD\" '' \"${PATH-}\" >&0\n"
	"    builtin eval :\n"
	"    builtin return 0\n"
	"  fi\n"
	"  if [[ $- == *[vx]* ]]; then builtin set +vx; fi\n"
	"  if [[ ! ${2-} ]]; then __cay_ps1=${PS1-} PS1=; fi\n"
	"  __cay_ps0=${PS0-}\n"
	"  if [[ ${PS0-} ]]; then PS0=; fi\n"
	/*
	 * Puts the parser back to the beginning of a line: a backslash or an error may have left it
	 * within one.
	 */
	"  builtin eval :\n"
	/*
	 * Jobs are announced, and PROMPT_COMMAND is run, before the next line: that is part of the
	 * output. One that was stopped (which is a status of 128 and more) has no $!.
	 */
	"  if ((__cay_s >= 128)); then __cay_j=1; fi\n"
	"  if [[ ! ${PROMPT_COMMAND-} && ! ${!-} && ! ${__cay_j-} ]]; then __cay_say \"$1\" '' \"${2-}\"; fi\n"
	"}\n"

	/*
	 * __cay_report NONCE STATUS: the second line; all that is left to do if the command was cut
	 * short.
	 *
	 * A bash that could not fork comes here after some seconds, and after the next simple
	 * command waits for the end of the last process that it did make, though that be a job in
	 * the background. It stops waiting when that is stopped, which hurts nobody for so short a
	 * time.
	 */
	"__cay_report() {\n"
	"  if [[ $2 == @(126|254) && ! ${__cay_s-} && ${!-} ]]; then\n"
	"    { builtin kill -STOP %% $!; builtin kill -CONT %% $!; } 2>/dev/null\n"
	"  fi\n"
	"  builtin local s=$2 p= a=\n"
	"  if [[ ${__cay_said-} == \"$1\" ]]; then builtin return 0; fi\n"
	"  if [[ ! ${__cay_s-} ]]; then __cay_s=$s __cay_f=$-; fi\n"
	"  if [[ ${__cay_j-} ]] && ! builtin compgen -j >/dev/null 2>&1; then __cay_j=; fi\n"
	"  if [[ ${PS1-} ]]; then\n"
	"    p=${PS1@P} a=${PS1@a} __cay_ps1=$PS1\n"
	"    if [[ $a != *r* ]]; then PS1=; fi\n"
	"  fi\n"
	"  if [[ ${PROMPT_COMMAND-} && ${PROMPT_COMMAND@a} != *r* ]]; then\n"
	"    __cay_pc=(\"${PROMPT_COMMAND[@]}\")\n"
	"    PROMPT_COMMAND=()\n"
	"    builtin unset PROMPT_COMMAND\n"
	"  fi\n"
	"  __cay_say \"$1\" \"${p:0:2000}\" \"$a\"\n"
	"}\n"

	/* __cay_say NONCE PROMPT ATTRIBUTES: the report itself. */
	"__cay_say() {\n"
	"  __cay_said=$1\n"
	"  builtin printf '%s\\0' \"$1\" \"$__cay_s\" \"${!-}\" \"$__cay_f\" \"$3\" \"$PWD\" \"$2\" "
	"\"${PATH-}\" >&0\n"
	"}\n"
	"__cay_pc=() __cay_s=0\n";

/* What start files may have done to history is undone, however they ended. */
static const char rc[] = "builtin eval '[[ -r /etc/bash.bashrc ]] && . /etc/bash.bashrc; "
			 "[[ -r ~/.bashrc ]] && . ~/.bashrc' </dev/tty\n";
static const char no_history[] = "builtin set +o history +H; builtin history -c\n";

static int connect_channel(struct shell *s, int *ret_peer_fd, struct error *err)
{
	int fds[2];
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) < 0)
		return error_sys(err, errno, "make a channel to the shell");
	s->channel_fd = fds[0];
	*ret_peer_fd = fds[1];
	return fd_set_nonblock(s->channel_fd, err);
}

static int start(struct shell *s, const struct shell_plan *plan, struct error *err)
{
	static const char *const argv[] = { "bash", "--noediting", "--norc", "-i", NULL };
	auto_fd int peer_fd = -1;
	auto_fd int slave_fd = -1;
	if (pty_open(&s->pty, plan->cols, plan->rows, true, err) < 0 ||
		pty_open_slave(&s->pty, &slave_fd, err) < 0 ||
		connect_channel(s, &peer_fd, err) < 0)
		return -1;
	if (plan->user)
		pty_give(slave_fd, plan->user->uid);
	struct spawn_plan spawn_plan = {
		.argv = argv,
		.envp = plan->envp,
		.path = plan->path,
		.cwd = plan->cwd,
		.stdio_fds = { peer_fd, slave_fd, slave_fd },
		.is_tty = true,
		.user = plan->user,
		.confine = plan->confine,
	};
	return spawn(&spawn_plan, &s->child, err);
}

/*
 * Keeps traces and DEBUG traps of our own lines from being seen. It is a fifth of the cost of a
 * command, so it is only there when it may be of use: tracing is on, or the command mentions what
 * would begin it. A trap in a file that the command reads escapes that, and what it prints is seen
 * more often.
 */
static const char *silencer(const struct shell *s)
{
	return s->has_xtrace || s->has_debug || s->sets_options ? " >/dev/null 2>&1" : "";
}

/*
 * The end of the first line and the second line. Blanks go before it until all of it is in one
 * packet; bash reads packet by packet.
 */
static void put_end(struct shell *s, const char *first_line_end)
{
	char text[PACKET / 2];
	const char *silent = silencer(s);
	id_make(s->nonce);
	s->mark_sent = 0;
	buf_reset(&s->held);
	int n = snprintf(text, sizeof(text),
		"%s; { __cay_out %s%s; }%s\n{ __cay_report %s $?; }%s\n", first_line_end, s->nonce,
		s->is_read_only ? " r" : "", silent, s->nonce, silent);
	size_t used = s->out.len % PACKET;
	if (used + (size_t)n > PACKET)
		for (; used < PACKET; used++)
			buf_putc(&s->out, ' ');
	buf_puts(&s->out, text);
}

int shell_start(const struct shell_plan *plan, struct shell **ret, struct error *err)
{
	struct shell *s = mem_new(struct shell);
	s->child.pidfd = s->channel_fd = s->pty.master_fd = s->pty.slave_fd = -1;
	buf_init(&s->out, SHELL_QUEUE_MAX);
	buf_init(&s->in, SHELL_REPORT_MAX);
	buf_init(&s->held, MARK_MAX);
	if (start(s, plan, err) < 0) {
		shell_free(s);
		return error_wrap(err, "start a shell");
	}
	buf_puts(&s->out, script);
	if (plan->has_rc)
		buf_puts(&s->out, rc);
	buf_puts(&s->out, no_history);
	put_end(s, "builtin :");
	shell_flush(s);
	*ret = s;
	return 0;
}

void shell_free(struct shell *s)
{
	if (!s)
		return;
	if (s->child.pidfd >= 0) {
		int foreground = 0;
		if (ioctl(s->pty.master_fd, TIOCGPGRP, &foreground) == 0 && foreground > 0)
			kill(-foreground, SIGKILL);
		child_signal(&s->child, SIGKILL, false, NULL);
		child_wait(&s->child);
	}
	pty_close(&s->pty);
	close_fd(s->channel_fd);
	buf_fini(&s->out);
	buf_fini(&s->in);
	buf_fini(&s->held);
	free(s);
}

/* $'…': everything that could mean something to a parser, or is no ASCII, as three octal digits. */
static void put_quoted(struct buf *b, struct str s)
{
	buf_puts(b, "$'");
	while (s.len) {
		size_t plain = 0;
		while (plain < s.len && s.ptr[plain] >= ' ' && s.ptr[plain] < 0x7f &&
			s.ptr[plain] != '\'' && s.ptr[plain] != '\\' && s.ptr[plain] != '!')
			plain++;
		buf_add(b, s.ptr, plain);
		s = str_skip(s, plain);
		if (s.len) {
			unsigned c = (unsigned char)s.ptr[0];
			char octal[4] = { '\\', (char)('0' + (c >> 6)), (char)('0' + (c >> 3 & 7)),
				(char)('0' + (c & 7)) };
			buf_add(b, octal, sizeof(octal));
			s = str_skip(s, 1);
		}
	}
	buf_puts(b, "'");
}

void shell_run(struct shell *s, struct str command, struct str cwd)
{
	struct buf *b = &s->out;
	s->has_debug |= str_find(command, STR("DEBUG")) >= 0;
	s->sets_options = str_find(command, STR("set -")) >= 0;
	if (s->is_usual)
		buf_printf(b, "{ __cay_s= PS1=${__cay_ps1-}; }%s; ", silencer(s));
	else
		buf_printf(b, "{ __cay_in %d%s; }%s; ", s->status, s->is_read_only ? " r" : "",
			silencer(s));
	if (cwd.len) {
		buf_puts(b, "builtin cd -- ");
		put_quoted(b, cwd);
		buf_puts(b, " && ");
	}
	buf_puts(b, "builtin eval ");
	/* Tracing begins within, so that it does not show these lines. */
	if (s->has_xtrace || s->has_verbose)
		buf_printf(b, "$'{ builtin set -%s%s; } 2>/dev/null; '", s->has_xtrace ? "x" : "",
			s->has_verbose ? "v" : "");
	put_quoted(b, command);
	put_end(s, " </dev/tty");
	BUG_IF(b->is_full, "a command outgrew the queue that was made for the largest");
	shell_flush(s);
}

bool shell_flush(struct shell *s)
{
	while (s->out_sent < s->out.len && s->channel_fd >= 0) {
		size_t size = MIN(s->out.len - s->out_sent, (size_t)PACKET);
		ssize_t n = send(s->channel_fd, s->out.ptr + s->out_sent, size,
			MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return true;
		if (n < 0) {
			/* It has ended, or else ends now: half a command must not be waited for. */
			shutdown(s->channel_fd, SHUT_WR);
			break;
		}
		s->out_sent += (size_t)n;
	}
	buf_reset(&s->out);
	s->out_sent = 0;
	return false;
}

bool shell_is_unread(const struct shell *s)
{
	int n_bytes = 0;
	return s->out.len || (ioctl(s->channel_fd, SIOCOUTQ, &n_bytes) == 0 && n_bytes > 0);
}

static bool parse_report(struct shell *s, struct str in, struct shell_report *ret)
{
	struct str field[REPORT_FIELDS];
	for (int i = 0; i < REPORT_FIELDS; i++) {
		ptrdiff_t end = str_find_char(in, '\0');
		if (end < 0)
			return false;
		field[i] = str_first(in, (size_t)end);
		in = str_skip(in, (size_t)end + 1);
	}
	int64_t status = 0, background = -1;
	num_parse_i64(field[1], 0, 255, &status, NULL);
	num_parse_i64(field[2], 1, INT32_MAX, &background, NULL);
	s->status = (int)status;
	s->has_xtrace = str_find_char(field[3], 'x') >= 0;
	s->has_verbose = str_find_char(field[3], 'v') >= 0;
	s->is_usual = str_is(field[4], "u");
	s->is_read_only = str_find_char(field[4], 'r') >= 0;
	*ret = (struct shell_report){
		.status = s->status,
		.background_pid = background,
		.cwd = field[5],
		.prompt = field[6],
		.path = field[7],
	};
	return true;
}

int shell_receive(struct shell *s, struct shell_report *ret)
{
	ssize_t n;
	for (;;) {
		/* What comes without our nonce is noise: of too much of it only the end is kept. */
		if (s->in.len > SHELL_REPORT_MAX - READ_STEP)
			buf_drop_front(&s->in, s->in.len - READ_STEP);
		char *to = buf_room(&s->in, READ_STEP);
		n = recv(s->channel_fd, to, READ_STEP, MSG_DONTWAIT);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		buf_grown(&s->in, (size_t)n);
		ptrdiff_t at = str_find(buf_str(&s->in), str_from(s->nonce));
		if (at >= 0 && parse_report(s, str_skip(buf_str(&s->in), (size_t)at), ret)) {
			s->in.len = 0; /* the views in *ret stay until the next receive */
			return 1;
		}
	}
	return n == 0 || errno != EAGAIN ? -1 : 0;
}

static struct str mark_of(const struct shell *s, char text[MARK_MAX])
{
	int n = snprintf(text, MARK_MAX, "\033_%s\033\\", s->nonce);
	return str_from_len(text, (size_t)n);
}

bool shell_put_mark(struct shell *s)
{
	char text[MARK_MAX];
	struct str mark = mark_of(s, text);
	while (s->mark_sent < mark.len) {
		ssize_t n = write(s->pty.slave_fd, mark.ptr + s->mark_sent,
			mark.len - s->mark_sent);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		s->mark_sent += (size_t)n;
	}
	return true;
}

/* How many bytes at the end of `bytes` the mark may begin with. */
static size_t partial_mark(struct str bytes, struct str mark)
{
	for (size_t n = MIN(bytes.len, mark.len - 1); n; n--)
		if (memcmp(bytes.ptr + bytes.len - n, mark.ptr, n) == 0)
			return n;
	return 0;
}

/* The mark may come in pieces: what was held and the next few bytes are looked at together. */
static bool split_held(struct shell *s, struct str *bytes, struct str mark, struct buf *before)
{
	while (s->held.len && bytes->len) {
		buf_putc(&s->held, bytes->ptr[0]);
		*bytes = str_skip(*bytes, 1);
		if (str_eq(buf_str(&s->held), mark)) {
			buf_reset(&s->held);
			return true;
		}
		if (!str_starts(mark, buf_str(&s->held))) {
			size_t keep = partial_mark(buf_str(&s->held), mark);
			buf_add(before, s->held.ptr, s->held.len - keep);
			buf_drop_front(&s->held, s->held.len - keep);
		}
	}
	return false;
}

bool shell_split(struct shell *s, struct str bytes, struct buf *before, struct str *ret_after)
{
	char text[MARK_MAX];
	struct str mark = mark_of(s, text);
	bool is_found = split_held(s, &bytes, mark, before);
	if (!is_found) {
		ptrdiff_t at = str_find(bytes, mark);
		is_found = at >= 0;
		size_t keep = is_found ? 0 : partial_mark(bytes, mark);
		size_t n = is_found ? (size_t)at : bytes.len - keep;
		buf_add(before, bytes.ptr, n);
		buf_add(&s->held, bytes.ptr + n, keep);
		bytes = is_found ? str_skip(bytes, n + mark.len) : STR_NONE;
	}
	*ret_after = bytes;
	return is_found;
}
