/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The requests that change a container: create, start, stop, restart, kill, pause, rename, resize,
 * remove.
 */
#include "face/docker/handlers.h"

#include "action/process_actions.h"
#include "base/auto.h"
#include "base/bug.h"
#include "base/num.h"

enum { STOP_SECONDS = 10, STOP_SECONDS_MAX = 86400 };

/* ---- create ---- */

static void on_created(void *arg, struct sandbox *s, const struct error *err)
{
	struct http_request *r = arg;
	const char *warnings = r->state;
	struct docker *d = docker_of(r);
	if (err) {
		docker_fail_error(r, err);
		return;
	}
	struct container *c = container_new(d, s->id, s->note);
	BUG_IF(!c, "the note of a container just made cannot be read");
	docker_event_of(c, "create");
	auto_buf struct buf b = BUF_INIT(DOCKER_BODY_MAX);
	struct jsonw w = JSONW(&b);
	jsonw_open(&w);
	jsonw_key_str(&w, "Id", str_from(c->id));
	jsonw_key(&w, "Warnings");
	jsonw_raw(&w, str_from(warnings));
	jsonw_close(&w);
	http_reply_json(r, 201, &b);
}

static int check_name(struct docker *d, struct str name, struct error *err)
{
	if (name.len < 2 || create_check_name(name, NULL) < 0)
		return error_set(err, ERROR_INVALID,
			"Invalid container name (%.*s), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed, 2 to 63 of them",
			STR_ARG(str_first(name, 100)));
	const struct container *other = container_find(d, name);
	if (other && str_is(name, other->name))
		return error_set(err, ERROR_EXISTS,
			"Conflict. The container name \"/%.*s\" is already in use by container \"%s\"",
			STR_ARG(name), other->id);
	return 0;
}

static struct str choose_name(struct http_request *r)
{
	struct str name = http_query(r, "name");
	if (str_starts(name, STR("/")))
		name = str_skip(name, 1);
	if (name.len)
		return name;
	char id[ID_SIZE];
	id_make(id);
	return str_from(arena_printf(&r->arena, "cay_%.12s", id));
}

static bool has_command(struct str note)
{
	auto_json struct json *tree = NULL;
	json_parse(note, &tree, NULL);
	const struct json *config = json_find(tree, "config");
	return json_len(json_find(config, "Cmd")) + json_len(json_find(config, "Entrypoint")) > 0;
}

void containers_create(struct http_request *r)
{
	auto_json struct json *body = NULL;
	auto_buf struct buf note = BUF_INIT(CREATE_NOTE_BYTES), warnings = BUF_INIT(65536);
	struct create *create = arena_new(&r->arena, struct create);
	struct str name = choose_name(r);
	struct error err;
	if (docker_body(r, &body) < 0)
		return;
	int ok = check_name(docker_of(r), name, &err) == 0 &&
		config_from_body(docker_of(r), body, name, &r->arena, create, &note, &warnings,
			&err) == 0;
	if (ok && !has_command(buf_str(&note))) {
		error_set(&err, ERROR_INVALID, "no command specified");
		ok = 0;
	}
	if (!ok) {
		docker_fail_error(r, &err);
		return;
	}
	r->state = arena_str(&r->arena, buf_str(&warnings));
	runtime_create(docker_of(r)->rt, create, on_created, r);
}

/* ---- start ---- */

/* 204, or the error. */
static void on_changed(struct waiter *w, struct container *c, const struct error *err)
{
	struct http_request *r = take_ptr(w->request);
	waiter_free(w);
	if (!r)
		return;
	if (err)
		docker_fail_error(r, err);
	else
		http_reply(r, 204, NULL, STR_NONE);
}

/* False: it has been answered. */
static bool is_usable(struct http_request *r, struct container *c)
{
	const struct sandbox *s = container_sandbox(c);
	if (c->is_removing)
		docker_fail(r, 409, "container %s is marked for removal", c->id);
	else if (!s || sandbox_state_is_final(s->state))
		docker_fail(r, 409, "container %s is gone for good: %s", c->id,
			s ? s->reason : "its sandbox was removed");
	else if (s->state == SANDBOX_PAUSED)
		docker_fail(r, 409, "Container %s is paused. Unpause the container first", c->id);
	else
		return true;
	return false;
}

