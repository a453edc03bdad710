/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. A request is a turn from its body to its answer. Clients name each request
 * (X-Request-ID) so that they may send it again when a connection broke: if it is under way still,
 * the second asks for the answer of the first; if it was the last that was answered in that
 * sandbox, it gets that answer. So a client that goes away does not end a named turn at once; but
 * who wants the same session meanwhile does, and so does time.
 */
#include "base/auto.h"
#include "base/bug.h"
#include "face/swerex/state.h"

/* The last answer in a sandbox. */
struct replay {
	struct list link; /* swerex::replays */
	char sandbox[ID_SIZE];
	char request_id[SWEREX_REQUEST_ID_MAX + 1];
	int status;
	char *body;
	size_t len;
};

/* ---- answers that are kept ---- */

static void replay_free(struct swerex *x, struct replay *p)
{
	list_remove(&p->link);
	x->n_replays--;
	x->replay_bytes -= p->len;
	free(p->body);
	free(p);
}

static struct replay *replay_find(const struct swerex *x, const char *sandbox)
{
	struct replay *p;
	list_for_each(p, &x->replays, link)
		if (!strcmp(p->sandbox, sandbox))
			return p;
	return NULL;
}

static void keep_answer(const struct turn *turn, int status, struct str body)
{
	struct swerex *x = turn->swerex;
	struct replay *p = replay_find(x, turn->sandbox);
	if (p)
		replay_free(x, p);
	if (!turn->request_id[0] || body.len > SWEREX_REPLAY_BYTES)
		return;
	while (x->n_replays == SWEREX_REPLAYS_MAX ||
		x->replay_bytes + body.len > SWEREX_REPLAYS_BYTES)
		replay_free(x, list_get_first(&x->replays, struct replay, link));
	p = mem_new(struct replay);
	memcpy(p->sandbox, turn->sandbox, sizeof(p->sandbox));
	memcpy(p->request_id, turn->request_id, sizeof(p->request_id));
	p->status = status;
	p->body = str_dup(body);
	p->len = body.len;
	list_append(&x->replays, &p->link);
	x->n_replays++;
	x->replay_bytes += p->len;
}

/* ---- the end ---- */

static void turn_free(struct turn *turn)
{
	list_remove(&turn->link);
	timer_free(turn->grace);
	json_free(turn->body);
	buf_fini(&turn->output);
	free(turn);
}

void turn_reply(struct turn *turn, int status, struct str json)
{
	if (turn->call)
		runtime_call_cancel(take_ptr(turn->call));
	if (status == 200 || status == 511)
		keep_answer(turn, status, json);
	for (size_t i = 0; i < turn->n_waiters; i++)
		http_reply(turn->waiters[i], status, "application/json", json);
	http_reply(turn->r, status, "application/json", json);
	turn_free(turn);
}

void turn_reply_buf(struct turn *turn, const struct buf *json)
{
	if (json->is_full)
		turn_raise_text(turn, BUILTIN("ValueError"),
			"the answer is larger than this server gives at once");
	else
		turn_reply(turn, 200, buf_str(json));
}

static void end_for_nobody(void *arg)
{
	struct turn *turn = arg;
	turn_raise_text(turn, FAULT("SwerexException"), "the client went away");
}

/* ---- clients that go ---- */

static void on_closed(void *arg)
{
	struct turn *turn = arg;
	if (!turn->call)
		return; /* its sandbox is being made: that goes on */
	if (!turn->request_id[0]) {
		end_for_nobody(turn);
		return;
	}
	turn->grace = timer_new(runtime_loop(turn->swerex->rt), end_for_nobody, turn);
	timer_set(turn->grace, SWEREX_ORPHAN_MS);
}

void turn_clear_session(struct turn *turn)
{
	struct turn *other, *tmp;
	list_for_each_safe(other, tmp, &turn->swerex->turns, link) {
		bool is_same = other != turn && other->grace && other->n_waiters == 0 &&
			!strcmp(other->sandbox, turn->sandbox) &&
			str_eq(other->session, turn->session);
		if (is_same)
			end_for_nobody(other);
	}
}

void turns_free_all(struct swerex *x)
{
	while (!list_is_empty(&x->turns))
		end_for_nobody(list_get_first(&x->turns, struct turn, link));
	while (!list_is_empty(&x->replays))
		replay_free(x, list_get_first(&x->replays, struct replay, link));
}

/* ---- the beginning ---- */

/* True: this request was made before, and gets, or will get, that answer. */
static bool is_repeated(struct http_request *r, const char *sandbox, struct str id)
{
	struct swerex *x = swerex_of(r);
	struct turn *turn;
	const struct replay *p = replay_find(x, sandbox);
	if (p && str_is(id, p->request_id)) {
		http_reply(r, p->status, "application/json", str_from_len(p->body, p->len));
		return true;
	}
	list_for_each(turn, &x->turns, link) {
		if (strcmp(turn->sandbox, sandbox) != 0 || !str_is(id, turn->request_id))
			continue;
		if (turn->n_waiters == SWEREX_WAITERS_MAX)
			swerex_detail(r, 429, "this request was sent too often");
		else
			turn->waiters[turn->n_waiters++] = r;
		return true;
	}
	return false;
}

