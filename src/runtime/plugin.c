/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. Each plugin starts for itself: a shipped one by its row in plugin_kinds, a
 * program by writing its files into the sandbox and asking it for its tools, which starts and
 * initializes it. The first failure is told, and the sandbox is not made: whatever else was
 * starting goes with it.
 */
#include "runtime/plugin_internal.h"

#include "action/file_actions.h"
#include "base/auto.h"
#include "base/bug.h"

enum { PARAMS_MAX = 4 * 1024 * 1024, SPEC_MAX = 256 * 1024 };

#define PLUGIN_DIR "/tmp/.cay-plugins"

static const struct plugin_kind *find_kind(struct str name)
{
	for (const struct plugin_kind *k = plugin_kinds; k->name; k++)
		if (str_is(name, k->name))
			return k;
	return NULL;
}

bool plugin_is_shipped(struct str name)
{
	return find_kind(name) != NULL;
}

/* ---- the wish ---- */

static bool is_plain_name(struct str s, size_t max)
{
	for (size_t i = 0; i < s.len; i++) {
		char c = s.ptr[i];
		bool is_good = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
			(c >= '0' && c <= '9') || c == '_' || c == '-' || c == '.';
		if (!is_good)
			return false;
	}
	return s.len > 0 && s.len <= max && s.ptr[0] != '.';
}

static const struct field manifest_fields[] = {
	{ "name", FIELD_STRING, 0, FIELD_REQUIRED, .help = "what it is called" },
	{ "version", FIELD_STRING, sizeof(struct str), .help = "its own version" },
	{ "description", FIELD_STRING, 2 * sizeof(struct str), .help = "what it is for" },
	{ "program", FIELD_STRINGS, 3 * sizeof(struct str), FIELD_REQUIRED, .help = "argv" },
	{ "files", FIELD_MAP, 3 * sizeof(struct str) + sizeof(struct field_strings),
		.help = "names and contents" },
	{ "init_timeout_ms", FIELD_INT,
		3 * sizeof(struct str) + sizeof(struct field_strings) + sizeof(struct field_map),
		.min = 1, .max = PLUGIN_INIT_MS, .standard = "60000",
		.help = "how long it may take to start" },
	{ 0 },
};

struct manifest {
	struct str name, version, description;
	struct field_strings program;
	struct field_map files;
	int64_t init_timeout_ms;
};

static int read_manifest(const struct json *json, struct arena *arena, struct manifest **ret,
	struct error *err)
{
	void *params;
	if (fields_decode(manifest_fields, sizeof(struct manifest), "plugin", json, arena, &params,
		    err) < 0)
		return -1;
	*ret = params;
	return 0;
}

static int check_manifest(const struct json *json, struct error *err)
{
	auto_arena struct arena arena = ARENA_INIT(8 * 1024 * 1024);
	struct manifest *m;
	size_t bytes = 0;
	if (read_manifest(json, &arena, &m, err) < 0)
		return -1;
	if (!is_plain_name(m->name, 64) || find_kind(m->name))
		return error_set(err, ERROR_INVALID, "plugin: '%.*s' is no name for one",
			STR_ARG(str_first(m->name, 64)));
	if (!m->program.n || !m->program.items[0].len)
		return error_set(err, ERROR_INVALID, "plugin '%.*s': 'program' is empty",
			STR_ARG(m->name));
	if (m->files.n > PLUGIN_FILES_MAX)
		return error_set(err, ERROR_INVALID, "plugin '%.*s': over %d files",
			STR_ARG(m->name), PLUGIN_FILES_MAX);
	for (size_t i = 0; i < m->files.n; i++) {
		if (!is_plain_name(m->files.keys[i], 100))
			return error_set(err, ERROR_INVALID,
				"plugin '%.*s': '%.*s' is no file name", STR_ARG(m->name),
				STR_ARG(str_first(m->files.keys[i], 60)));
		bytes += m->files.values[i].len;
	}
	return bytes > PLUGIN_FILES_BYTES
		? error_set(err, ERROR_TOO_LARGE, "plugin '%.*s': its files have over %d bytes",
			  STR_ARG(m->name), PLUGIN_FILES_BYTES)
		: 0;
}

