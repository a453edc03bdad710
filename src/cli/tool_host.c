/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A port for a sandbox's tools: of one that is there (serve), or of a new one (host). The port
 * lives as long as the stream that we hold, and so does host's sandbox: however this program ends,
 * nothing is left of it. A signal that would end it ends these first, so that the next one finds
 * the port free; a second one ends it at once.
 *
 * host stands in for `python3 …/camel/runtimes/api.py ENTRYPOINT…` (main/cay.c), which finds CAMEL
 * beside the file, modules in the directory where it is started, and packages where its interpreter
 * does. So the new sandbox sees these places, read-only and under their own names; only root's home
 * is closed to an agent, and what lies there is seen below /opt/host. Packs load side by side, and
 * one that does not load is named while the others are served.
 */
#include "base/auto.h"
#include "base/bug.h"
#include "cli/tool.h"
#include "event/loop.h"

#include <limits.h>
#include <signal.h>
#include <unistd.h>

enum { BODY_MAX = 1024 * 1024, LINE_MAX_BYTES = 8192, PLACES_MAX = 64 };

/* What the sandbox sees of this machine. */
struct places {
	char *mounts[PLACES_MAX]; /* absolute; none lies in another */
	int n_mounts;
	char *modules[PLACES_MAX]; /* absolute */
	int n_modules;
	char *python;    /* NULL: the sandbox's own */
	char *libraries; /* of one that moved; NULL: it finds them */
};

static const int ending[] = { SIGHUP, SIGINT, SIGTERM };

struct host {
	const struct tool_call_of_cli *c;
	struct remote s;
	struct places places;
	char id[ID_SIZE];    /* the new sandbox; "": none yet */
	const char *sandbox; /* whose tools are served */
	int port, n_loading; /* port 0: it is not lent yet */
	struct signal_watch *watches[ARRAY_LEN(ending)];
	int signal; /* that ended it; 0: none did */
};

static void free_places(struct places *p)
{
	for (int i = 0; i < p->n_mounts; i++)
		free(p->mounts[i]);
	for (int i = 0; i < p->n_modules; i++)
		free(p->modules[i]);
	free(p->python);
	free(p->libraries);
}

/* ---- its end by a signal ---- */

static void unwatch(struct host *h)
{
	for (size_t i = 0; i < ARRAY_LEN(ending); i++)
		signal_free(take_ptr(h->watches[i]));
}

static void on_ended(void *arg, int status, struct str body, const struct error *err)
{
}

/* The stream ends with the port, and what is being loaded with its sandbox. */
static void end(struct host *h, int signo)
{
	auto_buf struct buf path = BUF_INIT(LINE_MAX_BYTES), tail = BUF_INIT(64);
	unwatch(h);
	h->signal = signo;
	if (h->port)
		buf_printf(&tail, "/tool-server?port=%d", h->port);
	else if (!h->id[0])
		return;
	remote_put_path(&path, h->sandbox, h->port ? tail.ptr : "");
	http_client_later(h->s.http, "DELETE", path.ptr, STR_NONE, BODY_MAX, on_ended, h);
}

static void on_hangup(void *arg)
{
	end(arg, SIGHUP);
}

static void on_interrupt(void *arg)
{
	end(arg, SIGINT);
}

static void on_term(void *arg)
{
	end(arg, SIGTERM);
}

static void watch(struct host *h)
{
	static loop_fn *const fns[] = { on_hangup, on_interrupt, on_term };
	for (size_t i = 0; i < ARRAY_LEN(ending); i++)
		h->watches[i] = signal_new(http_client_loop(h->s.http), ending[i], fns[i], h);
}

/* It was asked to end, and has: it ends as it would have without all that. */
static void die(int signo)
{
	signal(signo, SIG_DFL);
	raise(signo);
}

/* ---- serve ---- */

