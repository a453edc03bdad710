/* SPDX-License-Identifier: Apache-2.0 */
/*
 * janitor: a process that waits for its owner to end, however that ends, and then removes the
 * cgroups that the owner's sandboxes left (launch_sweep). It is needed for kill -9 alone:
 * everything else an owner removes itself, and then stops its janitor. It holds no descriptor of
 * the owner's and no memory to speak of.
 */
#pragma once

#include "sandbox/launch.h"

/*
 * box: whose processes it also waits for, or NULL; else life_fd: the reading end of a pipe whose
 * writing ends are with whoever builds for the owner. Returns its pid, or -1.
 */
pid_t janitor_start(const struct host *host, const struct box *box, int life_fd, struct error *err);
void janitor_stop(pid_t janitor);
