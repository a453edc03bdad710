/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. The interpreter gets its channel as descriptor 0, as a shell does, with one
 * line of program (boot) that reads the rest from there: first guest.py, as a bare packet, then the
 * sources. guest.py moves the channel to a high descriptor that no exec inherits and opens
 * /dev/null in its place.
 *
 * Descriptors 1 and 2 are pipes. What Python itself prints may come over the channel as output of a
 * request; what programs and C code write comes through the pipes, and its place among the packets
 * is found like this: a packet says whether there was anything unread in the pipes when it was
 * sent; if so they are emptied before it is given on. When a pipe is readable, the packets that
 * wait go first.
 *
 * A forked guest is no child of ours. The credentials of its first packet, which the kernel vouches
 * for and translates, say who it is here; a pidfd of that tells of its end, and its parent, which
 * reaps it, of its status. Signals can reach only what is the agent's own, whatever a guest claims.
 *
 * The end: the pidfd becomes readable; what is left of its process group is killed; then everything
 * it had sent is read, at the pace of the owner, its requests fail, and on_exit comes. A guest that
 * closes its channel and lives on cannot be talked to: it is killed.
 */
#include "executor/guest.h"

#include "base/auto.h"
#include "base/bug.h"
#include "executor/guest_internal.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

enum {
	READ_STEP = 64 * 1024,
	PACKETS_PER_TURN = 64,
	PACKETS_LATE_MAX = 1024, /* more than a socket holds */
	CHANNEL_GONE_MS = 500,   /* how long it may live on without one */
	STATUS_WAIT_MS = 500,    /* for the word of a parent on how its child ended */
};

/* ---- memory ---- */

static void close_pipe(struct guest_pipe *pipe)
{
	watch_free(pipe->watch);
	pipe->watch = NULL;
	pipe->fd = close_fd(pipe->fd);
}

static void destroy(struct guest *g)
{
	struct guest *other;
	list_remove(&g->link);
	list_for_each(other, &g->executor->guests, link)
		if (other->parent == g)
			other->parent = NULL;
	loop_undefer(g->executor->loop, g);
	guest_forget_all(g);
	watch_free(g->child_watch);
	timer_free(g->timer);
	guest_channel_close(&g->channel);
	close_pipe(&g->out[0]);
	close_pipe(&g->out[1]);
	close_fd(g->bell_fd);
	if (g->child.pidfd >= 0 && !g->is_forked)
		child_wait(&g->child);
	close_fd(g->child.pidfd);
	buf_fini(&g->last_words);
	free(g);
}

static void hold(struct guest *g)
{
	g->n_holds++;
}

/* True if it is gone or about to be. */
static bool release(struct guest *g)
{
	bool is_freed = g->is_freed;
	if (--g->n_holds == 0 && is_freed)
		destroy(g);
	return is_freed;
}

static void kill_all(struct guest *g)
{
	if (g->child.own_pid && !g->has_exited) {
		child_signal(&g->child, SIGKILL, true, NULL);
		child_signal(&g->child, SIGKILL, false, NULL);
	}
}

void guest_free(struct guest *g)
{
	if (!g || g->is_freed)
		return;
	kill_all(g);
	g->ops = NULL;
	g->is_freed = true;
	hold(g);
	release(g);
}

/* ---- the end ---- */

static void fill_reason(struct guest *g, struct error *err)
{
	char how[64] = "ended";
	if (g->has_status && g->signo)
		snprintf(how, sizeof(how), "was killed by signal %d (%s)", g->signo,
			signal_name(g->signo));
	else if (g->has_status)
		snprintf(how, sizeof(how), "ended with status %d", g->exit_code);
	bool is_unborn = g->is_forked && !g->was_heard;
	if (is_unborn)
		snprintf(how, sizeof(how), "could not be started");
	struct str words = str_trim(
		buf_str(is_unborn && g->parent ? &g->parent->last_words : &g->last_words));
	for (ptrdiff_t at; (at = str_find_char(words, '\n')) >= 0;)
		words = str_skip(words, (size_t)at + 1);
	words = str_first(words, 200);
	if (g->exit_code || g->signo || is_unborn)
		g->limit = limits_hit(&g->executor->limits);
	error_set(err, ERROR_UNAVAILABLE, "%s %s%s%s%s%.*s", g->what, how,
		g->limit ? " at the sandbox's limit: " : "", g->limit ?: "", words.len ? ": " : "",
		STR_ARG(words));
}

const char *guest_limit(const struct guest *g)
{
	return g->limit;
}

static void finish_with(struct guest *g, const struct error *reason)
{
	g->is_finished = true;
	guest_fail_all(g, reason);
	if (g->is_freed)
		return;
	if (g->ops)
		g->ops->on_exit(g->arg, reason);
	else
		guest_free(g);
}

