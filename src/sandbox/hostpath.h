/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hostpath: which files of the host a sandbox may be given, as mounts, as its image and as layers
 * of it. The supervisor was told when it was started; no server can change it, so one that was
 * taken over gets no more of the host than its operator meant to lend.
 *
 *	STANDARD  all but what the system or a login runs or reads: /etc, /usr, /var and their like, home
 *	          directories themselves, and what has a name that begins with '.' beneath one; but
 *	          what Python and its packages are kept in there, such as .venv, may be read
 *	LISTED    what lies beneath certain directories
 *	ANY       everything
 *
 * What counts is where a path leads, links followed, by every name that bind mounts of the host
 * give it, and what they put beneath it. Where cay itself lives (locks, state, sockets,
 * configuration, unpacked archives) is lent to nobody, nor is what holds it, whose owner could put
 * something else in its place; but by ANY. Layers are read in the state, and written there by who
 * imports them; unpacked archives are read.
 */
#pragma once

#include "sandbox/host.h"

enum { HOSTPATHS_MAX = 16, HOSTPATHS_OURS_MAX = 8 };

enum hostpaths_kind { HOSTPATHS_STANDARD = 0, HOSTPATHS_LISTED, HOSTPATHS_ANY };

/* What a path is wanted for, from what harms least on. */
enum hostpath_use {
	HOSTPATH_NONE = 0,
	HOSTPATH_IMAGE, /* it lies beneath what the sandbox writes */
	HOSTPATH_LAYER, /* a new one is put together there, or its place is read */
	HOSTPATH_READ,  /* a mount that cannot be written to */
	HOSTPATH_MOUNT, /* whatever the sandbox likes */
};

struct hostpaths {
	enum hostpaths_kind kind;
	int n, n_ours;
	char dirs[HOSTPATHS_MAX][HOST_PATH_SIZE];
	struct hostpaths_ours {
		char path[HOST_PATH_SIZE];
		enum hostpath_use use; /* the last of its uses */
	} ours[HOSTPATHS_OURS_MAX];
	char home[HOST_PATH_SIZE]; /* of who runs the supervisor; "": unknown */
};

/*
 * A directory more, "any", or "none": nothing but what else is named. ERROR_INVALID: it is not
 * there.
 */
int hostpaths_add(struct hostpaths *p, const char *word, struct error *err);
/* One of our own, which need not be there yet, and is good for these uses and those before. */
int hostpaths_add_ours(struct hostpaths *p, const char *path, enum hostpath_use use,
	struct error *err);
/* Of who runs the supervisor; NULL, or no directory beneath /: unknown. */
void hostpaths_set_home(struct hostpaths *p, const char *dir);
/* `path`: absolute, and free of links, "." and "..". ERROR_FORBIDDEN says why not. */
int hostpaths_check(const struct hostpaths *p, const char *path, enum hostpath_use use,
	struct error *err);
/* Opens with O_PATH, and looks where it led. p NULL: anything. */
int hostpaths_open(const struct hostpaths *p, const char *path, enum hostpath_use use, int *ret_fd,
	struct error *err);
