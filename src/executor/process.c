/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. Output comes through two pipes, or one terminal; what is read goes to the
 * log and then to the watches. The program's end comes through its pidfd. At that moment the kernel
 * is asked how many bytes each pipe holds: when these are read, the process has ended, whoever else
 * has the pipe and goes on writing. A pipe that is paused stays unread: its writer waits in
 * write(2), nothing is lost, and the end waits as well.
 */
#include "executor/process.h"

#include "base/auto.h"
#include "base/bug.h"
#include "base/clock.h"
#include "executor/process_budget.h"
#include "executor/pty.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/wait.h>

enum { READ_STEP = 64 * 1024, READS_PER_TURN = 8 };

static void update_out(struct process_pipe *pipe)
{
	if (pipe->watch)
		watch_set(pipe->watch, pipe->process->is_paused ? 0 : LOOP_READ);
}

static void close_out(struct process_pipe *pipe)
{
	watch_free(pipe->watch);
	pipe->watch = NULL;
	pipe->fd = close_fd(pipe->fd);
	pipe->rest_bytes = 0;
}

static void close_in(struct process *p)
{
	watch_free(p->in_watch);
	p->in_watch = NULL;
	p->in_fd = close_fd(p->in_fd);
	buf_fini(&p->in);
}

static void process_free(struct process *p)
{
	list_remove(&p->link);
	close_in(p);
	close_out(&p->out[0]);
	close_out(&p->out[1]);
	watch_free(p->child_watch);
	close_fd(p->child.pidfd);
	timer_free(p->timer);
	process_budget_leave(p);
	for (char **arg = p->argv; arg && *arg; arg++)
		free(*arg);
	free(p->argv);
	free(p->cwd);
	free(p);
}

/* ---- the end ---- */

static void emit(const struct process *p, const char *event)
{
	auto_buf struct buf b = BUF_INIT(4 * 1024 * 1024);
	struct jsonw w = JSONW(&b);
	jsonw_open(&w);
	jsonw_key_str(&w, "event", str_from(event));
	jsonw_key(&w, "process");
	process_put(p, &w, false);
	jsonw_close(&w);
	if (!b.is_full)
		executor_emit(p->executor, buf_str(&b));
}

/* Takes it out of the list; it goes at once, or when whoever holds it lets go. */
static void forget(struct process *p)
{
	p->is_removed = true;
	list_remove(&p->link);
	if (p->n_holds == 0)
		process_free(p);
}

void process_hold(struct process *p)
{
	p->n_holds++;
}

void process_release(struct process *p)
{
	if (--p->n_holds == 0 && p->is_removed && p->has_ended)
		process_free(p);
}

static void forget_oldest(struct executor *e)
{
	struct process *p, *tmp;
	list_for_each_safe(p, tmp, &e->processes, link) {
		if (e->n_retained <= PROCESS_RETAINED_MAX)
			return;
		if (p->has_ended) {
			e->n_retained--;
			forget(p);
		}
	}
}

static void end(struct process *p)
{
	struct executor *e = p->executor;
	struct process_watch *w;
	process_hold(p);
	p->has_ended = true;
	e->n_running--;
	emit(p, "process_ended");
	while ((w = list_first(&p->watches, struct process_watch, link))) {
		list_remove(&w->link);
		if (w->on_end)
			w->on_end(w);
	}
	if (!p->is_removed)
		e->n_retained++;
	process_release(p);
	forget_oldest(e);
}

/* True if that was the end, after which p may be gone. */
static bool end_if_done(struct process *p)
{
	if (!p->has_exited || p->has_ended || p->out[0].rest_bytes > 0 || p->out[1].rest_bytes > 0)
		return false;
	end(p);
	return true;
}

static int64_t bytes_in(const struct process_pipe *pipe)
{
	int n = 0;
	return pipe->fd >= 0 && ioctl(pipe->fd, FIONREAD, &n) == 0 ? n : 0;
}