/* Forks that it was asked for and did not make ended as it did. */
static void finish_unborn(struct guest *parent, const struct error *reason)
{
	struct guest *g;
	bool is_found;
	do {
		is_found = false;
		list_for_each(g, &parent->executor->guests, link)
			if (g->parent == parent && !g->child.own_pid && !g->is_finished &&
				!g->is_freed) {
				is_found = true;
				break;
			}
		if (is_found) {
			hold(g);
			finish_with(g, reason);
			release(g);
		}
	} while (is_found);
}

/* The caller holds it. */
static void finish(struct guest *g)
{
	struct error reason;
	if (g->is_finished || g->is_freed)
		return;
	g->is_finished = true;
	fill_reason(g, &reason);
	finish_unborn(g, &reason);
	if (!g->is_freed)
		finish_with(g, &reason);
}

/* ---- what comes ---- */

static void keep_last_words(struct guest *g, struct str bytes)
{
	bytes = str_skip(bytes,
		bytes.len > GUEST_LAST_WORDS_MAX / 2 ? bytes.len - GUEST_LAST_WORDS_MAX / 2 : 0);
	if (g->last_words.len + bytes.len > GUEST_LAST_WORDS_MAX)
		buf_drop_front(&g->last_words, g->last_words.len - GUEST_LAST_WORDS_MAX / 2);
	buf_put(&g->last_words, bytes);
}

/*
 * Reads up to `most` bytes; false when there is nothing more to read now. The caller holds the
 * guest.
 */
static bool read_pipe(struct guest_pipe *pipe, size_t most)
{
	static char bytes[READ_STEP]; /* one thread, not kept */
	struct guest *g = pipe->guest;
	ssize_t n;
	do
		n = read(pipe->fd, bytes, MIN(most, sizeof(bytes)));
	while (n < 0 && errno == EINTR);
	if (n < 0 && errno == EAGAIN)
		return false;
	if (n <= 0) {
		close_pipe(pipe);
		return false;
	}
	struct str got = { bytes, (size_t)n };
	if (pipe->channel == 2)
		keep_last_words(g, got);
	if (g->ops && g->ops->on_output)
		g->ops->on_output(g->arg, pipe->channel, got);
	return true;
}

/* What is in the pipes at this moment, and no more: somebody else may go on writing for ever. */
static void empty_pipes(struct guest *g)
{
	for (int i = 0; i < 2; i++) {
		struct guest_pipe *pipe = &g->out[i];
		int rest = 0;
		if (pipe->fd < 0 || ioctl(pipe->fd, FIONREAD, &rest) < 0)
			continue;
		while (rest > 0 && pipe->fd >= 0 && !g->is_freed) {
			size_t step = (size_t)MIN(rest, READ_STEP);
			if (!read_pipe(pipe, step))
				break;
			rest -= (int)step;
		}
	}
}

/* The kernel says who sent the first packet of a forked guest. */
static void learn_pid(struct guest *g, pid_t sender)
{
	if (sender <= 0 || g->child.own_pid)
		return;
	g->was_heard = true;
	g->child.own_pid = sender;
	g->child.pidfd = (int)syscall(SYS_pidfd_open, sender, 0);
	if (g->child.pidfd < 0) { /* gone already: the end of its channel says so */
		g->child.own_pid = 0;
		return;
	}
	g->child_watch = watch_new(g->executor->loop, g->child.pidfd, LOOP_READ, guest_on_exit, g);
	if (g->early_signo)
		child_signal(&g->child, g->early_signo, false, NULL);
}

static void on_timer(void *arg);

static void start_timer(struct guest *g, int64_t after_ms)
{
	if (!g->timer)
		g->timer = timer_new(g->executor->loop, on_timer, g);
	timer_set(g->timer, after_ms);
}

/* Gives on what has come, `most` packets of it. The caller holds the guest. */
static void take_packets(struct guest *g, int most)
{
	struct guest_packet p;
	if (g->channel.fd < 0)
		return;
	for (int i = 0; i < most && !g->is_freed && !g->channel.is_paused; i++) {
		int r = guest_channel_receive(&g->channel, &p);
		if (r == 0)
			return;
		if (r < 0) {
			guest_channel_close(&g->channel);
			g->has_exited |= g->child.own_pid == 0; /* it was not heard of */
			start_timer(g, CHANNEL_GONE_MS);
			return;
		}
		if (g->is_forked)
			learn_pid(g, p.sender);
		if ((p.flags & (GUEST_BEHIND | GUEST_FINAL)) && g->ops && g->ops->on_output)
			empty_pipes(g);
		if (!g->is_freed)
			guest_dispatch(g, &p);
	}
}

