/* SPDX-License-Identifier: Apache-2.0 */
/* Sessions: create, run, interrupt, close; and `close`, which ends all of them. */
#include "action/session_actions.h"
#include "base/auto.h"
#include "base/bug.h"
#include "base/num.h"
#include "face/swerex/state.h"
#include "wire/pycall.h"

#include <math.h>

enum { PARAMS_MAX = 4 * SWEREX_BODY_MAX, MESSAGE_BYTES = 6 * RUN_OUTPUT_MAX, CLOSE_BYTES = 4096 };

/* "swerex-NAME"; it is the session that the turn is about from now on. False: answered. */
static bool take_session(struct turn *turn, struct str *ret_name)
{
	if (!body_str(turn, "session", "default", ret_name))
		return false;
	if (!ret_name->len || ret_name->len > SWEREX_SESSION_MAX) {
		turn_raise_text(turn, BUILTIN("ValueError"), "a session's name has 1 to %d bytes",
			SWEREX_SESSION_MAX);
		return false;
	}
	turn->session = str_from(
		arena_printf(&turn->r->arena, SWEREX_PREFIX "%.*s", STR_ARG(*ret_name)));
	turn_clear_session(turn);
	return true;
}

/* session_type and action_type have one value each that is offered. */
static bool take_type(struct turn *turn, const char *key, const char *only)
{
	struct str type;
	if (!body_str(turn, key, only, &type))
		return false;
	if (str_is(type, only))
		return true;
	body_refuse(turn, key, "literal_error", "there are only sessions of bash");
	return false;
}

static void no_such_session(struct turn *turn, struct str name)
{
	auto_buf struct buf text = BUF_INIT(1024);
	buf_puts(&text, "session ");
	pycall_put_repr(&text, name);
	buf_puts(&text, " does not exist");
	turn_raise(turn, FAULT("SessionDoesNotExistError"), &text, NULL);
}

static void fail_in_session(struct turn *turn, const struct error *err)
{
	if (err->code == ERROR_NOT_FOUND)
		no_such_session(turn, str_skip(turn->session, sizeof(SWEREX_PREFIX) - 1));
	else if (err->code == ERROR_CONFLICT)
		turn_raise_text(turn, BUILTIN("RuntimeError"), "%s", err->text);
	else
		turn_fail(turn, err);
}

static void reply_type(struct turn *turn)
{
	turn_reply(turn, 200, STR("{\"session_type\":\"bash\"}"));
}

static void put_session(struct turn *turn, struct buf *params)
{
	struct jsonw w = JSONW(params);
	jsonw_open(&w);
	jsonw_key_str(&w, "session", turn->session);
	jsonw_close(&w);
}

/* ---- create ---- */

struct creation {
	const struct json *sources;
	double timeout_s;
};

static void reply_created(struct turn *turn, struct str output)
{
	auto_buf struct buf b = BUF_INIT(HTTP_REPLY_MAX);
	struct jsonw w = JSONW(&b);
	jsonw_open(&w);
	jsonw_key_str(&w, "output", output);
	jsonw_key_str(&w, "session_type", STR("bash"));
	jsonw_close(&w);
	turn_reply_buf(turn, &b);
}

static void on_sourced(struct turn *turn, const struct json *result)
{
	const struct creation *c = turn->state;
	char seconds[NUM_REAL_SIZE];
	if (str_is(json_str(json_find(result, "status")), "running")) {
		num_print_real(seconds, c->timeout_s);
		turn_raise_text(turn, "pexpect.exceptions.TIMEOUT",
			"timeout after %s seconds while sourcing the startup files", seconds);
		return;
	}
	reply_created(turn, json_str(json_find(result, "output")));
}

static void on_opened(struct turn *turn, const struct json *result)
{
	const struct creation *c = turn->state;
	auto_buf struct buf command = BUF_INIT(RUN_COMMAND_MAX), params = BUF_INIT(PARAMS_MAX);
	struct jsonw w = JSONW(&params);
	for (size_t i = 0; i < json_len(c->sources); i++)
		buf_printf(&command, "%ssource %.*s", i ? " ; " : "",
			STR_ARG(json_str(json_at(c->sources, i))));
	if (!command.len) {
		reply_created(turn, STR(""));
		return;
	}
	jsonw_open(&w);
	jsonw_key_str(&w, "session", turn->session);
	jsonw_key_str(&w, "command", buf_str(&command));
	jsonw_key_int(&w, "timeout_ms", MAX((int64_t)ceil(c->timeout_s * 1000), (int64_t)1));
	jsonw_key_bool(&w, "until_input", false);
	jsonw_close(&w);
	turn_perform(turn, &run_action, &params, on_sourced);
}

