/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cay-executor: serves one sandbox. Started by the supervisor inside the sandbox's namespaces, but
 * for the pid namespace, with the control socket as descriptor 3:
 *
 *	cay-executor [--workdir DIR] [--cgroup-fd N | --tasks-fds A,B,…] [--lock-fd N]
 *		[--memory-fd N] [--pids-fd N] [--layer-fd N] [--root DIR] [--resolve walk]
 *
 * --root: the file verbs see DIR as "/". --resolve walk: as on kernels without openat2.
 *
 * Where there is no sandbox around it (backends local and cli) it is started with
 *
 *	--kind local|cli --lifeline-fd N --workspace DIR [--temporary DIR]
 *
 * and has a keeper (base/keeper.h); the file verbs take the host's paths, but only those in the
 * workspace.
 *
 * In a container of an engine it is pid 1 and begins as root, with
 *
 *	--dial SOCKET --workdir DIR [--user USER] --lease-ms N
 *
 * and connects to its server: wire/dial.h, executor/settle.h. In a pod of a cluster it is pid 1
 * with
 *
 *	--listen [ADDRESS:]PORT [--workdir DIR] --lease-ms N
 *
 * and waits for its server there: wire/door.h, whose secret is in CAY_DOOR_SECRET. Before that
 *
 *	--install DIR
 *
 * copied it there.
 */
#include "base/auto.h"
#include "base/keeper.h"
#include "base/log.h"
#include "base/num.h"
#include "executor/dial.h"
#include "executor/pod.h"
#include "executor/porter.h"
#include "executor/settle.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/stat.h>

enum {
	CONTROL_FD = 3,
	FD_NUMBER_MAX = 1 << 20,
	LEASE_STANDARD_MS = 600000,
	LEASE_MAX_MS = 1 << 30
};

static struct settle settle;
static char secret[SHA256_HEX_SIZE];

static int take_number(struct str s, int *ret_fd, struct error *err)
{
	int64_t n;
	if (num_parse_i64(s, CONTROL_FD + 1, FD_NUMBER_MAX, &n, err) < 0)
		return -1;
	if (fcntl((int)n, F_SETFD, FD_CLOEXEC) < 0)
		return error_sys(err, errno, "descriptor %d", (int)n);
	*ret_fd = (int)n;
	return 0;
}

static int take_tasks(struct str list, struct confine *c, struct error *err)
{
	struct str piece;
	while (str_split(&list, ',', &piece)) {
		if (c->n_tasks == CONFINE_TASKS_MAX)
			return error_set(err, ERROR_INVALID, "more than %d cgroups",
				CONFINE_TASKS_MAX);
		if (take_number(piece, &c->tasks_fds[c->n_tasks], err) < 0)
			return -1;
		c->n_tasks++;
	}
	return 0;
}

static int take_lock(struct str number, struct confine *c, struct error *err)
{
	int fd;
	if (take_number(number, &fd, err) < 0 || lock_open(fd, &c->lock, err) < 0)
		return -1;
	c->has_lock = true;
	close(fd);
	return 0;
}

static int open_root(const char *path, struct executor_options *o, struct error *err)
{
	o->root_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return o->root_fd < 0 ? error_sys(err, errno, "open %s", path) : 0;
}

static int take_kind(struct str kind, struct executor_options *o, struct error *err)
{
	o->inherits = true;
	o->is_stateless = str_is(kind, "cli");
	return o->is_stateless || str_is(kind, "local")
		? 0
		: error_set(err, ERROR_INVALID, "local, cli");
}

static int take_dial(const char *path, struct executor_options *o)
{
	o->dial = path;
	o->control_fd = -1;
	o->inherits = true; /* the image's variables */
	return 0;
}

static int take_port(struct str where, struct executor_options *o, struct error *err)
{
	if (porter_take_secret(secret, err) < 0 || porter_listen(where, &o->listen_fd, err) < 0)
		return -1;
	o->secret = secret;
	o->control_fd = -1;
	o->inherits = true;
	return 0;
}

