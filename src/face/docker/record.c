/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Containers in memory, and as notes of their sandboxes, from which they come back after a restart.
 * What a note says of the main process may be out of date then: the executor is asked, and knows it
 * by its name.
 */
#include "face/docker/pump.h"

#include "action/process_actions.h"
#include "base/auto.h"
#include "base/bug.h"
#include "runtime/create.h"

static const char *const state_names[] = { "created", "running", "exited" };

struct sandbox *container_sandbox(const struct container *c)
{
	struct error err;
	return runtime_find(c->docker->rt, str_from(c->id), &err);
}

const char *container_status(const struct container *c)
{
	const struct sandbox *s = container_sandbox(c);
	if (c->is_removing)
		return "removing";
	if (s && s->state == SANDBOX_PAUSED && c->state == CONTAINER_RUNNING)
		return "paused";
	return state_names[c->state];
}

bool container_is_tty(const struct container *c)
{
	return json_bool(json_find(c->config, "Tty"));
}

static void take_text(const struct json *j, const char *key, char *to, size_t size)
{
	snprintf(to, size, "%.*s", STR_ARG(json_str(json_find(j, key))));
}

/* A part of a tree as a tree of its own. */
static struct json *copy_of(const struct json *part)
{
	struct json *copy = NULL;
	auto_buf struct buf b = BUF_INIT(CREATE_NOTE_BYTES);
	if (part && json_write(part, &b) == 0)
		json_parse(buf_str(&b), &copy, NULL);
	return copy;
}

static enum container_state state_from(struct str name)
{
	for (size_t i = 0; i < ARRAY_LEN(state_names); i++)
		if (str_is(name, state_names[i]))
			return (enum container_state)i;
	return CONTAINER_CREATED;
}

static void read_note(struct container *c, const struct json *note)
{
	take_text(note, "name", c->name, sizeof(c->name));
	take_text(note, "process", c->process, sizeof(c->process));
	take_text(note, "error", c->error, sizeof(c->error));
	c->image = str_dup(json_str(json_find(note, "image")));
	c->image_id = str_dup(json_str(json_find(note, "image_id")));
	c->state = state_from(json_str(json_find(note, "state")));
	c->created_ms = json_int(json_find(note, "created_ms"));
	c->started_ms = json_int(json_find(note, "started_ms"));
	c->finished_ms = json_int(json_find(note, "finished_ms"));
	c->exit_code = (int)json_int(json_find(note, "exit_code"));
	c->pid = (int)json_int(json_find(note, "pid"));
	c->n_starts = (int)json_int(json_find(note, "starts"));
	c->config = copy_of(json_find(note, "config"));
	c->host = copy_of(json_find(note, "host"));
}

struct container *container_new(struct docker *d, const char *id, const char *note)
{
	auto_json struct json *tree = NULL;
	if (json_parse(str_from(note), &tree, NULL) < 0 ||
		!str_is(json_str(json_find(tree, "face")), "docker"))
		return NULL;
	struct container *c = mem_new(struct container);
	c->docker = d;
	snprintf(c->id, sizeof(c->id), "%s", id);
	list_init(&c->pumps);
	list_init(&c->waits);
	list_init(&c->execs);
	list_init(&c->ports);
	read_note(c, tree);
	list_append(&d->containers, &c->link);
	return c;
}

void container_free(struct container *c)
{
	while (!list_is_empty(&c->execs))
		exec_free(list_get_first(&c->execs, struct exec, link));
	while (!list_is_empty(&c->waits))
		waiter_free(list_get_first(&c->waits, struct waiter, link));
	pumps_free(c);
	ports_close(c);
	list_remove(&c->link);
	if (c->watch)
		runtime_call_cancel(c->watch);
	if (c->starter)
		runtime_call_cancel(c->starter);
	timer_free(c->doom);
	json_free(c->config);
	json_free(c->host);
	free(c->image);
	free(c->image_id);
	free(c);
}

void container_put_note(const struct container *c, struct buf *b)
{
	struct jsonw w = JSONW(b);
	jsonw_open(&w);
	jsonw_key_str(&w, "face", STR("docker"));
	jsonw_key_str(&w, "name", str_from(c->name));
	jsonw_key_str(&w, "image", str_from(c->image));
	jsonw_key_str(&w, "image_id", str_from(c->image_id));
	jsonw_key_str(&w, "state", str_from(state_names[c->state]));
	jsonw_key_str(&w, "process", str_from(c->process));
	jsonw_key_str(&w, "error", str_from(c->error));
	jsonw_key_int(&w, "created_ms", c->created_ms);
	jsonw_key_int(&w, "started_ms", c->started_ms);
	jsonw_key_int(&w, "finished_ms", c->finished_ms);
	jsonw_key_int(&w, "exit_code", c->exit_code);
	jsonw_key_int(&w, "pid", c->pid);
	jsonw_key_int(&w, "starts", c->n_starts);
	docker_key_json(&w, "config", c->config);
	docker_key_json(&w, "host", c->host);
	jsonw_close(&w);
}

int container_save(struct container *c, struct error *err)
{
	auto_buf struct buf b = BUF_INIT(CREATE_NOTE_BYTES + 65536);
	struct sandbox *s = container_sandbox(c);
	if (!s)
		return 0;
	container_put_note(c, &b);
	return runtime_set_note(s, buf_str(&b), err);
}

/* Who removed its sandbox did not ask us. */
static struct container *still_there(struct container *c)
{
	if (c && c->is_unwatched && c->state == CONTAINER_RUNNING)
		container_watch(c);
	if (!c || container_sandbox(c))
		return c;
	container_forget(c);
	return NULL;
}

struct container *container_find(struct docker *d, struct str key)
{
	struct container *c, *found = NULL;
	if (str_starts(key, STR("/")))
		key = str_skip(key, 1);
	list_for_each(c, &d->containers, link)
		if (str_is(key, c->id) || str_is(key, c->name))
			return still_there(c);
	list_for_each(c, &d->containers, link) {
		if (!key.len || !str_starts(str_from(c->id), key))
			continue;
		if (found)
			return NULL;
		found = c;
	}
	return still_there(found);
}

struct container *container_of_request(struct http_request *r)
{
	struct str key = http_param(r, "id");
	struct container *c = container_find(docker_of(r), key);
	if (!c)
		docker_fail(r, 404, "No such container: %.*s", STR_ARG(str_first(key, 200)));
	return c;
}

void containers_adopt(struct docker *d)
{
	for (struct sandbox *s = NULL; (s = runtime_next(d->rt, s));) {
		struct container *c = s->note[0] ? container_new(d, s->id, s->note) : NULL;
		if (!c || c->state != CONTAINER_RUNNING)
			continue;
		if (!sandbox_state_is_final(s->state)) {
			struct error err;
			ports_open(c,
				&err); /* taken by somebody else meanwhile: inspect shows it */
			container_watch(c);
		} else {
			container_ended(c, 137);
		}
	}
}
