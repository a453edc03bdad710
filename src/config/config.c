/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. Every value is a piece of a TOML tree, whatever it came from: the file's own
 * tree, that of a row's standard, or that of a variable, which is rewritten as TOML first.
 */
#include "config/config.h"

#include "base/auto.h"
#include "base/file.h"
#include "base/nearest.h"
#include "base/num.h"

#include <fcntl.h>

enum { PATH_BYTES_MAX = 4096 };

/* clang-format off */
const struct config_row config_rows[KEY_MAX] = {
#define KEY(id, section, name, type, standard, status, help) \
	[KEY_##id] = { section, name, CONFIG_##type, standard, CONFIG_##status, help },
#include "config/key.def"
#undef KEY
};
/* clang-format on */

/* Sections of OpenHands' application, whose keys are none of a runtime's business. */
static const char *const foreign[] = { "llm", "draft_editor", "agent", "condenser", "cli",
	"extended", "model_routing", "evaluation", "browser" };

static const struct {
	const char *section, *prefix;
} prefixes[] = {
	{ "core", "" },
	{ "sandbox", "SANDBOX_" },
	{ "security", "SECURITY_" },
	{ "kubernetes", "KUBERNETES_" },
	{ "mcp", "MCP_" },
	{ "serve", "CAY_SERVE_" },
	{ "guard", "CAY_GUARD_" },
	{ "limits", "CAY_LIMITS_" },
};

void config_fini(struct config *c)
{
	arena_fini(&c->arena);
}

const char *config_origin_name(enum config_origin origin)
{
	static const char *const names[] = { "standard", "file", "environment", "command line" };
	return names[origin];
}

void config_put_variable(struct buf *b, enum config_key key)
{
	const struct config_row *row = &config_rows[key];
	for (size_t i = 0; i < ARRAY_LEN(prefixes); i++)
		if (!strcmp(prefixes[i].section, row->section))
			buf_puts(b, prefixes[i].prefix);
	for (const char *c = row->name; *c; c++)
		buf_putc(b, *c >= 'a' && *c <= 'z' ? (char)(*c - 'a' + 'A') : *c);
}

static void warn(struct config *c, const char *text)
{
	if (c->n_warnings < CONFIG_WARNINGS_MAX)
		c->warnings[c->n_warnings++] = text;
}

/* Types. */

static bool is_scalar(const struct toml *t)
{
	return t->kind != TOML_ARRAY && t->kind != TOML_TABLE;
}

static bool fits(const struct toml *t, enum config_type type)
{
	int64_t bytes;
	switch (type) {
	case CONFIG_TEXT:
	case CONFIG_SECRET:
		return t->kind == TOML_STRING && !str_has_nul(t->text);
	case CONFIG_INT:
		return t->kind == TOML_INT;
	case CONFIG_BOOL:
		return t->kind == TOML_BOOL;
	case CONFIG_SIZE:
		return t->kind == TOML_INT ||
			(t->kind == TOML_STRING && num_parse_size(t->text, &bytes, NULL) == 0);
	case CONFIG_LIST:
		for (const struct toml *item = t->first; item; item = item->next)
			if (item->kind != TOML_STRING)
				return false;
		return t->kind == TOML_ARRAY;
	case CONFIG_MAP:
		for (const struct toml *item = t->first; item; item = item->next)
			if (!is_scalar(item))
				return false;
		return t->kind == TOML_TABLE;
	case CONFIG_ANY:
		return true;
	}
	return false;
}

static const char *type_name(enum config_type type)
{
	static const char *const names[] = { "a string", "a string", "an integer", "true or false",
		"a size, such as \"512M\"", "an array of strings", "a table of plain values",
		"anything" };
	return names[type];
}

/* The file. */

static bool is_foreign(struct str section)
{
	for (size_t i = 0; i < ARRAY_LEN(foreign); i++)
		if (str_is(section, foreign[i]))
			return true;
	return false;
}

static bool is_section(struct str name)
{
	for (size_t i = 0; i < ARRAY_LEN(prefixes); i++)
		if (str_is(name, prefixes[i].section))
			return true;
	return false;
}

static int unknown(const char *what, struct str section, struct str name, const char *near,
	struct error *err)
{
	return error_set(err, ERROR_INVALID, "%.*s%s%.*s: no such %s%s%s%s",
		STR_ARG(str_first(section, 60)), section.len ? "." : "",
		STR_ARG(str_first(name, 60)), what, near ? "; did you mean " : "", near ?: "",
		near ? "?" : "");
}

static int unknown_key(struct str section, struct str name, struct error *err)
{
	const char *names[KEY_MAX];
	int n = 0;
	for (int i = 0; i < KEY_MAX; i++)
		if (str_is(section, config_rows[i].section))
			names[n++] = config_rows[i].name;
	return unknown("key", section, name, nearest_word(name, names, n), err);
}

static int unknown_section(struct str name, struct error *err)
{
	const char *names[ARRAY_LEN(prefixes)];
	for (size_t i = 0; i < ARRAY_LEN(prefixes); i++)
		names[i] = prefixes[i].section;
	return unknown("section", STR_NONE, name,
		nearest_word(name, names, (int)ARRAY_LEN(prefixes)), err);
}

static int find_key(struct str section, struct str name)
{
	for (int i = 0; i < KEY_MAX; i++)
		if (str_is(section, config_rows[i].section) && str_is(name, config_rows[i].name))
			return i;
	return -1;
}

static int take_key(struct config *c, struct str section, struct toml *value, struct error *err)
{
	int key = find_key(section, value->key);
	if (key < 0)
		return unknown_key(section, value->key, err) < 0
			? error_wrap(err, "line %d", value->line)
			: -1;
	if (!fits(value, config_rows[key].type))
		return error_set(err, ERROR_INVALID, "line %d: %.*s.%.*s must be %s, not %s",
			value->line, STR_ARG(section), STR_ARG(value->key),
			type_name(config_rows[key].type), toml_kind_name(value->kind));
	c->values[key].value = value;
	c->values[key].origin = ORIGIN_FILE;
	return 0;
}

static int take_section(struct config *c, struct toml *section, struct error *err)
{
	if (is_foreign(section->key))
		return 0;
	if (section->kind != TOML_TABLE || !is_section(section->key)) {
		unknown_section(section->key, err);
		return error_wrap(err, "line %d", section->line);
	}
	for (struct toml *value = section->first; value; value = value->next)
		if (take_key(c, section->key, value, err) < 0)
			return -1;
	return 0;
}

static int take_file(struct config *c, const char *path, struct error *err)
{
	auto_buf struct buf text = BUF_INIT(TOML_TEXT_MAX);
	struct toml *root;
	if (file_read(AT_FDCWD, path, &text, err) < 0)
		return -1;
	c->file = arena_str(&c->arena, str_from(path));
	if (toml_parse(buf_str(&text), &c->arena, &root, err) < 0)
		return error_wrap(err, "%s", path);
	for (struct toml *section = root->first; section; section = section->next)
		if (take_section(c, section, err) < 0)
			return error_wrap(err, "%s", path);
	return 0;
}

static const char *variable(const char *const *environment, const char *name)
{
	size_t n = strlen(name);
	for (; environment && *environment; environment++)
		if (!strncmp(*environment, name, n) && (*environment)[n] == '=')
			return *environment + n + 1;
	return NULL;
}

static int find_file(struct config *c, const char *const *environment, struct error *err)
{
	const char *config = variable(environment, "XDG_CONFIG_HOME"),
		   *home = variable(environment, "HOME");
	char path[PATH_BYTES_MAX];
	if (access("cay.toml", F_OK) == 0)
		return take_file(c, "./cay.toml", err);
	if (config && config[0] == '/')
		snprintf(path, sizeof(path), "%s/cay/cay.toml", config);
	else if (home && home[0] == '/')
		snprintf(path, sizeof(path), "%s/.config/cay/cay.toml", home);
	else
		return 0;
	return access(path, F_OK) == 0 ? take_file(c, path, err) : 0;
}

/* The environment. */

static struct toml *new_value(struct config *c, enum toml_kind kind)
{
	struct toml *t = arena_new(&c->arena, struct toml);
	t->kind = kind;
	t->text = STR("");
	return t;
}

static struct toml *text_value(struct config *c, struct str text)
{
	struct toml *t = new_value(c, TOML_STRING);
	t->text = str_from_len(arena_str(&c->arena, text), text.len);
	return t;
}

/* {'a': 'b', "n": True} is { "a" = "b", "n" = true } but for what stands outside of quotes. */
static void put_as_toml(struct buf *b, struct str text)
{
	static const struct {
		const char *python, *toml;
	} words[] = { { "True", "true" }, { "False", "false" } };
	char quote = '\0';
	for (size_t i = 0; i < text.len; i++) {
		char c = text.ptr[i];
		struct str rest = str_skip(text, i);
		bool is_word = false;
		for (size_t k = 0; k < ARRAY_LEN(words) && !quote; k++)
			if (str_starts(rest, str_from(words[k].python))) {
				buf_puts(b, words[k].toml);
				i += strlen(words[k].python) - 1;
				is_word = true;
			}
		if (is_word)
			continue;
		if (quote && c == '\\' && quote == '"' && i + 1 < text.len)
			buf_putc(b, text.ptr[i++]);
		else if (c == quote)
			quote = '\0';
		else if (!quote && (c == '"' || c == '\''))
			quote = c;
		buf_putc(b, !quote && c == ':' ? '=' : text.ptr[i]);
	}
}

int config_parse_python(struct str text, enum config_type type, struct arena *arena,
	struct toml **ret, struct error *err)
{
	auto_buf struct buf b = BUF_INIT(TOML_TEXT_MAX);
	struct toml *root;
	buf_puts(&b, "value = ");
	put_as_toml(&b, text);
	if (toml_parse(buf_str(&b), arena, &root, err) < 0)
		return -1;
	*ret = toml_find(root, STR("value"));
	if (root->n != 1 || !*ret || !fits(*ret, type))
		return error_set(err, ERROR_INVALID, "must be %s", type_name(type));
	return 0;
}

static int parse_variable(struct config *c, enum config_type type, struct str text,
	struct toml **ret, struct error *err)
{
	int64_t number;
	switch (type) {
	case CONFIG_TEXT:
	case CONFIG_SECRET:
	case CONFIG_SIZE:
		*ret = text_value(c, text);
		return fits(*ret, type)
			? 0
			: error_set(err, ERROR_INVALID, "must be %s", type_name(type));
	case CONFIG_BOOL:
		*ret = new_value(c, TOML_BOOL);
		(*ret)->number = str_eq_nocase(text, STR("true")) || str_is(text, "1");
		return 0;
	case CONFIG_INT:
		if (num_parse_i64(text, INT64_MIN, INT64_MAX, &number, err) < 0)
			return -1;
		*ret = new_value(c, TOML_INT);
		(*ret)->number = number;
		return 0;
	default:
		return config_parse_python(text, type, &c->arena, ret, err);
	}
}

static void take_variable(struct config *c, enum config_key key, const char *const *environment)
{
	auto_buf struct buf name = BUF_INIT(256);
	struct toml *value;
	struct error err;
	config_put_variable(&name, key);
	const char *text = variable(environment, name.ptr);
	if (!text || !text[0] || strlen(text) > TOML_TEXT_MAX / 4)
		return;
	if (parse_variable(c, config_rows[key].type, str_from(text), &value, &err) < 0) {
		warn(c, arena_printf(&c->arena, "%s is left aside: %s", name.ptr, err.text));
		return;
	}
	c->values[key].value = value;
	c->values[key].origin = ORIGIN_ENVIRONMENT;
}

/* SANDBOX_ENV_NAME=value, on top of runtime_startup_env_vars. */
static void take_startup(struct config *c, const char *const *environment)
{
	static const char prefix[] = "SANDBOX_ENV_";
	struct toml *map = NULL;
	for (; environment && *environment; environment++) {
		struct str entry = str_from(*environment);
		if (!str_starts(entry, STR("SANDBOX_ENV_")))
			continue;
		struct str rest = str_skip(entry, sizeof(prefix) - 1);
		ptrdiff_t eq = str_find_char(rest, '=');
		if (eq <= 0 || rest.len > TOML_TEXT_MAX / 4)
			continue;
		if (!map) {
			map = new_value(c, TOML_TABLE);
			const struct toml *old = c->values[KEY_SANDBOX_STARTUP_ENV].value;
			map->first = old ? old->first : NULL; /* the new ones come before */
			map->n = old ? old->n : 0;
		}
		struct toml *value = text_value(c, str_skip(rest, (size_t)eq + 1));
		value->key = str_from_len(arena_str(&c->arena, str_first(rest, (size_t)eq)),
			(size_t)eq);
		value->next = map->first;
		map->first = value;
		map->n++;
	}
	if (!map)
		return;
	c->values[KEY_SANDBOX_STARTUP_ENV].value = map;
	c->values[KEY_SANDBOX_STARTUP_ENV].origin = ORIGIN_ENVIRONMENT;
}

static int take_standards(struct config *c, struct error *err)
{
	for (int i = 0; i < KEY_MAX; i++) {
		auto_buf struct buf text = BUF_INIT(4096);
		struct toml *root;
		if (!config_rows[i].standard)
			continue;
		buf_printf(&text, "value = %s", config_rows[i].standard);
		if (toml_parse(buf_str(&text), &c->arena, &root, err) < 0 ||
			!fits(root->first, config_rows[i].type))
			return error_set(err, ERROR_INTERNAL, "the standard of %s.%s",
				config_rows[i].section, config_rows[i].name);
		c->values[i].value = root->first;
	}
	return 0;
}

/* A template that spells a standard out asks for nothing. */
bool config_is_standard(const struct config *c, enum config_key key)
{
	auto_buf struct buf text = BUF_INIT(TOML_TEXT_MAX);
	config_put_value(&text, c, key);
	return config_rows[key].standard && !strcmp(text.ptr, config_rows[key].standard);
}

static void warn_of_refused(struct config *c)
{
	for (int i = 0; i < KEY_MAX; i++)
		if (config_is_set(c, (enum config_key)i) &&
			config_rows[i].status == CONFIG_REFUSED &&
			!config_is_standard(c, (enum config_key)i))
			warn(c,
				arena_printf(&c->arena, "%s.%s (%s) is left aside: %s",
					config_rows[i].section, config_rows[i].name,
					config_origin_name(c->values[i].origin),
					config_rows[i].help));
}

int config_load(struct config *c, const char *file, const char *const *environment,
	struct error *err)
{
	if (take_standards(c, err) < 0)
		return -1;
	if ((file ? take_file(c, file, err) : find_file(c, environment, err)) < 0)
		return -1;
	for (int i = 0; i < KEY_MAX; i++)
		take_variable(c, (enum config_key)i, environment);
	take_startup(c, environment);
	warn_of_refused(c);
	return 0;
}

void config_set(struct config *c, enum config_key key, struct str text)
{
	c->values[key].value = text_value(c, text);
	c->values[key].origin = ORIGIN_COMMAND_LINE;
}

void config_set_list(struct config *c, enum config_key key, const char *const *items, int n)
{
	struct toml *list = new_value(c, TOML_ARRAY);
	for (int i = n - 1; i >= 0; i--) {
		struct toml *item = text_value(c, str_from(items[i]));
		item->next = list->first;
		list->first = item;
		list->n++;
	}
	c->values[key].value = list;
	c->values[key].origin = ORIGIN_COMMAND_LINE;
}

/* Reading. */

bool config_is_set(const struct config *c, enum config_key key)
{
	return c->values[key].origin != ORIGIN_STANDARD;
}

const struct toml *config_value(const struct config *c, enum config_key key)
{
	return c->values[key].value;
}

struct str config_text(const struct config *c, enum config_key key)
{
	const struct toml *t = c->values[key].value;
	return t ? t->text : STR_NONE;
}

int64_t config_int(const struct config *c, enum config_key key)
{
	const struct toml *t = c->values[key].value;
	int64_t bytes;
	if (t && t->kind == TOML_STRING)
		return num_parse_size(t->text, &bytes, NULL) == 0 ? bytes : 0;
	return t ? t->number : 0;
}

bool config_bool(const struct config *c, enum config_key key)
{
	return config_int(c, key) != 0;
}
