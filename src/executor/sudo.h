/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sudo: lets what runs in the sandbox become its root, where the sandbox's owner has said so.
 *
 * No set-uid file can do that: everything here has no_new_privs. So a program of ours takes the
 * place of /usr/bin/sudo and asks the executor, which is the sandbox's root, over a socket in the
 * sandbox. The kernel says who asks. What is run is a child of the executor like any other, with
 * the same locks; being root in the sandbox, it is nobody on the host.
 *
 * The command has the descriptors of who asked, also its terminal, though not as a controlling one.
 * When who asked is gone, the command is asked to end, and killed if it does not.
 */
#pragma once

#include "base/error.h"

#include <stddef.h>

struct executor;
struct sudo;

enum { SUDO_CALLS_MAX = 64 };

/* ERROR_FORBIDDEN if the executor is not root: then nobody can become it. */
int sudo_new(struct executor *e, struct sudo **ret, struct error *err);
/* Ends what runs. */
void sudo_free(struct sudo *s);

/* The program itself, put into the executor when it is built. */
extern const unsigned char sudo_program[];
extern const size_t sudo_program_size;
