/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. The child writes frames into a pipe; the executor forwards data and events
 * to the call's channel and stops reading while that is full, so a slow caller slows the child down
 * and nothing piles up. A result or an error ends the call at once; the child's exit is waited for
 * afterwards, on its pidfd, with no call attached. The call of a child that ends without either
 * waits for that, too: how it ended is the error.
 *
 * The agent can stop our children as it can its own. While any are at work for longer than a
 * moment, a timer looks whether one was, and has it go on.
 *
 * An error comes as the fixed struct; its text is terminated and its code checked here, as the
 * child may have been turned by what it read.
 */
#include "executor/worker.h"

#include "base/auto.h"
#include "base/bug.h"
#include "base/file.h"
#include "executor/executor.h"
#include "executor/fork.h"
#include "executor/orphans.h"
#include "executor/spawn.h"
#include "executor/worker_lock.h"

#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

enum {
	PIPE_SIZE = 1024 * 1024,
	READ_STEP = 256 * 1024,
	READS_PER_TURN = 4,
	CPU_SECONDS_MAX = 600,
	LOOK_AFTER_MS = 100
};

struct worker {
	struct workers *all;
	struct list link;  /* workers::running or workers::waiting */
	struct call *call; /* NULL: its call has ended */
	worker_fn *fn;
	void *arg;                       /* in the call's arena; of no use once started */
	void (*then)(struct call *call); /* NULL: the result ends it */
	int pidfd, in_fd, out_fd;
	struct watch *pid_watch, *in_watch, *out_watch;
	struct timer *grace;
	struct buf in;  /* waiting for the child */
	struct buf out; /* from the child, not whole frames yet */
	bool is_started, in_fed, has_eof, is_paused;
};

static void look_after(void *arg)
{
	struct workers *all = arg;
	struct worker *w;
	int look_ms = LOOK_AFTER_MS;
	list_for_each(w, &all->running, link) {
		int ms = fork_continue(w->pidfd, LOOK_AFTER_MS);
		look_ms = MIN(look_ms, ms);
	}
	if (all->n_running)
		timer_set(all->look, look_ms);
}

void workers_init(struct workers *w, struct loop *loop, const struct path_root *root,
	const struct confine *confine)
{
	*w = (struct workers){ .loop = loop, .root = root, .confine = confine };
	w->look = timer_new(loop, look_after, w);
	list_init(&w->running);
	list_init(&w->waiting);
}

/* ---- the child ---- */

int worker_send(struct worker_io *io, enum frame_kind kind, struct str payload)
{
	auto_buf struct buf head = BUF_INIT(FRAME_HEAD);
	frame_put_head(&head, kind, 0, payload.len);
	if (payload.len > FRAME_PAYLOAD_MAX || file_write_all(io->out_fd, buf_str(&head), NULL) < 0)
		return -1;
	return file_write_all(io->out_fd, payload, NULL);
}

/* The lowest of the descriptors that is at least `from`; UINT_MAX if there is none. */
static unsigned lowest(const int *fds, int n, unsigned from)
{
	unsigned best = UINT_MAX;
	for (int i = 0; i < n; i++)
		if (fds[i] >= 0 && (unsigned)fds[i] >= from && (unsigned)fds[i] < best)
			best = (unsigned)fds[i];
	return best;
}

static void close_others(const int *keep, int n)
{
	unsigned from = 3, next;
	for (; (next = lowest(keep, n, from)) != UINT_MAX; from = next + 1)
		if (next > from)
			close_range(from, next - 1, 0);
	close_range(from, UINT_MAX, 0);
}

int worker_enter(const struct confine *confine, const char *name, const int *keep, int n,
	int cpu_seconds, struct error *err)
{
	for (int i = 0; confine && i < confine->n_tasks; i++)
		if (write(confine->tasks_fds[i], "0", 1) != 1)
			return error_sys(err, errno, "enter the cgroup");
	signal(SIGPIPE,
		SIG_DFL); /* handlers are gone since fork_child, what was ignored still is */
	sigset_t none;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	prctl(PR_SET_NAME, name);
	close_others(keep, n);
	return worker_lock(cpu_seconds, err);
}

static int child_prepare(const struct workers *all, const struct worker_io *io, struct error *err)
{
	int keep[] = { io->in_fd, io->out_fd, io->root->fd, io->stream_fd };
	return worker_enter(all->confine, "cay-worker", keep, ARRAY_LEN(keep), CPU_SECONDS_MAX,
		err);
}

