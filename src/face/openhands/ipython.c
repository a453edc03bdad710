/* SPDX-License-Identifier: Apache-2.0 */
/* The action `run_ipython`. There is no kernel yet, and the answer says so. */
#include "face/openhands/kinds.h"
#include "face/openhands/request.h"

struct ipython_args {
	struct str code;
	bool has_extra;
	const struct json *ignored;
};

static const struct field ipython_fields[] = {
	{ "code", FIELD_STRING, FIELD_AT(struct ipython_args, code), FIELD_REQUIRED,
		.help = "the cell" },
	{ "include_extra", FIELD_BOOL, FIELD_AT(struct ipython_args, has_extra), .standard = "true",
		.help = "tell the directory and the interpreter too" },
	REQUEST_IGNORED(struct ipython_args, "thought"),
	REQUEST_IGNORED(struct ipython_args, "confirmation_state"),
	REQUEST_IGNORED(struct ipython_args, "is_confirmed"),
	REQUEST_IGNORED(struct ipython_args, "security_risk"),
	REQUEST_IGNORED(struct ipython_args, "kernel_init_code"),
	REQUEST_IGNORED(struct ipython_args, "timestamp"),
	{ 0 },
};

static void ipython_start(struct job *job, const void *args)
{
	job_refuse(job, STR("run_ipython is not available in this release of cay."));
}

const struct job_kind run_ipython_kind = {
	.name = "run_ipython",
	.fields = ipython_fields,
	.args_size = sizeof(struct ipython_args),
	.start = ipython_start,
};
