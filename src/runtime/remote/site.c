/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. A far end serves one call after the other, as an executor's call does. It
 * asks one question at a time; `then` gets the answer and asks the next or ends the call. Whatever
 * ends the channel drops the question with it: the server may still perform the action, as it would
 * for any client that hangs up.
 *
 * An answer of 503 means a runtime that is paused: whoever owns the site may wake it, and the same
 * action is sent once more. Nothing was done by then, so that is safe.
 */
#include "runtime/remote/site.h"

#include "base/auto.h"
#include "base/bug.h"
#include "base/clock.h"

#include <sys/socket.h>

enum { FAR_ARENA_MAX = 64 * 1024 * 1024, ACT_MAX = 20 * 1024 * 1024 };

void site_init(struct site *site, struct asker *asker, const struct site_ops *ops, void *arg)
{
	*site = (struct site){ .asker = asker, .ops = ops, .arg = arg };
	list_init(&site->fars);
	list_init(&site->sleepers);
}

static void far_free(struct far *far);

void site_fini(struct site *site)
{
	while (!list_is_empty(&site->fars))
		far_free(list_get_first(&site->fars, struct far, link));
	free(site->url);
	free(site->key);
	free(site->workdir);
}

void site_set(struct site *site, struct str url, struct str session_key)
{
	while (str_ends(url, STR("/")))
		url.len--;
	free(site->url);
	free(site->key);
	site->url = str_dup(url);
	site->key = session_key.len ? mem_printf("X-Session-API-Key: %.*s", STR_ARG(session_key))
				    : NULL;
}

/* ---- the life of a far end ---- */

static void reset(struct far *far)
{
	if (far->verb && far->verb->drop)
		far->verb->drop(far);
	far->verb = NULL;
	ask_drop(take_ptr(far->ask));
	list_remove(&far->sleep_link);
	json_free(take_ptr(far->request));
	json_free(take_ptr(far->answer));
	arena_fini(&far->arena);
	buf_reset(&far->act);
	if (far->channel)
		channel_pause(far->channel, false);
	far->was_woken = false;
	far->n_again = 0;
	far->form = NULL;
	far->state = NULL;
}

static void far_free(struct far *far)
{
	reset(far);
	list_remove(&far->link);
	far->site->n_fars--;
	channel_free(far->channel);
	buf_fini(&far->act);
	free(far);
}

void far_finish(struct far *far, const struct buf *result)
{
	struct error err;
	if (result->is_full) {
		error_set(&err, ERROR_TOO_LARGE, "the result is over %zu bytes", result->limit);
		far_fail(far, &err);
		return;
	}
	channel_send(far->channel, FRAME_RESULT, 0, buf_str(result));
	reset(far);
}

void far_fail(struct far *far, const struct error *err)
{
	channel_send_error(far->channel, err);
	channel_close(take_ptr(far->channel));
	far_free(far);
}

void far_refuse(struct far *far, const char *what)
{
	struct error err;
	error_set(&err, ERROR_UNSUPPORTED, "%s: %s has no %s", far->verb->action->name,
		far->site->ops->server, what);
	far_fail(far, &err);
}

static int start(struct far *far, struct str request, struct error *err)
{
	if (json_parse(request, &far->request, err) < 0)
		return -1;
	struct str name = json_str(json_find(far->request, "action"));
	const struct far_verb *verb = NULL;
	for (const struct far_verb *const *v = far->site->ops->verbs; *v && !verb; v++)
		if (str_is(name, (*v)->action->name))
			verb = *v;
	if (!verb)
		return error_set(err, ERROR_UNSUPPORTED,
			"%.*s: %s has no such action; run a command instead",
			STR_ARG(str_first(name, 60)), far->site->ops->server);
	void *params;
	if (action_decode(verb->action, json_find(far->request, "params"), &far->arena, &params,
		    err) < 0)
		return -1;
	far->verb = verb;
	far->params = params;
	far->started_ms = clock_mono_ms();
	verb->start(far);
	return 0;
}

