/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The image of sandboxes that name none: sandbox.base_container_image, runtime_extra_deps and what
 * goes with them, as the settings of runtime/recipe.h.
 */
#include "config/parts.h"

#include "base/auto.h"
#include "base/bug.h"
#include "base/num.h"

#include <sys/stat.h>
#include <sys/utsname.h>

enum { ARGS_MAX = 64, COMMAND_MAX = 16 * 1024, NAME_MAX_BYTES = 255 };

/* ---- the base ---- */

/* It becomes the first line of a Dockerfile. */
static int check_base(struct str base, struct error *err)
{
	struct stat st;
	bool is_path = base.len && base.ptr[0] == '/';
	for (size_t i = 0; i < base.len; i++)
		if (base.ptr[i] <= ' ' || base.ptr[i] > '~' || strchr("\"'\\$#", base.ptr[i]))
			return error_set(err, ERROR_INVALID,
				"sandbox.base_container_image: '%.*s' is no name of an image",
				STR_ARG(str_first(base, 80)));
	if (!base.len || base.len > NAME_MAX_BYTES)
		return error_set(err, ERROR_INVALID,
			"sandbox.base_container_image: a name has 1 to %d bytes", NAME_MAX_BYTES);
	if (is_path && (stat(base.ptr, &st) < 0 || !S_ISDIR(st.st_mode)))
		return error_set(err, ERROR_NOT_FOUND,
			"sandbox.base_container_image: %.*s is no directory of this machine",
			STR_ARG(base));
	return 0;
}

static int check_platform(const struct config *c, struct error *err)
{
	static const char *const machines[][2] = { { "amd64", "x86_64" }, { "arm64", "aarch64" } };
	struct str platform = config_text(c, KEY_SANDBOX_PLATFORM), machine = platform, os;
	struct utsname host;
	if (!platform.len)
		return 0;
	bool is_linux = str_split(&machine, '/', &os) && str_is(os, "linux");
	if (is_linux && uname(&host) == 0) {
		for (size_t i = 0; i < ARRAY_LEN(machines); i++)
			if (!strcmp(host.machine, machines[i][1]) &&
				str_is(machine, machines[i][0]))
				return 0;
		if (str_is(machine, host.machine))
			return 0;
	}
	return error_set(err, ERROR_UNSUPPORTED,
		"sandbox.platform = \"%.*s\": images are for this machine, linux on %s; nothing here emulates another one",
		STR_ARG(str_first(platform, 40)), host.machine);
}

/* ---- the arguments of a build ---- */

struct args {
	struct str names[ARGS_MAX], values[ARGS_MAX];
	struct str label_names[ARGS_MAX], label_values[ARGS_MAX];
	int n, n_labels;
	struct str network; /* "" */
	struct str allow;   /* of "proxy": names with commas between */
	int64_t memory_bytes;
	bool no_cache;
};

static const char *const taken =
	"--build-arg, --label, --memory, --network and --no-cache have a meaning here";

static bool is_variable(struct str name)
{
	for (size_t i = 0; i < name.len; i++) {
		char c = name.ptr[i];
		bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
		if (!is_letter && (i == 0 || c < '0' || c > '9'))
			return false;
	}
	return name.len > 0;
}

static int take_pair(struct str text, const char *what, struct str *names, struct str *values,
	int *n, struct error *err)
{
	ptrdiff_t equals = str_find_char(text, '=');
	if (equals <= 0)
		return error_set(err, ERROR_INVALID, "%s '%.*s': NAME=VALUE is wanted", what,
			STR_ARG(str_first(text, 60)));
	if (*n == ARGS_MAX)
		return error_set(err, ERROR_LIMIT, "more than %d times %s", ARGS_MAX, what);
	names[*n] = str_first(text, (size_t)equals);
	values[(*n)++] = str_skip(text, (size_t)equals + 1);
	return 0;
}

static int take_arg(struct args *a, struct str value, struct error *err)
{
	if (take_pair(value, "--build-arg", a->names, a->values, &a->n, err) < 0)
		return -1;
	if (!is_variable(a->names[a->n - 1]))
		return error_set(err, ERROR_INVALID, "--build-arg '%.*s' is no name of a variable",
			STR_ARG(str_first(a->names[a->n - 1], 60)));
	return 0;
}

static int take_label(struct args *a, struct str value, struct error *err)
{
	return take_pair(value, "--label", a->label_names, a->label_values, &a->n_labels, err);
}

static int take_memory(struct args *a, struct str value, struct error *err)
{
	return num_parse_size(value, &a->memory_bytes, err) < 0 ? error_wrap(err, "--memory") : 0;
}

static int take_network(struct args *a, struct str value, struct error *err)
{
	static const char *const words[] = { "none", "host", "loopback" };
	a->allow = STR_NONE;
	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		if (str_is(value, words[i])) {
			a->network = value;
			return 0;
		}
	if (!str_starts(value, STR("proxy:")) || value.len == 6)
		return error_set(err, ERROR_UNSUPPORTED,
			"--network %.*s: none, host, loopback and proxy:NAME,… are offered",
			STR_ARG(str_first(value, 60)));
	a->network = STR("proxy");
	a->allow = str_skip(value, 6);
	return 0;
}

static const struct {
	const char *name;
	int (*take)(struct args *a, struct str value, struct error *err);
} options[] = {
	{ "--build-arg", take_arg },
	{ "--label", take_label },
	{ "--memory", take_memory },
	{ "-m", take_memory },
	{ "--network", take_network },
};