/* The caller holds it. */
static void finish_if_done(struct guest *g)
{
	bool waits = g->is_forked && g->parent && !g->has_status;
	if (!g->has_exited || g->is_freed || (waits && g->timer))
		return;
	take_packets(g, PACKETS_LATE_MAX);
	if (!g->is_freed && !g->channel.is_paused)
		empty_pipes(g);
	if (!g->channel.is_paused)
		finish(g);
}

void guest_on_channel(void *arg, int events)
{
	struct guest *g = arg;
	hold(g);
	if (events & LOOP_WRITE)
		guest_channel_flush(&g->channel);
	if (events & LOOP_READ)
		take_packets(g, PACKETS_PER_TURN);
	finish_if_done(g);
	release(g);
}

void guest_on_pipe(void *arg, int events)
{
	struct guest_pipe *pipe = arg;
	struct guest *g = pipe->guest;
	hold(g);
	if (!g->channel.is_paused)
		take_packets(g, PACKETS_PER_TURN);
	if (!g->is_freed && pipe->fd >= 0 && !g->channel.is_paused)
		read_pipe(pipe, READ_STEP);
	release(g);
}

static void on_timer(void *arg)
{
	struct guest *g = arg;
	timer_free(g->timer);
	g->timer = NULL;
	hold(g);
	kill_all(g); /* its channel is closed, and it did not end */
	finish_if_done(g);
	release(g);
}

/*
 * What it has left in its process group ends with it: a fork bomb would go on otherwise, with
 * nobody to stop it. Its parent may have reaped it; should the number be another group's by now,
 * that is the agent's too.
 */
static void end_group(const struct guest *g)
{
	if (g->child.own_pid)
		child_signal(&g->child, SIGKILL, true, NULL);
}

void guest_on_exit(void *arg, int events)
{
	struct guest *g = arg;
	int code, status;
	if (events)
		end_group(g);
	if (!g->is_forked && !g->has_status) {
		if (!child_reap(&g->child, &code, &status))
			return;
		g->has_status = true;
		g->exit_code = code == CLD_EXITED ? status : -1;
		g->signo = code == CLD_EXITED ? 0 : status;
	}
	if (events) { /* it was the pidfd, not only the word of its parent */
		g->has_exited = true;
		watch_free(g->child_watch);
		g->child_watch = NULL;
	}
	hold(g);
	if (g->has_exited && g->is_forked && g->parent && !g->has_status) {
		guest_channel_send_reap(&g->parent->channel);
		start_timer(g, STATUS_WAIT_MS);
	} else if (g->has_exited && g->timer) {
		timer_free(g->timer);
		g->timer = NULL;
	}
	finish_if_done(g);
	release(g);
}

/* ---- the end that is asked for ---- */

void guest_close(struct guest *g)
{
	if (!g || g->is_freed)
		return;
	g->ops = NULL;
	guest_forget_all(g);
	if (g->is_finished || g->channel.fd < 0) {
		guest_free(g);
		return;
	}
	guest_pause(g, false);
	shutdown(g->channel.fd, SHUT_WR);
	if (g->timer)
		timer_free(take_ptr(g->timer));
	start_timer(g, GUEST_CLOSE_MS);
}

void guests_free_all(struct executor *e)
{
	struct guest *g;
	while ((g = list_first(&e->guests, struct guest, link)))
		guest_free(g);
}

/* ---- what is asked of it beside requests ---- */

void guest_ring(struct guest *g, uint32_t number)
{
	ssize_t n = g->bell_fd < 0 ? 0 : write(g->bell_fd, &number, sizeof(number));
	(void)n; /* one that hears nothing has rings enough to hear */
}

static void go_on(void *arg)
{
	struct guest *g = arg;
	hold(g);
	finish_if_done(g);
	release(g);
}

void guest_pause(struct guest *g, bool is_paused)
{
	if (g->channel.is_paused == is_paused)
		return;
	guest_channel_pause(&g->channel, is_paused);
	for (int i = 0; i < 2; i++)
		if (g->out[i].watch)
			watch_set(g->out[i].watch, is_paused ? 0 : LOOP_READ);
	if (!is_paused && g->has_exited)
		loop_defer(g->executor->loop, go_on, g);
}

int guest_signal(struct guest *g, int signo, bool is_group, struct error *err)
{
	if (g->has_exited)
		return 0;
	if (g->child.own_pid == 0) {
		g->early_signo = signo;
		return 0;
	}
	return child_signal(&g->child, signo, is_group, err);
}

int64_t guest_pid(const struct guest *g)
{
	return g->child.pid;
}
