/* SPDX-License-Identifier: Apache-2.0 */
/* What the program `sudo` asks for: options, assignments, command, environment. */
#include "unit.h"

#include "base/auto.h"
#include "base/buf.h"
#include "executor/sudo_args.h"

static struct arena arena = ARENA_INIT(1 << 20);
static struct sudo_request r;
static struct error err;

static int teardown(void **state)
{
	arena_fini(&arena);
	return 0;
}

static int parse(const char *const *argv)
{
	static struct buf bytes;
	size_t argc = 0;
	buf_fini(&bytes);
	bytes = BUF_INIT(4096);
	while (argv[argc])
		argc++;
	buf_printf(&bytes, "/work");
	buf_putc(&bytes, '\0');
	buf_printf(&bytes, "%zu", argc);
	buf_putc(&bytes, '\0');
	for (size_t i = 0; i < argc; i++)
		buf_add(&bytes, argv[i], strlen(argv[i]) + 1);
	buf_add(&bytes, "A=1", 4);
	return sudo_parse(buf_str(&bytes), &arena, &r, &err);
}

#define PARSE(...) parse((const char *const[]){ "sudo", __VA_ARGS__, NULL })

static void a_command_runs_as_root_where_it_was_asked_for(void **state)
{
	assert_works(PARSE("chown", "-R", "a", "."), err);
	assert_string_equal(r.cwd, "/work");
	assert_string_equal(r.user, "root");
	assert_string_equal(r.argv[0], "chown");
	assert_string_equal(r.argv[1], "-R");
	assert_null(r.argv[4]);
	assert_string_equal(r.envp[0], "A=1");
	assert_null(r.answer);
}

static void options_come_in_every_form(void **state)
{
	assert_works(PARSE("-nE", "-u", "bob", "--", "-x"), err);
	assert_true(r.keeps_env);
	assert_string_equal(r.user, "bob");
	assert_string_equal(r.argv[0], "-x");
	assert_works(PARSE("-nubob", "id"), err);
	assert_string_equal(r.user, "bob");
	assert_works(PARSE("--user=bob", "--preserve-env=A,B", "id"), err);
	assert_string_equal(r.user, "bob");
	assert_true(r.keeps_env);
	assert_works(PARSE("--user", "bob", "-H", "-p", "prompt", "id"), err);
	assert_string_equal(r.argv[0], "id");
	assert_works(PARSE("-i"), err);
	assert_true(r.is_login);
	assert_works(PARSE("A=b", "C=", "./x=y", "D=e"), err);
	assert_string_equal(r.assigns[1], "C=");
	assert_null(r.assigns[2]);
	assert_string_equal(r.argv[0], "./x=y");
	assert_string_equal(r.argv[1], "D=e");
}

static void questions_are_answered_without_running_anything(void **state)
{
	assert_works(PARSE("-l"), err);
	assert_text(r.answer, "NOPASSWD");
	assert_works(PARSE("-v"), err);
	assert_string_equal(r.answer, "");
	assert_works(PARSE("--version"), err);
	assert_text(r.answer, "cay");
}

static void what_makes_no_sense_is_refused(void **state)
{
	assert_fails(PARSE("-Q", "id"), err, INVALID, "unknown option -Q");
	assert_fails(PARSE("--frob"), err, INVALID, "--frob");
	assert_fails(PARSE("-u"), err, INVALID, "no value");
	assert_fails(PARSE("--user"), err, INVALID, "no value");
	assert_fails(PARSE("-n"), err, INVALID, "usage:");
	assert_fails(parse((const char *const[]){ NULL }), err, INVALID, "usage:");
}

static void a_request_that_is_cut_off_is_refused(void **state)
{
	static const char whole[] = "/w\0002\0sudo\0id";
	for (size_t n = 0; n < sizeof(whole) - 1; n++)
		assert_true(sudo_parse(str_from_len(whole, n), &arena, &r, &err) < 0);
	assert_works(sudo_parse(str_from_len(whole, sizeof(whole)), &arena, &r, &err), err);
	static const char many[] = "/w\000999999\0sudo";
	assert_fails(sudo_parse(str_from_len(many, sizeof(many)), &arena, &r, &err), err, PROTOCOL,
		"form");
	static const char relative[] = "w\0001\0sudo";
	assert_fails(sudo_parse(str_from_len(relative, sizeof(relative)), &arena, &r, &err), err,
		PROTOCOL, "form");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_command_runs_as_root_where_it_was_asked_for),
		cmocka_unit_test(options_come_in_every_form),
		cmocka_unit_test(questions_are_answered_without_running_anything),
		cmocka_unit_test(what_makes_no_sense_is_refused),
		cmocka_unit_test(a_request_that_is_cut_off_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, teardown);
}
