/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The command line is parsed as argparse would: options may be shortened and may have their value
 * after '=', one with several values takes all words up to the next option, the word that is left
 * over is the port. The port is checked and then of no use: whatever its number, the sandbox is
 * served below a path of this server.
 */
#include "face/openhands/start.h"

#include "base/auto.h"
#include "base/num.h"
#include "runtime/plugin.h"
#include "wire/allow.h"

#define MODULE        "action_execution_server"
#define AGENT_PROGRAM "openhands-agent-server"
#define AGENT_MODULE  "openhands.agent_server"

enum { PLUGINS_BYTES = 1024, UID_MAX = 65535, AGENT_PORT = 8000 };

struct start_body {
	struct str image;
	const struct json *command;
	struct str working_dir;
	struct field_map environment;
	struct str session_id;
	const struct json *resource_factor;
	struct str runtime_class;
	const struct json *run_as_user;
	const struct json *ignored;
};

#define AT(member) FIELD_AT(struct start_body, member)

static const char *const runtime_classes[] = { "gvisor", "sysbox", "sysbox-runc", NULL };

static const struct field start_fields[] = {
	{ "image", FIELD_STRING, AT(image), FIELD_REQUIRED,
		.help = "an image that is known here; anything else is the host image" },
	{ "command", FIELD_JSON, AT(command), FIELD_REQUIRED,
		.help = "command line of an action execution server or an agent server, in words or as one text" },
	{ "working_dir", FIELD_STRING, AT(working_dir), .help = "where an agent server starts" },
	{ "environment", FIELD_MAP, AT(environment),
		.help = "variables of everything in the sandbox" },
	{ "session_id", FIELD_STRING, AT(session_id), .help = "the caller's name for it" },
	{ "resource_factor", FIELD_JSON, AT(resource_factor),
		.help = "1, 2, 4 or 8 times the usual memory, disk and processes" },
	{ "runtime_class", FIELD_STRING, AT(runtime_class), .words = runtime_classes,
		.help = "how another server isolates; of no use here" },
	{ "run_as_user", FIELD_JSON, AT(run_as_user), .help = "the user id of an agent server" },
	{ "run_as_group", FIELD_JSON, AT(ignored), .help = "of no use here" },
	{ "fs_group", FIELD_JSON, AT(ignored), .help = "of no use here" },
	{ "image_pull_policy", FIELD_JSON, AT(ignored), .help = "of no use here" },
	{ 0 },
};

/* ---- the command line ---- */

struct words {
	const struct field_strings *argv;
	size_t at;
	struct str value; /* of --option=value, until it is taken; STR_NONE: none */
};

static bool has_word(const struct words *w)
{
	return w->at < w->argv->n;
}

static struct str peek(const struct words *w)
{
	return w->argv->items[w->at];
}

/* The one value of an option. */
static int take_value(struct words *w, const char *option, struct str *ret, struct error *err)
{
	if (w->value.ptr) {
		*ret = w->value;
		w->value = STR_NONE;
		return 0;
	}
	if (!has_word(w) || str_starts(peek(w), STR("--")))
		return error_set(err, ERROR_INVALID, "command: %s has no value", option);
	*ret = w->argv->items[w->at++];
	return 0;
}

static int take_workdir(struct words *w, struct arena *arena, struct start *s, struct error *err)
{
	if (take_value(w, "--working-dir", &s->workdir, err) < 0)
		return -1;
	if (!str_starts(s->workdir, STR("/")))
		return error_set(err, ERROR_INVALID,
			"command: --working-dir '%.*s' is not absolute",
			STR_ARG(str_first(s->workdir, 100)));
	if (s->workdir.len > START_PATH_MAX)
		return error_set(err, ERROR_INVALID, "command: --working-dir is too long");
	return 0;
}

static bool is_username(struct str name)
{
	for (size_t i = 0; i < name.len; i++) {
		char c = name.ptr[i];
		bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
		if (!is_letter && (i == 0 || !((c >= '0' && c <= '9') || c == '-')))
			return false;
	}
	return name.len > 0 && name.len <= START_NAME_MAX;
}

static int take_username(struct words *w, struct arena *arena, struct start *s, struct error *err)
{
	if (take_value(w, "--username", &s->username, err) < 0)
		return -1;
	if (!is_username(s->username))
		return error_set(err, ERROR_INVALID, "command: '%.*s' is no name of a user",
			STR_ARG(str_first(s->username, 60)));
	return 0;
}

static int take_uid(struct words *w, struct arena *arena, struct start *s, struct error *err)
{
	struct str value;
	if (take_value(w, "--user-id", &value, err) < 0)
		return -1;
	if (num_parse_i64(value, 0, UID_MAX, &s->uid, err) < 0)
		return error_wrap(err, "command: --user-id");
	return 0;
}