static void on_exit_of_child(void *arg, int events)
{
	struct process *p = arg;
	int code, status;
	if (!child_reap(&p->child, &code, &status))
		return;
	p->has_exited = true;
	p->ended_us = clock_mono_us();
	p->exit_code = code == CLD_EXITED ? status : -1;
	p->signo = code == CLD_EXITED ? 0 : status;
	if (p->exit_code)
		p->limit = limits_hit(&p->executor->limits);
	watch_free(p->child_watch);
	p->child_watch = NULL;
	timer_free(p->timer);
	p->timer = NULL;
	close_in(p);
	for (int i = 0; i < 2; i++)
		p->out[i].rest_bytes = bytes_in(&p->out[i]);
	end_if_done(p);
}

static void on_timeout(void *arg)
{
	struct process *p = arg;
	p->has_timed_out = true;
	child_signal(&p->child, p->grace_ms ? SIGTERM : SIGKILL, true, NULL);
	if (p->grace_ms)
		timer_set(p->timer, p->grace_ms);
	p->grace_ms = 0;
}

/* ---- output ---- */

static void take_output(struct process_pipe *pipe, struct str bytes)
{
	struct process *p = pipe->process;
	struct process_watch *w, *tmp;
	pipe->bytes += bytes.len;
	process_budget_add(p, pipe->channel, bytes);
	list_for_each_safe(w, tmp, &p->watches, link)
		if (w->on_output)
			w->on_output(w, pipe->channel, bytes);
	if (pipe->rest_bytes > 0)
		pipe->rest_bytes = MAX(pipe->rest_bytes - (int64_t)bytes.len, 0);
}

static void on_output(void *arg, int events)
{
	static char bytes[READ_STEP]; /* one thread, not kept */
	struct process_pipe *pipe = arg;
	struct process *p = pipe->process;
	for (int i = 0; i < READS_PER_TURN && !p->is_paused; i++) {
		size_t want = sizeof(bytes);
		if (p->has_exited && !p->has_ended && pipe->rest_bytes > 0)
			want = (size_t)MIN((int64_t)want, pipe->rest_bytes);
		ssize_t n = read(pipe->fd, bytes, want);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN) {
			pipe->rest_bytes = MIN(pipe->rest_bytes, (int64_t)0);
			break;
		}
		if (n <= 0) { /* a terminal that everybody has closed gives EIO */
			close_out(pipe);
			break;
		}
		take_output(pipe, str_from_len(bytes, (size_t)n));
		if (end_if_done(p) || (size_t)n < want)
			return;
	}
	end_if_done(p);
}

void process_pause(struct process *p, bool is_paused)
{
	p->is_paused = is_paused;
	update_out(&p->out[0]);
	update_out(&p->out[1]);
}

/* ---- input ---- */

static void on_input_writable(void *arg, int events)
{
	struct process *p = arg;
	size_t done = 0;
	while (done < p->in.len) {
		ssize_t n = write(p->in_fd, p->in.ptr + done, p->in.len - done);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		done += (size_t)n;
	}
	bool is_gone = done < p->in.len && errno != EAGAIN;
	buf_drop_front(&p->in, done);
	p->in_written_bytes += done;
	if (p->in.len == 0)
		buf_reset(&p->in);
	if (is_gone || (p->in.len == 0 && p->is_eof_wanted))
		close_in(p);
	else if (p->in_watch)
		watch_set(p->in_watch, p->in.len ? LOOP_WRITE : 0);
	struct process_watch *w, *tmp;
	list_for_each_safe(w, tmp, &p->watches, link)
		if (w->on_input)
			w->on_input(w);
}

int process_write(struct process *p, struct str bytes, struct error *err)
{
	if (p->in_fd < 0 || p->is_eof_wanted)
		return error_set(err, ERROR_CONFLICT, "process %s takes no input%s", p->id,
			p->has_exited ? ": it has ended" : "");
	if (bytes.len > PROCESS_INPUT_MAX - p->in.len)
		return error_set(err, ERROR_LIMIT, "process %s does not read its input", p->id);
	p->in_queued_bytes += bytes.len;
	buf_put(&p->in, bytes);
	on_input_writable(p, 0);
	return 0;
}

