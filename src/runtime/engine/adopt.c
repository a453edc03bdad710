/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. At the start the engine is asked who it is, what it can, and for the
 * containers that bear the number of our state directory. One that runs is told to connect again
 * (SIGHUP), and once more if it does not come; a paused one is let go for that, and whoever asked
 * has it paused again. What runs and does not come is silent: somebody has stopped it, or this
 * machine is slow. It is adopted, its calls wait, and it is told again now and then. What does not
 * run is removed. Directories without a container are removed, too. When that is done for all of
 * them, the backend has started.
 */
#include "runtime/engine/internal.h"

#include "base/auto.h"
#include "base/bug.h"
#include "base/file.h"
#include "base/log.h"
#include "base/num.h"
#include "runtime/engine/find.h"
#include "wire/url.h"

#include <dirent.h>
#include <fcntl.h>

enum { API_MINOR_MAX = 47, API_MINOR_STANDARD = 41, TELLINGS_MAX = 2, FAILURES_MAX = 30 };

struct start {
	struct engine *engine;
	backend_fn *done;
	void *arg;
	size_t n_waiting; /* containers that are being adopted or removed, and one more while there may be others */
};

struct adopting {
	struct start *start;
	int n_tellings; /* that reached the engine */
	int n_failures; /* of the engine, to tell it */
};

void adopting_free(struct adopting *a)
{
	free(a);
}

void start_free(struct start *s)
{
	free(s);
}

static void ask(struct start *s, const char *method, const char *path, answer_fn *done, void *arg)
{
	const struct engine_request request = { .method = method, .path = path };
	engine_ask(s->engine, &request, done, arg);
}

static void end_start(struct start *s, const struct error *err)
{
	struct engine *e = s->engine;
	struct backend_reply reply = { 0 };
	backend_fn *done = s->done;
	void *arg = s->arg;
	if (err)
		reply.error = *err;
	auto_free struct spec *standard = mem_new(struct spec);
	const struct engine_wish wish = { .spec = standard, .network = "" };
	engine_promise(&wish, &e->facts, &reply.enforced);
	e->start = NULL;
	start_free(s);
	done(arg, &reply);
}

static void one_done(struct start *s)
{
	if (--s->n_waiting == 0)
		end_start(s, NULL);
}

/* ---- one container ---- */

static void on_removed(void *arg, int status, const struct json *json, const struct error *err)
{
	struct member *m = arg;
	struct start *s = m->adopting->start;
	if (err && status != 404 && status != 409)
		log_error("engine.remove", "id=%s %s", m->id, err->text);
	member_free(m);
	one_done(s);
}

static void give_up(struct member *m, const char *why)
{
	auto_free char *path = member_path(m, "?force=1&v=1");
	struct engine *e = m->engine;
	struct backend_reply reply = { 0 };
	memcpy(reply.id, m->id, sizeof(reply.id));
	error_set(&reply.error, ERROR_GONE, "%s", why);
	e->base.events->adopt(e->base.events_arg, &reply);
	log_warn("engine.adopt", "id=%s is removed: %s", m->id, why);
	timer_free(take_ptr(m->timer));
	line_free(take_ptr(m->line));
	ask(m->adopting->start, "DELETE", path, on_removed, m);
}

static void tell_adopted(struct member *m, uint32_t uid, uint32_t gid)
{
	struct engine *e = m->engine;
	struct start *s = m->adopting->start;
	m->enforced.uid = uid;
	m->enforced.gid = gid;
	struct backend_reply reply = { .enforced = m->enforced };
	memcpy(reply.id, m->id, sizeof(reply.id));
	adopting_free(take_ptr(m->adopting));
	e->base.events->adopt(e->base.events_arg, &reply);
	one_done(s);
}

void adopting_ready(struct member *m, uint32_t uid, uint32_t gid)
{
	timer_free(take_ptr(m->timer));
	tell_adopted(m, uid, gid);
}

/* ---- one that is silent ---- */

void silent_ready(struct member *m)
{
	m->is_silent = false;
	timer_free(take_ptr(m->timer));
	log_info("engine.adopt", "id=%s answers again", m->id);
}

static void adopt_silent(struct member *m)
{
	log_warn("engine.adopt", "id=%s does not answer; what is asked of it waits", m->id);
	m->is_silent = true;
	timer_set(m->timer, ENGINE_SILENT_MS);
	tell_adopted(m, UINT32_MAX, UINT32_MAX);
}

static void on_looked_at(void *arg, int status, const struct json *json, const struct error *err)
{
	struct member *m = arg;
	if (!m->is_silent || m->is_ending)
		return;
	if (status == 404 || (!err && !json_bool(json_find(json_find(json, "State"), "Running"))))
		member_lost(m);
	else
		timer_set(m->timer, ENGINE_SILENT_MS);
}

/* An engine that cannot tell it knows what has become of it: it may be paused. */
static void on_told_again(void *arg, int status, const struct json *json, const struct error *err)
{
	struct member *m = arg;
	if (!m->is_silent || m->is_ending)
		return;
	if (!err) {
		timer_set(m->timer, ENGINE_SILENT_MS);
		return;
	}
	auto_free char *path = member_path(m, "/json");
	const struct engine_request request = { .method = "GET", .path = path };
	engine_ask(m->engine, &request, on_looked_at, m);
}

void silent_late(struct member *m)
{
	auto_free char *path = member_path(m, "/kill?signal=SIGHUP");
	const struct engine_request request = { .method = "POST", .path = path };
	engine_ask(m->engine, &request, on_told_again, m);
}

/* ---- telling it ---- */

