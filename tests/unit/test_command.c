/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/command.h"

#include "base/buf.h"
#include "cli/help.h"
#include "cli/options.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

static struct invocation in;
static struct error err;

/* Takes the words of a command line apart; the first is the command. */
static int parse(const char *const *words)
{
	static char *argv[64];
	int n = 0;
	err = (struct error){ 0 };
	for (; words[n]; n++)
		argv[n] = (char *)(uintptr_t)words[n];
	argv[n] = NULL;
	const struct command *c = command_find(str_from(words[0]));
	assert_non_null(c);
	return invocation_parse(c, n - 1, argv + 1, &in, &err);
}

#define PARSE(...) parse((const char *const[]){ __VA_ARGS__, NULL })

static int forget(void **state)
{
	invocation_fini(&in);
	return 0;
}

static void takes_values_attached_and_apart(void **state)
{
	assert_int_equal(
		PARSE("create", "--memory", "512M", "--pids=7", "-eA=1", "-e", "B", "--cpu", "1.5"),
		0);
	const struct create_options *o = in.values;
	assert_int_equal(o->spec.memory_bytes, 512 << 20);
	assert_int_equal(o->spec.pids, 7);
	assert_int_equal(o->spec.cpu_milli, 1500);
	assert_int_equal(o->spec.env.n, 2);
	assert_string_equal(o->spec.env.items[0], "A=1");
	assert_string_equal(o->spec.env.items[1], "B");
}

static void keeps_many_values_in_order(void **state)
{
	assert_int_equal(PARSE("create", "-ea", "-eb", "-ec", "-ed", "-ee"), 0);
	const struct create_options *o = in.values;
	assert_int_equal(o->spec.env.n, 5);
	for (int i = 0; i < 5; i++)
		assert_int_equal(o->spec.env.items[i][0], 'a' + i);
}

static void gives_standard_values_to_what_is_not_named(void **state)
{
	assert_int_equal(PARSE("create"), 0);
	const struct create_options *o = in.values;
	assert_string_equal(o->spec.network, "loopback");
	assert_string_equal(o->spec.workdir, "/workspace");
	assert_int_equal(o->spec.memory_bytes, 0);
	assert_null(o->spec.workspace);
}

static void takes_unlimited_only_where_it_means_something(void **state)
{
	assert_int_equal(PARSE("create", "--memory", "unlimited", "--pids", "unlimited"), 0);
	const struct create_options *o = in.values;
	assert_int_equal(o->spec.memory_bytes, -1);
	assert_int_equal(o->spec.pids, -1);
	invocation_fini(&in);
	assert_int_equal(PARSE("create", "--timeout", "unlimited"), -1);
}

static void leaves_the_options_of_a_program_alone(void **state)
{
	assert_int_equal(PARSE("exec", "-i", "demo", "-t", "gcc", "--version", "-i", "--", "x"), 0);
	const struct exec_options *o = in.values;
	assert_true(o->input);
	assert_true(o->tty);
	assert_int_equal(in.n_args, 6);
	assert_string_equal(in.args[1], "gcc");
	assert_string_equal(in.args[2], "--version");
	assert_string_equal(in.args[4], "--");
	assert_null(in.args[6]);
}

static void ends_options_at_two_dashes(void **state)
{
	assert_int_equal(PARSE("run", "--dry-run", "--", "--help"), 0);
	assert_int_equal(in.n_args, 1);
	assert_string_equal(in.args[0], "--help");
	assert_false(((struct common_options *)in.values)->help);
}

static void takes_bundled_letters(void **state)
{
	assert_int_equal(PARSE("exec", "-itw/tmp", "demo", "sh"), 0);
	const struct exec_options *o = in.values;
	assert_true(o->input && o->tty);
	assert_string_equal(o->workdir, "/tmp");
}

static void takes_one_dash_as_an_argument(void **state)
{
	assert_int_equal(PARSE("cp", "demo:/f", "-"), 0);
	assert_string_equal(in.args[1], "-");
}

static void wants_no_arguments_for_help(void **state)
{
	assert_int_equal(PARSE("exec", "--help"), 0);
	assert_true(((struct common_options *)in.values)->help);
}

static void refuse(const char *text)
{
	assert_int_equal(err.code, ERROR_INVALID);
	if (!strstr(err.text, text))
		fail_msg("'%s' does not say '%s'", err.text, text);
}

