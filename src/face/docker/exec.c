/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Exec instances: made by one request, started by another, inspected as long as the container
 * lives, or until DOCKER_EXECS_MAX younger ones have ended. While its client is attached, the
 * program is that client's call; when the client leaves, the program goes on, and a second call
 * waits for its end.
 */
#include "face/docker/handlers.h"
#include "face/docker/pump.h"

#include "action/process_actions.h"
#include "base/auto.h"
#include "base/bug.h"
#include "base/num.h"

enum { TERMINAL_MAX = 2000 };

void exec_free(struct exec *x)
{
	map_remove(&x->container->docker->execs, str_from(x->id));
	list_remove(&x->link);
	x->container->n_execs--;
	if (x->watch)
		runtime_call_cancel(x->watch);
	json_free(x->body);
	free(x);
}

static struct exec *find(struct http_request *r)
{
	struct str id = http_param(r, "id");
	struct exec *x = map_find(&docker_of(r)->execs, id);
	if (!x)
		docker_fail(r, 404, "No such exec instance: %.*s", STR_ARG(str_first(id, 100)));
	return x;
}

/* ---- create ---- */

static bool is_running(struct http_request *r, const struct container *c)
{
	const struct sandbox *s = container_sandbox(c);
	if (c->state != CONTAINER_RUNNING || c->is_removing)
		docker_fail(r, 409, "Container %s is not running", c->id);
	else if (s->state == SANDBOX_PAUSED)
		docker_fail(r, 409, "Container %s is paused, unpause the container before exec",
			c->id);
	else
		return true;
	return false;
}

/* Room for one more: the oldest that is of no use any more goes. */
static bool has_room(struct container *c)
{
	struct exec *x, *next;
	list_for_each_safe(x, next, &c->execs, link) {
		if (c->n_execs < DOCKER_EXECS_MAX)
			return true;
		if (!x->is_running && (x->has_exited || !x->is_started))
			exec_free(x);
	}
	return c->n_execs < DOCKER_EXECS_MAX;
}

static void take_size(struct exec *x)
{
	const struct json *size = json_find(x->body, "ConsoleSize");
	if (json_kind(size) != JSON_KIND_ARRAY)
		return;
	x->rows = json_int(json_at(size, 0));
	x->cols = json_int(json_at(size, 1));
}

static struct exec *exec_new(struct container *c, struct json *body)
{
	struct exec *x = mem_new(struct exec);
	x->container = c;
	id_make(x->id);
	snprintf(x->process, sizeof(x->process), "exec-%.16s", x->id);
	x->body = body;
	x->is_tty = json_bool(json_find(body, "Tty"));
	take_size(x);
	list_append(&c->execs, &x->link);
	c->n_execs++;
	map_put(&c->docker->execs, str_from(x->id), x);
	return x;
}

void execs_create(struct http_request *r)
{
	struct container *c = container_of_request(r);
	auto_json struct json *body = NULL;
	if (!c || !is_running(r, c) || docker_body(r, &body) < 0)
		return;
	if (json_len(json_find(body, "Cmd")) == 0) {
		docker_fail(r, 400, "No exec command specified");
		return;
	}
	if (json_bool(json_find(body, "Privileged"))) {
		docker_fail(r, 400, "Privileged is not offered: a sandbox is never privileged");
		return;
	}
	if (!has_room(c)) {
		docker_fail(r, 429, "%d exec instances are running; that is the limit",
			DOCKER_EXECS_MAX);
		return;
	}
	struct exec *x = exec_new(c, take_ptr(body));
	auto_buf struct buf b = BUF_INIT(256);
	struct jsonw w = JSONW(&b);
	jsonw_open(&w);
	jsonw_key_str(&w, "Id", str_from(x->id));
	jsonw_close(&w);
	docker_event_of(c, "exec_create");
	http_reply_json(r, 201, &b);
}

/* ---- start ---- */

static void ended(struct exec *x, int exit_code)
{
	x->is_running = false;
	x->has_exited = true;
	x->exit_code = exit_code;
	docker_event_of(x->container, "exec_die");
}

static void on_end(void *arg, struct str text)
{
	struct exec *x = arg;
	auto_json struct json *process = NULL;
	x->watch = NULL;
	json_parse(text, &process, NULL);
	ended(x, process_exit_code(process));
}

static void on_lost(void *arg, const struct error *err)
{
	struct exec *x = arg;
	x->watch = NULL;
	ended(x, err->code == ERROR_NOT_FOUND ? 127 : 137);
}

static void watch(struct exec *x)
{
	static const struct call_sink sink = { .result = on_end, .error = on_lost };
	auto_buf struct buf params = BUF_INIT(256);
	struct sandbox *s = container_sandbox(x->container);
	buf_printf(&params, "{\"process\":\"%s\"}", x->process);
	if (s)
		x->watch = runtime_perform(s, &process_wait_action, buf_str(&params), &sink, x);
}

