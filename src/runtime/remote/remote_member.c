/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. The errands (tenant.h) of a sandbox, and what they ask:
 *
 *	create   GET /sessions/S → running: wait; paused: POST /resume, wait; else POST /start, wait
 *	wait     GET /runtime/R until it is ready, then GET URL/alive until it answers; pauses that grow
 *	pause    POST /pause          resume   POST /resume, wait        destroy  POST /stop
 *	wake     as resume, for an action that found it paused
 */
#include "runtime/remote/remote_member.h"

#include "base/auto.h"
#include "base/bug.h"
#include "runtime/remote/wish.h"

#include <ctype.h>

enum { WAIT_FIRST_MS = 50, PATH_MAX_BYTES = 64 * 1024 };

/* ---- members ---- */

static void wake(void *arg);
#define SERVER .server = "an OpenHands action server", .verbs = far_verbs
static const struct site_ops api_site = { SERVER, .wake = wake };
static const struct site_ops server_site = { SERVER, .wake = NULL };

struct remote_member *remote_member_new(struct remote *r, const char *id, struct str session)
{
	struct remote_member *m = mem_new(struct remote_member);
	m->session = str_dup(session);
	buf_init(&m->start_json, REMOTE_START_MAX);
	tenant_init(&m->tenant, &r->house, id, r->is_server ? &server_site : &api_site);
	return m;
}

void remote_member_free(struct tenant *tenant)
{
	struct remote_member *m = remote_member_of(tenant);
	tenant_fini(tenant);
	buf_fini(&m->start_json);
	free(m->session);
	free(m->workdir);
	free(m->runtime_id);
	free(m);
}

int remote_take_runtime(struct remote_member *m, const struct json *runtime, struct error *err)
{
	struct str id = json_str(json_find(runtime, "runtime_id"));
	struct str url = json_str(json_find(runtime, "url"));
	struct str key = json_str(json_find(runtime, "session_api_key"));
	if (!id.len || !str_starts(url, STR("http")) || str_has_nul(url) || str_has_nul(key) ||
		str_find_char(key, '\n') >= 0)
		return error_set(err, ERROR_PROTOCOL,
			"the runtime API gave no runtime_id, or no url, of a runtime");
	free(m->runtime_id);
	m->runtime_id = str_dup(id);
	site_set(&m->tenant.site, url, key);
	return 0;
}

void remote_take_server(struct remote_member *m)
{
	const struct house *house = m->tenant.house;
	site_set(&m->tenant.site, str_from(house->url),
		str_from(house->key ? strchr(house->key, ' ') + 1 : NULL));
}

/* ---- questions ---- */

static void ask_api(struct tenant *m, const char *method, const char *path, struct str json,
	bool is_harmless, tenant_fn *then)
{
	const char *key = m->house->key;
	auto_free char *url = mem_printf("%s%s", m->house->url, path);
	const struct ask_plan plan = {
		.method = method,
		.url = url,
		.json = json,
		.keys = { key ?: m->site.key, key ? m->site.key : NULL },
		.timeout_ms = REMOTE_API_MS,
		.is_harmless = is_harmless,
	};
	tenant_ask(m, &plan, then);
}

/* {"runtime_id":…} */
static void put_runtime(const struct remote_member *m, struct buf *b)
{
	struct jsonw w = JSONW(b);
	jsonw_open(&w);
	jsonw_key_str(&w, "runtime_id", str_from(m->runtime_id));
	jsonw_close(&w);
}

static void post_runtime(struct remote_member *m, const char *path, tenant_fn *then)
{
	auto_buf struct buf b = BUF_INIT(PATH_MAX_BYTES);
	put_runtime(m, &b);
	ask_api(&m->tenant, "POST", path, buf_str(&b), true, then);
}

/* ---- waiting ---- */

static void ask_again_later(struct tenant *m, const char *status)
{
	const struct remote_member *r = remote_member_of(m);
	struct error err;
	if (tenant_wait(m))
		return;
	error_set(&err, ERROR_NOT_READY, "Runtime (ID=%s) is not yet ready. Status: %s",
		r->runtime_id ?: r->session, status);
	tenant_end(m, &err);
}

static void on_alive(struct tenant *m, struct str body, const struct error *err)
{
	if (!err)
		tenant_end(m, NULL);
	else if (err->code == ERROR_UNAUTHORIZED || err->code == ERROR_PROTOCOL)
		tenant_end(m, err);
	else
		ask_again_later(m, err->text);
}

static void ask_alive(struct tenant *m)
{
	const char *key = m->house->key;
	auto_free char *url = mem_printf("%s/alive", m->site.url);
	const struct ask_plan plan = {
		.method = "GET",
		.url = url,
		.keys = { key ?: m->site.key, key ? m->site.key : NULL },
		.timeout_ms = REMOTE_ALIVE_MS,
		.tries = 1,
		.is_harmless = true,
	};
	tenant_ask(m, &plan, on_alive);
}

static void judge_pod(struct tenant *m, struct str pod)
{
	static const char *const fatal[] = { "failed", "unknown", "crashloopbackoff" };
	char word[32];
	struct error err;
	snprintf(word, sizeof(word), "%.*s", STR_ARG(str_first(pod, sizeof(word) - 1)));
	for (char *c = word; *c; c++)
		*c = (char)tolower((unsigned char)*c);
	for (size_t i = 0; i < ARRAY_LEN(fatal); i++) {
		if (strcmp(word, fatal[i]) != 0)
			continue;
		if (i == 2)
			error_set(&err, ERROR_UNAVAILABLE,
				"Runtime crashed and is being restarted, potentially due to memory "
				"usage. Please try again.");
		else
			error_set(&err, ERROR_UNAVAILABLE,
				"Runtime is unavailable (status: %s). Please try again.", word);
		tenant_end(m, &err);
		return;
	}
	if (strcmp(word, "ready") == 0)
		ask_alive(m);
	else
		ask_again_later(m, word);
}