void containers_start(struct http_request *r)
{
	struct container *c = container_of_request(r);
	if (!c)
		return;
	if (c->state == CONTAINER_RUNNING) {
		http_reply(r, 304, NULL, STR_NONE);
		return;
	}
	if (!is_usable(r, c))
		return;
	struct waiter *w = waiter_new(c, WAIT_STARTED, r, on_changed);
	w->is_kept = true;
	if (!c->is_starting)
		container_begin(c);
}

/* ---- stop, restart, kill ---- */

/* Where it has ended all is being killed already, and behind that it may begin again. */
static void on_impatient(void *arg)
{
	struct waiter *w = arg;
	if (!w->container->starter)
		container_act(w->container, &process_kill_all_action, "");
}

static void signal_main(struct container *c, struct str signal)
{
	auto_buf struct buf params = BUF_INIT(1024);
	struct jsonw w = JSONW(&params);
	jsonw_open(&w);
	jsonw_key_str(&w, "process", str_from(c->process));
	jsonw_key_str(&w, "signal", signal);
	jsonw_close(&w);
	container_act(c, &process_signal_action, params.ptr);
}

static int64_t patience_ms(struct http_request *r, const struct container *c)
{
	int64_t seconds = STOP_SECONDS;
	const struct json *own = json_find(c->config, "StopTimeout");
	if (json_kind(own) == JSON_KIND_INT)
		seconds = json_int(own);
	struct str asked = http_query(r, "t");
	if (asked.len)
		num_parse_i64(asked, -1, STOP_SECONDS_MAX, &seconds, NULL);
	if (seconds < 0 || seconds > STOP_SECONDS_MAX)
		seconds = STOP_SECONDS_MAX;
	return MAX(seconds * 1000, 1);
}

static void stop(struct http_request *r, struct container *c,
	void (*fn)(struct waiter *w, struct container *c, const struct error *err))
{
	struct str signal = json_str(json_find(c->config, "StopSignal"));
	struct str asked = http_query(r, "signal");
	struct waiter *w = waiter_new(c, WAIT_NOT_RUNNING, r, fn);
	w->is_kept = true;
	w->timer = timer_new(c->docker->loop, on_impatient, w);
	timer_set(w->timer, patience_ms(r, c));
	c->is_stopping = true;
	signal_main(c, asked.len ? asked : signal.len ? signal : STR("TERM"));
}

void containers_stop(struct http_request *r)
{
	struct container *c = container_of_request(r);
	if (!c)
		return;
	if (c->state != CONTAINER_RUNNING)
		http_reply(r, 304, NULL, STR_NONE);
	else if (is_usable(r, c))
		stop(r, c, on_changed);
}

static void begin_again(struct waiter *w, struct container *c, const struct error *err)
{
	struct http_request *r = take_ptr(w->request);
	waiter_free(w);
	/* It may have been removed meanwhile, and that is why it does not run. */
	if (r ? !is_usable(r, c) : !container_sandbox(c))
		return;
	if (r) {
		w = waiter_new(c, WAIT_STARTED, r, on_changed);
		w->is_kept = true;
	}
	if (!c->is_starting)
		container_begin(c);
}

void containers_restart(struct http_request *r)
{
	struct container *c = container_of_request(r);
	if (!c || !is_usable(r, c))
		return;
	if (c->state == CONTAINER_RUNNING) {
		stop(r, c, begin_again);
		return;
	}
	struct waiter *w = waiter_new(c, WAIT_STARTED, r, on_changed);
	w->is_kept = true;
	if (!c->is_starting)
		container_begin(c);
}

void containers_kill(struct http_request *r)
{
	struct str signal = http_query(r, "signal");
	struct container *c = container_of_request(r);
	if (!c)
		return;
	if (c->state != CONTAINER_RUNNING) {
		docker_fail(r, 409, "Cannot kill container: %s: Container %s is not running",
			c->name, c->id);
		return;
	}
	if (!is_usable(r, c))
		return;
	if (!signal.len || str_is(signal, "KILL") || str_is(signal, "SIGKILL") ||
		str_is(signal, "9")) {
		container_act_for(r, c, &process_kill_all_action, STR_NONE);
		return;
	}
	auto_buf struct buf params = BUF_INIT(1024);
	struct jsonw w = JSONW(&params);
	jsonw_open(&w);
	jsonw_key_str(&w, "process", str_from(c->process));
	jsonw_key_str(&w, "signal", signal);
	jsonw_close(&w);
	container_act_for(r, c, &process_signal_action, buf_str(&params));
}

/* ---- pause ---- */

