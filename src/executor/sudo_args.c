/* SPDX-License-Identifier: Apache-2.0 */
#include "executor/sudo_args.h"

#include "base/auto.h"
#include "base/num.h"

#define USAGE                                                                               \
	"usage: sudo [-EHiknSs] [-u user] [--] [NAME=value …] [command [argument …]]\n" \
	"Commands of this sandbox run without a password.\n"

/* ---- words ---- */

/* Cuts a NUL-terminated word off. */
static const char *take_word(struct str *rest)
{
	size_t n = rest->len ? strnlen(rest->ptr, rest->len) : 0;
	if (n == rest->len)
		return NULL;
	const char *word = rest->ptr;
	*rest = str_skip(*rest, n + 1);
	return word;
}

static int take_words(struct str *rest, size_t n, struct arena *arena, const char ***ret,
	struct error *err)
{
	const char **words = arena_new_n(arena, const char *, n + 1);
	for (size_t i = 0; i < n; i++)
		if (!(words[i] = take_word(rest)))
			return error_set(err, ERROR_PROTOCOL, "sudo: the request is cut off");
	*ret = words;
	return 0;
}

static size_t count_words(struct str rest)
{
	size_t n = 0;
	while (n < SUDO_WORDS_MAX && take_word(&rest))
		n++;
	return n;
}

/* ---- options ---- */

enum option_kind {
	IGNORED,
	WITH_VALUE,
	USER,
	KEEP_ENV,
	LOGIN,
	SHELL,
	LIST,
	VERSION,
	HELP,
	NOTHING
};

static const struct {
	char letter;
	const char *name;
	enum option_kind kind;
} options[] = {
	{ 'A', "askpass", IGNORED },
	{ 'b', "background", IGNORED },
	{ 'C', "close-from", WITH_VALUE },
	{ 'E', "preserve-env", KEEP_ENV },
	{ 'g', "group", WITH_VALUE },
	{ 'h', "help", HELP },
	{ 'H', "set-home", IGNORED },
	{ 'i', "login", LOGIN },
	{ 'k', "reset-timestamp", IGNORED },
	{ 'K', "remove-timestamp", NOTHING },
	{ 'l', "list", LIST },
	{ 'n', "non-interactive", IGNORED },
	{ 'p', "prompt", WITH_VALUE },
	{ 'P', "preserve-groups", IGNORED },
	{ 's', "shell", SHELL },
	{ 'S', "stdin", IGNORED },
	{ 'u', "user", USER },
	{ 'v', "validate", NOTHING },
	{ 'V', "version", VERSION },
};

static void apply(struct sudo_request *r, enum option_kind kind, const char *value)
{
	static const char *const answers[] = {
		[LIST] =
			"User may run the following commands in this sandbox:\n    (ALL) NOPASSWD: ALL\n",
		[VERSION] = "Sudo of cay\n",
		[HELP] = (USAGE),
		[NOTHING] = "",
	};
	if (kind == USER)
		r->user = value;
	else if (kind == KEEP_ENV)
		r->keeps_env = true;
	else if (kind == LOGIN)
		r->is_login = true;
	else if (kind == SHELL)
		r->is_shell = true;
	else if (kind >= LIST)
		r->answer = answers[kind];
}

static bool has_value(enum option_kind kind)
{
	return kind == WITH_VALUE || kind == USER;
}

static int unknown(const char *word, struct error *err)
{
	return error_set(err, ERROR_INVALID, "sudo: unknown option %.40s", word);
}

static int no_value(const char *word, struct error *err)
{
	return error_set(err, ERROR_INVALID, "sudo: option %.40s has no value", word);
}

/* --user=root, --user root, --preserve-env=LIST */
static int take_long(struct sudo_request *r, const char *const **argv, struct error *err)
{
	const char *word = *(*argv)++;
	struct str name = str_from(word + 2), value = STR_NONE;
	ptrdiff_t equals = str_find_char(name, '=');
	if (equals >= 0) {
		value = str_skip(name, (size_t)equals + 1);
		name = str_first(name, (size_t)equals);
	}
	for (size_t i = 0; i < ARRAY_LEN(options); i++) {
		if (!str_is(name, options[i].name))
			continue;
		if (has_value(options[i].kind) && !value.ptr) {
			if (!**argv)
				return no_value(word, err);
			value = str_from(*(*argv)++);
		}
		apply(r, options[i].kind, value.ptr);
		return 0;
	}
	return unknown(word, err);
}

/* -nE, -uroot, -u root */
static int take_letters(struct sudo_request *r, const char *const **argv, struct error *err)
{
	const char *word = *(*argv)++;
	for (const char *c = word + 1; *c; c++) {
		size_t i = 0;
		while (i < ARRAY_LEN(options) && options[i].letter != *c)
			i++;
		if (i == ARRAY_LEN(options))
			return unknown(word, err);
		if (!has_value(options[i].kind)) {
			apply(r, options[i].kind, NULL);
			continue;
		}
		if (!c[1] && !**argv)
			return no_value(word, err);
		apply(r, options[i].kind, c[1] ? c + 1 : *(*argv)++);
		return 0;
	}
	return 0;
}

static int take_options(struct sudo_request *r, const char *const **argv, struct error *err)
{
	while (**argv && (**argv)[0] == '-' && (**argv)[1]) {
		if (!strcmp(**argv, "--")) {
			(*argv)++;
			return 0;
		}
		int taken = (**argv)[1] == '-' ? take_long(r, argv, err)
					       : take_letters(r, argv, err);
		if (taken < 0)
			return -1;
	}
	return 0;
}

static bool is_assignment(const char *word)
{
	const char *equals = strchr(word, '=');
	return equals && equals != word && !memchr(word, '/', (size_t)(equals - word));
}

static int parse_args(struct sudo_request *r, size_t argc, const char *const *argv,
	struct arena *arena, struct error *err)
{
	if (argc > 0)
		argv++; /* its own name */
	if (take_options(r, &argv, err) < 0)
		return -1;
	const char **assigns = arena_new_n(arena, const char *, argc + 1);
	r->assigns = assigns;
	while (*argv && is_assignment(*argv))
		*assigns++ = *argv++;
	r->argv = argv;
	if (!r->answer && !*argv && !r->is_login && !r->is_shell)
		return error_set(err, ERROR_INVALID, "%s", USAGE);
	return 0;
}

int sudo_parse(struct str bytes, struct arena *arena, struct sudo_request *ret, struct error *err)
{
	const char **argv, **envp;
	int64_t argc;
	*ret = (struct sudo_request){ .user = "root" };
	ret->cwd = take_word(&bytes);
	const char *digits = ret->cwd ? take_word(&bytes) : NULL;
	if (!digits || ret->cwd[0] != '/' ||
		num_parse_i64(str_from(digits), 0, SUDO_WORDS_MAX, &argc, NULL) < 0)
		return error_set(err, ERROR_PROTOCOL, "sudo: the request has not the form of one");
	if (take_words(&bytes, (size_t)argc, arena, &argv, err) < 0 ||
		take_words(&bytes, count_words(bytes), arena, &envp, err) < 0)
		return -1;
	ret->envp = envp;
	return parse_args(ret, (size_t)argc, argv, arena, err);
}
