/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /api/bash: commands are started, waited for, and asked about. How an answer is made of what a
 * process wrote is in bash_page.c.
 *
 * The shell is bash, or sh where there is none. A command that goes on is reported the moment it
 * ends to whoever asks for its events then: the question is held for HOLD_MS, which is as long as
 * the client sleeps between two of them.
 */
#include "face/openhands/bash.h"

#include "action/process_actions.h"
#include "base/auto.h"
#include "base/bug.h"
#include "base/clock.h"
#include "base/num.h"
#include "face/openhands/handlers.h"
#include "face/openhands/reply.h"

enum {
	PARAMS_MAX = 1024 * 1024,
	COMMAND_MAX = 120 * 1024, /* what execve takes for one argument is 128 KiB */
	EVENT_MAX = 8 * COMMAND_MAX,
	HOLD_MS = 100,
	LIMIT_MAX = 100,
	ARGUMENT_SHORT = 1024,
	GRACE_MS = 1000,    /* for traps, between TERM and KILL */
	LISTED_MAX = 16384, /* processes of an executor's list that are looked at */
};

#define NUMBER_MAX (INT64_C(1) << 47) /* as a date: in the year 6429 */

/* ---- a process, as the executor tells of it ---- */

static struct str keep(const struct json *text)
{
	struct str s = json_str(text);
	return s.ptr ? str_from_len(str_dup(s), s.len) : STR_NONE;
}

/* Executors are not believed: what no process can have is cut off. */
static int64_t number_of(const struct json *process, const char *key)
{
	return MIN(MAX(json_int(json_find(process, key)), 0), NUMBER_MAX);
}

bool bash_process_read(const struct json *process, struct bash_process *ret)
{
	const struct json *argv = json_find(process, "argv"),
			  *code = json_find(process, "exit_code");
	*ret = (struct bash_process){ 0 };
	if (!bash_name_parse(json_str(json_find(process, "name")), &ret->id) || json_len(argv) != 3)
		return false;
	ret->text = keep(json_at(argv, 2));
	ret->cwd = keep(json_find(process, "cwd"));
	ret->limit = keep(json_find(process, "limit"));
	ret->started_ms = number_of(process, "started_ms");
	ret->ended_ms = ret->started_ms + number_of(process, "duration_ms");
	ret->total_bytes = number_of(process, "stdout_bytes") + number_of(process, "stderr_bytes");
	ret->dropped_bytes = number_of(process, "dropped_bytes");
	ret->has_ended = !str_is(json_str(json_find(process, "status")), "running");
	ret->has_timed_out = json_bool(json_find(process, "timed_out"));
	ret->exit_code = json_kind(code) == JSON_KIND_INT ? json_int(code)
							  : -process_signal_number(process);
	if (ret->has_timed_out)
		ret->exit_code = -1;
	return true;
}

void bash_process_fini(struct bash_process *p)
{
	free((void *)(uintptr_t)p->text.ptr);
	free((void *)(uintptr_t)p->cwd.ptr);
	free((void *)(uintptr_t)p->limit.ptr);
	*p = (struct bash_process){ 0 };
}

void bash_wait(struct chore *a, const char *command, int64_t wait_ms, chore_fn *then)
{
	char name[BASH_NAME_SIZE];
	auto_buf struct buf params = BUF_INIT(PARAMS_MAX);
	struct jsonw w = JSONW(&params);
	bash_name(command, name);
	jsonw_open(&w);
	jsonw_key_str(&w, "process", str_from(name));
	jsonw_key_int(&w, "timeout_ms", wait_ms);
	jsonw_close(&w);
	chore_perform(a, &process_wait_action, &params, then);
}

/* ---- starting ---- */

struct command {
	struct str command, cwd;
	int64_t timeout;
};

#define AT(member) FIELD_AT(struct command, member)

static const struct field command_fields[] = {
	{ "command", FIELD_STRING, AT(command), FIELD_REQUIRED, .help = "for a shell" },
	{ "cwd", FIELD_STRING, AT(cwd), .help = "where it starts; standard: the workdir" },
	{ "timeout", FIELD_INT, AT(timeout), .standard = "300", .help = "in seconds" },
	{ 0 },
};

struct starting {
	struct command wish; /* in the request's arena and in `body` */
	struct json *body;
	char id[BASH_ID_SIZE];
	int64_t timeout_s;
	bool is_awaited; /* the answer is its last output */
	bool has_no_bash;
};

static void drop_starting(struct chore *a)
{
	struct starting *s = a->state;
	json_free(take_ptr(s->body));
}

