/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. A member is a sandbox there. What is being done to it as a whole is its errand: a chain of
 * questions to the API, each asked when the one before is answered, that ends with end_errand.
 *
 *	create   POST /sandbox, wait until it is started, GET its toolbox's /work-dir
 *	freeze   POST /sandbox/X/pause      thaw   POST /sandbox/X/start, wait      destroy   DELETE /sandbox/X
 *
 * The API has no other way to tell that a sandbox has started than to be asked again; one that answers at once with a
 * started sandbox, as cay's own does, is not asked. A member that could not be made is deleted there, as far as it got.
 */
#include "runtime/remote/daytona.h"

#include "base/auto.h"
#include "base/bug.h"
#include "base/clock.h"
#include "runtime/remote/daytona_verbs.h"
#include "runtime/remote/wish.h"
#include "runtime/sandbox.h"

enum { WAIT_FIRST_MS = 100, WAIT_MAX_MS = 2000, BODY_MAX = 4 * 1024 * 1024, URL_MAX = 64 * 1024 };

#define LABEL_ID      "cay.id"
#define LABEL_WORKDIR "cay.workdir"
#define GIB           ((int64_t)1 << 30)

struct daytona_backend {
	struct backend base;
	struct loop *loop;
	struct asker asker;
	char *url, *key;     /* key: a header line */
	struct list members; /* daytona_member::link */
	size_t n_members;
	struct list answers; /* answer::link */
	struct list usages;  /* usage::link */
	backend_fn *started;
	void *started_arg;
	char *cursor; /* of the list at the start */
};

struct answer {
	struct list link; /* daytona_backend::answers */
	struct daytona_backend *backend;
	backend_fn *done;
	void *arg;
	struct backend_reply reply;
};

static const struct backend_ops daytona_ops;

static struct daytona_backend *daytona_from(struct backend *b)
{
	BUG_IF(b->ops != &daytona_ops, "a backend that is not Daytona's");
	return container_of(b, struct daytona_backend, base);
}

/* ---- answers ---- */

static void answer_free(struct answer *a)
{
	list_remove(&a->link);
	loop_undefer(a->backend->loop, a);
	free(a);
}

static void answer_now(void *arg)
{
	struct answer *a = arg;
	struct answer copy = *a;
	answer_free(a);
	copy.done(copy.arg, &copy.reply);
}

static struct backend_reply *answer_later(struct daytona_backend *d, const char *id,
	backend_fn *done, void *arg)
{
	struct answer *a = mem_new(struct answer);
	a->backend = d;
	a->done = done;
	a->arg = arg;
	snprintf(a->reply.id, sizeof(a->reply.id), "%s", id);
	a->reply.enforced.limits = (struct spec_limits){ SPEC_UNLIMITED, SPEC_UNLIMITED,
		SPEC_UNLIMITED, SPEC_UNLIMITED, SPEC_UNLIMITED };
	list_append(&d->answers, &a->link);
	loop_defer(d->loop, answer_now, a);
	return &a->reply;
}

/* ---- members ---- */

/* What a toolbox says by a status, where it is not what an OpenHands server means by it. */
static void explain(int status, struct error *err)
{
	static const struct {
		int status;
		enum error_code code;
	} known[] = {
		{ 403, ERROR_FORBIDDEN },
		{ 408, ERROR_TIMEOUT },
		{ 409, ERROR_CONFLICT },
		{ 410, ERROR_GONE },
		{ 413, ERROR_TOO_LARGE },
		{ 507, ERROR_NO_SPACE },
	};
	for (size_t i = 0; i < ARRAY_LEN(known); i++)
		if (known[i].status == status)
			err->code = known[i].code;
}

static const struct site_ops site_ops = {
	.server = "a Daytona sandbox",
	.verbs = daytona_verbs,
	.explain = explain,
};

static struct daytona_member *find(struct daytona_backend *d, const char *id)
{
	struct daytona_member *m;
	list_for_each(m, &d->members, link)
		if (strcmp(m->id, id) == 0)
			return m;
	return NULL;
}

static void on_timer(void *arg);