struct start {
	struct http_request *r;
	turn_fn *fn;
};

static struct turn *turn_new(struct http_request *r, const struct sandbox *s, struct str id)
{
	static const struct http_ops ops = { .on_closed = on_closed };
	struct turn *turn = mem_new(struct turn);
	turn->swerex = swerex_of(r);
	turn->r = r;
	snprintf(turn->sandbox, sizeof(turn->sandbox), "%s", s->id);
	snprintf(turn->request_id, sizeof(turn->request_id), "%.*s", STR_ARG(id));
	buf_init(&turn->output, 0);
	list_append(&turn->swerex->turns, &turn->link);
	http_listen(r, &ops, turn);
	return turn;
}

/* False: it was refused. */
static bool read_body(struct turn *turn)
{
	struct error err;
	struct str text = turn->r->body;
	const char *type = "json_invalid", *why = err.text;
	if (!text.len || json_parse(text, &turn->body, &err) == 0) {
		enum json_kind kind = json_kind(turn->body);
		if (kind == JSON_KIND_OBJECT || kind == JSON_KIND_NULL)
			return true;
		type = "model_attributes_type";
		why = "Input should be a valid dictionary or object";
	}
	body_refuse(turn, NULL, type, why);
	return false;
}

static void on_place(void *arg, struct sandbox *s)
{
	const struct start *start = arg;
	struct http_request *r = start->r;
	struct str id = http_header(r, "X-Request-ID");
	if (id.len > SWEREX_REQUEST_ID_MAX)
		id = STR_NONE;
	if (!s || (id.len && is_repeated(r, s->id, id)))
		return;
	if (http_is_closed(r)) { /* while the sandbox was being made */
		swerex_detail(r, 499, "the client went away");
		return;
	}
	struct turn *turn = turn_new(r, s, id);
	if (read_body(turn))
		start->fn(turn);
}

void turn_begin(struct http_request *r, turn_fn *fn)
{
	struct start *start = arena_new(&r->arena, struct start);
	*start = (struct start){ r, fn };
	place_get(r, on_place, start);
}

/* ---- calls ---- */

static void on_error(void *arg, const struct error *err)
{
	struct turn *turn = arg;
	turn->call = NULL;
	if (turn->failed)
		turn->failed(turn, err);
	else
		turn_fail(turn, err);
}

static void on_result(void *arg, struct str text)
{
	struct turn *turn = arg;
	auto_json struct json *result = NULL;
	struct error err;
	turn->call = NULL;
	if (json_parse(text, &result, &err) < 0)
		on_error(turn, &err);
	else
		turn->then(turn, result);
}

/* Whether the server may hold so much more of what is read for this sandbox, and for all. */
static bool has_room(const struct turn *turn, size_t more)
{
	const struct turn *other;
	size_t of_one = more, of_all = more;
	list_for_each(other, &turn->swerex->turns, link) {
		of_all += other->output.len;
		if (!strcmp(other->sandbox, turn->sandbox))
			of_one += other->output.len;
	}
	return of_one <= SWEREX_READS_OF_ONE && of_all <= SWEREX_READS_OF_ALL;
}

static void on_data(void *arg, uint8_t channel, struct str bytes)
{
	struct turn *turn = arg;
	if (!turn->too_much)
		return; /* nobody wants it */
	if (!has_room(turn, bytes.len)) {
		turn_raise_text(turn, FAULT("SwerexException"),
			"too much is being read at once: try again when some of it has been");
		return;
	}
	buf_put(&turn->output, bytes);
	if (turn->output.is_full)
		turn->too_much(turn);
}

static void send_more(void *arg)
{
	struct turn *turn = arg;
	while (turn->input.len && !runtime_call_is_full(turn->call)) {
		struct str piece = str_first(turn->input, 64 * 1024);
		runtime_call_send(turn->call, 0, piece);
		turn->input = str_skip(turn->input, piece.len);
		if (!turn->input.len)
			runtime_call_eof(turn->call, 0);
	}
}

bool turn_perform(struct turn *turn, const struct action *action, const struct buf *params,
	turn_result_fn *then)
{
	static const struct call_sink sink = {
		.data = on_data,
		.drain = send_more,
		.result = on_result,
		.error = on_error,
	};
	struct error err;
	struct sandbox *s = runtime_find(turn->swerex->rt, str_from(turn->sandbox), &err);
	turn->then = then;
	if (!s || params->is_full) {
		if (s)
			error_set(&err, ERROR_TOO_LARGE, "%s: the request is too large",
				action->name);
		on_error(turn, &err);
		return false;
	}
	turn->call = runtime_perform(s, action, buf_str(params), &sink, turn);
	return true;
}

void turn_send(struct turn *turn, struct str input)
{
	if (!turn->call || runtime_call_is_over(turn->call))
		return;
	turn->input = input;
	if (input.len)
		send_more(turn);
	else
		runtime_call_eof(turn->call, 0);
}
