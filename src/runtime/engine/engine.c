/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. A member is a container of ours: on its way (creating, adopting), living, or
 * ending. Whatever is asked of the engine is about a name that we chose, so asking again does no
 * harm, and a connection that breaks is tried once more. What the engine says of a living container
 * does not matter: that a sandbox has ended is seen at its control socket, at once and also while
 * the engine is away; then the container is removed, if its engine has not done so.
 */
#include "runtime/engine/engine.h"

#include "base/auto.h"
#include "base/bug.h"
#include "base/file.h"
#include "base/log.h"
#include "base/program.h"
#include "runtime/engine/find.h"
#include "runtime/engine/internal.h"
#include "runtime/engine/said.h"

#include <fcntl.h>
#include <limits.h>

enum { ENGINE_TRIES = 3 };

static const struct backend_ops engine_ops;

struct engine *engine_from(struct backend *b)
{
	BUG_IF(b->ops != &engine_ops, "a backend that is no engine");
	return container_of(b, struct engine, base);
}

/* ---- asking ---- */

/* podman says OK, and no JSON. */
static int be_content(struct str body, struct error *err)
{
	return 0;
}

void engine_ask(struct engine *e, const struct engine_request *r, answer_fn *done, void *arg)
{
	auto_free char *url = mem_printf("http://docker%s%s", e->version, r->path);
	const struct ask_plan plan = {
		.method = r->method,
		.url = url,
		.unix_path = e->socket,
		.json = r->body,
		.timeout_ms = r->timeout_ms ?: ENGINE_MS,
		.tries = ENGINE_TRIES,
	};
	questions_ask(&e->questions, &plan,
		r->is_progress       ? said_judge
			: r->is_mute ? be_content
				     : NULL,
		done, arg);
}

/* ---- members ---- */

char *member_path(const struct member *m, const char *tail)
{
	return mem_printf("/containers/cay-%s%s", m->id, tail);
}

struct member *member_new(struct engine *e, const char *id)
{
	struct member *m = mem_new(struct member);
	m->engine = e;
	snprintf(m->id, sizeof(m->id), "%s", id);
	BUG_IF(map_put(&e->members, str_from(m->id), m), "two members with one id");
	return m;
}

struct member *member_find(struct engine *e, const char *id)
{
	return map_find(&e->members, str_from(id));
}

/* Without a word, and without touching the container. */
static void member_drop(struct member *m)
{
	creating_free(m->creating);
	adopting_free(m->adopting);
	timer_free(m->timer);
	line_free(m->line);
	free(m);
}

void member_free(struct member *m)
{
	struct engine *e = m->engine;
	struct error err;
	auto_free char *dir = mem_printf("%s/%s", e->dir, m->id);
	map_remove(&e->members, str_from(m->id));
	questions_forget(&e->questions, m);
	if (file_remove_tree(AT_FDCWD, dir, &err) < 0 && err.sys != ENOENT)
		log_warn("engine.remove", "%s", err.text);
	member_drop(m);
}

/* ---- the end of one ---- */

void member_lost(struct member *m)
{
	if (m->is_ending)
		return;
	m->is_unasked = true;
	member_end(m);
}

static void on_failed(void *arg, const struct error *err)
{
	struct member *m = arg;
	if (m->creating)
		creating_failed(m, err);
	else if (m->adopting)
		adopting_failed(m, err);
	else if (m->is_silent)
		member_lost(m);
}

static void on_lost(void *arg)
{
	struct member *m = arg;
	struct error err;
	if (m->is_ending)
		return;
	if (m->creating || m->adopting) {
		error_set(&err, ERROR_INTERNAL, "its executor ended at once");
		on_failed(m, &err);
		return;
	}
	member_lost(m);
}

static void tell_end(struct member *m, const struct error *err)
{
	struct engine *e = m->engine;
	backend_fn *destroyed = m->destroyed;
	void *arg = m->destroyed_arg;
	bool is_unasked = m->is_unasked;
	struct backend_reply reply = { 0 };
	snprintf(reply.id, sizeof(reply.id), "%s", m->id);
	if (err)
		reply.error = *err;
	if (err && !is_unasked) { /* it may be tried again */
		m->is_ending = false;
		m->destroyed = NULL;
	} else {
		member_free(m);
	}
	if (destroyed)
		destroyed(arg, &reply);
	else if (is_unasked)
		e->base.events->ended(e->base.events_arg, reply.id, END_EXITED);
}

