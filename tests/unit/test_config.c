/* SPDX-License-Identifier: Apache-2.0 */
/* Configurations: the file, the environment, what counts more, and what it means to the server. */
#include "config/settings.h"

#include "unit.h"

#include "base/auto.h"
#include "base/file.h"
#include "wire/json.h"

#include <fcntl.h>

struct world {
	char dir[64], file[96];
	struct config c;
	struct error err;
	struct buf settings;
};

static int load(struct world *w, const char *text, const char *const *environment)
{
	struct config empty = CONFIG_INIT;
	config_fini(&w->c);
	w->c = empty;
	if (file_replace(AT_FDCWD, w->file, str_from(text), 0600, &w->err) < 0)
		return -1;
	return config_load(&w->c, w->file, environment, &w->err);
}

static int mean_for(struct world *w, const char *backend)
{
	buf_reset(&w->settings);
	return config_put_settings(&w->c, backend, &w->settings, &w->err);
}

static int mean(struct world *w)
{
	return mean_for(w, "");
}

static int setup(void **state)
{
	static struct world w;
	snprintf(w.dir, sizeof(w.dir), "/tmp/cay-config-XXXXXX");
	assert_non_null(mkdtemp(w.dir));
	snprintf(w.file, sizeof(w.file), "%s/cay.toml", w.dir);
	buf_init(&w.settings, 1 << 20);
	*state = &w;
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;
	config_fini(&w->c);
	buf_fini(&w->settings);
	file_remove_tree(AT_FDCWD, w->dir, NULL);
	return 0;
}

static const char *const none[] = { NULL };

static void every_standard_is_readable_and_documented(void **state)
{
	struct world *w = *state;
	assert_works(load(w, "", none), w->err);
	assert_str(config_text(&w->c, KEY_GIT_USER_EMAIL), "openhands@all-hands.dev");
	assert_str(config_text(&w->c, KEY_WORKSPACE_IN_SANDBOX), "/workspace");
	assert_int_equal(config_int(&w->c, KEY_SANDBOX_TIMEOUT), 120);
	assert_int_equal(config_int(&w->c, KEY_SANDBOX_INIT_TIMEOUT), 180);
	assert_int_equal(config_int(&w->c, KEY_LIMITS_MEMORY), 1 << 30);
	for (int i = 0; i < KEY_MAX; i++)
		assert_true(strlen(config_rows[i].help) > 0);
	assert_works(mean(w), w->err);
	assert_text(w->settings.ptr, "\"mode\":\"off\"");
}

static void the_environment_counts_more_than_the_file(void **state)
{
	static const char *const environment[] = { "SANDBOX_VOLUMES=/b:/b", "GIT_USER_NAME=env",
		"DEBUG=TRUE", "SANDBOX_CLOSE_DELAY=5", "CORE_DEBUG=1", "SANDBOX_USER_ID=", NULL };
	struct world *w = *state;
	assert_works(
		load(w, "[core]\ngit_user_name = 'file'\ngit_user_email = 'file'\n", environment),
		w->err);
	assert_str(config_text(&w->c, KEY_GIT_USER_NAME), "env");
	assert_int_equal(w->c.values[KEY_GIT_USER_NAME].origin, ORIGIN_ENVIRONMENT);
	assert_str(config_text(&w->c, KEY_GIT_USER_EMAIL), "file");
	assert_int_equal(w->c.values[KEY_GIT_USER_EMAIL].origin, ORIGIN_FILE);
	assert_true(config_bool(&w->c, KEY_DEBUG));
	assert_int_equal(config_int(&w->c, KEY_SANDBOX_CLOSE_DELAY), 5);
	assert_false(config_is_set(&w->c, KEY_SANDBOX_USER_ID));
	config_set(&w->c, KEY_GIT_USER_NAME, STR("line"));
	assert_str(config_text(&w->c, KEY_GIT_USER_NAME), "line");
}