void process_write_eof(struct process *p)
{
	if (p->in_fd < 0)
		return;
	if (p->is_tty) { /* as at a keyboard: C-d */
		process_write(p, STR("\004"), NULL);
		return;
	}
	p->is_eof_wanted = true;
	on_input_writable(p, 0);
}

/* ---- start ---- */

/* Descriptors for the child's end; closed when it has them. */
struct ends {
	int in_fd, out_fd, err_fd;
};

static int open_pipe(int *ret_read_fd, int *ret_write_fd, struct error *err)
{
	int fds[2];
	if (pipe2(fds, O_CLOEXEC) < 0)
		return error_sys(err, errno, "make a pipe");
	*ret_read_fd = fds[0];
	*ret_write_fd = fds[1];
	return 0;
}

static void set_nonblocking(int fd)
{
	if (fd >= 0)
		fcntl(fd, F_SETFL, O_NONBLOCK);
}

static int open_pipes(struct process *p, const struct exec_params *params, struct ends *ends,
	struct error *err)
{
	if (params->has_stdin && open_pipe(&ends->in_fd, &p->in_fd, err) < 0)
		return -1;
	if (open_pipe(&p->out[0].fd, &ends->out_fd, err) < 0)
		return -1;
	if (params->merge)
		ends->err_fd = fcntl(ends->out_fd, F_DUPFD_CLOEXEC, 3);
	else if (open_pipe(&p->out[1].fd, &ends->err_fd, err) < 0)
		return -1;
	if (ends->err_fd < 0)
		return error_sys(err, errno, "open the output of a process");
	/* Our ends only: the child's are descriptions of their own. */
	set_nonblocking(p->in_fd);
	set_nonblocking(p->out[0].fd);
	set_nonblocking(p->out[1].fd);
	return 0;
}

static int open_terminal(struct process *p, const struct exec_params *params, struct ends *ends,
	struct error *err)
{
	struct pty pty;
	if (pty_open(&pty, (int)params->cols, (int)params->rows, false, err) < 0)
		return -1;
	p->is_tty = true;
	p->out[0].fd = pty.master_fd;
	p->in_fd = fcntl(pty.master_fd, F_DUPFD_CLOEXEC, 3);
	int r = pty_open_slave(&pty, &ends->out_fd, err);
	close_fd(pty.slave_fd); /* when all who have the terminal are gone, reading it shall end */
	if (r < 0)
		return -1;
	return p->in_fd < 0 ? error_sys(err, errno, "open a terminal") : 0;
}

static int make_env(const struct executor *e, const struct exec_params *p, const struct user *user,
	struct env *env, struct error *err)
{
	if (p->env_replaces)
		return env_set_all(env, &p->env, err);
	env_copy(env, &e->env);
	if (user->is_other != e->user.is_other || user->uid != e->user.uid) {
		env_set(env, STR("USER"), str_from(user->name), NULL);
		env_set(env, STR("LOGNAME"), str_from(user->name), NULL);
		env_set(env, STR("HOME"), str_from(user->home), NULL);
	}
	return env_set_all(env, &p->env, err);
}

static int spawn_program(struct process *p, const struct exec_params *params,
	const struct ends *ends, struct error *err)
{
	struct executor *e = p->executor;
	struct user user = e->user;
	auto_env struct env env = { 0 };
	if (params->user.len && user_find(params->user, &user, err) < 0)
		return -1;
	if (make_env(e, params, &user, &env, err) < 0)
		return -1;
	if (p->is_tty)
		pty_give(ends->out_fd, user.uid);
	struct spawn_plan plan = {
		.argv = (const char *const *)p->argv,
		.envp = env_vector(&env),
		.path = env_get(&env, STR("PATH")),
		.cwd = p->cwd,
		.stdio_fds = { p->is_tty ? ends->out_fd : ends->in_fd, ends->out_fd,
			p->is_tty ? ends->out_fd : ends->err_fd },
		.is_tty = p->is_tty,
		.user = &user,
		.confine = &e->confine,
	};
	return spawn(&plan, &p->child, err);
}

