/* SPDX-License-Identifier: Apache-2.0 */
/* What POST /start of the Remote Runtime API says. */
#include "unit.h"

#include "base/auto.h"
#include "face/openhands/start.h"

#define MODULE "\"python\",\"-u\",\"-m\",\"openhands.runtime.action_execution_server\""

static int decode(const char *text, struct arena *arena, struct start *ret, struct error *err)
{
	/* Kept: strings of the result are views of it. */
	static struct json *body;
	json_free(body);
	body = NULL;
	return json_parse(str_from(text), &body, err) < 0 ? -1
							  : start_decode(body, arena, ret, err);
}

static void a_client_s_command_line_is_understood(void **state)
{
	auto_arena struct arena arena = ARENA_INIT(1 << 20);
	struct start s;
	struct error err;
	assert_works(
		decode("{\"image\":\"ghcr.io/x:y\",\"session_id\":\"rt_1\",\"resource_factor\":2,"
		       "\"working_dir\":\"/openhands/code/\",\"environment\":{\"A\":\"b\"},"
		       "\"command\":[\"/openhands/micromamba/bin/micromamba\",\"run\",\"-n\",\"openhands\","
		       "\"poetry\",\"run\"," MODULE
		       ",\"60000\",\"--working-dir\",\"/w\",\"--plugins\","
		       "\"agent_skills\",\"jupyter\",\"--username\",\"openhands\",\"--user-id\",\"1000\","
		       "\"--no-enable-browser\"]}",
			&arena, &s, &err),
		err);
	assert_str(s.workdir, "/w");
	assert_str(s.plugins, "agent_skills,jupyter");
	assert_str(s.username, "openhands");
	assert_str(s.session_id, "rt_1");
	assert_int_equal(s.uid, 1000);
	assert_false(s.has_browser);
	assert_int_equal(s.resource_factor, 2);
	assert_str(s.environment.keys[0], "A");
}

static void options_may_be_shortened_and_the_port_may_stand_anywhere(void **state)
{
	auto_arena struct arena arena = ARENA_INIT(1 << 20);
	struct start s;
	struct error err;
	assert_works(decode("{\"image\":\"x\",\"command\":[" MODULE
			    ",\"--work=/w=1\",\"--plugins=vscode\",\"60000\",\"--user-id=33\","
			    "\"--usern\",\"w-w\",\"--no\",\"--enable-browser\"]}",
			     &arena, &s, &err),
		err);
	assert_str(s.workdir, "/w=1");
	assert_str(s.plugins, "vscode");
	assert_str(s.username, "w-w");
	assert_int_equal(s.uid, 33);
	assert_true(s.has_browser);
}

static void plugins_may_be_none(void **state)
{
	auto_arena struct arena arena = ARENA_INIT(1 << 20);
	struct start s;
	struct error err;
	assert_works(decode("{\"image\":\"x\",\"command\":[" MODULE
			    ",\"1\",\"--plugins\",\"--user-id=33\"]}",
			     &arena, &s, &err),
		err);
	assert_int_equal(s.plugins.len, 0);
	assert_int_equal(s.uid, 33);
}

static void what_the_environment_says_to_the_server_is_heard(void **state)
{
	auto_arena struct arena arena = ARENA_INIT(1 << 20);
	struct start s;
	struct error err;
	assert_works(decode("{\"image\":\"x\",\"environment\":{\"SESSION_API_KEY\":\"k\","
			    "\"SU_TO_USER\":\"False\"},\"command\":[" MODULE ",\"1\"]}",
			     &arena, &s, &err),
		err);
	assert_str(s.session_key, "k");
	assert_false(s.runs_as_user);
}

static void what_is_not_said_is_as_with_the_original(void **state)
{
	auto_arena struct arena arena = ARENA_INIT(1 << 20);
	struct start s;
	struct error err;
	assert_works(
		decode("{\"image\":\"x\",\"command\":[" MODULE ",\"60000\"]}", &arena, &s, &err),
		err);
	assert_str(s.workdir, "/workspace");
	assert_str(s.username, "openhands");
	assert_true(s.has_browser);
	assert_int_equal(s.plugins.len, 0);
	assert_int_equal(s.resource_factor, 1);
	assert_null(s.session_id.ptr);
	assert_int_equal(s.session_key.len, 0);
	assert_true(s.runs_as_user);
	assert_int_equal(s.uid, 1000);
}