static void names_what_it_refuses(void **state)
{
	static const struct {
		const char *words[4], *says;
	} rows[] = {
		{ { "create", "--memry", "1" }, "unknown option --memry; did you mean --memory?" },
		{ { "create", "--mem=1" }, "did you mean --memory?" },
		{ { "create", "--zzzzzz" }, "unknown option --zzzzzz; see cay create --help" },
		{ { "create", "-z" }, "unknown option -z" },
		{ { "create", "--memory" }, "--memory wants a value: SIZE" },
		{ { "create", "--memory", "x" }, "--memory: not a size" },
		{ { "create", "--network", "x" },
			"--network: must be one of loopback, none, host" },
		{ { "create", "--pids", "0" }, "--pids: 0 is not between 1 and" },
		{ { "create", "--cpu", "1." }, "--cpu: not a number of cores" },
		{ { "create", "--cpu", "0.1234" }, "--cpu: not a number of cores" },
		{ { "create", "--cpu", "0.-1" }, "--cpu: " },
		{ { "create", "--cpu", "-1" }, "--cpu: " },
		{ { "create", "demo" }, "one argument too many: 'demo'" },
		{ { "exec", "demo" }, "COMMAND is missing" },
		{ { "exec" }, "SANDBOX is missing" },
		{ { "stop" }, "SANDBOX is missing" },
		{ { "ls", "--json=yes" }, "--json takes no value" },
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_int_equal(parse(rows[i].words), -1);
		refuse(rows[i].says);
		invocation_fini(&in);
	}
}

static void refuses_more_values_than_its_ceiling(void **state)
{
	static char *argv[OPTION_TEXTS_MAX + 2];
	static char word[] = "-ea";
	for (int i = 0; i <= OPTION_TEXTS_MAX; i++)
		argv[i] = word;
	assert_int_equal(invocation_parse(command_find(STR("create")), OPTION_TEXTS_MAX + 1, argv,
				 &in, &err),
		-1);
	refuse("given more than 1024 times");
}

static void finds_the_nearest_word_if_it_is_near(void **state)
{
	static const char *const words[] = { "create", "events", "exec", "ls" };
	assert_string_equal(command_nearest(STR("craete"), words, 4), "create");
	assert_string_equal(command_nearest(STR("ev"), words, 4), "events");
	assert_string_equal(command_nearest(STR("exce"), words, 4), "exec");
	assert_null(command_nearest(STR("destroy"), words, 4));
	assert_null(command_nearest(STR("x"), words, 4));
	assert_null(
		command_nearest(STR("an-option-with-a-name-that-is-longer-than-any"), words, 4));
}

/*
 * What a row may not be: two options of one name, a letter twice, no help, defaults that do not
 * parse.
 */
static void every_row_is_sound(void **state)
{
	for (const struct command *const *c = command_table; *c; c++) {
		const struct command_option *a, *b;
		for (int i = 0; (a = command_option_at(*c, i)); i++) {
			assert_non_null(a->help);
			assert_true((a->type == OPTION_FLAG) == (a->value == NULL));
			assert_true(a->offset < (*c)->values_size);
			for (int j = i + 1; (b = command_option_at(*c, j)); j++) {
				assert_string_not_equal(a->name, b->name);
				assert_true(!a->letter || a->letter != b->letter);
			}
		}
		char help[] = "--help", *argv[] = { help, NULL };
		assert_int_equal(invocation_parse(*c, 1, argv, &in, &err), 0);
		invocation_fini(&in);
		auto_buf struct buf text = BUF_INIT(HELP_TEXT_MAX);
		help_put_command(&text, *c);
		assert_false(text.is_full);
		assert_non_null(strstr(text.ptr, (*c)->name));
	}
}

static size_t columns(struct str line)
{
	size_t n = 0;
	for (size_t i = 0; i < line.len; i++)
		n += ((unsigned char)line.ptr[i] & 0xc0) != 0x80;
	return n;
}

static void help_fits_a_terminal(void **state)
{
	auto_buf struct buf text = BUF_INIT(HELP_TEXT_MAX);
	help_put_overview(&text);
	for (const struct command *const *c = command_table; *c; c++)
		help_put_command(&text, *c);
	struct str rest = buf_str(&text), line;
	while (str_split(&rest, '\n', &line))
		if (columns(line) > HELP_COLUMNS)
			fail_msg("%zu columns: %.*s", columns(line), STR_ARG(line));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(takes_values_attached_and_apart, forget),
		cmocka_unit_test_teardown(keeps_many_values_in_order, forget),
		cmocka_unit_test_teardown(gives_standard_values_to_what_is_not_named, forget),
		cmocka_unit_test_teardown(takes_unlimited_only_where_it_means_something, forget),
		cmocka_unit_test_teardown(leaves_the_options_of_a_program_alone, forget),
		cmocka_unit_test_teardown(ends_options_at_two_dashes, forget),
		cmocka_unit_test_teardown(takes_bundled_letters, forget),
		cmocka_unit_test_teardown(takes_one_dash_as_an_argument, forget),
		cmocka_unit_test_teardown(wants_no_arguments_for_help, forget),
		cmocka_unit_test(names_what_it_refuses),
		cmocka_unit_test_teardown(refuses_more_values_than_its_ceiling, forget),
		cmocka_unit_test(finds_the_nearest_word_if_it_is_near),
		cmocka_unit_test(every_row_is_sound),
		cmocka_unit_test(help_fits_a_terminal),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