static struct daytona_member *member_new(struct daytona_backend *d, const char *id, struct str name)
{
	struct daytona_member *m = mem_new(struct daytona_member);
	m->backend = d;
	snprintf(m->id, sizeof(m->id), "%s", id);
	m->name = str_dup(name);
	m->timer = timer_new(d->loop, on_timer, m);
	buf_init(&m->env, DAYTONA_ENV_BYTES);
	list_init(&m->sessions);
	site_init(&m->site, &d->asker, &site_ops, m);
	list_append(&d->members, &m->link);
	d->n_members++;
	return m;
}

static void member_free(struct daytona_member *m)
{
	list_remove(&m->link);
	m->backend->n_members--;
	ask_drop(m->ask);
	timer_free(m->timer);
	site_fini(&m->site);
	while (!list_is_empty(&m->sessions)) {
		struct daytona_session *s = list_get_first(&m->sessions, struct daytona_session,
			link);
		list_remove(&s->link);
		free(s->name);
		free(s);
	}
	buf_fini(&m->env);
	free(m->there);
	free(m->name);
	free(m->workdir);
	free(m);
}

/* Takes a sandbox as the API tells of it: its id there, and where its toolbox is. */
static int take_sandbox(struct daytona_member *m, const struct json *box, struct error *err)
{
	struct str id = json_str(json_find(box, "id"));
	struct str url = json_str(json_find(box, "toolboxProxyUrl"));
	if (!id.len || str_has_nul(id) || !str_starts(url, STR("http")) || str_has_nul(url))
		return error_set(err, ERROR_PROTOCOL,
			"the Daytona API gave no id, or no toolboxProxyUrl, of a sandbox");
	while (str_ends(url, STR("/")))
		url.len--;
	auto_buf struct buf toolbox = BUF_INIT(URL_MAX);
	buf_put(&toolbox, url);
	buf_putc(&toolbox, '/');
	free(m->there);
	m->there = str_dup(id);
	wish_put_segment(&toolbox, m->there);
	site_set(&m->site, buf_str(&toolbox), STR_NONE);
	m->site.key = mem_strdup(m->backend->key);
	return 0;
}

/* ---- errands ---- */

static void ask(struct daytona_member *m, const char *method, const char *url, struct str json,
	bool is_harmless, ask_fn *done)
{
	const struct ask_plan plan = {
		.method = method,
		.url = url,
		.json = json,
		.keys = { m->backend->key },
		.timeout_ms = DAYTONA_API_MS,
		.is_harmless = is_harmless,
		.done = done,
		.arg = m,
	};
	BUG_IF(m->ask, "two questions about one sandbox at once");
	m->ask = ask_new(&m->backend->asker, &plan);
}

/* About the sandbox itself: "/sandbox/X" and a tail. */
static void ask_api(struct daytona_member *m, const char *method, const char *tail, struct str json,
	bool is_harmless, ask_fn *done)
{
	auto_buf struct buf url = BUF_INIT(URL_MAX);
	buf_printf(&url, "%s/sandbox/", m->backend->url);
	wish_put_segment(&url, m->there);
	buf_puts(&url, tail);
	ask(m, method, url.ptr, json, is_harmless, done);
}

static void begin(struct daytona_member *m,
	void (*errand)(struct daytona_member *m, const struct error *err), backend_fn *done,
	void *arg)
{
	m->errand = errand;
	m->done = done;
	m->arg = arg;
}

static void end_errand(struct daytona_member *m, const struct error *err)
{
	void (*errand)(struct daytona_member * m, const struct error *err) = m->errand;
	m->errand = NULL;
	timer_clear(m->timer);
	errand(m, err);
}

static void tell(struct daytona_member *m, const struct error *err)
{
	struct backend_reply *reply = answer_later(m->backend, m->id, m->done, m->arg);
	if (err)
		reply->error = *err;
}

/* ---- waiting ---- */

static void on_folder(void *arg, int status, struct str body, const struct error *err)
{
	struct daytona_member *m = arg;
	m->ask = NULL;
	if (!err) {
		free(m->site.workdir);
		m->site.workdir = take_ptr(m->workdir);
	}
	end_errand(m, err);
}

