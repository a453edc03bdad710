/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. A member is a sandbox there. Its errands (tenant.h), and what they ask:
 *
 *	create   POST /sandbox, wait until it is started, GET its toolbox's /work-dir
 *	freeze   POST /sandbox/X/pause      thaw   POST /sandbox/X/start, wait      destroy   DELETE /sandbox/X
 *
 * An API that answers at once with a started sandbox, as cay's own does, is not asked again. A
 * member that could not be made is deleted there, as far as it got.
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
	return container_of(b, struct daytona_backend, house.base);
}

/* ---- create ---- */

/*
 * An answer that was lost may have been that it is made: it bears our label. Whatever is found is
 * deleted there with the failure of the create.
 */
static void on_searched(struct tenant *m, struct str body, const struct error *err)
{
	struct daytona_member *d = daytona_member_from(m);
	auto_json struct json *page = NULL;
	struct error failure = d->failure;
	if (!err)
		json_parse(body, &page, NULL);
	const struct json *items = json_kind(page) == JSON_KIND_ARRAY ? page
								      : json_find(page, "items");
	for (size_t i = 0; i < json_len(items); i++) {
		const struct json *box = json_at(items, i);
		struct str id = json_str(json_find(box, "id"));
		const struct json *labels = json_find(box, "labels");
		if (str_is(json_str(json_find(labels, DAYTONA_LABEL_ID)), m->id) && id.len &&
			!str_has_nul(id) && !d->there)
			d->there = str_dup(id);
	}
	tenant_end(m, &failure);
}

static void search(struct tenant *m, const struct error *failure)
{
	auto_free char *wanted = mem_printf("{\"" DAYTONA_LABEL_ID "\":\"%s\"}", m->id);
	auto_buf struct buf url = BUF_INIT(DAYTONA_URL_MAX);
	daytona_member_from(m)->failure = *failure;
	buf_printf(&url, "%s/sandbox?limit=100&labels=", m->house->url);
	wish_put_segment(&url, wanted);
	daytona_ask(m, "GET", url.ptr, STR_NONE, true, on_searched);
}

static void on_made(struct tenant *m, struct str body, const struct error *err)
{
	struct daytona_member *d = daytona_member_from(m);
	const struct backend *b = &m->house->base;
	auto_json struct json *box = NULL;
	struct error e;
	if (err) {
		e = *err;
		error_wrap(&e, "POST /sandbox");
		if (error_is_doubtful(e.code))
			search(m, &e);
		else
			tenant_end(m, &e);
	} else if (ask_parse(body, &box, &e) < 0 || daytona_take(d, box, &e) < 0) {
		tenant_end(m, &e);
	} else {
		b->events->started(b->events_arg, m->id);
		daytona_wait_for(d, "started");
		daytona_judge(m, box);
	}
}

static void daytona_create(struct backend *b, const struct sandbox *s, const struct spec *spec,
	backend_fn *done, void *arg)
{
	struct daytona_backend *d = daytona_from(b);
	auto_buf struct buf body = BUF_INIT(DAYTONA_BODY_MAX);
	auto_free char *url = mem_printf("%s/sandbox", d->house.url);
	struct error err;
	int ok = daytona_check(spec, &err);
	if (ok == 0 && d->house.n_tenants >= DAYTONA_MEMBERS_MAX)
		ok = error_set(&err, ERROR_LIMIT, "%d sandboxes", DAYTONA_MEMBERS_MAX);
	if (ok < 0) {
		answers_add(&d->house.answers, s->id, done, arg)->error = err;
		return;
	}
	struct daytona_member *m = daytona_member_new(d, s->id, str_from(s->name));
	tenant_begin(&m->tenant, tenant_made, done, arg);
	m->workdir = spec->workdir[0] ? mem_strdup(spec->workdir) : NULL;
	daytona_put_wish(&body, s, spec);
	daytona_ask(&m->tenant, "POST", url, buf_str(&body), false, on_made);
}

/* ---- destroy, pause, resume ---- */

static void on_deleted(struct tenant *m, struct str body, const struct error *err)
{
	tenant_end(m, err);
}

static void daytona_destroy(struct backend *b, const char *id, backend_fn *done, void *arg)
{
	struct tenant *m = house_find_idle(&daytona_from(b)->house, id, done, arg);
	if (!m)
		return;
	tenant_begin(m, tenant_gone, done, arg);
	daytona_ask_api(m, "DELETE", "", STR_NONE, true, on_deleted);
}

static void on_how_it_is(struct tenant *m, struct str body, const struct error *err)
{
	struct daytona_member *d = daytona_member_from(m);
	auto_json struct json *box = NULL;
	struct error failure = d->failure;
	bool is_so = !err && json_parse(body, &box, NULL) == 0 &&
		str_is(json_str(json_find(box, "state")), d->wanted);
	tenant_end(m, is_so ? NULL : &failure);
}

/* Asked again after a lost answer, it refuses what it has done: its state counts. */
static void on_frozen(struct tenant *m, struct str body, const struct error *err)
{
	if (err && err->code != ERROR_NOT_FOUND && err->code != ERROR_UNAUTHORIZED) {
		daytona_member_from(m)->failure = *err;
		daytona_ask_api(m, "GET", "", STR_NONE, true, on_how_it_is);
	} else {
		daytona_on_state(m, body, err);
	}
}

