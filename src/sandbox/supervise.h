/* SPDX-License-Identifier: Apache-2.0 */
/*
 * supervise: the program cay-supervisor, as one function: opens the sockets, starts the server, and
 * makes, hands out and takes down sandboxes as the server asks (monitor.h), until SIGTERM or
 * SIGINT.
 *
 * One supervisor per state directory (flock on the directory itself). As root: state in
 * /var/lib/cay, socket /run/cay/cay.sock; else $XDG_STATE_HOME/cay or ~/.local/state/cay, and
 * $XDG_RUNTIME_DIR/cay/cay.sock or cay.sock in the state directory. With a `backend` there are no
 * sandboxes of ours: the server runs as the caller, and nothing is asked of this machine's
 * namespaces. What a killed predecessor left is swept away at the start.
 */
#pragma once

#include "base/error.h"
#include "sandbox/hostpath.h"
#include "sandbox/server.h"

struct supervise_config {
	const char *state_dir;   /* NULL: the default */
	const char *socket_path; /* NULL: the default; "none" */
	int n_listen;            /* 0: 127.0.0.1:8000 */
	const char
		*listen[SERVER_LISTENERS_MAX - 2]; /* HOST:PORT; "none" alone: on the socket only */
	const char *docker; /* "unix:PATH": a socket for the Docker Engine API; NULL: none */
	const char *
		backend; /* of the server, which makes its own sandboxes then; NULL: we make them */
	struct hostpaths host_paths; /* what sandboxes may be given of the host */
	int pool;                    /* sandboxes kept ready; -1: 2 as root, else none */
	/*
	 * Gets a line, and is closed, when the server is up for the first time; or -1. The line
	 * holds the ports that the kernel chose where port 0 was to be listened on, each after a
	 * blank.
	 */
	int ready_fd;
};

int supervise(const struct supervise_config *config, struct error *err);
