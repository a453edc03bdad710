/* SPDX-License-Identifier: Apache-2.0 */
#include "executor/executor.h"

#include "base/auto.h"
#include "base/bug.h"
#include "base/clock.h"
#include "base/file.h"
#include "executor/browser.h"
#include "executor/egress.h"
#include "executor/calls.h"
#include "executor/clerk.h"
#include "executor/dial.h"
#include "executor/files.h"
#include "executor/guest.h"
#include "executor/kernel.h"
#include "executor/orphans.h"
#include "executor/porter.h"
#include "executor/process.h"
#include "executor/session.h"
#include "executor/toolbox.h"
#include "executor/sudo.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>

/*
 * What runs goes on. If there has been no call at all, who built the sandbox was killed before
 * anybody knew of it.
 */
static void lose_control(struct executor *e)
{
	if (e->dial) {
		watch_free(take_ptr(e->control_watch));
		e->control_fd = close_fd(e->control_fd);
		dial_lost(e->dial);
		return;
	}
	watch_set(e->control_watch, 0);
	if (!e->was_called)
		loop_stop(e->loop);
}

/* Takes every call that waits, to the end of the control socket. */
static void on_control(void *arg, int events)
{
	struct executor *e = arg;
	for (;;) {
		char kind[2 + DIAL_SECRET_SIZE];
		int fds[2] = { -1, -1 }, n_fds = ARRAY_LEN(fds);
		struct error err;
		ssize_t n = fd_recv(e->control_fd, kind, sizeof(kind), fds, &n_fds, &err);
		auto_fd int call_fd = n_fds > 0 ? fds[0] : -1, stream_fd = n_fds > 1 ? fds[1] : -1;
		if (n < 0 && (err.sys == EAGAIN || err.sys == EINTR))
			return;
		if (n <= 0) {
			lose_control(e);
			return;
		}
		if (e->dial && n > 1)
			dial_take(e->dial, str_from_len(kind, (size_t)n));
		if (n != 1 || kind[0] != 'C' || call_fd < 0)
			continue;
		e->was_called = true;
		call_open(e, take_fd(&call_fd), take_fd(&stream_fd));
	}
}

static void set_defaults(struct executor *e)
{
	static const struct {
		const char *name, *value;
	} vars[] = {
		/* Nothing shall open a pager or an editor on a terminal that nobody sits at. */
		{ "PAGER", "cat" },
		{ "GIT_PAGER", "cat" },
		{ "MANPAGER", "cat" },
		{ "SYSTEMD_PAGER", "cat" },
		{ "GIT_EDITOR", "true" },
		{ "EDITOR", "true" },
		{ "VISUAL", "true" },
		{ "DEBIAN_FRONTEND", "noninteractive" },
		{ "TERM", "xterm-256color" },
		{ "LANG", "C.UTF-8" },
		{ "PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" },
	};
	for (size_t i = 0; i < ARRAY_LEN(vars); i++)
		env_set(&e->env, str_from(vars[i].name), str_from(vars[i].value), NULL);
}

/* Keys and places of ours are nobody else's business. */
static void inherit(struct executor *e)
{
	static const char *const ours[] = { "CAY_", "SESSION_API_KEY=", "SANDBOX_API_KEY=" };
	for (char **var = environ; *var; var++) {
		struct str s = str_from(*var);
		ptrdiff_t equals = str_find_char(s, '=');
		bool is_ours = equals < 0;
		for (size_t i = 0; i < ARRAY_LEN(ours); i++)
			is_ours |= str_starts(s, str_from(ours[i]));
		if (!is_ours)
			env_set(&e->env, str_first(s, (size_t)equals),
				str_skip(s, (size_t)equals + 1), NULL);
	}
}

/* Whose environment says where home is means it, whatever the table of users has. */
static void inherit_home(struct user *user)
{
	const char *home = getenv("HOME");
	if (home && home[0] == '/' && strlen(home) < sizeof(user->home))
		memcpy(user->home, home, strlen(home) + 1);
}

void executor_set_control(struct executor *e, int fd)
{
	BUG_IF(e->control_watch, "an executor with two servers");
	e->control_fd = fd;
	fd_set_nonblock(fd, NULL);
	e->control_watch = watch_new(e->loop, fd, LOOP_READ, on_control, e);
}

