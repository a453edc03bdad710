/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whatever a program in the sandbox sends to the socket of sudo: what is accepted says what to run,
 * or what to answer.
 */
#include "base/bug.h"
#include "executor/sudo_args.h"

#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	auto_arena struct arena arena = ARENA_INIT(64 << 20);
	struct sudo_request r;
	if (sudo_parse(str_from_len((const char *)data, size), &arena, &r, NULL) < 0)
		return 0;
	BUG_IF(r.cwd[0] != '/' || !r.user || !r.envp || !r.assigns, "a request with holes");
	BUG_IF(!r.answer && !r.argv[0] && !r.is_login && !r.is_shell, "nothing to run");
	return 0;
}