static void on_frame(void *arg, const struct frame *frame)
{
	struct far *far = arg;
	struct error err;
	if (!far->verb && frame->kind == FRAME_REQUEST) {
		if (start(far, frame->payload, &err) < 0)
			far_fail(far, &err);
	} else if (far->verb && frame->kind == FRAME_DATA && far->verb->data) {
		far->verb->data(far, frame->payload);
	} else if (far->verb && frame->kind == FRAME_EOF && far->verb->eof) {
		far->verb->eof(far);
	}
	/* Controls and late input have nowhere to go. */
}

static void on_end(void *arg, const struct error *reason)
{
	far_free(arg);
}

static void on_drain(void *arg)
{
	struct far *far = arg;
	if (far->verb && far->verb->drain)
		far->verb->drain(far);
}

static const struct channel_ops ops = { on_frame, on_end, on_drain };

int site_open_call(struct site *site, int *ret_fd, struct error *err)
{
	int ends[2];
	if (site->n_fars >= SITE_FARS_MAX)
		return error_set(err, ERROR_LIMIT, "%d calls at once", SITE_FARS_MAX);
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) < 0)
		return error_sys(err, errno, "make a call socket");
	struct far *far = mem_new(struct far);
	far->site = site;
	far->arena = ARENA_INIT(FAR_ARENA_MAX);
	buf_init(&far->act, ACT_MAX);
	list_init(&far->sleep_link);
	list_append(&site->fars, &far->link);
	site->n_fars++;
	far->channel = channel_new(site->asker->loop, ends[1], &ops, far);
	*ret_fd = ends[0];
	return 0;
}

/* ---- asking ---- */

static void explain(const struct far *far, int status, struct error *err)
{
	struct error was = *err;
	if (far->site->ops->explain)
		far->site->ops->explain(status, err);
	else if (status == 404)
		error_set(err, ERROR_DISCONNECTED,
			"Runtime is not responding. This may be temporary, please try again. "
			"Original error: %s",
			was.text);
	else if (was.code == ERROR_DISCONNECTED || was.code == ERROR_NOT_READY)
		error_set(err, status == 503 ? ERROR_NOT_READY : ERROR_DISCONNECTED,
			"Runtime is temporarily unavailable. This may be due to a restart or "
			"network issue, please try again. Original error: %s",
			was.text);
	else if (was.code == ERROR_TIMEOUT && far->act_ms)
		error_set(err, ERROR_TIMEOUT,
			"Runtime failed to return %s before the requested timeout of %.1fs",
			far->verb->action->name, (double)(far->act_ms - SITE_GRACE_MS) / 1000);
}

static void send_act(struct far *far);

static void on_answer(void *arg, int status, struct str body, const struct error *err)
{
	struct far *far = arg;
	struct error e;
	far->ask = NULL;
	if (err && status == 503 && far->site->ops->wake && !far->was_woken && far->act.len) {
		bool is_first = list_is_empty(&far->site->sleepers);
		far->was_woken = true;
		list_append(&far->site->sleepers, &far->sleep_link);
		if (is_first)
			far->site->ops->wake(far->site->arg);
		return;
	}
	if (err) {
		e = *err;
		explain(far, status, &e);
		if (!far->verb->failed || !far->verb->failed(far, &e))
			far_fail(far, &e);
		return;
	}
	json_free(take_ptr(far->answer));
	if (body.len && json_parse(body, &far->answer, &e) < 0) {
		error_set(&e, ERROR_PROTOCOL, "the server's answer is no JSON: %.*s",
			STR_ARG(str_first(str_trim(body), 100)));
		far_fail(far, &e);
		return;
	}
	far->then(far, far->answer);
}

void site_is_awake(struct site *site, const struct error *err)
{
	struct list woken = LIST_INIT(woken);
	while (!list_is_empty(&site->sleepers)) {
		struct list *link = site->sleepers.next;
		list_remove(link);
		list_append(&woken, link);
	}
	while (!list_is_empty(&woken)) {
		struct far *far = list_get_first(&woken, struct far, sleep_link);
		struct error e;
		list_remove(&far->sleep_link);
		if (!err) {
			send_act(far);
			continue;
		}
		error_set(&e, ERROR_NOT_READY, "Runtime is paused and could not be resumed. %s",
			err->text);
		far_fail(far, &e);
	}
}