/* --plugins=NAME, or none or more words after it. */
static int take_plugins(struct words *w, struct arena *arena, struct start *s, struct error *err)
{
	auto_buf struct buf list = BUF_INIT(PLUGINS_BYTES);
	bool is_alone = w->value.ptr;
	int n = 0;
	while (is_alone ? n == 0 : has_word(w) && !str_starts(peek(w), STR("--"))) {
		struct str name;
		if (take_value(w, "--plugins", &name, err) < 0)
			return -1;
		if (!plugin_is_shipped(name) || n++ == START_PLUGINS_MAX)
			return error_set(err, ERROR_INVALID, "command: Plugin %.*s not found",
				STR_ARG(str_first(name, 60)));
		buf_puts(&list, list.len ? "," : "");
		buf_put(&list, name);
	}
	s->plugins = str_from(arena_str(arena, buf_str(&list)));
	return 0;
}

static int take_browser(struct words *w, struct arena *arena, struct start *s, struct error *err)
{
	s->has_browser = true;
	return 0;
}

static int take_no_browser(struct words *w, struct arena *arena, struct start *s, struct error *err)
{
	s->has_browser = false;
	return 0;
}

static int refuse_eval(struct words *w, struct arena *arena, struct start *s, struct error *err)
{
	return error_set(err, ERROR_UNSUPPORTED,
		"command: --browsergym-eval-env: there are no evaluation environments here");
}

static const struct option {
	const char *name;
	int (*take)(struct words *w, struct arena *arena, struct start *s, struct error *err);
} options[] = {
	{ "--browsergym-eval-env", refuse_eval },
	{ "--enable-browser", take_browser },
	{ "--no-enable-browser", take_no_browser },
	{ "--plugins", take_plugins },
	{ "--user-id", take_uid },
	{ "--username", take_username },
	{ "--working-dir", take_workdir },
};

/* By its name, or the beginning of it, as long as it is the beginning of one alone. */
static const struct option *find_option(struct str name, struct error *err)
{
	const struct option *found = NULL;
	for (size_t i = 0; i < ARRAY_LEN(options); i++) {
		if (str_is(name, options[i].name))
			return &options[i];
		if (name.len <= 2 || !str_starts(str_from(options[i].name), name))
			continue;
		if (found) {
			error_set(err, ERROR_INVALID, "command: '%.*s' may be %s or %s",
				STR_ARG(str_first(name, 60)), found->name, options[i].name);
			return NULL;
		}
		found = &options[i];
	}
	if (!found)
		error_set(err, ERROR_INVALID,
			"command: '%.*s' is no option of an action execution server",
			STR_ARG(str_first(name, 60)));
	return found;
}

static int take_option(struct words *w, struct arena *arena, struct start *s, struct error *err)
{
	struct str name = w->argv->items[w->at++];
	ptrdiff_t equals = str_find_char(name, '=');
	w->value = equals < 0 ? STR_NONE : str_skip(name, (size_t)equals + 1);
	const struct option *option = find_option(
		equals < 0 ? name : str_first(name, (size_t)equals), err);
	if (!option || option->take(w, arena, s, err) < 0)
		return -1;
	if (w->value.ptr)
		return error_set(err, ERROR_INVALID, "command: %s takes no value", option->name);
	return 0;
}

/* `-m some.module`. Anything else is a program that we do not know how to take the place of. */
static int find_module(struct words *w, struct error *err)
{
	for (w->at = 0; w->at + 1 < w->argv->n; w->at++)
		if (str_is(peek(w), "-m") && str_ends(w->argv->items[w->at + 1], STR(MODULE)))
			break;
	if (w->at + 1 >= w->argv->n)
		return error_set(err, ERROR_UNSUPPORTED,
			"command: only `python -m …%s PORT …` and `" AGENT_PROGRAM
			" --port PORT` can be started here",
			MODULE);
	w->at += 2;
	return 0;
}

/* The one word that belongs to no option, wherever it stands. */
static int take_port(struct words *w, bool *has_port, struct error *err)
{
	struct str word = w->argv->items[w->at++];
	int64_t port;
	if (*has_port)
		return error_set(err, ERROR_INVALID, "command: '%.*s' after the port",
			STR_ARG(str_first(word, 60)));
	if (num_parse_i64(word, 1, 65535, &port, NULL) < 0)
		return error_set(err, ERROR_INVALID, "command: '%.*s' is no port",
			STR_ARG(str_first(word, 60)));
	*has_port = true;
	return 0;
}