static void variables_are_written_as_in_python(void **state)
{
	static const char *const environment[] = {
		"SANDBOX_RUNTIME_STARTUP_ENV_VARS={'A': 'b:c', \"T\": True, 'R': 0.1}",
		"SANDBOX_ENV_FOO=x y", "SANDBOX_TRUSTED_DIRS=['/a', \"/b\"]",
		"CAY_GUARD_THRESHOLD=1", "SANDBOX_TIMEOUT=soon", NULL
	};
	struct world *w = *state;
	assert_works(load(w, "", environment), w->err);
	assert_works(mean(w), w->err);
	assert_text(w->settings.ptr,
		"\"env\":{\"FOO\":\"x y\",\"A\":\"b:c\",\"T\":\"true\",\"R\":\"0.1\"}");
	assert_text(w->settings.ptr, "\"threshold\":1");
	assert_int_equal(config_value(&w->c, KEY_SANDBOX_TRUSTED)->n, 2);
	assert_int_equal(w->c.n_warnings, 1);
	assert_text(w->c.warnings[0], "SANDBOX_TIMEOUT is left aside");
	assert_int_equal(config_int(&w->c, KEY_SANDBOX_TIMEOUT), 120);
}

static void a_slip_is_named_with_what_was_meant(void **state)
{
	static const struct {
		const char *text, *words;
	} slips[] = {
		{ "[sandbox]\n\nvolume = '/a:/b'",
			"line 3: sandbox.volume: no such key; did you mean volumes?" },
		{ "[sandbx]\ntimeout = 1", "sandbx: no such section; did you mean sandbox?" },
		{ "[core]\nxyzzyx = 1", "core.xyzzyx: no such key" },
		{ "timeout = 1", "timeout: no such section" },
		{ "[sandbox]\ntimeout = 'soon'", "sandbox.timeout must be an integer, not string" },
		{ "[core]\ndebug = 1", "core.debug must be true or false, not integer" },
		{ "[guard]\nignore = [1]", "must be an array of strings" },
		{ "[limits]\nmemory = 'much'", "must be a size" },
		{ "[core", "line 1: ']' is missing" },
		{ 0 },
	};
	struct world *w = *state;
	for (int i = 0; slips[i].text; i++)
		assert_fails(load(w, slips[i].text, none), w->err, INVALID, slips[i].words);
}

static void a_file_of_the_original_is_taken_as_it_is(void **state)
{
	struct world *w = *state;
	assert_works(
		load(w,
			"[core]\nworkspace_base = '/tmp'\nmax_iterations = 10\n"
			"[llm]\nmodel = 'x'\n[llm.fast]\nmodel = 'y'\n[agent]\nenable_cmd = true\n"
			"[sandbox]\nuse_host_network = true\nvscode_port = 3000\n"
			"base_container_image = 'nikolaik/python-nodejs:python3.12-nodejs22'\n"
			"enable_gpu = false\nforce_rebuild_runtime = false\nadditional_networks = []\n"
			"[kubernetes]\nnamespace = 'default'\n[security]\n",
			none),
		w->err);
	assert_int_equal(w->c.n_warnings, 1);
	assert_text(w->c.warnings[0], "sandbox.vscode_port (file) is left aside: a server has an");
	assert_works(mean(w), w->err);
	assert_text(w->settings.ptr, "\"network\":\"host\"");
	assert_null(strstr(w->settings.ptr, "\"image\":"));
	assert_text(w->settings.ptr,
		"\"mounts\":[{\"source\":\"/tmp\",\"target\":\"/workspace\",\"mode\":\"rw\"}]");
}

