/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/command.h"

#include "base/auto.h"
#include "base/bug.h"
#include "base/num.h"

const struct command_name command_names[] = {
#define COMMAND(name, program, summary) { name, program, summary },
#include "cli/command.def"
#undef COMMAND
	{ 0 },
};

enum { EXIT_HELP = 1 }; /* command_parse: --help was asked for */

const struct command_name *command_name_find(const char *name)
{
	for (const struct command_name *n = command_names; n->name; n++)
		if (!strcmp(n->name, name))
			return n;
	return NULL;
}

static const struct option_row *find_long(const struct command *c, struct str name)
{
	for (const struct option_row *o = c->options; o && o->name; o++)
		if (str_is(name, o->name))
			return o;
	return NULL;
}

static const struct option_row *find_letter(const struct command *c, char letter)
{
	for (const struct option_row *o = c->options; o && o->name; o++)
		if (o->letter && o->letter == letter)
			return o;
	return NULL;
}

static int check_word(const struct option_row *o, const char *value, struct error *err)
{
	auto_buf struct buf b = BUF_INIT(200);
	for (const char *const *w = o->words; w && *w; w++) {
		if (!strcmp(*w, value))
			return 0;
		buf_printf(&b, "%s%s", b.len ? ", " : "", *w);
	}
	if (!o->words)
		return 0;
	return error_set(err, ERROR_INVALID, "'%.100s' is none of %s", value, b.ptr);
}

static int set_number(const struct option_row *o, const char *value, int64_t *at, struct error *err)
{
	struct str s = str_from(value);
	if (o->type == OPTION_SIZE)
		return num_parse_size(s, at, err);
	if (o->type == OPTION_DURATION)
		return num_parse_duration(s, at, err);
	bool is_bounded = o->min || o->max;
	return num_parse_i64(s, is_bounded ? o->min : INT64_MIN, is_bounded ? o->max : INT64_MAX,
		at, err);
}

static int set_value(const struct option_row *o, const char *value, void *options,
	struct error *err)
{
	void *at = (char *)options + o->offset;
	struct option_list *list = at;
	switch (o->type) {
	case OPTION_FLAG:
		*(bool *)at = true;
		return 0;
	case OPTION_STRING:
		*(const char **)at = value;
		return check_word(o, value, err);
	case OPTION_LIST:
		if (list->n == OPTION_LIST_MAX)
			return error_set(err, ERROR_INVALID, "given more than %d times",
				OPTION_LIST_MAX);
		list->items[list->n++] = value;
		return check_word(o, value, err);
	default:
		return set_number(o, value, at, err);
	}
}

/* One option with its value; `value` is NULL if none was joined to it. Moves *i past a value taken. */
static int take_option(const struct command *c, const struct option_row *o, const char *value,
	char **argv, int *i, void *options, struct error *err)
{
	if (o->type == OPTION_FLAG) {
		if (value)
			return error_set(err, ERROR_INVALID, "--%s takes no value", o->name);
	} else if (!value) {
		value = argv[*i + 1];
		if (!value)
			return error_set(err, ERROR_INVALID, "--%s needs a value: %s", o->name,
				o->value ? o->value : "VALUE");
		++*i;
	}
	if (set_value(o, value, options, err) < 0)
		return error_wrap(err, "--%s", o->name);
	return 0;
}

static int take_long(const struct command *c, char **argv, int *i, void *options, struct error *err)
{
	struct str name = str_from(argv[*i] + 2);
	const char *value = NULL;
	ptrdiff_t eq = str_find_char(name, '=');
	if (eq >= 0) {
		value = name.ptr + eq + 1;
		name = str_first(name, (size_t)eq);
	}
	if (str_is(name, "help"))
		return EXIT_HELP;
	const struct option_row *o = find_long(c, name);
	if (!o)
		return error_set(err, ERROR_INVALID,
			"there is no option --%.*s (cay %s --help lists them)",
			STR_ARG(str_first(name, 60)), c->name);
	return take_option(c, o, value, argv, i, options, err);
}