/* "--name=value", or the two in a row. */
static int take_option(struct args *a, const struct toml **at, struct error *err)
{
	struct str word = (*at)->text, value = STR_NONE;
	ptrdiff_t equals = str_find_char(word, '=');
	struct str name = equals < 0 ? word : str_first(word, (size_t)equals);
	if (str_is(word, "--no-cache")) {
		a->no_cache = true;
		return 0;
	}
	for (size_t i = 0; i < ARRAY_LEN(options); i++) {
		if (!str_is(name, options[i].name))
			continue;
		if (equals >= 0)
			value = str_skip(word, (size_t)equals + 1);
		else if ((*at)->next && (*at)->next->kind == TOML_STRING)
			value = (*at = (*at)->next)->text;
		if (!value.len)
			return error_set(err, ERROR_INVALID, "%s has no value", options[i].name);
		return options[i].take(a, value, err);
	}
	return error_set(err, ERROR_UNSUPPORTED, "'%.*s': only %s", STR_ARG(str_first(name, 60)),
		taken);
}

static int take_args(const struct config *c, struct args *a, struct error *err)
{
	const struct toml *list = config_value(c, KEY_SANDBOX_BUILD_ARGS);
	*a = (struct args){ 0 };
	if (list && list->kind != TOML_ARRAY)
		return error_set(err, ERROR_INVALID,
			"sandbox.runtime_extra_build_args must be an array of strings, not %s",
			toml_kind_name(list->kind));
	for (const struct toml *at = list ? list->first : NULL; at; at = at->next) {
		if (at->kind != TOML_STRING)
			return error_set(err, ERROR_INVALID,
				"sandbox.runtime_extra_build_args must be an array of strings");
		if (take_option(a, &at, err) < 0)
			return error_wrap(err, "sandbox.runtime_extra_build_args");
	}
	return 0;
}

/* ---- the settings ---- */

static void put_pairs(struct jsonw *w, const char *key, const struct str *names,
	const struct str *values, int n)
{
	jsonw_key(w, key);
	jsonw_open(w);
	for (int i = 0; i < n; i++) {
		bool is_last = true; /* the last of one name counts */
		for (int k = i + 1; k < n && is_last; k++)
			is_last = !str_eq(names[i], names[k]);
		if (!is_last)
			continue;
		jsonw_key_dyn(w, names[i]);
		jsonw_str(w, values[i]);
	}
	jsonw_close(w);
}

static void put_args(struct jsonw *w, const struct args *a)
{
	struct str rest = a->allow, name;
	put_pairs(w, "args", a->names, a->values, a->n);
	put_pairs(w, "labels", a->label_names, a->label_values, a->n_labels);
	if (a->network.len)
		jsonw_key_str(w, "network", a->network);
	jsonw_key(w, "allow");
	jsonw_open_array(w);
	while (rest.len && str_split(&rest, ',', &name))
		if (name.len)
			jsonw_str(w, name);
	jsonw_close_array(w);
	if (a->memory_bytes)
		jsonw_key_int(w, "memory_bytes", a->memory_bytes);
}

/* Of an engine's images everyone has to be named; elsewhere `host` is there for who names none. */
static bool is_wanted(const struct config *c, enum config_backend backend)
{
	bool says_base = config_is_set(c, KEY_SANDBOX_BASE_IMAGE) &&
		(backend == BACKEND_DOCKER || backend == BACKEND_KUBERNETES ||
			!config_is_standard(c, KEY_SANDBOX_BASE_IMAGE));
	return says_base || config_text(c, KEY_SANDBOX_EXTRA_DEPS).len > 0;
}

static int check_backend(const struct config *c, enum config_backend backend, struct error *err)
{
	bool is_other = backend == BACKEND_OTHER;
	bool has_deps = config_text(c, KEY_SANDBOX_EXTRA_DEPS).len > 0;
	if (backend == BACKEND_KUBERNETES && has_deps)
		return error_set(err, ERROR_UNSUPPORTED,
			"sandbox.runtime_extra_deps: no image is built in a cluster; build it elsewhere, push it, and name it (runtime_container_image)");
	if (!is_other)
		return 0;
	return error_set(err, ERROR_UNSUPPORTED,
		"sandbox.%s: sandboxes of this backend are not made of images that could be chosen here; those of native and docker are",
		has_deps ? "runtime_extra_deps" : "base_container_image");
}

int config_put_image(const struct config *c, enum config_backend backend, struct jsonw *w,
	struct error *err)
{
	struct str base = config_text(c, KEY_SANDBOX_BASE_IMAGE);
	struct str command = config_text(c, KEY_SANDBOX_EXTRA_DEPS);
	auto_free struct args *args = mem_new(struct args);
	if (check_platform(c, err) < 0 || take_args(c, args, err) < 0)
		return -1;
	if (!is_wanted(c, backend))
		return 0;
	if (check_backend(c, backend, err) < 0 || check_base(base, err) < 0)
		return -1;
	if (command.len > COMMAND_MAX)
		return error_set(err, ERROR_TOO_LARGE,
			"sandbox.runtime_extra_deps has %zu bytes; the limit is %d", command.len,
			COMMAND_MAX);
	jsonw_key(w, "image");
	jsonw_open(w);
	jsonw_key_str(w, "base", base);
	jsonw_key_bool(w, "is_usual", config_is_standard(c, KEY_SANDBOX_BASE_IMAGE));
	if (command.len)
		jsonw_key_str(w, "command", command);
	put_args(w, args);
	jsonw_key_bool(w, "is_forced", args->no_cache || config_bool(c, KEY_SANDBOX_FORCE_REBUILD));
	jsonw_close(w);
	return 0;
}