static void not_opened(struct turn *turn, const struct error *err)
{
	if (err->code == ERROR_EXISTS)
		turn_raise_text(turn, FAULT("SessionExistsError"), "session %s already exists",
			turn->session.ptr + sizeof(SWEREX_PREFIX) - 1);
	else
		fail_in_session(turn, err);
}

static void create(struct turn *turn)
{
	struct creation *c = arena_new(&turn->r->arena, struct creation);
	auto_buf struct buf params = BUF_INIT(1024);
	struct str name;
	if (!take_type(turn, "session_type", "bash") || !take_session(turn, &name) ||
		!body_strings(turn, "startup_source", &c->sources) ||
		!body_seconds(turn, "startup_timeout", 1.0, &c->timeout_s))
		return;
	turn->state = c;
	turn->failed = not_opened;
	put_session(turn, &params);
	turn_perform(turn, &session_open_action, &params, on_opened);
}

void swerex_create_session(struct http_request *r)
{
	turn_begin(r, create);
}

/* ---- run ---- */

enum check { CHECK_RAISE, CHECK_SILENT, CHECK_IGNORE };

struct running {
	struct str command, error_msg;
	double timeout_s; /* negative: none */
	enum check check;
	const struct json *expect;
	bool is_interactive; /* it is typed into what runs, or begins it */
	bool is_command;     /* … and that goes on: its echo is no output */
};

static void put_seconds(struct buf *b, double seconds)
{
	char text[NUM_REAL_SIZE];
	num_print_real(text, seconds);
	buf_puts(b, seconds < 0 ? "None" : text);
}

static void raise_timeout(struct turn *turn, const struct running *run)
{
	auto_buf struct buf text = BUF_INIT(MESSAGE_BYTES);
	buf_puts(&text, "timeout after ");
	put_seconds(&text, run->timeout_s);
	buf_puts(&text, " seconds while running command ");
	pycall_put_repr(&text, run->command);
	turn_raise(turn, FAULT("CommandTimeoutError"), &text, NULL);
}

static void raise_syntax(struct turn *turn, const struct running *run, const struct json *result)
{
	auto_buf struct buf text = BUF_INIT(MESSAGE_BYTES), extra = BUF_INIT(MESSAGE_BYTES);
	struct str said = json_str(json_find(result, "output"));
	struct jsonw w = JSONW(&extra);
	buf_printf(&text, "Error (exit code %lld) while checking bash command \n",
		(long long)json_int(json_find(result, "exit_code")));
	pycall_put_repr(&text, run->command);
	buf_puts(&text, "\n---- Stderr ----\n");
	buf_put(&text, said);
	buf_puts(&text, "\n---- Stdout ----\n");
	jsonw_open(&w);
	jsonw_key_str(&w, "bash_stdout", STR(""));
	jsonw_key_str(&w, "bash_stderr", said);
	jsonw_close(&w);
	turn_raise(turn, FAULT("BashIncorrectSyntaxError"), &text, &extra);
}

static void raise_non_zero(struct turn *turn, const struct running *run, int64_t code,
	struct str output)
{
	auto_buf struct buf text = BUF_INIT(MESSAGE_BYTES);
	if (run->error_msg.len) {
		buf_put(&text, run->error_msg);
		buf_puts(&text, ": ");
	}
	buf_puts(&text, "Command ");
	pycall_put_repr(&text, run->command);
	buf_printf(&text, " failed with exit code %lld. Here is the output:\n", (long long)code);
	pycall_put_repr(&text, output);
	turn_raise(turn, FAULT("NonZeroExitCodeError"), &text, NULL);
}

static void reply_observation(struct turn *turn, const struct json *result,
	const struct json *expect, struct str output, int64_t exit_code)
{
	auto_buf struct buf b = BUF_INIT(HTTP_REPLY_MAX);
	struct jsonw w = JSONW(&b);
	const struct json *expected = json_find(result, "expected");
	struct str found = STR(SWEREX_PROMPT);
	if (json_kind(expected) == JSON_KIND_INT)
		found = json_str(json_at(expect, (size_t)json_int(expected)));
	jsonw_open(&w);
	jsonw_key_str(&w, "output", output);
	jsonw_key(&w, "exit_code");
	if (exit_code < 0)
		jsonw_null(&w);
	else
		jsonw_int(&w, exit_code);
	jsonw_key_str(&w, "failure_reason", STR(""));
	jsonw_key_str(&w, "expect_string", found);
	jsonw_key_str(&w, "session_type", STR("bash"));
	jsonw_close(&w);
	turn_reply_buf(turn, &b);
}

/* What an interactive program shows, without the echo of what was typed. */
static struct str without_echo(struct str output, struct str command)
{
	output = str_trim(output);
	if (command.len && str_starts(output, command))
		output = str_trim(str_skip(output, command.len));
	return output;
}

