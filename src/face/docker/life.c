/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A container's life. Its sandbox is there from create to remove; start and stop are about
 * processes. The main process has a name of its own in the executor ("main-3": the third start), by
 * which it is found again after a restart of the server. Where a client was attached before the
 * start, the process is performed as that client's call, so that the client sets its pace; else it
 * is started detached. In both cases a second call waits for its end.
 *
 * When the main process ends, everything else in the sandbox is killed, and only then the container
 * has ended: who starts it again finds nothing of before but the files.
 */
#include "face/docker/handlers.h"
#include "face/docker/pump.h"

#include "action/process_actions.h"
#include "base/auto.h"
#include "base/bug.h"
#include "base/clock.h"

#include <string.h>

enum { DOOM_MS = 30000, LEAVE_MS = 2000 };

static void on_ignored(void *arg, struct str result)
{
}

static void on_ignored_error(void *arg, const struct error *err)
{
}

void container_act(struct container *c, const struct action *action, const char *params)
{
	static const struct call_sink sink = { .result = on_ignored, .error = on_ignored_error };
	struct sandbox *s = container_sandbox(c);
	if (s)
		runtime_perform(s, action, str_from(params), &sink, NULL);
}

static void on_acted(void *arg, struct str result)
{
	http_reply(arg, 204, NULL, STR_NONE);
}

static void on_not_acted(void *arg, const struct error *err)
{
	docker_fail_error(arg, err);
}

struct sandbox *container_need_sandbox(struct http_request *r, struct container *c)
{
	struct sandbox *s = container_sandbox(c);
	if (!s)
		docker_fail(r, 404, "No such container: %s", c->id);
	return s;
}

void container_act_for(struct http_request *r, struct container *c, const struct action *action,
	struct str params)
{
	static const struct call_sink sink = { .result = on_acted, .error = on_not_acted };
	struct sandbox *s = container_need_sandbox(r, c);
	if (s)
		runtime_perform(s, action, params, &sink, r);
}

int process_host_pid(const struct json *process)
{
	const struct json *outside = json_find(process, "host_pid");
	return (int)json_int(outside ? outside : json_find(process, "pid"));
}

int process_exit_code(const struct json *process)
{
	const struct json *code = json_find(process, "exit_code");
	struct str name = json_str(json_find(process, "signal"));
	if (json_kind(code) == JSON_KIND_INT)
		return (int)json_int(code);
	for (int signo = 1; signo < 32; signo++) {
		const char *known = sigabbrev_np(signo);
		if (known && str_is(name, known))
			return 128 + signo;
	}
	return 137;
}

/* ---- the end ---- */

/* Somebody who found its sandbox missing may have forgotten it already. */
struct going {
	struct docker *docker;
	char id[ID_SIZE];
};

static void on_gone(void *arg, const struct error *err)
{
	struct going *going = arg;
	struct container *c, *next;
	list_for_each_safe(c, next, &going->docker->containers, link) {
		if (strcmp(c->id, going->id) != 0)
			continue;
		c->is_removing = false;
		container_tell(c, WAIT_REMOVED, err);
		if (!err)
			container_forget(c);
	}
	free(going);
}

static void destroy(struct container *c)
{
	struct sandbox *s = container_sandbox(c);
	struct going *going = mem_new(struct going);
	going->docker = c->docker;
	c->is_leaving = false;
	memcpy(going->id, c->id, sizeof(going->id));
	if (s)
		runtime_destroy(s, on_gone, going);
	else
		on_gone(going, NULL);
}

static void on_left_long_enough(void *arg)
{
	struct container *c = arg;
	if (c->is_leaving)
		destroy(c);
}

/*
 * docker-py asks for the log, waits for the end, removes the container, and reads the log then: who
 * is reading what an ended process said gets it, if that does not take long.
 */
void container_remove(struct container *c)
{
	if (c->is_removing)
		return;
	c->is_removing = true;
	if (c->n_readings == 0 || c->state != CONTAINER_EXITED) {
		destroy(c);
		return;
	}
	c->is_leaving = true;
	timer_free(c->doom);
	c->doom = timer_new(c->docker->loop, on_left_long_enough, c);
	timer_set(c->doom, LEAVE_MS);
}

void container_reading(struct container *c, bool begins)
{
	c->n_readings += begins ? 1 : -1;
	if (c->is_leaving && c->n_readings == 0)
		destroy(c);
}

