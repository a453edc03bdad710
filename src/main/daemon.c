/* SPDX-License-Identifier: Apache-2.0 */
#include "main/daemon.h"

#include "base/arena.h"
#include "base/auto.h"
#include "base/log.h"
#include "config/settings.h"
#include "event/loop.h"
#include "http/server.h"
#include "main/docker_server.h"
#include "main/faces.h"
#include "main/guarding.h"
#include "main/harden.h"
#include "main/settings.h"
#include "runtime/backend.h"
#include "runtime/backends.h"
#include "runtime/git.h"
#include "runtime/kube/kube.h"
#include "runtime/runtime.h"
#include "runtime/token.h"
#include "version.h"

#include <fcntl.h>
#include <signal.h>

enum { GRACE_MS = 500, NAMES_BYTES_MAX = 256 * 1024 };

static struct {
	struct daemon_options options;
	struct loop *loop;
	struct runtime *runtime;
	struct http_server *http;
	struct timer *grace;
	char *token;
	struct error error; /* what ended it; ERROR_OK: it was asked to */
} d;

static void stop(void *arg)
{
	loop_stop(d.loop);
}

/* Lets what is being answered be answered; event streams would go on for ever. */
static void on_signal(void *arg)
{
	if (!d.http || http_server_stats(d.http).requests + docker_server_requests() == 0) {
		stop(NULL);
		return;
	}
	http_server_stop(d.http);
	docker_server_stop();
	timer_set(d.grace, GRACE_MS);
}

static void on_lost(void *arg, const struct error *err)
{
	d.error = *err;
	stop(NULL);
}

/* Whoever reaches us by such a name does it by a proxy that ends TLS, or without one. */
static void get_names(struct arena *arena, const char *hosts[SETTINGS_NAMES_MAX + 1],
	const char *origins[2 * SETTINGS_NAMES_MAX + 1])
{
	const struct json *names = settings_of_server("names");
	size_t n = names ? json_len(names) : 0;
	for (size_t i = 0; i < n && i < SETTINGS_NAMES_MAX; i++) {
		hosts[i] = arena_str(arena, json_str(json_at(names, i)));
		origins[2 * i] = arena_printf(arena, "http://%s", hosts[i]);
		origins[2 * i + 1] = arena_printf(arena, "https://%s", hosts[i]);
	}
}

static void on_started(void *arg, const struct error *err)
{
	auto_arena struct arena arena = ARENA_INIT(NAMES_BYTES_MAX);
	const char *hosts[SETTINGS_NAMES_MAX + 1] = { 0 };
	const char *origins[2 * SETTINGS_NAMES_MAX + 1] = { 0 };
	int fds[DAEMON_LISTENERS_MAX];
	get_names(&arena, hosts, origins);
	for (int i = 0; i < d.options.n_listeners; i++)
		fds[i] = LISTEN_FD + i;
	const struct http_config config = {
		.listen_fds = fds,
		.n_listen_fds = (int)d.options.n_listeners - d.options.has_docker,
		.token = d.token,
		.hosts = hosts,
		.origins = origins,
	};
	if (err || http_server_new(d.loop, &config, &d.http, &d.error) < 0 ||
		(d.options.has_docker &&
			docker_server_open(d.loop, d.runtime, fds[d.options.n_listeners - 1],
				&d.error) < 0)) {
		if (err)
			d.error = *err;
		stop(NULL);
		return;
	}
	/*
	 * Before the faces, which may ask for more sandboxes at once than the socket has room for.
	 */
	if (d.options.backend)
		native_greet(MONITOR_FD);
	native_tell_ready(MONITOR_FD);
	faces_open(d.runtime, d.http);
	log_info("server.ready", "version=%s listeners=%d", CAY_VERSION,
		(int)d.options.n_listeners);
}

static int make_backend(struct backend **ret, struct error *err)
{
	const struct backend_choice choice = { .name = d.options.backend,
		.state_dir = d.options.state_dir,
		.warm = (int)d.options.pool,
		.container = settings_of_server("container") };
	if (d.options.backend)
		return backend_open(d.loop, &choice, ret, err);
	*ret = native_backend_new(d.loop, MONITOR_FD);
	return 0;
}

/* Backends that start programs are no reason for those to have what is ours. */
static void keep_descriptors(void)
{
	for (int fd = MONITOR_FD; fd < LISTEN_FD + (int)d.options.n_listeners; fd++)
		fcntl(fd, F_SETFD, FD_CLOEXEC);
}

/* An engine or a cluster is only spoken to; the others start programs, or belong to their user. */
static int lock_down(const char *state_dir, const char *name, struct error *err)
{
	char *readable[KUBE_READS_MAX + 1] = { 0 };
	bool is_cluster = name && str_starts(str_from(name), STR("kubernetes"));
	bool is_confined = !name || is_cluster || str_starts(str_from(name), STR("docker"));
	const char *equals = name ? strchr(name, '=') : NULL;
	int r = is_cluster ? kube_reads(equals ? equals + 1 : NULL, readable, err) : 0;
	if (r == 0)
		r = harden(state_dir, is_confined, (const char *const *)readable, err);
	for (int i = 0; i < KUBE_READS_MAX; i++)
		free(readable[i]);
	return r;
}

/* What is to be there before the runtime is. */
static int prepare(struct gate **ret_gate, struct backend **ret_backend, struct error *err)
{
	const char *state_dir = d.options.state_dir;
	const char *name = d.options.backend;
	if (lock_down(state_dir, name, err) < 0 || settings_load(err) < 0 ||
		token_load(state_dir, &d.token, err) < 0 || loop_new(&d.loop, err) < 0 ||
		guarding_open(d.loop, state_dir, ret_gate, err) < 0 ||
		make_backend(ret_backend, err) < 0)
		return -1;
	const struct json *create = settings_of_server("create");
	if (json_len(create) && create_set_standards(create, err) < 0)
		return error_wrap(err, "configuration");
	git_set_standards(settings_of_server("git"));
	if (json_bool(settings_of_server("debug")))
		log_set_level(LOG_DEBUG);
	return 0;
}

static void close_all(void)
{
	timer_free(d.grace);
	http_server_free(d.http);
	docker_server_close();
	faces_close();
	runtime_free(d.runtime);
	guarding_close();
	settings_drop();
	loop_free(d.loop);
	free(d.token);
}

int daemon_run(const struct daemon_options *options, struct error *err)
{
	struct gate *gate;
	struct backend *backend;
	d.options = *options;
	keep_descriptors();
	if (prepare(&gate, &backend, err) < 0)
		return -1;
	const struct runtime_config config = {
		.loop = d.loop,
		.backend = backend,
		.state_dir = options->state_dir,
		.on_lost = on_lost,
		.gate = gate,
	};
	if (runtime_new(&config, &d.runtime, err) < 0 ||
		runtime_set_recipe(d.runtime, settings_of_server("image"), err) < 0)
		return -1;
	loop_start_workers(d.loop); /* before others have used up what this user may have */
	d.grace = timer_new(d.loop, stop, NULL);
	struct signal_watch *term = signal_new(d.loop, SIGTERM, on_signal, NULL);
	struct signal_watch *interrupt = signal_new(d.loop, SIGINT, on_signal, NULL);
	runtime_start(d.runtime, on_started, NULL);
	loop_run(d.loop);
	signal_free(term);
	signal_free(interrupt);
	close_all();
	*err = d.error;
	return err->code == ERROR_OK ? 0 : -1;
}
