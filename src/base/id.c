/* SPDX-License-Identifier: Apache-2.0 */
#include "base/id.h"

#include "base/bug.h"

#include <stdint.h>
#include <sys/random.h>

static const char alphabet[] = "abcdefghijklmnopqrstuvwxyz234567";

void id_make(char ret_id[ID_SIZE])
{
	uint8_t random[ID_LEN];
	BUG_IF(getrandom(random, sizeof(random), 0) != sizeof(random),
		"the kernel gives no random bytes");
	for (int i = 0; i < ID_LEN; i++)
		ret_id[i] = alphabet[random[i] & 31];
	/*
	 * The first character is a letter, so that an id is also a valid host name and identifier.
	 */
	ret_id[0] = alphabet[random[0] % 26];
	ret_id[ID_LEN] = '\0';
}

bool id_is_valid(struct str s)
{
	if (s.len != ID_LEN)
		return false;
	for (size_t i = 0; i < s.len; i++)
		if (!s.ptr[i] || !strchr(alphabet, s.ptr[i]))
			return false;
	return true;
}