static void on_gone(void *arg, int status, const struct json *json, const struct error *err)
{
	struct member *m = arg;
	if (err && status != 404 && m->is_unasked)
		log_warn("engine.remove", "id=%s %s", m->id, err->text);
	tell_end(m, err && status != 404 ? err : NULL);
}

/* 409: the engine is at it already, since the container removes itself. */
static void on_removed(void *arg, int status, const struct json *json, const struct error *err)
{
	struct member *m = arg;
	if (status != 409) {
		on_gone(m, status, json, err);
		return;
	}
	auto_free char *path = member_path(m, "/wait?condition=removed");
	const struct engine_request request = { .method = "POST", .path = path };
	engine_ask(m->engine, &request, on_gone, m);
}

void member_end(struct member *m)
{
	auto_free char *path = member_path(m, "?force=1&v=1");
	const struct engine_request request = { .method = "DELETE", .path = path };
	m->is_ending = true;
	timer_free(take_ptr(m->timer));
	engine_ask(m->engine, &request, on_removed, m);
}

/* ---- its executor ---- */

static void on_ready(void *arg, uint32_t uid, uint32_t gid)
{
	struct member *m = arg;
	if (m->creating)
		creating_ready(m, uid, gid);
	else if (m->adopting)
		adopting_ready(m, uid, gid);
	else if (m->is_silent)
		silent_ready(m);
}

static void on_late(void *arg)
{
	struct member *m = arg;
	struct error err;
	if (m->is_silent) {
		silent_late(m);
		return;
	}
	error_set(&err, ERROR_TIMEOUT, "its executor did not come in time");
	on_failed(m, &err);
}

int member_listen(struct member *m, bool is_new, struct error *err)
{
	static const struct line_ops ops = { on_ready, on_failed, on_lost };
	auto_free char *dir = mem_printf("%s/%s", m->engine->dir, m->id);
	if (!m->timer)
		m->timer = timer_new(m->engine->loop, on_late, m);
	return line_new(m->engine->loop, dir, is_new, &ops, m, &m->line, err);
}

/* ---- the operations ---- */

struct errand {
	struct list link; /* engine::errands */
	struct engine *engine;
	char id[ID_SIZE];
	backend_fn *done;
	void *arg;
	bool is_frozen; /* of a freeze: what is wanted */
	struct error failure;
};

static struct errand *errand_new(struct engine *e, const char *id, backend_fn *done, void *arg)
{
	struct errand *errand = mem_new(struct errand);
	errand->engine = e;
	snprintf(errand->id, sizeof(errand->id), "%s", id);
	errand->done = done;
	errand->arg = arg;
	list_append(&e->errands, &errand->link);
	return errand;
}

static void errand_end(struct errand *errand, struct backend_reply *reply)
{
	struct errand copy = *errand;
	list_remove(&errand->link);
	free(errand);
	memcpy(reply->id, copy.id, sizeof(reply->id));
	copy.done(copy.arg, reply);
}

/* An error is told in a turn of its own. */
struct refusal {
	struct list link; /* engine::refusals */
	struct engine *engine;
	struct errand *errand;
	struct error error;
};

static void on_refused(void *arg)
{
	struct refusal *r = arg;
	struct backend_reply reply = { .error = r->error };
	struct errand *errand = r->errand;
	list_remove(&r->link);
	free(r);
	errand_end(errand, &reply);
}

void engine_refuse(struct engine *e, const char *id, backend_fn *done, void *arg,
	const struct error *err)
{
	struct refusal *r = mem_new(struct refusal);
	*r = (struct refusal){ .engine = e, .errand = errand_new(e, id, done, arg), .error = *err };
	list_append(&e->refusals, &r->link);
	loop_defer(e->loop, on_refused, r);
}

static void refuse_gone(struct engine *e, const char *id, enum error_code code, backend_fn *done,
	void *arg)
{
	struct error err;
	error_set(&err, code, "sandbox %s is gone", id);
	engine_refuse(e, id, done, arg, &err);
}