static void daytona_freeze(struct backend *b, const char *id, bool is_frozen, backend_fn *done,
	void *arg)
{
	struct tenant *m = house_find_idle(&daytona_from(b)->house, id, done, arg);
	if (!m)
		return;
	tenant_begin(m, tenant_tell, done, arg);
	daytona_wait_for(daytona_member_from(m), is_frozen ? "paused" : "started");
	daytona_ask_api(m, "POST", is_frozen ? "/pause" : "/start", STR("{}"), true, on_frozen);
}

/* ---- usage ---- */

static void take_usage(void *owner, const struct json *metrics, struct backend_reply *reply)
{
	reply->usage.memory_bytes = query_number(metrics, "memUsed");
	reply->usage.disk_bytes = query_number(metrics, "diskUsed");
}

static void daytona_usage(struct backend *b, const char *id, backend_fn *done, void *arg)
{
	house_ask_usage(&daytona_from(b)->house, id, "/system/metrics", DAYTONA_API_MS, take_usage,
		done, arg);
}

/* ---- the start ---- */

static bool is_on_its_way(struct str state)
{
	static const char *const words[] = { "creating", "pending_build", "building_snapshot",
		"pulling_snapshot", "starting", "resuming", "pausing" };
	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		if (str_is(state, words[i]))
			return true;
	return false;
}

/* One of those that cay made, and that can be worked in, or will be. */
static void adopt(struct daytona_backend *d, const struct json *box)
{
	struct str id = json_str(json_find(json_find(box, "labels"), DAYTONA_LABEL_ID));
	struct str name = json_str(json_find(box, "name"));
	struct str state = json_str(json_find(box, "state"));
	bool is_paused = str_is(state, "paused");
	bool is_unfinished = is_on_its_way(state);
	char text[ID_SIZE];
	struct error err;
	if (!id_is_valid(id) || d->house.n_tenants >= DAYTONA_MEMBERS_MAX ||
		(!is_paused && !is_unfinished && !str_is(state, "started")))
		return;
	snprintf(text, sizeof(text), "%.*s", STR_ARG(id));
	if (house_find(&d->house, text))
		return;
	bool is_named = !str_eq(name, json_str(json_find(box, "id"))) && !str_has_nul(name);
	struct daytona_member *m = daytona_member_new(d, text, is_named ? name : STR(""));
	if (daytona_take(m, box, &err) < 0) {
		daytona_member_free(&m->tenant);
		return;
	}
	struct str dir = json_str(json_find(json_find(box, "labels"), DAYTONA_LABEL_WORKDIR));
	if (str_starts(dir, STR("/")) && !str_has_nul(dir))
		m->tenant.site.workdir = str_dup(dir);
	house_adopt(&m->tenant, m->name,
		is_paused               ? HOUSE_PAUSED
			: is_unfinished ? HOUSE_UNFINISHED
					: HOUSE_RUNS);
}

static void ask_page(struct daytona_backend *d);

static void on_page(void *arg, int status, struct str body, const struct error *err)
{
	struct daytona_backend *d = arg;
	auto_json struct json *page = NULL;
	struct error e;
	if (err) {
		house_started(&d->house, err);
		return;
	}
	if (ask_parse(body, &page, &e) < 0) {
		error_wrap(&e, "GET /sandbox");
		house_started(&d->house, &e);
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
		house_started(&d->house, NULL);
}

static void ask_page(struct daytona_backend *d)
{
	auto_buf struct buf url = BUF_INIT(DAYTONA_URL_MAX);
	buf_printf(&url, "%s/sandbox?limit=100", d->house.url);
	if (d->cursor) {
		buf_puts(&url, "&cursor=");
		wish_put_segment(&url, d->cursor);
	}
	const struct ask_plan plan = {
		.method = "GET",
		.url = url.ptr,
		.keys = { d->house.key },
		.timeout_ms = DAYTONA_API_MS,
		.is_harmless = true,
		.done = on_page,
		.arg = d,
	};
	ask_new(&d->house.asker, &plan);
}

static void daytona_list_there(struct house *house)
{
	ask_page(container_of(house, struct daytona_backend, house));
}

/* ---- the rest ---- */

static void daytona_free(struct backend *b)
{
	struct daytona_backend *d = daytona_from(b);
	house_fini(&d->house);
	free(d->cursor);
	free(d);
}

static const struct backend_ops daytona_ops = {
	.name = "daytona",
	.is_shared = true,
	.start = house_start,
	.create = daytona_create,
	.destroy = daytona_destroy,
	.freeze = daytona_freeze,
	.usage = daytona_usage,
	.open_call = house_open_call,
	.free = daytona_free,
};

static const struct house_ops house_ops = {
	.list = daytona_list_there,
	.look = daytona_look,
	.give_up = daytona_give_up,
	.free = daytona_member_free,
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
	house_init(&d->house, &daytona_ops, &house_ops, loop, url,
		mem_printf("Authorization: Bearer %.*s", STR_ARG(key)));
	*ret = &d->house.base;
	return 0;
}