static int parse(int argc, char **argv, struct executor_options *o, struct keeper *keeper,
	struct error *err)
{
	for (int i = 1; i < argc; i++) {
		struct str option = str_from(argv[i]);
		int r;
		if (i + 1 == argc)
			return error_set(err, ERROR_INVALID, "unknown option or no value: %s",
				argv[i]);
		struct str value = str_from(argv[++i]);
		if (str_is(option, "--workdir")) {
			o->workdir = value.ptr;
			r = 0;
		} else if (str_is(option, "--dial")) {
			r = take_dial(value.ptr, o);
		} else if (str_is(option, "--listen")) {
			r = take_port(value, o, err);
		} else if (str_is(option, "--user")) {
			settle.user = value.ptr;
			r = 0;
		} else if (str_is(option, "--lease-ms")) {
			r = num_parse_i64(value, 1, LEASE_MAX_MS, &o->lease_ms, err);
		} else if (str_is(option, "--cgroup-fd")) {
			r = take_number(value, &o->confine.cgroup_fd, err);
		} else if (str_is(option, "--tasks-fds")) {
			r = take_tasks(value, &o->confine, err);
		} else if (str_is(option, "--lock-fd")) {
			r = take_lock(value, &o->confine, err);
		} else if (str_is(option, "--memory-fd")) {
			r = take_number(value, &o->limits.memory_fd, err);
		} else if (str_is(option, "--pids-fd")) {
			r = take_number(value, &o->limits.pids_fd, err);
		} else if (str_is(option, "--layer-fd")) {
			r = take_number(value, &o->layer_fd, err);
		} else if (str_is(option, "--root")) {
			r = open_root(value.ptr, o, err);
		} else if (str_is(option, "--kind")) {
			r = take_kind(value, o, err);
		} else if (str_is(option, "--lifeline-fd")) {
			r = take_number(value, &keeper->lifeline_fd, err);
		} else if (str_is(option, "--workspace")) {
			o->place = o->workdir = value.ptr;
			r = open_root(value.ptr, o, err);
		} else if (str_is(option, "--temporary")) {
			keeper->temporary = value.ptr;
			r = 0;
		} else if (str_is(option, "--resolve") && str_is(value, "walk")) {
			o->walks = true;
			r = 0;
		} else {
			return error_set(err, ERROR_INVALID, "unknown option %s", option.ptr);
		}
		if (r < 0)
			return error_wrap(err, "%s", option.ptr);
	}
	return 0;
}

/* Descriptors 0 to 2 exist, so that nothing else is taken for them. */
static void fill_stdio(void)
{
	int fd;
	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd < CONTROL_FD);
	close_fd(fd);
}

/* Before anything else runs in its container, which is what makes it the one. */
static int dial(struct executor_options *o, struct error *err)
{
	settle.workdir = o->workdir ?: "/workspace";
	o->workdir = settle.workdir;
	if (dial_connect(o->dial, STR_NONE, &o->control_fd, err) < 0)
		return -1;
	settle_limits(&o->limits);
	return settle_in(&settle, err);
}

/* As who the pod says. */
static int move_in(struct executor_options *o, struct error *err)
{
	settle.workdir = o->workdir ?: pod_workdir();
	o->workdir = settle.workdir;
	pod_set_home();
	settle_limits(&o->limits);
	return settle_in(&settle, err);
}

static int install(const char *dir)
{
	struct error err;
	if (pod_install(dir, &err) == 0)
		return EXIT_SUCCESS;
	pod_tell_failure(&err);
	log_error("executor.install", "error=%s", err.text);
	return error_exit(err.code);
}

/*
 * Not dumpable: what it forks is for a moment, before it executes or locks itself in, a process of
 * the agent's with all of the executor's descriptors, which nobody inside may look into or trace.
 */
int main(int argc, char **argv)
{
	struct executor_options options = { .control_fd = CONTROL_FD,
		.root_fd = -1,
		.layer_fd = -1,
		.confine.cgroup_fd = -1,
		.limits = LIMITS_INIT,
		.lease_ms = LEASE_STANDARD_MS };
	struct keeper keeper = { .lifeline_fd = -1, .given_fd = CONTROL_FD };
	struct executor *executor;
	struct error err;
	log_init("cay-executor");
	fill_stdio();
	if (argc == 3 && str_is(str_from(argv[1]), "--install"))
		return install(argv[2]);
	if (prctl(PR_SET_DUMPABLE, 0) < 0 && error_sys(&err, errno, "keep others out") < 0)
		goto out;
	if (parse(argc, argv, &options, &keeper, &err) < 0)
		goto out;
	if (!options.dial && !options.secret && fcntl(CONTROL_FD, F_SETFD, FD_CLOEXEC) < 0 &&
		error_sys(&err, errno, "control socket") < 0)
		goto out;
	if ((options.dial && dial(&options, &err) < 0) ||
		(options.secret && move_in(&options, &err) < 0))
		goto out;
	options.confine.lock.layer_fd = options.layer_fd;
	if (keeper.lifeline_fd >= 0 && keeper_start(&keeper, &err) < 0)
		goto out;
	if (executor_new(&options, &executor, &err) < 0)
		goto out;
	if (executor->confine.has_lock && lock_enter(&executor->confine.lock, &err) < 0)
		goto out;
	if (options.dial && dial_tell_ready(executor->control_fd, &err) < 0)
		goto out;
	executor_run(executor);
	executor_free(executor);
	return EXIT_SUCCESS;
out:
	if (options.dial && options.control_fd >= 0)
		dial_tell_failure(options.control_fd, &err);
	if (getenv("CAY_POD"))
		pod_tell_failure(&err);
	log_error("executor.failed", "error=%s", err.text);
	return error_exit(err.code);
}
