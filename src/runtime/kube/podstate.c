/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/kube/podstate.h"

#include "base/auto.h"
#include "runtime/engine/body.h"
#include "runtime/kube/podspec.h"

enum { SAID_MAX = 240, HTTP_GONE = 410 };

static struct str text_of(const struct json *from, const char *key)
{
	return json_str(json_find(from, key));
}

/* Names and messages are the cluster's: whatever would turn a line around goes. */
static void make_line(struct error *err)
{
	for (char *c = err->text; *c; c++)
		if ((unsigned char)*c < ' ' || *c == 0x7f)
			*c = ' ';
}

/* "REASON: MESSAGE" */
static void put_why(struct pod_state *s, enum error_code code, struct str reason,
	struct str message)
{
	reason = str_first(str_trim(reason), SAID_MAX / 4);
	message = str_first(str_trim(message), SAID_MAX);
	if (reason.len && message.len)
		error_set(&s->why, code, "%.*s: %.*s", STR_ARG(reason), STR_ARG(message));
	else
		error_set(&s->why, code, "%.*s",
			STR_ARG(reason.len            ? reason
					: message.len ? message
						      : STR("no reason is said")));
}

/* ---- what a container waits for ---- */

static const struct waiting {
	const char *reason;
	enum pod_phase phase;
	enum error_code code;
} waitings[] = {
	{ "CreateContainerConfigError", POD_STUCK, ERROR_UNAVAILABLE },
	{ "CreateContainerError", POD_FAILED, ERROR_INVALID },
	{ "ErrImageNeverPull", POD_FAILED, ERROR_NOT_FOUND },
	{ "ErrImagePull", POD_FAILED, ERROR_NOT_FOUND },
	{ "ImageInspectError", POD_FAILED, ERROR_NOT_FOUND },
	{ "ImagePullBackOff", POD_FAILED, ERROR_NOT_FOUND },
	{ "InvalidImageName", POD_FAILED, ERROR_INVALID },
	{ "RegistryUnavailable", POD_FAILED, ERROR_UNAVAILABLE },
	{ "RunContainerError", POD_FAILED, ERROR_INVALID },
};

static void read_waiting(const struct json *status, struct pod_state *s)
{
	const struct json *waiting = json_find(json_find(status, "state"), "waiting");
	struct str reason = text_of(waiting, "reason");
	for (size_t i = 0; i < ARRAY_LEN(waitings); i++) {
		const struct waiting *w = &waitings[i];
		if (!str_is(reason, w->reason) || s->phase == POD_FAILED)
			continue;
		s->phase = w->phase;
		put_why(s, w->code, reason, text_of(waiting, "message"));
		struct str image = text_of(status, "image");
		if (image.len)
			error_wrap(&s->why, "image %.*s", STR_ARG(str_first(image, 100)));
	}
}

static void read_scheduled(const struct json *status, struct pod_state *s)
{
	const struct json *conditions = json_find(status, "conditions");
	for (size_t i = 0; i < json_len(conditions); i++) {
		const struct json *c = json_at(conditions, i);
		if (!str_is(text_of(c, "type"), "PodScheduled") ||
			!str_is(text_of(c, "status"), "False"))
			continue;
		s->phase = POD_STUCK;
		put_why(s, ERROR_LIMIT, text_of(c, "reason"), text_of(c, "message"));
	}
}

static void read_pending(const struct json *status, struct pod_state *s)
{
	const struct json *first = json_find(status, "initContainerStatuses");
	const struct json *own = json_find(status, "containerStatuses");
	s->phase = POD_WAITS;
	read_scheduled(status, s);
	for (size_t i = 0; i < json_len(first); i++)
		read_waiting(json_at(first, i), s);
	for (size_t i = 0; i < json_len(own); i++)
		read_waiting(json_at(own, i), s);
}

/* ---- how it ended ---- */