static int take_letters(const struct command *c, char **argv, int *i, void *options,
	struct error *err)
{
	for (const char *p = argv[*i] + 1; *p; p++) {
		const struct option_row *o = find_letter(c, *p);
		if (!o && *p == 'h')
			return EXIT_HELP;
		if (!o)
			return error_set(err, ERROR_INVALID,
				"there is no option -%c (cay %s --help lists them)", *p, c->name);
		bool ends = o->type != OPTION_FLAG;
		if (take_option(c, o, ends && p[1] ? p + 1 : NULL, argv, i, options, err) < 0)
			return -1;
		if (ends)
			break;
	}
	return 0;
}

static int set_standards(const struct command *c, void *options, struct error *err)
{
	for (const struct option_row *o = c->options; o && o->name; o++)
		if (o->standard && o->type != OPTION_LIST &&
			set_value(o, o->standard, options, err) < 0)
			BUG("the standard value of an option does not parse");
	return 0;
}

static int check_count(const struct command *c, int n, struct error *err)
{
	if (n < c->min_arguments)
		return error_set(err, ERROR_INVALID, "usage: cay %s [OPTION…] %s", c->name,
			c->arguments ? c->arguments : "");
	if (c->max_arguments >= 0 && n > c->max_arguments)
		return error_set(err, ERROR_INVALID,
			"too many arguments; usage: cay %s [OPTION…] %s", c->name,
			c->arguments ? c->arguments : "");
	return 0;
}

/* Moves arguments behind the options, so that argv[*ret_first…] holds all of them in their order. */
int command_parse(const struct command *c, int argc, char **argv, void *options, int *ret_first,
	struct error *err)
{
	if (set_standards(c, options, err) < 0)
		return -1;
	auto_free char **arguments = mem_new_n(char *, (size_t)argc + 1);
	int n = 0, i = 1;
	for (; i < argc; i++) {
		const char *a = argv[i];
		if (!strcmp(a, "--")) {
			i++;
			break;
		}
		if (a[0] != '-' || !a[1]) {
			if (c->flags & COMMAND_STOPS)
				break;
			arguments[n++] = argv[i];
			continue;
		}
		int r = a[1] == '-' ? take_long(c, argv, &i, options, err)
				    : take_letters(c, argv, &i, options, err);
		if (r != 0)
			return r;
	}
	while (i < argc)
		arguments[n++] = argv[i++];
	*ret_first = argc - n;
	memcpy(argv + *ret_first, arguments, (size_t)n * sizeof(*arguments));
	return check_count(c, n, err);
}

int command_fail(const struct command *c, const struct error *err)
{
	fprintf(stderr, "cay %s: %s\n", c->name, err->text);
	return error_exit(err->code);
}

int command_main(const struct command *c, int argc, char **argv)
{
	struct error err = { 0 };
	auto_free void *options = mem_zalloc(c->options_size ? c->options_size : 1);
	int first = 0;
	int r = command_parse(c, argc, argv, options, &first, &err);
	if (r < 0) {
		int code = command_fail(c, &err);
		return c->bad_usage_exit ? c->bad_usage_exit : code;
	}
	if (r == EXIT_HELP) {
		auto_buf struct buf b = BUF_INIT(1 << 20);
		command_help(c, &b);
		return fwrite(b.ptr, 1, b.len, stdout) == b.len ? 0 : 1;
	}
	return c->run(options, argc - first, argv + first);
}

int command_dispatch(const struct command *const *table, int argc, char **argv, int *ret_exit)
{
	for (; argc > 1 && *table; table++) {
		if (strcmp((*table)->name, argv[1]) != 0)
			continue;
		*ret_exit = command_main(*table, argc - 1, argv + 1);
		return 0;
	}
	return -1;
}