static void on_paused(void *arg, const struct error *err)
{
	struct http_request *r = arg;
	container_find(docker_of(r), http_param(r, "id")); /* watched, if it was not */
	if (err)
		docker_fail_error(r, err);
	else
		http_reply(r, 204, NULL, STR_NONE);
}

static void pause_or_not(struct http_request *r, bool is_paused)
{
	struct container *c = container_of_request(r);
	struct sandbox *s = c ? container_sandbox(c) : NULL;
	if (!c)
		return;
	if (!s || c->state != CONTAINER_RUNNING)
		docker_fail(r, 409, "Container %s is not running", c->id);
	else if ((s->state == SANDBOX_PAUSED) == is_paused)
		docker_fail(r, 409, "Container %s is %s paused", c->id,
			is_paused ? "already" : "not");
	else
		runtime_pause(s, is_paused, on_paused, r);
}

void containers_pause(struct http_request *r)
{
	pause_or_not(r, true);
}

void containers_unpause(struct http_request *r)
{
	pause_or_not(r, false);
}

/* ---- rename, resize ---- */

void containers_rename(struct http_request *r)
{
	struct str name = http_query(r, "name");
	struct container *c = container_of_request(r);
	struct error err;
	if (!c)
		return;
	if (check_name(c->docker, name, &err) < 0 ||
		runtime_rename(container_sandbox(c), name, &err) < 0) {
		docker_fail_error(r, &err);
		return;
	}
	snprintf(c->name, sizeof(c->name), "%.*s", STR_ARG(name));
	int saved = container_save(c, &err);
	docker_event_of(c, "rename");
	if (saved < 0)
		docker_fail_error(r, &err);
	else
		http_reply(r, 204, NULL, STR_NONE);
}

static void on_resized(void *arg, struct str result)
{
	http_reply(arg, 200, NULL, STR_NONE);
}

static void on_not_resized(void *arg, const struct error *err)
{
	docker_fail_error(arg, err);
}

void containers_resize(struct http_request *r)
{
	static const struct call_sink sink = { .result = on_resized, .error = on_not_resized };
	struct container *c = container_of_request(r);
	int64_t rows = 0, cols = 0;
	if (!c)
		return;
	num_parse_i64(http_query(r, "h"), 0, 1000, &rows, NULL);
	num_parse_i64(http_query(r, "w"), 0, 2000, &cols, NULL);
	if (c->state != CONTAINER_RUNNING) {
		docker_fail(r, 409, "Container %s is not running", c->id);
		return;
	}
	if (rows < 2 || cols < 2) {
		http_reply(r, 200, NULL, STR_NONE); /* a terminal of no size: as it is */
		return;
	}
	auto_buf struct buf params = BUF_INIT(256);
	buf_printf(&params, "{\"process\":\"%s\",\"cols\":%lld,\"rows\":%lld}", c->process,
		(long long)cols, (long long)rows);
	struct sandbox *s = container_need_sandbox(r, c);
	if (s)
		runtime_perform(s, &process_resize_action, buf_str(&params), &sink, r);
}

/* ---- remove ---- */

void containers_remove(struct http_request *r)
{
	struct container *c = container_of_request(r);
	if (!c)
		return;
	if (c->is_removing) {
		docker_fail(r, 409, "removal of container %s is already in progress", c->id);
		return;
	}
	if ((c->state == CONTAINER_RUNNING || c->is_starting) && !docker_flag(r, "force", false)) {
		docker_fail(r, 409,
			"cannot remove container \"/%s\": container is running: stop the container before removing or force remove",
			c->name);
		return;
	}
	struct waiter *w = waiter_new(c, WAIT_REMOVED, r, on_changed);
	w->is_kept = true;
	container_remove(c);
}

void containers_prune(struct http_request *r)
{
	auto_buf struct buf b = BUF_INIT(DOCKER_BODY_MAX);
	struct jsonw w = JSONW(&b);
	struct container *c, *next;
	jsonw_open(&w);
	jsonw_key(&w, "ContainersDeleted");
	jsonw_open_array(&w);
	list_for_each_safe(c, next, &docker_of(r)->containers, link) {
		if (c->state == CONTAINER_RUNNING || c->is_starting || c->is_removing)
			continue;
		jsonw_str(&w, str_from(c->id));
		container_remove(c);
	}
	jsonw_close_array(&w);
	jsonw_key_int(&w, "SpaceReclaimed", 0);
	jsonw_close(&w);
	http_reply_json(r, 200, &b);
}