static void volumes_are_mounts(void **state)
{
	static const struct {
		const char *volumes, *words;
	} examples[] = {
		{ "/a:/b", "{\"source\":\"/a\",\"target\":\"/b\",\"mode\":\"rw\"}" },
		{ "/a:/b:ro, /c:/workspace:overlay",
			"\"/b\",\"mode\":\"ro\"},{\"source\":\"/c\",\"target\":\"/workspace\",\"mode\":\"copy\"}" },
		{ 0 },
	};
	static const struct {
		const char *volumes, *words;
	} mistakes[] = {
		{ "/a", "Invalid mount format in sandbox.volumes: /a. " },
		{ "data:/b", "a named volume" },
		{ "volume:/b", "a named volume" },
		{ "/a:b", "must be absolute" },
		{ "/a:/b:maybe", "the mode is ro, rw or overlay" },
		{ 0 },
	};
	struct world *w = *state;
	char text[200];
	for (int i = 0; examples[i].volumes; i++) {
		snprintf(text, sizeof(text), "[sandbox]\nvolumes = '%s'", examples[i].volumes);
		assert_works(load(w, text, none), w->err);
		assert_works(mean(w), w->err);
		assert_text(w->settings.ptr, examples[i].words);
	}
	for (int i = 0; mistakes[i].volumes; i++) {
		snprintf(text, sizeof(text), "[sandbox]\nvolumes = '%s'", mistakes[i].volumes);
		assert_works(load(w, text, none), w->err);
		assert_fails(mean(w), w->err, INVALID, mistakes[i].words);
	}
}

static void a_workspace_is_rewritten_and_yields_to_a_volume(void **state)
{
	struct world *w = *state;
	assert_works(
		load(w, "[core]\nworkspace_base = '/usr/lib'\nworkspace_mount_rewrite = '/usr:/mnt'",
			none),
		w->err);
	assert_works(mean(w), w->err);
	assert_text(w->settings.ptr, "\"source\":\"/mnt/lib\"");
	assert_works(
		load(w, "[core]\nworkspace_base = '/tmp'\n[sandbox]\nvolumes = '/a:/workspace'",
			none),
		w->err);
	assert_works(mean(w), w->err);
	assert_null(strstr(w->settings.ptr, "\"/tmp\""));
	assert_works(load(w, "[core]\nworkspace_base = '/nowhere/at/all'", none), w->err);
	assert_fails(mean(w), w->err, NOT_FOUND, "core.workspace_base: /nowhere/at/all");
}

static void what_cannot_be_had_is_refused(void **state)
{
	struct world *w = *state;
	assert_works(load(w, "[kubernetes]\nprivileged = true", none), w->err);
	assert_text(w->c.warnings[0],
		"kubernetes.privileged (file) is left aside: a privileged pod is its node");
	assert_works(load(w, "[sandbox]\nbrowsergym_eval_env = 'miniwob'", none), w->err);
	assert_fails(mean(w), w->err, UNSUPPORTED,
		"sandbox.browsergym_eval_env: evaluation environments of browsergym are Python");
	auto_buf struct buf backend = BUF_INIT(256);
	assert_works(
		load(w, "[core]\nruntime = 'remote'\n[sandbox]\nremote_runtime_api_url = 'https://x'",
			none),
		w->err);
	config_put_backend(&w->c, &backend);
	assert_string_equal(backend.ptr, "openhands+https://x");
	assert_works(load(w, "[security]\nsecurity_analyzer = 'invariant'", none), w->err);
	assert_fails(mean(w), w->err, UNSUPPORTED, "it cannot be had here");
}

