/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sudo_args: a request of the program `sudo`, from its bytes to what shall be run. The options are
 * those of sudo(8) that make sense where every question is answered with yes: nobody has a
 * password.
 */
#pragma once

#include "base/arena.h"
#include "base/error.h"
#include "base/str.h"

enum { SUDO_WORDS_MAX = 8192 };

struct sudo_request {
	const char *cwd;
	const char *user; /* -u; "root" */
	const char *const
		*argv; /* of the command, NULL-terminated; empty: there is nothing to run */
	const char *const *assigns; /* NAME=value before the command, NULL-terminated */
	const char *const *envp;    /* of who asked, NULL-terminated */
	bool keeps_env;             /* -E */
	bool is_login;      /* -i: in the user's home, with a shell that reads its profile */
	bool is_shell;      /* -s */
	const char *answer; /* said instead of running anything: -V, -l, --help; NULL: run */
};

/* Texts are views of bytes, which must outlive ret. */
int sudo_parse(struct str bytes, struct arena *arena, struct sudo_request *ret, struct error *err);
