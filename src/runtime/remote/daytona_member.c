/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/remote/daytona_member.h"

#include "base/auto.h"
#include "base/bug.h"
#include "runtime/remote/daytona_verbs.h"
#include "runtime/remote/wish.h"

enum { WAIT_FIRST_MS = 100 };

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

struct daytona_member *daytona_member_new(struct daytona_backend *d, const char *id,
	struct str name)
{
	struct daytona_member *m = mem_new(struct daytona_member);
	m->name = str_dup(name);
	buf_init(&m->env, DAYTONA_ENV_BYTES);
	list_init(&m->sessions);
	tenant_init(&m->tenant, &d->house, id, &site_ops);
	return m;
}

void daytona_member_free(struct tenant *tenant)
{
	struct daytona_member *m = daytona_member_from(tenant);
	tenant_fini(tenant);
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
	site_set(&m->tenant.site, buf_str(&toolbox), STR_NONE);
	m->tenant.site.key = mem_strdup(m->tenant.house->key);
	return 0;
}

/* ---- questions ---- */

void daytona_ask(struct tenant *m, const char *method, const char *url, struct str json,
	bool is_harmless, tenant_fn *then)
{
	const struct ask_plan plan = {
		.method = method,
		.url = url,
		.json = json,
		.keys = { m->house->key },
		.timeout_ms = DAYTONA_API_MS,
		.is_harmless = is_harmless,
	};
	tenant_ask(m, &plan, then);
}

static void put_url(const struct daytona_member *m, struct buf *url)
{
	buf_printf(url, "%s/sandbox/", m->tenant.house->url);
	wish_put_segment(url, m->there);
}

void daytona_ask_api(struct tenant *m, const char *method, const char *tail, struct str json,
	bool is_harmless, tenant_fn *then)
{
	auto_buf struct buf url = BUF_INIT(DAYTONA_URL_MAX);
	put_url(daytona_member_from(m), &url);
	buf_puts(&url, tail);
	daytona_ask(m, method, url.ptr, json, is_harmless, then);
}

void daytona_give_up(struct tenant *m)
{
	auto_buf struct buf url = BUF_INIT(DAYTONA_URL_MAX);
	if (!daytona_member_from(m)->there)
		return;
	put_url(daytona_member_from(m), &url);
	const struct ask_plan plan = {
		.method = "DELETE",
		.url = url.ptr,
		.keys = { m->house->key },
		.timeout_ms = DAYTONA_API_MS,
		.is_harmless = true,
	};
	house_mention(m->house, &plan);
}

/* ---- waiting ---- */

static void on_folder(struct tenant *m, struct str body, const struct error *err)
{
	if (!err) {
		free(m->site.workdir);
		m->site.workdir = take_ptr(daytona_member_from(m)->workdir);
	}
	tenant_end(m, err);
}

static void make_workdir(struct tenant *m, const char *workdir)
{
	auto_buf struct buf url = BUF_INIT(DAYTONA_URL_MAX);
	buf_printf(&url, "%s/files/folder?mode=0755&path=", m->site.url);
	wish_put_segment(&url, workdir);
	daytona_ask(m, "POST", url.ptr, STR_NONE, true, on_folder);
}

static void on_workdir(struct tenant *m, struct str body, const struct error *err)
{
	const struct daytona_member *d = daytona_member_from(m);
	auto_json struct json *reply = NULL;
	struct error e;
	if (err || ask_parse(body, &reply, &e) < 0) {
		tenant_end(m, err ? err : &e);
		return;
	}
	struct str dir = json_str(json_find(reply, "dir"));
	if (!str_starts(dir, STR("/"))) {
		error_set(&e, ERROR_PROTOCOL, "the toolbox did not tell its working directory");
		tenant_end(m, &e);
		return;
	}
	free(m->site.workdir);
	m->site.workdir = str_dup(dir);
	if (d->workdir)
		make_workdir(m, d->workdir);
	else
		tenant_end(m, NULL);
}

void daytona_judge(struct tenant *m, const struct json *box)
{
	const char *wanted = daytona_member_from(m)->wanted;
	struct str state = json_str(json_find(box, "state"));
	struct str reason = json_str(json_find(box, "errorReason"));
	struct error err;
	if (!state.len || str_is(state, wanted)) {
		auto_free char *url = mem_printf("%s/work-dir", m->site.url);
		if (m->site.workdir || !str_is(STR("started"), wanted))
			tenant_end(m, NULL);
		else
			daytona_ask(m, "GET", url, STR_NONE, true, on_workdir);
		return;
	}
	bool is_lost = str_is(state, "error") || str_is(state, "build_failed") ||
		str_is(state, "destroyed");
	if (!is_lost && tenant_wait(m))
		return;
	error_set(&err, is_lost ? ERROR_UNAVAILABLE : ERROR_NOT_READY,
		"the sandbox is %.*s, not %s%s%.*s", STR_ARG(str_first(state, 40)), wanted,
		reason.len ? ": " : "", STR_ARG(str_first(reason, 120)));
	tenant_end(m, &err);
}

void daytona_on_state(struct tenant *m, struct str body, const struct error *err)
{
	auto_json struct json *box = NULL;
	struct error e;
	if (err || (body.len && ask_parse(body, &box, &e) < 0))
		tenant_end(m, err ? err : &e);
	else
		daytona_judge(m, box);
}

void daytona_look(struct tenant *m)
{
	daytona_ask_api(m, "GET", "", STR_NONE, true, daytona_on_state);
}

void daytona_wait_for(struct daytona_member *m, const char *state)
{
	m->wanted = state;
	tenant_expect(&m->tenant, DAYTONA_READY_MS, WAIT_FIRST_MS);
}