static struct str name_of(const struct json *item)
{
	return json_kind(item) == JSON_KIND_STR ? json_str(item)
						: json_str(json_find(item, "name"));
}

static int check_item(const struct json *wish, size_t i, struct error *err)
{
	const struct json *item = json_at(wish, i);
	struct str name = name_of(item);
	if (json_kind(item) == JSON_KIND_STR && !find_kind(name))
		return error_set(err, ERROR_NOT_FOUND, "Plugin %.*s not found",
			STR_ARG(str_first(name, 64)));
	if (json_kind(item) != JSON_KIND_STR && check_manifest(item, err) < 0)
		return -1;
	for (size_t k = 0; k < i; k++)
		if (str_eq(name_of(json_at(wish, k)), name))
			return error_set(err, ERROR_INVALID, "plugin '%.*s' is wished for twice",
				STR_ARG(name));
	return 0;
}

int plugins_check(const struct json *wish, struct error *err)
{
	if (!wish || json_kind(wish) == JSON_KIND_NULL)
		return 0;
	if (json_kind(wish) != JSON_KIND_ARRAY)
		return error_set(err, ERROR_INVALID,
			"create: 'plugins' must be an array of names and manifests");
	if (json_len(wish) > PLUGINS_MAX)
		return error_set(err, ERROR_INVALID, "create: over %d plugins", PLUGINS_MAX);
	for (size_t i = 0; i < json_len(wish); i++)
		if (check_item(wish, i, err) < 0)
			return -1;
	auto_buf struct buf spec = BUF_INIT(SPEC_MAX);
	struct jsonw w = JSONW(&spec);
	plugins_put_spec(wish, &w);
	return spec.is_full ? error_set(err, ERROR_TOO_LARGE,
				      "create: the plugins' manifests have over %d bytes", SPEC_MAX)
			    : 0;
}

void plugins_put_spec(const struct json *wish, struct jsonw *w)
{
	jsonw_open_array(w);
	for (size_t i = 0; i < json_len(wish); i++) {
		void *it = NULL;
		struct str key;
		struct json *value, *item = json_at(wish, i);
		if (json_kind(item) == JSON_KIND_STR) {
			jsonw_str(w, json_str(item));
			continue;
		}
		jsonw_open(w);
		while ((value = json_next(item, &it, &key))) {
			if (str_is(key, "files"))
				continue;
			jsonw_key_dyn(w, key);
			json_write(value, w->b);
			w->needs_comma = true;
		}
		jsonw_close(w);
	}
	jsonw_close_array(w);
}

/* ---- plugins of a sandbox ---- */

static void plugin_free(struct plugin *p)
{
	if (p->call)
		runtime_call_cancel(p->call);
	if (p->request)
		mcp_request_cancel(p->request);
	mcp_client_free(p->client);
	json_free(p->manifest);
	buf_fini(&p->output);
	free(p->actions);
	free(p->name);
	free(p);
}

static void tell(struct plugins *plugins, const struct error *err)
{
	runtime_done_fn *done = take_ptr(plugins->done);
	timer_clear(plugins->timer);
	if (done)
		done(plugins->arg, err);
}

static void on_added(void *arg, const struct error *err);

void plugins_free(struct plugins *plugins)
{
	struct error gone;
	if (!plugins)
		return;
	error_set(&gone, ERROR_GONE, "the sandbox ended");
	if (!plugins->rt->is_closing)
		tell(plugins, &gone);
	else if (plugins->done == on_added)
		free(plugins->arg); /* nobody is told any more */
	for (size_t i = 0; i < plugins->n; i++)
		plugin_free(plugins->items[i]);
	timer_free(plugins->timer);
	free(plugins);
}