_Noreturn static void child_main(struct worker *w, struct worker_io *io)
{
	struct error err = { 0 };
	auto_buf struct buf result = BUF_INIT(FRAME_PAYLOAD_MAX);
	int r = child_prepare(w->all, io, &err);
	if (r == 0)
		r = w->fn(w->arg, io, &result, &err);
	if (r == 0 && result.is_full)
		r = error_set(&err, ERROR_TOO_LARGE, "the result is over %d bytes",
			FRAME_PAYLOAD_MAX);
	struct str bytes = { (const char *)&err, sizeof(err) };
	r = worker_send(io, r < 0 ? FRAME_ERROR : FRAME_RESULT, r < 0 ? bytes : buf_str(&result));
	_exit(r < 0);
}

/* ---- the executor ---- */

static void start_waiting(struct workers *all);

static void close_pipes(struct worker *w)
{
	watch_free(w->in_watch);
	watch_free(w->out_watch);
	w->in_watch = w->out_watch = NULL;
	w->in_fd = close_fd(w->in_fd);
	w->out_fd = close_fd(w->out_fd);
	buf_fini(&w->in);
	buf_fini(&w->out);
}

static void destroy(struct worker *w)
{
	close_pipes(w);
	watch_free(w->pid_watch);
	timer_free(w->grace);
	close_fd(w->pidfd);
	list_remove(&w->link);
	free(w);
}

/* The call and the worker part. */
static struct call *part(struct worker *w)
{
	struct call *call = take_ptr(w->call);
	if (call && call->state == w)
		call->state = NULL;
	close_pipes(w);
	if (w->is_paused && call)
		channel_pause(call->channel, false);
	w->is_paused = false;
	return call;
}

static void tell_death(struct worker *w, const siginfo_t *info)
{
	const char *name = w->call->verb->action->name;
	bool is_killed = info->si_code != CLD_EXITED && info->si_status == SIGKILL;
	const char *limit = is_killed ? limits_hit(&w->call->executor->limits) : NULL;
	struct error err;
	if (limit && strcmp(limit, "memory") == 0)
		error_set(&err, ERROR_LIMIT, "%s ran into the sandbox's limit: %s", name, limit);
	else if (is_killed)
		error_set(&err, ERROR_UNAVAILABLE,
			"the worker of %s was killed, or took over %d s of a processor", name,
			CPU_SECONDS_MAX);
	else
		error_set(&err, ERROR_INTERNAL, "the worker of %s ended without a result (%s %d)",
			name, info->si_code == CLD_EXITED ? "status" : "signal", info->si_status);
	call_fail(part(w), &err);
}

static void on_exit_seen(void *arg, int events)
{
	struct worker *w = arg;
	struct workers *all = w->all;
	siginfo_t info = { 0 };
	if (waitid(P_PIDFD, (id_t)w->pidfd, &info, WEXITED | WNOHANG) < 0 || info.si_pid == 0)
		return;
	if (w->call)
		tell_death(w, &info);
	orphans_disown(info.si_pid);
	all->n_running--;
	destroy(w);
	start_waiting(all);
}

static void await_exit(struct worker *w)
{
	if (!w->pid_watch)
		w->pid_watch = watch_new(w->all->loop, w->pidfd, LOOP_READ, on_exit_seen, w);
}

/* They part, and the child is waited for. */
static struct call *detach(struct worker *w)
{
	struct call *call = part(w);
	await_exit(w);
	return call;
}

static void kill_child(void *arg)
{
	struct worker *w = arg;
	syscall(SYS_pidfd_send_signal, w->pidfd, SIGKILL, NULL, 0);
}

void worker_free(struct worker *w)
{
	if (!w || (w->is_started && !w->call))
		return; /* it has parted from its call, and is waited for */
	if (!w->is_started) {
		w->all->n_waiting--;
		destroy(w);
		return;
	}
	bool was_fed = w->in_fed && !w->has_eof;
	detach(w);
	if (!was_fed) {
		kill_child(w);
		return;
	}
	w->grace = timer_new(w->all->loop, kill_child, w);
	timer_set(w->grace, WORKER_GRACE_MS);
}

