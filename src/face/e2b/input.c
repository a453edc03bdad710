/* SPDX-License-Identifier: Apache-2.0 */
/* What is done to processes: listed, written to, signalled, resized. */
#include "face/e2b/handlers.h"
#include "face/e2b/rpc.h"
#include "face/e2b/process.h"

#include "action/process_actions.h"
#include "base/auto.h"
#include "base/bug.h"
#include "wire/base64.h"
#include "wire/utf8.h"

int e2b_selector_read(struct e2b_selector *s, const struct json *selector, struct error *err)
{
	struct str tag = json_str(json_find(selector, "tag"));
	*s = (struct e2b_selector){ .pid = json_int(json_find(selector, "pid")) };
	if (!s->pid && !tag.len)
		return error_set(err, ERROR_INVALID, "process: a pid or a tag is wanted");
	if (!s->pid)
		s->tag = str_dup(tag);
	return 0;
}

const struct json *e2b_selector_find(const struct e2b_selector *s, const struct json *list,
	bool takes_ended, struct error *err)
{
	const struct json *processes = json_find(list, "processes");
	for (size_t i = json_len(processes); i-- > 0;) { /* the youngest: pids come again */
		const struct json *p = json_at(processes, i);
		bool is_it = s->tag ? str_is(json_str(json_find(p, "name")), s->tag)
				    : json_int(json_find(p, "pid")) == s->pid;
		if (is_it && (takes_ended || str_is(json_str(json_find(p, "status")), "running")))
			return p;
	}
	if (s->tag)
		error_set(err, ERROR_NOT_FOUND, "process with tag %.200s not found", s->tag);
	else
		error_set(err, ERROR_NOT_FOUND, "process with pid %lld not found",
			(long long)s->pid);
	return NULL;
}

/* ---- list ---- */

static void put_process(struct jsonw *w, const struct json *p)
{
	const struct json *argv = json_find(p, "argv");
	struct str name = json_str(json_find(p, "name"));
	jsonw_open(w);
	jsonw_key(w, "config");
	jsonw_open(w);
	jsonw_key_str(w, "cmd", json_str(json_at(argv, 0)));
	jsonw_key(w, "args");
	jsonw_open_array(w);
	for (size_t i = 1; i < json_len(argv); i++)
		jsonw_str(w, json_str(json_at(argv, i)));
	jsonw_close_array(w);
	jsonw_key_str(w, "cwd", json_str(json_find(p, "cwd")));
	jsonw_close(w);
	jsonw_key_int(w, "pid", json_int(json_find(p, "pid")));
	if (name.len)
		jsonw_key_str(w, "tag", name);
	jsonw_close(w);
}

static void on_listed(struct chore *e, const struct json *result)
{
	auto_buf struct buf body = BUF_INIT(HTTP_REPLY_MAX);
	const struct json *processes = json_find(result, "processes");
	struct jsonw w = JSONW(&body);
	jsonw_open(&w);
	jsonw_key(&w, "processes");
	jsonw_open_array(&w);
	for (size_t i = 0; i < json_len(processes); i++) {
		const struct json *p = json_at(processes, i);
		if (str_is(json_str(json_find(p, "status")), "running"))
			put_process(&w, p);
	}
	jsonw_close_array(&w);
	jsonw_close(&w);
	e2b_rpc_reply(e, &body);
}

void e2b_process_list(struct http_request *r)
{
	auto_buf struct buf none = BUF_INIT(1);
	struct chore *e = e2b_chore(r);
	if (e)
		chore_perform(e, &process_list_action, &none, on_listed);
}

/* ---- what needs a process ---- */

struct e2b_deed {
	struct e2b_selector selector;
	const struct action *action;
	struct buf more;  /* of its parameters, after the process */
	struct buf input; /* bytes that cannot stand in them */
};

static void deed_free(struct e2b_deed *d)
{
	free(d->selector.tag);
	buf_fini(&d->more);
	buf_fini(&d->input);
	free(d);
}

static void on_done(struct chore *e, const struct json *result)
{
	chore_drop(e);
	http_reply(e->r, 200, "application/json", STR("{}"));
}

static void on_found(struct chore *e, const struct json *result)
{
	struct e2b_deed *d = e->state;
	auto_buf struct buf params = BUF_INIT(E2B_PARAMS_MAX);
	struct jsonw w = JSONW(&params);
	struct error err;
	const struct json *p = e2b_selector_find(&d->selector, result, false, &err);
	if (!p) {
		chore_fail(e, &err);
		return;
	}
	jsonw_open(&w);
	jsonw_key_str(&w, "process", json_str(json_find(p, "process")));
	buf_put(&params, buf_str(&d->more));
	jsonw_close(&w);
	if (chore_perform(e, d->action, &params, on_done) && d->input.len)
		chore_send(e, buf_str(&d->input));
}

