/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. DOWN: there is no link to a server. The first request makes one, which
 * starts a program (mcp_run.c) or speaks HTTP (mcp_web.c), and asks the server to initialize:
 * STARTING. Its answer makes it UP, and the requests that waited are sent, in order. Whatever ends
 * the link brings it DOWN and fails every request; the next one starts it again. So nothing is
 * tried
 * twice, and nobody waits for a server that is gone.
 *
 * A request that has failed stays in the list until its turn of the loop has come (`failure`): then
 * `done` is called from there, and may free the client.
 */
#include "runtime/mcp.h"

#include "action/process_actions.h"
#include "base/auto.h"
#include "base/bug.h"
#include "base/clock.h"
#include "base/num.h"
#include "runtime/internal.h"
#include "runtime/mcp_run.h"
#include "runtime/mcp_web.h"

enum {
	GARBAGE_MAX = 1024 * 1024,
	SAMPLE_MAX = 80,
	EXEC_MAX = 4 * 1024 * 1024,
	UNASKED_MAX = 2 * MCP_MESSAGE_MAX,
	UNASKED_PER_MS = 1024, /* bytes */
};

enum state { DOWN, STARTING, UP };

struct mcp_client {
	struct runtime *rt;
	char sandbox[ID_SIZE];
	char *name;
	char process[PROCESS_NAME_MAX + 1];
	struct buf exec_json;
	char *url; /* NULL: it is a program */
	char **headers;
	enum state state;
	struct mcp_link *link; /* NULL: DOWN */
	struct json *hello;    /* what initialize gave; NULL unless UP */
	struct list requests;  /* mcp_request::link, oldest first */
	int n_requests;
	int64_t next_id;
	int64_t garbage_bytes;       /* since the last message */
	int64_t said_bytes, said_ms; /* since the last answer; when */
	char sample[SAMPLE_MAX + 1]; /* of the first line that was no message */
	mcp_notice_fn *notice;
	void *notice_arg;
	int depth; /* within callbacks of others */
	bool is_freed;
};

struct mcp_request {
	struct list link;
	struct mcp_client *client;
	int64_t id;
	struct buf text;
	struct timer *timer;
	mcp_done_fn *done;
	void *arg;
	bool is_sent;
	struct error failure; /* to be told, unless ERROR_OK */
};

static const char *const revisions[] = { MCP_REVISION, "2025-06-18", "2025-03-26", "2024-11-05" };

bool mcp_revision_is_known(struct str revision)
{
	for (size_t i = 0; i < ARRAY_LEN(revisions); i++)
		if (str_is(revision, revisions[i]))
			return true;
	return false;
}

/* ---- requests ---- */

static void request_free(struct mcp_request *r)
{
	list_remove(&r->link);
	r->client->n_requests--;
	loop_undefer(r->client->rt->loop, r);
	timer_free(r->timer);
	buf_fini(&r->text);
	free(r);
}

static void client_destroy(struct mcp_client *c)
{
	while (!list_is_empty(&c->requests))
		request_free(list_get_first(&c->requests, struct mcp_request, link));
	if (c->link)
		c->link->ops->let_go(c->link, false);
	json_free(c->hello);
	buf_fini(&c->exec_json);
	for (char **h = c->headers; h && *h; h++)
		free(*h);
	free(c->headers);
	free(c->url);
	free(c->name);
	free(c);
}

static void leave(struct mcp_client *c)
{
	if (--c->depth == 0 && c->is_freed)
		client_destroy(c);
}

/* The request is gone afterwards, and the client may be. */
static void tell(struct mcp_request *r, const struct mcp_answer *answer)
{
	mcp_done_fn *done = r->done;
	void *arg = r->arg;
	request_free(r);
	done(arg, answer);
}

static void tell_failure(struct mcp_request *r, const struct error *err)
{
	const struct mcp_answer answer = { .err = *err };
	tell(r, &answer);
}

static void on_failed(void *arg)
{
	struct mcp_request *r = arg;
	tell_failure(r, &r->failure);
}

static void fail_later(struct mcp_request *r, const struct error *err)
{
	if (r->failure.code != ERROR_OK)
		return;
	r->failure = *err;
	timer_clear(r->timer);
	loop_defer(r->client->rt->loop, on_failed, r);
}

static void on_hello(void *arg, const struct mcp_answer *answer);