static void pump_started(void *arg, const struct json *process)
{
	struct exec *x = arg;
	x->pid = (int)json_int(json_find(process, "pid"));
}

static int failure_code(const struct error *err)
{
	return err->code == ERROR_NOT_FOUND ? 127 : err->code == ERROR_FORBIDDEN ? 126 : 137;
}

static void pump_ended(void *arg, struct str result, const struct error *err)
{
	struct exec *x = arg;
	auto_json struct json *process = NULL;
	json_parse(result, &process, NULL);
	ended(x, err ? failure_code(err) : process_exit_code(process));
}

static void pump_left(void *arg)
{
	watch(arg);
}

static void put_argv(const struct json *cmd, struct jsonw *w)
{
	jsonw_key(w, "argv");
	jsonw_open_array(w);
	if (json_kind(cmd) == JSON_KIND_STR)
		jsonw_str(w, json_str(cmd));
	for (size_t i = 0; json_kind(cmd) == JSON_KIND_ARRAY && i < json_len(cmd); i++)
		jsonw_str(w, json_str(json_at(cmd, i)));
	jsonw_close_array(w);
}

/* The container's variables come with it: those of the exec go on top. */
static void put_env(const struct exec *x, struct jsonw *w)
{
	auto_buf struct buf b = BUF_INIT(2 * DOCKER_BODY_MAX);
	auto_json struct json *both = NULL;
	const struct json *lists[] = { json_find(x->container->config, "Env"),
		json_find(x->body, "Env") };
	struct jsonw all = JSONW(&b);
	jsonw_open_array(&all);
	for (size_t k = 0; k < ARRAY_LEN(lists); k++)
		for (size_t i = 0; i < json_len(lists[k]); i++)
			jsonw_str(&all, json_str(json_at(lists[k], i)));
	jsonw_close_array(&all);
	json_parse(buf_str(&b), &both, NULL);
	jsonw_key(w, "env");
	config_put_env(both, w);
}

static void put_params(const struct exec *x, bool is_detached, struct buf *b)
{
	const struct json *config = x->container->config;
	struct str dir = json_str(json_find(x->body, "WorkingDir"));
	struct str user = json_str(json_find(x->body, "User"));
	struct jsonw w = JSONW(b);
	if (!dir.len)
		dir = json_str(json_find(config, "WorkingDir"));
	if (!user.len)
		user = json_str(json_find(config, "User"));
	jsonw_open(&w);
	put_argv(json_find(x->body, "Cmd"), &w);
	put_env(x, &w);
	jsonw_key_str(&w, "cwd", dir.len ? dir : STR("/"));
	if (user.len)
		jsonw_key_str(&w, "user", user);
	jsonw_key_str(&w, "name", str_from(x->process));
	jsonw_key_bool(&w, "stdin", json_bool(json_find(x->body, "AttachStdin")));
	jsonw_key_bool(&w, "tty", x->is_tty);
	if (x->is_tty && x->rows >= 2 && x->rows <= 1000 && x->cols >= 2 && x->cols <= 2000) {
		jsonw_key_int(&w, "rows", x->rows);
		jsonw_key_int(&w, "cols", x->cols);
	}
	jsonw_key_int(&w, "log_bytes", 65536);
	jsonw_key_bool(&w, is_detached ? "detach" : "announce", true);
	jsonw_close(&w);
}

static void on_detached(void *arg, struct str text)
{
	struct http_request *r = arg;
	auto_json struct json *process = NULL;
	struct exec *x = map_find(&docker_of(r)->execs, str_from(r->state));
	json_parse(text, &process, NULL);
	if (x) {
		x->pid = (int)json_int(json_find(process, "pid"));
		watch(x);
	}
	http_reply(r, 200, NULL, STR_NONE);
}

static void on_not_detached(void *arg, const struct error *err)
{
	struct http_request *r = arg;
	struct exec *x = map_find(&docker_of(r)->execs, str_from(r->state));
	if (x)
		ended(x, failure_code(err));
	docker_fail(r, err->code == ERROR_NOT_FOUND ? 400 : error_http(err->code),
		"OCI runtime exec failed: %s", err->text);
}

static void start_detached(struct http_request *r, struct exec *x, struct sandbox *s)
{
	static const struct call_sink sink = { .result = on_detached, .error = on_not_detached };
	auto_buf struct buf params = BUF_INIT(DOCKER_BODY_MAX);
	put_params(x, true, &params);
	r->state = arena_str(&r->arena, str_from(x->id));
	runtime_perform(s, &exec_action, buf_str(&params), &sink, r);
}

static void start_attached(struct http_request *r, struct exec *x, struct sandbox *s)
{
	static const struct pump_ops ops = { pump_started, pump_ended, pump_left };
	auto_buf struct buf params = BUF_INIT(DOCKER_BODY_MAX);
	const struct json *out = json_find(x->body, "AttachStdout");
	const struct json *errors = json_find(x->body, "AttachStderr");
	struct pump_wish wish = {
		.container = x->container,
		.is_tty = x->is_tty,
		.has_stdin = json_bool(json_find(x->body, "AttachStdin")),
		.has_stdout = json_bool(out),
		.has_stderr = json_bool(errors) && !x->is_tty,
		.says_errors = true,
		.ops = &ops,
		.arg = x,
	};
	put_params(x, false, &params);
	struct pump *p = pump_new(r, &wish);
	pump_run(p, s, &exec_action, buf_str(&params), true);
}