static void drop_deed(struct chore *e)
{
	deed_free(e->state);
}

/* NULL: answered. */
static struct e2b_deed *deed_new(struct chore *e, const struct json *body,
	const struct action *action)
{
	struct e2b_deed *d = mem_new(struct e2b_deed);
	struct error err;
	buf_init(&d->more, E2B_PARAMS_MAX);
	buf_init(&d->input, E2B_BODY_MAX);
	d->action = action;
	if (e2b_selector_read(&d->selector, json_find(body, "process"), &err) == 0)
		return d;
	e2b_rpc_fail(e->r, &err);
	deed_free(d);
	return NULL;
}

static void deed_begin(struct chore *e, struct e2b_deed *d)
{
	auto_buf struct buf none = BUF_INIT(1);
	e->state = d;
	e->drop = drop_deed;
	chore_perform(e, &process_list_action, &none, on_found);
}

static void deed_refuse(struct chore *e, struct e2b_deed *d, const struct error *err)
{
	e2b_rpc_fail(e->r, err);
	deed_free(d);
}

/* Text is a parameter, so that it is an event as any; other bytes are data. */
static void put_input(struct e2b_deed *d)
{
	struct jsonw w = JSONW(&d->more);
	w.needs_comma = true;
	if (d->input.len && !utf8_is_valid(buf_str(&d->input))) {
		jsonw_key_bool(&w, "stream", true);
		return;
	}
	jsonw_key_str(&w, "text", buf_str(&d->input));
	buf_reset(&d->input);
}

void e2b_process_input(struct http_request *r)
{
	struct chore *e = e2b_chore(r);
	auto_json struct json *body = e ? e2b_body(r) : NULL;
	struct e2b_deed *d = body ? deed_new(e, body, &process_input_action) : NULL;
	const struct json *input = json_find(body, "input");
	struct str text = json_str(json_find(input, "stdin") ?: json_find(input, "pty"));
	struct error err;
	if (!d)
		return;
	if (base64_decode(text, &d->input, &err) < 0) {
		deed_refuse(e, d, &err);
		return;
	}
	put_input(d);
	deed_begin(e, d);
}

void e2b_process_close(struct http_request *r)
{
	struct chore *e = e2b_chore(r);
	auto_json struct json *body = e ? e2b_body(r) : NULL;
	struct e2b_deed *d = body ? deed_new(e, body, &process_input_action) : NULL;
	if (!d)
		return;
	buf_puts(&d->more, ",\"eof\":true");
	deed_begin(e, d);
}

void e2b_process_signal(struct http_request *r)
{
	struct chore *e = e2b_chore(r);
	auto_json struct json *body = e ? e2b_body(r) : NULL;
	struct e2b_deed *d = body ? deed_new(e, body, &process_signal_action) : NULL;
	const struct json *signal = json_find(body, "signal");
	struct str name = json_str(signal);
	struct error err;
	if (!d)
		return;
	bool is_kill = str_is(name, "SIGNAL_SIGKILL") || json_int(signal) == 9;
	bool is_term = str_is(name, "SIGNAL_SIGTERM") || json_int(signal) == 15;
	if (!is_kill && !is_term) {
		error_set(&err, ERROR_UNSUPPORTED, "signal is SIGNAL_SIGTERM or SIGNAL_SIGKILL");
		deed_refuse(e, d, &err);
		return;
	}
	buf_printf(&d->more, ",\"signal\":\"%s\"", is_kill ? "KILL" : "TERM");
	deed_begin(e, d);
}

void e2b_process_update(struct http_request *r)
{
	struct chore *e = e2b_chore(r);
	auto_json struct json *body = e ? e2b_body(r) : NULL;
	struct e2b_deed *d = body ? deed_new(e, body, &process_resize_action) : NULL;
	const struct json *size = json_find(json_find(body, "pty"), "size");
	if (!d)
		return;
	buf_printf(&d->more, ",\"cols\":%lld,\"rows\":%lld",
		(long long)MIN(MAX(json_int(json_find(size, "cols")), 2), 2000),
		(long long)MIN(MAX(json_int(json_find(size, "rows")), 2), 1000));
	deed_begin(e, d);
}

void e2b_rpc_not_offered(struct http_request *r)
{
	struct error err;
	error_set(&err, ERROR_UNSUPPORTED, "%.*s is not offered by cay",
		STR_ARG(str_first(r->path, 200)));
	e2b_rpc_fail(r, &err);
}
