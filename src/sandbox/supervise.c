/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. One thread, one poller, four kinds of events: a signal, a message of the
 * server (desk.c), the end of the server (server.c), the end of a sandbox (stock.c). A server that
 * ends is started again and adopts what lives: nothing of a sandbox depends on the server's life.
 * When there is nothing to do, the pool is refilled.
 */
#include "sandbox/supervise.h"

#include "base/auto.h"
#include "base/clock.h"
#include "base/log.h"
#include "sandbox/canary.h"
#include "sandbox/desk.h"
#include "sandbox/janitor.h"
#include "sandbox/notify.h"
#include "sandbox/place.h"
#include "sandbox/probe.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/wait.h>

enum {
	STOP_MS = 3000,  /* for the server to write out its state */
	SWEEP_MS = 1000, /* for what a killed builder left to be gone */
};

struct supervisor {
	struct poller poller;
	struct source signal_source;
	int signal_fd;
	struct server server;
	struct stock stock;
	struct desk desk;
	pid_t janitor; /* sweeps if we are killed; 0: none */
	int64_t stop_ms; /* when who was asked to end, or is still building, is killed; 0: not stopping */
	bool has_dead;   /* children may have to be waited for */
	bool has_failed; /* the server could not start */
};

static void member_ended(struct stock *stock, struct member *m)
{
	static const char *const reasons[] = {
		[END_DESTROYED] = "destroyed",
		[END_EXITED] = "exited",
		[END_OUT_OF_MEMORY] = "out_of_memory",
		[END_TAKEN] = "taken",
	};
	struct supervisor *s = stock->owner;
	log_info("sandbox.ended", "id=%s reason=%s", m->id, reasons[m->reason]);
	desk_ended(&s->desk, m);
}

static void member_made(struct stock *stock, struct member *m, const struct error *err)
{
	struct supervisor *s = stock->owner;
	desk_made(&s->desk, m, err);
}

/* One that never began to serve would not the next time either: it has said why. */
static void server_ended(struct server *server)
{
	struct supervisor *s = container_of(server, struct supervisor, server);
	desk_close(&s->desk);
	if (s->desk.has_served || s->stop_ms)
		return;
	s->has_failed = true;
	s->stop_ms = clock_mono_ms() + STOP_MS;
	stock_end_all(&s->stock);
}

static void desk_hostile(struct desk *desk)
{
	server_kill(&container_of(desk, struct supervisor, desk)->server);
}

/* Somebody may kill it, too: then there is another one. */
static int start_janitor(struct supervisor *s, struct error *err)
{
	s->janitor = janitor_start(&s->stock.host, NULL, s->stock.crew.life_fds[0], err);
	return s->janitor < 0 ? -1 : 0;
}

static void janitor_ended(struct supervisor *s)
{
	struct error err;
	if (start_janitor(s, &err) < 0) {
		s->janitor = 0;
		log_error("janitor.start", "error=%s", err.text);
		return;
	}
	log_warn("janitor.ended", "text=\"somebody killed it; there is another one\"");
}

static int start_server(struct supervisor *s, struct error *err)
{
	if (server_start(&s->server, err) < 0)
		return -1;
	return desk_open(&s->desk, s->server.monitor_fd, err);
}

static void signal_ready(struct source *source, uint32_t events)
{
	struct supervisor *s = container_of(source, struct supervisor, signal_source);
	struct signalfd_siginfo info;
	if (read(s->signal_fd, &info, sizeof(info)) != sizeof(info))
		return;
	if (info.ssi_signo == SIGCHLD) {
		s->has_dead = true; /* see reap_orphans */
		return;
	}
	log_info("supervisor.stop", "signal=%u sandboxes=%d", info.ssi_signo, s->stock.living);
	notify_say("STOPPING=1");
	if (s->stop_ms) {
		server_kill(&s->server);
		return;
	}
	s->stop_ms = clock_mono_ms() + STOP_MS;
	s->desk.is_closing = true;
	server_stop(&s->server);
	stock_end_all(&s->stock);
}

static int signals_open(struct supervisor *s, struct error *err)
{
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGCHLD);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return error_sys(err, errno, "block signals");
	signal(SIGPIPE, SIG_IGN);
	s->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (s->signal_fd < 0)
		return error_sys(err, errno, "make a signalfd");
	s->signal_source.ready = signal_ready;
	poller_add(&s->poller, &s->signal_source, s->signal_fd, EPOLLIN);
	return 0;
}

static void drop_ended(struct supervisor *s)
{
	struct member *m, *next;
	list_for_each_safe(m, next, &s->stock.members, link) {
		if (m->state == MEMBER_ENDED)
			stock_drop(m);
	}
}

static int until(int64_t when_ms)
{
	int64_t left = when_ms - clock_mono_ms();
	return left < 0 ? 0 : (int)MIN(left, 60000);
}

/* How long there is nothing to do but to wait. */
static int idle_ms(const struct supervisor *s)
{
	if (s->stop_ms)
		return until(s->stop_ms);
	if (stock_wants_refill(&s->stock))
		return 0;
	return s->server.pid == 0 ? until(s->server.restart_ms) : -1;
}

/* Nothing happened for so long. */
static void when_idle(struct supervisor *s)
{
	struct error err;
	if (s->stop_ms)
		return;
	if (s->server.pid == 0 && until(s->server.restart_ms) == 0) {
		if (start_server(s, &err) < 0) {
			log_error("server.start", "error=%s", err.text);
			s->server.restart_ms = clock_mono_ms() + 1000;
		}
		return;
	}
	if (stock_wants_refill(&s->stock))
		stock_refill(&s->stock);
}

