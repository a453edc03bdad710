/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. A member is a sandbox there. What is being done to it as a whole is its errand: a chain of
 * questions to the API, each asked when the one before is answered, that ends with daytona_end.
 *
 *	create   POST /sandbox, wait until it is started, GET its toolbox's /work-dir
 *	freeze   POST /sandbox/X/pause      thaw   POST /sandbox/X/start, wait      destroy   DELETE /sandbox/X
 *
 * The API has no other way to tell that a sandbox has started than to be asked again; one that answers at once with a
 * started sandbox, as cay's own does, is not asked. A member that could not be made is deleted there, as far as it got.
 */
#include "runtime/remote/daytona_member.h"

#include "base/auto.h"
#include "base/bug.h"
#include "runtime/remote/wish.h"
#include "runtime/sandbox.h"

static const struct backend_ops daytona_ops;

static struct daytona_backend *daytona_from(struct backend *b)
{
	BUG_IF(b->ops != &daytona_ops, "a backend that is not Daytona's");
	return container_of(b, struct daytona_backend, base);
}

/* ---- create ---- */

static void on_ignored(void *arg, int status, struct str body, const struct error *err)
{
}

/* Nobody will ever ask for it. */
static void delete_there(struct daytona_member *m)
{
	auto_buf struct buf url = BUF_INIT(DAYTONA_URL_MAX);
	if (!m->there)
		return;
	buf_printf(&url, "%s/sandbox/", m->backend->url);
	wish_put_segment(&url, m->there);
	const struct ask_plan plan = {
		.method = "DELETE",
		.url = url.ptr,
		.keys = { m->backend->key },
		.timeout_ms = DAYTONA_API_MS,
		.is_harmless = true,
		.done = on_ignored,
	};
	ask_new(&m->backend->asker, &plan);
}

static void tell(struct daytona_member *m, const struct error *err)
{
	struct backend_reply *reply = answers_add(&m->backend->answers, m->id, m->done, m->arg);
	if (err)
		reply->error = *err;
}

static void on_created(struct daytona_member *m, const struct error *err)
{
	tell(m, err);
	if (!err)
		return;
	delete_there(m);
	daytona_member_free(m);
}

static void on_made(void *arg, int status, struct str body, const struct error *err)
{
	struct daytona_member *m = arg;
	auto_json struct json *box = NULL;
	struct error e;
	m->ask = NULL;
	if (err) {
		e = *err;
		error_wrap(&e, "POST /sandbox");
		daytona_end(m, &e);
	} else if (json_parse(body, &box, &e) < 0 || daytona_take(m, box, &e) < 0) {
		daytona_end(m, &e);
	} else {
		m->backend->base.events->started(m->backend->base.events_arg, m->id);
		daytona_wait_for(m, "started");
		daytona_judge(m, box);
	}
}

static void daytona_create(struct backend *b, const struct sandbox *s, const struct spec *spec,
	backend_fn *done, void *arg)
{
	struct daytona_backend *d = daytona_from(b);
	auto_buf struct buf body = BUF_INIT(DAYTONA_BODY_MAX);
	auto_free char *url = mem_printf("%s/sandbox", d->url);
	struct error err;
	int ok = daytona_check(spec, &err);
	if (ok == 0 && d->n_members >= DAYTONA_MEMBERS_MAX)
		ok = error_set(&err, ERROR_LIMIT, "%d sandboxes", DAYTONA_MEMBERS_MAX);
	if (ok < 0) {
		answers_add(&d->answers, s->id, done, arg)->error = err;
		return;
	}
	struct daytona_member *m = daytona_member_new(d, s->id, str_from(s->name));
	daytona_begin(m, on_created, done, arg);
	m->workdir = spec->workdir[0] ? mem_strdup(spec->workdir) : NULL;
	daytona_put_wish(&body, s, spec);
	daytona_ask(m, "POST", url, buf_str(&body), false, on_made);
}

/* ---- destroy, pause, resume ---- */

static struct daytona_member *find_idle(struct daytona_backend *d, const char *id, backend_fn *done,
	void *arg)
{
	struct daytona_member *m = daytona_find(d, id);
	struct error err;
	if (m && !m->errand)
		return m;
	if (m)
		error_set(&err, ERROR_CONFLICT, "sandbox %s: something is being done with it", id);
	else
		error_set(&err, ERROR_NOT_FOUND, "sandbox %s is gone", id);
	answers_add(&d->answers, id, done, arg)->error = err;
	return NULL;
}

