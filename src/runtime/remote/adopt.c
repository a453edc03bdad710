/* SPDX-License-Identifier: Apache-2.0 */
/* What is there when the backend starts: each session of an API that lives, or the one sandbox that a server is. */
#include "runtime/remote/tenant.h"

#include "base/auto.h"
#include "base/bug.h"
#include "runtime/remote/wish.h"

static void finish_start(struct remote *r, const struct error *err)
{
	struct backend_reply *reply = answers_add(&r->answers, "", r->started, r->started_arg);
	if (err) {
		reply->error = *err;
		error_wrap(&reply->error, "%s", r->url);
	}
}

static void adopt(struct remote *r, struct tenant *m, bool is_paused)
{
	struct backend_reply reply = { .is_paused = is_paused, .fd = -1 };
	memcpy(reply.id, m->id, sizeof(reply.id));
	snprintf(reply.name, sizeof(reply.name), "%s", m->session);
	r->base.events->adopt(r->base.events_arg, &reply);
}

static void adopt_runtime(struct remote *r, const struct json *runtime)
{
	struct str session = json_str(json_find(runtime, "session_id"));
	struct str status = json_str(json_find(runtime, "status"));
	bool is_paused = str_is(status, "paused");
	char id[ID_SIZE];
	if (!session.len || str_has_nul(session) || r->n_members >= REMOTE_MEMBERS_MAX ||
		(!is_paused && !str_is(status, "running")))
		return;
	wish_id(session, id);
	if (tenant_find(r, id))
		return;
	struct tenant *m = tenant_new(r, id, session);
	struct error err;
	if (tenant_take_runtime(m, runtime, &err) < 0)
		tenant_free(m);
	else
		adopt(r, m, is_paused);
}

static void on_list(void *arg, int status, struct str body, const struct error *err)
{
	struct remote *r = arg;
	auto_json struct json *list = NULL;
	struct error e;
	/* An API that cannot list what it has is one whose sandboxes are found by their names. */
	if (err && err->code != ERROR_NOT_FOUND) {
		finish_start(r, err);
		return;
	}
	if (!err && json_parse(body, &list, &e) < 0) {
		error_wrap(&e, "GET /list");
		e.code = ERROR_PROTOCOL;
		finish_start(r, &e);
		return;
	}
	const struct json *runtimes = json_find(list, "runtimes");
	for (size_t i = 0; i < json_len(runtimes); i++)
		adopt_runtime(r, json_at(runtimes, i));
	finish_start(r, NULL);
}

static void on_server_alive(void *arg, int status, struct str body, const struct error *err)
{
	struct remote *r = arg;
	char id[ID_SIZE];
	if (err) {
		finish_start(r, err);
		return;
	}
	wish_id(str_from(r->url), id);
	struct tenant *m = tenant_new(r, id, STR("default"));
	tenant_take_server(m);
	adopt(r, m, false);
	finish_start(r, NULL);
}

void remote_begin_adopting(struct remote *r)
{
	auto_free char *url = mem_printf("%s%s", r->url, r->is_server ? "/alive" : "/list");
	const struct ask_plan plan = {
		.method = "GET",
		.url = url,
		.keys = { r->key },
		.timeout_ms = r->is_server ? REMOTE_ALIVE_MS : REMOTE_API_MS,
		.is_harmless = true,
		.done = r->is_server ? on_server_alive : on_list,
		.arg = r,
	};
	ask_new(&r->asker, &plan);
}
