/* SPDX-License-Identifier: Apache-2.0 */
/* file_verbs: the file group's rows for executor/verbs.c. */
#pragma once

#include "executor/call.h"

extern const struct verb read_verb, write_verb, append_verb, edit_verb, list_verb, stat_verb,
	mkdir_verb, remove_verb, move_verb, glob_verb, grep_verb, upload_verb, download_verb,
	watch_verb;