static int on_event(void *arg, struct str event, struct str data, struct error *err)
{
	auto_json struct json *json = NULL;
	struct host *h = arg;
	const struct tool_call_of_cli *c = h->c;
	if (!str_is(event, "listening") || json_parse(data, &json, err) < 0)
		return 0;
	h->port = (int)json_int(json_find(json, "port"));
	if (h->signal)
		end(h, h->signal);
	if (c->o->api)
		return 0;
	auto_buf struct buf line = BUF_INIT(LINE_MAX_BYTES);
	buf_printf(&line, "tool server of %s on port %d", c->sandbox ? c->sandbox : "a new sandbox",
		h->port);
	return out_line(buf_str(&line), err) < 0 || fflush(stdout) != 0 ? -1 : 0;
}

static const char *where(const struct tool_call_of_cli *c)
{
	const char *given = c->o->listen ?: getenv("CAY_TOOL_LISTEN");
	return given && given[0] ? given : "127.0.0.1:8000";
}

/* Until it is interrupted, or the sandbox ends. */
static int lend(struct host *h, bool ends_sandbox, struct error *err)
{
	auto_buf struct buf path = BUF_INIT(LINE_MAX_BYTES), body = BUF_INIT(LINE_MAX_BYTES);
	struct jsonw w = JSONW(&body);
	const char *token = getenv("CAY_TOOL_TOKEN");
	remote_put_path(&path, h->sandbox, "/tool-server");
	jsonw_open(&w);
	jsonw_key_str(&w, "listen", str_from(where(h->c)));
	if (token && token[0])
		jsonw_key_str(&w, "token", str_from(token));
	jsonw_key_bool(&w, "ends_sandbox", ends_sandbox);
	jsonw_close(&w);
	struct http_call call = {
		.method = "POST",
		.path = path.ptr,
		.accept = "text/event-stream",
		.content_type = "application/json",
		.body = buf_str(&body),
		.on_event = on_event,
		.arg = h,
	};
	if (remote_call(&h->s, &call, err) < 0)
		return -1;
	return error_set(err, ERROR_GONE, "the sandbox has ended");
}

static void finish(struct host *h)
{
	unwatch(h);
	remote_close(&h->s);
	free_places(&h->places);
	if (h->signal)
		die(h->signal);
}

int tool_serve(const struct tool_call_of_cli *c, struct error *err)
{
	struct host h = { .c = c, .s = REMOTE_INIT, .sandbox = c->sandbox };
	int r = remote_open(c->in, &h.s, err);
	if (r == 0) {
		watch(&h);
		r = lend(&h, false, err);
	}
	finish(&h);
	return r;
}

/* ---- what the sandbox sees ---- */

/* The directory n steps above, or NULL. */
static char *above(const char *path, int n)
{
	char *dir = mem_strdup(path);
	for (; n > 0; n--) {
		char *slash = strrchr(dir, '/');
		if (!slash || slash == dir) {
			free(dir);
			return NULL;
		}
		*slash = '\0';
	}
	return dir;
}

static bool is_within(const char *path, const char *dir)
{
	size_t n = strlen(dir);
	return strncmp(path, dir, n) == 0 && (path[n] == '\0' || path[n] == '/');
}

static bool is_moved(const char *path)
{
	return is_within(path, "/root");
}

/* The path inside. */
static char *seen_as(const char *path)
{
	return mem_printf("%s%s", is_moved(path) ? "/opt/host" : "", path);
}

/* Not what every sandbox has, and not what nobody means to show. */
static void show(struct places *p, const char *dir)
{
	const char *home = getenv("HOME");
	if (!dir || !strcmp(dir, "/") || is_within(dir, "/usr") || is_within(dir, "/etc") ||
		is_within(dir, "/proc") || (home && !strcmp(dir, home)) ||
		p->n_mounts == PLACES_MAX)
		return;
	for (int i = 0; i < p->n_mounts; i++)
		if (is_within(dir, p->mounts[i]))
			return;
	int kept = 0;
	for (int i = 0; i < p->n_mounts; i++)
		if (is_within(p->mounts[i], dir))
			free(p->mounts[i]);
		else
			p->mounts[kept++] = p->mounts[i];
	p->n_mounts = kept;
	p->mounts[p->n_mounts++] = mem_strdup(dir);
}