static int check_account(const struct start *s, struct error *err)
{
	if (s->uid == 0 && !str_is(s->username, "root"))
		return error_set(err, ERROR_INVALID, "command: user id 0 is root's, not %.*s's",
			STR_ARG(s->username));
	return 0;
}

int start_parse_command(const struct field_strings *argv, struct arena *arena, struct start *ret,
	struct error *err)
{
	struct words w = { .argv = argv };
	bool has_port = false;
	ret->workdir = STR("/workspace");
	ret->username = STR("openhands");
	ret->uid = START_UID;
	ret->plugins = STR("");
	ret->has_browser = true;
	if (find_module(&w, err) < 0)
		return -1;
	while (has_word(&w)) {
		bool is_option = str_starts(peek(&w), STR("--"));
		int r = is_option ? take_option(&w, arena, ret, err)
				  : take_port(&w, &has_port, err);
		if (r < 0)
			return -1;
	}
	if (!has_port)
		return error_set(err, ERROR_INVALID, "command: no port after %s", MODULE);
	return check_account(ret, err);
}

/* ---- the body ---- */

static struct str variable(const struct field_map *env, const char *name)
{
	struct str value = STR_NONE;
	for (size_t i = 0; i < env->n; i++)
		if (str_is(env->keys[i], name))
			value = env->values[i];
	return value;
}

/* As the original reads it: what is no yes is a no. */
static bool decode_su(const struct field_map *env)
{
	static const char *const yes[] = { "1", "true", "t", "yes", "y", "on" };
	struct str word = variable(env, "SU_TO_USER");
	for (size_t i = 0; i < ARRAY_LEN(yes); i++)
		if (str_eq_nocase(word, str_from(yes[i])))
			return true;
	return !word.ptr;
}

/* CAY_ALLOW: rules with commas or blanks between them. */
static int decode_allow(struct str list, struct arena *arena, struct field_strings *ret,
	struct error *err)
{
	struct str rule;
	*ret = (struct field_strings){ arena_alloc(arena, START_ALLOW_MAX * sizeof(struct str)),
		0 };
	while (list.len && str_split(&list, ',', &rule)) {
		struct allow_rule parsed;
		rule = str_trim(rule);
		if (!rule.len)
			continue;
		if (ret->n == START_ALLOW_MAX)
			return error_set(err, ERROR_INVALID,
				"environment: CAY_ALLOW: over %d rules", START_ALLOW_MAX);
		if (allow_rule_parse(rule, &parsed, err) < 0)
			return error_wrap(err, "environment: CAY_ALLOW");
		ret->items[ret->n++] = rule;
	}
	return 0;
}

static int decode_network(const struct field_map *env, struct arena *arena, struct start *ret,
	struct error *err)
{
	static const char *const words[] = { [NETWORK_LOOPBACK] = "loopback",
		[NETWORK_NONE] = "none",
		[NETWORK_HOST] = "host",
		[NETWORK_PROXY] = "proxy" };
	struct str word = variable(env, "CAY_NETWORK"), allow = variable(env, "CAY_ALLOW");
	if (!word.ptr)
		word = STR("loopback");
	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		if (!str_is(word, words[i]))
			continue;
		ret->network = (enum network_mode)i;
		if (i == NETWORK_PROXY)
			return decode_allow(allow, arena, &ret->allow, err);
		if (allow.len)
			return error_set(err, ERROR_INVALID,
				"environment: CAY_ALLOW is for CAY_NETWORK=proxy");
		return 0;
	}
	return error_set(err, ERROR_INVALID,
		"environment: CAY_NETWORK must be loopback, none, proxy or host, not '%.*s'",
		STR_ARG(str_first(word, 60)));
}

/* A number, as JSON or in digits; fractions of a machine are not for sale. */
static int decode_factor(const struct json *j, int64_t *ret, struct error *err)
{
	double factor = json_kind(j) == JSON_KIND_NULL ? 1 : json_double(j);
	if (factor != 1 && factor != 2 && factor != 4 && factor != START_FACTOR_MAX)
		return error_set(err, ERROR_INVALID, "resource_factor must be 1, 2, 4 or 8");
	*ret = (int64_t)factor;
	return 0;
}

/* One text: words with blanks between them, and nothing that a shell would look at. */
static int split_words(struct str text, struct arena *arena, struct field_strings *ret,
	struct error *err)
{
	struct str word;
	*ret = (struct field_strings){ arena_alloc(arena, START_WORDS_MAX * sizeof(struct str)),
		0 };
	for (size_t i = 0; i < text.len; i++)
		if (strchr("'\"\\$`&|;<>()*?[]{}~#!\n\r\t", text.ptr[i]))
			return error_set(err, ERROR_INVALID,
				"command: as one text it may not hold '%c': give it as an array of words",
				text.ptr[i] >= ' ' ? text.ptr[i] : ' ');
	while (text.len && str_split(&text, ' ', &word)) {
		if (!word.len)
			continue;
		if (ret->n == START_WORDS_MAX)
			return error_set(err, ERROR_INVALID, "command: over %d words",
				START_WORDS_MAX);
		ret->items[ret->n++] = word;
	}
	return 0;
}

