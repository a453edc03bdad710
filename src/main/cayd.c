/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cayd: the server. Started by the supervisor, see sandbox/server.h for what it is given: the monitor's
 * socket as descriptor 3, listening sockets from 4 on, and a state directory that belongs to it. With a
 * --backend of its own it asks nothing of the supervisor, and only tells it that it is up.
 */
#include "base/log.h"
#include "base/num.h"
#include "event/loop.h"
#include "http/server.h"
#include "main/docker_server.h"
#include "main/faces.h"
#include "main/guarding.h"
#include "main/harden.h"
#include "main/settings.h"
#include "runtime/backend.h"
#include "runtime/git.h"
#include "runtime/backends.h"
#include "runtime/runtime.h"
#include "runtime/token.h"
#include "version.h"

#include <getopt.h>
#include <signal.h>

enum { LISTENERS_MAX = 16, GRACE_MS = 500 };

static struct {
	const char *state_dir;
	bool has_docker;     /* the last listener is for the Docker Engine API */
	const char *backend; /* NULL: native */
	int64_t n_listeners, pool;
	struct loop *loop;
	struct runtime *runtime;
	struct http_server *http;
	struct timer *grace;
	char *token;
	struct error error; /* what ended it; ERROR_OK: it was asked to */
} d;

static int parse_one(int letter, struct error *err)
{
	switch (letter) {
	case 's':
		d.state_dir = optarg;
		return 0;
	case 'b':
		d.backend = optarg;
		return 0;
	case 'd':
		d.has_docker = true;
		return 0;
	case 'n':
		return num_parse_i64(str_from(optarg), 0, LISTENERS_MAX, &d.n_listeners, err);
	case 'p':
		return num_parse_i64(str_from(optarg), 0, INT32_MAX, &d.pool, err);
	default:
		return error_set(err, ERROR_INVALID, "cayd is started by `cay serve`");
	}
}

static int parse(int argc, char **argv, struct error *err)
{
	static const struct option options[] = {
		{ "state", required_argument, NULL, 's' },
		{ "listeners", required_argument, NULL, 'n' },
		{ "docker", no_argument, NULL, 'd' },
		{ "backend", required_argument, NULL, 'b' },
		{ "pool", required_argument, NULL, 'p' },
		{ 0 },
	};
	int letter;
	while ((letter = getopt_long(argc, argv, "", options, NULL)) != -1)
		if (parse_one(letter, err) < 0)
			return -1;
	return d.state_dir ? 0 : error_set(err, ERROR_INVALID, "cayd is started by `cay serve`");
}

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

static void on_started(void *arg, const struct error *err)
{
	int fds[LISTENERS_MAX];
	for (int i = 0; i < d.n_listeners; i++)
		fds[i] = MONITOR_FD + 1 + i;
	const struct http_config config = {
		.listen_fds = fds,
		.n_listen_fds = (int)d.n_listeners - d.has_docker,
		.token = d.token,
	};
	if (err || http_server_new(d.loop, &config, &d.http, &d.error) < 0 ||
		(d.has_docker &&
			docker_server_open(d.loop, d.runtime, fds[d.n_listeners - 1], &d.error) <
				0)) {
		if (err)
			d.error = *err;
		stop(NULL);
		return;
	}
	faces_open(d.runtime, d.http);
	if (d.backend)
		native_greet(MONITOR_FD);
	log_info("server.ready", "version=%s listeners=%d", CAY_VERSION, (int)d.n_listeners);
}

static int make_backend(struct backend **ret, struct error *err)
{
	const struct backend_choice choice = { .name = d.backend, .warm = (int)d.pool };
	if (d.backend)
		return backend_open(d.loop, &choice, ret, err);
	*ret = native_backend_new(d.loop, MONITOR_FD);
	return 0;
}

static int serve(struct error *err)
{
	struct gate *gate;
	struct backend *backend;
	if (harden(d.state_dir, !d.backend, err) < 0 || settings_load(err) < 0 ||
		token_load(d.state_dir, &d.token, err) < 0 || loop_new(&d.loop, err) < 0 ||
		guarding_open(d.loop, d.state_dir, &gate, err) < 0 ||
		make_backend(&backend, err) < 0)
		return -1;
	const struct json *create = settings_of_server("create");
	if (json_len(create) && create_set_standards(create, err) < 0)
		return error_wrap(err, "configuration");
	git_set_standards(settings_of_server("git"));
	if (json_bool(settings_of_server("debug")))
		log_set_level(LOG_DEBUG);
	const struct runtime_config config = {
		.loop = d.loop,
		.backend = backend,
		.state_dir = d.state_dir,
		.on_lost = on_lost,
		.gate = gate,
	};
	if (runtime_new(&config, &d.runtime, err) < 0)
		return -1;
	d.grace = timer_new(d.loop, stop, NULL);
	struct signal_watch *term = signal_new(d.loop, SIGTERM, on_signal, NULL);
	struct signal_watch *interrupt = signal_new(d.loop, SIGINT, on_signal, NULL);
	runtime_start(d.runtime, on_started, NULL);
	loop_run(d.loop);
	signal_free(term);
	signal_free(interrupt);
	timer_free(d.grace);
	http_server_free(d.http);
	docker_server_close();
	faces_close();
	runtime_free(d.runtime);
	guarding_close();
	settings_drop();
	loop_free(d.loop);
	free(d.token);
	*err = d.error;
	return err->code == ERROR_OK ? 0 : -1;
}

int main(int argc, char **argv)
{
	struct error err;
	log_init("cayd");
	if (parse(argc, argv, &err) == 0 && serve(&err) == 0)
		return 0;
	log_error("server.failed", "%s", err.text);
	return error_exit(err.code);
}