static void on_destroyed(struct daytona_member *m, const struct error *err)
{
	bool is_gone = !err || err->code == ERROR_NOT_FOUND;
	tell(m, is_gone ? NULL : err);
	if (is_gone)
		daytona_member_free(m);
}

static void on_deleted(void *arg, int status, struct str body, const struct error *err)
{
	struct daytona_member *m = arg;
	m->ask = NULL;
	daytona_end(m, err);
}

static void daytona_destroy(struct backend *b, const char *id, backend_fn *done, void *arg)
{
	struct daytona_backend *d = daytona_from(b);
	struct daytona_member *m = find_idle(d, id, done, arg);
	if (!m)
		return;
	daytona_begin(m, on_destroyed, done, arg);
	daytona_ask_api(m, "DELETE", "", STR_NONE, true, on_deleted);
}

static void daytona_freeze(struct backend *b, const char *id, bool is_frozen, backend_fn *done,
	void *arg)
{
	struct daytona_backend *d = daytona_from(b);
	struct daytona_member *m = find_idle(d, id, done, arg);
	if (!m)
		return;
	daytona_begin(m, tell, done, arg);
	daytona_wait_for(m, is_frozen ? "paused" : "started");
	daytona_ask_api(m, "POST", is_frozen ? "/pause" : "/start", STR("{}"), true,
		daytona_on_state);
}

/* ---- usage ---- */

static void take_usage(void *owner, const struct json *metrics, struct backend_reply *reply)
{
	reply->usage.memory_bytes = query_number(metrics, "memUsed");
	reply->usage.disk_bytes = query_number(metrics, "diskUsed");
}

static void daytona_usage(struct backend *b, const char *id, backend_fn *done, void *arg)
{
	struct daytona_backend *d = daytona_from(b);
	const struct daytona_member *m = daytona_find(d, id);
	if (!m || !m->site.url) {
		error_set(&answers_add(&d->answers, id, done, arg)->error, ERROR_NOT_FOUND,
			"sandbox %s is gone", id);
		return;
	}
	auto_free char *url = mem_printf("%s/system/metrics", m->site.url);
	const struct ask_plan plan = {
		.method = "GET",
		.url = url,
		.keys = { d->key },
		.timeout_ms = DAYTONA_API_MS,
		.is_harmless = true,
	};
	queries_ask(&d->queries, m->id, &plan, take_usage, done, arg);
}

/* ---- the start ---- */

static void finish_start(struct daytona_backend *d, const struct error *err)
{
	struct backend_reply *reply = answers_add(&d->answers, "", d->started, d->started_arg);
	if (err) {
		reply->error = *err;
		error_wrap(&reply->error, "%s", d->url);
	}
}

/* One of those that cay made, and that can be worked in. */
static void adopt(struct daytona_backend *d, const struct json *box)
{
	struct str id = json_str(json_find(json_find(box, "labels"), DAYTONA_LABEL_ID));
	struct str name = json_str(json_find(box, "name"));
	struct str state = json_str(json_find(box, "state"));
	bool is_paused = str_is(state, "paused");
	char text[ID_SIZE];
	struct error err;
	if (!id_is_valid(id) || d->n_members >= DAYTONA_MEMBERS_MAX ||
		(!is_paused && !str_is(state, "started")))
		return;
	snprintf(text, sizeof(text), "%.*s", STR_ARG(id));
	if (daytona_find(d, text))
		return;
	bool is_named = !str_eq(name, json_str(json_find(box, "id"))) && !str_has_nul(name);
	struct daytona_member *m = daytona_member_new(d, text, is_named ? name : STR(""));
	if (daytona_take(m, box, &err) < 0) {
		daytona_member_free(m);
		return;
	}
	struct str dir = json_str(json_find(json_find(box, "labels"), DAYTONA_LABEL_WORKDIR));
	if (str_starts(dir, STR("/")) && !str_has_nul(dir))
		m->site.workdir = str_dup(dir);
	struct backend_reply reply = { .is_paused = is_paused, .fd = -1 };
	memcpy(reply.id, m->id, sizeof(reply.id));
	snprintf(reply.name, sizeof(reply.name), "%s", m->name);
	reply.enforced.limits = (struct spec_limits){ SPEC_UNLIMITED, SPEC_UNLIMITED,
		SPEC_UNLIMITED, SPEC_UNLIMITED, SPEC_UNLIMITED };
	d->base.events->adopt(d->base.events_arg, &reply);
}

