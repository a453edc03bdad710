/* SPDX-License-Identifier: Apache-2.0 */
/*
 * probe: what this host really gives, found out by doing it in throw-away children, never by
 * versions.
 *
 * For each control of control.def: is it to be had, if not why, and the one command that would
 * change that. `cay doctor` prints it; who refuses a create for want of a control quotes the same
 * command.
 */
#pragma once

#include "base/buf.h"
#include "sandbox/host.h"

struct probe_result {
	bool is_enforced;
	struct error why; /* if not */
	char detail[96];  /* if it is: how, or how far ("ABI 7", "cgroup v1"); may be empty */
};

/* Forks some twenty children, one after the other; some milliseconds. */
void probe_all(const struct host *host, struct probe_result ret_results[CONTROL_MAX]);
/* A sandbox cannot be made without it, whatever is asked for. */
bool probe_is_essential(enum control c);
/*
 * The one command that would lift the lack of this control here (or, where only another kernel
 * would, that); never NULL. Refusals quote it.
 */
#define LANDLOCK_REMEDY "boot with lsm=landlock,… (Linux 5.13 or newer, CONFIG_SECURITY_LANDLOCK=y)"
const char *probe_remedy(const struct host *host, enum control c);

/*
 * Why no sandbox could be made, if it was because of the host: puts the first control that none is
 * without, and its remedy, behind the error.
 */
void probe_explain(const struct host *host, struct error *err);

/* Settings of the host that weaken it beyond what a sandbox can mend. */
struct probe_weakness {
	const char *sysctl; /* "dev.tty.legacy_tiocsti" */
	char value[64];
	const char *why;
	const char *remedy;
};
enum { PROBE_WEAKNESSES_MAX = 16 };
/* Returns how many of ret it filled. */
int probe_weaknesses(struct probe_weakness ret[PROBE_WEAKNESSES_MAX]);
