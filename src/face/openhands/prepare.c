/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. The steps, each of which may be the last: the runtime makes the sandbox, a
 * script of ours runs in it as root, its executor is told who shells and files belong to from then
 * on, a kernel is begun, and what shows files to a browser. The executor
 * stays the sandbox's root (which is nobody on the host): so it can be asked to do something as
 * root, and what it runs as the account can not.
 *
 * Where a host can only map one user, that is the sandbox's root, and the account another name of
 * it.
 */
#include "face/openhands/prepare.h"

#include "action/executor_actions.h"
#include "action/kernel_actions.h"
#include "action/process_actions.h"
#include "base/auto.h"
#include "base/bug.h"
#include "base/log.h"
#include "face/openhands/ipython.h"
#include "face/openhands/programs.h"
#include "face/openhands/server.h"
#include "face/openhands/state.h"
#include "face/openhands/wish.h"
#include "runtime/account.h"
#include "runtime/images.h"
#include "runtime/plugin.h"

#define VIEWER "/openhands/code/viewer.py"

enum {
	WAITERS_MAX = 32,
	PARAMS_MAX = 64 * 1024,
	SCRIPT_MS = 30000,
	SCRIPT_REFUSES = 3, /* its exit status when the caller has asked for what cannot be */
};

struct preparation {
	struct list link; /* openhands::preparing */
	struct openhands *oh;
	char id[ID_SIZE]; /* once it is there */
	char username[START_NAME_MAX + 1];
	char workdir[SPEC_PATH_SIZE];
	int64_t uid;
	bool has_browser, has_editor, has_kernel, runs_as_user;
	bool is_spare;               /* it becomes one */
	char *session, *session_key; /* NULL: none */
	char *server;                /* parameters that an agent server is started by; NULL: none */
	struct runtime_call *call;
	struct {
		prepare_fn *done;
		void *arg;
	} waiters[WAITERS_MAX]; /* who asked, and who asked for the same meanwhile */
	int n_waiters;
};

/*
 * $1 the account, $2 the working directory, $3 the interpreter's other name, $4 the viewer's
 * program if there is a browser, whose downloads have a directory from the start. An account of the
 * host image has another name; any other image may have none, or that of the name, which is used as
 * it is. Python only looks into the user's own packages if their directory is there when it starts.
 * $5 the account's id: where the host maps one user only that is 0, and the account another name of
 * root.
 *
 * Each command that the shell does not do itself costs a client the better part of a millisecond.
 */
static const char script[] =
	"set -e; umask 022; name=$1 work=$2 link=$3 viewer=$4 uid=$5 home=\n" ACCOUNT_SHELL
	"python=$(command -v python3 || command -v python || true)\n"
	"set -- \"$work\" /openhands/code\n"
	"[ -z \"$viewer\" ] || set -- \"$@\" \"$work/.downloads\"\n"
	"[ -z \"$python\" ] || set -- \"$@\" \"${link%/*}\"\n"
	"if [ \"$home\" ]; then\n"
	"  for d in /usr/lib/python3.[0-9]*; do set -- \"$@\" \"$home/.local/lib/${d##*/}/site-packages\"; done\n"
	"fi\n"
	"mkdir -p \"$@\"\n"
	"[ \"$name\" = root ] || chown -R \"$name:\" \"$work\" ${home:+\"$home\"} 2>/dev/null || true\n"
	"[ -z \"$viewer\" ] || printf %s \"$viewer\" >" VIEWER "\n"
	"if [ -n \"$python\" ]; then\n"
	"  ln -sf \"$python\" \"$link\"\n"
	"  command -v python >/dev/null || ln -s \"$python\" /usr/local/bin/python 2>/dev/null || true\n"
	"fi\n";

/* It is over: everybody who waits is told, one of s and err. */
static void tell(struct preparation *p, struct sandbox *s, const struct error *err)
{
	list_remove(&p->link);
	for (int i = 0; i < p->n_waiters; i++)
		p->waiters[i].done(p->waiters[i].arg, s, err);
	free(p->session);
	free(p->session_key);
	free(p->server);
	free(p);
}

static void on_gone(void *arg, const struct error *err)
{
}

/* The sandbox goes; its caller learns why. */
static void fail(struct preparation *p, const struct error *err)
{
	struct sandbox *s = p->id[0] ? runtime_find(p->oh->rt, str_from(p->id), NULL) : NULL;
	if (s)
		runtime_destroy(s, on_gone, NULL);
	tell(p, NULL, err);
}