static void begin_ask(struct far *far, struct ask_plan *plan, const char *path)
{
	auto_free char *url = mem_printf("%s%s", far->site->url, path);
	plan->url = url;
	plan->keys[0] = far->site->key;
	plan->arg = far;
	BUG_IF(far->ask, "a far end asks two things at once");
	far->ask = ask_new(far->site->asker, plan);
}

void far_ask(struct far *far, const char *method, const char *path, struct str json,
	int64_t timeout_ms, far_fn *then)
{
	struct ask_plan plan = {
		.method = method,
		.json = json,
		.timeout_ms = timeout_ms,
		.is_harmless = true,
		.done = on_answer,
	};
	far->then = then;
	far->act_ms = 0;
	begin_ask(far, &plan, path);
}

void far_tell(struct far *far, const char *method, const char *path, struct str json,
	int64_t timeout_ms, far_fn *then)
{
	struct ask_plan plan = {
		.method = method,
		.json = json,
		.timeout_ms = timeout_ms,
		.done = on_answer,
	};
	far->then = then;
	far->act_ms = 0;
	begin_ask(far, &plan, path);
}

void far_stream(struct far *far, struct ask_plan *plan, const char *path, far_fn *then)
{
	far->then = then;
	far->act_ms = 0;
	if (!plan->done)
		plan->done = on_answer;
	begin_ask(far, plan, path);
}

struct jsonw far_args(struct far *far, const char *action)
{
	buf_reset(&far->act);
	struct jsonw w = JSONW(&far->act);
	jsonw_open(&w);
	jsonw_key(&w, "action");
	jsonw_open(&w);
	jsonw_key_str(&w, "action", str_from(action));
	jsonw_key(&w, "args");
	jsonw_open(&w);
	return w;
}

static void send_act(struct far *far)
{
	struct ask_plan plan = {
		.method = "POST",
		.json = buf_str(&far->act),
		.timeout_ms = far->act_ms,
		.done = on_answer,
	};
	begin_ask(far, &plan, "/execute_action");
}

void far_act(struct far *far, struct jsonw *w, int64_t timeout_ms, far_fn *then)
{
	struct error err;
	jsonw_close(w);
	jsonw_key(w, "timeout");
	jsonw_real(w, (double)(timeout_ms ?: SITE_FOREVER_MS) / 1000);
	jsonw_close(w);
	jsonw_close(w);
	if (far->act.is_full) {
		error_set(&err, ERROR_TOO_LARGE, "an action of more than %d bytes", ACT_MAX);
		far_fail(far, &err);
		return;
	}
	far->then = then;
	far->act_ms = (timeout_ms ?: SITE_FOREVER_MS) + SITE_GRACE_MS;
	send_act(far);
}

/* ---- what comes back ---- */

bool far_is_error(const struct json *observation)
{
	return str_is(json_str(json_find(observation, "observation")), "error");
}

void far_fail_observation(struct far *far, const struct json *observation)
{
	static const struct {
		struct str begins;
		enum error_code code;
	} known[] = {
		{ STR("File not found"), ERROR_NOT_FOUND },
		{ STR("Path is a directory"), ERROR_INVALID },
		{ STR("File could not be decoded"), ERROR_INVALID },
		{ STR("ERROR_BINARY_FILE"), ERROR_INVALID },
		{ STR("ERROR: Cannot execute multiple commands"), ERROR_INVALID },
		{ STR("ERROR: No previous running command"), ERROR_CONFLICT },
	};
	struct str text = json_str(json_find(observation, "content"));
	struct error err;
	error_set(&err, text.ptr ? ERROR_INTERNAL : ERROR_PROTOCOL, "%.*s",
		STR_ARG(text.ptr ? str_first(text, ERROR_TEXT_MAX - 1)
				 : STR("the server's answer is no observation")));
	for (size_t i = 0; i < ARRAY_LEN(known); i++)
		if (str_starts(text, known[i].begins))
			err.code = known[i].code;
	far_fail(far, &err);
}

int64_t far_exit_code(const struct json *observation)
{
	const struct json *metadata = json_find(json_find(observation, "extras"), "metadata");
	const struct json *code = json_find(metadata, "exit_code");
	return json_kind(code) == JSON_KIND_INT ? json_int(code) : -1;
}

/*
 * The server may take a new shell's first prompt for the end of its first command, and then says
 * that it has ended with status 0 and without output. So a command says itself that it has ended.
 */