void container_forget(struct container *c)
{
	if (c->state == CONTAINER_RUNNING) {
		c->state = CONTAINER_EXITED;
		c->exit_code = 137;
		docker_event_of(c, "die");
		container_tell(c, WAIT_NOT_RUNNING, NULL);
		container_tell(c, WAIT_NEXT_EXIT, NULL);
	}
	docker_event_of(c, "destroy");
	container_tell(c, WAIT_REMOVED, NULL);
	container_free(c);
}

static void on_doom(void *arg)
{
	container_remove(arg);
}

/* --rm: not before those who are attached have read everything. */
void container_check_doom(struct container *c)
{
	if (!c->is_doomed || c->is_removing)
		return;
	if (list_is_empty(&c->pumps)) {
		container_remove(c);
	} else if (!c->doom) {
		c->doom = timer_new(c->docker->loop, on_doom, c);
		timer_set(c->doom, DOOM_MS);
	}
}

static void doom(struct container *c)
{
	if (!json_bool(json_find(c->host, "AutoRemove")))
		return;
	c->is_doomed = true;
	container_check_doom(c);
}

static void all_killed(struct container *c)
{
	c->starter = NULL;
	c->state = CONTAINER_EXITED;
	c->is_stopping = false;
	c->finished_ms = clock_wall_ms();
	ports_close(c);
	container_save(c, NULL);
	docker_event_of(c, "die");
	container_tell(c, WAIT_NOT_RUNNING, NULL);
	container_tell(c, WAIT_NEXT_EXIT, NULL);
	if (c->state == CONTAINER_EXITED && !c->is_starting)
		doom(c);
}

static void on_all_killed(void *arg, struct str result)
{
	all_killed(arg);
}

static void on_none_killed(void *arg, const struct error *err)
{
	all_killed(arg);
}

void container_ended(struct container *c, int exit_code)
{
	static const struct call_sink sink = { .result = on_all_killed, .error = on_none_killed };
	struct sandbox *s = container_sandbox(c);
	c->exit_code = exit_code;
	if (s)
		c->starter = runtime_perform(s, &process_kill_all_action, STR_NONE, &sink, c);
	else
		all_killed(c);
}

static void on_end(void *arg, struct str text)
{
	struct container *c = arg;
	auto_json struct json *process = NULL;
	c->watch = NULL;
	json_parse(text, &process, NULL);
	c->was_killed = str_is(json_str(json_find(process, "limit")), "memory");
	container_ended(c, process_exit_code(process));
}

/*
 * The sandbox is going, or the executor does not know the process any more. Anything else says
 * nothing of it: it is watched again when it is wanted next.
 */
static void on_lost(void *arg, const struct error *err)
{
	struct container *c = arg;
	const struct sandbox *s = container_sandbox(c);
	c->watch = NULL;
	bool is_there = s && !s->is_going && !sandbox_state_is_final(s->state);
	if (is_there && err->code != ERROR_NOT_FOUND) {
		c->is_unwatched = true;
		return;
	}
	c->was_killed = s && strstr(s->reason, "memory");
	snprintf(c->error, sizeof(c->error), "%.230s", err->text);
	container_ended(c, 137);
}

void container_watch(struct container *c)
{
	static const struct call_sink sink = { .result = on_end, .error = on_lost };
	auto_buf struct buf params = BUF_INIT(256);
	struct sandbox *s = container_sandbox(c);
	buf_printf(&params, "{\"process\":\"%s\"}", c->process);
	c->is_unwatched = s && s->state == SANDBOX_PAUSED; /* it would answer nobody */
	if (s && !c->watch && !c->is_unwatched)
		c->watch = runtime_perform(s, &process_wait_action, buf_str(&params), &sink, c);
}

/* ---- the start ---- */

static void put_words(struct jsonw *w, const struct json *words)
{
	if (json_kind(words) == JSON_KIND_STR)
		jsonw_str(w, json_str(words));
	for (size_t i = 0; json_kind(words) == JSON_KIND_ARRAY && i < json_len(words); i++)
		jsonw_str(w, json_str(json_at(words, i)));
}

static void put_size(const struct container *c, struct jsonw *w)
{
	const struct json *size = json_find(c->host, "ConsoleSize");
	int64_t rows = json_int(json_at(size, 0)), cols = json_int(json_at(size, 1));
	if (json_kind(size) != JSON_KIND_ARRAY || rows < 2 || rows > 1000 || cols < 2 ||
		cols > 2000)
		return;
	jsonw_key_int(w, "rows", rows);
	jsonw_key_int(w, "cols", cols);
}