static void on_error(void *arg, const struct error *err)
{
	struct preparation *p = arg;
	struct error e = *err;
	p->call = NULL;
	error_wrap(&e, "prepare the sandbox");
	fail(p, &e);
}

static void perform(struct preparation *p, const struct action *action, const struct buf *params,
	const struct call_sink *sink)
{
	struct error err;
	struct sandbox *s = runtime_find(p->oh->rt, str_from(p->id), &err);
	if (!s)
		fail(p, &err);
	else
		p->call = runtime_perform_own(s, action, buf_str(params), sink, p);
}

static void put_argv(struct jsonw *w, const char *const *argv, size_t n)
{
	jsonw_key(w, "argv");
	jsonw_open_array(w);
	for (size_t i = 0; i < n; i++)
		jsonw_str(w, str_from(argv[i]));
	jsonw_close_array(w);
}

static void finish(struct preparation *p)
{
	struct error err;
	struct sandbox *s = runtime_find(p->oh->rt, str_from(p->id), &err);
	if (s)
		tell(p, s, NULL);
	else
		fail(p, &err);
}

/* Without an editor a sandbox is one all the same: its token is null then, and the log says why. */
static void on_editor(void *arg, const struct error *err)
{
	struct preparation *p = arg;
	if (err)
		log_info("openhands.vscode", "id=%s %s", p->id, err->text);
	finish(p);
}

static void start_editor(struct preparation *p)
{
	struct sandbox *s = p->has_editor ? runtime_find(p->oh->rt, str_from(p->id), NULL) : NULL;
	if (s)
		plugins_add(s, STR("vscode"), on_editor, p);
	else
		finish(p);
}

/*
 * Nobody waits for these: a sandbox without Python is one all the same, and who wants to run a cell
 * is told.
 */
static void on_nothing(void *arg, struct str result)
{
}

static void on_no_matter(void *arg, const struct error *err)
{
}

static void begin(struct sandbox *s, const struct action *action, const struct buf *params)
{
	static const struct call_sink sink = { .result = on_nothing, .error = on_no_matter };
	runtime_perform_own(s, action, buf_str(params), &sink, NULL);
}

/* What shows files to the browser, where there is one. */
static void begin_viewer(struct sandbox *s)
{
	const char *const argv[] = { "python3", "-I", "-S", VIEWER };
	auto_buf struct buf params = BUF_INIT(PARAMS_MAX);
	struct jsonw w = JSONW(&params);
	jsonw_open(&w);
	put_argv(&w, argv, ARRAY_LEN(argv));
	jsonw_key_str(&w, "name", STR("file-viewer"));
	jsonw_key_bool(&w, "detach", true);
	jsonw_close(&w);
	begin(s, &exec_action, &params);
}

/* Kernel and editor get ready while the client does what comes before it needs them. */
static void begin_services(struct preparation *p)
{
	struct sandbox *s = runtime_find(p->oh->rt, str_from(p->id), NULL);
	auto_buf struct buf params = BUF_INIT(PARAMS_MAX);
	if (s && ipython_put_open(p->oh->rt, p->id, false, &params))
		begin(s, &kernel_open_action, &params);
	start_editor(p);
}

static void on_kernel_closed(void *arg, struct str result)
{
	struct preparation *p = arg;
	p->call = NULL;
	finish(p);
}

static void on_no_kernel(void *arg, const struct error *err)
{
	on_kernel_closed(arg, STR_NONE);
}

/* The interpreter that it was forked from stays. */
static void on_kernel(void *arg, struct str result)
{
	static const struct call_sink sink = { .result = on_kernel_closed, .error = on_no_kernel };
	auto_buf struct buf params = BUF_INIT(PARAMS_MAX);
	struct preparation *p = arg;
	p->call = NULL;
	buf_puts(&params, "{}");
	perform(p, &kernel_close_action, &params, &sink);
}

