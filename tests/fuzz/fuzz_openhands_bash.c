/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names of events as a client sends them, and what an executor tells of processes: whatever is
 * taken says the same again.
 */
#include "base/auto.h"
#include "base/bug.h"
#include "face/openhands/bash.h"

#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_id(const struct bash_id *id)
{
	char again[BASH_ID_SIZE];
	struct bash_id read;
	bash_id_of_event(id->command, id->number, again);
	BUG_IF(!bash_id_parse(str_from(again), &read), "a name that is none");
	BUG_IF(strcmp(read.command, id->command) != 0 || read.number != id->number ||
			read.timeout_s != id->timeout_s,
		"a name that says something else");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str text = { (const char *)data, size };
	auto_json struct json *process = NULL;
	struct bash_process p;
	struct bash_id id;
	if (bash_id_parse(text, &id))
		check_id(&id);
	if (json_parse(text, &process, NULL) < 0)
		return 0;
	if (bash_process_read(process, &p)) {
		BUG_IF(p.id.number != 0, "an event's name is no process's");
		check_id(&p.id);
	}
	bash_process_fini(&p);
	return 0;
}