static int check(struct executor *e, const struct exec_params *p, struct error *err)
{
	struct process *other;
	if (p->argv.n == 0 || p->argv.items[0].len == 0)
		return error_set(err, ERROR_INVALID, "argv is empty");
	if (p->name.len > PROCESS_NAME_MAX)
		return error_set(err, ERROR_INVALID, "a name of %zu bytes; the limit is %d",
			p->name.len, PROCESS_NAME_MAX);
	if (e->n_running >= EXECUTOR_PROCESSES_MAX)
		return error_set(err, ERROR_LIMIT, "%d processes run already",
			EXECUTOR_PROCESSES_MAX);
	if (p->name.len && process_find(e, p->name, &other, NULL) == 0)
		return error_set(err, ERROR_EXISTS, "process %s has the name '%.*s'", other->id,
			STR_ARG(p->name));
	return 0;
}

static struct process *process_new(struct executor *e, const struct exec_params *params)
{
	struct process *p = mem_new(struct process);
	p->executor = e;
	list_init(&p->link);
	list_init(&p->watches);
	snprintf(p->id, sizeof(p->id), "p%lld", (long long)e->next_process);
	snprintf(p->name, sizeof(p->name), "%.*s", STR_ARG(params->name));
	p->argv = mem_new_n(char *, params->argv.n + 1);
	for (size_t i = 0; i < params->argv.n; i++)
		p->argv[i] = str_dup(params->argv.items[i]);
	p->cwd = executor_path(e, params->cwd);
	p->child.pidfd = p->in_fd = -1;
	for (int i = 0; i < 2; i++)
		p->out[i] = (struct process_pipe){ .fd = -1,
			.channel = (uint8_t)(i + 1),
			.rest_bytes = -1,
			.process = p };
	process_log_init(&p->log, (size_t)params->log_bytes);
	buf_init(&p->in, PROCESS_INPUT_MAX);
	p->started_wall_ms = clock_wall_ms();
	p->started_us = clock_mono_us(); /* after the other: what ended is never told as later */
	return p;
}

static void watch_all(struct process *p, int64_t timeout_ms)
{
	struct loop *loop = p->executor->loop;
	p->child_watch = watch_new(loop, p->child.pidfd, LOOP_READ, on_exit_of_child, p);
	for (int i = 0; i < 2; i++)
		if (p->out[i].fd >= 0)
			p->out[i].watch = watch_new(loop, p->out[i].fd, LOOP_READ, on_output,
				&p->out[i]);
	if (p->in_fd >= 0)
		p->in_watch = watch_new(loop, p->in_fd, 0, on_input_writable, p);
	if (timeout_ms) {
		p->timer = timer_new(loop, on_timeout, p);
		timer_set(p->timer, timeout_ms);
	}
}

int process_start(struct executor *e, const struct exec_params *params, struct process **ret,
	struct error *err)
{
	if (check(e, params, err) < 0)
		return -1;
	struct process *p = process_new(e, params);
	struct ends ends = { -1, -1, -1 };
	int r = params->tty ? open_terminal(p, params, &ends, err)
			    : open_pipes(p, params, &ends, err);
	if (r == 0)
		r = spawn_program(p, params, &ends, err);
	close_fd(ends.in_fd);
	close_fd(ends.out_fd);
	close_fd(ends.err_fd);
	if (r < 0) {
		process_free(p);
		return -1;
	}
	e->next_process++;
	e->n_running++;
	list_append(&e->processes, &p->link);
	p->grace_ms = params->grace_ms;
	watch_all(p, params->timeout_ms);
	emit(p, "process_started");
	*ret = p;
	return 0;
}

/* ---- the rest ---- */

int process_find(struct executor *e, struct str who, struct process **ret, struct error *err)
{
	struct process *p;
	list_for_each(p, &e->processes, link)
		if (str_is(who, p->id) || (who.len && str_is(who, p->name))) {
			*ret = p;
			return 0;
		}
	for (int64_t n = who.len && who.ptr[0] == 'p' ? e->next_process - 1 : 0; n > 0; n--) {
		char id[PROCESS_ID_SIZE];
		snprintf(id, sizeof(id), "p%lld", (long long)n);
		if (str_is(who, id))
			return error_set(err, ERROR_GONE,
				"process %s was forgotten; the last %d are retained", id,
				PROCESS_RETAINED_MAX);
	}
	return error_set(err, ERROR_NOT_FOUND, "no process '%.*s'", STR_ARG(str_first(who, 60)));
}