/* Neither come nor given up meanwhile. */
static bool is_waited_for(const struct member *m)
{
	return m->adopting && m->timer;
}

static void on_told(void *arg, int status, const struct json *json, const struct error *err)
{
	struct member *m = arg;
	if (!is_waited_for(m))
		return;
	struct adopting *a = m->adopting;
	/* 409: it was paused just now, or does not run any more; else that is no word of it. */
	if (err && status != 409 && a->n_failures++ < FAILURES_MAX)
		a->n_tellings--;
	if (err && status == 404)
		give_up(m, err->text);
	else
		timer_set(m->timer, err ? ENGINE_AGAIN_MS : ENGINE_ADOPT_MS);
}

static void tell(struct member *m)
{
	auto_free char *path = member_path(m, "/kill?signal=SIGHUP");
	m->adopting->n_tellings++;
	ask(m->adopting->start, "POST", path, on_told, m);
}

/* If it was not paused any more, that is an error, and no harm. */
static void on_let_go(void *arg, int status, const struct json *json, const struct error *err)
{
	struct member *m = arg;
	if (is_waited_for(m))
		tell(m);
}

static void let_go(struct member *m)
{
	auto_free char *path = member_path(m, "/unpause");
	ask(m->adopting->start, "POST", path, on_let_go, m);
}

/* The server before us may have had it paused just now. */
void adopting_failed(struct member *m, const struct error *err)
{
	if (err->code == ERROR_TIMEOUT && m->adopting->n_tellings < TELLINGS_MAX)
		let_go(m);
	else if (err->code == ERROR_TIMEOUT)
		adopt_silent(m);
	else
		give_up(m, err->text);
}

static void adopt(struct start *s, struct str id, struct str state, struct str enforced)
{
	struct engine *e = s->engine;
	auto_free char *name = str_dup(id);
	struct error err;
	if (!id_is_valid(id) || member_find(e, name))
		return;
	struct member *m = member_new(e, name);
	m->adopting = mem_new(struct adopting);
	m->adopting->start = s;
	bool is_paused = str_is(state, "paused");
	engine_parse_enforced(enforced, &m->enforced);
	s->n_waiting++;
	if (!str_is(state, "running") && !is_paused) {
		give_up(m, "its container does not run");
	} else if (member_listen(m, false, &err) < 0) {
		give_up(m, err.text);
	} else if (is_paused) {
		let_go(m);
	} else {
		tell(m);
	}
}

/* ---- what is left of others ---- */

static void sweep(struct engine *e)
{
	DIR *dir = opendir(e->dir);
	const struct dirent *entry;
	while (dir && (entry = readdir(dir)))
		if (id_is_valid(str_from(entry->d_name)) && !member_find(e, entry->d_name))
			file_remove_tree(dirfd(dir), entry->d_name, NULL);
	if (dir)
		closedir(dir);
}

static void on_list(void *arg, int status, const struct json *list, const struct error *err)
{
	struct start *s = arg;
	if (err) {
		end_start(s, err);
		return;
	}
	s->n_waiting = 1;
	for (size_t i = 0; i < json_len(list); i++) {
		const struct json *c = json_at(list, i), *labels = json_find(c, "Labels");
		if (!str_is(json_str(json_find(labels, ENGINE_LABEL_SERVER)), s->engine->id))
			continue; /* an engine that does not know this filter */
		adopt(s, json_str(json_find(labels, ENGINE_LABEL_SANDBOX)),
			json_str(json_find(c, "State")),
			json_str(json_find(labels, ENGINE_LABEL_ENFORCED)));
	}
	sweep(s->engine);
	one_done(s);
}

static void list(struct start *s)
{
	auto_free char *filter = mem_printf("{\"label\":[\"" ENGINE_LABEL_SERVER "=%s\"]}",
		s->engine->id);
	auto_buf struct buf path = BUF_INIT(1024);
	buf_puts(&path, "/containers/json?all=1&filters=");
	url_encode(str_from(filter), &path);
	ask(s, "GET", path.ptr, on_list, s);
}

/* ---- who the engine is ---- */

static void on_info(void *arg, int status, const struct json *info, const struct error *err)
{
	struct start *s = arg;
	if (err) {
		end_start(s, err);
		return;
	}
	engine_take_facts(info, &s->engine->facts);
	list(s);
}

/* "1.43" → 43; anything else is `standard`. */
static int64_t minor_of(struct str version, int64_t standard)
{
	int64_t minor = standard;
	if (str_starts(version, STR("1.")))
		num_parse_i64(str_skip(version, 2), 0, 1000, &minor, NULL);
	return minor;
}

static void on_version(void *arg, int status, const struct json *version, const struct error *err)
{
	struct start *s = arg;
	struct engine *e = s->engine;
	if (err) {
		end_start(s, err);
		return;
	}
	int64_t highest = minor_of(json_str(json_find(version, "ApiVersion")), API_MINOR_STANDARD);
	int64_t lowest = minor_of(json_str(json_find(version, "MinAPIVersion")), 0);
	snprintf(e->version, sizeof(e->version), "/v1.%d",
		(int)MAX(MIN(highest, API_MINOR_MAX), lowest));
	log_info("engine.ready", "socket=%s version=%.*s api=%s", e->socket,
		STR_ARG(str_first(json_str(json_find(version, "Version")), 40)), e->version + 2);
	ask(s, "GET", "/info", on_info, s);
}

void engine_start(struct backend *b, backend_fn *done, void *arg)
{
	struct engine *e = engine_from(b);
	struct start *s = mem_new(struct start);
	*s = (struct start){ .engine = e, .done = done, .arg = arg };
	e->start = s;
	ask(s, "GET", "/version", on_version, s);
}
