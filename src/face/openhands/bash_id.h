/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bash_id: the names of commands and of what they wrote, as UUIDs in 32 hex digits.
 *
 * A name says all that must be known to find what it names, so that no table of them is kept: 70
 * random bits for the command, its deadline in seconds, and which of its events is meant.
 *
 *	rrrrrrrr rrrr 4rrr 8rrr tttttt nnnnnn
 *
 * n is 0 for the command itself and k + 1 for the output of order k. The process that a command is
 * has "bash-" and the name of the command as its own name.
 */
#pragma once

#include "base/str.h"

#include <stdint.h>

enum {
	BASH_ID_SIZE = 33,
	BASH_NAME_SIZE = BASH_ID_SIZE + 5,
	BASH_TIMEOUT_MAX_S = 86400,
	BASH_NUMBER_MAX = 0xffffff,
};

struct bash_id {
	char command[BASH_ID_SIZE]; /* with n 0 */
	int64_t timeout_s;
	int64_t number; /* n */
};

/* Of a new command. timeout_s: 0 to BASH_TIMEOUT_MAX_S. */
void bash_id_make(int64_t timeout_s, char ret[BASH_ID_SIZE]);
/* Any UUID as 32 small hex digits, also one with dashes and in capitals. False: it is none. */
bool uuid_parse(struct str text, char ret[BASH_ID_SIZE]);
bool bash_id_parse(struct str text, struct bash_id *ret);
/* Of an event of that command: n as above, at most BASH_NUMBER_MAX. */
void bash_id_of_event(const char *command, int64_t number, char ret[BASH_ID_SIZE]);
void bash_name(const char *command, char ret[BASH_NAME_SIZE]);
/* The reverse; false: no process of ours has that name. */
bool bash_name_parse(struct str name, struct bash_id *ret);
