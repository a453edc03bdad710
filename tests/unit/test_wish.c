/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/wish.h"

#include "base/auto.h"
#include "base/buf.h"
#include "cli/serve.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

static struct invocation in;
static struct error err;
static struct spec spec;
static char here[] = "/tmp/cay-wish-XXXXXX";

static int begin(void **state)
{
	memcpy(here + sizeof(here) - 7, "XXXXXX", 6);
	return mkdtemp(here) && chdir(here) == 0 ? 0 : -1;
}

static int end(void **state)
{
	invocation_fini(&in);
	return chdir("/") == 0 && rmdir(here) == 0 ? 0 : -1;
}

/* The spec that the words after `cay run` wish for. */
static int wish(const char *const *words)
{
	static char *argv[32];
	int n = 0;
	err = (struct error){ 0 };
	for (; words[n]; n++)
		argv[n] = (char *)(uintptr_t)words[n];
	invocation_fini(&in);
	assert_int_equal(invocation_parse(command_find(STR("run")), n, argv, &in, &err), 0);
	return wish_spec(&((struct run_options *)in.values)->spec, &spec, &err);
}

#define WISH(...) wish((const char *const[]){ __VA_ARGS__, "true", NULL })

static void no_options_wish_for_the_standard(void **state)
{
	assert_int_equal(WISH("--"), 0);
	assert_int_equal(spec.image, IMAGE_HOST);
	assert_int_equal(spec.network, NETWORK_LOOPBACK);
	assert_int_equal(spec.user, USER_AGENT);
	assert_int_equal(spec.n_mounts, 0);
	assert_int_equal(spec.limits.memory_bytes, 0);
	assert_string_equal(spec.workdir, "/workspace");
	assert_int_equal(spec_check(&spec, &err), 0);
}

static void words_become_what_they_name(void **state)
{
	assert_int_equal(WISH("--network", "host", "--user", "root", "--hostname", "box",
				 "--memory", "unlimited", "--require", "seccomp,landlock",
				 "--require", "pids"),
		0);
	assert_int_equal(spec.network, NETWORK_HOST);
	assert_int_equal(spec.user, USER_ROOT);
	assert_string_equal(spec.hostname, "box");
	assert_int_equal(spec.limits.memory_bytes, SPEC_UNLIMITED);
	assert_int_equal(spec.required,
		1ULL << CONTROL_SECCOMP | 1ULL << CONTROL_LANDLOCK | 1ULL << CONTROL_PIDS);
}

static void mounts_have_source_target_and_mode(void **state)
{
	assert_int_equal(WISH("-v", "/usr:/a", "-v", "/opt:/b:rw", "-v", "/etc:/c:copy"), 0);
	assert_int_equal(spec.n_mounts, 3);
	assert_string_equal(spec.mounts[0].source, "/usr");
	assert_string_equal(spec.mounts[0].target, "/a");
	assert_int_equal(spec.mounts[0].mode, MOUNT_READ_ONLY);
	assert_int_equal(spec.mounts[1].mode, MOUNT_WRITABLE);
	assert_int_equal(spec.mounts[2].mode, MOUNT_COPY);
}

static void a_workspace_is_a_copy_at_the_workdir_unless_it_says_more(void **state)
{
	assert_int_equal(WISH("--workspace", "."), 0);
	assert_string_equal(spec.mounts[0].source, here);
	assert_string_equal(spec.mounts[0].target, "/workspace");
	assert_int_equal(spec.mounts[0].mode, MOUNT_COPY);
	assert_int_equal(WISH("--workspace", ".:rw", "-w", "/src"), 0);
	assert_string_equal(spec.mounts[0].target, "/src");
	assert_int_equal(spec.mounts[0].mode, MOUNT_WRITABLE);
	assert_int_equal(WISH("--workspace", "/a:b"), 0);
	assert_string_equal(spec.mounts[0].source, "/a:b");
}

static void an_image_is_the_host_or_a_directory(void **state)
{
	assert_int_equal(WISH("--image", "."), 0);
	assert_int_equal(spec.image, IMAGE_DIR);
	assert_string_equal(spec.image_path, here);
	assert_int_equal(WISH("--image", "host"), 0);
	assert_int_equal(spec.image, IMAGE_HOST);
}

