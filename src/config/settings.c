/* SPDX-License-Identifier: Apache-2.0 */
#include "config/settings.h"
#include "config/parts.h"
#include "config/swap.h"

#include "base/auto.h"
#include "base/num.h"
#include "wire/json.h"

enum { MOUNTS_MAX = 16 };

static int check_runtime(const struct config *c, struct error *err)
{
	struct str kind = config_text(c, KEY_RUNTIME);
	static const char *const kinds[] = { "docker", "eventstream", "native", "local", "cli",
		"kubernetes", "remote" };
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
		if (str_is(kind, kinds[i]))
			return 0;
	return error_set(err, ERROR_UNSUPPORTED,
		"core.runtime = \"%.*s\": it is none of docker, eventstream, native, local, cli, kubernetes and remote",
		STR_ARG(str_first(kind, 60)));
}

void config_put_backend(const struct config *c, struct buf *b)
{
	struct str kind = config_text(c, KEY_RUNTIME);
	if (str_is(kind, "local") || str_is(kind, "cli") || str_is(kind, "kubernetes"))
		buf_put(b, kind);
	else if (str_is(kind, "remote"))
		buf_printf(b, "openhands+%.*s", STR_ARG(config_text(c, KEY_SANDBOX_API_URL)));
}

/* The guard. */

static int put_mode(const struct config *c, struct jsonw *w, struct error *err)
{
	struct str analyzer = config_text(c, KEY_SECURITY_ANALYZER);
	struct str mode = config_text(c, KEY_GUARD_MODE);
	if (analyzer.len && !str_is(analyzer, "rules") && !str_is(analyzer, "llm"))
		return error_set(err, ERROR_UNSUPPORTED,
			"security.security_analyzer = \"%.*s\": it cannot be had here; rules and llm can",
			STR_ARG(str_first(analyzer, 60)));
	if (!config_is_set(c, KEY_GUARD_MODE) && analyzer.len)
		mode = analyzer;
	else if (!config_is_set(c, KEY_GUARD_MODE) && config_bool(c, KEY_SECURITY_CONFIRM))
		mode = STR("rules");
	jsonw_key_str(w, "mode", mode);
	return 0;
}

static void put_texts(struct jsonw *w, const char *name, const struct toml *list)
{
	jsonw_key(w, name);
	jsonw_open_array(w);
	for (const struct toml *item = list ? list->first : NULL; item; item = item->next)
		jsonw_str(w, item->text);
	jsonw_close_array(w);
}

static void put_text(const struct config *c, enum config_key key, const char *name, struct jsonw *w)
{
	struct str text = config_text(c, key);
	if (text.len)
		jsonw_key_str(w, name, text);
}

static int put_guard(const struct config *c, struct jsonw *w, struct error *err)
{
	jsonw_key(w, "guard");
	jsonw_open(w);
	jsonw_key(w, "settings");
	jsonw_open(w);
	if (put_mode(c, w, err) < 0)
		return -1;
	jsonw_key_int(w, "threshold", config_int(c, KEY_GUARD_THRESHOLD));
	jsonw_key_bool(w, "confirm",
		config_bool(c, KEY_GUARD_CONFIRM) || config_bool(c, KEY_SECURITY_CONFIRM));
	jsonw_key_int(w, "confirm_timeout_ms", config_int(c, KEY_GUARD_CONFIRM_TIMEOUT) * 1000);
	put_texts(w, "ignore", config_value(c, KEY_GUARD_IGNORE));
	jsonw_close(w);
	put_text(c, KEY_GUARD_LLM_URL, "llm_url", w);
	put_text(c, KEY_GUARD_LLM_MODEL, "llm_model", w);
	put_text(c, KEY_GUARD_LLM_KEY, "llm_key", w);
	jsonw_key_int(w, "llm_timeout_ms", config_int(c, KEY_GUARD_LLM_TIMEOUT) * 1000);
	jsonw_key_int(w, "llm_retries", config_int(c, KEY_GUARD_LLM_RETRIES));
	jsonw_close(w);
	return 0;
}

/* Mounts. */

struct mounts {
	struct jsonw *w;
	int n;
	bool has_workspace; /* something is mounted where sessions start */
};

static int put_mount(const struct config *c, struct mounts *m, struct str source, struct str target,
	const char *mode, struct error *err)
{
	if (m->n++ == MOUNTS_MAX)
		return error_set(err, ERROR_INVALID, "more than %d mounts", MOUNTS_MAX);
	m->has_workspace |= str_eq(target, config_text(c, KEY_WORKSPACE_IN_SANDBOX));
	jsonw_open(m->w);
	jsonw_key_str(m->w, "source", source);
	jsonw_key_str(m->w, "target", target);
	jsonw_key_str(m->w, "mode", str_from(mode));
	jsonw_close(m->w);
	return 0;
}

static int bad_volume(struct str text, const char *why, struct error *err)
{
	return error_set(err, ERROR_INVALID,
		"Invalid mount format in sandbox.volumes: %.*s. Expected HOST:SANDBOX[:MODE]: %s",
		STR_ARG(str_first(text, 120)), why);
}

