/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/remote/remote.h"

#include "base/auto.h"
#include "base/bug.h"
#include "runtime/remote/tenant.h"
#include "runtime/remote/wish.h"
#include "runtime/sandbox.h"

static const struct backend_ops remote_ops;

static struct remote *remote_from(struct backend *b)
{
	BUG_IF(b->ops != &remote_ops, "a backend that is not a remote one");
	return container_of(b, struct remote, base);
}

/* ---- create ---- */

static void tell(struct tenant *m, const struct error *err)
{
	struct backend_reply *reply = answers_add(&m->remote->answers, m->id, m->done, m->arg);
	if (err)
		reply->error = *err;
}

/* From now on it is called what a restarted server would call it. */
static void on_created(struct tenant *m, const struct error *err)
{
	char id[ID_SIZE];
	wish_id(str_from(m->remote->is_server ? m->remote->url : m->session), id);
	if (!err)
		memcpy(m->id, id, sizeof(m->id));
	tell(m, err);
	if (!err)
		return;
	tenant_stop_there(m);
	tenant_free(m);
}

static bool has_session(struct remote *r, const char *session)
{
	struct tenant *m;
	list_for_each(m, &r->members, link)
		if (strcmp(m->session, session) == 0)
			return true;
	return false;
}

static void create_in_api(struct remote *r, const struct sandbox *s, const struct spec *spec,
	backend_fn *done, void *arg)
{
	struct tenant *m = tenant_new(r, s->id, str_from(s->name[0] ? s->name : s->id));
	tenant_begin(m, on_created, done, arg);
	wish_put_start(&m->start_json, m->session, s, spec);
	m->workdir = mem_strdup(spec->workdir[0] ? spec->workdir : "/workspace");
	tenant_take_up(m);
}

static void create_on_server(struct remote *r, const struct sandbox *s, backend_fn *done, void *arg)
{
	struct tenant *m = tenant_new(r, s->id, STR("server"));
	tenant_begin(m, on_created, done, arg);
	tenant_take_server(m);
	r->base.events->started(r->base.events_arg, m->id);
	tenant_wait(m);
}

static void remote_create(struct backend *b, const struct sandbox *s, const struct spec *spec,
	backend_fn *done, void *arg)
{
	struct remote *r = remote_from(b);
	struct error err;
	int ok = wish_check(spec, &err);
	const struct tenant *other = list_first(&r->members, struct tenant, link);
	if (ok == 0 && r->is_server && other)
		ok = error_set(&err, ERROR_LIMIT,
			"the action server is one sandbox, and that is there: %s", other->id);
	if (ok == 0 && has_session(r, s->name[0] ? s->name : s->id))
		ok = error_set(&err, ERROR_EXISTS, "the session %s is there already", s->name);
	if (ok == 0 && r->n_members >= REMOTE_MEMBERS_MAX)
		ok = error_set(&err, ERROR_LIMIT, "%d sandboxes", REMOTE_MEMBERS_MAX);
	if (ok < 0)
		answers_add(&r->answers, s->id, done, arg)->error = err;
	else if (r->is_server)
		create_on_server(r, s, done, arg);
	else
		create_in_api(r, s, spec, done, arg);
}

/* ---- destroy, pause, resume ---- */

static struct tenant *find_idle(struct remote *r, const char *id, backend_fn *done, void *arg)
{
	struct tenant *m = tenant_find(r, id);
	struct error err;
	if (m && !m->errand)
		return m;
	if (m)
		error_set(&err, ERROR_CONFLICT, "sandbox %s: something is being done with it", id);
	else
		error_set(&err, ERROR_NOT_FOUND, "sandbox %s is gone", id);
	answers_add(&r->answers, id, done, arg)->error = err;
	return NULL;
}

static void on_stopped(struct tenant *m, const struct error *err)
{
	bool is_gone = !err || err->code == ERROR_NOT_FOUND;
	tell(m, is_gone ? NULL : err);
	if (is_gone)
		tenant_free(m);
}