static void add_modules(struct places *p, const char *dir)
{
	if (!dir || p->n_modules == PLACES_MAX)
		return;
	show(p, dir);
	p->modules[p->n_modules++] = seen_as(dir);
}

/*
 * An environment's interpreter, with the installation that it belongs to. One that moves does not
 * know its packages.
 */
static void take_python(struct places *p, const char *prefix, const char *packages)
{
	char real[PATH_MAX];
	auto_free char *python = prefix ? mem_printf("%s/bin/python3", prefix) : NULL;
	if (p->python || !python || is_within(prefix, "/usr") || !realpath(python, real))
		return;
	auto_free char *installation = above(real, 2);
	show(p, prefix);
	show(p, installation);
	if (is_moved(prefix) || is_moved(real)) {
		auto_free char *inside = installation ? seen_as(installation) : NULL;
		add_modules(p, packages);
		p->python = seen_as(real);
		p->libraries = inside ? mem_printf("%s/lib", inside) : NULL;
	} else {
		p->python = take_ptr(python);
	}
}

/*
 * A name, or an absolute path, is the sandbox's own; DIR/bin/python is an environment of this
 * machine.
 */
static int name_python(struct places *p, const char *given, struct error *err)
{
	char here[PATH_MAX];
	if (given[0] == '/' || !strchr(given, '/')) {
		p->python = mem_strdup(given);
		return 0;
	}
	if (!getcwd(here, sizeof(here)) || access(given, X_OK) < 0)
		return error_sys(err, errno, "--python %.100s", given);
	auto_free char *whole = mem_printf("%s/%s", here,
		given[0] == '.' && given[1] == '/' ? given + 2 : given);
	auto_free char *prefix = above(whole, 2);
	take_python(p, prefix, NULL);
	return p->python
		? 0
		: error_set(err, ERROR_INVALID, "--python %.100s: is no DIR/bin/python", given);
}

/* …/lib/python3.x/site-packages/camel/runtimes/api.py, or CAMEL's sources. */
static int find_places(struct places *p, const struct tool_options *o, struct error *err)
{
	char path[PATH_MAX];
	if (o->python && name_python(p, o->python, err) < 0)
		return -1;
	for (int i = 0; i < o->paths.n; i++) {
		if (!realpath(o->paths.items[i], path))
			return error_sys(err, errno, "--path %.100s", o->paths.items[i]);
		add_modules(p, path);
	}
	if (o->api) {
		if (!realpath(o->api, path))
			return error_sys(err, errno, "%.100s", o->api);
		auto_free char *packages = above(path, 3);
		const char *name = packages ? strrchr(packages, '/') : NULL;
		bool is_installed = name && str_ends(str_from(name), STR("-packages"));
		auto_free char *prefix = is_installed ? above(packages, 3) : NULL;
		take_python(p, prefix, packages);
		take_python(p, getenv("VIRTUAL_ENV"), NULL);
		if (!is_installed || !prefix || !p->python)
			add_modules(p, packages);
	}
	if (!getcwd(path, sizeof(path)))
		return error_sys(err, errno, "look where we are");
	add_modules(p, path);
	return 0;
}

/* ---- host ---- */