static void on_awaited(struct chore *a, const struct json *process)
{
	struct bash_process *p = mem_new(struct bash_process);
	struct bash_wish wish = { .no_commands = true,
		.is_one = true,
		.is_joined = true,
		.is_descending = true,
		.order_gt = -1,
		.number = -1,
		.limit = 1 };
	drop_starting(a);
	a->drop = NULL;
	bash_page_reply(a, &wish, p, bash_process_read(process, p));
}

static void on_started(struct chore *a, const struct json *process)
{
	struct starting *s = a->state;
	a->failed = NULL;
	if (s->is_awaited) {
		bash_wait(a, s->id, 0, on_awaited);
		return;
	}
	auto_buf struct buf body = BUF_INIT(EVENT_MAX);
	struct jsonw w = JSONW(&body);
	bash_put_command(&w, s->id, number_of(process, "started_ms"), s->wish.command,
		json_str(json_find(process, "cwd")), s->timeout_s);
	errand_reply(a, &body);
}

static void begin(struct chore *a);

static void on_not_started(struct chore *a, const struct error *err)
{
	struct starting *s = a->state;
	bool is_missing = err->code == ERROR_NOT_FOUND || err->code == ERROR_INVALID;
	if (is_missing && !s->has_no_bash) {
		s->has_no_bash = true;
		begin(a);
	} else {
		chore_fail(a, err);
	}
}

static void begin(struct chore *a)
{
	struct starting *s = a->state;
	auto_buf struct buf params = BUF_INIT(EVENT_MAX);
	char name[BASH_NAME_SIZE];
	struct jsonw w = JSONW(&params);
	bash_name(s->id, name);
	jsonw_open(&w);
	jsonw_key(&w, "argv");
	jsonw_open_array(&w);
	jsonw_str(&w, s->has_no_bash ? STR("sh") : STR("bash"));
	jsonw_str(&w, STR("-c"));
	jsonw_str(&w, s->wish.command);
	jsonw_close_array(&w);
	if (s->wish.cwd.len)
		jsonw_key_str(&w, "cwd", s->wish.cwd);
	jsonw_key_str(&w, "name", str_from(name));
	jsonw_key_int(&w, "timeout_ms", MAX(s->timeout_s * 1000, 1));
	jsonw_key_int(&w, "grace_ms", GRACE_MS);
	jsonw_key_int(&w, "log_bytes", BASH_LOG_MAX);
	jsonw_key_bool(&w, "detach", true);
	jsonw_close(&w);
	chore_perform(a, &exec_action, &params, on_started);
}

static void start(struct openhands *oh, struct http_request *r, struct sandbox *sandbox,
	bool is_awaited)
{
	struct starting *s = arena_new(&r->arena, struct starting);
	void *params;
	struct error err;
	if (json_parse(r->body, &s->body, &err) < 0 ||
		fields_decode(command_fields, sizeof(struct command), "command", s->body, &r->arena,
			&params, &err) < 0) {
		json_free(s->body);
		reply_invalid(r, err.text);
		return;
	}
	struct chore *a = errand_new(oh, r, sandbox);
	s->wish = *(const struct command *)params;
	s->timeout_s = MIN(MAX(s->wish.timeout, 0), BASH_TIMEOUT_MAX_S);
	s->is_awaited = is_awaited;
	a->state = s;
	a->drop = drop_starting;
	a->failed = on_not_started;
	bash_id_make(s->timeout_s, s->id);
	if (s->wish.command.len > COMMAND_MAX)
		errand_refuse(a, 413, "command: over %d bytes: upload it as a file", COMMAND_MAX);
	else
		begin(a);
}

static void start_in(struct openhands *oh, struct http_request *r, struct sandbox *s)
{
	start(oh, r, s, false);
}

static void execute_in(struct openhands *oh, struct http_request *r, struct sandbox *s)
{
	start(oh, r, s, true);
}

void bash_start(struct http_request *r)
{
	openhands_with_sandbox(r, start_in);
}

void bash_execute(struct http_request *r)
{
	openhands_with_sandbox(r, execute_in);
}

/* ---- asking ---- */

static void on_one(struct chore *a, const struct json *process)
{
	const struct bash_wish *wish = a->state;
	struct bash_process *p = mem_new(struct bash_process);
	bash_page_reply(a, wish, p, bash_process_read(process, p));
}

/* Never started, or forgotten: its client need not wait for the end of it. */
static void on_none(struct chore *a, const struct error *err)
{
	if (err->code == ERROR_NOT_FOUND || err->code == ERROR_GONE)
		errand_refuse(a, 404,
			"no such command, or it is forgotten: the last %d that have ended are kept",
			PROCESS_RETAINED_MAX);
	else
		chore_fail(a, err);
}