static int put_volume(const struct config *c, struct mounts *m, struct str text, struct error *err)
{
	struct str rest = text, source, target = STR_NONE, mode = STR("rw");
	bool has_both = str_split(&rest, ':', &source) && str_split(&rest, ':', &target);
	if (!has_both || !source.len || !target.len)
		return bad_volume(text, "one of the paths is missing", err);
	if (rest.ptr && !str_split(&rest, ':', &mode))
		mode = STR("rw");
	if (source.ptr[0] != '/')
		return bad_volume(text,
			"a named volume belongs to a container engine; give a directory", err);
	if (target.ptr[0] != '/')
		return bad_volume(text, "the path in the sandbox must be absolute", err);
	if (str_is(mode, "ro") || str_is(mode, "rw"))
		return put_mount(c, m, source, target, mode.ptr[1] == 'o' ? "ro" : "rw", err);
	if (str_find(mode, STR("overlay")) >= 0)
		return put_mount(c, m, source, target, "copy", err);
	return bad_volume(text, "the mode is ro, rw or overlay", err);
}

static int put_workspace(const struct config *c, struct mounts *m, struct error *err)
{
	struct str base = config_text(c, KEY_WORKSPACE_MOUNT_PATH);
	struct str rewrite = config_text(c, KEY_WORKSPACE_REWRITE), from, to;
	if (!base.len)
		base = config_text(c, KEY_WORKSPACE_BASE);
	if (!base.len || m->has_workspace)
		return 0;
	auto_free char *text = str_dup(base);
	auto_free char *absolute = realpath(text, NULL);
	if (!absolute)
		return error_sys(err, errno, "core.workspace_base: %.200s", text);
	auto_buf struct buf path = BUF_INIT(8192);
	bool is_rewritten = rewrite.len && str_split(&rewrite, ':', &from) &&
		str_split(&rewrite, ':', &to) && str_starts(str_from(absolute), from);
	if (is_rewritten)
		buf_put(&path, to);
	buf_put(&path, str_skip(str_from(absolute), is_rewritten ? from.len : 0));
	return put_mount(c, m, buf_str(&path), config_text(c, KEY_WORKSPACE_IN_SANDBOX), "rw", err);
}

static int put_mounts(const struct config *c, struct jsonw *w, struct error *err)
{
	struct mounts m = { .w = w };
	struct str rest = config_text(c, KEY_SANDBOX_VOLUMES), volume;
	jsonw_key(w, "mounts");
	jsonw_open_array(w);
	while (rest.len && str_split(&rest, ',', &volume)) {
		volume = str_trim(volume);
		if (volume.len && put_volume(c, &m, volume, err) < 0)
			return -1;
	}
	if (put_workspace(c, &m, err) < 0)
		return -1;
	jsonw_close_array(w);
	return 0;
}

/* Sandboxes. */

static void put_real(struct buf *b, double v)
{
	char text[NUM_REAL_SIZE];
	num_print_real(text, v);
	buf_puts(b, text);
}

static void put_environment(const struct config *c, struct jsonw *w)
{
	const struct toml *map = config_value(c, KEY_SANDBOX_STARTUP_ENV);
	jsonw_key(w, "env");
	jsonw_open(w);
	for (const struct toml *var = map ? map->first : NULL; var; var = var->next) {
		auto_buf struct buf number = BUF_INIT(64);
		if (toml_find(map, var->key) != var)
			continue; /* one before it counts */
		if (var->kind == TOML_INT)
			buf_printf(&number, "%lld", (long long)var->number);
		else if (var->kind == TOML_BOOL)
			buf_puts(&number, var->number ? "true" : "false");
		else if (var->kind == TOML_FLOAT)
			put_real(&number, var->real);
		jsonw_key_dyn(w, var->key);
		jsonw_str(w, number.len ? buf_str(&number) : var->text);
	}
	if (config_bool(c, KEY_SANDBOX_AUTO_LINT))
		jsonw_key_str(w, "ENABLE_AUTO_LINT", STR("true"));
	jsonw_close(w);
}

static int put_secrets(const struct config *c, struct jsonw *w, struct error *err)
{
	const struct toml *list = config_value(c, KEY_SANDBOX_SECRETS);
	jsonw_key(w, "secrets");
	jsonw_open(w);
	for (const struct toml *item = list ? list->first : NULL; item; item = item->next)
		if (swap_put(item->text, w, err) < 0)
			return error_wrap(err, "sandbox.secrets");
	jsonw_close(w);
	return 0;
}

static void put_limits(const struct config *c, struct jsonw *w)
{
	static const struct {
		enum config_key key;
		const char *name;
	} limits[] = { { KEY_LIMITS_MEMORY, "memory_bytes" }, { KEY_LIMITS_PIDS, "pids" },
		{ KEY_LIMITS_CPU_MILLI, "cpu_milli" }, { KEY_LIMITS_DISK, "disk_bytes" } };
	jsonw_key(w, "limits");
	jsonw_open(w);
	for (size_t i = 0; i < ARRAY_LEN(limits); i++) {
		int64_t of_container = config_container_limit(c, limits[i].name);
		if (config_is_set(c, limits[i].key))
			jsonw_key_int(w, limits[i].name, config_int(c, limits[i].key));
		else if (of_container)
			jsonw_key_int(w, limits[i].name, of_container);
	}
	jsonw_close(w);
}

