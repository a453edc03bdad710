/* SPDX-License-Identifier: Apache-2.0 */
#include "fake_backend.h"

#include "action/channel.h"
#include "base/bug.h"
#include "wire/json.h"

#include <sys/socket.h>

struct fake {
	struct backend base;
	struct loop *loop;
	struct fake_world *world;
	struct list answers;   /* answer::link */
	struct list executors; /* executor::link */
};

struct answer {
	struct list link;
	struct fake *fake;
	backend_fn *done;
	void *arg;
	struct backend_reply reply;
};

struct executor {
	struct list link;
	struct fake *fake;
	struct channel *channel;
	bool is_upload;
	int64_t n_bytes;
};

void fake_world_init(struct fake_world *w)
{
	*w = (struct fake_world){ 0 };
	list_init(&w->living);
}

static void remove_sandbox(struct fake_sandbox *s)
{
	list_remove(&s->link);
	free(s);
}

void fake_world_fini(struct fake_world *w)
{
	while (!list_is_empty(&w->living))
		remove_sandbox(list_first(&w->living, struct fake_sandbox, link));
}

static struct fake *fake_from(struct backend *b)
{
	return (struct fake *)b;
}

static struct fake_sandbox *find(struct fake *f, const char *id)
{
	struct fake_sandbox *s;
	list_for_each(s, &f->world->living, link)
		if (strcmp(s->id, id) == 0)
			return s;
	return NULL;
}

/* Answers. */

static void answer_free(struct answer *a)
{
	list_remove(&a->link);
	loop_undefer(a->fake->loop, a);
	free(a);
}

static void answer_now(void *arg)
{
	struct answer *a = arg;
	struct answer copy = *a;
	answer_free(a);
	copy.done(copy.arg, &copy.reply);
}

static struct answer *answer_new(struct fake *f, const char *id, backend_fn *done, void *arg)
{
	struct answer *a = mem_new(struct answer);
	a->fake = f;
	a->done = done;
	a->arg = arg;
	snprintf(a->reply.id, sizeof(a->reply.id), "%s", id);
	list_append(&f->answers, &a->link);
	return a;
}

static void fake_start(struct backend *b, backend_fn *done, void *arg)
{
	struct fake *f = fake_from(b);
	struct fake_sandbox *s;
	list_for_each(s, &f->world->living, link) {
		struct backend_reply reply = { .init_pid = 7 };
		memcpy(reply.id, s->id, sizeof(reply.id));
		b->events->adopt(b->events_arg, &reply);
	}
	struct answer *a = answer_new(f, "", done, arg);
	a->reply.enforced.controls = 1ull << CONTROL_SECCOMP;
	loop_defer(f->loop, answer_now, a);
}

static void fake_create(struct backend *b, const struct sandbox *wish, const struct spec *spec,
	backend_fn *done, void *arg)
{
	struct fake *f = fake_from(b);
	struct answer *a = answer_new(f, spec->id, done, arg);
	a->reply.error = f->world->refuse;
	if (f->world->gives_other_ids)
		id_make(a->reply.id);
	if (a->reply.error.code == ERROR_OK) {
		struct fake_sandbox *s = mem_new(struct fake_sandbox);
		memcpy(s->id, a->reply.id, sizeof(s->id));
		list_append(&f->world->living, &s->link);
		f->world->n_created++;
	}
	if (f->world->holds_creates) {
		if (f->world->created)
			f->world->created(f->world->created_arg);
	} else {
		loop_defer(f->loop, answer_now, a);
	}
}

static void end_executors(struct fake *f)
{
	while (!list_is_empty(&f->executors)) {
		struct executor *e = list_first(&f->executors, struct executor, link);
		list_remove(&e->link);
		channel_free(e->channel);
		free(e);
	}
}

static void fake_destroy(struct backend *b, const char *id, backend_fn *done, void *arg)
{
	struct fake *f = fake_from(b);
	struct answer *a = answer_new(f, id, done, arg);
	struct fake_sandbox *s = find(f, id);
	if (s)
		remove_sandbox(s);
	else
		error_set(&a->reply.error, ERROR_NOT_FOUND, "no such sandbox");
	f->world->n_destroyed++;
	loop_defer(f->loop, answer_now, a);
}

void fake_end(struct backend *b, const char *id, enum end_reason reason)
{
	struct fake_sandbox *s = find(fake_from(b), id);
	BUG_IF(!s, "the test ends a sandbox that is not there");
	remove_sandbox(s);
	b->events->ended(b->events_arg, id, reason);
}

static void fake_freeze(struct backend *b, const char *id, bool is_frozen, backend_fn *done,
	void *arg)
{
	struct fake *f = fake_from(b);
	struct fake_sandbox *s = find(f, id);
	BUG_IF(!s, "the test freezes a sandbox that is not there");
	s->is_frozen = is_frozen;
	loop_defer(f->loop, answer_now, answer_new(f, id, done, arg));
}