static void an_image_is_built_from_what_is_said(void **state)
{
	struct world *w = *state;
	assert_works(
		load(w,
			"[sandbox]\nbase_container_image = 'tools:1'\nruntime_extra_deps = 'make \"x\"'\n"
			"force_rebuild_runtime = true\nruntime_extra_build_args = ['--build-arg', 'A=1', '--build-arg=A=2', "
			"'--label=b=c', '--network', 'proxy:pypi.org,*.pythonhosted.org', '-m', '2G']\n",
			none),
		w->err);
	assert_works(mean(w), w->err);
	assert_text(w->settings.ptr,
		"\"image\":{\"base\":\"tools:1\",\"is_usual\":false,\"command\":\"make \\\"x\\\"\",\"args\":{\"A\":\"2\"},"
		"\"labels\":{\"b\":\"c\"},\"network\":\"proxy\",\"allow\":[\"pypi.org\",\"*.pythonhosted.org\"],"
		"\"memory_bytes\":2147483648,\"is_forced\":true}");
	assert_works(load(w, "[sandbox]\nruntime_extra_deps = 'x'", none), w->err);
	assert_works(mean(w), w->err);
	assert_text(w->settings.ptr, "\"is_usual\":true,\"command\":\"x\"");
	assert_fails(mean_for(w, "local"), w->err, UNSUPPORTED, "sandbox.runtime_extra_deps: ");
}

static void what_a_build_cannot_be_told_is_named(void **state)
{
	static const struct {
		const char *text, *words;
		enum error_code code;
	} mistakes[] = {
		{ "runtime_extra_build_args = ['--cache-from=x']",
			"'--cache-from': only --build-arg", ERROR_UNSUPPORTED },
		{ "runtime_extra_build_args = ['--network=default']",
			"none, host, loopback and proxy", ERROR_UNSUPPORTED },
		{ "runtime_extra_build_args = ['--build-arg']", "--build-arg has no value",
			ERROR_INVALID },
		{ "runtime_extra_build_args = ['--build-arg', 'A']", "NAME=VALUE is wanted",
			ERROR_INVALID },
		{ "runtime_extra_build_args = ['--build-arg', \"A\\nRUN b=c\"]",
			"is no name of a variable", ERROR_INVALID },
		{ "runtime_extra_build_args = 'x'", "must be an array", ERROR_INVALID },
		{ "base_container_image = \"a\\nRUN b\"", "is no name of an image", ERROR_INVALID },
		{ "base_container_image = '/no/such/dir'", "is no directory", ERROR_NOT_FOUND },
		{ "platform = 'linux/s390x'", "nothing here emulates another one",
			ERROR_UNSUPPORTED },
		{ 0 },
	};
	struct world *w = *state;
	char text[200];
	for (int i = 0; mistakes[i].text; i++) {
		snprintf(text, sizeof(text), "[sandbox]\n%s\n", mistakes[i].text);
		assert_works(load(w, text, none), w->err);
		assert_true(mean(w) < 0);
		assert_int_equal(w->err.code, mistakes[i].code);
		assert_text(w->err.text, mistakes[i].words);
	}
}

static void gpus_are_an_engines(void **state)
{
	struct world *w = *state;
	assert_works(load(w, "[sandbox]\nenable_gpu = true", none), w->err);
	assert_fails(mean(w), w->err, UNSUPPORTED,
		"sandbox.enable_gpu: sandboxes of this machine (native) get no device");
	assert_fails(mean_for(w, "openhands+http://x"), w->err, UNSUPPORTED, "of this backend");
	assert_works(mean_for(w, "docker"), w->err);
	assert_text(w->settings.ptr, "\"gpus\":\"all\"");
	assert_works(load(w, "[sandbox]\nenable_gpu = true\ncuda_visible_devices = '1'", none),
		w->err);
	assert_works(mean_for(w, "docker=/run/x.sock"), w->err);
	assert_text(w->settings.ptr, "\"gpus\":\"device=1\"");
}

