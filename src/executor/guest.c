/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. The interpreter gets its channel as descriptor 0, as a shell does, with one line of
 * program (boot) that reads the rest from there: first guest.py, as a bare packet, then the sources. guest.py
 * moves the channel to a high descriptor that no exec inherits and opens /dev/null in its place.
 *
 * Descriptors 1 and 2 are pipes. What Python itself prints may come over the channel as output of a request; what
 * programs and C code write comes through the pipes, and its place among the packets is found like this: a packet
 * says whether there was anything unread in the pipes when it was sent; if so they are emptied before it is given
 * on. When a pipe is readable, the packets that wait go first.
 *
 * A forked guest is no child of ours. The credentials of its first packet, which the kernel vouches for and
 * translates, say who it is here; a pidfd of that tells of its end, and its parent, which reaps it, of its status.
 * Signals can reach only what is the agent's own, whatever a guest claims.
 *
 * The end: the pidfd becomes readable; then everything it had sent is read, at the pace of the owner, its requests
 * fail, and on_exit comes. A guest that closes its channel and lives on cannot be talked to: it is killed.
 */
#include "executor/guest.h"

#include "base/auto.h"
#include "base/bug.h"
#include "executor/guest_channel.h"
#include "executor/python.h"

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
	LAST_WORDS_MAX = 4096,
	CHANNEL_GONE_MS = 500, /* how long it may live on without one */
	STATUS_WAIT_MS = 500,  /* for the word of a parent on how its child ended */
	WHAT_MAX = 80,
};

struct guest_pipe {
	int fd;
	struct watch *watch;
	uint8_t channel;
	struct guest *guest;
};

struct guest {
	struct executor *executor;
	struct list link; /* executor::guests */
	char what[WHAT_MAX];
	const struct guest_ops *ops; /* NULL: nobody listens any more */
	void *arg;
	struct guest *parent; /* it was forked from; NULL: it is our child, or its parent is gone */
	bool is_forked;
	struct child child; /* own_pid 0: not known yet; pidfd -1 */
	struct watch *child_watch;
	struct guest_channel channel;
	struct guest_pipe out[2];
	struct list requests; /* guest_request::link */
	size_t n_requests;
	uint32_t next_id;
	struct timer *timer;
	struct buf last_words; /* what came on descriptor 2 since a request has ended */
	bool has_exited, has_status, is_finished;
	int exit_code, signo; /* one counts: signo if not 0 */
	int early_signo;      /* for when it is known who it is */
	int n_holds;
	bool is_freed; /* as soon as nobody holds it */
};

static const char boot[] =
	"import sys\n"
	"if sys.version_info < (3, 8): sys.exit('it is Python %d.%d; 3.8 is needed' % sys.version_info[:2])\n"
	"if sys.path[:1] == ['']: sys.path.pop(0)\n"
	"import os, socket, types\n"
	"m = sys.modules['cay_guest'] = types.ModuleType('cay_guest')\n"
	"t = socket.socket(fileno=os.dup(0)).recv(1 << 17)\n"
	"exec(compile(t, '<cay guest>', 'exec'), m.__dict__)\n"
	"m._main()\n";

/* ---- memory ---- */

static void close_pipe(struct guest_pipe *pipe)
{
	watch_free(pipe->watch);
	pipe->watch = NULL;
	pipe->fd = close_fd(pipe->fd);
}

static void forget_all(struct guest *g)
{
	struct guest_request *r;
	while ((r = list_first(&g->requests, struct guest_request, link)))
		list_remove(&r->link);
	g->n_requests = 0;
}