static int decode_command(const struct json *command, struct arena *arena,
	struct field_strings *ret, struct error *err)
{
	if (json_kind(command) == JSON_KIND_STR)
		return split_words(json_str(command), arena, ret, err);
	if (json_kind(command) != JSON_KIND_ARRAY)
		return error_set(err, ERROR_INVALID, "start: command must be words");
	*ret = (struct field_strings){
		arena_alloc(arena, (json_len(command) + 1) * sizeof(struct str)), json_len(command)
	};
	for (size_t i = 0; i < ret->n; i++) {
		ret->items[i] = json_str(json_at(command, i));
		if (!ret->items[i].ptr || str_has_nul(ret->items[i]))
			return error_set(err, ERROR_INVALID, "start: command[%zu] must be a string",
				i);
	}
	return 0;
}

/* ---- an agent server ---- */

static bool is_agent_server(const struct field_strings *argv)
{
	struct str program = argv->n ? argv->items[0] : STR("");
	if (str_is(program, AGENT_PROGRAM) || str_ends(program, STR("/" AGENT_PROGRAM)))
		return true;
	for (size_t i = 0; i + 1 < argv->n; i++)
		if (str_is(argv->items[i], "-m"))
			return str_is(argv->items[i + 1], AGENT_MODULE);
	return false;
}

/* --port N, --port=N: all that has to be known of its options. */
static int decode_port(const struct field_strings *argv, int64_t *ret, struct error *err)
{
	*ret = AGENT_PORT;
	for (size_t i = 0; i < argv->n; i++) {
		struct str word = argv->items[i], value = STR_NONE;
		if (str_starts(word, STR("--port=")))
			value = str_skip(word, 7);
		else if (str_is(word, "--port"))
			value = i + 1 < argv->n ? argv->items[i + 1] : STR("");
		if (value.ptr && num_parse_i64(value, 1, 65535, ret, err) < 0)
			return error_wrap(err, "command: --port");
	}
	return 0;
}

static int decode_agent_server(const struct start_body *b, struct start *ret, struct error *err)
{
	ret->workdir = STR("/workspace");
	ret->cwd = b->working_dir.len ? b->working_dir : STR("/");
	ret->plugins = STR("");
	ret->runs_as_user = true;
	ret->uid = json_kind(b->run_as_user) == JSON_KIND_INT ? json_int(b->run_as_user)
							      : START_AGENT_UID;
	ret->username = ret->uid ? STR("openhands") : STR("root");
	if (ret->uid < 0 || ret->uid > UID_MAX)
		return error_set(err, ERROR_INVALID, "run_as_user must be 0 to %d", UID_MAX);
	if (!str_starts(ret->cwd, STR("/")) || ret->cwd.len > START_PATH_MAX)
		return error_set(err, ERROR_INVALID, "working_dir must be an absolute path");
	return decode_port(&ret->command, &ret->port, err);
}

int start_decode(const struct json *body, struct arena *arena, struct start *ret, struct error *err)
{
	void *params;
	if (fields_decode(start_fields, sizeof(struct start_body), "start", body, arena, &params,
		    err) < 0)
		return -1;
	const struct start_body *b = params;
	*ret = (struct start){
		.image = b->image,
		.session_id = b->session_id.len ? b->session_id : STR_NONE,
		.environment = b->environment,
		.runs_as_user = decode_su(&b->environment),
		.session_key = variable(&b->environment, "SESSION_API_KEY"),
	};
	if (b->environment.n > START_ENV_MAX)
		return error_set(err, ERROR_INVALID, "start: %zu variables; the limit is %d",
			b->environment.n, START_ENV_MAX);
	if (ret->session_key.len > START_KEY_MAX)
		return error_set(err, ERROR_INVALID, "environment: SESSION_API_KEY is too long");
	if (decode_command(b->command, arena, &ret->command, err) < 0 ||
		decode_factor(b->resource_factor, &ret->resource_factor, err) < 0 ||
		decode_network(&b->environment, arena, ret, err) < 0)
		return -1;
	if (is_agent_server(&ret->command))
		return decode_agent_server(b, ret, err);
	return start_parse_command(&ret->command, arena, ret, err);
}
