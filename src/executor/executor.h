/* SPDX-License-Identifier: Apache-2.0 */
/*
 * executor: what serves one sandbox. It owns the loop, the control socket, the calls, the sessions
 * and the processes; every verb reaches them through call->executor.
 *
 * The control socket is SOCK_SEQPACKET. A message of one byte 'C' with one descriptor attached, a
 * connected stream socket, is a new call (executor/call.h). When the control socket ends the
 * executor goes on: a server that comes back gets the same socket again from the supervisor. The
 * executor dies with the supervisor, by the parent death signal that it was started with.
 *
 * One thread. The executor cannot make threads (its children go to another pid namespace), and it
 * must not block on anything the sandbox controls: opens are O_NONBLOCK, heavy work goes to forked
 * workers.
 */
#pragma once

#include "base/buf.h"
#include "base/list.h"
#include "event/loop.h"
#include "executor/env.h"
#include "executor/limit.h"
#include "executor/spawn.h"
#include "executor/user.h"
#include "wire/mask.h"

enum {
	EXECUTOR_CALLS_MAX = 1024,
	EXECUTOR_SESSIONS_MAX = 64,
	EXECUTOR_PROCESSES_MAX = 512, /* running ones */
	EXECUTOR_CELLS_MAX = EXECUTOR_SESSIONS_MAX * 50 *
		1000, /* of the terminals of all sessions */
};

struct browser; /* executor/browser.h */
struct files;   /* executor/files.h */
struct toolbox; /* executor/toolbox.h */
struct sudo;    /* executor/sudo.h */
struct dial;    /* executor/dial.h */
struct porter;  /* executor/porter.h */
struct clerk;   /* executor/clerk.h */

struct executor {
	struct loop *loop;
	int control_fd;
	struct watch *control_watch;
	struct dial *dial;     /* NULL: the control socket was given to it */
	struct porter *porter; /* NULL: calls come over the control socket */
	struct timer *stay;    /* keeps the loop alive when nothing else does */
	struct list calls;     /* call::link */
	size_t n_calls;
	struct list sessions; /* session::link */
	size_t n_sessions;
	struct list processes; /* process::link, oldest first */
	struct list guests;    /* guest::link */
	struct list killings;  /* killing::link; the first is at work */
	size_t n_running, n_retained;
	size_t logs_bytes;     /* of all processes: process_budget.h */
	struct list kernels;   /* kernel::link */
	struct list templates; /* of kernels; template::link */
	size_t n_kernels, n_templates;
	int n_watches;            /* calls of the verb watch */
	int64_t next_fresh;       /* number of the next throw-away session */
	int64_t next_process;     /* number of the next process id */
	char *workdir;            /* absolute; where sessions and processes start */
	struct env env;           /* what every child gets */
	struct env_names secrets; /* variables whose values are masked in reports */
	struct mask mask;         /* their values */
	struct user user;         /* who children run as */
	struct confine confine;   /* what every child puts on */
	struct limits limits;
	struct files *files;
	struct toolbox *tools;
	struct clerk *clerk;     /* NULL: not needed yet */
	struct sudo *sudo;       /* NULL: nobody can become root */
	struct browser *browser; /* NULL until the first use */
	struct egress *egress;   /* NULL: nothing goes out through us */
	int64_t started_ms;      /* monotonic */
	bool is_stateless;       /* see executor_options */
	bool is_bare;            /* on the host itself: its system is nobody's to change */
	bool was_called;
	int64_t last_call_ms; /* monotonic: when the last call came */
};

struct executor_options {
	int control_fd; /* SOCK_SEQPACKET; taken */
	const char *
		dial; /* where it connects to again, and how long it stays without: executor/dial.h */
	const char *secret; /* calls come to a port instead: executor/porter.h; NULL: they do not */
	int listen_fd;      /* of that port; taken */
	int64_t lease_ms;
	const char *workdir; /* NULL: the current directory */
	int root_fd;         /* of the files that verbs see; taken; -1: "/" */
	int layer_fd;        /* the upper layers, where they may be taken as one; taken; -1: no */
	const char *place; /* where root_fd is, if the file verbs take the host's paths; or NULL */
	bool walks;        /* resolve paths without openat2 */
	bool inherits;     /* children get the executor's own environment, but for what is ours */
	bool is_stateless; /* every run is in a shell of its own; nothing can be typed */
	struct confine confine;
	struct limits limits;
};

int executor_new(const struct executor_options *options, struct executor **ret, struct error *err);
/* Serves until loop_stop; in the program that is for ever. */
void executor_run(struct executor *e);
/* Ends every session and process, drops every call. */
void executor_free(struct executor *e);

/* An absolute path (heap): relative ones begin at the workdir; an empty one is it. */
char *executor_path(const struct executor *e, struct str path);
/* The server is back, over another control socket, which is taken. */
void executor_set_control(struct executor *e, int fd);
/* From now on children run as this user; USER, LOGNAME, HOME and SHELL follow. */
void executor_set_user(struct executor *e, const struct user *user);
/* Tells every subscriber: a whole JSON object (events in action/executor_actions.h). */
void executor_emit(struct executor *e, struct str event_json);
