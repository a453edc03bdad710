/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is there when the backend starts: each session of an API that lives, or the one sandbox that
 * a server is.
 */
#include "runtime/remote/remote_member.h"

#include "base/auto.h"
#include "base/bug.h"
#include "runtime/remote/wish.h"

static void adopt_runtime(struct remote *r, const struct json *runtime)
{
	struct str session = json_str(json_find(runtime, "session_id"));
	struct str status = json_str(json_find(runtime, "status"));
	bool is_paused = str_is(status, "paused");
	char id[ID_SIZE];
	if (!session.len || str_has_nul(session) || r->house.n_tenants >= REMOTE_MEMBERS_MAX ||
		(!is_paused && !str_is(status, "running")))
		return;
	wish_id(session, id);
	if (house_find(&r->house, id))
		return;
	struct remote_member *m = remote_member_new(r, id, session);
	struct error err;
	if (remote_take_runtime(m, runtime, &err) < 0)
		remote_member_free(&m->tenant);
	else
		house_adopt(&m->tenant, m->session, is_paused ? HOUSE_PAUSED : HOUSE_RUNS);
}

static void on_list(void *arg, int status, struct str body, const struct error *err)
{
	struct remote *r = arg;
	auto_json struct json *list = NULL;
	struct error e;
	/* An API that cannot list what it has is one whose sandboxes are found by their names. */
	if (err && err->code != ERROR_NOT_FOUND) {
		house_started(&r->house, err);
		return;
	}
	if (!err && ask_parse(body, &list, &e) < 0) {
		error_wrap(&e, "GET /list");
		house_started(&r->house, &e);
		return;
	}
	const struct json *runtimes = json_find(list, "runtimes");
	for (size_t i = 0; i < json_len(runtimes); i++)
		adopt_runtime(r, json_at(runtimes, i));
	house_started(&r->house, NULL);
}

static void on_server_alive(void *arg, int status, struct str body, const struct error *err)
{
	struct remote *r = arg;
	char id[ID_SIZE];
	if (err) {
		house_started(&r->house, err);
		return;
	}
	wish_id(str_from(r->house.url), id);
	struct remote_member *m = remote_member_new(r, id, STR("default"));
	remote_take_server(m);
	house_adopt(&m->tenant, m->session, HOUSE_RUNS);
	house_started(&r->house, NULL);
}

void remote_list(struct house *house)
{
	struct remote *r = container_of(house, struct remote, house);
	auto_free char *url = mem_printf("%s%s", house->url, r->is_server ? "/alive" : "/list");
	const struct ask_plan plan = {
		.method = "GET",
		.url = url,
		.keys = { house->key },
		.timeout_ms = r->is_server ? REMOTE_ALIVE_MS : REMOTE_API_MS,
		.is_harmless = true,
		.done = r->is_server ? on_server_alive : on_list,
		.arg = r,
	};
	ask_new(&house->asker, &plan);
}