static void engine_destroy(struct backend *b, const char *id, backend_fn *done, void *arg)
{
	struct engine *e = engine_from(b);
	struct member *m = member_find(e, id);
	if (!m || m->destroyed) {
		refuse_gone(e, id, ERROR_NOT_FOUND, done, arg);
		return;
	}
	m->destroyed = done;
	m->destroyed_arg = arg;
	if (!m->is_ending)
		member_end(m);
}

static void on_inspected(void *arg, int status, const struct json *json, const struct error *err)
{
	struct errand *errand = arg;
	struct backend_reply reply = { .error = errand->failure };
	const struct json *state = json_find(json, "State");
	bool is_so = !err && json_bool(json_find(state, "Running")) &&
		json_bool(json_find(state, "Paused")) == errand->is_frozen;
	if (is_so)
		reply.error = (struct error){ 0 };
	errand_end(errand, &reply);
}

/* Asked again after a lost answer, it refuses what it has done: its state counts. */
static void on_frozen(void *arg, int status, const struct json *json, const struct error *err)
{
	struct errand *errand = arg;
	struct backend_reply reply = { 0 };
	if (!err) {
		errand_end(errand, &reply);
		return;
	}
	auto_free char *path = mem_printf("/containers/cay-%s/json", errand->id);
	const struct engine_request request = { .method = "GET", .path = path };
	errand->failure = *err;
	engine_ask(errand->engine, &request, on_inspected, errand);
}

static void engine_freeze(struct backend *b, const char *id, bool is_frozen, backend_fn *done,
	void *arg)
{
	struct engine *e = engine_from(b);
	struct member *m = member_find(e, id);
	if (!m) {
		refuse_gone(e, id, ERROR_GONE, done, arg);
		return;
	}
	auto_free char *path = member_path(m, is_frozen ? "/pause" : "/unpause");
	const struct engine_request request = { .method = "POST", .path = path };
	struct errand *errand = errand_new(e, id, done, arg);
	errand->is_frozen = is_frozen;
	engine_ask(e, &request, on_frozen, errand);
}

static int64_t number_or_unknown(const struct json *json, const char *group, const char *key)
{
	const struct json *value = json_find(json_find(json, group), key);
	bool is_number = json_kind(value) == JSON_KIND_INT || json_kind(value) == JSON_KIND_REAL;
	return is_number ? json_int(value) : -1;
}

static void on_usage(void *arg, int status, const struct json *json, const struct error *err)
{
	const struct json *cpu = json_find(json, "cpu_stats");
	int64_t cpu_ns = number_or_unknown(cpu, "cpu_usage", "total_usage");
	struct backend_reply reply = { .usage = {
					       .memory_bytes = number_or_unknown(json,
						       "memory_stats", "usage"),
					       .memory_peak_bytes = number_or_unknown(json,
						       "memory_stats", "max_usage"),
					       .pids = number_or_unknown(json, "pids_stats",
						       "current"),
					       .cpu_us = cpu_ns < 0 ? -1 : cpu_ns / 1000,
					       .disk_bytes = -1,
					       .disk_inodes = -1,
					       .oom_kills = -1,
				       } };
	if (reply.usage.memory_peak_bytes == 0) /* what cgroup v2 does not know */
		reply.usage.memory_peak_bytes = -1;
	if (err)
		reply.error = *err;
	errand_end(arg, &reply);
}

static void engine_usage(struct backend *b, const char *id, backend_fn *done, void *arg)
{
	struct engine *e = engine_from(b);
	struct member *m = member_find(e, id);
	if (!m) {
		refuse_gone(e, id, ERROR_GONE, done, arg);
		return;
	}
	auto_free char *path = member_path(m, "/stats?stream=0&one-shot=1");
	const struct engine_request request = { .method = "GET", .path = path };
	engine_ask(e, &request, on_usage, errand_new(e, id, done, arg));
}

static int engine_open_call(struct backend *b, const char *id, int *ret_fd, struct error *err)
{
	struct member *m = member_find(engine_from(b), id);
	if (!m || !m->line || m->is_ending)
		return error_set(err, ERROR_GONE, "sandbox %s has no executor any more", id);
	return line_open_call(m->line, ret_fd, err) < 0
		? error_wrap(err, "start a call in sandbox %s", id)
		: 0;
}

