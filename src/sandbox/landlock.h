/* SPDX-License-Identifier: Apache-2.0 */
/*
 * landlock: the second lock on files, signals and abstract sockets, behind the mount and pid
 * namespaces.
 *
 * Handled is every file right the running kernel knows. Given are: reading and executing
 * everywhere; changing, below each directory of the root but /dev, /proc and /sys; using, not
 * making, what is in /dev. Rights given on a directory cannot be taken back below it: hence the
 * list of the root's entries, read when the lock is put on. Root mode may also make new entries in
 * the root. A device can be made nowhere, nothing can be mounted, no process outside of the domain
 * can be signalled or traced, no abstract socket of it connected to. Async-signal-safe.
 */
#pragma once

#include "sandbox/spec.h"

/* The highest ABI of this kernel, 0 if it has no Landlock or has it switched off. */
int landlock_abi(void);
/*
 * Needs no_new_privs. abi: from landlock_abi, more than 0. makes_marks: character devices may be
 * made. layer_fd: a directory that is beneath no path and can be read nevertheless, by who holds
 * it; -1: none.
 */
int landlock_enter(int abi, enum user_mode user, bool makes_marks, int layer_fd, struct error *err);
/* For cay-boundary: no file at all, and no connection of its own. */
int landlock_enter_nothing(int abi, struct error *err);
/*
 * For cayd: it reads what programs and libraries read (/usr, /lib, /etc, /proc) and `readable`
 * (files, and directories with all in them; NULL-terminated; NULL: none), uses /dev/null and
 * /dev/urandom, and changes nothing but what is in its state directory.
 */
int landlock_enter_server(int abi, const char *state_dir, const char *const *readable,
	struct error *err);
