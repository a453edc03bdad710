/* SPDX-License-Identifier: Apache-2.0 */
/* What an API server says of pods, alone and as an event of a watch. */
#include "base/auto.h"
#include "base/bug.h"
#include "runtime/kube/podstate.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define SERVER "serverserverserverserverse"

static void check_line(const struct error *err)
{
	for (const char *c = err->text; *c; c++)
		BUG_IF(*c == '\n' || *c == '\033', "words that are no line");
}

static void take_pod(const struct json *json)
{
	struct pod_state state;
	struct netaddr address;
	if (!pod_read(json, SERVER, &state))
		return;
	BUG_IF(!id_is_valid(str_from(state.id)), "a pod without an id");
	BUG_IF(state.phase == POD_RUNS &&
			netaddr_parse(str_from(state.address), &address, NULL) < 0,
		"one that runs nowhere");
	BUG_IF(state.phase == POD_FAILED && state.why.code == ERROR_OK,
		"a failure without a reason");
	check_line(&state.why);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	auto_json struct json *json = NULL;
	const struct json *pod;
	struct error err;
	if (json_parse_loose(str_from_len((const char *)data, size), &json, NULL) < 0)
		return 0;
	take_pod(json);
	if (watch_read(json, &pod, &err) == WATCH_FAILED)
		check_line(&err);
	take_pod(pod);
	return 0;
}
