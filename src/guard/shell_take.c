/* SPDX-License-Identifier: Apache-2.0 */
#include "guard/shell_take.h"

#include "base/auto.h"
#include "base/buf.h"

/* A program that runs the rest of its words. */
struct prefix {
	const char *name;
	const char *with_value; /* letters of options whose value is a word of its own */
	int skip;               /* words of its own before the program */
};

static const struct prefix prefixes[] = {
	{ "sudo", "ugChpRTUD", 0 },
	{ "doas", "uC", 0 },
	{ "env", "uC", 0 },
	{ "nohup", "", 0 },
	{ "command", "", 0 },
	{ "builtin", "", 0 },
	{ "exec", "a", 0 },
	{ "time", "fo", 0 },
	{ "nice", "n", 0 },
	{ "ionice", "cn", 0 },
	{ "setsid", "", 0 },
	{ "stdbuf", "ioe", 0 },
	{ "timeout", "ks", 1 },
	{ "xargs", "InPLdasE", 0 },
	{ "watch", "n", 0 },
	{ "busybox", "", 0 },
	{ "chronic", "", 0 },
	{ "unbuffer", "", 0 },
};

static const char *const reserved[] = { "if", "then", "else", "elif", "while", "until", "do", "!",
	"{", "}", "fi", "done", "coproc" };
static const char *const shells[] = { "sh", "bash", "dash", "zsh", "ksh", "ash", "fish", "csh",
	"tcsh" };

static bool is_one_of(struct str word, const char *const *words, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (str_is(word, words[i]))
			return true;
	return false;
}

bool shell_is_shell(struct str name)
{
	return is_one_of(name, shells, ARRAY_LEN(shells));
}

static struct str base_name(struct str path)
{
	for (size_t i = path.len; i > 0; i--)
		if (path.ptr[i - 1] == '/')
			return str_skip(path, i);
	return path;
}

static bool is_assignment(struct str word)
{
	ptrdiff_t eq = str_find_char(word, '=');
	for (ptrdiff_t i = 0; i < eq; i++) {
		char c = word.ptr[i];
		bool is_letter = (c | 0x20) >= 'a' && (c | 0x20) <= 'z';
		if (!is_letter && c != '_' && !(i > 0 && c >= '0' && c <= '9'))
			return false;
	}
	return eq > 0;
}

static void drop_words(struct shell_command *c, int n)
{
	n = MIN(n, c->n_words);
	c->words += n;
	c->n_words -= n;
}

static const struct prefix *find_prefix(struct str name)
{
	for (size_t i = 0; i < ARRAY_LEN(prefixes); i++)
		if (str_is(name, prefixes[i].name))
			return &prefixes[i];
	return NULL;
}

static void drop_options(struct shell_command *c, const char *with_value)
{
	while (c->n_words && c->words[0].text.len > 1 && c->words[0].text.ptr[0] == '-') {
		struct str word = c->words[0].text;
		bool is_end = str_is(word, "--");
		bool takes_next = word.len == 2 && strchr(with_value, word.ptr[1]);
		drop_words(c, takes_next ? 2 : 1);
		if (is_end)
			return;
	}
}

static void take_prefixes(struct shell_command *c)
{
	while (c->n_words) {
		struct str word = c->words[0].text;
		c->name = base_name(word);
		const struct prefix *prefix = find_prefix(c->name);
		if (is_assignment(word) || is_one_of(word, reserved, ARRAY_LEN(reserved))) {
			drop_words(c, 1);
		} else if (prefix && c->n_words > 1) {
			c->is_sudo |= str_is(c->name, "sudo") || str_is(c->name, "doas");
			c->is_by_xargs |= str_is(c->name, "xargs");
			drop_words(c, 1);
			drop_options(c, prefix->with_value);
			drop_words(c, prefix->skip);
		} else {
			return;
		}
	}
	c->name = STR("");
}

/* What runs by way of another. */

static void parse_joined(struct shell_script *s, const struct shell_word *words, int n, int depth)
{
	auto_buf struct buf b = BUF_INIT(SHELL_TEXT_MAX);
	for (int i = 0; i < n; i++) {
		buf_puts(&b, i ? " " : "");
		buf_put(&b, words[i].text);
	}
	if (b.is_full || !arena_has_room(s->arena, b.len + 64)) {
		s->is_cut = true;
		return;
	}
	shell_parse_more(s, str_from(arena_str(s->arena, buf_str(&b))), depth);
}

/* The text behind -c, -lc, …; NULL if there is none. */
static const struct shell_word *text_of_c(const struct shell_command *c)
{
	for (int i = 1; i < c->n_words; i++) {
		struct str word = c->words[i].text;
		if (word.len < 2 || word.ptr[0] != '-')
			return NULL;
		if (word.ptr[1] == '-' || str_find_char(word, 'c') < 0)
			continue;
		for (int k = i + 1; k < c->n_words; k++)
			if (!str_starts(c->words[k].text, STR("-")))
				return &c->words[k];
	}
	return NULL;
}

