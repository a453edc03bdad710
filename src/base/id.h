/* SPDX-License-Identifier: Apache-2.0 */
/* id: names that nobody can guess: 128 random bits as 26 characters of base32 (a-z, 2-7). */
#pragma once

#include "base/str.h"

enum { ID_LEN = 26, ID_SIZE = ID_LEN + 1 };

void id_make(char ret_id[ID_SIZE]);
bool id_is_valid(struct str s); /* has the form that id_make gives */