static void put_start(const struct container *c, bool is_attached, struct buf *b)
{
	struct jsonw w = JSONW(b);
	struct str dir = json_str(json_find(c->config, "WorkingDir"));
	struct str user = json_str(json_find(c->config, "User"));
	jsonw_open(&w);
	jsonw_key(&w, "argv");
	jsonw_open_array(&w);
	put_words(&w, json_find(c->config, "Entrypoint"));
	put_words(&w, json_find(c->config, "Cmd"));
	jsonw_close_array(&w);
	jsonw_key(&w, "env");
	config_put_env(json_find(c->config, "Env"), &w);
	jsonw_key_str(&w, "cwd", dir.len ? dir : STR("/"));
	if (user.len)
		jsonw_key_str(&w, "user", user);
	jsonw_key_str(&w, "name", str_from(c->process));
	jsonw_key_bool(&w, "stdin", json_bool(json_find(c->config, "OpenStdin")));
	jsonw_key_bool(&w, "tty", container_is_tty(c));
	if (container_is_tty(c))
		put_size(c, &w);
	jsonw_key_int(&w, "log_bytes", DOCKER_LOG_BYTES);
	jsonw_key_bool(&w, is_attached ? "announce" : "detach", true);
	jsonw_close(&w);
}

static void started(struct container *c, const struct json *process)
{
	struct error err;
	c->is_starting = false;
	c->state = CONTAINER_RUNNING;
	c->pid = process_host_pid(process);
	c->started_ms = clock_wall_ms();
	c->finished_ms = 0;
	c->exit_code = 0;
	c->error[0] = '\0';
	bool is_saved = container_save(c, &err) == 0;
	container_watch(c);
	docker_event_of(c, "start");
	logs_attach_waiting(c);
	container_tell(c, WAIT_STARTED, is_saved ? NULL : &err);
}

static void not_started(struct container *c, const struct error *err)
{
	struct pump *p;
	struct error told = *err;
	c->is_starting = false;
	ports_close(c);
	c->exit_code = err->code == ERROR_NOT_FOUND ? 127 : 126;
	if (err->code == ERROR_NOT_FOUND)
		error_set(&told, ERROR_INVALID,
			"failed to start the container: %s: executable file not found in $PATH",
			err->text);
	snprintf(c->error, sizeof(c->error), "%.230s", told.text);
	container_save(c, NULL);
	while ((p = pump_next_waiting(c)))
		pump_end(p);
	container_tell(c, WAIT_STARTED, &told);
	container_tell(c, WAIT_NEXT_EXIT, NULL);
	doom(c);
}

static void on_started(void *arg, struct str text)
{
	struct container *c = arg;
	auto_json struct json *process = NULL;
	c->starter = NULL;
	json_parse(text, &process, NULL);
	started(c, process);
}

static void on_not_started(void *arg, const struct error *err)
{
	struct container *c = arg;
	c->starter = NULL;
	not_started(c, err);
}

static void pump_started(void *arg, const struct json *process)
{
	started(arg, process);
}

static void pump_ended(void *arg, struct str result, const struct error *err)
{
	struct container *c = arg;
	if (c->is_starting && err)
		not_started(c, err);
}

/*
 * Its client left between the request and the word that it runs: whether it does, the watch will
 * tell.
 */
static void pump_left(void *arg)
{
	struct container *c = arg;
	if (c->is_starting)
		started(c, NULL);
}

void container_begin(struct container *c)
{
	static const struct call_sink sink = { .result = on_started, .error = on_not_started };
	static const struct pump_ops ops = { pump_started, pump_ended, pump_left };
	auto_buf struct buf params = BUF_INIT(DOCKER_BODY_MAX);
	struct sandbox *s = container_sandbox(c);
	struct pump *p = pump_next_waiting(c);
	struct error err;
	c->is_starting = true;
	if (ports_open(c, &err) < 0) {
		not_started(c, &err);
		return;
	}
	snprintf(c->process, sizeof(c->process), "main-%d", ++c->n_starts);
	put_start(c, p != NULL, &params);
	if (p) {
		pump_set_ops(p, &ops, c);
		pump_run(p, s, &exec_action, buf_str(&params), true);
	} else {
		c->starter = runtime_perform(s, &exec_action, buf_str(&params), &sink, c);
	}
}