static void on_interactive(struct turn *turn, const struct running *run, const struct json *result)
{
	struct str output = json_str(json_find(result, "output"));
	reply_observation(turn, result, run->expect,
		run->is_command ? without_echo(output, run->command) : output, 0);
}

static void on_normal(struct turn *turn, const struct running *run, const struct json *result,
	bool is_over)
{
	struct str output = json_str(json_find(result, "output"));
	int64_t code = is_over ? json_int(json_find(result, "exit_code")) : -1;
	if (run->check == CHECK_RAISE && code > 0)
		raise_non_zero(turn, run, code, output);
	else if (run->check == CHECK_RAISE && code < 0)
		turn_raise_text(turn, FAULT("NoExitCodeError"), "timeout while getting exit code");
	else
		reply_observation(turn, result, run->expect, output,
			run->check == CHECK_IGNORE ? -1 : code);
}

static void on_ran(struct turn *turn, const struct json *result)
{
	const struct running *run = turn->state;
	struct str status = json_str(json_find(result, "status"));
	if (str_is(status, "running")) {
		raise_timeout(turn, run);
	} else if (str_is(status, "syntax_error")) {
		raise_syntax(turn, run, result);
	} else if (str_is(status, "ended") && !run->is_interactive) {
		turn_raise_text(turn, "pexpect.exceptions.EOF",
			"the shell of the session has ended with exit code %lld; the next command gets a new "
			"one",
			(long long)json_int(json_find(result, "exit_code")));
	} else if (run->is_interactive) {
		on_interactive(turn, run, result);
	} else {
		on_normal(turn, run, result, str_is(status, "exited"));
	}
}

static void put_expect(struct jsonw *w, const struct json *expect)
{
	jsonw_key(w, "expect");
	jsonw_open_array(w);
	for (size_t i = 0; i < json_len(expect); i++)
		jsonw_str(w, json_str(json_at(expect, i)));
	jsonw_close_array(w);
	jsonw_key_str(w, "invalid", STR("escape"));
}

static bool is_blank(struct str s)
{
	return str_trim(s).len == 0;
}

static void put_run(struct turn *turn, const struct running *run, struct buf *params)
{
	struct jsonw w = JSONW(params);
	jsonw_open(&w);
	jsonw_key_str(&w, "session", turn->session);
	/* Nothing is a command here, too. */
	jsonw_key_str(&w, "command",
		is_blank(run->command) && !run->is_interactive ? STR(":") : run->command);
	jsonw_key_int(&w, "timeout_ms",
		run->timeout_s < 0 ? 0 : MAX((int64_t)ceil(run->timeout_s * 1000), (int64_t)1));
	jsonw_key_bool(&w, "until_input", false);
	jsonw_key_bool(&w, "open", false);
	jsonw_key_int(&w, "output_bytes", RUN_OUTPUT_MAX);
	if (run->is_interactive) {
		jsonw_key_bool(&w, "input", true);
		jsonw_key_bool(&w, "or_run", true);
	} else {
		jsonw_key_bool(&w, "queue", true);
		jsonw_key_bool(&w, "syntax", true);
	}
	put_expect(&w, run->expect);
	jsonw_close(&w);
}

static bool take_check(struct turn *turn, enum check *ret)
{
	static const char *const words[] = { "raise", "silent", "ignore" };
	struct str word;
	if (!body_str(turn, "check", "raise", &word))
		return false;
	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		if (!str_is(word, words[i]))
			continue;
		*ret = (enum check)i;
		return true;
	}
	body_refuse(turn, "check", "literal_error",
		"Input should be 'silent', 'raise' or 'ignore'");
	return false;
}

static void run_command(struct turn *turn)
{
	struct running *run = arena_new(&turn->r->arena, struct running);
	auto_buf struct buf params = BUF_INIT(PARAMS_MAX);
	bool is_quit;
	if (!body_str(turn, "command", NULL, &run->command) ||
		!body_str(turn, "error_msg", "", &run->error_msg) ||
		!body_seconds(turn, "timeout", -1, &run->timeout_s) ||
		!body_bool(turn, "is_interactive_command", &run->is_command) ||
		!body_bool(turn, "is_interactive_quit", &is_quit) ||
		!body_strings(turn, "expect", &run->expect) || !take_check(turn, &run->check))
		return;
	run->is_interactive = run->is_command || is_quit;
	turn->state = run;
	put_run(turn, run, &params);
	turn_perform(turn, &run_action, &params, on_ran);
}

/* ---- interrupt ---- */