static int put_create(const struct config *c, enum config_backend backend, struct jsonw *w,
	struct error *err)
{
	jsonw_key(w, "create");
	jsonw_open(w);
	put_text(c, KEY_SANDBOX_IMAGE, "image", w);
	put_text(c, KEY_WORKSPACE_IN_SANDBOX, "workdir", w);
	jsonw_key_str(w, "user", config_bool(c, KEY_RUN_AS_OPENHANDS) ? STR("agent") : STR("root"));
	if (config_bool(c, KEY_SANDBOX_HOST_NETWORK))
		jsonw_key_str(w, "network", STR("host"));
	put_environment(c, w);
	if (config_put_devices(c, backend, w, err) < 0 || put_secrets(c, w, err) < 0)
		return -1;
	put_limits(c, w);
	if (config_is_set(c, KEY_LIMITS_TIMEOUT))
		jsonw_key_int(w, "timeout_ms", config_int(c, KEY_LIMITS_TIMEOUT) * 1000);
	if (config_is_set(c, KEY_SANDBOX_CLOSE_DELAY))
		jsonw_key_int(w, "idle_timeout_ms", config_int(c, KEY_SANDBOX_CLOSE_DELAY) * 1000);
	if (put_mounts(c, w, err) < 0)
		return -1;
	jsonw_close(w);
	return 0;
}

static void put_git(const struct config *c, struct jsonw *w)
{
	jsonw_key(w, "git");
	jsonw_open(w);
	put_text(c, KEY_GIT_USER_NAME, "name", w);
	put_text(c, KEY_GIT_USER_EMAIL, "email", w);
	jsonw_key_bool(w, "init", config_bool(c, KEY_INIT_GIT));
	put_text(c, KEY_SANDBOX_REPO, "repository", w);
	jsonw_close(w);
}

/* "NAME", "NAME:PORT", or "*." before either. */
static bool is_name(struct str text)
{
	static const char plain[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_:[]";
	struct str name = str_skip(text, str_starts(text, STR("*.")) ? 2 : 0);
	return name.len && strspn(name.ptr, plain) == name.len;
}

/* As they come in Host, and behind http:// or https:// in Origin. */
static int put_names(const struct config *c, struct jsonw *w, struct error *err)
{
	const struct toml *names = config_value(c, KEY_SERVE_NAMES);
	if (names->n > SETTINGS_NAMES_MAX)
		return error_set(err, ERROR_INVALID, "serve.names: more than %d",
			SETTINGS_NAMES_MAX);
	jsonw_key(w, "names");
	jsonw_open_array(w);
	for (const struct toml *name = names->first; name; name = name->next) {
		if (!is_name(name->text))
			return error_set(err, ERROR_INVALID,
				"serve.names: \"%.60s\" is neither NAME nor NAME:PORT, nor *. before it",
				name->text.ptr);
		jsonw_str(w, name->text);
	}
	jsonw_close_array(w);
	return 0;
}

static enum config_backend backend_kind(const char *name)
{
	if (!name)
		return BACKEND_ANY;
	if (!name[0] || !strcmp(name, "native"))
		return BACKEND_NATIVE;
	if (str_starts(str_from(name), STR("kubernetes")))
		return BACKEND_KUBERNETES;
	return str_starts(str_from(name), STR("docker")) ? BACKEND_DOCKER : BACKEND_OTHER;
}

static int check_refused(const struct config *c, struct error *err)
{
	struct str name = config_text(c, KEY_SANDBOX_BROWSERGYM);
	if (!name.len)
		return 0;
	return error_set(err, ERROR_UNSUPPORTED, "sandbox.browsergym_eval_env: %s",
		config_rows[KEY_SANDBOX_BROWSERGYM].help);
}

int config_put_settings(const struct config *c, const char *backend_name, struct buf *b,
	struct error *err)
{
	struct jsonw w = JSONW(b);
	enum config_backend backend = backend_kind(backend_name);
	if (check_runtime(c, err) < 0 || check_refused(c, err) < 0)
		return -1;
	jsonw_open(&w);
	jsonw_key_bool(&w, "debug", config_bool(c, KEY_DEBUG));
	if (put_guard(c, &w, err) < 0 || put_create(c, backend, &w, err) < 0 ||
		config_put_image(c, backend, &w, err) < 0 ||
		config_put_container(c, backend, &w, err) < 0 || put_names(c, &w, err) < 0)
		return -1;
	put_git(c, &w);
	jsonw_key(&w, "openhands");
	jsonw_open(&w);
	jsonw_key_int(&w, "warm", config_int(c, KEY_SERVE_WARM));
	jsonw_key_bool(&w, "browser", config_bool(c, KEY_ENABLE_BROWSER));
	jsonw_close(&w);
	jsonw_close(&w);
	return b->is_full
		? error_set(err, ERROR_TOO_LARGE, "a configuration of over %zu bytes", b->limit)
		: 0;
}
