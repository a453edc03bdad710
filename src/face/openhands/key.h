/* SPDX-License-Identifier: Apache-2.0 */
/*
 * key: the session API key of one sandbox. It opens that sandbox alone, and is made from the server's token and
 * the sandbox's id (HMAC), so that it is nowhere stored and still the same after a restart of the server.
 */
#pragma once

#include "base/str.h"

enum { KEY_LEN = 40, KEY_SIZE = KEY_LEN + 1 };

void key_make(struct str token, const char *id, char ret_key[KEY_SIZE]);
bool key_is(struct str token, const char *id, struct str key); /* in constant time */
