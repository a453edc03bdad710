/* SPDX-License-Identifier: Apache-2.0 */
/*
 * user: who a child runs as, looked up in the sandbox's own /etc/passwd and /etc/group. Those files
 * are the agent's: they are read bounded, never through a link that leads to a device, and name no
 * more than numbers which the kernel then allows or refuses.
 */
#pragma once

#include "base/error.h"
#include "base/str.h"

#include <stdint.h>
#include <sys/types.h>

enum { USER_NAME_SIZE = 64, USER_PATH_SIZE = 256, USER_GROUPS_MAX = 32 };

struct user {
	uid_t uid;
	gid_t gid;
	bool is_other; /* not who the executor is: the child has to change */
	gid_t groups[USER_GROUPS_MAX];
	int n_groups;
	char name[USER_NAME_SIZE];
	char home[USER_PATH_SIZE];
	char shell[USER_PATH_SIZE];
};

/* Who the executor is. A uid without an entry gets its number as name, and "/" as home. */
void user_self(struct user *ret);
/* "root", "1000", "1000:1000". ERROR_NOT_FOUND for a name that the sandbox does not know. */
int user_find(struct str who, struct user *ret, struct error *err);
