/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The parts of a session that need no shell: keys, environments, the mark in the output, signals.
 */
#include "unit.h"

#include "base/auto.h"
#include "executor/env.h"
#include "executor/keys.h"
#include "executor/shell.h"

#include <signal.h>
#include <stdio.h>

static void keys_have_the_bytes_a_terminal_sends(void **state)
{
	auto_buf struct buf b = BUF_INIT(1000);
	struct error err;
	assert_int_equal(keys_parse(STR("C-c C-@ C-? M-x Enter Up F5 a \xc3\xa9"), &b, &err), 0);
	assert_memory_equal(b.ptr, "\x03\0\x7f\033x\r\033[A\033[15~a\xc3\xa9", b.len);
	assert_fails(keys_parse(STR("Enter Nonsense"), &b, &err), err, INVALID, "'Nonsense'");
	assert_fails(keys_parse(STR("C-!"), &b, &err), err, INVALID, "'C-!'");
}

static void an_environment_replaces_and_forgets(void **state)
{
	auto_env struct env env = { 0 };
	struct error err;
	assert_int_equal(env_set(&env, STR("A"), STR("1"), &err), 0);
	assert_int_equal(env_set(&env, STR("AB"), STR("x=y"), &err), 0);
	assert_int_equal(env_set(&env, STR("A"), STR("2"), &err), 0);
	assert_string_equal(env_get(&env, STR("A")), "2");
	assert_string_equal(env_get(&env, STR("AB")), "x=y");
	env_unset(&env, STR("A"));
	assert_null(env_get(&env, STR("A")));
	assert_string_equal(env_vector(&env)[0], "AB=x=y");
	assert_null(env_vector(&env)[1]);
	assert_fails(env_set(&env, STR("A=B"), STR(""), &err), err, INVALID, "'A=B'");
	assert_fails(env_set(&env, STR(""), STR(""), &err), err, INVALID, "''");
}

static void an_environment_has_ceilings(void **state)
{
	auto_env struct env env = { 0 };
	struct error err;
	char name[32];
	for (int i = 0; i < ENV_VARS_MAX; i++) {
		snprintf(name, sizeof(name), "V%d", i);
		assert_int_equal(env_set(&env, str_from(name), STR("x"), &err), 0);
	}
	assert_fails(env_set(&env, STR("ONE_MORE"), STR("x"), &err), err, LIMIT, "variables");
	assert_int_equal(env_set(&env, STR("V7"), STR("other"), &err), 0);
}

/* The mark is found however the output is cut, and nothing before it is lost. */
static void the_mark_is_found_in_pieces(void **state)
{
	static const char mark[] = "\033_abcdefghijklmnopqrstuvwxyz\033\\";
	char text[200];
	snprintf(text, sizeof(text), "out\033_abc\033\033_put%sbehind", mark);
	struct str whole = str_from(text);
	for (size_t step = 1; step <= whole.len; step++) {
		struct shell s = { .nonce = "abcdefghijklmnopqrstuvwxyz" };
		auto_buf struct buf before = BUF_INIT(1000);
		struct str rest = whole, after = STR_NONE;
		bool is_found = false;
		buf_init(&s.held, sizeof(mark) + 8);
		while (rest.len && !is_found) {
			struct str piece = str_first(rest, step);
			rest = str_skip(rest, piece.len);
			is_found = shell_split(&s, piece, &before, &after);
		}
		assert_true(is_found);
		assert_str(buf_str(&before), "out\033_abc\033\033_put");
		assert_int_equal(after.len + rest.len, strlen("behind"));
		buf_fini(&s.held);
	}
}

static void signals_have_names(void **state)
{
	struct error err;
	int signo;
	assert_true(signal_parse(STR("SIGTERM"), &signo, &err) == 0 && signo == SIGTERM);
	assert_true(signal_parse(STR("KILL"), &signo, &err) == 0 && signo == SIGKILL);
	assert_true(signal_parse(STR("2"), &signo, &err) == 0 && signo == SIGINT);
	assert_fails(signal_parse(STR("SIGNONSENSE"), &signo, &err), err, INVALID, "SIGNONSENSE");
	assert_fails(signal_parse(STR("0"), &signo, &err), err, INVALID, "'0'");
	assert_string_equal(signal_name(SIGHUP), "HUP");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keys_have_the_bytes_a_terminal_sends),
		cmocka_unit_test(an_environment_replaces_and_forgets),
		cmocka_unit_test(an_environment_has_ceilings),
		cmocka_unit_test(the_mark_is_found_in_pieces),
		cmocka_unit_test(signals_have_names),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
