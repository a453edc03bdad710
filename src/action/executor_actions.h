/* SPDX-License-Identifier: Apache-2.0 */
/*
 * executor_actions: what the server and the executor of a sandbox say to each other about the
 * sandbox as a whole. The server performs `configure` once, before anything of the caller's.
 *
 * An event of `subscribe`:
 *	{"event":"session_started","session":"main","pid":12}
 *	{"event":"session_ended","session":"main","exit_code":0}
 *	{"event":"process_started","process":{…}}     as in process_actions.h
 *	{"event":"process_ended","process":{…}}
 *	{"event":"kernel_started","kernel":"default","spec":"python"}
 *	{"event":"kernel_ended","kernel":"default","reason":"kernel default was killed by signal 9 (KILL)"}
 */
#pragma once

#include "action/action.h"

struct configure_params {
	struct field_map env;
	struct str workdir;
	struct str user;
	struct field_strings secrets;
	struct str trust; /* STR_NONE: not given */
	bool has_sudo;    /* field "sudo" */
};

struct info_params {
	bool unused;
};

struct subscribe_params {
	bool unused;
};

extern const struct action configure_action, info_action, subscribe_action;
