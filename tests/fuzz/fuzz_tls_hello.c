/* SPDX-License-Identifier: Apache-2.0 */
/* More bytes never change what was said about fewer, but from "more" to something. */
#include "base/bug.h"
#include "wire/tls_hello.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str bytes = str_from_len((const char *)data, size);
	char whole[DNS_NAME_SIZE], half[DNS_NAME_SIZE];
	int all = tls_hello_name(bytes, whole, NULL);
	int some = tls_hello_name(str_first(bytes, size / 2), half, NULL);
	BUG_IF(some != 0 && some != all, "more bytes changed the verdict");
	BUG_IF(some == 1 && strcmp(whole, half) != 0, "more bytes changed the name");
	return 0;
}