void process_watch_add(struct process *p, struct process_watch *w)
{
	list_append(&p->watches, &w->link);
}

void process_unwatch(struct process_watch *w)
{
	list_remove(&w->link);
}

int process_signal(struct process *p, int signo, bool is_group, struct error *err)
{
	if (p->has_exited)
		return error_set(err, ERROR_CONFLICT, "process %s has ended", p->id);
	return child_signal(&p->child, signo, is_group, err);
}

int process_resize(struct process *p, int64_t cols, int64_t rows, struct error *err)
{
	if (!p->is_tty || p->out[0].fd < 0)
		return error_set(err, ERROR_CONFLICT, "process %s has no terminal", p->id);
	if (cols < 2 || cols > 2000 || rows < 2 || rows > 1000)
		return error_set(err, ERROR_INVALID, "a terminal of that size");
	struct pty pty = { .master_fd = p->out[0].fd, .slave_fd = -1 };
	pty_resize(&pty, (int)cols, (int)rows);
	return 0;
}

void process_remove(struct process *p)
{
	if (p->has_ended) {
		p->executor->n_retained--;
		forget(p);
		return;
	}
	p->is_removed = true;
	list_remove(&p->link);
	process_pause(p, false);
	if (!p->has_exited)
		child_signal(&p->child, SIGKILL, true, NULL);
}

void processes_free_all(struct executor *e)
{
	struct process *p;
	while ((p = list_first(&e->processes, struct process, link))) {
		if (!p->has_exited) {
			child_signal(&p->child, SIGKILL, true, NULL);
			watch_free(take_ptr(p->child_watch));
			child_wait(&p->child);
		}
		process_free(p);
	}
}

void process_put_cut(const struct process *p, struct jsonw *w, bool is_open, size_t argv_bytes)
{
	jsonw_open(w);
	jsonw_key_str(w, "process", str_from(p->id));
	jsonw_key_str(w, "name", str_from(p->name));
	jsonw_key_int(w, "pid", p->child.pid);
	if (p->child.own_pid != p->child.pid)
		jsonw_key_int(w, "host_pid", p->child.own_pid);
	jsonw_key(w, "argv");
	jsonw_open_array(w);
	for (char **arg = p->argv; *arg; arg++)
		jsonw_str(w, str_first(str_from(*arg), argv_bytes));
	jsonw_close_array(w);
	jsonw_key_str(w, "cwd", str_from(p->cwd));
	jsonw_key_str(w, "status", p->has_ended ? STR("exited") : STR("running"));
	jsonw_key(w, "exit_code");
	if (p->has_ended && !p->signo)
		jsonw_int(w, p->exit_code);
	else
		jsonw_null(w);
	jsonw_key(w, "signal");
	if (p->has_ended && p->signo)
		jsonw_str(w, str_from(signal_name(p->signo)));
	else
		jsonw_null(w);
	if (p->limit)
		jsonw_key_str(w, "limit", str_from(p->limit));
	jsonw_key_bool(w, "timed_out", p->has_timed_out);
	jsonw_key_int(w, "stdout_bytes", (int64_t)p->out[0].bytes);
	jsonw_key_int(w, "stderr_bytes", (int64_t)p->out[1].bytes);
	jsonw_key_int(w, "dropped_bytes", (int64_t)p->log.dropped_bytes);
	jsonw_key_bool(w, "is_tty", p->is_tty);
	jsonw_key_int(w, "started_ms", p->started_wall_ms);
	jsonw_key_int(w, "duration_ms",
		((p->has_exited ? p->ended_us : clock_mono_us()) - p->started_us) / 1000);
	if (!is_open)
		jsonw_close(w);
}

void process_put(const struct process *p, struct jsonw *w, bool is_open)
{
	process_put_cut(p, w, is_open, SIZE_MAX);
}