static void on_all(struct chore *a, const struct json *result)
{
	const struct bash_wish *wish = a->state;
	const struct json *list = json_find(result, "processes");
	size_t n = 0, n_listed = MIN(json_len(list), (size_t)LISTED_MAX);
	struct bash_process *all = mem_alloc((n_listed + 1) * sizeof(*all));
	for (size_t i = 0; i < n_listed; i++)
		n += bash_process_read(json_at(list, i), &all[n]);
	bash_page_reply(a, wish, all, n);
}

/* Hundreds of long commands do not fit into one answer: then only their beginnings are told. */
static void on_unlisted(struct chore *a, const struct error *err)
{
	auto_buf struct buf params = BUF_INIT(64);
	a->failed = NULL;
	if (err->code != ERROR_TOO_LARGE) {
		chore_fail(a, err);
		return;
	}
	buf_printf(&params, "{\"argv_bytes\":%d}", ARGUMENT_SHORT);
	chore_perform(a, &process_list_action, &params, a->then);
}

static void list_all(struct chore *a, chore_fn *then)
{
	a->failed = on_unlisted;
	auto_buf struct buf params = BUF_INIT(8);
	buf_puts(&params, "{}");
	chore_perform(a, &process_list_action, &params, then);
}

/* -1: a value that no client of the original may send; the request has been answered. */
static int wrong(struct http_request *r, const char *name)
{
	reply_invalid(r,
		arena_printf(&r->arena, "[{'loc': ('query', '%s'), 'msg': 'Input is not valid'}]",
			name));
	return -1;
}

static int read_number(struct http_request *r, const char *name, int64_t min, int64_t max,
	int64_t *ret)
{
	struct str text = http_query(r, name);
	return text.ptr && num_parse_i64(text, min, max, ret, NULL) < 0 ? wrong(r, name) : 0;
}

static int read_date(struct http_request *r, const char *name, int64_t *ret)
{
	struct str text = http_query(r, name);
	return text.ptr && clock_parse(text, ret) < 0 ? wrong(r, name) : 0;
}

static int read_kind(struct http_request *r, struct bash_wish *wish)
{
	struct str kind = http_query(r, "kind__eq");
	wish->no_commands = str_is(kind, "BashOutput");
	wish->no_outputs = str_is(kind, "BashCommand");
	return kind.ptr && !wish->no_commands && !wish->no_outputs ? wrong(r, "kind__eq") : 0;
}

static int read_order(struct http_request *r, struct bash_wish *wish)
{
	struct str order = http_query(r, "sort_order");
	wish->is_descending = str_is(order, "TIMESTAMP_DESC");
	return order.ptr && !wish->is_descending && !str_is(order, "TIMESTAMP")
		? wrong(r, "sort_order")
		: 0;
}

static int read_wish(struct http_request *r, struct bash_wish *wish)
{
	struct bash_id page;
	*wish = (struct bash_wish){ .order_gt = -1, .number = -1, .limit = LIMIT_MAX };
	if (bash_id_parse(http_query(r, "page_id"), &page))
		bash_id_of_event(page.command, page.number, wish->page_id);
	if (read_kind(r, wish) < 0 || read_order(r, wish) < 0 ||
		read_number(r, "limit", 1, LIMIT_MAX, &wish->limit) < 0 ||
		read_number(r, "order__gt", INT64_MIN, INT64_MAX, &wish->order_gt) < 0 ||
		read_date(r, "timestamp__gte", &wish->since_ms) < 0 ||
		read_date(r, "timestamp__lt", &wish->until_ms) < 0)
		return -1;
	wish->order_gt = MAX(wish->order_gt, -1);
	return 0;
}

static void search_in(struct openhands *oh, struct http_request *r, struct sandbox *s)
{
	struct bash_wish *wish = arena_new(&r->arena, struct bash_wish);
	struct str command = http_query(r, "command_id__eq");
	struct bash_id id;
	if (read_wish(r, wish) < 0)
		return;
	if (command.ptr && !bash_id_parse(command, &id)) {
		wrong(r, "command_id__eq");
		return;
	}
	struct chore *a = errand_new(oh, r, s);
	a->state = wish;
	if (!command.ptr) {
		list_all(a, on_all);
		return;
	}
	/* The original finds a command's outputs by it, not the command itself. */
	wish->no_commands = true;
	a->failed = on_none;
	bash_wait(a, id.command, HOLD_MS, on_one);
}

void bash_search(struct http_request *r)
{
	openhands_with_sandbox(r, search_in);
}