static void make_workdir(struct daytona_member *m)
{
	auto_buf struct buf url = BUF_INIT(URL_MAX);
	buf_printf(&url, "%s/files/folder?mode=0755&path=", m->site.url);
	wish_put_segment(&url, m->workdir);
	ask(m, "POST", url.ptr, STR_NONE, true, on_folder);
}

static void on_workdir(void *arg, int status, struct str body, const struct error *err)
{
	struct daytona_member *m = arg;
	auto_json struct json *reply = NULL;
	struct error e;
	m->ask = NULL;
	if (err || json_parse(body, &reply, &e) < 0) {
		end_errand(m, err ? err : &e);
		return;
	}
	struct str dir = json_str(json_find(reply, "dir"));
	if (!str_starts(dir, STR("/"))) {
		error_set(&e, ERROR_PROTOCOL, "the toolbox did not tell its working directory");
		end_errand(m, &e);
		return;
	}
	free(m->site.workdir);
	m->site.workdir = str_dup(dir);
	if (m->workdir)
		make_workdir(m);
	else
		end_errand(m, NULL);
}

static void judge_state(struct daytona_member *m, const struct json *box)
{
	struct str state = json_str(json_find(box, "state"));
	struct str reason = json_str(json_find(box, "errorReason"));
	struct error err;
	if (!state.len || str_is(state, m->wanted)) {
		auto_free char *url = mem_printf("%s/work-dir", m->site.url);
		if (m->site.workdir || !str_is(STR("started"), m->wanted))
			end_errand(m, NULL);
		else
			ask(m, "GET", url, STR_NONE, true, on_workdir);
		return;
	}
	bool is_lost = str_is(state, "error") || str_is(state, "build_failed") ||
		str_is(state, "destroyed");
	if (is_lost || clock_mono_ms() >= m->deadline_ms) {
		error_set(&err, is_lost ? ERROR_UNAVAILABLE : ERROR_NOT_READY,
			"the sandbox is %.*s, not %s%s%.*s", STR_ARG(str_first(state, 40)),
			m->wanted, reason.len ? ": " : "", STR_ARG(str_first(reason, 120)));
		end_errand(m, &err);
		return;
	}
	timer_set(m->timer, m->wait_ms);
	m->wait_ms = MIN(2 * m->wait_ms, (int64_t)WAIT_MAX_MS);
}

static void on_state(void *arg, int status, struct str body, const struct error *err)
{
	struct daytona_member *m = arg;
	auto_json struct json *box = NULL;
	struct error e;
	m->ask = NULL;
	if (err || (body.len && json_parse(body, &box, &e) < 0))
		end_errand(m, err ? err : &e);
	else
		judge_state(m, box);
}

static void on_timer(void *arg)
{
	ask_api(arg, "GET", "", STR_NONE, true, on_state);
}

static void wait_for(struct daytona_member *m, const char *state)
{
	m->wanted = state;
	m->deadline_ms = clock_mono_ms() + DAYTONA_READY_MS;
	m->wait_ms = WAIT_FIRST_MS;
}

/* ---- create ---- */

static int refuse(struct error *err, const char *what)
{
	return error_set(err, ERROR_UNSUPPORTED, "a Daytona server takes no %s", what);
}

static int check(const struct spec *spec, struct error *err)
{
	if (spec->required)
		return refuse(err, "required control");
	if (spec->n_mounts)
		return refuse(err, "mount");
	if (spec->image != IMAGE_HOST)
		return refuse(err,
			"image of this machine; the labels daytona_snapshot and daytona_image name one of its");
	if (spec->limits.pids > 0 || spec->limits.disk_inodes > 0)
		return refuse(err, "limit on processes or inodes");
	if (spec->network == NETWORK_HOST)
		return refuse(err, "host network");
	return 0;
}

static void put_text(struct jsonw *w, const char *key, const struct sandbox *s, const char *label)
{
	struct str value = sandbox_label(s, str_from(label));
	if (value.len)
		jsonw_key_str(w, key, value);
}

