/* SPDX-License-Identifier: Apache-2.0 */
/*
 * desk: where the server's requests (monitor.h) are served from the stock. It outlives the server:
 * it is opened with the socket of each one that is started, and closed when that one has ended.
 */
#pragma once

#include "sandbox/stock.h"

enum { LETTER_FDS = 2 };

struct letter {
	struct list link; /* desk::outbox */
	struct monitor_reply reply;
	int fds[LETTER_FDS]; /* to go with it, or -1; duplicates of our own */
};

struct desk {
	struct source source;
	struct poller *poller;
	struct stock *stock;
	const char *
		state_dir; /* where the server sees it as SERVER_STATE_DIR; NULL: it sees it as it is */
	int fd;            /* of the server's socket, which belongs to `struct server` */
	int ready_fd; /* gets `ready` and the end of its line, and is closed, at the first HELLO; or -1 */
	const char *ready;
	bool has_served;                 /* a server has said HELLO, now or before */
	struct list outbox;              /* letters */
	uint32_t events;                 /* that are waited for */
	bool has_greeted;                /* HELLO came */
	bool is_watching;                /* fd is in the poller */
	bool is_closing;                 /* nothing is made any more */
	int untold;                      /* ENDED members that the server has to be told of */
	void (*hostile)(struct desk *d); /* the server broke the protocol: end it */
};

int desk_open(struct desk *d, int fd, struct error *err);
void desk_close(struct desk *d);
/* From the stock: answers who asked for it. */
void desk_made(struct desk *d, struct member *m, const struct error *err);
/* From the stock: tells the server, now or when there is one, and drops the member then. */
void desk_ended(struct desk *d, struct member *m);