#define END_MARK "[cay: ended]"

void far_put_end(struct buf *command)
{
	buf_puts(command, "; r=$?; printf '\\n%s' '" END_MARK "'; ( exit $r )");
}

bool far_has_ended(const struct json *observation)
{
	struct str text = json_str(json_find(observation, "content"));
	return far_exit_code(observation) < 0 || str_ends(text, STR(END_MARK));
}

struct str far_said(const struct json *observation)
{
	struct str text = json_str(json_find(observation, "content"));
	if (str_ends(text, STR("\n" END_MARK)))
		return str_first(text, text.len - sizeof("\n" END_MARK) + 1);
	return str_ends(text, STR(END_MARK)) ? STR("") : text;
}

int far_fail_unended(struct far *far)
{
	struct error err;
	error_set(&err, ERROR_PROTOCOL,
		"the server told of the command's end before it came: what it did is not known");
	far_fail(far, &err);
	return -1;
}

static void on_shell(struct far *far, const struct json *observation)
{
	bool is_run = str_is(json_str(json_find(observation, "observation")), "run");
	if (!is_run || far_has_ended(observation)) {
		far->n_again = 0;
		far->shell_then(far, observation);
	} else if (far->is_harmless && far->n_again++ < SHELL_AGAIN_MAX) {
		send_act(far);
	} else {
		far_fail_unended(far);
	}
}

static void begin_shell(struct far *far, struct str command, int64_t timeout_ms, bool is_harmless,
	far_fn *then)
{
	auto_buf struct buf whole = BUF_INIT(ACT_MAX);
	struct jsonw w = far_args(far, "run");
	buf_put(&whole, command);
	far_put_end(&whole);
	far->shell_then = then;
	far->is_harmless = is_harmless;
	jsonw_key_str(&w, "command", buf_str(&whole));
	jsonw_key_bool(&w, "is_static", true);
	jsonw_key_bool(&w, "hidden", true);
	jsonw_key_bool(&w, "blocking", true);
	if (far->site->workdir)
		jsonw_key_str(&w, "cwd", str_from(far->site->workdir));
	far_act(far, &w, timeout_ms, on_shell);
}

void far_shell(struct far *far, struct str command, int64_t timeout_ms, far_fn *then)
{
	begin_shell(far, command, timeout_ms, false, then);
}

void far_shell_again(struct far *far, struct str command, int64_t timeout_ms, far_fn *then)
{
	begin_shell(far, command, timeout_ms, true, then);
}

/* ---- paths ---- */

static void on_workdir(struct far *far, const struct json *answer)
{
	struct str text = str_trim(far_said(answer));
	if (far_is_error(answer) || !str_starts(text, STR("/"))) {
		far_fail_observation(far, answer);
		return;
	}
	free(far->site->workdir);
	far->site->workdir = str_dup(text);
	far->with_workdir(far, NULL);
}

void far_with_workdir(struct far *far, far_fn *then)
{
	if (far->site->workdir) {
		then(far, NULL);
		return;
	}
	far->with_workdir = then;
	far_shell_again(far, STR("pwd"), 30000, on_workdir);
}

char *far_path(struct far *far, struct str cwd, struct str path)
{
	const char *workdir = far->site->workdir ?: "";
	const char *slash = workdir[0] ? "/" : ""; /* unknown: the server begins where it works */
	if (str_starts(path, STR("/")))
		return arena_str(&far->arena, path);
	if (!cwd.len)
		return arena_printf(&far->arena, "%s%s%.*s", workdir, slash, STR_ARG(path));
	if (str_starts(cwd, STR("/")))
		return arena_printf(&far->arena, "%.*s/%.*s", STR_ARG(cwd), STR_ARG(path));
	return arena_printf(&far->arena, "%s%s%.*s/%.*s", workdir, slash, STR_ARG(cwd),
		STR_ARG(path));
}

void far_put_quoted(struct buf *b, struct str s)
{
	buf_putc(b, '\'');
	for (size_t i = 0; i < s.len; i++) {
		if (s.ptr[i] == '\'')
			buf_puts(b, "'\"'\"'");
		else
			buf_putc(b, s.ptr[i]);
	}
	buf_putc(b, '\'');
}