/* No program any more. */
static void go_down(struct mcp_client *c, const struct error *why)
{
	struct mcp_request *r, *next;
	c->state = DOWN;
	c->link = NULL;
	c->said_bytes = 0;
	json_free(take_ptr(c->hello));
	list_for_each_safe(r, next, &c->requests, link)
		fail_later(r, why);
}

static void drop_link(struct mcp_client *c, const struct error *why)
{
	struct mcp_link *link = take_ptr(c->link);
	if (link)
		link->ops->let_go(link, true);
	go_down(c, why);
}

static int wrap(struct mcp_client *c, struct error *err)
{
	return error_wrap(err, "MCP server '%s'", c->name);
}

static void send_text(struct mcp_client *c, struct str text)
{
	struct error err;
	if (c->link && c->link->ops->send(c->link, text, &err) < 0) {
		wrap(c, &err);
		drop_link(c, &err);
	}
}

static void send_request(struct mcp_request *r)
{
	r->is_sent = true;
	send_text(r->client, buf_str(&r->text));
	buf_fini(&r->text);
	buf_init(&r->text, 0);
}

/* The server may stop what it does for it. */
static void tell_cancelled(struct mcp_request *r, const char *why)
{
	auto_buf struct buf params = BUF_INIT(256);
	auto_buf struct buf text = BUF_INIT(512);
	if (!r->is_sent || r->client->state != UP)
		return;
	buf_printf(&params, "{\"requestId\":%lld,\"reason\":\"%s\"}", (long long)r->id, why);
	jsonrpc_put_notification(&text, "notifications/cancelled", buf_str(&params));
	send_text(r->client, buf_str(&text));
}

static void on_deadline(void *arg)
{
	struct mcp_request *r = arg;
	struct mcp_client *c = r->client;
	struct error err;
	error_set(&err, ERROR_TIMEOUT, "it did not answer in time");
	if (c->state != UP && c->sample[0])
		error_set(&err, ERROR_TIMEOUT, "it did not answer in time; it said '%s'",
			c->sample);
	if (c->state != UP && c->link && c->link->ops->explain)
		c->link->ops->explain(c->link, &err);
	wrap(c, &err);
	tell_cancelled(r, "the deadline passed");
	tell_failure(r, &err);
}

static struct mcp_request *request_add(struct mcp_client *c, const char *method, struct str params,
	int64_t timeout_ms, mcp_done_fn *done, void *arg)
{
	struct mcp_request *r = mem_new(struct mcp_request);
	r->client = c;
	r->id = ++c->next_id;
	r->done = done;
	r->arg = arg;
	buf_init(&r->text, MCP_MESSAGE_MAX);
	jsonrpc_put_request(&r->text, r->id, method, params);
	r->timer = timer_new(c->rt->loop, on_deadline, r);
	timer_set(r->timer, timeout_ms);
	list_append(&c->requests, &r->link);
	c->n_requests++;
	return r;
}

/* ---- what the server says ---- */

static void on_hello(void *arg, const struct mcp_answer *answer)
{
	struct mcp_client *c = arg;
	struct mcp_request *r, *next;
	auto_buf struct buf text = BUF_INIT(MCP_MESSAGE_MAX);
	struct error why = answer->err;
	if (!answer->result) {
		if (answer->refusal)
			wrap(c, &why);
		drop_link(c, &why);
		return;
	}
	json_write(answer->result, &text);
	if (json_parse(buf_str(&text), &c->hello, &why) < 0) {
		wrap(c, &why);
		drop_link(c, &why);
		return;
	}
	buf_reset(&text);
	c->state = UP;
	jsonrpc_put_notification(&text, "notifications/initialized", STR_NONE);
	send_text(c, buf_str(&text));
	list_for_each_safe(r, next, &c->requests, link)
		if (!r->is_sent && c->state == UP)
			send_request(r);
}

static struct mcp_request *find_request(struct mcp_client *c, const struct json *id)
{
	struct mcp_request *r;
	list_for_each(r, &c->requests, link)
		if (json_kind(id) == JSON_KIND_INT && json_int(id) == r->id && r->is_sent &&
			r->failure.code == ERROR_OK)
			return r;
	return NULL;
}