/* What echo or printf would write, for a shell that reads it. */
static void take_written(struct shell_script *s, const struct shell_command *from, int depth)
{
	int first = 1;
	if (!str_is(from->name, "echo") && !str_is(from->name, "printf"))
		return;
	while (first < from->n_words && str_starts(from->words[first].text, STR("-")))
		first++;
	parse_joined(s, from->words + first, from->n_words - first, depth);
}

static void take_shell(struct shell_script *s, int i, int depth)
{
	struct shell_command c = s->commands[i];
	const struct shell_word *text = text_of_c(&c);
	if (text) {
		shell_parse_more(s, text->text, depth);
		return;
	}
	if (c.here.ptr)
		shell_parse_more(s, c.here, depth);
	if (c.fed_by >= 0)
		take_written(s, &s->commands[c.fed_by], depth);
}

static void take_exec(struct shell_script *s, int i)
{
	struct shell_command c = s->commands[i];
	for (int k = 1; k < c.n_words; k++) {
		struct str word = c.words[k].text;
		if (!str_starts(word, STR("-exec")) && !str_starts(word, STR("-ok")))
			continue;
		int made = shell_add(s);
		while (made >= 0 && ++k < c.n_words && !str_is(c.words[k].text, ";"))
			if (!shell_add_word(s, made, c.words[k]))
				return;
	}
}

/* Each generation of texts within texts is one deeper; the ceilings end it. */
static void take_one(struct shell_script *s, int i, int depth)
{
	take_prefixes(&s->commands[i]);
	struct shell_command c = s->commands[i];
	if (shell_is_shell(c.name))
		take_shell(s, i, depth);
	else if (str_is(c.name, "eval") || (str_is(c.name, "watch") && c.n_words > 1))
		parse_joined(s, c.words + 1, c.n_words - 1, depth);
	else if (str_is(c.name, "trap") && c.n_words > 1)
		shell_parse_more(s, c.words[1].text, depth);
	else if (str_is(c.name, "find"))
		take_exec(s, i);
	else if (str_is(c.name, "su") || str_is(c.name, "script"))
		for (int k = 1; k + 1 < c.n_words; k++)
			if (str_is(c.words[k].text, "-c") || str_is(c.words[k].text, "--command"))
				shell_parse_more(s, c.words[k + 1].text, depth);
}

void shell_take_all(struct shell_script *script)
{
	int depth = 0, end = script->n;
	for (int i = 0; i < script->n; i++) {
		if (i == end) {
			end = script->n;
			depth++;
		}
		if (depth >= SHELL_DEPTH_MAX) {
			script->is_cut = true;
			return;
		}
		take_one(script, i, depth);
	}
}

/* Paths. */

/* "/home/x", "/root", "$HOME" and "~" are one place. */
static struct str without_home(struct str path)
{
	static const char *const homes[] = { "~", "$HOME", "${HOME}", "/root" };
	for (size_t i = 0; i < ARRAY_LEN(homes); i++) {
		struct str rest = str_skip(path, strlen(homes[i]));
		if (str_starts(path, str_from(homes[i])) && (!rest.len || rest.ptr[0] == '/'))
			return rest.len ? rest : STR("/");
	}
	if (!str_starts(path, STR("/home/")))
		return STR_NONE;
	struct str rest = str_skip(path, 6);
	ptrdiff_t slash = str_find_char(rest, '/');
	if (rest.len == 0 || slash == 0)
		return STR_NONE;
	return slash < 0 ? STR("/") : str_skip(rest, (size_t)slash);
}

static void put_steps(struct buf *b, struct str path)
{
	struct str step;
	while (str_split(&path, '/', &step)) {
		if (step.len == 0 || str_is(step, "."))
			continue;
		if (!str_is(step, "..")) {
			buf_puts(b, b->len ? "/" : "");
			buf_put(b, step);
			continue;
		}
		while (b->len > 0 && b->ptr[b->len - 1] != '/')
			buf_cut(b, b->len - 1);
		if (b->len > 0)
			buf_cut(b, b->len - 1);
	}
}

/* What climbs is taken to have climbed to the root. */
struct str shell_path(struct arena *arena, struct str path)
{
	if (path.len > SHELL_PATH_MAX || !arena_has_room(arena, 2 * path.len + 64))
		return STR("");
	auto_buf struct buf plain = BUF_INIT(8192), b = BUF_INIT(8192);
	bool is_rooted = str_starts(path, STR("/")) || str_starts(path, STR("../"));
	put_steps(&plain, path);
	if (is_rooted)
		buf_puts(&b, "/");
	buf_put(&b, buf_str(&plain));
	struct str rest = without_home(buf_str(&b));
	if (!rest.ptr)
		return str_from(arena_str(arena, buf_str(&b)));
	return str_from(arena_printf(arena, "~%.*s", STR_ARG(rest.len > 1 ? rest : STR_NONE)));
}