void execs_start(struct http_request *r)
{
	struct exec *x = find(r);
	auto_json struct json *body = NULL;
	if (!x || docker_body(r, &body) < 0)
		return;
	if (x->is_started) {
		docker_fail(r, 409, "Error: Exec command %s has already run", x->id);
		return;
	}
	if (!is_running(r, x->container))
		return;
	const struct json *size = json_find(body, "ConsoleSize");
	if (json_kind(size) == JSON_KIND_ARRAY) {
		x->rows = json_int(json_at(size, 0));
		x->cols = json_int(json_at(size, 1));
	}
	x->is_started = x->is_running = true;
	docker_event_of(x->container, "exec_start");
	struct sandbox *s = container_sandbox(x->container);
	if (json_bool(json_find(body, "Detach")))
		start_detached(r, x, s);
	else
		start_attached(r, x, s);
}

/* ---- inspect, resize ---- */

static void put_process_config(const struct exec *x, struct jsonw *w)
{
	const struct json *cmd = json_find(x->body, "Cmd");
	jsonw_key(w, "ProcessConfig");
	jsonw_open(w);
	jsonw_key_bool(w, "tty", x->is_tty);
	jsonw_key_bool(w, "privileged", false);
	jsonw_key_str(w, "user", json_str(json_find(x->body, "User")));
	jsonw_key_str(w, "entrypoint",
		json_str(json_kind(cmd) == JSON_KIND_ARRAY ? json_at(cmd, 0) : cmd));
	jsonw_key(w, "arguments");
	jsonw_open_array(w);
	for (size_t i = 1; json_kind(cmd) == JSON_KIND_ARRAY && i < json_len(cmd); i++)
		jsonw_str(w, json_str(json_at(cmd, i)));
	jsonw_close_array(w);
	jsonw_close(w);
}

void execs_inspect(struct http_request *r)
{
	struct exec *x = find(r);
	auto_buf struct buf b = BUF_INIT(DOCKER_BODY_MAX);
	struct jsonw w = JSONW(&b);
	if (!x)
		return;
	jsonw_open(&w);
	jsonw_key_str(&w, "ID", str_from(x->id));
	jsonw_key_str(&w, "ContainerID", str_from(x->container->id));
	jsonw_key_bool(&w, "Running", x->is_running);
	jsonw_key(&w, "ExitCode");
	if (x->has_exited)
		jsonw_int(&w, x->exit_code);
	else
		jsonw_null(&w);
	jsonw_key_int(&w, "Pid", x->pid);
	jsonw_key_bool(&w, "OpenStdin", json_bool(json_find(x->body, "AttachStdin")));
	jsonw_key_bool(&w, "OpenStdout", json_bool(json_find(x->body, "AttachStdout")));
	jsonw_key_bool(&w, "OpenStderr", json_bool(json_find(x->body, "AttachStderr")));
	jsonw_key_bool(&w, "CanRemove", false);
	jsonw_key_str(&w, "DetachKeys", STR(""));
	put_process_config(x, &w);
	jsonw_close(&w);
	http_reply_json(r, 200, &b);
}

static void on_resized(void *arg, struct str result)
{
	http_reply(arg, 200, NULL, STR_NONE);
}

/* The program may not be there yet, or any more: a client asks whenever its window changes. */
static void on_not_resized(void *arg, const struct error *err)
{
	if (err->code == ERROR_NOT_FOUND || err->code == ERROR_GONE)
		http_reply(arg, 200, NULL, STR_NONE);
	else
		docker_fail_error(arg, err);
}

void execs_resize(struct http_request *r)
{
	static const struct call_sink sink = { .result = on_resized, .error = on_not_resized };
	struct exec *x = find(r);
	int64_t rows = 0, cols = 0;
	if (!x)
		return;
	num_parse_i64(http_query(r, "h"), 0, TERMINAL_MAX, &rows, NULL);
	num_parse_i64(http_query(r, "w"), 0, TERMINAL_MAX, &cols, NULL);
	x->rows = rows;
	x->cols = cols;
	struct sandbox *s = container_sandbox(x->container);
	if (!x->is_running || !s || rows < 2 || rows > 1000 || cols < 2) {
		http_reply(r, 200, NULL, STR_NONE);
		return;
	}
	auto_buf struct buf params = BUF_INIT(256);
	buf_printf(&params, "{\"process\":\"%s\",\"cols\":%lld,\"rows\":%lld}", x->process,
		(long long)cols, (long long)rows);
	runtime_perform(s, &process_resize_action, buf_str(&params), &sink, r);
}
