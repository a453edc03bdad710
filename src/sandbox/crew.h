/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crew: the processes that build sandboxes for the supervisor, so that it never waits for one: to
 * build a sandbox is mostly waiting for the processes in it.
 *
 * What they build belongs to the supervisor from the first moment: its processes are the
 * supervisor's children and end with it, its descriptors are handed over. A builder keeps nothing
 * of what it has built. One that dies takes the sandbox that it was at with it, and is started
 * again when there is work. An image that comes as an archive keeps one builder busy for as long as
 * it takes to unpack it.
 */
#pragma once

#include "base/poller.h"
#include "sandbox/hostpath.h"
#include "sandbox/launch.h"

enum { CREW_SIZE = 3 };

struct crew;

struct builder {
	struct source source;
	struct crew *crew;
	pid_t pid; /* 0: not started */
	int pidfd; /* it is signalled by this: it may have been waited for with the orphans */
	int sock;
	void *job;      /* what it is at, or NULL */
	struct box box; /* of the job: what is known so far */
};

struct crew {
	struct poller *poller;
	const struct host *host;
	const struct hostpaths *paths; /* where mounts and images may lie */
	int executor_fd;
	int ids_fd;      /* the user namespace to build in; -1: ours */
	int life_fds[2]; /* a pipe: the second is with all that build, the first with the janitor */
	int end_fds[2];  /* a pipe: the first is with every pid 1, the second with the supervisor */
	int64_t died_ms; /* when a builder last died at work; 0: never */
	struct builder builders[CREW_SIZE];
	/*
	 * A job is over. err NULL: *box is the caller's, with the server's end of the control
	 * socket. Else there is nothing, or (box->init_pid) something that has been killed and has
	 * to be waited for.
	 */
	void (*built)(struct crew *crew, void *job, const struct box *box, int control_fd,
		const struct error *err);
	void *owner;
};

#define CREW_INIT                                              \
	{                                                      \
		.life_fds = { -1, -1 }, .end_fds = { -1, -1 }, \
	}

/*
 * Starts them; host, paths and the descriptors stay the caller's. On failure crew_fini is to be
 * called as well.
 */
int crew_init(struct crew *c, struct poller *poller, const struct host *host,
	const struct hostpaths *paths, int executor_fd, int ids_fd, struct error *err);
void crew_fini(struct crew *c); /* no job may be under way */
/* Who is at work; `built` follows for each, with an error. */
void crew_kill(struct crew *c);

bool crew_has_idle(const struct crew *c);
/* Gives the spec to an idle one; `built` follows. */
int crew_build(struct crew *c, const struct spec *spec, void *job, struct error *err);
