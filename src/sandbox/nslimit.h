/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nslimit: the error of a call that makes a namespace or a mount. That a user has no more of them
 * (sysctl user.max_*_namespaces, fs.mount-max; namespaces(7)) is ENOSPC to the kernel, and whoever
 * is told "No space left on device" looks for a full disk.
 *
 *	if (unshare(CLONE_NEWNET) < 0)
 *		return nslimit_sys(err, errno, "make a network namespace");
 */
#pragma once

#include "base/error.h"

/* As error_sys, but for ENOSPC: ERROR_LIMIT, and where to look. */
#define nslimit_sys(err, sys, ...)                       \
	({                                               \
		nslimit_fill((err), (sys), __VA_ARGS__); \
		-1;                                      \
	})

void nslimit_fill(struct error *err, int sys, const char *fmt, ...)
	__attribute__((format(printf, 3, 4), cold));