static struct mcp_client *client_new(struct plugin *p, struct sandbox *s)
{
	auto_arena struct arena arena = ARENA_INIT(8 * 1024 * 1024);
	auto_free char *dir = mem_printf(PLUGIN_DIR "/%s", p->name);
	auto_free char *name = mem_printf("plugin-%s", p->name);
	struct manifest *m;
	struct error err;
	BUG_IF(read_manifest(p->manifest, &arena, &m, &err) < 0, "a manifest that was checked");
	const struct mcp_spec spec = {
		.name = str_from(name),
		.command = m->program.items[0],
		.args = { m->program.items + 1, m->program.n - 1 },
		.cwd = str_from(dir),
	};
	return mcp_client_new(s, &spec);
}

static void on_plugins_timer(void *arg);

static struct plugin *add_plugin(struct plugins *plugins, struct sandbox *s,
	const struct json *item)
{
	struct plugin *p = mem_new(struct plugin);
	p->plugins = plugins;
	p->name = str_dup(name_of(item));
	p->kind = find_kind(name_of(item));
	buf_init(&p->output, 16 * 1024);
	plugins->items[plugins->n++] = p;
	if (p->kind)
		return p;
	auto_buf struct buf text = BUF_INIT(PARAMS_MAX);
	json_write(item, &text);
	BUG_IF(json_parse(buf_str(&text), &p->manifest, NULL) < 0, "a manifest that was checked");
	p->client = client_new(p, s);
	return p;
}

static struct plugins *plugins_new(struct sandbox *s, const struct json *wish)
{
	struct plugins *plugins = mem_new(struct plugins);
	plugins->rt = s->runtime;
	plugins->timer = timer_new(s->runtime->loop, on_plugins_timer, plugins);
	memcpy(plugins->sandbox, s->id, sizeof(plugins->sandbox));
	for (size_t i = 0; i < json_len(wish) && i < PLUGINS_MAX; i++)
		add_plugin(plugins, s, json_at(wish, i));
	return plugins;
}

/* After a restart of the server they are made of the spec again. */
static struct plugins *plugins_of(struct sandbox *s)
{
	auto_json struct json *spec = NULL;
	if (s->plugins)
		return s->plugins;
	if (s->spec_json && json_parse(str_from(s->spec_json), &spec, NULL) == 0 &&
		plugins_check(json_find(spec, "plugins"), NULL) == 0)
		s->plugins = plugins_new(s, json_find(spec, "plugins"));
	else
		s->plugins = plugins_new(s, NULL);
	for (size_t i = 0; i < s->plugins->n; i++)
		s->plugins->items[i]->is_loaded = true;
	return s->plugins;
}

bool plugins_has(const struct plugins *plugins, const char *name)
{
	for (size_t i = 0; i < plugins->n; i++)
		if (!strcmp(plugins->items[i]->name, name))
			return true;
	return false;
}

/* ---- starting ---- */

void plugin_started(struct plugin *p, const struct error *err)
{
	struct plugins *plugins = p->plugins;
	struct error told;
	BUG_IF(!p->is_starting, "a plugin started twice");
	p->is_starting = false;
	p->is_loaded = !err;
	plugins->n_starting--;
	if (err) {
		told = *err;
		error_wrap(&told, "plugin '%s'", p->name);
		tell(plugins, &told);
	} else if (plugins->n_starting == 0) {
		tell(plugins, NULL);
	}
}

static void on_timeout(void *arg)
{
	struct plugins *plugins = arg;
	struct error err;
	for (size_t i = 0; i < plugins->n; i++)
		if (plugins->items[i]->is_starting) {
			error_set(&err, ERROR_TIMEOUT, "plugin '%s' did not start within %d s",
				plugins->items[i]->name, PLUGIN_INIT_MS / 1000);
			tell(plugins, &err);
			return;
		}
}

int plugin_perform(struct plugin *p, const struct action *action, const struct buf *params,
	const struct call_sink *sink)
{
	struct error err;
	struct sandbox *s = runtime_find(p->plugins->rt, str_from(p->plugins->sandbox), &err);
	if (!s) {
		plugin_started(p, &err);
		return -1;
	}
	p->call = call_perform_quietly(s, action, buf_str(params), sink, p);
	return 0;
}

