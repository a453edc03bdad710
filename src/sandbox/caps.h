/* SPDX-License-Identifier: Apache-2.0 */
/*
 * caps: the capabilities that remain. An agent has none in any set, and root stops being special
 * for capabilities (securebits, locked). Root mode keeps what package managers need; inheritable
 * and ambient are always empty. Async-signal-safe.
 *
 * caps_bound goes first, while CAP_SETPCAP is there; then the ids are changed; caps_set goes last.
 * Both do nothing, successfully, where it is already so.
 */
#pragma once

#include "sandbox/spec.h"

uint64_t caps_of_user(enum user_mode user); /* 1 << CAP_x */
int caps_bound(enum user_mode user, struct error *err);
int caps_set(enum user_mode user, struct error *err);
/*
 * Both have been done, by this process or by one it comes from (ambient: cleared when permitted
 * was).
 */
bool caps_are_set(enum user_mode user);