static bool is_over(struct supervisor *s)
{
	if (!s->stop_ms)
		return false;
	if (until(s->stop_ms) == 0) {
		server_kill(&s->server);
		crew_kill(&s->stock.crew);
		s->stop_ms = INT64_MAX; /* once is enough */
	}
	drop_ended(s);
	return s->server.pid == 0 && s->stock.count == 0;
}

/* Of one that was killed at work there may be something that the janitor finds when we are gone. */
static bool is_clean(const struct supervisor *s)
{
	int64_t died_ms = s->stock.crew.died_ms;
	return !died_ms || clock_mono_ms() - died_ms >= SWEEP_MS;
}

static void swept(void *ctx, const char *what)
{
	log_info("sweep", "removed=%s", what);
}

/*
 * What an executor leaves behind when it dies becomes ours (see supervise), and pid 1 of its
 * sandbox cannot end before it was waited for. How a process of a sandbox ended is of no interest:
 * its pidfd tells that it did. The server's status is, so that is left alone, and orphans behind it
 * come after it.
 *
 * Only after a SIGCHLD: the kernel looks at every child in turn, and there are thousands.
 *
 * Behind a builder that was killed may come a pid 1 that nobody else knew, and then the lock on its
 * slot is free.
 */
static void reap_orphans(struct supervisor *s)
{
	siginfo_t info = { 0 };
	while (s->has_dead && waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
		info.si_pid > 0) {
		if (info.si_pid == s->server.pid)
			return;
		waitpid(info.si_pid, NULL, 0);
		if (info.si_pid == s->janitor)
			janitor_ended(s);
		info.si_pid = 0;
		if (!is_clean(s))
			launch_sweep(&s->stock.host, false, swept, NULL, NULL);
	}
	s->has_dead = false;
}

static void run(struct supervisor *s)
{
	while (!is_over(s)) {
		if (!poller_turn(&s->poller, idle_ms(s)))
			when_idle(s);
		reap_orphans(s);
	}
}

/* A sandbox takes some 8 descriptors. */
static void raise_nofile(void)
{
	struct rlimit limit;
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
}

static int sweep_and_watch(struct supervisor *s, struct error *err)
{
	if (launch_sweep(&s->stock.host, false, swept, NULL, err) < 0)
		return error_wrap(err, "sweep what a predecessor left");
	if (canary_send(&s->stock.host, USER_AGENT, NULL, err) < 0 ||
		canary_send(&s->stock.host, USER_ROOT, NULL, err) < 0) {
		probe_explain(&s->stock.host, err);
		return error_wrap(err, "nobody is served");
	}
	return start_janitor(s, err);
}

static int start_stock(struct supervisor *s, const struct supervise_config *config,
	const struct place *place, int pool, struct error *err)
{
	struct hostpaths paths = config->host_paths;
	hostpaths_set_home(&paths, getenv("HOME"));
	if (place_add_ours(place, config, &paths, err) < 0)
		return -1;
	return stock_init(&s->stock, &s->poller, pool, &paths, err);
}

static int start(struct supervisor *s, const struct supervise_config *config, struct place *place,
	struct error *err)
{
	bool is_root = geteuid() == 0;
	int pool = config->pool >= 0 ? config->pool : is_root ? 2 : 0;
	if (poller_init(&s->poller, err) < 0 || signals_open(s, err) < 0)
		return -1;
	stock_init_none(&s->stock);
	if (!config->backend && start_stock(s, config, place, pool, err) < 0)
		return -1;
	s->stock.made = member_made;
	s->stock.ended = member_ended;
	s->stock.owner = s;
	list_init(&s->desk.outbox);
	s->desk.poller = &s->poller;
	s->desk.stock = &s->stock;
	s->desk.hostile = desk_hostile;
	bool has_own_uid = !config->backend && s->stock.host.is_root;
	if (server_init(&s->server, &s->poller, place->state_dir, has_own_uid, err) < 0)
		return -1;
	s->server.ended = server_ended;
	s->server.backend = config->backend;
	s->server.pool = config->pool;
	if (place_open(place, config, has_own_uid, &s->server, err) < 0)
		return -1;
	s->desk.state_dir = has_own_uid ? place->state_dir : NULL;
	if (!config->backend && sweep_and_watch(s, err) < 0)
		return -1;
	return start_server(s, err);
}

int supervise(const struct supervise_config *config, struct error *err)
{
	static struct supervisor s;
	struct place place = PLACE_INIT;
	s = (struct supervisor){
		.poller = POLLER_INIT,
		.signal_fd = -1,
		.desk = { .fd = -1, .ready_fd = config->ready_fd, .ready = place.ports },
		.server = SERVER_INIT,
		.stock = STOCK_INIT,
	};
	raise_nofile();
	notify_init();
	/*
	 * Orphans of executors come here instead of to the host's pid 1, which may take its time.
	 */
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	int r = place_find(&place, config, err);
	if (r == 0)
		r = start(&s, config, &place, err);
	if (r == 0) {
		log_info("supervisor.start", "state=%s socket=%s pool=%d", place.state_dir,
			place.socket_path ? place.socket_path : "none", s.stock.pool);
		run(&s);
	}
	if (s.has_failed)
		r = error_set(err, ERROR_UNAVAILABLE,
			"the server could not start with state directory %s%s; its last words are above",
			place.state_dir,
			s.server.has_own_uid ? ", which it calls " SERVER_STATE_DIR : "");
	if (is_clean(&s))
		janitor_stop(s.janitor);
	server_fini(&s.server);
	stock_fini(&s.stock);
	place_fini(&place);
	close_fd(s.signal_fd);
	poller_fini(&s.poller);
	return r;
}