static void what_cannot_be_started_is_refused_by_name(void **state)
{
	static const struct {
		const char *body, *words;
	} rows[] = {
		{ "{\"image\":\"x\"}", "'command'" },
		{ "{\"image\":\"x\",\"command\":[\"sh\",\"-c\",\"true\"]}", "only `python -m" },
		{ "{\"image\":\"x\",\"command\":[" MODULE "]}", "no port" },
		{ "{\"image\":\"x\",\"command\":[" MODULE ",\"0\"]}", "'0' is no port" },
		{ "{\"image\":\"x\",\"command\":[" MODULE ",\"1\",\"2\"]}", "'2' after the port" },
		{ "{\"image\":\"x\",\"command\":[" MODULE ",\"1\",\"--user\",\"2\"]}",
			"may be --user-id or --username" },
		{ "{\"image\":\"x\",\"command\":[" MODULE ",\"1\",\"--no-enable-browser=1\"]}",
			"takes no value" },
		{ "{\"image\":\"x\",\"command\":[" MODULE ",\"1\",\"--user-id\",\"0\"]}",
			"user id 0 is root's" },
		{ "{\"image\":\"x\",\"command\":[" MODULE ",\"1\",\"--what\"]}", "--what" },
		{ "{\"image\":\"x\",\"command\":[" MODULE ",\"1\",\"--working-dir\"]}",
			"no value" },
		{ "{\"image\":\"x\",\"command\":[" MODULE ",\"1\",\"--working-dir\",\"w\"]}",
			"not absolute" },
		{ "{\"image\":\"x\",\"command\":[" MODULE ",\"1\",\"--username\",\"a:b\"]}",
			"'a:b' is no name" },
		{ "{\"image\":\"x\",\"command\":[" MODULE ",\"1\",\"--user-id\",\"-1\"]}",
			"--user-id" },
		{ "{\"image\":\"x\",\"command\":[" MODULE ",\"1\",\"--plugins\",\"a/b\"]}",
			"Plugin a/b not found" },
		{ "{\"image\":\"x\",\"command\":[" MODULE
		  ",\"1\",\"--browsergym-eval-env\",\"browsergym/x\"]}",
			"no evaluation environments" },
		{ "{\"image\":\"x\",\"resource_factor\":3,\"command\":[" MODULE ",\"1\"]}",
			"resource_factor" },
		{ "{\"image\":\"x\",\"environment\":{\"CAY_NETWORK\":\"lan\"},\"command\":[" MODULE
		  ",\"1\"]}",
			"CAY_NETWORK must be" },
		{ "{\"image\":\"x\",\"flavour\":1,\"command\":[" MODULE ",\"1\"]}", "flavour" },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		auto_arena struct arena arena = ARENA_INIT(1 << 20);
		struct start s;
		struct error err = { 0 };
		assert_true(decode(rows[i].body, &arena, &s, &err) < 0);
		assert_text(err.text, rows[i].words);
	}
}

/* As APIRemoteWorkspace asks for one. */
#define AGENT(command, more)                                                                   \
	"{\"image\":\"x\",\"command\":" command ",\"working_dir\":\"/\",\"session_id\":\"s\"," \
	"\"run_as_user\":10001,\"fs_group\":10001,\"image_pull_policy\":\"IfNotPresent\"" more "}"
#define PROGRAM "/usr/local/bin/openhands-agent-server"

static void an_agent_server_is_run_as_it_stands(void **state)
{
	auto_arena struct arena arena = ARENA_INIT(1 << 20);
	struct start s;
	struct error err;
	assert_works(decode(AGENT("\"" PROGRAM " --port 60000\"", ""), &arena, &s, &err), err);
	assert_int_equal(s.port, 60000);
	assert_int_equal(s.command.n, 3);
	assert_str(s.command.items[0], PROGRAM);
	assert_str(s.cwd, "/");
	assert_str(s.workdir, "/workspace");
	assert_int_equal(s.uid, 10001);
	assert_str(s.plugins, "");
	assert_false(s.has_browser);
	assert_works(
		decode(AGENT("\"/agent-server/.venv/bin/python -m openhands.agent_server\"", ""),
			&arena, &s, &err),
		err);
	assert_int_equal(s.port, 8000);
	assert_works(decode(AGENT("[\"" PROGRAM "\",\"--port=7\",\"a b\"]", ""), &arena, &s, &err),
		err);
	assert_int_equal(s.port, 7);
	assert_str(s.command.items[2], "a b");
}

static void a_text_that_a_shell_would_change_is_no_command(void **state)
{
	auto_arena struct arena arena = ARENA_INIT(1 << 20);
	static const char *const wrong[] = {
		AGENT("\"" PROGRAM " --port 6; id\"", ""),
		AGENT("\"" PROGRAM " --port $(id)\"", ""),
		AGENT("\"" PROGRAM " --port\"", ""),
		AGENT("\"" PROGRAM " --port 99999\"", ""),
		AGENT("[\"" PROGRAM "\",7]", ""),
		AGENT("{}", ""),
	};
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		struct start s;
		struct error err;
		assert_int_equal(decode(wrong[i], &arena, &s, &err), -1);
		assert_int_equal(err.code, ERROR_INVALID);
	}
}

static void what_proxy_lets_through_is_a_variable(void **state)
{
	auto_arena struct arena arena = ARENA_INIT(1 << 20);
	struct start s;
	struct error err;
	assert_works(
		decode(AGENT("\"" PROGRAM "\"",
			       ",\"environment\":{\"CAY_NETWORK\":\"proxy\",\"CAY_ALLOW\":\"a.org, "
			       "*.b.org:8443\"}"),
			&arena, &s, &err),
		err);
	assert_int_equal(s.network, NETWORK_PROXY);
	assert_int_equal(s.allow.n, 2);
	assert_str(s.allow.items[1], "*.b.org:8443");
	assert_int_equal(
		decode(AGENT("\"" PROGRAM "\"", ",\"environment\":{\"CAY_ALLOW\":\"a.org\"}"),
			&arena, &s, &err),
		-1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_client_s_command_line_is_understood),
		cmocka_unit_test(options_may_be_shortened_and_the_port_may_stand_anywhere),
		cmocka_unit_test(plugins_may_be_none),
		cmocka_unit_test(what_the_environment_says_to_the_server_is_heard),
		cmocka_unit_test(what_is_not_said_is_as_with_the_original),
		cmocka_unit_test(what_cannot_be_started_is_refused_by_name),
		cmocka_unit_test(an_agent_server_is_run_as_it_stands),
		cmocka_unit_test(a_text_that_a_shell_would_change_is_no_command),
		cmocka_unit_test(what_proxy_lets_through_is_a_variable),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
