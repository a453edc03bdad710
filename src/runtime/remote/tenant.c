/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. What is being done to a tenant is its errand, one at a time: a chain of questions, each asked
 * when the one before is answered, that ends with tenant_end.
 *
 *	create   GET /sessions/S → running: wait; paused: POST /resume, wait; else POST /start, wait
 *	wait     GET /runtime/R until it is ready, then GET URL/alive until it answers; pauses that grow
 *	pause    POST /pause          resume   POST /resume, wait        destroy  POST /stop
 *	wake     as resume, for an action that found it paused
 *
 * The API has no other way to tell that a runtime has become ready than to be asked again.
 */
#include "runtime/remote/tenant.h"

#include "base/auto.h"
#include "base/bug.h"
#include "base/clock.h"
#include "runtime/remote/wish.h"

#include <ctype.h>

enum { WAIT_FIRST_MS = 50, WAIT_MAX_MS = 2000 };

/* ---- members ---- */

struct tenant *tenant_find(struct remote *r, const char *id)
{
	struct tenant *m;
	list_for_each(m, &r->members, link)
		if (strcmp(m->id, id) == 0)
			return m;
	return NULL;
}

static void wake(void *arg);
#define SERVER .server = "an OpenHands action server", .verbs = far_verbs
static const struct site_ops api_site = { SERVER, .wake = wake };
static const struct site_ops server_site = { SERVER, .wake = NULL };

static void on_timer(void *arg);

struct tenant *tenant_new(struct remote *r, const char *id, struct str session)
{
	struct tenant *m = mem_new(struct tenant);
	m->remote = r;
	snprintf(m->id, sizeof(m->id), "%s", id);
	m->session = str_dup(session);
	m->timer = timer_new(r->loop, on_timer, m);
	buf_init(&m->start_json, REMOTE_START_MAX);
	site_init(&m->site, &r->asker, r->is_server ? &server_site : &api_site, m);
	list_append(&r->members, &m->link);
	r->n_members++;
	return m;
}

void tenant_free(struct tenant *m)
{
	list_remove(&m->link);
	m->remote->n_members--;
	ask_drop(m->ask);
	timer_free(m->timer);
	site_fini(&m->site);
	buf_fini(&m->start_json);
	free(m->session);
	free(m->workdir);
	free(m->runtime_id);
	free(m);
}

int tenant_take_runtime(struct tenant *m, const struct json *runtime, struct error *err)
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
	site_set(&m->site, url, key);
	return 0;
}

void tenant_take_server(struct tenant *m)
{
	const struct remote *r = m->remote;
	site_set(&m->site, str_from(r->url), str_from(r->key ? strchr(r->key, ' ') + 1 : NULL));
}

/* ---- errands ---- */

static void ask(struct tenant *m, const char *method, const char *url, struct str json,
	int64_t timeout_ms, bool is_harmless, int tries, ask_fn *done)
{
	struct ask_plan plan = {
		.method = method,
		.url = url,
		.json = json,
		.keys = { m->remote->key ?: m->site.key, m->remote->key ? m->site.key : NULL },
		.timeout_ms = timeout_ms,
		.tries = tries,
		.is_harmless = is_harmless,
		.done = done,
		.arg = m,
	};
	BUG_IF(m->ask, "two questions about one sandbox at once");
	m->ask = ask_new(&m->remote->asker, &plan);
}

static void ask_api(struct tenant *m, const char *method, const char *path, struct str json,
	bool is_harmless, ask_fn *done)
{
	auto_free char *url = mem_printf("%s%s", m->remote->url, path);
	ask(m, method, url, json, REMOTE_API_MS, is_harmless, 0, done);
}

/* {"runtime_id":…} */
static void post_runtime(struct tenant *m, const char *path, ask_fn *done)
{
	auto_buf struct buf b = BUF_INIT(64 * 1024);
	struct jsonw w = JSONW(&b);
	jsonw_open(&w);
	jsonw_key_str(&w, "runtime_id", str_from(m->runtime_id));
	jsonw_close(&w);
	ask_api(m, "POST", path, buf_str(&b), true, done);
}

void tenant_begin(struct tenant *m, errand_fn *errand, backend_fn *done, void *arg)
{
	m->errand = errand;
	m->done = done;
	m->arg = arg;
}

void tenant_end(struct tenant *m, const struct error *err)
{
	errand_fn *errand = m->errand;
	m->errand = NULL;
	timer_clear(m->timer);
	errand(m, err);
}

/* ---- waiting ---- */

static void ask_status(struct tenant *m);

static void ask_again_later(struct tenant *m, const char *status)
{
	struct error err;
	if (clock_mono_ms() < m->deadline_ms) {
		timer_set(m->timer, m->wait_ms);
		m->wait_ms = MIN(2 * m->wait_ms, (int64_t)WAIT_MAX_MS);
		return;
	}
	error_set(&err, ERROR_NOT_READY, "Runtime (ID=%s) is not yet ready. Status: %s",
		m->runtime_id ?: m->session, status);
	tenant_end(m, &err);
}