static void ask_page(struct daytona_backend *d);

static void on_page(void *arg, int status, struct str body, const struct error *err)
{
	struct daytona_backend *d = arg;
	auto_json struct json *page = NULL;
	struct error e;
	if (err) {
		finish_start(d, err);
		return;
	}
	if (json_parse(body, &page, &e) < 0) {
		error_wrap(&e, "GET /sandbox");
		e.code = ERROR_PROTOCOL;
		finish_start(d, &e);
		return;
	}
	/* Older servers give a plain list. */
	const struct json *items = json_kind(page) == JSON_KIND_ARRAY ? page
								      : json_find(page, "items");
	for (size_t i = 0; i < json_len(items); i++)
		adopt(d, json_at(items, i));
	struct str cursor = json_str(json_find(page, "nextCursor"));
	free(d->cursor);
	d->cursor = cursor.len && json_len(items) ? str_dup(cursor) : NULL;
	if (d->cursor)
		ask_page(d);
	else
		finish_start(d, NULL);
}

static void ask_page(struct daytona_backend *d)
{
	auto_buf struct buf url = BUF_INIT(DAYTONA_URL_MAX);
	buf_printf(&url, "%s/sandbox?limit=100", d->url);
	if (d->cursor) {
		buf_puts(&url, "&cursor=");
		wish_put_segment(&url, d->cursor);
	}
	const struct ask_plan plan = {
		.method = "GET",
		.url = url.ptr,
		.keys = { d->key },
		.timeout_ms = DAYTONA_API_MS,
		.is_harmless = true,
		.done = on_page,
		.arg = d,
	};
	ask_new(&d->asker, &plan);
}

static void daytona_start(struct backend *b, backend_fn *done, void *arg)
{
	struct daytona_backend *d = daytona_from(b);
	d->started = done;
	d->started_arg = arg;
	ask_page(d);
}

/* ---- the rest ---- */

static int daytona_open_call(struct backend *b, const char *id, int *ret_fd, struct error *err)
{
	struct daytona_member *m = daytona_find(daytona_from(b), id);
	if (!m || !m->site.url)
		return error_set(err, ERROR_GONE, "sandbox %s is gone", id);
	return site_open_call(&m->site, ret_fd, err);
}

static void daytona_free(struct backend *b)
{
	struct daytona_backend *d = daytona_from(b);
	answers_fini(&d->answers);
	while (!list_is_empty(&d->members))
		daytona_member_free(list_get_first(&d->members, struct daytona_member, link));
	asker_fini(&d->asker);
	queries_fini(&d->queries);
	free(d->cursor);
	free(d->url);
	free(d->key);
	free(d);
}

static const struct backend_ops daytona_ops = {
	.name = "daytona",
	.is_shared = true,
	.start = daytona_start,
	.create = daytona_create,
	.destroy = daytona_destroy,
	.freeze = daytona_freeze,
	.usage = daytona_usage,
	.open_call = daytona_open_call,
	.free = daytona_free,
};

int daytona_backend_new(struct loop *loop, const struct daytona_config *config,
	struct backend **ret, struct error *err)
{
	struct str url = str_from(config->url ?: DAYTONA_URL), key = str_from(config->key);
	if (wish_trim_url(&url, err) < 0)
		return -1;
	if (!key.len || str_find_char(key, '\n') >= 0 || str_find_char(key, '\r') >= 0)
		return error_set(err, ERROR_INVALID,
			"a Daytona server wants a key: DAYTONA_API_KEY, one line");
	struct daytona_backend *d = mem_new(struct daytona_backend);
	d->base.ops = &daytona_ops;
	d->loop = loop;
	d->url = str_dup(url);
	d->key = mem_printf("Authorization: Bearer %.*s", STR_ARG(key));
	list_init(&d->members);
	answers_init(&d->answers, loop);
	asker_init(&d->asker, loop);
	queries_init(&d->queries, &d->asker, d);
	*ret = &d->base;
	return 0;
}
