/* SPDX-License-Identifier: Apache-2.0 */
/* What comes to an executor's port, and what is said on its line. */
#include "base/auto.h"
#include "base/bug.h"
#include "wire/door.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define SECRET STR("0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef")

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str text = str_from_len((const char *)data, size);
	struct door door = { 0 };
	struct door_ready ready;
	struct door_usage usage;
	if (door_take_hello(&door, str_first(text, DOOR_HELLO_SIZE))) {
		char hello[DOOR_HELLO_SIZE], proof[SHA256_HEX_SIZE];
		struct str rest = str_skip(text, DOOR_HELLO_SIZE);
		door_put_hello(&door, hello);
		BUG_IF(memcmp(hello, data, sizeof(hello)) != 0, "a hello that is another one");
		door_prove(&door, DOOR_SERVER, SECRET, proof);
		BUG_IF(door_is_proof(&door, DOOR_EXECUTOR, SECRET, str_from(proof)),
			"one side's proof is the other's");
		BUG_IF(!door_is_proof(&door, DOOR_SERVER, SECRET, str_from(proof)),
			"a proof is none");
		BUG_IF(door_is_proof(&door, DOOR_SERVER, SECRET, rest) &&
				!str_eq(rest, str_from(proof)),
			"something else is a proof");
	}
	if (door_take_ready(text, &ready))
		BUG_IF(!ready.workdir.len || ready.workdir.ptr[0] != '/', "a workdir that is none");
	if (door_take_usage(text, &usage))
		BUG_IF(usage.pids < -1 || usage.cpu_us < -1, "less than nothing is used");
	return 0;
}