static void remote_destroy(struct backend *b, const char *id, backend_fn *done, void *arg)
{
	struct remote *r = remote_from(b);
	struct tenant *m = find_idle(r, id, done, arg);
	if (!m)
		return;
	tenant_begin(m, on_stopped, done, arg);
	if (r->is_server)
		tenant_end(m, NULL); /* it is not ours to end: it is forgotten */
	else
		tenant_post(m, "/stop");
}

static void remote_freeze(struct backend *b, const char *id, bool is_frozen, backend_fn *done,
	void *arg)
{
	struct remote *r = remote_from(b);
	struct tenant *m = find_idle(r, id, done, arg);
	if (!m)
		return;
	if (r->is_server) {
		error_set(&answers_add(&r->answers, id, done, arg)->error, ERROR_UNSUPPORTED,
			"an action server cannot be paused: that takes a runtime API");
		return;
	}
	tenant_begin(m, tell, done, arg);
	if (is_frozen)
		tenant_post(m, "/pause");
	else
		tenant_resume(m);
}

/* ---- usage ---- */

static void take_usage(void *owner, const struct json *info, struct backend_reply *reply)
{
	const struct json *memory = json_find(json_find(info, "resources"), "memory");
	reply->usage.memory_bytes = json_int(json_find(memory, "rss"));
}

static void remote_usage(struct backend *b, const char *id, backend_fn *done, void *arg)
{
	struct remote *r = remote_from(b);
	struct tenant *m = tenant_find(r, id);
	if (!m) {
		error_set(&answers_add(&r->answers, id, done, arg)->error, ERROR_NOT_FOUND,
			"sandbox %s is gone", id);
		return;
	}
	auto_free char *url = mem_printf("%s/server_info", m->site.url);
	const struct ask_plan plan = {
		.method = "GET",
		.url = url,
		.keys = { m->site.key },
		.timeout_ms = REMOTE_ALIVE_MS,
		.is_harmless = true,
	};
	queries_ask(&r->queries, m->id, &plan, take_usage, done, arg);
}

/* ---- the rest ---- */

static void remote_start(struct backend *b, backend_fn *done, void *arg)
{
	struct remote *r = remote_from(b);
	r->started = done;
	r->started_arg = arg;
	remote_begin_adopting(r);
}

static int remote_open_call(struct backend *b, const char *id, int *ret_fd, struct error *err)
{
	struct tenant *m = tenant_find(remote_from(b), id);
	if (!m)
		return error_set(err, ERROR_GONE, "sandbox %s is gone", id);
	return site_open_call(&m->site, ret_fd, err);
}

static void remote_free(struct backend *b)
{
	struct remote *r = remote_from(b);
	answers_fini(&r->answers);
	while (!list_is_empty(&r->members))
		tenant_free(list_get_first(&r->members, struct tenant, link));
	asker_fini(&r->asker);
	queries_fini(&r->queries);
	free(r->url);
	free(r->key);
	free(r);
}

static const struct backend_ops remote_ops = {
	.name = "remote",
	.is_shared = true,
	.start = remote_start,
	.create = remote_create,
	.destroy = remote_destroy,
	.freeze = remote_freeze,
	.usage = remote_usage,
	.open_call = remote_open_call,
	.free = remote_free,
};

int remote_backend_new(struct loop *loop, const struct remote_config *config, struct backend **ret,
	struct error *err)
{
	struct str url = str_from(config->url), key = str_from(config->key);
	if (wish_trim_url(&url, err) < 0)
		return -1;
	if (str_find_char(key, '\n') >= 0 || str_find_char(key, '\r') >= 0)
		return error_set(err, ERROR_INVALID, "the key holds a line break");
	struct remote *r = mem_new(struct remote);
	r->base.ops = &remote_ops;
	r->loop = loop;
	r->url = str_dup(url);
	r->is_server = config->is_server;
	if (key.len)
		r->key = mem_printf("%s: %.*s", r->is_server ? "X-Session-API-Key" : "X-API-Key",
			STR_ARG(key));
	list_init(&r->members);
	answers_init(&r->answers, loop);
	asker_init(&r->asker, loop);
	queries_init(&r->queries, &r->asker, r);
	*ret = &r->base;
	return 0;
}
