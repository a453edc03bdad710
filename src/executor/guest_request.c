/* SPDX-License-Identifier: Apache-2.0 */
/* What a guest is asked, and what its packets mean. */
#include "base/auto.h"
#include "executor/guest_internal.h"

#include <sys/wait.h>

enum {
	MESSAGE_SMALL = 64 * 1024,
	VALUES_MAX = 1024 * 1024, /* in one message */
};

void guest_forget_all(struct guest *g)
{
	struct guest_request *r;
	while ((r = list_first(&g->requests, struct guest_request, link)))
		list_remove(&r->link);
	g->n_requests = 0;
}

static void fail_request(struct guest *g, struct guest_request *r, const struct error *err)
{
	list_remove(&r->link);
	g->n_requests--;
	r->ops->on_error(r, err);
}

void guest_fail_all(struct guest *g, const struct error *reason)
{
	struct guest_request *r;
	while (!g->is_freed && (r = list_first(&g->requests, struct guest_request, link)))
		fail_request(g, r, reason);
}

static struct guest_request *find_request(struct guest *g, uint32_t id)
{
	struct guest_request *r;
	list_for_each(r, &g->requests, link)
		if (r->id == id)
			return r;
	return NULL;
}

static void end_request(struct guest *g, struct guest_request *r, const struct guest_packet *p,
	const struct json *json)
{
	struct error err;
	if (p->flags & GUEST_ERROR) {
		json_to_error(json, &err);
		fail_request(g, r, &err);
		return;
	}
	list_remove(&r->link);
	g->n_requests--;
	r->ops->on_result(r, json);
}

/*
 * How many values a JSON text has at most: a tree of them takes many times the bytes of the text,
 * and the text is the agent's. Commas and brackets within strings do not count.
 */
static size_t count_values(struct str json)
{
	size_t n = 1;
	bool is_string = false;
	for (size_t i = 0; i < json.len; i++) {
		char c = json.ptr[i];
		if (is_string && c == '\\')
			i++;
		else if (c == '"')
			is_string = !is_string;
		else if (!is_string && (c == ',' || c == '[' || c == '{'))
			n++;
	}
	return n;
}

static int parse_message(struct str text, struct json **ret, struct error *err)
{
	if (text.len > MESSAGE_SMALL && count_values(text) > VALUES_MAX)
		return error_set(err, ERROR_TOO_LARGE, "a message of more than %d values",
			VALUES_MAX);
	return json_parse(text, ret, err);
}

static void set_status(struct guest *g, int status)
{
	g->has_status = true;
	g->signo = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
	g->exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
	guest_on_exit(g, 0);
}

/* A fork's first packet may wait still, though it was sent before its parent told of its end. */
static void take_status(struct guest *parent, const struct json *message)
{
	struct guest_status told = { .pid = (pid_t)json_int(json_find(message, "exited")),
		.status = (int)json_int(json_find(message, "status")) };
	struct guest *g;
	bool is_early = false;
	if (told.pid <= 0)
		return;
	list_for_each(g, &parent->executor->guests, link) {
		if (g->parent != parent || g->has_status)
			continue;
		if (g->child.pid == told.pid) {
			set_status(g, told.status);
			return;
		}
		is_early |= g->child.pid == 0;
	}
	if (is_early)
		parent->early[parent->n_early++ % GUEST_EARLY_MAX] = told;
}

static void take_pid(struct guest *g, pid_t pid)
{
	if (!g->is_forked || g->child.pid || pid <= 0)
		return;
	g->child.pid = pid;
	for (int i = 0; g->parent && i < GUEST_EARLY_MAX; i++) {
		struct guest_status *told = &g->parent->early[i];
		if (told->pid != pid)
			continue;
		told->pid = 0;
		set_status(g, told->status);
		return;
	}
}

/* A message that belongs to no request. */
static void take_message(struct guest *g, const struct json *message)
{
	if (json_find(message, "ready"))
		take_pid(g, (pid_t)json_int(json_find(message, "ready")));
	else if (json_find(message, "exited"))
		take_status(g, message);
	else if (g->ops && g->ops->on_message)
		g->ops->on_message(g->arg, message);
}

void guest_dispatch(struct guest *g, const struct guest_packet *p)
{
	auto_json struct json *json = NULL;
	struct guest_request *r = p->request ? find_request(g, p->request) : NULL;
	if (p->kind == GUEST_OUTPUT) {
		if (r && r->ops->on_output)
			r->ops->on_output(r, p->channel, p->payload);
		else if (!r && g->ops && g->ops->on_output)
			g->ops->on_output(g->arg, p->channel, p->payload);
		return;
	}
	struct error err;
	if (p->flags & GUEST_FINAL)
		buf_reset(&g->last_words);
	if (parse_message(p->payload, &json, &err) < 0) {
		if (r && (p->flags & GUEST_FINAL))
			fail_request(g, r, &err);
		return;
	}
	if (p->request == 0)
		take_message(g, json);
	else if (r && (p->flags & GUEST_FINAL))
		end_request(g, r, p, json);
	else if (r && r->ops->on_event)
		r->ops->on_event(r, json);
}

int guest_ask(struct guest *g, struct guest_request *r, struct str body_json, struct error *err)
{
	if (g->is_finished || g->channel.fd < 0)
		return error_set(err, ERROR_UNAVAILABLE, "%s has ended", g->what);
	if (g->n_requests >= GUEST_REQUESTS_MAX)
		return error_set(err, ERROR_LIMIT, "%s has %d requests at once", g->what,
			GUEST_REQUESTS_MAX);
	do
		r->id = ++g->next_id;
	while (r->id == 0 || find_request(g, r->id));
	if (guest_channel_send(&g->channel, r->id, body_json, err) < 0)
		return error_wrap(err, "%s", g->what);
	r->guest = g;
	list_append(&g->requests, &r->link);
	g->n_requests++;
	return 0;
}

void guest_forget(struct guest_request *r)
{
	if (r->link.next == &r->link)
		return;
	list_remove(&r->link);
	r->guest->n_requests--;
}

int guest_tell(struct guest *g, struct str body_json, struct error *err)
{
	if (g->is_finished || g->channel.fd < 0)
		return error_set(err, ERROR_UNAVAILABLE, "%s has ended", g->what);
	if (guest_channel_send(&g->channel, 0, body_json, err) < 0)
		return error_wrap(err, "%s", g->what);
	return 0;
}
