/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A sandbox becomes what E2B's are: its user is called `user`, is at home in /home/user, and may
 * become root of the sandbox with sudo. Files are written by the executor, which is that root,
 * and belong to the user. Where the host maps one user only, `user` is another name of root, and
 * there is no sudo. A sandbox that could not be prepared is destroyed again.
 */
#include "face/e2b/state.h"

#include "action/executor_actions.h"
#include "action/process_actions.h"
#include "base/auto.h"
#include "base/bug.h"
#include "runtime/account.h"

enum { SCRIPT_MS = 30000 };

struct preparation {
	struct e2b *e2b;
	char id[ID_SIZE];
	runtime_sandbox_fn *done;
	void *arg;
};

static const char script[] =
	"set -e; umask 022; name=user work=" E2B_HOME " uid=$1 home=\n" ACCOUNT_SHELL
	"mkdir -p \"$work\"\nchown -R \"$name:\" \"$work\" 2>/dev/null || true\n";

static void on_gone(void *arg, const struct error *err)
{
}

static void finish(struct preparation *p, const struct error *err)
{
	struct error gone;
	struct sandbox *s = runtime_find(p->e2b->rt, str_from(p->id), &gone);
	if (err && s)
		runtime_destroy(s, on_gone, NULL);
	p->done(p->arg, err ? NULL : s, err ?: s ? NULL : &gone);
	free(p);
}

static void on_error(void *arg, const struct error *err)
{
	struct error own = *err;
	error_wrap(&own, "prepare the sandbox");
	finish(arg, &own);
}

static void on_configured(void *arg, struct str result)
{
	finish(arg, NULL);
}

/* Whether the host can give a sandbox a root besides its user. */
static bool has_root(const struct e2b *e)
{
	return runtime_host(e->rt)->controls & UINT64_C(1) << CONTROL_UID_RANGE;
}

static void on_script(void *arg, struct str text)
{
	static const struct call_sink sink = { .result = on_configured, .error = on_error };
	struct preparation *p = arg;
	auto_json struct json *result = NULL;
	struct error err;
	struct sandbox *s = runtime_find(p->e2b->rt, str_from(p->id), &err);
	json_parse(text, &result, NULL);
	const struct json *code = json_find(result, "exit_code");
	if (!s) {
		finish(p, &err);
	} else if (json_kind(code) != JSON_KIND_INT || json_int(code)) {
		error_set(&err, ERROR_INTERNAL, "prepare the sandbox: %.*s",
			STR_ARG(str_first(str_trim(json_str(json_find(result, "stderr"))), 200)));
		finish(p, &err);
	} else {
		struct str params = has_root(p->e2b) ? STR("{\"user\":\"user\",\"sudo\":true}")
						     : STR("{\"user\":\"user\"}");
		runtime_perform_own(s, &configure_action, params, &sink, p);
	}
}

void e2b_prepare(struct e2b *e, struct sandbox *s, runtime_sandbox_fn *done, void *arg)
{
	static const struct call_sink sink = { .result = on_script, .error = on_error };
	const char *const argv[] = { "/bin/sh", "-c", script, "prepare",
		has_root(e) ? "1000" : "0" };
	auto_buf struct buf params = BUF_INIT(16 * 1024);
	struct jsonw w = JSONW(&params);
	struct preparation *p = mem_new(struct preparation);
	p->e2b = e;
	snprintf(p->id, sizeof(p->id), "%s", s->id);
	p->done = done;
	p->arg = arg;
	if (sandbox_is_bare(s)) { /* the script would change the accounts of the host itself */
		finish(p, NULL);
		return;
	}
	jsonw_open(&w);
	jsonw_key(&w, "argv");
	jsonw_open_array(&w);
	for (size_t i = 0; i < ARRAY_LEN(argv); i++)
		jsonw_str(&w, str_from(argv[i]));
	jsonw_close_array(&w);
	jsonw_key_str(&w, "cwd", STR("/"));
	jsonw_key_int(&w, "timeout_ms", SCRIPT_MS);
	jsonw_key_bool(&w, "capture", true);
	jsonw_close(&w);
	runtime_perform_own(s, &exec_action, buf_str(&params), &sink, p);
}

void e2b_prepare_spec(const struct e2b *e, struct spec *spec)
{
	if (runtime_host(e->rt)->controls)
		spec->user = USER_ROOT;
	if (has_root(e))
		spec->owner_uid = 1000;
	snprintf(spec->workdir, sizeof(spec->workdir), "%s", E2B_HOME);
}
