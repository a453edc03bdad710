/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Takes a command line apart by its row, in one pass: options may stand before, between and after
 * the arguments, `--` ends them, and so does the first word of a program to run (ARGUMENT_COMMAND),
 * whose own options are none of ours. Long options take their value after '=' or as the next word,
 * short ones may be bundled (-it) and take it attached or as the next word. No abbreviations:
 * scripts outlive new options.
 */
#include "base/auto.h"
#include "base/buf.h"
#include "base/num.h"
#include "cli/command.h"
#include "cli/options.h"

enum { NEAREST_WORDS_MAX = 64 };

/* One word list being walked. */
struct walk {
	struct invocation *in;
	char **words;
	int n, i;
	bool options_end;
	struct error *err;
};

static int unknown_option(struct walk *w, struct str name)
{
	const char *names[NEAREST_WORDS_MAX];
	int n = 0;
	const struct command_option *o;
	while (n < NEAREST_WORDS_MAX && (o = command_option_at(w->in->command, n)))
		names[n++] = o->name;
	const char *near = command_nearest(name, names, n);
	if (near)
		return error_set(w->err, ERROR_INVALID, "unknown option --%.*s; did you mean --%s?",
			STR_ARG(str_first(name, 60)), near);
	return error_set(w->err, ERROR_INVALID, "unknown option --%.*s; see cay %s --help",
		STR_ARG(str_first(name, 60)), w->in->command->name);
}

static int check_word(const struct command_option *o, const char *text, struct error *err)
{
	auto_buf struct buf list = BUF_INIT(200);
	for (const char *const *word = o->words; *word; word++) {
		if (!strcmp(*word, text))
			return 0;
		buf_printf(&list, "%s%s", list.len ? ", " : "", *word);
	}
	return error_set(err, ERROR_INVALID, "must be one of %s, not '%.40s'", list.ptr, text);
}

static int add_text(struct walk *w, struct option_texts *texts, const char *text)
{
	if (texts->n == OPTION_TEXTS_MAX)
		return error_set(w->err, ERROR_INVALID, "given more than %d times",
			OPTION_TEXTS_MAX);
	/* Grows at powers of two: the arena keeps the old ones, twice the size in all. */
	if ((texts->n & (texts->n - 1)) == 0) {
		int room = texts->n ? 2 * texts->n : 1;
		const char **items = arena_new_n(&w->in->arena, const char *, (size_t)room);
		if (texts->n)
			memcpy(items, texts->items, sizeof(*items) * (size_t)texts->n);
		texts->items = items;
	}
	texts->items[texts->n++] = text;
	return 0;
}

static int parse_cpu(struct str s, int64_t *ret_milli, struct error *err)
{
	struct str rest = s, whole, part = STR_NONE;
	int64_t cores, milli = 0;
	str_split(&rest, '.', &whole);
	bool has_part = whole.len < s.len;
	if (has_part)
		part = str_skip(s, whole.len + 1);
	char digits[4] = "000";
	if (part.len > 3 || (has_part && part.len == 0))
		return error_set(err, ERROR_INVALID,
			"not a number of cores (such as 2 or 0.5): '%.*s'",
			STR_ARG(str_first(s, 20)));
	if (part.len)
		memcpy(digits, part.ptr, part.len);
	if (num_parse_i64(whole, 0, 100000, &cores, err) < 0 ||
		num_parse_i64(str_from(digits), 0, 999, &milli, err) < 0)
		return -1;
	*ret_milli = cores * 1000 + milli;
	return 0;
}

static int parse_number(const struct command_option *o, const char *text, int64_t *ret,
	struct error *err)
{
	struct str s = str_from(text);
	if (o->flags & OPTION_UNLIMITED && str_is(s, "unlimited")) {
		*ret = -1;
		return 0;
	}
	switch (o->type) {
	case OPTION_SIZE:
		return num_parse_size(s, ret, err);
	case OPTION_DURATION:
		return num_parse_duration(s, ret, err);
	case OPTION_CPU:
		return parse_cpu(s, ret, err);
	default:
		return o->min || o->max ? num_parse_i64(s, o->min, o->max, ret, err)
					: num_parse_i64(s, INT64_MIN, INT64_MAX, ret, err);
	}
}

static int set_value(struct walk *w, const struct command_option *o, const char *text)
{
	char *at = (char *)w->in->values + o->offset;
	int r = 0;
	switch (o->type) {
	case OPTION_FLAG:
		*(bool *)at = true;
		break;
	case OPTION_TEXT:
		r = o->words ? check_word(o, text, w->err) : 0;
		*(const char **)at = text;
		break;
	case OPTION_TEXTS:
		r = add_text(w, (struct option_texts *)at, text);
		break;
	default:
		r = parse_number(o, text, (int64_t *)at, w->err);
	}
	return r < 0 ? error_wrap(w->err, "--%s", o->name) : 0;
}

