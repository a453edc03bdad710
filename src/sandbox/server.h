/* SPDX-License-Identifier: Apache-2.0 */
/*
 * server: the unprivileged process that speaks with the world (cayd), as a child of the supervisor.
 *
 * It is started with
 *
 *	cayd --state DIR --listeners N [--docker] [--backend BACKEND --pool N]
 *
 * with descriptor 3 (MONITOR_FD) its end of the monitor's SOCK_SEQPACKET pair, 4 (HOLD_FD) the
 * state directory, which it holds as long as it lives (hold.h), 5 … 5+N-1 (LISTEN_FD) the listening
 * sockets (non-blocking; with --docker the last is that of the Docker Engine API), 0 to 2 those of
 * the supervisor, the supervisor's environment, and nothing else. Where the supervisor is root it
 * runs as SERVER_UID without groups or capabilities, and DIR, which
 * belongs to that uid, is shown to it in a mount namespace of its own; else as the user. It cannot
 * gain privileges, and dies with the supervisor.
 *
 * When it ends it is started again: at once, if it had run for a while; else after a pause that
 * grows.
 */
#pragma once

#include "base/error.h"
#include "base/poller.h"

#include <stdint.h>
#include <sys/types.h>

enum {
	SERVER_UID = 0x2ffffff0,
	BOUNDARY_UID, /* of cay-boundary */
	SERVER_LISTENERS_MAX = 16,
};

/* Where a server with a uid of its own sees the state directory, in its own mount namespace. */
#define SERVER_STATE_DIR "/run/cay/state"

struct server {
	struct source source; /* its pidfd */
	struct poller *poller;
	const char *state_dir;
	bool has_own_uid;
	const char *backend; /* NULL: ours */
	int pool;            /* what a backend of its own keeps ready; -1: its default */
	int program_fd;
	int hold_fd; /* the caller's */
	int n_listeners;
	int listener_fds[SERVER_LISTENERS_MAX];
	bool has_docker; /* the last listener is for the Docker Engine API */
	pid_t pid;       /* 0: not running */
	int pidfd;
	int monitor_fd;     /* ours; non-blocking */
	int64_t started_ms; /* monotonic clock, like all here */
	int64_t restart_ms; /* when to start it again; 0: not planned */
	int64_t pause_ms;
	bool is_stopping;
	void (*ended)(
		struct server *s); /* monitor_fd is still open, to be removed from the poller */
};

#define SERVER_INIT                                                            \
	{                                                                      \
		.program_fd = -1, .hold_fd = -1, .pidfd = -1, .monitor_fd = -1 \
	}

/*
 * In a child of the supervisor that is root: it becomes this user, without groups or capabilities.
 */
int server_become(uid_t uid, struct error *err);
/* Finds the program; takes no descriptor. */
int server_init(struct server *s, struct poller *poller, const char *state_dir, bool has_own_uid,
	struct error *err);
void server_fini(struct server *s);
int server_start(struct server *s, struct error *err);
/* Asks it to end; it is not started again. */
void server_stop(struct server *s);
void server_kill(struct server *s);