static void networks_are_a_bridge_or_an_engines(void **state)
{
	struct world *w = *state;
	assert_works(load(w, "[sandbox]\nadditional_networks = ['team']", none), w->err);
	assert_works(mean(w), w->err);
	assert_text(w->settings.ptr, "\"network\":\"bridge\",\"network_name\":\"team\"");
	assert_works(mean_for(w, "docker"), w->err);
	assert_text(w->settings.ptr, "\"networks\":[\"team\"]");
	assert_fails(mean_for(w, "cli"), w->err, UNSUPPORTED, "cannot be connected to networks");
	assert_works(load(w, "[sandbox]\nadditional_networks = ['a', 'b']", none), w->err);
	assert_fails(mean(w), w->err, UNSUPPORTED, "is in one network, not in 2");
	assert_works(load(w, "[sandbox]\nadditional_networks = ['a-b']", none), w->err);
	assert_fails(mean(w), w->err, INVALID, "a-z and 0-9 alone");
	assert_works(
		load(w, "[sandbox]\nuse_host_network = true\nadditional_networks = ['a']", none),
		w->err);
	assert_fails(mean(w), w->err, INVALID, "with use_host_network");
}

static void what_docker_py_is_told_is_limits_or_an_engines(void **state)
{
	static const char *const environment[] = {
		"SANDBOX_DOCKER_RUNTIME_KWARGS={'mem_limit': '512m', 'cpu_quota': 50000, 'pids_limit': 99}",
		NULL
	};
	static const char *const python[] = {
		"SANDBOX_DOCKER_RUNTIME_KWARGS={'runtime': 'runsc', 'shm_size': '1g', 'extra_hosts': {'a': '10.0.0.1'}, "
		"'dns': ['9.9.9.9'], 'ulimits': [{'name': 'nofile', 'soft': 10, 'hard': 20}], 'sysctls': {'a.b': '1'}}",
		NULL
	};
	static const struct {
		const char *text, *words;
	} mistakes[] = {
		{ "privileged = true", "'privileged' would end the isolation" },
		{ "cap_add = ['ALL']", "'cap_add' would weaken the isolation" },
		{ "volumes = []", "'volumes' are said by sandbox.volumes" },
		{ "shm_siz = 1", "'shm_siz' is not among what is taken" },
		{ "mem_limit = 'much'", "'mem_limit' must be a size" },
		{ "dns = [1]", "'dns' must be an array of strings" },
		{ "pids_limit = -1", "'pids_limit' must be a positive integer" },
		{ "ulimits = [{ name = 'x' }]",
			"'ulimits' must be an array of { name, soft, hard }" },
		{ 0 },
	};
	struct world *w = *state;
	char text[200];
	assert_works(load(w, "", environment), w->err);
	assert_works(mean(w), w->err);
	assert_text(w->settings.ptr,
		"\"limits\":{\"memory_bytes\":536870912,\"pids\":99,\"cpu_milli\":500}");
	assert_works(load(w, "[limits]\nmemory = '1G'", environment), w->err);
	assert_works(mean(w), w->err);
	assert_text(w->settings.ptr, "\"memory_bytes\":1073741824");
	assert_works(load(w, "", python), w->err);
	assert_fails(mean(w), w->err, UNSUPPORTED, "'runtime' is for containers of an engine");
	assert_works(mean_for(w, "docker"), w->err);
	assert_text(w->settings.ptr,
		"\"container\":{\"Runtime\":\"runsc\",\"ShmSize\":1073741824,\"ExtraHosts\":[\"a:10.0.0.1\"],"
		"\"Dns\":[\"9.9.9.9\"],\"Ulimits\":[{\"Name\":\"nofile\",\"Soft\":10,\"Hard\":20}],\"Sysctls\":{\"a.b\":\"1\"}}");
	for (int i = 0; mistakes[i].text; i++) {
		snprintf(text, sizeof(text), "[sandbox.docker_runtime_kwargs]\n%s\n",
			mistakes[i].text);
		assert_works(load(w, text, none), w->err);
		assert_true(mean_for(w, "docker") < 0);
		assert_text(w->err.text, mistakes[i].words);
	}
}