static void destroy(struct guest *g)
{
	struct guest *other;
	list_remove(&g->link);
	list_for_each(other, &g->executor->guests, link)
		if (other->parent == g)
			other->parent = NULL;
	loop_undefer(g->executor->loop, g);
	forget_all(g);
	watch_free(g->child_watch);
	timer_free(g->timer);
	guest_channel_close(&g->channel);
	close_pipe(&g->out[0]);
	close_pipe(&g->out[1]);
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

static void fill_reason(const struct guest *g, struct error *err)
{
	char how[64] = "ended";
	if (g->has_status && g->signo)
		snprintf(how, sizeof(how), "was killed by signal %d (%s)", g->signo,
			signal_name(g->signo));
	else if (g->has_status)
		snprintf(how, sizeof(how), "ended with status %d", g->exit_code);
	bool is_unborn = g->is_forked && g->child.own_pid == 0;
	if (is_unborn)
		snprintf(how, sizeof(how), "could not be started");
	struct str words = str_trim(
		buf_str(is_unborn && g->parent ? &g->parent->last_words : &g->last_words));
	for (ptrdiff_t at; (at = str_find_char(words, '\n')) >= 0;)
		words = str_skip(words, (size_t)at + 1);
	words = str_first(words, 200);
	error_set(err, ERROR_UNAVAILABLE, "%s %s%s%.*s", g->what, how, words.len ? ": " : "",
		STR_ARG(words));
}

static void fail_request(struct guest *g, struct guest_request *r, const struct error *err)
{
	list_remove(&r->link);
	g->n_requests--;
	r->ops->on_error(r, err);
}

static void finish_with(struct guest *g, const struct error *reason)
{
	struct guest_request *r;
	g->is_finished = true;
	while (!g->is_freed && (r = list_first(&g->requests, struct guest_request, link)))
		fail_request(g, r, reason);
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
		bytes.len > LAST_WORDS_MAX / 2 ? bytes.len - LAST_WORDS_MAX / 2 : 0);
	if (g->last_words.len + bytes.len > LAST_WORDS_MAX)
		buf_drop_front(&g->last_words, g->last_words.len - LAST_WORDS_MAX / 2);
	buf_put(&g->last_words, bytes);
}

/* Reads up to `most` bytes; false when there is nothing more to read now. The caller holds the guest. */
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

static void on_exit_of_child(void *arg, int events);

/* The kernel says who sent the first packet of a forked guest. */
static void learn_pid(struct guest *g, pid_t sender)
{
	if (sender <= 0 || g->child.own_pid)
		return;
	g->child.own_pid = sender;
	g->child.pidfd = (int)syscall(SYS_pidfd_open, sender, 0);
	if (g->child.pidfd < 0) { /* gone already: the end of its channel says so */
		g->child.own_pid = 0;
		return;
	}
	g->child_watch = watch_new(g->executor->loop, g->child.pidfd, LOOP_READ, on_exit_of_child,
		g);
	if (g->early_signo)
		child_signal(&g->child, g->early_signo, false, NULL);
}

static void take_status(struct guest *parent, const struct json *message)
{
	int64_t pid = json_int(json_find(message, "exited"));
	int status = (int)json_int(json_find(message, "status"));
	struct guest *g, *tmp;
	list_for_each_safe(g, tmp, &parent->executor->guests, link) {
		if (g->parent != parent || g->child.pid != pid || g->has_status)
			continue;
		g->has_status = true;
		g->signo = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
		g->exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
		on_exit_of_child(g, 0);
		return;
	}
}

/* A message that belongs to no request. */
static void take_message(struct guest *g, const struct json *message)
{
	if (json_find(message, "ready")) {
		if (g->is_forked)
			g->child.pid = (pid_t)json_int(json_find(message, "ready"));
	} else if (json_find(message, "exited")) {
		take_status(g, message);
	} else if (g->ops && g->ops->on_message) {
		g->ops->on_message(g->arg, message);
	}
}

static struct guest_request *find_request(struct guest *g, uint32_t id)
{
	struct guest_request *r;
	list_for_each(r, &g->requests, link)
		if (r->id == id)
			return r;
	return NULL;
}

static void end_request(struct guest *g, struct guest_request *r, const struct guest_packet *p,
	const struct json *json)
{
	struct error err;
	if (p->flags & GUEST_ERROR) {
		json_to_error(json, &err);
		fail_request(g, r, &err);
		return;
	}
	list_remove(&r->link);
	g->n_requests--;
	r->ops->on_result(r, json);
}