static void what_cannot_be_meant_is_named(void **state)
{
	static const struct {
		const char *words[4], *says;
	} rows[] = {
		{ { "--image", "python:3.12", "true" }, "images by name are a server's" },
		{ { "--image", "./nosuch", "true" }, "--image: ./nosuch: No such file" },
		{ { "-v", "/usr", "true" }, "--mount: '/usr' is not SOURCE:TARGET[:MODE]" },
		{ { "-v", "/a:/b:ro:more", "true" }, "--mount: '/a:/b:ro:more' is not" },
		{ { "-v", "/a:/b:rx", "true" },
			"--mount: the mode must be ro, rw or copy, not 'rx'" },
		{ { "-v", ":/b", "true" }, "--mount: an empty path" },
		{ { "--workspace", "not/there", "true" }, "--workspace: not/there: No such file" },
		{ { "--image", "not-there", "true" }, "--image: not-there: No such file" },
		{ { "--require", "seccomp,", "true" }, "--require: " },
		{ { "--require", "nonsense", "true" }, "'nonsense'" },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		assert_int_equal(wish(rows[i].words), -1);
		if (!strstr(err.text, rows[i].says))
			fail_msg("'%s' does not say '%s'", err.text, rows[i].says);
	}
}

static void more_mounts_than_a_spec_holds_are_refused(void **state)
{
	const char *words[2 * SPEC_MOUNTS_MAX + 4];
	int n = 0;
	for (int i = 0; i <= SPEC_MOUNTS_MAX; i++) {
		words[n++] = "-v";
		words[n++] = "/usr:/a";
	}
	words[n++] = "true";
	words[n] = NULL;
	static char *argv[2 * SPEC_MOUNTS_MAX + 4];
	for (int i = 0; i <= n; i++)
		argv[i] = (char *)(uintptr_t)words[i];
	assert_int_equal(invocation_parse(command_find(STR("run")), n, argv, &in, &err), 0);
	assert_int_equal(wish_spec(&((struct run_options *)in.values)->spec, &spec, &err), -1);
	assert_non_null(strstr(err.text, "17 mounts; the limit is 16"));
}

static void a_variable_has_a_value_or_takes_the_callers(void **state)
{
	struct str name, value;
	setenv("CAY_TEST_SET", "here", 1);
	assert_int_equal(wish_variable("A=b=c", &name, &value, &err), 0);
	assert_true(str_is(name, "A") && str_is(value, "b=c"));
	assert_int_equal(wish_variable("CAY_TEST_SET", &name, &value, &err), 0);
	assert_true(str_is(name, "CAY_TEST_SET") && str_is(value, "here"));
	assert_int_equal(wish_variable("CAY_TEST_UNSET", &name, &value, &err), 0);
	assert_null(value.ptr);
	assert_int_equal(wish_variable("=x", &name, &value, &err), -1);
}

static void assert_greeting(const struct serve_options *o, const char *socket, const char *has,
	const char *has_not)
{
	auto_buf struct buf b = BUF_INIT(16384);
	serve_put_greeting(&b, o, "/state", socket);
	assert_false(b.is_full);
	if (!strstr(b.ptr, has))
		fail_msg("'%s' is not in: %s", has, b.ptr);
	if (strstr(b.ptr, has_not))
		fail_msg("'%s' is in: %s", has_not, b.ptr);
}

static void the_greeting_names_only_what_is_served(void **state)
{
	const char *none = "none", *two[] = { ":9000", "[::1]:9001" };
	struct serve_options o = { 0 };
	unsetenv("CAY_TOKEN");
	assert_greeting(&o, "/s/cay.sock", "http://127.0.0.1:8000/daytona/api", "none");
	assert_greeting(&o, "none", "CAY_URL=http://127.0.0.1:8000", "unix:");
	o.docker = "unix:/d.sock";
	assert_greeting(&o, "/s/cay.sock", "DOCKER_HOST=unix:///d.sock\n", "none");
	o.listen = (struct option_texts){ &none, 1 };
	assert_greeting(&o, "/s/cay.sock", "--unix-socket /s/cay.sock", "http://127");
	o.listen = (struct option_texts){ two, 2 };
	assert_greeting(&o, "/s/cay.sock",
		"http://127.0.0.1:9000 http://[::1]:9001 unix:/s/cay.sock", "none");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
	static const struct CMUnitTest tests[] = {
		TEST(no_options_wish_for_the_standard),
		TEST(words_become_what_they_name),
		TEST(mounts_have_source_target_and_mode),
		TEST(a_workspace_is_a_copy_at_the_workdir_unless_it_says_more),
		TEST(an_image_is_the_host_or_a_directory),
		TEST(what_cannot_be_meant_is_named),
		TEST(more_mounts_than_a_spec_holds_are_refused),
		TEST(a_variable_has_a_value_or_takes_the_callers),
		TEST(the_greeting_names_only_what_is_served),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