static void warm_up(struct preparation *p)
{
	static const struct call_sink sink = { .result = on_kernel, .error = on_no_kernel };
	auto_buf struct buf params = BUF_INIT(PARAMS_MAX);
	struct jsonw w = JSONW(&params);
	if (!p->has_kernel) {
		finish(p);
		return;
	}
	jsonw_open(&w);
	jsonw_key_str(&w, "spec", str_from(PREPARE_PYTHON));
	jsonw_key_bool(&w, "skills", true);
	jsonw_key_bool(&w, "wait", true);
	jsonw_close(&w);
	perform(p, &kernel_open_action, &params, &sink);
}

static void on_server(void *arg, struct str result)
{
	struct preparation *p = arg;
	p->call = NULL;
	finish(p);
}

/* As the account, which is who everything runs as from here on. */
static void start_server(struct preparation *p)
{
	static const struct call_sink sink = { .result = on_server, .error = on_error };
	auto_buf struct buf params = BUF_INIT(HTTP_BODY_MAX);
	buf_puts(&params, p->server);
	perform(p, &exec_action, &params, &sink);
}

static void on_configured(void *arg, struct str result)
{
	struct preparation *p = arg;
	struct sandbox *s = runtime_find(p->oh->rt, str_from(p->id), NULL);
	p->call = NULL;
	if (p->server) {
		start_server(p);
		return;
	}
	if (s && p->has_browser && !sandbox_is_bare(s))
		begin_viewer(s);
	if (p->is_spare)
		warm_up(p);
	else
		begin_services(p);
}

static void configure(struct preparation *p)
{
	static const struct call_sink sink = { .result = on_configured, .error = on_error };
	auto_buf struct buf params = BUF_INIT(PARAMS_MAX);
	struct jsonw w = JSONW(&params);
	jsonw_open(&w);
	jsonw_key_str(&w, "user", str_from(p->runs_as_user ? p->username : "root"));
	jsonw_key_bool(&w, "sudo", wish_has_root(p->oh));
	jsonw_close(&w);
	perform(p, &configure_action, &params, &sink);
}

static void on_script(void *arg, struct str text)
{
	struct preparation *p = arg;
	auto_json struct json *result = NULL;
	struct error err;
	p->call = NULL;
	if (json_parse(text, &result, &err) < 0) {
		fail(p, &err);
		return;
	}
	const struct json *code = json_find(result, "exit_code");
	int64_t status = json_kind(code) == JSON_KIND_INT ? json_int(code) : -1;
	if (status != 0) {
		struct str why = str_trim(json_str(json_find(result, "stderr")));
		error_set(&err, status == SCRIPT_REFUSES ? ERROR_INVALID : ERROR_INTERNAL,
			"prepare the sandbox: %.*s", STR_ARG(str_first(why, 200)));
		fail(p, &err);
	} else {
		configure(p);
	}
}

static void run_script(struct preparation *p)
{
	static const struct call_sink sink = { .result = on_script, .error = on_error };
	char uid[24];
	const char *const argv[] = { "/bin/sh", "-c", script, "prepare", p->username, p->workdir,
		PREPARE_PYTHON, p->has_browser ? programs_viewer : "", uid };
	snprintf(uid, sizeof(uid), "%lld", (long long)(wish_has_root(p->oh) ? p->uid : 0));
	auto_buf struct buf params = BUF_INIT(PARAMS_MAX);
	struct jsonw w = JSONW(&params);
	jsonw_open(&w);
	put_argv(&w, argv, ARRAY_LEN(argv));
	jsonw_key_str(&w, "cwd", STR("/"));
	jsonw_key_int(&w, "timeout_ms", SCRIPT_MS);
	jsonw_key_bool(&w, "capture", true);
	jsonw_close(&w);
	perform(p, &exec_action, &params, &sink);
}

/* It is the caller's from now on; the cursor keeps the key that he chose. */
static void hand_key(struct preparation *p)
{
	if (p->session_key)
		cursors_get(&p->oh->cursors, p->oh->rt, p->id)->session_key = take_ptr(
			p->session_key);
}

static void on_created(void *arg, struct sandbox *s, const struct error *err)
{
	struct preparation *p = arg;
	if (err) {
		fail(p, err);
		return;
	}
	snprintf(p->id, sizeof(p->id), "%s", s->id);
	if (p->session_key)
		cursors_get(&p->oh->cursors, p->oh->rt, p->id)->session_key = take_ptr(
			p->session_key);
	if (sandbox_is_bare(s))
		on_configured(p,
			STR_NONE); /* the script would change the accounts of the host itself */
	else
		run_script(p);
}