static void on_answer(struct mcp_client *c, const struct jsonrpc *m)
{
	struct mcp_request *r = find_request(c, m->id);
	struct mcp_answer answer = { .result = m->result, .refusal = m->error };
	if (!r)
		return; /* it came too late, or was never asked for */
	c->said_bytes = 0;
	if (m->error)
		jsonrpc_to_error(m->error, &answer.err);
	tell(r, &answer);
}

/* A server may ask, too. We offer it nothing but a sign of life. */
static void on_question(struct mcp_client *c, const struct jsonrpc *m)
{
	auto_buf struct buf text = BUF_INIT(MCP_MESSAGE_MAX);
	if (str_is(m->method, "ping"))
		jsonrpc_put_result(&text, m->id, STR("{}"));
	else
		jsonrpc_put_error(&text, m->id, JSONRPC_METHOD_NOT_FOUND, STR("Method not found"));
	send_text(c, buf_str(&text));
}

static void on_garbage(struct mcp_client *c, struct str line)
{
	struct error err;
	c->garbage_bytes += (int64_t)line.len;
	if (!c->sample[0]) {
		struct str shown = str_first(line, SAMPLE_MAX);
		for (size_t i = 0; i < shown.len; i++)
			c->sample[i] = (unsigned char)shown.ptr[i] < 0x20 ? ' ' : shown.ptr[i];
		c->sample[shown.len] = '\0';
	}
	if (c->garbage_bytes > GARBAGE_MAX) {
		error_set(&err, ERROR_PROTOCOL, "it does not speak JSON-RPC: '%s'", c->sample);
		wrap(c, &err);
		drop_link(c, &err);
	}
}

/*
 * What nobody asked for is read all the same, between what others want of the server: so much at
 * once, and so much a second. An answer that somebody waits for begins the count anew.
 */
static bool says_too_much(struct mcp_client *c, size_t bytes)
{
	int64_t now_ms = clock_mono_ms(), passed_ms = MIN(now_ms - c->said_ms, UNASKED_MAX);
	c->said_ms = now_ms;
	c->said_bytes = MAX(c->said_bytes - passed_ms * UNASKED_PER_MS, 0) + (int64_t)bytes;
	return c->said_bytes > UNASKED_MAX;
}

static int check_line(struct mcp_client *c, struct str line, struct error *err)
{
	if (json_check_values(line, MCP_VALUES_MAX, NULL) < 0)
		return error_set(err, ERROR_PROTOCOL, "it sent a message of more than %d values",
			MCP_VALUES_MAX);
	if (says_too_much(c, line.len))
		return error_set(err, ERROR_PROTOCOL, "it sent %lld bytes that nobody asked for",
			(long long)c->said_bytes);
	return 0;
}

static void on_line(void *arg, struct str line)
{
	struct mcp_client *c = arg;
	auto_json struct json *tree = NULL;
	struct jsonrpc m;
	struct error err;
	if (check_line(c, line, &err) < 0) { /* nobody shall wait for it until the deadline */
		wrap(c, &err);
		drop_link(c, &err);
		return;
	}
	if (json_parse(line, &tree, NULL) < 0 || jsonrpc_read(tree, &m, NULL) < 0) {
		on_garbage(c, line);
		return;
	}
	c->garbage_bytes = 0;
	c->depth++;
	if (m.kind == JSONRPC_REQUEST)
		on_question(c, &m);
	else if (m.kind == JSONRPC_NOTIFICATION && c->notice)
		c->notice(c->notice_arg, m.method, m.params);
	else if (m.kind != JSONRPC_NOTIFICATION)
		on_answer(c, &m);
	leave(c);
}

static void on_end(void *arg, const struct error *why)
{
	struct mcp_client *c = arg;
	struct error err = *why;
	wrap(c, &err);
	go_down(c, &err);
}

/* ---- the beginning ---- */

static int start(struct mcp_client *c, struct error *err)
{
	static const struct mcp_link_events events = { on_line, on_end };
	struct sandbox *s = runtime_find(c->rt, str_from(c->sandbox), err);
	if (!s)
		return -1;
	c->state = STARTING;
	c->garbage_bytes = 0;
	c->sample[0] = '\0';
	c->link = c->url ? mcp_web_new(c->rt->loop, runtime_fetcher(c->rt), c->url,
				   (const char *const *)c->headers, &events, c)
			 : mcp_run_new(s, c->process, buf_str(&c->exec_json), &events, c);
	struct mcp_request *hello = request_add(c, "initialize",
		STR("{\"protocolVersion\":\"" MCP_REVISION "\",\"capabilities\":{},"
		    "\"clientInfo\":{\"name\":\"cay\",\"version\":\"1\"}}"),
		MCP_START_MS, on_hello, c);
	send_request(hello);
	return 0;
}