static void fail(struct worker *w, const struct error *err)
{
	call_fail(detach(w), err);
}

static void finish(struct worker *w, const struct frame *f)
{
	auto_buf struct buf payload = BUF_INIT(FRAME_PAYLOAD_MAX);
	buf_put(&payload, f->payload);
	if (f->kind == FRAME_RESULT) {
		struct call *call = detach(w);
		if (w->then)
			w->then(call);
		else
			call_finish(call, buf_str(&payload));
		return;
	}
	struct error err;
	if (payload.len != sizeof(err)) {
		error_set(&err, ERROR_INTERNAL, "a worker sent an error that is none");
	} else {
		memcpy(&err, payload.ptr, sizeof(err));
		err.text[sizeof(err.text) - 1] = '\0';
		if ((unsigned)err.code >= ERROR_MAX || err.code == ERROR_OK)
			err.code = ERROR_INTERNAL;
	}
	fail(w, &err);
}

/*
 * Handles whole frames while the caller takes them. False once the worker has parted from its call.
 */
static bool forward(struct worker *w)
{
	struct str rest = buf_str(&w->out);
	struct frame f;
	struct error err;
	ssize_t n = 0;
	while (!channel_is_full(w->call->channel) && (n = frame_parse(rest, &f, &err)) > 0) {
		rest = str_skip(rest, (size_t)n);
		if (f.kind == FRAME_DATA) {
			call_send(w->call, 0, f.payload);
		} else if (f.kind == FRAME_EVENT) {
			call_event(w->call, f.payload);
		} else {
			finish(w, &f);
			return false;
		}
	}
	if (n < 0) {
		fail(w, &err);
		return false;
	}
	buf_drop_front(&w->out, w->out.len - rest.len);
	return true;
}

static void on_output(void *arg, int events)
{
	struct worker *w = arg;
	for (int i = 0; i < READS_PER_TURN && !channel_is_full(w->call->channel); i++) {
		char *to = buf_room(&w->out, READ_STEP);
		ssize_t n = to ? read(w->out_fd, to, READ_STEP) : -1;
		if (n < 0 && to && (errno == EAGAIN || errno == EINTR))
			break;
		if (n <= 0) {
			watch_free(take_ptr(w->out_watch));
			kill_child(w); /* if it has closed its pipe, and goes on */
			await_exit(w);
			return;
		}
		buf_grown(&w->out, (size_t)n);
		if (!forward(w))
			return;
	}
	watch_set(w->out_watch, channel_is_full(w->call->channel) ? 0 : LOOP_READ);
}

void worker_drain(struct worker *w)
{
	if (w && w->is_started && w->out_watch && forward(w))
		watch_set(w->out_watch, channel_is_full(w->call->channel) ? 0 : LOOP_READ);
}

static void pause_call(struct worker *w, bool is_paused)
{
	if (w->is_paused == is_paused)
		return;
	w->is_paused = is_paused;
	channel_pause(w->call->channel, is_paused);
}

/* Writes what the pipe takes. What a child that reads no more leaves behind is dropped. */
static void feed(struct worker *w)
{
	size_t sent = 0;
	while (sent < w->in.len) {
		ssize_t n = write(w->in_fd, w->in.ptr + sent, w->in.len - sent);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			break;
		sent = n < 0 ? w->in.len : sent + (size_t)n;
	}
	buf_drop_front(&w->in, sent);
	if (w->in.len == 0)
		buf_reset(&w->in);
	if (w->in.len == 0 && w->has_eof) {
		watch_free(w->in_watch);
		w->in_watch = NULL;
		w->in_fd = close_fd(w->in_fd);
	} else {
		watch_set(w->in_watch, w->in.len ? LOOP_WRITE : 0);
	}
	pause_call(w, w->in.len >= WORKER_INPUT_HIGH);
}

static void on_input(void *arg, int events)
{
	feed(arg);
}

void worker_input(struct worker *w, struct str bytes)
{
	if (!w || w->has_eof)
		return;
	w->in_fed = true;
	buf_put(&w->in, bytes);
	if (w->is_started)
		feed(w);
	else
		pause_call(w, w->in.len >= WORKER_INPUT_HIGH);
}

void worker_input_eof(struct worker *w)
{
	if (!w || w->has_eof)
		return;
	w->has_eof = true;
	if (w->is_started)
		feed(w);
}