static void on_tools(void *arg, const struct mcp_answer *answer)
{
	struct plugin *p = arg;
	auto_buf struct buf b = BUF_INIT(MCP_MESSAGE_MAX);
	p->request = NULL;
	if (!answer->result) {
		plugin_started(p, &answer->err);
		return;
	}
	json_write(json_find(answer->result, "tools"), &b);
	free(p->actions);
	p->actions = buf_take(&b);
	if (p->is_starting)
		plugin_started(p, NULL);
}

static void write_next(struct plugin *p);

static void on_written(void *arg, struct str result)
{
	struct plugin *p = arg;
	p->call = NULL;
	write_next(p);
}

static void on_not_written(void *arg, const struct error *err)
{
	struct plugin *p = arg;
	p->call = NULL;
	plugin_started(p, err);
}

static void put_file(struct jsonw *w, const struct plugin *p, struct str name, struct str content)
{
	auto_free char *path = mem_printf(PLUGIN_DIR "/%s/%.*s", p->name, STR_ARG(name));
	jsonw_open(w);
	jsonw_key_str(w, "path", str_from(path));
	jsonw_key_str(w, "content", content);
	jsonw_key_str(w, "mode", STR("0755"));
	jsonw_key_bool(w, "create_parents", true);
	jsonw_close(w);
}

/* One file after the other; then the program is asked what it can do, which starts it. */
static void write_next(struct plugin *p)
{
	static const struct call_sink sink = { .result = on_written, .error = on_not_written };
	auto_arena struct arena arena = ARENA_INIT(8 * 1024 * 1024);
	auto_buf struct buf params = BUF_INIT(PARAMS_MAX);
	struct jsonw w = JSONW(&params);
	struct manifest *m;
	BUG_IF(read_manifest(p->manifest, &arena, &m, NULL) < 0, "a manifest that was checked");
	if (p->next_file < m->files.n) {
		size_t i = p->next_file++;
		put_file(&w, p, m->files.keys[i], m->files.values[i]);
		plugin_perform(p, &write_action, &params, &sink);
		return;
	}
	p->request = mcp_request_new(p->client, "tools/list", STR("{}"), m->init_timeout_ms,
		on_tools, p);
}

static void on_begin(struct plugins *plugins)
{
	struct plugin *items[PLUGINS_MAX];
	size_t n = 0;
	for (size_t i = 0; i < plugins->n; i++)
		if (!plugins->items[i]->is_loaded)
			items[n++] = plugins->items[i];
	plugins->n_starting = (int)n;
	if (!n)
		tell(plugins, NULL);
	for (size_t i = 0; i < n; i++)
		items[i]->is_starting = true;
	for (size_t i = 0; i < n; i++) {
		if (items[i]->kind)
			items[i]->kind->start(items[i]);
		else
			write_next(items[i]);
	}
}

static void on_plugins_timer(void *arg)
{
	struct plugins *plugins = arg;
	if (plugins->n_starting == 0 && plugins->done) {
		timer_set(plugins->timer, PLUGIN_INIT_MS);
		on_begin(plugins);
	} else {
		on_timeout(plugins);
	}
}

void plugins_load(struct sandbox *s, const struct json *wish, runtime_done_fn *done, void *arg)
{
	BUG_IF(s->plugins, "plugins were loaded into a sandbox twice");
	s->plugins = plugins_new(s, wish);
	s->plugins->done = done;
	s->plugins->arg = arg;
	timer_set(s->plugins->timer, 0);
}

struct addition {
	struct runtime *rt;
	char sandbox[ID_SIZE];
	runtime_done_fn *done;
	void *arg;
};

static void drop_unloaded(struct plugins *plugins)
{
	size_t kept = 0;
	for (size_t i = 0; i < plugins->n; i++) {
		if (plugins->items[i]->is_loaded)
			plugins->items[kept++] = plugins->items[i];
		else
			plugin_free(plugins->items[i]);
	}
	plugins->n = kept;
}