struct mcp_request *mcp_request_new(struct mcp_client *c, const char *method, struct str params,
	int64_t timeout_ms, mcp_done_fn *done, void *arg)
{
	struct error err;
	BUG_IF(c->is_freed, "a request to an MCP server that was given up");
	struct mcp_request *r = request_add(c, method, params, timeout_ms, done, arg);
	if (c->n_requests > MCP_REQUESTS_MAX) {
		error_set(&err, ERROR_LIMIT, "%d requests are under way", MCP_REQUESTS_MAX);
		wrap(c, &err);
		fail_later(r, &err);
	} else if (r->text.is_full) {
		error_set(&err, ERROR_TOO_LARGE, "%s: over %d bytes of parameters", method,
			MCP_MESSAGE_MAX);
		fail_later(r, &err);
	} else if (c->state == UP) {
		send_request(r);
	} else if (c->state == DOWN && start(c, &err) < 0) {
		wrap(c, &err);
		fail_later(r, &err);
	}
	return r;
}

void mcp_request_cancel(struct mcp_request *r)
{
	struct mcp_client *c = r->client;
	c->depth++;
	tell_cancelled(r, "the caller gave up");
	request_free(r);
	leave(c);
}

static void put_exec(struct mcp_client *c, const struct mcp_spec *spec)
{
	struct jsonw w = JSONW(&c->exec_json);
	jsonw_open(&w);
	jsonw_key(&w, "argv");
	jsonw_open_array(&w);
	jsonw_str(&w, spec->command);
	for (size_t i = 0; i < spec->args.n; i++)
		jsonw_str(&w, spec->args.items[i]);
	jsonw_close_array(&w);
	jsonw_key(&w, "env");
	jsonw_open(&w);
	for (size_t i = 0; i < spec->env.n; i++) {
		jsonw_key_dyn(&w, spec->env.keys[i]);
		jsonw_str(&w, spec->env.values[i]);
	}
	jsonw_close(&w);
	if (spec->cwd.len)
		jsonw_key_str(&w, "cwd", spec->cwd);
	if (spec->user.len)
		jsonw_key_str(&w, "user", spec->user);
	jsonw_key_str(&w, "name", str_from(c->process));
	jsonw_key_bool(&w, "stdin", true);
	jsonw_key_int(&w, "log_bytes", 64 * 1024);
	jsonw_close(&w);
}

static void set_url(struct mcp_client *c, const struct mcp_spec *spec)
{
	c->url = str_dup(spec->url);
	c->headers = mem_new_n(char *, spec->headers.n + 1);
	for (size_t i = 0; i < spec->headers.n; i++)
		c->headers[i] = mem_printf("%.*s: %.*s", STR_ARG(spec->headers.keys[i]),
			STR_ARG(spec->headers.values[i]));
}

struct mcp_client *mcp_client_new(struct sandbox *s, const struct mcp_spec *spec)
{
	struct mcp_client *c = mem_new(struct mcp_client);
	c->rt = s->runtime;
	memcpy(c->sandbox, s->id, sizeof(c->sandbox));
	c->name = str_dup(spec->name);
	snprintf(c->process, sizeof(c->process), "mcp-%s", c->name);
	list_init(&c->requests);
	buf_init(&c->exec_json, EXEC_MAX);
	if (spec->url.ptr)
		set_url(c, spec);
	else
		put_exec(c, spec);
	return c;
}

void mcp_client_free(struct mcp_client *c)
{
	if (!c)
		return;
	c->is_freed = true;
	if (c->depth == 0)
		client_destroy(c);
}

const char *mcp_client_name(const struct mcp_client *c)
{
	return c->name;
}

void mcp_client_on_notice(struct mcp_client *c, mcp_notice_fn *fn, void *arg)
{
	c->notice = fn;
	c->notice_arg = arg;
}

bool mcp_client_offers(const struct mcp_client *c, const char *capability)
{
	return json_kind(json_find(json_find(c->hello, "capabilities"), capability)) ==
		JSON_KIND_OBJECT;
}
