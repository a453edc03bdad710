/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/remote/daytona_member.h"

#include "base/auto.h"
#include "base/bug.h"
#include "base/clock.h"
#include "runtime/remote/daytona_verbs.h"
#include "runtime/remote/wish.h"

enum { WAIT_FIRST_MS = 100, WAIT_MAX_MS = 2000 };

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

struct daytona_member *daytona_find(struct daytona_backend *d, const char *id)
{
	struct daytona_member *m;
	list_for_each(m, &d->members, link)
		if (strcmp(m->id, id) == 0)
			return m;
	return NULL;
}

static void on_timer(void *arg);

struct daytona_member *daytona_member_new(struct daytona_backend *d, const char *id,
	struct str name)
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

void daytona_member_free(struct daytona_member *m)
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

int daytona_take(struct daytona_member *m, const struct json *box, struct error *err)
{
	struct str id = json_str(json_find(box, "id"));
	struct str url = json_str(json_find(box, "toolboxProxyUrl"));
	if (!id.len || str_has_nul(id) || !str_starts(url, STR("http")) || str_has_nul(url))
		return error_set(err, ERROR_PROTOCOL,
			"the Daytona API gave no id, or no toolboxProxyUrl, of a sandbox");
	while (str_ends(url, STR("/")))
		url.len--;
	auto_buf struct buf toolbox = BUF_INIT(DAYTONA_URL_MAX);
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

void daytona_ask(struct daytona_member *m, const char *method, const char *url, struct str json,
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

void daytona_ask_api(struct daytona_member *m, const char *method, const char *tail,
	struct str json, bool is_harmless, ask_fn *done)
{
	auto_buf struct buf url = BUF_INIT(DAYTONA_URL_MAX);
	buf_printf(&url, "%s/sandbox/", m->backend->url);
	wish_put_segment(&url, m->there);
	buf_puts(&url, tail);
	daytona_ask(m, method, url.ptr, json, is_harmless, done);
}

void daytona_begin(struct daytona_member *m, daytona_errand_fn *errand, backend_fn *done, void *arg)
{
	m->errand = errand;
	m->done = done;
	m->arg = arg;
}

void daytona_end(struct daytona_member *m, const struct error *err)
{
	daytona_errand_fn *errand = m->errand;
	m->errand = NULL;
	timer_clear(m->timer);
	errand(m, err);
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
	daytona_end(m, err);
}

static void make_workdir(struct daytona_member *m)
{
	auto_buf struct buf url = BUF_INIT(DAYTONA_URL_MAX);
	buf_printf(&url, "%s/files/folder?mode=0755&path=", m->site.url);
	wish_put_segment(&url, m->workdir);
	daytona_ask(m, "POST", url.ptr, STR_NONE, true, on_folder);
}

static void on_workdir(void *arg, int status, struct str body, const struct error *err)
{
	struct daytona_member *m = arg;
	auto_json struct json *reply = NULL;
	struct error e;
	m->ask = NULL;
	if (err || json_parse(body, &reply, &e) < 0) {
		daytona_end(m, err ? err : &e);
		return;
	}
	struct str dir = json_str(json_find(reply, "dir"));
	if (!str_starts(dir, STR("/"))) {
		error_set(&e, ERROR_PROTOCOL, "the toolbox did not tell its working directory");
		daytona_end(m, &e);
		return;
	}
	free(m->site.workdir);
	m->site.workdir = str_dup(dir);
	if (m->workdir)
		make_workdir(m);
	else
		daytona_end(m, NULL);
}

void daytona_judge(struct daytona_member *m, const struct json *box)
{
	struct str state = json_str(json_find(box, "state"));
	struct str reason = json_str(json_find(box, "errorReason"));
	struct error err;
	if (!state.len || str_is(state, m->wanted)) {
		auto_free char *url = mem_printf("%s/work-dir", m->site.url);
		if (m->site.workdir || !str_is(STR("started"), m->wanted))
			daytona_end(m, NULL);
		else
			daytona_ask(m, "GET", url, STR_NONE, true, on_workdir);
		return;
	}
	bool is_lost = str_is(state, "error") || str_is(state, "build_failed") ||
		str_is(state, "destroyed");
	if (is_lost || clock_mono_ms() >= m->deadline_ms) {
		error_set(&err, is_lost ? ERROR_UNAVAILABLE : ERROR_NOT_READY,
			"the sandbox is %.*s, not %s%s%.*s", STR_ARG(str_first(state, 40)),
			m->wanted, reason.len ? ": " : "", STR_ARG(str_first(reason, 120)));
		daytona_end(m, &err);
		return;
	}
	timer_set(m->timer, m->wait_ms);
	m->wait_ms = MIN(2 * m->wait_ms, (int64_t)WAIT_MAX_MS);
}

void daytona_on_state(void *arg, int status, struct str body, const struct error *err)
{
	struct daytona_member *m = arg;
	auto_json struct json *box = NULL;
	struct error e;
	m->ask = NULL;
	if (err || (body.len && json_parse(body, &box, &e) < 0))
		daytona_end(m, err ? err : &e);
	else
		daytona_judge(m, box);
}

static void on_timer(void *arg)
{
	daytona_ask_api(arg, "GET", "", STR_NONE, true, daytona_on_state);
}

void daytona_wait_for(struct daytona_member *m, const char *state)
{
	m->wanted = state;
	m->deadline_ms = clock_mono_ms() + DAYTONA_READY_MS;
	m->wait_ms = WAIT_FIRST_MS;
}