/* The variables that follow from who the children are. */
void executor_set_user(struct executor *e, const struct user *user)
{
	e->user = *user;
	env_set(&e->env, STR("USER"), str_from(user->name), NULL);
	env_set(&e->env, STR("LOGNAME"), str_from(user->name), NULL);
	env_set(&e->env, STR("HOME"), str_from(user->home), NULL);
	env_set(&e->env, STR("SHELL"), STR("/bin/bash"), NULL);
	files_set_owner(e->files, user);
}

static void on_stay(void *arg)
{
	struct executor *e = arg;
	timer_set(e->stay, INT32_MAX);
}

char *executor_path(const struct executor *e, struct str path)
{
	if (path.len && path.ptr[0] == '/')
		return str_dup(path);
	return path.len ? mem_printf("%s/%.*s", e->workdir, STR_ARG(path)) : mem_strdup(e->workdir);
}

/*
 * Calls, processes and sessions need more descriptors than is usual; children get what we were
 * given.
 */
static void raise_descriptors(struct confine *c)
{
	struct rlimit limit;
	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return;
	c->nofile_soft = limit.rlim_cur;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
}

int executor_new(const struct executor_options *options, struct executor **ret, struct error *err)
{
	auto_fd int control_fd = options->control_fd, root_fd = options->root_fd,
		    layer_fd = options->layer_fd;
	struct loop *loop;
	if (root_fd < 0)
		root_fd = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (root_fd < 0)
		return error_sys(err, errno, "open /");
	bool has_control = !options->secret;
	if ((has_control && fd_set_nonblock(control_fd, err) < 0) || loop_new(&loop, err) < 0)
		return -1;
	signal(SIGPIPE, SIG_IGN);

	struct executor *e = mem_new(struct executor);
	e->loop = loop;
	e->confine = options->confine;
	e->limits = options->limits;
	raise_descriptors(&e->confine);
	e->started_ms = e->last_call_ms = clock_mono_ms();
	e->next_process = 1;
	list_init(&e->calls);
	list_init(&e->sessions);
	list_init(&e->processes);
	list_init(&e->guests);
	list_init(&e->killings);
	list_init(&e->kernels);
	list_init(&e->templates);
	e->is_stateless = options->is_stateless;
	e->is_bare = options->place != NULL;
	set_defaults(e);
	if (options->inherits)
		inherit(e);
	e->tools = toolbox_new(e);
	e->files = files_new(loop, take_fd(&root_fd), options->place, options->walks, &e->confine);
	if (layer_fd >= 0)
		files_set_layer(e->files, take_fd(&layer_fd));
	struct user user;
	user_self(&user);
	if (options->inherits)
		inherit_home(&user);
	executor_set_user(e, &user);
	e->workdir = options->workdir ? mem_strdup(options->workdir) : getcwd(NULL, 0);
	if (!e->workdir)
		e->workdir = mem_strdup("/");
	if (options->dial)
		e->dial = dial_new(e, options->dial, options->lease_ms);
	if (getpid() == 1)
		orphans_watch(loop);
	e->control_fd = -1;
	if (has_control)
		executor_set_control(e, take_fd(&control_fd));
	else
		e->porter = porter_new(e, options->listen_fd, options->secret, options->lease_ms);
	e->stay = timer_new(loop, on_stay, e);
	timer_set(e->stay, INT32_MAX);
	*ret = e;
	return 0;
}

void executor_run(struct executor *e)
{
	loop_run(e->loop);
}

void executor_free(struct executor *e)
{
	if (!e)
		return;
	struct call *call;
	while ((call = list_first(&e->calls, struct call, link)))
		call_lose(call);
	toolbox_free(e->tools);
	sessions_free_all(e);
	processes_free_all(e);
	clerk_free(e->clerk);
	browser_free(e->browser);
	egress_free(e);
	kernels_free_all(e);
	guests_free_all(e);
	sudo_free(e->sudo);
	files_free(e->files);
	watch_free(e->control_watch);
	dial_free(e->dial);
	porter_free(e->porter);
	orphans_unwatch();
	timer_free(e->stay);
	close_fd(e->control_fd);
	env_fini(&e->env);
	env_names_fini(&e->secrets);
	mask_fini(&e->mask);
	free(e->workdir);
	loop_free(e->loop);
	free(e);
}
