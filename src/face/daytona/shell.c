/* SPDX-License-Identifier: Apache-2.0 */
#include "face/daytona/shell.h"

#include "action/process_actions.h"
#include "base/auto.h"
#include "base/bug.h"
#include "face/daytona/handlers.h"

enum { PARAMS_MAX = 64 * 1024 };

/* $1: the tag. Descriptors 8 and 9 keep the outputs, whatever a command does to its own. */
static const char script[] =
	"__tag=$1; shift; exec 8>&1 9>&2\n"
	"while IFS= read -r __line; do\n"
	"  case $__line in \"$__tag \"*) ;; *) continue ;; esac\n"
	"  __mode=${__line##* } __text=\n"
	"  while IFS= read -r __line && [ \"$__line\" != \"$__tag\" ]; do __text=$__text$__line'\n'; done\n"
	"  if [ \"$__mode\" = i ]; then eval \"$__text\" 8>&- 9>&-\n"
	"  else eval \"$__text\" </dev/null 8>&- 9>&-; fi\n"
	"  __code=$?\n"
	"  printf '\\036%s %s\\n' \"$__tag\" \"$__code\" >&8\n"
	"  printf '\\036%s %s\\n' \"$__tag\" \"$__code\" >&9\n"
	"done\n";

static void pump(struct shell *s);

/* ---- commands ---- */

struct command *shell_command(struct shell *s, struct str id)
{
	struct command *c;
	list_for_each(c, &s->commands, link)
		if (str_is(id, c->id))
			return c;
	return NULL;
}

static void command_free(struct command *c)
{
	struct shell *s = c->shell;
	if (s->current == c)
		s->current = NULL;
	if (s->last == c)
		s->last = NULL;
	if (c->send)
		runtime_call_cancel(c->send);
	followers_drop(c);
	list_remove(&c->link);
	s->n_commands--;
	outlog_fini(&c->log);
	free(c->text);
	free(c);
}

static void command_end(struct command *c, int exit_code, const struct error *err)
{
	command_fn *done = c->done;
	c->has_ended = true;
	c->exit_code = exit_code;
	c->done = NULL;
	if (done)
		done(c->done_arg, c, err);
	followers_wake(c);
}

static void on_sent(void *arg, struct str result)
{
	struct command *c = arg;
	c->send = NULL;
}

/* The guard, or a shell that has just ended. */
static void on_not_sent(void *arg, const struct error *err)
{
	struct command *c = arg;
	struct shell *s = c->shell;
	c->send = NULL;
	if (s->current == c)
		s->current = NULL;
	outlog_add(&c->log, 2, str_from(err->text));
	outlog_add(&c->log, 2, STR("\n"));
	command_end(c, 126, err);
	pump(s);
}

static void send(struct command *c)
{
	static const struct call_sink sink = { .result = on_sent, .error = on_not_sent };
	struct shell *s = c->shell;
	auto_buf struct buf text = BUF_INIT(DAYTONA_BODY_MAX + 256),
			    params = BUF_INIT(2 * DAYTONA_BODY_MAX + 1024);
	struct jsonw w = JSONW(&params);
	struct sandbox *sandbox = box_sandbox(s->box);
	if (!sandbox)
		return;
	c->is_sent = true;
	s->current = s->last = c;
	s->n_marked = 0;
	/* What a command left unread does not run on into the first line. */
	buf_printf(&text, "\n%s %s\n%s\n%s\n", s->tag, c->has_input ? "i" : "n", c->text, s->tag);
	jsonw_open(&w);
	jsonw_key_str(&w, "process", str_from(s->process));
	jsonw_key_str(&w, "text", buf_str(&text));
	jsonw_close(&w);
	c->send = runtime_perform(sandbox, &process_input_action, buf_str(&params), &sink, c);
}

static void pump(struct shell *s)
{
	struct command *c;
	if (!s->is_started || s->has_ended || s->current)
		return;
	list_for_each(c, &s->commands, link) {
		if (c->is_sent)
			continue;
		send(c);
		return;
	}
}

/* Those that wait, and those remembered. */
static int make_room(struct shell *s, struct error *err)
{
	struct command *c, *tmp;
	size_t waiting = 0;
	list_for_each_safe(c, tmp, &s->commands, link) {
		waiting += !c->is_sent;
		if (s->n_commands >= SHELL_COMMANDS_MAX && c->has_ended &&
			list_is_empty(&c->followers))
			command_free(c);
	}
	if (waiting >= SHELL_WAITING_MAX || s->n_commands >= SHELL_COMMANDS_MAX)
		return error_set(err, ERROR_LIMIT, "%zu commands wait in session %s", waiting,
			s->id);
	return 0;
}

struct command *shell_execute(struct shell *s, struct str text, bool has_input, struct error *err)
{
	if (s->has_ended) {
		error_set(err, ERROR_GONE, "session process has exited");
		return NULL;
	}
	if (make_room(s, err) < 0)
		return NULL;
	struct command *c = mem_new(struct command);
	c->shell = s;
	id_make(c->id);
	c->text = str_dup(text);
	c->has_input = has_input;
	outlog_init(&c->log);
	list_init(&c->followers);
	list_append(&s->commands, &c->link);
	s->n_commands++;
	pump(s);
	return c;
}

/* ---- what the shell says ---- */

struct hearing {
	struct shell *shell;
	int channel;
};

