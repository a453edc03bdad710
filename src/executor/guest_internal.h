/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guest_internal: what guest.c (their lives, and what comes from them), guest_request.c (what that
 * means) and guest_start.c (which makes them) share.
 */
#pragma once

#include "executor/guest.h"
#include "executor/guest_channel.h"

enum { GUEST_LAST_WORDS_MAX = 4096, GUEST_WHAT_MAX = 80, GUEST_EARLY_MAX = 16 };

struct guest_status {
	pid_t pid;  /* 0: none */
	int status; /* of waitpid */
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
	char what[GUEST_WHAT_MAX];
	const struct guest_ops *ops; /* NULL: nobody listens any more */
	void *arg;
	struct guest *parent; /* it was forked from; NULL: it is our child, or its parent is gone */
	bool is_forked;
	struct child child; /* own_pid 0: not known yet; pidfd -1 */
	struct watch *child_watch;
	struct guest_channel channel;
	struct guest_pipe out[2];
	int bell_fd;          /* -1: it has none */
	struct list requests; /* guest_request::link */
	size_t n_requests;
	uint32_t next_id;
	struct timer *timer;
	struct buf last_words; /* what came on descriptor 2 since a request has ended */
	bool was_heard;        /* it was forked, and is or was there */
	bool has_exited, has_status, is_finished;
	int exit_code, signo; /* one counts: signo if not 0 */
	const char *limit;    /* of the sandbox, that it ran into when it ended; or NULL */
	int early_signo;      /* for when it is known who it is */
	/* What it told of forks before they were heard themselves, the oldest overwritten. */
	struct guest_status early[GUEST_EARLY_MAX];
	unsigned n_early;
	int n_holds;
	bool is_freed; /* as soon as nobody holds it */
};

/* guest_request.c: the callers hold the guest, which may be freed meanwhile. */
void guest_dispatch(struct guest *g, const struct guest_packet *p);
void guest_fail_all(struct guest *g, const struct error *reason);
void guest_forget_all(struct guest *g);

/* Callbacks of what a guest watches. With events 0 guest_on_exit has its parent's word alone. */
void guest_on_channel(void *arg, int events);
void guest_on_pipe(void *arg, int events); /* arg: struct guest_pipe */
void guest_on_exit(void *arg, int events);
