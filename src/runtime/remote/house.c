/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/remote/house.h"

#include "base/auto.h"
#include "base/bug.h"

void house_init(struct house *house, const struct backend_ops *ops, const struct house_ops *kind,
	struct loop *loop, struct str url, char *key)
{
	house->base.ops = ops;
	house->kind = kind;
	house->loop = loop;
	house->url = str_dup(url);
	house->key = key;
	list_init(&house->tenants);
	answers_init(&house->answers, loop);
	asker_init(&house->asker, loop);
	queries_init(&house->queries, &house->asker, house);
}

void house_fini(struct house *house)
{
	answers_fini(&house->answers);
	while (!list_is_empty(&house->tenants))
		house->kind->free(list_get_first(&house->tenants, struct tenant, link));
	asker_fini(&house->asker);
	queries_fini(&house->queries);
	free(house->url);
	free(house->key);
}

/* ---- tenants ---- */

struct tenant *house_find(struct house *house, const char *id)
{
	struct tenant *m;
	list_for_each(m, &house->tenants, link)
		if (strcmp(m->id, id) == 0)
			return m;
	return NULL;
}

struct tenant *house_find_idle(struct house *house, const char *id, backend_fn *done, void *arg)
{
	struct tenant *m = house_find(house, id);
	struct error err;
	if (m && !m->errand)
		return m;
	if (m)
		error_set(&err, ERROR_CONFLICT, "sandbox %s: something is being done with it", id);
	else
		error_set(&err, ERROR_NOT_FOUND, "sandbox %s is gone", id);
	answers_add(&house->answers, id, done, arg)->error = err;
	return NULL;
}

int house_open_call(struct backend *b, const char *id, int *ret_fd, struct error *err)
{
	struct tenant *m = house_find(container_of(b, struct house, base), id);
	if (!m || !m->site.url)
		return error_set(err, ERROR_GONE, "sandbox %s is gone", id);
	return site_open_call(&m->site, ret_fd, err);
}

/* ---- questions ---- */

static void on_ignored(void *arg, int status, struct str body, const struct error *err)
{
}

void house_mention(struct house *house, const struct ask_plan *plan)
{
	struct ask_plan ours = *plan;
	ours.done = on_ignored;
	ask_new(&house->asker, &ours);
}

void house_ask_usage(struct house *house, const char *id, const char *path, int64_t timeout_ms,
	query_fn *take, backend_fn *done, void *arg)
{
	const struct tenant *m = house_find(house, id);
	if (!m || !m->site.url) {
		error_set(&answers_add(&house->answers, id, done, arg)->error, ERROR_NOT_FOUND,
			"sandbox %s is gone", id);
		return;
	}
	auto_free char *url = mem_printf("%s%s", m->site.url, path);
	const struct ask_plan plan = {
		.method = "GET",
		.url = url,
		.keys = { m->site.key },
		.timeout_ms = timeout_ms,
		.is_harmless = true,
	};
	queries_ask(&house->queries, m->id, &plan, take, done, arg);
}

/* ---- the start ---- */

void house_start(struct backend *b, backend_fn *done, void *arg)
{
	struct house *house = container_of(b, struct house, base);
	house->started = done;
	house->started_arg = arg;
	house->kind->list(house);
}

void house_adopt(struct tenant *m, const char *name, enum house_rest rest)
{
	const struct backend *b = &m->house->base;
	struct backend_reply reply = {
		.is_paused = rest == HOUSE_PAUSED,
		.is_unfinished = rest == HOUSE_UNFINISHED,
		.fd = -1,
	};
	memcpy(reply.id, m->id, sizeof(reply.id));
	snprintf(reply.name, sizeof(reply.name), "%s", name);
	reply.enforced.limits = (struct spec_limits){ SPEC_UNLIMITED, SPEC_UNLIMITED,
		SPEC_UNLIMITED, SPEC_UNLIMITED, SPEC_UNLIMITED };
	b->events->adopt(b->events_arg, &reply);
}

void house_started(struct house *house, const struct error *err)
{
	struct backend_reply *reply = answers_add(&house->answers, "", house->started,
		house->started_arg);
	if (err) {
		reply->error = *err;
		error_wrap(&reply->error, "%s", house->url);
	}
}
