/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/remote/remote.h"

#include "base/auto.h"
#include "base/bug.h"
#include "runtime/remote/remote_member.h"
#include "runtime/remote/wish.h"
#include "runtime/sandbox.h"

static const struct backend_ops remote_ops;

static struct remote *remote_from(struct backend *b)
{
	BUG_IF(b->ops != &remote_ops, "a backend that is not a remote one");
	return container_of(b, struct remote, house.base);
}

/* ---- create ---- */

/* From now on it is called what a restarted server would call it. */
static void on_created(struct tenant *m, const struct error *err)
{
	char id[ID_SIZE];
	wish_id(str_from(remote_of(m)->is_server ? m->house->url : remote_member_of(m)->session),
		id);
	if (!err)
		memcpy(m->id, id, sizeof(m->id));
	tenant_made(m, err);
}

static bool has_session(struct remote *r, const char *session)
{
	struct tenant *m;
	list_for_each(m, &r->house.tenants, link)
		if (strcmp(remote_member_of(m)->session, session) == 0)
			return true;
	return false;
}

static void create_in_api(struct remote *r, const struct sandbox *s, const struct spec *spec,
	backend_fn *done, void *arg)
{
	struct remote_member *m = remote_member_new(r, s->id,
		str_from(s->name[0] ? s->name : s->id));
	tenant_begin(&m->tenant, on_created, done, arg);
	wish_put_start(&m->start_json, m->session, s, spec);
	m->workdir = mem_strdup(spec->workdir[0] ? spec->workdir : "/workspace");
	remote_take_up(m);
}

static void create_on_server(struct remote *r, const struct sandbox *s, backend_fn *done, void *arg)
{
	struct remote_member *m = remote_member_new(r, s->id, STR("server"));
	const struct backend *b = &r->house.base;
	tenant_begin(&m->tenant, on_created, done, arg);
	remote_take_server(m);
	b->events->started(b->events_arg, m->tenant.id);
	remote_wait(&m->tenant);
}

static void remote_create(struct backend *b, const struct sandbox *s, const struct spec *spec,
	backend_fn *done, void *arg)
{
	struct remote *r = remote_from(b);
	struct error err;
	int ok = wish_check(spec, &err);
	const struct tenant *other = list_first(&r->house.tenants, struct tenant, link);
	if (ok == 0 && r->is_server && other)
		ok = error_set(&err, ERROR_LIMIT,
			"the action server is one sandbox, and that is there: %s", other->id);
	if (ok == 0 && has_session(r, s->name[0] ? s->name : s->id))
		ok = error_set(&err, ERROR_EXISTS, "the session %s is there already", s->name);
	if (ok == 0 && r->house.n_tenants >= REMOTE_MEMBERS_MAX)
		ok = error_set(&err, ERROR_LIMIT, "%d sandboxes", REMOTE_MEMBERS_MAX);
	if (ok < 0)
		answers_add(&r->house.answers, s->id, done, arg)->error = err;
	else if (r->is_server)
		create_on_server(r, s, done, arg);
	else
		create_in_api(r, s, spec, done, arg);
}

/* ---- destroy, pause, resume ---- */

static void remote_destroy(struct backend *b, const char *id, backend_fn *done, void *arg)
{
	struct remote *r = remote_from(b);
	struct tenant *m = house_find_idle(&r->house, id, done, arg);
	if (!m)
		return;
	tenant_begin(m, tenant_gone, done, arg);
	if (r->is_server)
		tenant_end(m, NULL); /* it is not ours to end: it is forgotten */
	else
		remote_post(remote_member_of(m), "/stop");
}

static void remote_freeze(struct backend *b, const char *id, bool is_frozen, backend_fn *done,
	void *arg)
{
	struct remote *r = remote_from(b);
	struct tenant *m = house_find_idle(&r->house, id, done, arg);
	if (!m)
		return;
	if (r->is_server) {
		error_set(&answers_add(&r->house.answers, id, done, arg)->error, ERROR_UNSUPPORTED,
			"an action server cannot be paused: that takes a runtime API");
		return;
	}
	tenant_begin(m, tenant_tell, done, arg);
	if (is_frozen)
		remote_post(remote_member_of(m), "/pause");
	else
		remote_resume(remote_member_of(m));
}

/* ---- usage ---- */

static void take_usage(void *owner, const struct json *info, struct backend_reply *reply)
{
	const struct json *memory = json_find(json_find(info, "resources"), "memory");
	reply->usage.memory_bytes = json_int(json_find(memory, "rss"));
}

static void remote_usage(struct backend *b, const char *id, backend_fn *done, void *arg)
{
	house_ask_usage(&remote_from(b)->house, id, "/server_info", REMOTE_ALIVE_MS, take_usage,
		done, arg);
}

/* ---- the rest ---- */

static void remote_free(struct backend *b)
{
	struct remote *r = remote_from(b);
	house_fini(&r->house);
	free(r);
}

static const struct backend_ops remote_ops = {
	.name = "remote",
	.is_shared = true,
	.start = house_start,
	.create = remote_create,
	.destroy = remote_destroy,
	.freeze = remote_freeze,
	.usage = remote_usage,
	.open_call = house_open_call,
	.free = remote_free,
};

static const struct house_ops house_ops = {
	.list = remote_list,
	.look = remote_look,
	.give_up = remote_give_up,
	.free = remote_member_free,
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
	const char *name = config->is_server ? "X-Session-API-Key" : "X-API-Key";
	house_init(&r->house, &remote_ops, &house_ops, loop, url,
		key.len ? mem_printf("%s: %.*s", name, STR_ARG(key)) : NULL);
	r->is_server = config->is_server;
	*ret = &r->house.base;
	return 0;
}