static void on_status(struct tenant *m, struct str body, const struct error *err)
{
	auto_json struct json *runtime = NULL;
	struct error e;
	if (err)
		tenant_end(m, err);
	else if (json_parse(body, &runtime, &e) < 0 ||
		!json_str(json_find(runtime, "pod_status")).len) {
		error_set(&e, ERROR_PROTOCOL, "the runtime API did not tell a pod_status");
		tenant_end(m, &e);
	} else {
		judge_pod(m, json_str(json_find(runtime, "pod_status")));
	}
}

void remote_look(struct tenant *m)
{
	auto_buf struct buf path = BUF_INIT(PATH_MAX_BYTES);
	if (remote_of(m)->is_server) {
		ask_alive(m);
		return;
	}
	buf_puts(&path, "/runtime/");
	wish_put_segment(&path, remote_member_of(m)->runtime_id);
	ask_api(m, "GET", path.ptr, STR_NONE, true, on_status);
}

void remote_wait(struct tenant *m)
{
	tenant_expect(m, REMOTE_READY_MS, WAIT_FIRST_MS);
	remote_look(m);
}

/* ---- taking a session up ---- */

static void tell_started(const struct tenant *m)
{
	const struct backend *b = &m->house->base;
	b->events->started(b->events_arg, m->id);
}

/* An answer that was lost may have been that it is started: then it is stopped with the failure. */
static void on_searched(struct tenant *m, struct str body, const struct error *err)
{
	struct remote_member *r = remote_member_of(m);
	auto_json struct json *runtime = NULL;
	struct error failure = r->failure, e;
	if (!err && json_parse(body, &runtime, NULL) == 0)
		remote_take_runtime(r, runtime, &e);
	tenant_end(m, &failure);
}

static void ask_session(struct remote_member *m, tenant_fn *then)
{
	auto_buf struct buf path = BUF_INIT(PATH_MAX_BYTES);
	buf_puts(&path, "/sessions/");
	wish_put_segment(&path, m->session);
	ask_api(&m->tenant, "GET", path.ptr, STR_NONE, true, then);
}

static void on_start(struct tenant *m, struct str body, const struct error *err)
{
	struct remote_member *r = remote_member_of(m);
	auto_json struct json *runtime = NULL;
	struct error e;
	if (err) {
		e = *err;
		error_wrap(&e, "POST /start");
		r->failure = e;
		if (error_is_doubtful(e.code))
			ask_session(r, on_searched);
		else
			tenant_end(m, &e);
	} else if (ask_parse(body, &runtime, &e) < 0 || remote_take_runtime(r, runtime, &e) < 0) {
		tenant_end(m, &e);
	} else {
		m->site.workdir = take_ptr(r->workdir);
		tell_started(m);
		remote_wait(m);
	}
}

static void start(struct remote_member *m)
{
	ask_api(&m->tenant, "POST", "/start", buf_str(&m->start_json), false, on_start);
}

static void on_resume(struct tenant *m, struct str body, const struct error *err)
{
	if (err)
		tenant_end(m, err);
	else
		remote_wait(m);
}

static void on_session(struct tenant *m, struct str body, const struct error *err)
{
	struct remote_member *r = remote_member_of(m);
	auto_json struct json *runtime = NULL;
	struct error e;
	if (err && err->code == ERROR_NOT_FOUND) {
		start(r);
		return;
	}
	if (err || ask_parse(body, &runtime, &e) < 0) {
		tenant_end(m, err ? err : &e);
		return;
	}
	struct str is = json_str(json_find(runtime, "status"));
	bool is_running = str_is(is, "running"), is_paused = str_is(is, "paused");
	if (!is_running && !is_paused) {
		start(r);
	} else if (remote_take_runtime(r, runtime, &e) < 0) {
		tenant_end(m, &e);
	} else {
		tell_started(m);
		if (is_paused)
			remote_resume(r);
		else
			remote_wait(m);
	}
}

void remote_take_up(struct remote_member *m)
{
	ask_session(m, on_session);
}

/* ---- pause, resume, stop, wake ---- */

static void on_posted(struct tenant *m, struct str body, const struct error *err)
{
	tenant_end(m, err);
}

void remote_post(struct remote_member *m, const char *path)
{
	post_runtime(m, path, on_posted);
}

void remote_resume(struct remote_member *m)
{
	post_runtime(m, "/resume", on_resume);
}

static void on_woken(struct tenant *m, const struct error *err)
{
	site_is_awake(&m->site, err);
}

static void wake(void *arg)
{
	struct tenant *m = arg;
	struct error err;
	if (m->errand) {
		error_set(&err, ERROR_NOT_READY, "something is being done with it");
		site_is_awake(&m->site, &err);
		return;
	}
	tenant_begin(m, on_woken, NULL, NULL);
	remote_resume(remote_member_of(m));
}

void remote_give_up(struct tenant *m)
{
	const struct remote_member *r = remote_member_of(m);
	auto_buf struct buf b = BUF_INIT(PATH_MAX_BYTES);
	auto_free char *url = mem_printf("%s/stop", m->house->url);
	if (!r->runtime_id || remote_of(m)->is_server)
		return;
	put_runtime(r, &b);
	const struct ask_plan plan = {
		.method = "POST",
		.url = url,
		.json = buf_str(&b),
		.keys = { m->house->key },
		.timeout_ms = REMOTE_API_MS,
		.is_harmless = true,
	};
	house_mention(m->house, &plan);
}