static void put_labels(struct jsonw *w, const struct sandbox *s, const struct spec *spec)
{
	jsonw_key(w, "labels");
	jsonw_open(w);
	jsonw_key_str(w, "code-toolbox-language", STR("python"));
	jsonw_key(w, LABEL_ID);
	jsonw_str(w, str_from(s->id));
	if (spec->workdir[0]) {
		jsonw_key(w, LABEL_WORKDIR);
		jsonw_str(w, str_from(spec->workdir));
	}
	for (size_t i = 0; i < s->n_labels; i++) {
		if (str_starts(str_from(s->label_keys[i]), STR("cay.")))
			continue;
		jsonw_key_dyn(w, str_from(s->label_keys[i]));
		jsonw_str(w, str_from(s->label_values[i]));
	}
	jsonw_close(w);
}

static void put_limit(struct jsonw *w, const char *key, int64_t value, int64_t unit)
{
	if (value > 0)
		jsonw_key_int(w, key, (value + unit - 1) / unit);
}

/* "a.org,b.org": what the proxy of a sandbox may let out. */
static void put_network(struct jsonw *w, const struct sandbox *s, const struct spec *spec)
{
	auto_json struct json *asked = NULL;
	auto_buf struct buf list = BUF_INIT(64 * 1024);
	if (spec->network == NETWORK_NONE)
		jsonw_key_bool(w, "networkBlockAll", true);
	if (spec->network != NETWORK_PROXY || json_parse(str_from(s->spec_json), &asked, NULL) < 0)
		return;
	const struct json *allow = json_find(asked, "allow");
	for (size_t i = 0; i < json_len(allow); i++) {
		if (i)
			buf_putc(&list, ',');
		buf_put(&list, json_str(json_at(allow, i)));
	}
	jsonw_key_str(w, "domainAllowList", buf_str(&list));
}

static void put_wish(struct buf *b, const struct sandbox *s, const struct spec *spec)
{
	struct str image = sandbox_label(s, STR("daytona_image"));
	struct jsonw w = JSONW(b);
	jsonw_open(&w);
	if (s->name[0])
		jsonw_key_str(&w, "name", str_from(s->name));
	put_text(&w, "snapshot", s, "daytona_snapshot");
	put_text(&w, "target", s, "daytona_target");
	if (image.len) {
		auto_free char *dockerfile = mem_printf("FROM %.*s\n", STR_ARG(image));
		jsonw_key(&w, "buildInfo");
		jsonw_open(&w);
		jsonw_key_str(&w, "dockerfileContent", str_from(dockerfile));
		jsonw_close(&w);
	}
	if (spec->user == USER_ROOT)
		jsonw_key_str(&w, "user", STR("root"));
	put_labels(&w, s, spec);
	put_limit(&w, "cpu", spec->limits.cpu_milli, 1000);
	put_limit(&w, "memory", spec->limits.memory_bytes, GIB);
	put_limit(&w, "disk", spec->limits.disk_bytes, GIB);
	put_network(&w, s, spec);
	jsonw_key_int(&w, "autoStopInterval", 0);
	jsonw_key_int(&w, "autoDeleteInterval", -1);
	jsonw_close(&w);
}

static void on_ignored(void *arg, int status, struct str body, const struct error *err)
{
}

/* Nobody will ever ask for it. */
static void delete_there(struct daytona_member *m)
{
	auto_buf struct buf url = BUF_INIT(URL_MAX);
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

static void on_created(struct daytona_member *m, const struct error *err)
{
	tell(m, err);
	if (!err)
		return;
	delete_there(m);
	member_free(m);
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
		end_errand(m, &e);
	} else if (json_parse(body, &box, &e) < 0 || take_sandbox(m, box, &e) < 0) {
		end_errand(m, &e);
	} else {
		m->backend->base.events->started(m->backend->base.events_arg, m->id);
		wait_for(m, "started");
		judge_state(m, box);
	}
}

