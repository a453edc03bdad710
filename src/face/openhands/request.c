/* SPDX-License-Identifier: Apache-2.0 */
#include "face/openhands/request.h"

#include "base/auto.h"
#include "face/openhands/kinds.h"
#include "http/server.h"

enum { TIMEOUT_MAX_S = 86400, REPR_MAX = 60 };

/* Actions that are not for an action execution server. */
static const char *const foreign[] = { "null", "think", "finish", "reject", "delegate", "recall",
	"change_agent_state", "message", "system", "condensation", "condensation_request",
	"call_tool_mcp", "task_tracking", "loop_recovery", NULL };

static bool is_one_of(struct str name, const char *const *names)
{
	for (; *names; names++)
		if (str_is(name, *names))
			return true;
	return false;
}

static int find_action(const struct json *event, const struct job_kind **ret, struct error *err)
{
	struct str name = json_str(json_find(event, "action"));
	if (!json_find(event, "action"))
		return error_set(err, ERROR_INTERNAL, "%s",
			json_find(event, "observation") ? "400: Invalid action type"
							: "Unknown event type");
	if ((*ret = job_kind_find(name)))
		return 0;
	name = str_first(name, REPR_MAX);
	if (is_one_of(name, foreign))
		return error_set(err, ERROR_INTERNAL,
			"'ActionExecutor' object has no attribute '%.*s'", STR_ARG(name));
	auto_buf struct buf known = BUF_INIT(ERROR_TEXT_MAX);
	for (size_t i = 0; job_kinds[i]; i++)
		buf_printf(&known, "%s'%s'", i ? ", " : "", job_kinds[i]->name);
	return error_set(err, ERROR_INTERNAL,
		"'action['action']='%.*s'' is not defined. Available actions: dict_keys([%.*s])",
		STR_ARG(name), STR_ARG(buf_str(&known)));
}

/* The text is what Python makes of the number: an integer stays one, a float shows its fraction. */
static int decode_timeout(struct job *job, const struct json *timeout, struct error *err)
{
	enum json_kind kind = json_kind(timeout);
	if (kind == JSON_KIND_NULL)
		return 0;
	double seconds = json_double(timeout);
	if ((kind != JSON_KIND_INT && kind != JSON_KIND_REAL) || seconds < 0)
		return error_set(err, ERROR_INTERNAL, "the timeout must be a number of seconds");
	auto_buf struct buf text = BUF_INIT(JOB_TIMEOUT_TEXT_SIZE - 1);
	json_write(timeout, &text);
	snprintf(job->timeout_text, sizeof(job->timeout_text), "%s", text.ptr);
	job->timeout_ms = (int64_t)(MIN(seconds, (double)TIMEOUT_MAX_S) * 1000);
	job->timeout_ms = MAX(job->timeout_ms, 1);
	return 0;
}

static int check_source(const struct json *event, struct error *err)
{
	static const char *const sources[] = { "agent", "user", "environment", NULL };
	const struct json *source = json_find(event, "source");
	if (!source || is_one_of(json_str(source), sources))
		return 0;
	return error_set(err, ERROR_INTERNAL, "'%.*s' is not a valid EventSource",
		STR_ARG(str_first(json_str(source), REPR_MAX)));
}

int request_decode(struct job *job, struct error *err)
{
	const struct json *event = json_find(job->body, "action");
	if (json_kind(event) != JSON_KIND_OBJECT)
		return error_set(err, ERROR_INVALID,
			"[{'type': '%s', 'loc': ('body', 'action'), 'msg': '%s'}]",
			event ? "dict_type" : "missing",
			event ? "Input should be a valid dictionary" : "Field required");
	if (find_action(event, &job->kind, err) < 0)
		return -1;
	void *args;
	if (fields_decode(job->kind->fields, job->kind->args_size, job->kind->name,
		    json_find(event, "args"), &job->request->arena, &args, err) < 0) {
		err->code = ERROR_INTERNAL;
		return error_wrap(err, "action='%s' has the wrong arguments", job->kind->name);
	}
	job->args = args;
	if (check_source(event, err) < 0)
		return -1;
	return decode_timeout(job, json_find(event, "timeout"), err);
}