static void dispatch(struct guest *g, const struct guest_packet *p)
{
	auto_json struct json *json = NULL;
	struct guest_request *r = p->request ? find_request(g, p->request) : NULL;
	if (p->kind == GUEST_OUTPUT) {
		if (r && r->ops->on_output)
			r->ops->on_output(r, p->channel, p->payload);
		else if (!r && g->ops && g->ops->on_output)
			g->ops->on_output(g->arg, p->channel, p->payload);
		return;
	}
	struct error err;
	if (p->flags & GUEST_FINAL)
		buf_reset(&g->last_words);
	if (json_parse(p->payload, &json, &err) < 0) {
		if (r && (p->flags & GUEST_FINAL))
			fail_request(g, r, &err);
		return;
	}
	if (p->request == 0)
		take_message(g, json);
	else if (r && (p->flags & GUEST_FINAL))
		end_request(g, r, p, json);
	else if (r && r->ops->on_event)
		r->ops->on_event(r, json);
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
		if (p.flags & (GUEST_BEHIND | GUEST_FINAL))
			empty_pipes(g);
		if (!g->is_freed)
			dispatch(g, &p);
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

static void on_channel(void *arg, int events)
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

static void on_pipe(void *arg, int events)
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

static void on_exit_of_child(void *arg, int events)
{
	struct guest *g = arg;
	int code, status;
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
	if (g->has_exited && g->is_forked && g->parent && !g->has_status)
		start_timer(g, STATUS_WAIT_MS);
	else if (g->has_exited && g->timer) {
		timer_free(g->timer);
		g->timer = NULL;
	}
	finish_if_done(g);
	release(g);
}

/* ---- start ---- */

static int open_pipe(struct guest *g, int i, int *ret_write_fd, struct error *err)
{
	int fds[2];
	if (pipe2(fds, O_CLOEXEC) < 0)
		return error_sys(err, errno, "make a pipe");
	fcntl(fds[0], F_SETFL, O_NONBLOCK);
	*ret_write_fd = fds[1];
	g->out[i] = (struct guest_pipe){ .fd = fds[0], .channel = (uint8_t)(i + 1), .guest = g };
	g->out[i].watch = watch_new(g->executor->loop, fds[0], LOOP_READ, on_pipe, &g->out[i]);
	return 0;
}

/* Everything but a process. The peer's ends: channel, stdout, stderr. */
static int guest_new(struct executor *e, const struct guest_plan *plan, const struct guest_ops *ops,
	void *arg, int ret_fds[3], struct guest **ret, struct error *err)
{
	struct guest *g = mem_new(struct guest);
	g->executor = e;
	g->ops = ops;
	g->arg = arg;
	g->channel.fd = g->child.pidfd = g->out[0].fd = g->out[1].fd = -1;
	list_init(&g->requests);
	buf_init(&g->last_words, LAST_WORDS_MAX);
	snprintf(g->what, sizeof(g->what), "%s", plan->what);
	list_append(&e->guests, &g->link);
	for (int i = 0; i < 3; i++)
		ret_fds[i] = -1;
	if (guest_channel_open(&g->channel, e->loop, on_channel, g, &ret_fds[0], err) < 0 ||
		open_pipe(g, 0, &ret_fds[1], err) < 0 || open_pipe(g, 1, &ret_fds[2], err) < 0) {
		guest_free(g);
		return -1;
	}
	*ret = g;
	return 0;
}

static void put_arguments(struct jsonw *w, const struct guest_plan *plan)
{
	jsonw_key(w, "arguments");
	if (plan->arguments.len)
		jsonw_raw(w, plan->arguments);
	else
		jsonw_null(w);
}

/* guest.py itself, then what it is to run. */
static int send_program(struct guest *g, const struct guest_plan *plan, struct error *err)
{
	auto_buf struct buf b = BUF_INIT(GUEST_MESSAGE_MAX);
	struct jsonw w = JSONW(&b);
	jsonw_open(&w);
	jsonw_key(&w, "sources");
	jsonw_open_array(&w);
	for (size_t i = 0; i < plan->n_sources; i++) {
		jsonw_open_array(&w);
		jsonw_str(&w, str_from(plan->sources[i].name));
		jsonw_str(&w, str_from(plan->sources[i].text));
		jsonw_close_array(&w);
	}
	jsonw_close_array(&w);
	put_arguments(&w, plan);
	jsonw_key_bool(&w, "has_fork", plan->has_fork);
	jsonw_close(&w);
	if (b.is_full)
		return error_set(err, ERROR_TOO_LARGE, "the program is too large");
	if (guest_channel_send_raw(&g->channel, str_from(python_guest), err) < 0)
		return -1;
	return guest_channel_send(&g->channel, 0, buf_str(&b), err);
}

static int start_python(struct guest *g, const struct guest_plan *plan, const int fds[3],
	struct error *err)
{
	const struct executor *e = g->executor;
	const struct env *env = plan->env ? plan->env : &e->env;
	const char *python = plan->python ? plan->python : "python3";
	const char *argv[] = { python, "-c", boot, NULL };
	struct spawn_plan spawn_plan = {
		.argv = argv,
		.envp = env_vector(env),
		.path = env_get(env, STR("PATH")),
		.cwd = plan->cwd ? plan->cwd : e->workdir,
		.stdio_fds = { fds[0], fds[1], fds[2] },
		.user = &e->user,
		.confine = &e->confine,
	};
	struct error why;
	if (spawn(&spawn_plan, &g->child, &why) == 0)
		return 0;
	if (err)
		*err = why;
	if (why.code == ERROR_NOT_FOUND && str_starts(str_from(why.text), STR("start ")))
		return error_set(err, ERROR_UNSUPPORTED, "there is no %s in the sandbox", python);
	return -1;
}

static void close_fds(const int fds[3])
{
	for (int i = 0; i < 3; i++)
		close_fd(fds[i]);
}

int guest_start(struct executor *e, const struct guest_plan *plan, const struct guest_ops *ops,
	void *arg, struct guest **ret, struct error *err)
{
	struct guest *g;
	int fds[3];
	if (guest_new(e, plan, ops, arg, fds, &g, err) < 0)
		return error_wrap(err, "start %s", plan->what);
	int r = start_python(g, plan, fds, err);
	close_fds(fds);
	if (r == 0)
		r = send_program(g, plan, err);
	if (r < 0) {
		guest_free(g);
		return error_wrap(err, "start %s", plan->what);
	}
	g->child_watch = watch_new(e->loop, g->child.pidfd, LOOP_READ, on_exit_of_child, g);
	*ret = g;
	return 0;
}

/* What the child changes in itself before it goes on. */
static int send_changes(struct guest *g, const struct guest_plan *plan, struct error *err)
{
	const struct executor *e = g->executor;
	const struct env *env = plan->env ? plan->env : &e->env;
	auto_buf struct buf b = BUF_INIT(GUEST_MESSAGE_MAX);
	struct jsonw w = JSONW(&b);
	jsonw_open(&w);
	jsonw_key_str(&w, "cwd", str_from(plan->cwd ? plan->cwd : e->workdir));
	jsonw_key(&w, "env");
	jsonw_open_array(&w);
	for (char *const *var = env_vector(env); *var; var++)
		jsonw_str(&w, str_from(*var));
	jsonw_close_array(&w);
	put_arguments(&w, plan);
	jsonw_close(&w);
	if (b.is_full)
		return error_set(err, ERROR_TOO_LARGE, "the arguments are too large");
	return guest_channel_send(&g->channel, 0, buf_str(&b), err);
}

int guest_fork(struct guest *from, const struct guest_plan *plan, const struct guest_ops *ops,
	void *arg, struct guest **ret, struct error *err)
{
	struct guest *g;
	int fds[3];
	if (from->has_exited)
		return error_set(err, ERROR_UNAVAILABLE, "%s has ended", from->what);
	if (guest_new(from->executor, plan, ops, arg, fds, &g, err) < 0)
		return error_wrap(err, "start %s", plan->what);
	g->is_forked = true;
	g->parent = from;
	int r = guest_channel_send_fork(&from->channel, fds, err);
	close_fds(fds);
	if (r == 0)
		r = send_changes(g, plan, err);
	if (r < 0) {
		guest_free(g);
		return error_wrap(err, "start %s", plan->what);
	}
	*ret = g;
	return 0;
}

void guest_close(struct guest *g)
{
	if (!g || g->is_freed)
		return;
	g->ops = NULL;
	forget_all(g);
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

/* ---- requests ---- */

int guest_ask(struct guest *g, struct guest_request *r, struct str body_json, struct error *err)
{
	if (g->is_finished || g->channel.fd < 0)
		return error_set(err, ERROR_UNAVAILABLE, "%s has ended", g->what);
	if (g->n_requests >= GUEST_REQUESTS_MAX)
		return error_set(err, ERROR_LIMIT, "%s has %d requests at once", g->what,
			GUEST_REQUESTS_MAX);
	do
		r->id = ++g->next_id;
	while (r->id == 0 || find_request(g, r->id));
	if (guest_channel_send(&g->channel, r->id, body_json, err) < 0)
		return error_wrap(err, "%s", g->what);
	r->guest = g;
	list_append(&g->requests, &r->link);
	g->n_requests++;
	return 0;
}

void guest_forget(struct guest_request *r)
{
	if (r->link.next == &r->link)
		return;
	list_remove(&r->link);
	r->guest->n_requests--;
}

int guest_tell(struct guest *g, struct str body_json, struct error *err)
{
	if (g->is_finished || g->channel.fd < 0)
		return error_set(err, ERROR_UNAVAILABLE, "%s has ended", g->what);
	if (guest_channel_send(&g->channel, 0, body_json, err) < 0)
		return error_wrap(err, "%s", g->what);
	return 0;
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