/* The option's value: what follows it in its own word, or the next word. */
static int take_value(struct walk *w, const struct command_option *o, const char *attached)
{
	if (o->type == OPTION_FLAG)
		return attached ? error_set(w->err, ERROR_INVALID, "--%s takes no value", o->name)
				: set_value(w, o, NULL);
	if (attached)
		return set_value(w, o, attached);
	if (w->i == w->n)
		return error_set(w->err, ERROR_INVALID, "--%s wants a value: %s", o->name,
			o->value);
	return set_value(w, o, w->words[w->i++]);
}

static int take_long(struct walk *w, const char *word)
{
	const char *eq = strchr(word, '=');
	struct str name = eq ? str_from_len(word, (size_t)(eq - word)) : str_from(word);
	const struct command_option *o;
	for (int i = 0; (o = command_option_at(w->in->command, i)); i++)
		if (str_is(name, o->name))
			return take_value(w, o, eq ? eq + 1 : NULL);
	return unknown_option(w, name);
}

static const struct command_option *find_letter(const struct command *c, char letter)
{
	const struct command_option *o;
	for (int i = 0; (o = command_option_at(c, i)); i++)
		if (o->letter == letter)
			return o;
	return NULL;
}

static int take_short(struct walk *w, const char *letters)
{
	while (*letters) {
		const struct command_option *o = find_letter(w->in->command, *letters);
		if (!o)
			return error_set(w->err, ERROR_INVALID,
				"unknown option -%c; see cay %s --help", *letters,
				w->in->command->name);
		letters++;
		if (o->type != OPTION_FLAG)
			return take_value(w, o, *letters ? letters : NULL);
		if (take_value(w, o, NULL) < 0)
			return -1;
	}
	return 0;
}

/* The argument of the row that the next word is; NULL if there is no room for one more. */
static const struct command_argument *argument_at(const struct command *c, int i)
{
	const struct command_argument *a = c->arguments;
	for (; a && a->name; a++, i--)
		if (i == 0 || a->flags & (ARGUMENT_MANY | ARGUMENT_COMMAND))
			return a;
	return NULL;
}

static int take_argument(struct walk *w, const char **args, const char *word)
{
	const struct command_argument *a = argument_at(w->in->command, w->in->n_args);
	if (!a)
		return error_set(w->err, ERROR_INVALID, "one argument too many: '%.60s'", word);
	if (a->flags & ARGUMENT_COMMAND)
		w->options_end = true;
	args[w->in->n_args++] = word;
	return 0;
}

static int take_word(struct walk *w, const char **args, const char *word)
{
	if (w->options_end || word[0] != '-' || word[1] == '\0')
		return take_argument(w, args, word);
	if (!strcmp(word, "--")) {
		w->options_end = true;
		return 0;
	}
	return word[1] == '-' ? take_long(w, word + 2) : take_short(w, word + 1);
}

static int check_enough(const struct invocation *in, struct error *err)
{
	const struct command_argument *a = in->command->arguments;
	for (int i = 0; a && a->name; a++, i++)
		if (i >= in->n_args && !(a->flags & ARGUMENT_OPTIONAL))
			return error_set(err, ERROR_INVALID, "%s is missing; see cay %s --help",
				a->name, in->command->name);
	return 0;
}

int invocation_parse(const struct command *command, int argc, char **argv, struct invocation *ret,
	struct error *err)
{
	*ret = (struct invocation){ .command = command,
		.argv = argv,
		.argc = argc,
		.arena = ARENA_INIT(16 << 20) };
	ret->values = arena_alloc(&ret->arena, command->values_size);
	const char **args = arena_new_n(&ret->arena, const char *, (size_t)argc + 1);
	ret->args = args;

	struct walk w = { .in = ret, .words = argv, .n = argc, .err = err };
	const struct command_option *o;
	for (int i = 0; (o = command_option_at(command, i)); i++)
		if (o->standard && o->type != OPTION_TEXTS && set_value(&w, o, o->standard) < 0)
			return -1;
	while (w.i < w.n)
		if (take_word(&w, args, w.words[w.i++]) < 0)
			return -1;
	if (((struct common_options *)ret->values)->help)
		return 0;
	return check_enough(ret, err);
}

void invocation_fini(struct invocation *in)
{
	arena_fini(&in->arena);
}