static void get_in(struct openhands *oh, struct http_request *r, struct sandbox *s)
{
	struct bash_wish *wish = arena_new(&r->arena, struct bash_wish);
	struct bash_id id;
	if (!bash_id_parse(http_param(r, "event"), &id)) {
		reply_detail(r, 404, "Not Found");
		return;
	}
	*wish = (struct bash_wish){ .is_one = true,
		.order_gt = -1,
		.number = id.number,
		.limit = 1 };
	struct chore *a = errand_new(oh, r, s);
	a->state = wish;
	a->failed = on_none;
	bash_wait(a, id.command, 1, on_one);
}

void bash_get(struct http_request *r)
{
	openhands_with_sandbox(r, get_in);
}

/* ---- stopping: what has ended already is stopped ---- */

static void on_killed(struct chore *a, const struct json *result)
{
	errand_success(a);
}

static void on_not_stopped(struct chore *a, const struct error *err)
{
	if (err->code == ERROR_CONFLICT)
		errand_success(a);
	else
		on_none(a, err);
}

static void send_signal(struct chore *a, const char *word, chore_fn *then)
{
	auto_buf struct buf params = BUF_INIT(PARAMS_MAX);
	buf_printf(&params, "{\"process\":\"bash-%s\",\"signal\":\"%s\"}", (char *)a->state, word);
	chore_perform(a, &process_signal_action, &params, then);
}

static void on_patience(struct chore *a, const struct json *process)
{
	if (str_is(json_str(json_find(process, "status")), "running"))
		send_signal(a, "KILL", on_killed);
	else
		errand_success(a);
}

static void on_stopping(struct chore *a, const struct json *process)
{
	bash_wait(a, a->state, GRACE_MS, on_patience);
}

static void stop_in(struct openhands *oh, struct http_request *r, struct sandbox *s)
{
	struct bash_id id;
	if (!bash_id_parse(http_param(r, "command"), &id)) {
		wrong(r, "command_id");
		return;
	}
	struct chore *a = errand_new(oh, r, s);
	a->state = arena_str(&r->arena, str_from(id.command));
	a->failed = on_not_stopped;
	send_signal(a, "TERM", on_stopping);
}

void bash_stop(struct http_request *r)
{
	openhands_with_sandbox(r, stop_in);
}

/* ---- clearing: commands that go on stay ---- */

struct clearing {
	struct bash_process *all;
	size_t n, at;
	int64_t n_events;
};

static void drop_clearing(struct chore *a)
{
	struct clearing *c = a->state;
	for (size_t i = 0; i < c->n; i++)
		bash_process_fini(&c->all[i]);
	free(take_ptr(c->all));
}

static void on_removed(struct chore *a, const struct json *result);

static void remove_next(struct chore *a)
{
	struct clearing *c = a->state;
	auto_buf struct buf params = BUF_INIT(PARAMS_MAX);
	char name[BASH_NAME_SIZE];
	while (c->at < c->n && !c->all[c->at].has_ended)
		c->at++;
	if (c->at == c->n) {
		buf_printf(&params, "{\"cleared_count\":%lld}", (long long)c->n_events);
		errand_reply(a, &params);
		return;
	}
	bash_name(c->all[c->at].id.command, name);
	buf_printf(&params, "{\"process\":\"%s\"}", name);
	chore_perform(a, &process_remove_action, &params, on_removed);
}

static void on_removed(struct chore *a, const struct json *result)
{
	struct clearing *c = a->state;
	c->n_events += 2 + c->all[c->at++].total_bytes / BASH_PIECE;
	remove_next(a);
}

/* Somebody else has removed it. */
static void on_not_removed(struct chore *a, const struct error *err)
{
	struct clearing *c = a->state;
	c->at++;
	remove_next(a);
}

static void on_to_clear(struct chore *a, const struct json *result)
{
	const struct json *list = json_find(result, "processes");
	struct clearing *c = arena_new(&a->r->arena, struct clearing);
	c->all = mem_alloc((json_len(list) + 1) * sizeof(*c->all));
	for (size_t i = 0; i < json_len(list); i++)
		c->n += bash_process_read(json_at(list, i), &c->all[c->n]);
	a->state = c;
	a->drop = drop_clearing;
	a->failed = on_not_removed;
	remove_next(a);
}

static void clear_in(struct openhands *oh, struct http_request *r, struct sandbox *s)
{
	list_all(errand_new(oh, r, s), on_to_clear);
}

void bash_clear(struct http_request *r)
{
	openhands_with_sandbox(r, clear_in);
}
