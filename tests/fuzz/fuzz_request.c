/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a hostile server sends to the supervisor: any bytes, padded or cut to the size of a request,
 * and of its version.
 */
#include "base/auto.h"
#include "base/bug.h"
#include "sandbox/request.h"

#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(struct str message)
{
	static struct monitor_request request;
	struct error err;
	if (request_parse(message, &request, &err) < 0 || request_check(&request, &err) < 0) {
		BUG_IF(err.code == ERROR_OK || !*err.text, "refused without a reason");
		return;
	}
	/* What was granted can be used as strings. */
	BUG_IF(request.op == MONITOR_CREATE && strlen(request.spec.id) != ID_LEN,
		"an id of another length");
	BUG_IF(request.op == MONITOR_DESTROY && strlen(request.id) != ID_LEN,
		"an id of another length");
	BUG_IF(request.op == MONITOR_CREATE && request.spec.n_mounts > SPEC_MOUNTS_MAX,
		"too many mounts");
	for (uint32_t i = 0; request.op == MONITOR_CREATE && i < request.spec.n_mounts; i++)
		BUG_IF(request.spec.mounts[i].target[0] != '/', "a target that is not absolute");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct monitor_request padded;
	check(str_from_len((const char *)data, size));
	memset(&padded, 0, sizeof(padded));
	memcpy(&padded, data, MIN(size, sizeof(padded)));
	padded.version = MONITOR_VERSION; /* a corpus is older than that */
	check(str_from_len((const char *)&padded, sizeof(padded)));
	return 0;
}
