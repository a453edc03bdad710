/* SPDX-License-Identifier: Apache-2.0 */
#include "sandbox/nslimit.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

void nslimit_fill(struct error *err, int sys, const char *fmt, ...)
{
	char what[128];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(what, sizeof(what), fmt, ap);
	va_end(ap);
	if (sys != ENOSPC) {
		error_fill_sys(err, sys, "%s", what);
		return;
	}
	error_fill_code(err, ERROR_LIMIT,
		"%s: no more namespaces or mounts for this user: see sysctl user and fs.mount-max",
		what);
}