void worker_on_drain(struct call *call)
{
	worker_drain(call->state);
}

void worker_on_drop(struct call *call)
{
	struct worker *w = take_ptr(call->state);
	worker_free(w);
}

static int make_pipe(int *ret_read, int *ret_write, struct error *err)
{
	int fds[2];
	if (pipe2(fds, O_CLOEXEC) < 0)
		return error_sys(err, errno, "make a pipe");
	fcntl(fds[1], F_SETPIPE_SZ, PIPE_SIZE); /* faster, where the user's pipes may be so large */
	*ret_read = fds[0];
	*ret_write = fds[1];
	return 0;
}

int worker_fork(const struct confine *confine, int *ret_pidfd)
{
	return fork_child(confine ? confine->cgroup_fd : -1, ret_pidfd, NULL);
}

static int start(struct worker *w, struct error *err)
{
	auto_fd int child_in = -1, child_out = -1;
	if (make_pipe(&child_in, &w->in_fd, err) < 0 || make_pipe(&w->out_fd, &child_out, err) < 0)
		return -1;
	int pid = worker_fork(w->all->confine, &w->pidfd);
	if (pid < 0)
		return error_sys(err, errno, "fork a worker");
	if (pid == 0) {
		struct worker_io io = { w->all->root, child_in, child_out, w->call->stream_fd };
		child_main(w, &io);
	}
	if (fd_set_nonblock(w->in_fd, err) < 0 || fd_set_nonblock(w->out_fd, err) < 0)
		BUG("a pipe that cannot be non-blocking");
	w->call->stream_fd = close_fd(w->call->stream_fd);
	w->is_started = true;
	w->in_watch = watch_new(w->all->loop, w->in_fd, 0, on_input, w);
	w->out_watch = watch_new(w->all->loop, w->out_fd, LOOP_READ, on_output, w);
	list_append(&w->all->running, &w->link);
	if (w->all->n_running++ == 0)
		timer_set(w->all->look, LOOK_AFTER_MS);
	feed(w);
	return 0;
}

static void start_waiting(struct workers *all)
{
	while (all->n_running < WORKERS_MAX && all->n_waiting) {
		struct worker *w = list_get_first(&all->waiting, struct worker, link);
		struct error err;
		list_remove(&w->link);
		all->n_waiting--;
		if (start(w, &err) == 0)
			continue;
		struct call *call = w->call;
		call->state = NULL;
		destroy(w);
		call_fail(call, &err);
	}
}

struct worker *worker_new(struct workers *all, struct call *call, worker_fn *fn, void *arg,
	struct error *err)
{
	if (all->n_waiting == WORKERS_WAITING_MAX) {
		error_set(err, ERROR_LIMIT, "%d file actions are waiting already",
			WORKERS_WAITING_MAX);
		return NULL;
	}
	struct worker *w = mem_new(struct worker);
	*w = (struct worker){ .all = all,
		.call = call,
		.fn = fn,
		.arg = arg,
		.pidfd = -1,
		.in_fd = -1,
		.out_fd = -1 };
	list_init(&w->link);
	buf_init(&w->in, FRAME_PAYLOAD_MAX + WORKER_INPUT_HIGH);
	buf_init(&w->out, FRAME_HEAD + FRAME_PAYLOAD_MAX + READ_STEP);
	if (all->n_running >= WORKERS_MAX) {
		list_append(&all->waiting, &w->link);
		all->n_waiting++;
	} else if (start(w, err) < 0) {
		destroy(w);
		return NULL;
	}
	return w;
}

struct worker *worker_new_writer(struct workers *all, struct call *call, worker_fn *fn, void *arg,
	int fd, void (*then)(struct call *call), struct error *err)
{
	call->stream_fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	if (call->stream_fd < 0) {
		error_sys(err, errno, "%s", call->verb->action->name);
		return NULL;
	}
	struct worker *w = worker_new(all, call, fn, arg, err);
	if (w)
		w->then = then;
	return w;
}

/* Children whose calls are gone may still be ending: they are killed and waited for here. */
void workers_fini(struct workers *all)
{
	struct worker *w;
	while ((w = list_first(&all->running, struct worker, link))) {
		BUG_IF(w->call, "workers were given up while a call needs one");
		kill_child(w);
		pidfd_wait(w->pidfd);
		destroy(w);
	}
	timer_free(all->look);
}