static void on_interrupted(struct turn *turn, const struct json *result)
{
	struct str output = str_trim(json_str(json_find(result, "output")));
	if (str_is(json_str(json_find(result, "status")), "running")) {
		turn_raise_text(turn, "pexpect.exceptions.TIMEOUT", "Failed to interrupt session");
		return;
	}
	while (str_starts(output, STR("^C"))) /* the terminal's own word for the key */
		output = str_trim(str_skip(output, 2));
	reply_observation(turn, result, turn->state, output, 0);
}

static void interrupt(struct turn *turn)
{
	auto_buf struct buf params = BUF_INIT(PARAMS_MAX);
	struct jsonw w = JSONW(&params);
	const struct json *expect;
	double wait_s;
	int64_t tries;
	if (!body_seconds(turn, "timeout", 0.2, &wait_s) ||
		!body_int(turn, "n_retry", 0, 100, 3, &tries) ||
		!body_strings(turn, "expect", &expect))
		return;
	jsonw_open(&w);
	jsonw_key_str(&w, "session", turn->session);
	jsonw_key_int(&w, "tries", tries);
	jsonw_key_int(&w, "wait_ms",
		MIN(MAX((int64_t)ceil(wait_s * 1000), (int64_t)1), (int64_t)60000));
	put_expect(&w, expect);
	jsonw_close(&w);
	turn->state = (void *)(uintptr_t)expect;
	turn_perform(turn, &session_interrupt_action, &params, on_interrupted);
}

static void run_in(struct turn *turn)
{
	struct str type, name;
	if (!body_str(turn, "action_type", "bash", &type) || !take_session(turn, &name))
		return;
	turn->failed = fail_in_session;
	if (str_is(type, "bash"))
		run_command(turn);
	else if (str_is(type, "bash_interrupt"))
		interrupt(turn);
	else
		body_refuse(turn, "action_type", "union_tag_invalid",
			"Input should be 'bash' or 'bash_interrupt'");
}

void swerex_run_in_session(struct http_request *r)
{
	turn_begin(r, run_in);
}

/* ---- close ---- */

static void on_closed_session(struct turn *turn, const struct json *result)
{
	reply_type(turn);
}

static void close_one(struct turn *turn)
{
	auto_buf struct buf params = BUF_INIT(1024);
	struct str name;
	if (!take_type(turn, "session_type", "bash") || !take_session(turn, &name))
		return;
	turn->failed = fail_in_session;
	put_session(turn, &params);
	turn_perform(turn, &session_close_action, &params, on_closed_session);
}

void swerex_close_session(struct http_request *r)
{
	turn_begin(r, close_one);
}

static void close_next(struct turn *turn, const struct json *unused);

/* Somebody else has closed it. */
static void close_next_anyway(struct turn *turn, const struct error *err)
{
	close_next(turn, NULL);
}

struct closing {
	struct str names[64]; /* as many as a sandbox has */
	size_t n;
};

static void close_next(struct turn *turn, const struct json *unused)
{
	struct closing *c = turn->state;
	auto_buf struct buf params = BUF_INIT(CLOSE_BYTES);
	if (c->n == 0) {
		turn_reply(turn, 200, SWEREX_EMPTY);
		return;
	}
	turn->session = c->names[--c->n];
	turn->failed = close_next_anyway;
	put_session(turn, &params);
	turn_perform(turn, &session_close_action, &params, close_next);
}

static void on_listed(struct turn *turn, const struct json *result)
{
	struct closing *c = turn->state;
	const struct json *sessions = json_find(result, "sessions");
	for (size_t i = 0; i < json_len(sessions) && c->n < ARRAY_LEN(c->names); i++) {
		struct str name = json_str(json_find(json_at(sessions, i), "session"));
		if (!str_starts(name, STR(SWEREX_PREFIX)))
			continue;
		c->names[c->n++] = str_from_len(arena_str(&turn->r->arena, name), name.len);
	}
	close_next(turn, NULL);
}

static void on_destroyed(void *arg, const struct error *err)
{
	struct turn *turn = arg;
	if (err)
		turn_fail(turn, err);
	else
		turn_reply(turn, 200, SWEREX_EMPTY);
}

static void close_all(struct turn *turn)
{
	static const struct buf none = BUF_INIT(0);
	struct error err;
	struct sandbox *s = runtime_find(turn->swerex->rt, str_from(turn->sandbox), &err);
	if (s && place_is_own(s) && place_makes(turn->r)) {
		runtime_destroy(s, on_destroyed, turn);
		return;
	}
	turn->state = arena_new(&turn->r->arena, struct closing);
	turn_perform(turn, &session_list_action, &none, on_listed);
}

/* None is made to be ended. */
void swerex_close(struct http_request *r)
{
	if (place_makes(r) && !place_find(r))
		http_reply(r, 200, "application/json", SWEREX_EMPTY);
	else
		turn_begin(r, close_all);
}