static void on_alive(void *arg, int status, struct str body, const struct error *err)
{
	struct tenant *m = arg;
	m->ask = NULL;
	if (!err)
		tenant_end(m, NULL);
	else if (err->code == ERROR_UNAUTHORIZED || err->code == ERROR_PROTOCOL)
		tenant_end(m, err);
	else
		ask_again_later(m, err->text);
}

static void ask_alive(struct tenant *m)
{
	auto_free char *url = mem_printf("%s/alive", m->site.url);
	ask(m, "GET", url, STR_NONE, REMOTE_ALIVE_MS, true, 1, on_alive);
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

static void on_status(void *arg, int status, struct str body, const struct error *err)
{
	struct tenant *m = arg;
	auto_json struct json *runtime = NULL;
	struct error e;
	m->ask = NULL;
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

static void ask_status(struct tenant *m)
{
	auto_buf struct buf path = BUF_INIT(64 * 1024);
	if (m->remote->is_server) {
		ask_alive(m);
		return;
	}
	buf_puts(&path, "/runtime/");
	wish_put_segment(&path, m->runtime_id);
	ask_api(m, "GET", path.ptr, STR_NONE, true, on_status);
}

static void on_timer(void *arg)
{
	ask_status(arg);
}

void tenant_wait(struct tenant *m)
{
	m->deadline_ms = clock_mono_ms() + REMOTE_READY_MS;
	m->wait_ms = WAIT_FIRST_MS;
	ask_status(m);
}

/* ---- taking a session up ---- */

static void on_start(void *arg, int status, struct str body, const struct error *err)
{
	struct tenant *m = arg;
	auto_json struct json *runtime = NULL;
	struct error e;
	m->ask = NULL;
	if (err) {
		e = *err;
		error_wrap(&e, "POST /start");
		tenant_end(m, &e);
	} else if (json_parse(body, &runtime, &e) < 0 || tenant_take_runtime(m, runtime, &e) < 0) {
		tenant_end(m, &e);
	} else {
		m->site.workdir = take_ptr(m->workdir);
		m->remote->base.events->started(m->remote->base.events_arg, m->id);
		tenant_wait(m);
	}
}

static void start(struct tenant *m)
{
	ask_api(m, "POST", "/start", buf_str(&m->start_json), false, on_start);
}

static void on_resume(void *arg, int status, struct str body, const struct error *err)
{
	struct tenant *m = arg;
	m->ask = NULL;
	if (err)
		tenant_end(m, err);
	else
		tenant_wait(m);
}

static void on_session(void *arg, int status, struct str body, const struct error *err)
{
	struct tenant *m = arg;
	auto_json struct json *runtime = NULL;
	struct error e;
	m->ask = NULL;
	if (err && err->code == ERROR_NOT_FOUND) {
		start(m);
		return;
	}
	if (err || json_parse(body, &runtime, &e) < 0) {
		tenant_end(m, err ? err : &e);
		return;
	}
	struct str is = json_str(json_find(runtime, "status"));
	bool is_running = str_is(is, "running"), is_paused = str_is(is, "paused");
	if (!is_running && !is_paused) {
		start(m);
	} else if (tenant_take_runtime(m, runtime, &e) < 0) {
		tenant_end(m, &e);
	} else {
		m->remote->base.events->started(m->remote->base.events_arg, m->id);
		if (is_paused)
			tenant_resume(m);
		else
			tenant_wait(m);
	}
}

void tenant_take_up(struct tenant *m)
{
	auto_buf struct buf path = BUF_INIT(64 * 1024);
	buf_puts(&path, "/sessions/");
	wish_put_segment(&path, m->session);
	ask_api(m, "GET", path.ptr, STR_NONE, true, on_session);
}

/* ---- pause, resume, stop, wake ---- */

static void on_posted(void *arg, int status, struct str body, const struct error *err)
{
	struct tenant *m = arg;
	m->ask = NULL;
	tenant_end(m, err);
}

void tenant_post(struct tenant *m, const char *path)
{
	post_runtime(m, path, on_posted);
}

void tenant_resume(struct tenant *m)
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
	tenant_resume(m);
}

static void on_ignored(void *arg, int status, struct str body, const struct error *err)
{
}

void tenant_stop_there(struct tenant *m)
{
	auto_buf struct buf b = BUF_INIT(64 * 1024);
	auto_free char *url = mem_printf("%s/stop", m->remote->url);
	struct jsonw w = JSONW(&b);
	if (!m->runtime_id || m->remote->is_server)
		return;
	jsonw_open(&w);
	jsonw_key_str(&w, "runtime_id", str_from(m->runtime_id));
	jsonw_close(&w);
	const struct ask_plan plan = {
		.method = "POST",
		.url = url,
		.json = buf_str(&b),
		.keys = { m->remote->key },
		.timeout_ms = REMOTE_API_MS,
		.is_harmless = true,
		.done = on_ignored,
	};
	ask_new(&m->remote->asker, &plan);
}
