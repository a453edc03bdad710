/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How a guest comes to be: a process of ours, or a fork of another guest (executor/guest.c says how
 * they live).
 */
#include "base/auto.h"
#include "base/bug.h"
#include "executor/guest_internal.h"
#include "executor/python.h"

#include <fcntl.h>
#include <stdio.h>

static const char boot[] =
	"import sys\n"
	"if sys.version_info < (3, 8): sys.exit('it is Python %d.%d; 3.8 is needed' % sys.version_info[:2])\n"
	"if sys.path[:1] == ['']: sys.path.pop(0)\n"
	"import os, socket, types\n"
	"m = sys.modules['cay_guest'] = types.ModuleType('cay_guest')\n"
	"t = socket.socket(fileno=os.dup(0)).recv(1 << 17)\n"
	"exec(compile(t, '<cay guest>', 'exec'), m.__dict__)\n"
	"m._main()\n";

static int open_pipe(struct guest *g, int i, int *ret_write_fd, struct error *err)
{
	int fds[2];
	if (pipe2(fds, O_CLOEXEC) < 0)
		return error_sys(err, errno, "make a pipe");
	fcntl(fds[0], F_SETFL, O_NONBLOCK);
	*ret_write_fd = fds[1];
	g->out[i] = (struct guest_pipe){ .fd = fds[0], .channel = (uint8_t)(i + 1), .guest = g };
	g->out[i].watch = watch_new(g->executor->loop, fds[0], LOOP_READ, guest_on_pipe,
		&g->out[i]);
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
	g->bell_fd = g->channel.fd = g->child.pidfd = g->out[0].fd = g->out[1].fd = -1;
	list_init(&g->requests);
	buf_init(&g->last_words, GUEST_LAST_WORDS_MAX);
	snprintf(g->what, sizeof(g->what), "%s", plan->what);
	list_append(&e->guests, &g->link);
	for (int i = 0; i < 3; i++)
		ret_fds[i] = -1;
	if (guest_channel_open(&g->channel, e->loop, guest_on_channel, g, &ret_fds[0], err) < 0 ||
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

static int open_bell(struct guest *g, struct error *err)
{
	int fds[2];
	if (pipe2(fds, O_CLOEXEC) < 0)
		return error_sys(err, errno, "make a pipe");
	fcntl(fds[1], F_SETFL, O_NONBLOCK);
	g->bell_fd = fds[1];
	int r = guest_channel_send_fds(&g->channel, GUEST_BELL, fds, 1, err);
	close(fds[0]);
	return r;
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
	if (guest_channel_send_raw(&g->channel, str_from(python_guest), err) < 0 ||
		(plan->has_bell && open_bell(g, err) < 0))
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
	g->child_watch = watch_new(e->loop, g->child.pidfd, LOOP_READ, guest_on_exit, g);
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
	int r = guest_channel_send_fds(&from->channel, GUEST_FORK, fds, 3, err);
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
