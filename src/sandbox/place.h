/* SPDX-License-Identifier: Apache-2.0 */
/*
 * place: where a supervisor lives: its state directory, held by one supervisor at a time, and the
 * sockets that the server will accept on.
 */
#pragma once

#include "sandbox/supervise.h"

struct place {
	char *state_dir;   /* heap */
	int state_fd;      /* locked; -1 before place_open */
	char *socket_path; /* heap; NULL: none */
	bool has_bound;    /* the socket file is ours to remove */
	char *docker_path; /* heap; NULL: none, or not ours yet */
	/* that the kernel chose where port 0 was asked for, in that order, each after a blank */
	char ports[64];
};

#define PLACE_INIT             \
	{                      \
		.state_fd = -1 \
	}

/* Names, from the configuration and the environment; touches nothing. */
int place_find(struct place *p, const struct supervise_config *config, struct error *err);
/* All of it is lent to no sandbox. */
int place_add_ours(const struct place *p, const struct supervise_config *config,
	struct hostpaths *paths, struct error *err);
/* Makes and locks the directory, opens the sockets into server->listener_fds. */
int place_open(struct place *p, const struct supervise_config *config, bool has_own_uid,
	struct server *server, struct error *err);
void place_fini(struct place *p);