static void confirmation_mode_guards(void **state)
{
	struct world *w = *state;
	assert_works(load(w, "[security]\nconfirmation_mode = true", none), w->err);
	assert_works(mean(w), w->err);
	assert_text(w->settings.ptr, "\"mode\":\"rules\",\"threshold\":2,\"confirm\":true");
	assert_works(load(w, "[security]\nsecurity_analyzer = 'llm'\n[guard]\nllm_url = 'http://x'",
			     none),
		w->err);
	assert_works(mean(w), w->err);
	assert_text(w->settings.ptr, "\"mode\":\"llm\"");
}

static void secrets_are_not_shown(void **state)
{
	static const char *const environment[] = { "CAY_GUARD_LLM_KEY=sk-1",
		"SANDBOX_ENV_TOKEN=hush", NULL };
	struct world *w = *state;
	auto_buf struct buf b = BUF_INIT(65536);
	assert_works(load(w, "", environment), w->err);
	config_put_value(&b, &w->c, KEY_GUARD_LLM_KEY);
	config_put_value(&b, &w->c, KEY_SANDBOX_STARTUP_ENV);
	assert_string_equal(b.ptr, "\"***\"{ \"TOKEN\" = \"***\" }");
}

static void a_secret_is_named_and_its_value_is_read_elsewhere(void **state)
{
	struct world *w = *state;
	auto_buf struct buf text = BUF_INIT(4096);
	assert_int_equal(setenv("TEST_SWAP", "from-the-environment", 1), 0);
	char path[80];
	snprintf(path, sizeof(path), "%s/key", w->dir);
	assert_works(file_replace(AT_FDCWD, path, STR("from-a-file\n"), 0600, &w->err), w->err);
	buf_printf(&text,
		"[sandbox]\nsecrets = [\"A=TEST_SWAP@one.test,*.two.test:8443\", \"B=%s@http://b.test#X-Key\"]\n",
		path);
	assert_works(load(w, text.ptr, none), w->err);
	assert_works(mean(w), w->err);
	assert_non_null(strstr(w->settings.ptr,
		"\"A\":{\"value\":\"from-the-environment\",\"hosts\":[\"one.test\",\"*.two.test:8443\"]}"));
	assert_non_null(strstr(w->settings.ptr,
		"\"B\":{\"value\":\"from-a-file\",\"hosts\":[\"http://b.test\"],\"header\":\"X-Key\"}"));
	static const char *const bad[] = { "A", "@one.test", "A@", "A@one.test#",
		"NOT_SET_AT_ALL@one.test", "A=/no/such/file@one.test" };
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		buf_reset(&text);
		buf_printf(&text, "[sandbox]\nsecrets = [\"%s\"]\n", bad[i]);
		assert_works(load(w, text.ptr, none), w->err);
		assert_true(mean(w) < 0 && strstr(w->err.text, "sandbox.secrets"));
	}
	unlink(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_secret_is_named_and_its_value_is_read_elsewhere),
		cmocka_unit_test(every_standard_is_readable_and_documented),
		cmocka_unit_test(the_environment_counts_more_than_the_file),
		cmocka_unit_test(variables_are_written_as_in_python),
		cmocka_unit_test(a_slip_is_named_with_what_was_meant),
		cmocka_unit_test(a_file_of_the_original_is_taken_as_it_is),
		cmocka_unit_test(volumes_are_mounts),
		cmocka_unit_test(a_workspace_is_rewritten_and_yields_to_a_volume),
		cmocka_unit_test(what_cannot_be_had_is_refused),
		cmocka_unit_test(an_image_is_built_from_what_is_said),
		cmocka_unit_test(what_a_build_cannot_be_told_is_named),
		cmocka_unit_test(gpus_are_an_engines),
		cmocka_unit_test(networks_are_a_bridge_or_an_engines),
		cmocka_unit_test(what_docker_py_is_told_is_limits_or_an_engines),
		cmocka_unit_test(confirmation_mode_guards),
		cmocka_unit_test(secrets_are_not_shown),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