/* The first container that ended badly has the reason; the sandbox's own comes first. */
static bool read_terminated(const struct json *statuses, struct pod_state *s)
{
	for (size_t i = 0; i < json_len(statuses); i++) {
		const struct json *status = json_at(statuses, i);
		const struct json *end = json_find(json_find(status, "state"), "terminated");
		struct str reason = text_of(end, "reason"), message = text_of(end, "message");
		int64_t code = json_int(json_find(end, "exitCode"));
		if (!end || (code == 0 && !str_is(reason, "OOMKilled")))
			continue;
		if (str_is(reason, "OOMKilled"))
			s->end = END_OUT_OF_MEMORY;
		put_why(s, ERROR_INTERNAL, message.len ? STR_NONE : reason, message);
		if (!message.len)
			error_wrap(&s->why, "container %.*s: exit code %lld",
				STR_ARG(str_first(text_of(status, "name"), 60)), (long long)code);
		return true;
	}
	return false;
}

static void read_ended(const struct json *status, struct pod_state *s)
{
	const struct json *own = json_find(status, "containerStatuses");
	const struct json *end = json_find(json_find(json_at(own, 0), "state"), "terminated");
	s->phase = POD_ENDED;
	s->end = END_EXITED;
	s->was_ours = end != NULL;
	if (text_of(status, "reason").len) /* "Evicted", with what there was too little of */
		put_why(s, ERROR_UNAVAILABLE, text_of(status, "reason"),
			text_of(status, "message"));
	else if (!read_terminated(own, s))
		read_terminated(json_find(status, "initContainerStatuses"), s);
}

/* ---- one pod ---- */

/* It is connected to: no more than an address. */
static bool take_address(struct str text, struct pod_state *s)
{
	struct netaddr address;
	if (netaddr_parse(text, &address, NULL) < 0 || text.len >= sizeof(s->address))
		return false;
	memcpy(s->address, text.ptr, text.len);
	s->address[text.len] = '\0';
	return true;
}

static void read_running(const struct json *status, struct pod_state *s)
{
	const struct json *own = json_find(status, "containerStatuses");
	const struct json *state = json_find(json_at(own, 0), "state");
	if (json_find(state, "terminated"))
		read_ended(status, s);
	else if (json_find(state, "running") && take_address(text_of(status, "podIP"), s))
		s->phase = POD_RUNS;
	else
		read_pending(status, s);
}

bool pod_read(const struct json *pod, const char *server_id, struct pod_state *ret)
{
	const struct json *metadata = json_find(pod, "metadata"),
			  *status = json_find(pod, "status");
	const struct json *labels = json_find(metadata, "labels");
	struct str id = text_of(labels, KUBE_LABEL_SANDBOX), phase = text_of(status, "phase");
	*ret = (struct pod_state){ .end = END_EXITED };
	if (!id_is_valid(id) || !str_is(text_of(labels, KUBE_LABEL_SERVER), server_id))
		return false;
	memcpy(ret->id, id.ptr, ID_LEN);
	engine_parse_enforced(text_of(json_find(metadata, "annotations"), KUBE_NOTE_ENFORCED),
		&ret->enforced);
	ret->is_leaving = json_find(metadata, "deletionTimestamp") != NULL;
	if (str_is(phase, "Failed") || str_is(phase, "Succeeded"))
		read_ended(status, ret);
	else if (ret->is_leaving)
		ret->phase = POD_LEAVES;
	else if (str_is(phase, "Running"))
		read_running(status, ret);
	else
		read_pending(status, ret);
	make_line(&ret->why);
	return true;
}

/* ---- a watch ---- */

enum watch_kind watch_read(const struct json *event, const struct json **ret_pod, struct error *err)
{
	const struct json *object = json_find(event, "object");
	struct str type = text_of(event, "type");
	*ret_pod = object;
	if (str_is(type, "ADDED") || str_is(type, "MODIFIED"))
		return WATCH_CHANGED;
	if (str_is(type, "DELETED"))
		return WATCH_DELETED;
	if (str_is(type, "BOOKMARK"))
		return WATCH_BOOKMARK;
	if (str_is(type, "ERROR") && json_int(json_find(object, "code")) == HTTP_GONE)
		return WATCH_EXPIRED;
	struct str message = text_of(object, "message");
	error_set(err, ERROR_PROTOCOL, "a watch says: %.*s",
		STR_ARG(str_first(message.len ? message : type, SAID_MAX)));
	make_line(err);
	return WATCH_FAILED;
}
