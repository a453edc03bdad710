/* SPDX-License-Identifier: Apache-2.0 */
/* The actions `browse` and `browse_interactive`. There is no browser yet: the answer of one started without. */
#include "face/openhands/kinds.h"
#include "face/openhands/request.h"

struct browse_args {
	struct str url;
	bool wants_axtree;
	const struct json *ignored;
};

struct interact_args {
	struct str actions;
	bool wants_axtree;
	const struct json *ignored;
};

static const struct field browse_fields[] = {
	{ "url", FIELD_STRING, FIELD_AT(struct browse_args, url), FIELD_REQUIRED,
		.help = "the page to go to" },
	{ "return_axtree", FIELD_BOOL, FIELD_AT(struct browse_args, wants_axtree),
		.help = "give the accessibility tree as an object too" },
	REQUEST_IGNORED(struct browse_args, "thought"),
	REQUEST_IGNORED(struct browse_args, "security_risk"),
	REQUEST_IGNORED(struct browse_args, "timestamp"),
	{ 0 },
};

static const struct field interact_fields[] = {
	{ "browser_actions", FIELD_STRING, FIELD_AT(struct interact_args, actions), FIELD_REQUIRED,
		.help = "calls such as goto(\"https://…\") or click(\"12\")" },
	{ "return_axtree", FIELD_BOOL, FIELD_AT(struct interact_args, wants_axtree),
		.help = "give the accessibility tree as an object too" },
	REQUEST_IGNORED(struct interact_args, "thought"),
	REQUEST_IGNORED(struct interact_args, "browsergym_send_msg_to_user"),
	REQUEST_IGNORED(struct interact_args, "security_risk"),
	REQUEST_IGNORED(struct interact_args, "timestamp"),
	{ 0 },
};

static void refuse(struct job *job, const void *args)
{
	job_refuse(job, STR("Browser functionality is not supported or disabled."));
}

const struct job_kind browse_kind = {
	.name = "browse",
	.fields = browse_fields,
	.args_size = sizeof(struct browse_args),
	.start = refuse,
};

const struct job_kind browse_interactive_kind = {
	.name = "browse_interactive",
	.fields = interact_fields,
	.args_size = sizeof(struct interact_args),
	.start = refuse,
};
