/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. Three steps, each of which waits for the one before: the repository (git),
 * setup.sh (a call, as any client's), the hook (git). What a step is not needed for is left out.
 */
#include "runtime/prepare.h"

#include "action/session_actions.h"
#include "base/auto.h"
#include "base/bug.h"
#include "runtime/internal.h"

enum { TEXT_MAX = 4 * 1024 * 1024 };

struct prepare {
	struct runtime *rt;
	char id[ID_SIZE];
	struct git *git;
	struct runtime_call *call;
	char *directory, *repository, *setup, *hook; /* JSON, but for the first; NULL: none */
	bool wants_setup;
	git_fn *done;
	void *arg;
};

void prepare_cancel(struct prepare *p)
{
	if (!p)
		return;
	git_cancel(p->git);
	if (p->call)
		runtime_call_cancel(p->call);
	free(p->directory);
	free(p->repository);
	free(p->setup);
	free(p->hook);
	free(p);
}

static void end(struct prepare *p, const struct error *err)
{
	auto_buf struct buf b = BUF_INIT(TEXT_MAX);
	struct jsonw w = JSONW(&b);
	struct error kept;
	jsonw_open(&w);
	jsonw_key(&w, "repository");
	jsonw_raw(&w, str_from(p->repository ?: "null"));
	jsonw_key(&w, "setup");
	jsonw_raw(&w, str_from(p->setup ?: "null"));
	jsonw_key(&w, "hook");
	jsonw_raw(&w, str_from(p->hook ?: "null"));
	jsonw_close(&w);
	git_fn *done = p->done;
	void *arg = p->arg;
	if (err) {
		kept = *err;
		err = &kept;
	}
	prepare_cancel(p);
	done(arg, err ? STR_NONE : buf_str(&b), err);
}

static struct sandbox *sandbox_of(struct prepare *p, struct error *err)
{
	return runtime_find(p->rt, str_from(p->id), err);
}

/* The hook. */

static void on_hook(void *arg, struct str json, const struct error *err)
{
	struct prepare *p = arg;
	p->git = NULL;
	if (!err)
		p->hook = str_dup(json);
	end(p, err);
}

static void install_hook(struct prepare *p)
{
	struct error err;
	struct sandbox *s = sandbox_of(p, &err);
	if (!s) {
		end(p, &err);
		return;
	}
	p->git = git_hook(s, str_from(p->directory), on_hook, p);
}

/* The script. */

static void put_outcome(struct prepare *p, const struct json *result, const struct error *err)
{
	auto_buf struct buf b = BUF_INIT(TEXT_MAX);
	struct jsonw w = JSONW(&b);
	jsonw_open(&w);
	if (err) {
		jsonw_key(&w, "error");
		jsonw_error(&w, err);
	} else {
		jsonw_key_str(&w, "status", json_str(json_find(result, "status")));
		jsonw_key(&w, "exit_code");
		json_write(json_find(result, "exit_code"), &b);
		w.needs_comma = true;
		jsonw_key_str(&w, "output", json_str(json_find(result, "output")));
	}
	jsonw_close(&w);
	p->setup = buf_take(&b);
}

static void on_setup(void *arg, struct str text)
{
	struct prepare *p = arg;
	auto_json struct json *result = NULL;
	struct error err;
	p->call = NULL;
	bool is_json = json_parse(text, &result, &err) == 0;
	put_outcome(p, result, is_json ? NULL : &err);
	install_hook(p);
}

static void on_setup_failed(void *arg, const struct error *err)
{
	struct prepare *p = arg;
	p->call = NULL;
	put_outcome(p, NULL, err);
	install_hook(p);
}

static void run_setup(struct prepare *p)
{
	static const struct call_sink sink = { .result = on_setup, .error = on_setup_failed };
	auto_buf struct buf params = BUF_INIT(65536);
	struct jsonw w = JSONW(&params);
	struct error err;
	struct sandbox *s = sandbox_of(p, &err);
	if (!s) {
		end(p, &err);
		return;
	}
	jsonw_open(&w);
	jsonw_key_str(&w, "command",
		STR("source .openhands/setup.sh")); /* its mode stays: that would be a change */
	jsonw_key_str(&w, "cwd", str_from(p->directory));
	jsonw_key_int(&w, "timeout_ms", PREPARE_SETUP_MS);
	jsonw_key_bool(&w, "until_input", false);
	jsonw_close(&w);
	p->call = runtime_perform(s, &run_action, buf_str(&params), &sink, p);
}

/* The repository. */

static void on_repository(void *arg, struct str text, const struct error *err)
{
	struct prepare *p = arg;
	auto_json struct json *json = NULL;
	struct error own;
	p->git = NULL;
	if (!err && json_parse(text, &json, &own) < 0)
		err = &own;
	if (err) {
		end(p, err);
		return;
	}
	p->repository = str_dup(text);
	p->directory = str_dup(json_str(json_find(json, "directory")));
	if (!p->wants_setup)
		end(p, NULL);
	else if (json_bool(json_find(json, "has_setup")))
		run_setup(p);
	else if (json_bool(json_find(json, "has_hook")))
		install_hook(p);
	else
		end(p, NULL);
}

static struct prepare *prepare_new(struct sandbox *s, git_fn *done, void *arg)
{
	struct prepare *p = mem_new(struct prepare);
	p->rt = s->runtime;
	memcpy(p->id, s->id, sizeof(p->id));
	p->done = done;
	p->arg = arg;
	return p;
}

struct prepare *prepare_start(struct sandbox *s, const struct prepare_wish *wish, git_fn *done,
	void *arg)
{
	struct prepare *p = prepare_new(s, done, arg);
	BUG_IF(!wish->clones && !wish->inits, "nothing is to be prepared");
	p->wants_setup = wish->clones && wish->clone.setup;
	p->git = wish->clones ? git_clone(s, &wish->clone, on_repository, p)
			      : git_init(s, STR("."), on_repository, p);
	return p;
}

/*
 * What the hook's script says of setup.sh decides whether that is run, before the hook counts as
 * installed.
 */
static void on_looked(void *arg, struct str text, const struct error *err)
{
	struct prepare *p = arg;
	auto_json struct json *json = NULL;
	struct error own;
	p->git = NULL;
	if (!err && json_parse(text, &json, &own) < 0)
		err = &own;
	if (!err && json_bool(json_find(json, "has_setup"))) {
		free(p->directory);
		p->directory = str_dup(json_str(json_find(json, "directory")));
		run_setup(p);
		return;
	}
	if (!err)
		p->hook = str_dup(text);
	end(p, err);
}

struct prepare *prepare_setup(struct sandbox *s, struct str directory, git_fn *done, void *arg)
{
	struct prepare *p = prepare_new(s, done, arg);
	p->directory = str_dup(directory);
	p->git = git_hook(s, directory, on_looked, p);
	return p;
}
