/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Variables for a sandbox that lives: `configure` tells the executor, for what it starts from now
 * on. A main session that is idle gets them by an export, which is no event: its text holds the
 * values.
 */
#include "runtime/internal.h"

#include "action/executor_actions.h"
#include "action/session_actions.h"
#include "base/auto.h"
#include "base/bug.h"
#include "wire/frame.h"

struct setting {
	struct runtime *rt;
	char id[ID_SIZE];
	char *names, *command; /* JSON; for the shell */
	runtime_env_fn *done;
	void *arg;
};

static void end(struct setting *set, const char *session, const struct error *err)
{
	auto_buf struct buf b = BUF_INIT(1024 * 1024);
	struct jsonw w = JSONW(&b);
	jsonw_open(&w);
	jsonw_key(&w, "names");
	jsonw_raw(&w, str_from(set->names));
	jsonw_key_str(&w, "session", str_from(session));
	jsonw_close(&w);
	set->done(set->arg, err ? STR_NONE : buf_str(&b), err);
	free(set->names);
	explicit_bzero(set->command, strlen(set->command));
	free(set->command);
	free(set);
}

static void on_failed(void *arg, const struct error *err)
{
	end(arg, "", err);
}

static void on_exported(void *arg, struct str json)
{
	end(arg, "updated", NULL);
}

static const char *status_of_main(struct str json, struct json **tree)
{
	if (json_parse(json, tree, NULL) < 0)
		return "none";
	const struct json *sessions = json_find(*tree, "sessions");
	for (size_t i = 0; i < json_len(sessions); i++) {
		const struct json *session = json_at(sessions, i);
		if (!str_is(json_str(json_find(session, "session")), "main"))
			continue;
		struct str status = json_str(json_find(session, "status"));
		return str_is(status, "idle") ? "idle" : str_is(status, "ended") ? "none" : "busy";
	}
	return "none";
}

static void on_sessions(void *arg, struct str json)
{
	static const struct call_sink sink = { .result = on_exported, .error = on_failed };
	struct setting *set = arg;
	auto_json struct json *tree = NULL;
	auto_buf struct buf params = BUF_INIT(FRAME_PAYLOAD_MAX);
	struct jsonw w = JSONW(&params);
	struct error err;
	const char *status = status_of_main(json, &tree);
	struct sandbox *s = runtime_find(set->rt, str_from(set->id), &err);
	if (!s) {
		end(set, "", &err);
		return;
	}
	if (strcmp(status, "idle") != 0) {
		end(set, status, NULL);
		return;
	}
	jsonw_open(&w);
	jsonw_key_str(&w, "command", str_from(set->command));
	jsonw_close(&w);
	call_perform_quietly(s, &run_action, buf_str(&params), &sink, set);
	explicit_bzero(params.ptr, params.len);
}

/* Where no sessions are told of, what starts from now on has them all the same. */
static void on_no_sessions(void *arg, const struct error *err)
{
	bool is_unsupported = err->code == ERROR_UNSUPPORTED;
	end(arg, is_unsupported ? "unknown" : "", is_unsupported ? NULL : err);
}

static void on_configured(void *arg, struct str json)
{
	static const struct call_sink sink = { .result = on_sessions, .error = on_no_sessions };
	struct setting *set = arg;
	struct error err;
	struct sandbox *s = runtime_find(set->rt, str_from(set->id), &err);
	if (s)
		call_perform_quietly(s, &session_list_action, STR_NONE, &sink, set);
	else
		end(set, "", &err);
}

/* NAME='value'; a quote in it is '\'' */
static void put_export(struct buf *b, struct str name, struct str value)
{
	if (!value.len) {
		buf_printf(b, "unset -v %.*s; ", STR_ARG(name));
		return;
	}
	buf_printf(b, "export %.*s='", STR_ARG(name));
	for (size_t i = 0; i < value.len; i++)
		if (value.ptr[i] == '\'')
			buf_puts(b, "'\\''");
		else
			buf_putc(b, value.ptr[i]);
	buf_puts(b, "'; ");
}

static bool is_name(struct str name)
{
	for (size_t i = 0; i < name.len; i++) {
		char c = name.ptr[i];
		bool is_letter = ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') || c == '_';
		if (!is_letter && !(i > 0 && c >= '0' && c <= '9'))
			return false;
	}
	return name.len > 0;
}

struct texts {
	struct buf command, params, names;
};

static int put_all(struct texts *t, const struct field_map *env, const struct field_map *secrets,
	struct error *err)
{
	struct jsonw w = JSONW(&t->params), names = JSONW(&t->names);
	const struct field_map *maps[] = { env, secrets };
	jsonw_open(&w);
	jsonw_key(&w, "env");
	jsonw_open(&w);
	jsonw_open_array(&names);
	for (size_t m = 0; m < ARRAY_LEN(maps); m++)
		for (size_t i = 0; i < maps[m]->n; i++) {
			struct str name = maps[m]->keys[i], value = maps[m]->values[i];
			if (!is_name(name))
				return error_set(err, ERROR_INVALID,
					"env: '%.*s' is no name of a variable",
					STR_ARG(str_first(name, 60)));
			put_export(&t->command, name, value);
			jsonw_key_dyn(&w, name);
			jsonw_str(&w, value);
			jsonw_str(&names, name);
		}
	jsonw_close(&w);
	jsonw_close_array(&names);
	jsonw_key(&w, "secrets");
	jsonw_open_array(&w);
	for (size_t i = 0; i < secrets->n; i++)
		jsonw_str(&w, secrets->keys[i]);
	jsonw_close_array(&w);
	jsonw_close(&w);
	if (t->command.is_full || t->params.is_full || t->names.is_full)
		return error_set(err, ERROR_TOO_LARGE, "env: too much");
	return 0;
}

void runtime_set_env(struct sandbox *s, const struct field_map *env,
	const struct field_map *secrets, runtime_env_fn *done, void *arg)
{
	static const struct call_sink sink = { .result = on_configured, .error = on_failed };
	struct texts t = { BUF_INIT(FRAME_PAYLOAD_MAX / 2), BUF_INIT(FRAME_PAYLOAD_MAX / 2),
		BUF_INIT(1024 * 1024) };
	struct error err;
	int r = put_all(&t, env, secrets, &err);
	if (r < 0) {
		done(arg, STR_NONE, &err);
	} else {
		struct setting *set = mem_new(struct setting);
		set->rt = s->runtime;
		memcpy(set->id, s->id, sizeof(set->id));
		set->names = buf_take(&t.names);
		set->command = buf_take(&t.command);
		set->done = done;
		set->arg = arg;
		for (size_t i = 0; i < secrets->n; i++)
			mask_add(&s->mask, secrets->values[i]);
		runtime_perform(s, &configure_action, buf_str(&t.params), &sink, set);
	}
	buf_fini(&t.command);
	buf_fini(&t.params);
	buf_fini(&t.names);
}