static void daytona_create(struct backend *b, const struct sandbox *s, const struct spec *spec,
	backend_fn *done, void *arg)
{
	struct daytona_backend *d = daytona_from(b);
	auto_buf struct buf body = BUF_INIT(BODY_MAX);
	auto_free char *url = mem_printf("%s/sandbox", d->url);
	struct error err;
	int ok = check(spec, &err);
	if (ok == 0 && d->n_members >= DAYTONA_MEMBERS_MAX)
		ok = error_set(&err, ERROR_LIMIT, "%d sandboxes", DAYTONA_MEMBERS_MAX);
	if (ok < 0) {
		answer_later(d, s->id, done, arg)->error = err;
		return;
	}
	struct daytona_member *m = member_new(d, s->id, str_from(s->name));
	begin(m, on_created, done, arg);
	m->workdir = spec->workdir[0] ? mem_strdup(spec->workdir) : NULL;
	put_wish(&body, s, spec);
	ask(m, "POST", url, buf_str(&body), false, on_made);
}

/* ---- destroy, pause, resume ---- */

static struct daytona_member *find_idle(struct daytona_backend *d, const char *id, backend_fn *done,
	void *arg)
{
	struct daytona_member *m = find(d, id);
	struct error err;
	if (m && !m->errand)
		return m;
	if (m)
		error_set(&err, ERROR_CONFLICT, "sandbox %s: something is being done with it", id);
	else
		error_set(&err, ERROR_NOT_FOUND, "sandbox %s is gone", id);
	answer_later(d, id, done, arg)->error = err;
	return NULL;
}

static void on_destroyed(struct daytona_member *m, const struct error *err)
{
	bool is_gone = !err || err->code == ERROR_NOT_FOUND;
	tell(m, is_gone ? NULL : err);
	if (is_gone)
		member_free(m);
}

static void on_deleted(void *arg, int status, struct str body, const struct error *err)
{
	struct daytona_member *m = arg;
	m->ask = NULL;
	end_errand(m, err);
}

static void daytona_destroy(struct backend *b, const char *id, backend_fn *done, void *arg)
{
	struct daytona_backend *d = daytona_from(b);
	struct daytona_member *m = find_idle(d, id, done, arg);
	if (!m)
		return;
	begin(m, on_destroyed, done, arg);
	ask_api(m, "DELETE", "", STR_NONE, true, on_deleted);
}

static void daytona_freeze(struct backend *b, const char *id, bool is_frozen, backend_fn *done,
	void *arg)
{
	struct daytona_backend *d = daytona_from(b);
	struct daytona_member *m = find_idle(d, id, done, arg);
	if (!m)
		return;
	begin(m, tell, done, arg);
	wait_for(m, is_frozen ? "paused" : "started");
	ask_api(m, "POST", is_frozen ? "/pause" : "/start", STR("{}"), true, on_state);
}

/* ---- usage ---- */

struct usage {
	struct list link; /* daytona_backend::usages */
	struct daytona_backend *backend;
	char id[ID_SIZE];
	backend_fn *done;
	void *arg;
};

static int64_t number_or_unknown(const struct json *json, const char *key)
{
	const struct json *value = json_find(json, key);
	return json_kind(value) == JSON_KIND_INT ? json_int(value) : -1;
}

static void on_usage(void *arg, int status, struct str body, const struct error *err)
{
	struct usage *u = arg;
	auto_json struct json *metrics = NULL;
	struct backend_reply *reply = answer_later(u->backend, u->id, u->done, u->arg);
	if (err)
		reply->error = *err;
	else if (json_parse(body, &metrics, &reply->error) == 0)
		reply->usage = (struct monitor_usage){
			.memory_bytes = number_or_unknown(metrics, "memUsed"),
			.memory_peak_bytes = -1,
			.pids = -1,
			.cpu_us = -1,
			.disk_bytes = number_or_unknown(metrics, "diskUsed"),
			.disk_inodes = -1,
			.oom_kills = -1,
		};
	list_remove(&u->link);
	free(u);
}

