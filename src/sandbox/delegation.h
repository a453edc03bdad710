/* SPDX-License-Identifier: Apache-2.0 */
/*
 * delegation: with cgroup v2, a service manager hands a group to a service (systemd: Delegate=yes),
 * a container engine one to a container. What we make belongs into it: limits on the service hold
 * for all sandboxes, and who ends the service ends them. But no group has both processes and groups
 * with controllers, so whoever is to stay, the supervisor and all that it starts, goes into one
 * below it. https://systemd.io/CGROUP_DELEGATION
 */
#pragma once

#include "base/error.h"

/* Before anything is forked that stays; nothing where no group was handed to us. */
int delegation_settle(struct error *err);