static void on_added(void *arg, const struct error *err)
{
	struct addition *a = arg;
	struct sandbox *s = runtime_find(a->rt, str_from(a->sandbox), NULL);
	runtime_done_fn *done = a->done;
	void *done_arg = a->arg;
	if (err && s && s->plugins)
		drop_unloaded(s->plugins);
	free(a);
	done(done_arg, err);
}

void plugins_add(struct sandbox *s, struct str name, runtime_done_fn *done, void *arg)
{
	struct plugins *plugins = plugins_of(s);
	auto_buf struct buf item = BUF_INIT(256);
	auto_json struct json *json = NULL;
	struct jsonw w = JSONW(&item);
	jsonw_open_array(&w);
	jsonw_str(&w, name);
	jsonw_close_array(&w);
	BUG_IF(!find_kind(name) || plugins->done || plugins->n == PLUGINS_MAX ||
			json_parse(buf_str(&item), &json, NULL) < 0,
		"a plugin is added that cannot be");
	struct addition *a = mem_new(struct addition);
	a->rt = s->runtime;
	memcpy(a->sandbox, s->id, sizeof(a->sandbox));
	a->done = done;
	a->arg = arg;
	add_plugin(plugins, s, json_at(json, 0));
	plugins->done = on_added;
	plugins->arg = a;
	timer_set(plugins->timer, 0);
}

/* ---- using ---- */

void plugins_write(struct sandbox *s, struct jsonw *w)
{
	struct plugins *plugins = plugins_of(s);
	jsonw_open_array(w);
	for (size_t i = 0; i < plugins->n; i++) {
		const struct plugin *p = plugins->items[i];
		jsonw_open(w);
		jsonw_key_str(w, "name", str_from(p->name));
		if (p->kind) {
			jsonw_key_str(w, "description", str_from(p->kind->summary));
		} else {
			jsonw_key_str(w, "version", json_str(json_find(p->manifest, "version")));
			jsonw_key_str(w, "description",
				json_str(json_find(p->manifest, "description")));
		}
		jsonw_key(w, "actions");
		jsonw_raw(w, p->actions ? str_from(p->actions) : STR("[]"));
		jsonw_close(w);
	}
	jsonw_close_array(w);
}

static struct plugin *find_program(struct sandbox *s, struct str name, struct error *err)
{
	struct plugins *plugins = plugins_of(s);
	for (size_t i = 0; i < plugins->n; i++) {
		struct plugin *p = plugins->items[i];
		if (!str_is(name, p->name))
			continue;
		if (p->client)
			return p;
		error_set(err, ERROR_UNSUPPORTED,
			"plugin '%s' adds no actions of its own: use those of the sandbox",
			p->name);
		return NULL;
	}
	error_set(err, ERROR_NOT_FOUND, "Plugin %.*s not found", STR_ARG(str_first(name, 64)));
	return NULL;
}

struct mcp_request *plugin_call(struct sandbox *s, struct str plugin, struct str action,
	struct str arguments_json, int64_t timeout_ms, mcp_done_fn *done, void *arg,
	struct error *err)
{
	auto_json struct json *arguments = NULL;
	auto_buf struct buf params = BUF_INIT(MCP_MESSAGE_MAX);
	struct jsonw w = JSONW(&params);
	struct plugin *p = find_program(s, plugin, err);
	if (!p)
		return NULL;
	if (arguments_json.len && json_parse(arguments_json, &arguments, err) < 0)
		return NULL;
	if (arguments && json_kind(arguments) != JSON_KIND_OBJECT) {
		error_set(err, ERROR_INVALID, "the arguments of an action are an object");
		return NULL;
	}
	jsonw_open(&w);
	jsonw_key_str(&w, "name", action);
	jsonw_key(&w, "arguments");
	if (arguments)
		json_write(arguments, &params);
	else
		jsonw_raw(&w, STR("{}"));
	w.needs_comma = true;
	jsonw_close(&w);
	return mcp_request_new(p->client, "tools/call", buf_str(&params), timeout_ms, done, arg);
}