static void free_list(struct list *head, size_t link_offset, struct loop *loop)
{
	while (!list_is_empty(head)) {
		struct list *link = head->next;
		void *item = (char *)link - link_offset;
		list_remove(link);
		loop_undefer(loop, item);
		free(item);
	}
}

static void engine_free(struct backend *b)
{
	struct engine *e = engine_from(b);
	struct member *m;
	size_t i = 0;
	shelves_free(e);
	asker_fini(&e->asker);
	while ((m = map_next(&e->members, &i, NULL)))
		member_drop(m);
	map_fini(&e->members);
	start_free(e->start);
	questions_fini(&e->questions);
	free_list(&e->refusals, offsetof(struct refusal, link), e->loop);
	free_list(&e->errands, offsetof(struct errand, link), e->loop);
	free(e->socket);
	free(e->state_dir);
	free(e->dir);
	free(e->program);
	free(e->more);
	free(e);
}

static const struct backend_ops engine_ops = {
	.name = "docker",
	.library = &engine_library,
	.has_gpus = true,
	.has_networks = true,
	.start = engine_start,
	.create = engine_create,
	.destroy = engine_destroy,
	.freeze = engine_freeze,
	.usage = engine_usage,
	.open_call = engine_open_call,
	.free = engine_free,
};

/* ---- opening ---- */

/* The engine is told a path: of the program that a descriptor would do for elsewhere. */
static int find_program(struct engine *e, struct error *err)
{
	char link[64], path[PATH_MAX];
	int fd;
	if (program_open("cay-executor", &fd, err) < 0)
		return -1;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	ssize_t n = readlink(link, path, sizeof(path) - 1);
	close(fd);
	if (n <= 0)
		return error_sys(err, errno, "find cay-executor");
	e->program = str_dup(str_from_len(path, (size_t)n));
	return 0;
}

/* A number that goes with the directory, so that nobody else's containers are taken for ours. */
static int load_id(struct engine *e, struct error *err)
{
	auto_free char *path = mem_printf("%s/id", e->dir);
	auto_buf struct buf b = BUF_INIT(ID_SIZE);
	if (file_read(AT_FDCWD, path, &b, err) == 0 && id_is_valid(buf_str(&b))) {
		memcpy(e->id, b.ptr, sizeof(e->id));
		return 0;
	}
	id_make(e->id);
	return file_replace(AT_FDCWD, path, str_from(e->id), 0600, err);
}

static int open_engine(struct engine *e, const struct engine_config *config, struct error *err)
{
	auto_buf struct buf socket = BUF_INIT(PATH_MAX);
	if (!config->state_dir || config->state_dir[0] != '/')
		return error_set(err, ERROR_INVALID,
			"the state directory needs an absolute path, for the engine to find it");
	if (engine_find(config->socket, &socket, err) < 0 || find_program(e, err) < 0)
		return -1;
	e->socket = buf_take(&socket);
	e->questions.name = e->socket;
	if (json_len(config->more)) {
		struct buf more = BUF_INIT(ENGINE_BODY_MAX);
		json_write(config->more, &more);
		e->more = buf_take(&more);
	}
	e->state_dir = mem_strdup(config->state_dir);
	e->dir = mem_printf("%s/engine", config->state_dir);
	return file_mkdirs(e->dir, 0700, err) < 0 || load_id(e, err) < 0 ? -1 : 0;
}

int engine_backend_new(struct loop *loop, const struct engine_config *config, struct backend **ret,
	struct error *err)
{
	struct engine *e = mem_new(struct engine);
	e->base.ops = &engine_ops;
	e->loop = loop;
	list_init(&e->errands);
	list_init(&e->refusals);
	list_init(&e->shelves);
	asker_init(&e->asker, loop);
	questions_init(&e->questions, &e->asker, "engine");
	if (open_engine(e, config, err) < 0) {
		engine_free(&e->base);
		return error_wrap(err, "backend docker");
	}
	*ret = &e->base;
	return 0;
}