static void on_bytes(void *arg, struct str bytes)
{
	const struct hearing *h = arg;
	struct command *c = h->shell->last;
	if (!c)
		return;
	outlog_add(&c->log, h->channel, bytes);
	followers_wake(c);
}

static void on_mark(void *arg, int code)
{
	const struct hearing *h = arg;
	struct shell *s = h->shell;
	struct command *c = s->current;
	if (!c || ++s->n_marked < 2)
		return;
	s->current = NULL;
	command_end(c, code, NULL);
	pump(s);
}

static const struct marks_ops marks_ops = { on_bytes, on_mark };

static void on_data(void *arg, uint8_t channel, struct str bytes)
{
	struct shell *s = arg;
	struct hearing h = { s, channel };
	if (channel == 1 || channel == 2)
		marks_feed(&s->marks[channel - 1], bytes, &marks_ops, &h);
}

static void on_event(void *arg, struct str json)
{
	struct shell *s = arg;
	struct http_request *r = take_ptr(s->creator);
	s->is_started = true;
	if (r)
		daytona_empty(r, 201);
	pump(s);
}

static void end_all(struct shell *s, int code, const struct error *why)
{
	struct command *c, *tmp;
	s->has_ended = true;
	for (int i = 0; i < 2; i++) {
		struct hearing h = { s, i + 1 };
		marks_end(&s->marks[i], &marks_ops, &h);
	}
	list_for_each_safe(c, tmp, &s->commands, link) {
		if (c->has_ended)
			continue;
		/* The one that ended the shell has its exit code; the others never ran. */
		bool is_last_one = c == s->current && !why;
		struct error gone;
		error_set(&gone, ERROR_GONE, "session process has exited");
		command_end(c, is_last_one ? code : 1, is_last_one ? NULL : why ?: &gone);
	}
	s->current = NULL;
}

static void on_exit_of_shell(void *arg, struct str text)
{
	struct shell *s = arg;
	auto_json struct json *process = NULL;
	json_parse(text, &process, NULL);
	s->call = NULL;
	end_all(s, (int)exit_code_of(process), NULL);
}

static void start(struct shell *s, const char *program);

static void on_lost(void *arg, const struct error *err)
{
	struct shell *s = arg;
	struct http_request *r = s->creator;
	bool is_missing = err->code == ERROR_NOT_FOUND || err->code == ERROR_INVALID;
	s->call = NULL;
	if (r && is_missing && !s->box->has_no_bash) {
		s->box->has_no_bash = true;
		start(s, "sh");
		return;
	}
	s->creator = NULL;
	end_all(s, 255, err);
	if (!r)
		return;
	daytona_fail_error(r, err);
	shell_free(s, err);
}

/* ---- its life ---- */

static void start(struct shell *s, const char *program)
{
	static const struct call_sink sink = {
		.data = on_data,
		.event = on_event,
		.result = on_exit_of_shell,
		.error = on_lost,
	};
	const char *const argv[] = { program, "-c", script, "session", s->tag };
	auto_buf struct buf params = BUF_INIT(PARAMS_MAX);
	struct jsonw w = JSONW(&params);
	struct sandbox *sandbox = box_sandbox(s->box);
	if (!sandbox)
		return;
	jsonw_open(&w);
	jsonw_key(&w, "argv");
	jsonw_open_array(&w);
	for (size_t i = 0; i < ARRAY_LEN(argv); i++)
		jsonw_str(&w, str_from(argv[i]));
	jsonw_close_array(&w);
	jsonw_key_str(&w, "name", str_from(s->process));
	jsonw_key_bool(&w, "stdin", true);
	jsonw_key_bool(&w, "announce", true);
	jsonw_key_int(&w, "log_bytes", 1024);
	jsonw_close(&w);
	s->call = runtime_perform(sandbox, &exec_action, buf_str(&params), &sink, s);
}

void shell_new(struct box *b, struct str id, struct http_request *r)
{
	struct shell *s = mem_new(struct shell);
	char unique[ID_SIZE];
	id_make(unique);
	id_make(s->tag);
	s->box = b;
	s->id = str_dup(id);
	s->creator = r;
	snprintf(s->process, sizeof(s->process), PROCESS_PREFIX "%s", unique);
	list_init(&s->commands);
	marks_init(&s->marks[0], s->tag);
	marks_init(&s->marks[1], s->tag);
	list_append(&b->shells, &s->link);
	b->n_shells++;
	start(s, b->has_no_bash ? "sh" : "bash");
}

struct shell *shell_find(struct box *b, struct str id)
{
	struct shell *s;
	list_for_each(s, &b->shells, link)
		if (str_is(id, s->id))
			return s;
	return NULL;
}

void shell_free(struct shell *s, const struct error *why)
{
	struct http_request *r = take_ptr(s->creator);
	if (s->call)
		runtime_call_cancel(take_ptr(s->call));
	end_all(s, 255, why);
	while (!list_is_empty(&s->commands))
		command_free(list_get_first(&s->commands, struct command, link));
	marks_fini(&s->marks[0]);
	marks_fini(&s->marks[1]);
	list_remove(&s->link);
	s->box->n_shells--;
	free(s->id);
	free(s);
	if (r)
		daytona_fail_error(r, why);
}

void shells_drop(struct box *b, const char *why)
{
	struct error err;
	error_set(&err, ERROR_GONE, "%s", why);
	while (!list_is_empty(&b->shells))
		shell_free(list_get_first(&b->shells, struct shell, link), &err);
}