/* ---- from outside ---- */

static bool has_word(struct str list, const char *word)
{
	struct str one;
	while (list.len && str_split(&list, ',', &one))
		if (str_is(one, word))
			return true;
	return false;
}

static struct preparation *preparation_new(struct openhands *oh, const struct start *start,
	prepare_fn *done, void *arg)
{
	struct preparation *p = mem_new(struct preparation);
	p->oh = oh;
	p->session = start->session_id.len ? str_dup(start->session_id) : NULL;
	p->waiters[p->n_waiters].done = done;
	p->waiters[p->n_waiters++].arg = arg;
	p->session_key = start->session_key.len ? str_dup(start->session_key) : NULL;
	p->uid = start->uid;
	p->runs_as_user = start->runs_as_user;
	p->has_browser = start->has_browser;
	p->has_editor = has_word(start->plugins, "vscode");
	p->has_kernel = has_word(start->plugins, "jupyter");
	if (start->port) {
		auto_buf struct buf params = BUF_INIT(HTTP_BODY_MAX);
		server_put_exec(start, &params);
		p->server = buf_take(&params);
	}
	snprintf(p->username, sizeof(p->username), "%.*s", STR_ARG(start->username));
	snprintf(p->workdir, sizeof(p->workdir), "%.*s", STR_ARG(start->workdir));
	list_append(&oh->preparing, &p->link);
	return p;
}

void prepare_sandbox(struct openhands *oh, const struct start *start, struct str name,
	prepare_fn *done, void *arg)
{
	struct arena arena = ARENA_INIT(1 << 20);
	struct create *create = arena_new(&arena, struct create);
	struct preparation *p = preparation_new(oh, start, done, arg);
	create->name = name;
	create->id = str_from(start->id);
	create->allow = start->allow;
	create->image = wish_image(oh, start->image);
	create->env = wish_environment(start, &arena);
	create->labels = wish_labels(start, &arena);
	wish_fill(&create->spec, oh, start);
	runtime_create(oh->rt, create, on_created, p);
	arena_fini(&arena);
}

void prepare_spare(struct openhands *oh, const struct start *start, prepare_fn *done, void *arg)
{
	struct arena arena = ARENA_INIT(1 << 20);
	struct create *create = arena_new(&arena, struct create);
	struct preparation *p = preparation_new(oh, start, done, arg);
	struct str key = STR(LABEL_SPARE), value = STR("yes");
	p->is_spare = true;
	create->env = wish_environment(start, &arena);
	create->labels = (struct field_map){ &key, &value, 1 };
	wish_fill(&create->spec, oh, start);
	runtime_create(oh->rt, create, on_created, p);
	arena_fini(&arena);
}

static void on_env(void *arg, struct str result, const struct error *err)
{
	struct preparation *p = arg;
	if (err)
		fail(p, err);
	else
		begin_services(p);
}

void prepare_from_spare(struct openhands *oh, struct sandbox *s, const struct start *start,
	prepare_fn *done, void *arg)
{
	static const struct field_map none = { 0 };
	struct arena arena = ARENA_INIT(1 << 20);
	struct preparation *p = preparation_new(oh, start, done, arg);
	struct field_map env = wish_environment(start, &arena);
	struct field_map labels = wish_labels(start, &arena);
	memcpy(p->id, s->id, sizeof(p->id));
	hand_key(p);
	runtime_set_labels(s, &labels);
	runtime_set_env(s, &env, &none, on_env, p);
	arena_fini(&arena);
}

bool prepare_join(struct openhands *oh, struct str session, prepare_fn *done, void *arg)
{
	struct preparation *p;
	list_for_each(p, &oh->preparing, link) {
		if (!p->session || !str_is(session, p->session) || p->n_waiters == WAITERS_MAX)
			continue;
		p->waiters[p->n_waiters].done = done;
		p->waiters[p->n_waiters++].arg = arg;
		return true;
	}
	return false;
}

void prepare_drop_all(struct openhands *oh)
{
	while (!list_is_empty(&oh->preparing)) {
		struct preparation *p = list_get_first(&oh->preparing, struct preparation, link);
		struct error err;
		error_set(&err, ERROR_UNAVAILABLE, "the server is shutting down");
		if (p->call)
			runtime_call_cancel(p->call);
		p->call = NULL;
		fail(p, &err);
	}
}
