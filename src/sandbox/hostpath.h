/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hostpath: which files of the host a sandbox may be given, as mounts, as its image and as layers of it. The
 * supervisor was told when it was started; no server can change it, so one that was taken over gets no more of the
 * host than its operator meant to lend.
 *
 *	STANDARD  all but what the system or a login runs or reads: /etc, /usr, /var and their like, home
 *	          directories themselves, and what has a name that begins with '.' beneath one
 *	LISTED    what lies beneath certain directories
 *	ANY       everything
 *
 * What counts is where a path leads, links followed. The directories in `own` are always allowed: the server's state,
 * with its layers, and unpacked archives.
 */
#pragma once

#include "sandbox/host.h"

enum { HOSTPATHS_MAX = 16 };

enum hostpaths_kind { HOSTPATHS_STANDARD = 0, HOSTPATHS_LISTED, HOSTPATHS_ANY };

struct hostpaths {
	enum hostpaths_kind kind;
	int n, n_own;
	char dirs[HOSTPATHS_MAX][HOST_PATH_SIZE];
	char own[2][HOST_PATH_SIZE];
	char home[HOST_PATH_SIZE]; /* of who runs the supervisor; "": unknown */
};

/* A directory more, "any", or "none": nothing but what else is named. ERROR_INVALID: it is not there. */
int hostpaths_add(struct hostpaths *p, const char *word, struct error *err);
/* One of our own, which need not be there yet. */
int hostpaths_add_own(struct hostpaths *p, const char *dir, struct error *err);
/* Of who runs the supervisor; NULL, or no directory beneath /: unknown. */
void hostpaths_set_home(struct hostpaths *p, const char *dir);
/* `path`: absolute, and free of links, "." and "..". ERROR_FORBIDDEN says why not. */
int hostpaths_check(const struct hostpaths *p, const char *path, struct error *err);
/* Opens with O_PATH, and looks where it led. p NULL: anything. */
int hostpaths_open(const struct hostpaths *p, const char *path, int *ret_fd, struct error *err);