static void fake_usage(struct backend *b, const char *id, backend_fn *done, void *arg)
{
	struct fake *f = fake_from(b);
	struct answer *a = answer_new(f, id, done, arg);
	a->reply.usage.memory_bytes = 4096;
	loop_defer(f->loop, answer_now, a);
}

/* The executor. */

static void executor_free(struct executor *e)
{
	list_remove(&e->link);
	channel_close(e->channel);
	free(e);
}

static void send_result(struct executor *e, const char *json)
{
	channel_send(e->channel, FRAME_RESULT, 0, str_from(json));
	e->is_upload = false;
	e->n_bytes = 0;
}

static void flood(struct executor *e)
{
	auto_buf struct buf b = BUF_INIT(1 << 20);
	buf_puts(&b, "{\"output\":\"");
	while (b.len < 100000)
		buf_puts(&b, "0123456789");
	buf_puts(&b, "\"}");
	send_result(e, b.ptr);
}

static void run(struct executor *e, struct str command)
{
	if (str_starts(command, STR("echo "))) {
		auto_buf struct buf b = BUF_INIT(1 << 20);
		struct jsonw w = JSONW(&b);
		jsonw_open(&w);
		jsonw_key_str(&w, "output", str_skip(command, 5));
		jsonw_close(&w);
		send_result(e, b.ptr);
	} else if (str_is(command, "die")) {
		executor_free(e);
	} else if (str_is(command, "lie")) {
		send_result(e, "no JSON\n\ndata: x");
	} else if (str_is(command, "flood")) {
		flood(e);
	} else if (str_is(command, "stream")) {
		channel_send(e->channel, FRAME_DATA, 1, STR("out"));
		channel_send(e->channel, FRAME_EVENT, 0, STR("{\"n\":1}"));
		channel_send(e->channel, FRAME_DATA, 2, STR("err"));
		send_result(e, "{}");
	}
}

static void on_request(struct executor *e, struct str payload)
{
	auto_json struct json *request = NULL;
	struct error err;
	BUG_IF(json_parse(payload, &request, &err) < 0, "the runtime sent what is no JSON");
	struct str action = json_str(json_find(request, "action"));
	struct json *params = json_find(request, "params");
	e->fake->world->n_calls++;
	if (str_is(action, "configure")) {
		snprintf(e->fake->world->configured, sizeof(e->fake->world->configured), "%.*s",
			STR_ARG(payload));
		send_result(e, "{}");
	} else if (str_is(action, "upload")) {
		e->is_upload = true;
	} else if (str_is(action, "run")) {
		run(e, json_str(json_find(params, "command")));
	} else {
		send_result(e, "{\"content\":\"x\"}");
	}
}

static void on_frame(void *arg, const struct frame *frame)
{
	struct executor *e = arg;
	if (frame->kind == FRAME_REQUEST) {
		on_request(e, frame->payload);
	} else if (frame->kind == FRAME_DATA) {
		e->n_bytes += (int64_t)frame->payload.len;
		e->fake->world->n_bytes += (int64_t)frame->payload.len;
	} else if (frame->kind == FRAME_EOF && e->is_upload) {
		char json[64];
		snprintf(json, sizeof(json), "{\"bytes\":%lld}", (long long)e->n_bytes);
		send_result(e, json);
	}
}

static void on_end(void *arg, const struct error *reason)
{
	executor_free(arg);
}

static int fake_open_call(struct backend *b, const char *id, int *ret_fd, struct error *err)
{
	static const struct channel_ops ops = { on_frame, on_end, NULL };
	struct fake *f = fake_from(b);
	if (!find(f, id))
		return error_set(err, ERROR_GONE, "no such sandbox");
	int ends[2];
	BUG_IF(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0, "no socketpair");
	struct executor *e = mem_new(struct executor);
	e->fake = f;
	list_append(&f->executors, &e->link);
	e->channel = channel_new(f->loop, ends[1], &ops, e);
	f->world->n_sockets++;
	*ret_fd = ends[0];
	return 0;
}

static void fake_free(struct backend *b)
{
	struct fake *f = fake_from(b);
	while (!list_is_empty(&f->answers))
		answer_free(list_first(&f->answers, struct answer, link));
	end_executors(f);
	free(f);
}

static const struct backend_ops fake_ops = {
	.name = "fake",
	.start = fake_start,
	.create = fake_create,
	.destroy = fake_destroy,
	.freeze = fake_freeze,
	.usage = fake_usage,
	.open_call = fake_open_call,
	.free = fake_free,
};

struct backend *fake_backend_new(struct loop *loop, struct fake_world *w)
{
	struct fake *f = mem_new(struct fake);
	f->base.ops = &fake_ops;
	f->loop = loop;
	f->world = w;
	list_init(&f->answers);
	list_init(&f->executors);
	return &f->base;
}