static int create(struct host *h, struct error *err)
{
	auto_buf struct buf body = BUF_INIT(BODY_MAX);
	auto_json struct json *sandbox = NULL;
	struct jsonw w = JSONW(&body);
	jsonw_open(&w);
	jsonw_key(&w, "mounts");
	jsonw_open_array(&w);
	for (int i = 0; i < h->places.n_mounts; i++) {
		auto_free char *target = seen_as(h->places.mounts[i]);
		jsonw_open(&w);
		jsonw_key_str(&w, "source", str_from(h->places.mounts[i]));
		jsonw_key_str(&w, "target", str_from(target));
		jsonw_key_str(&w, "mode", STR("ro"));
		jsonw_close(&w);
	}
	jsonw_close_array(&w);
	if (client_put_env(&w, &h->c->o->env, err) < 0)
		return -1;
	jsonw_close(&w);
	if (remote_post_json(&h->s, "/v1/sandboxes", buf_str(&body), &sandbox, err) < 0)
		return -1;
	struct str id = json_str(json_find(sandbox, "id"));
	snprintf(h->id, sizeof(h->id), "%.*s", STR_ARG(id));
	h->sandbox = h->id;
	return 0;
}

static void on_loaded(void *arg, int status, struct str body, const struct error *err)
{
	struct host *h = arg;
	auto_json struct json *reply = NULL;
	h->n_loading--;
	if (!h->signal && (err || status != 200)) {
		struct str why = err ? str_from(err->text) : body;
		if (!err && json_parse(body, &reply, NULL) == 0)
			why = json_str(json_find(json_find(reply, "error"), "message"));
		out_note("tool: %.*s", STR_ARG(str_first(why, 1000)));
	}
	if (h->n_loading == 0)
		loop_stop(http_client_loop(h->s.http));
}

/* Its environment's programs come first, as where it was activated. */
static void put_env(struct jsonw *w, const struct places *p)
{
	auto_free char *programs = above(p->python, 1);
	auto_free char *path = mem_printf(
		"%s:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
		programs ? programs : "/usr/bin");
	jsonw_key(w, "env");
	jsonw_open(w);
	jsonw_key_str(w, "PATH", str_from(path));
	if (p->libraries)
		jsonw_key_str(w, "LD_LIBRARY_PATH", str_from(p->libraries));
	jsonw_close(w);
}

static void load(struct host *h, const char *entrypoint)
{
	auto_buf struct buf path = BUF_INIT(LINE_MAX_BYTES), body = BUF_INIT(BODY_MAX);
	struct jsonw w = JSONW(&body);
	remote_put_path(&path, h->id, "/actions/tool_add");
	jsonw_open(&w);
	jsonw_key_str(&w, "entrypoint", str_from(entrypoint));
	if (h->places.python)
		jsonw_key_str(&w, "python", str_from(h->places.python));
	jsonw_key(&w, "paths");
	jsonw_open_array(&w);
	for (int i = 0; i < h->places.n_modules; i++)
		jsonw_str(&w, str_from(h->places.modules[i]));
	jsonw_close_array(&w);
	if (h->places.python && strchr(h->places.python, '/'))
		put_env(&w, &h->places);
	jsonw_close(&w);
	h->n_loading++;
	http_client_later(h->s.http, "POST", path.ptr, buf_str(&body), REMOTE_REPLY_MAX, on_loaded,
		h);
}

static int serve_new(struct host *h, struct error *err)
{
	const struct tool_call_of_cli *c = h->c;
	if (find_places(&h->places, c->o, err) < 0 || remote_open(c->in, &h->s, err) < 0)
		return -1;
	watch(h);
	if (create(h, err) < 0)
		return -1;
	for (int i = 0; i < c->n_words && !h->signal; i++)
		load(h, c->words[i]);
	if (h->n_loading)
		loop_run(http_client_loop(h->s.http));
	return h->signal ? -1 : lend(h, true, err);
}

int tool_host(const struct tool_call_of_cli *c, struct error *err)
{
	struct host h = { .c = c, .s = REMOTE_INIT };
	int r = serve_new(&h, err);
	/*
	 * The server removes it when the stream breaks; not if there was none, or if the server was
	 * another.
	 */
	if (h.id[0]) {
		auto_buf struct buf path = BUF_INIT(LINE_MAX_BYTES);
		remote_put_path(&path, h.id, "");
		remote_delete(&h.s, path.ptr, NULL);
	}
	finish(&h);
	return r;
}
