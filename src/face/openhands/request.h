/* SPDX-License-Identifier: Apache-2.0 */
/*
 * request: the body of /execute_action, {"action":{"action":"run","args":{…},"timeout":120.0}}.
 *
 * Field names are checked as strictly as the original does: an unknown one is refused. What only
 * informs (thought, message, security_risk, …) is accepted and ignored.
 */
#pragma once

#include "face/openhands/job.h"

/*
 * Fills kind, args and the timeout of a job from its body. ERROR_INVALID: the body has not the form
 * of a request. ERROR_INTERNAL: it names no action that can be performed.
 */
int request_decode(struct job *job, struct error *err);

/* A row for each field that is accepted and ignored. Each args struct has a member `ignored`. */
#define REQUEST_IGNORED(type, field_name)                                   \
	{                                                                   \
		field_name, FIELD_JSON, FIELD_AT(type, ignored), .help = "" \
	}