static void daytona_usage(struct backend *b, const char *id, backend_fn *done, void *arg)
{
	struct daytona_backend *d = daytona_from(b);
	const struct daytona_member *m = find(d, id);
	if (!m || !m->site.url) {
		error_set(&answer_later(d, id, done, arg)->error, ERROR_NOT_FOUND,
			"sandbox %s is gone", id);
		return;
	}
	struct usage *u = mem_new(struct usage);
	*u = (struct usage){ .backend = d, .done = done, .arg = arg };
	list_append(&d->usages, &u->link);
	memcpy(u->id, m->id, sizeof(u->id));
	auto_free char *url = mem_printf("%s/system/metrics", m->site.url);
	const struct ask_plan plan = {
		.method = "GET",
		.url = url,
		.keys = { d->key },
		.timeout_ms = DAYTONA_API_MS,
		.is_harmless = true,
		.done = on_usage,
		.arg = u,
	};
	ask_new(&d->asker, &plan);
}

/* ---- the start ---- */

static void finish_start(struct daytona_backend *d, const struct error *err)
{
	struct backend_reply *reply = answer_later(d, "", d->started, d->started_arg);
	if (err) {
		reply->error = *err;
		error_wrap(&reply->error, "%s", d->url);
	}
}

/* One of those that cay made, and that can be worked in. */
static void adopt(struct daytona_backend *d, const struct json *box)
{
	struct str id = json_str(json_find(json_find(box, "labels"), LABEL_ID));
	struct str name = json_str(json_find(box, "name"));
	struct str state = json_str(json_find(box, "state"));
	bool is_paused = str_is(state, "paused");
	char text[ID_SIZE];
	struct error err;
	if (!id_is_valid(id) || d->n_members >= DAYTONA_MEMBERS_MAX ||
		(!is_paused && !str_is(state, "started")))
		return;
	snprintf(text, sizeof(text), "%.*s", STR_ARG(id));
	if (find(d, text))
		return;
	bool is_named = !str_eq(name, json_str(json_find(box, "id"))) && !str_has_nul(name);
	struct daytona_member *m = member_new(d, text, is_named ? name : STR(""));
	if (take_sandbox(m, box, &err) < 0) {
		member_free(m);
		return;
	}
	struct str dir = json_str(json_find(json_find(box, "labels"), LABEL_WORKDIR));
	if (str_starts(dir, STR("/")) && !str_has_nul(dir))
		m->site.workdir = str_dup(dir);
	struct backend_reply reply = { .is_paused = is_paused };
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
	auto_buf struct buf url = BUF_INIT(URL_MAX);
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
	struct daytona_member *m = find(daytona_from(b), id);
	if (!m || !m->site.url)
		return error_set(err, ERROR_GONE, "sandbox %s is gone", id);
	return site_open_call(&m->site, ret_fd, err);
}

static void daytona_free(struct backend *b)
{
	struct daytona_backend *d = daytona_from(b);
	while (!list_is_empty(&d->answers))
		answer_free(list_get_first(&d->answers, struct answer, link));
	while (!list_is_empty(&d->members))
		member_free(list_get_first(&d->members, struct daytona_member, link));
	asker_fini(&d->asker);
	while (!list_is_empty(&d->usages)) {
		struct usage *u = list_get_first(&d->usages, struct usage, link);
		list_remove(&u->link);
		free(u);
	}
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
	while (str_ends(url, STR("/")))
		url.len--;
	if (!str_starts(url, STR("http://")) && !str_starts(url, STR("https://")))
		return error_set(err, ERROR_INVALID, "'%.*s' is no http:// or https:// URL",
			STR_ARG(str_first(url, 100)));
	if (!key.len || str_find_char(key, '\n') >= 0 || str_find_char(key, '\r') >= 0)
		return error_set(err, ERROR_INVALID,
			"a Daytona server wants a key: DAYTONA_API_KEY, one line");
	struct daytona_backend *d = mem_new(struct daytona_backend);
	d->base.ops = &daytona_ops;
	d->loop = loop;
	d->url = str_dup(url);
	d->key = mem_printf("Authorization: Bearer %.*s", STR_ARG(key));
	list_init(&d->members);
	list_init(&d->answers);
	list_init(&d->usages);
	asker_init(&d->asker, loop);
	*ret = &d->base;
	return 0;
}
