/* SPDX-License-Identifier: Apache-2.0 */
#include "sandbox/spec.h"

#include "base/auto.h"

#include <stdio.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

static struct spec spec;

static void fresh(void)
{
	memset(&spec, 0, sizeof(spec));
}

static void mount(const char *source, const char *target, enum mount_mode mode)
{
	struct spec_mount *m = &spec.mounts[spec.n_mounts++];
	snprintf(m->source, sizeof(m->source), "%s", source);
	snprintf(m->target, sizeof(m->target), "%s", target);
	m->mode = mode;
}

static void assert_good(void)
{
	struct error err = { 0 };
	if (spec_check(&spec, &err) < 0)
		fail_msg("refused: %s", err.text);
	fresh();
}

/* Refused as the caller's mistake, and the text names it. */
static void assert_bad(const char *names)
{
	struct error err = { 0 };
	assert_int_equal(spec_check(&spec, &err), -1);
	assert_int_equal(err.code, ERROR_INVALID);
	if (!strstr(err.text, names))
		fail_msg("'%s' does not name '%s'", err.text, names);
	fresh();
}

static void an_empty_spec_is_the_default_sandbox(void **state)
{
	fresh();
	assert_good();
}

static void mounts_are_absolute_and_clean(void **state)
{
	static const char *const bad[] = { "", "src", "/", "/a/../b", "/a/./b", "/a//b", "/a/",
		"/a\nb" };
	fresh();
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		mount(bad[i], "/workspace", MOUNT_COPY);
		assert_bad("mount 1: source");
		mount("/home/me", bad[i], MOUNT_COPY);
		assert_bad("mount 1: target");
	}
	mount("/home/me/a b", "/w/x..y", MOUNT_WRITABLE);
	assert_good();
}

static void nothing_is_mounted_into_what_is_ours(void **state)
{
	static const char *const bad[] = { "/proc", "/proc/sys", "/dev/null", "/sys", "/dev" };
	fresh();
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		mount("/home/me", bad[i], MOUNT_READ_ONLY);
		assert_bad("cay's own");
	}
	mount("/home/me", "/development", MOUNT_READ_ONLY);
	assert_good();
}

static void a_target_is_mounted_once(void **state)
{
	fresh();
	mount("/a", "/w", MOUNT_COPY);
	mount("/b", "/v", MOUNT_COPY);
	mount("/c", "/w", MOUNT_COPY);
	assert_bad("mount 3: '/w' is mounted twice");
}

static void unknown_numbers_are_refused(void **state)
{
	fresh();
	mount("/a", "/w", (enum mount_mode)9);
	assert_bad("mode 9");
	spec.n_mounts = SPEC_MOUNTS_MAX + 1;
	assert_bad("more than 16 mounts");
	spec.image = 7;
	assert_bad("image 7");
	spec.network = 7;
	assert_bad("network mode 7");
	spec.user = 7;
	assert_bad("user mode 7");
	spec.user = 0;
	spec.owner_uid = SPEC_UIDS; /* the first id of somebody else */
	assert_bad("owner 65536");
	spec.owner_uid = 0;
	spec.required = UINT64_C(1) << 63;
	assert_bad("control");
}

static void a_string_without_an_end_is_refused(void **state)
{
	fresh();
	memset(spec.hostname, 'a', sizeof(spec.hostname));
	assert_bad("hostname");
	memset(spec.id, 'a', sizeof(spec.id));
	assert_bad("id");
	memset(spec.workdir, '/', sizeof(spec.workdir));
	assert_bad("workdir");
	spec.image = IMAGE_DIR;
	memset(spec.image_path, '/', sizeof(spec.image_path));
	assert_bad("image");
	spec.n_mounts = 1;
	memset(spec.mounts[0].source, '/', sizeof(spec.mounts[0].source));
	assert_bad("source");
}

static void an_id_has_the_form_that_id_make_gives(void **state)
{
	fresh();
	id_make(spec.id);
	assert_good();
	snprintf(spec.id, sizeof(spec.id), "../../etc");
	assert_bad("no id");
}

static void limits_have_a_least_value(void **state)
{
	fresh();
	spec.limits.memory_bytes = 1000;
	assert_bad("memory");
	spec.limits.pids = 1;
	assert_bad("pids");
	spec.limits.disk_bytes = -2;
	assert_bad("disk");
	spec.limits.memory_bytes = SPEC_UNLIMITED;
	spec.limits.pids = 64;
	assert_good();
}

static void a_host_name_is_one(void **state)
{
	static const char *const bad[] = { "a b", "-x", ".x", "a/b", "ä" };
	fresh();
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		snprintf(spec.hostname, sizeof(spec.hostname), "%s", bad[i]);
		assert_bad("hostname");
	}
	snprintf(spec.hostname, sizeof(spec.hostname), "build-7.example");
	assert_good();
}

static void controls_have_one_word_each(void **state)
{
	for (unsigned i = 0; i < CONTROL_MAX; i++) {
		enum control found;
		assert_int_equal(control_parse(control_name((enum control)i), &found, NULL), 0);
		assert_int_equal(found, i);
	}
	struct error err = { 0 };
	enum control found;
	assert_int_equal(control_parse("moat", &found, &err), -1);
	assert_non_null(strstr(err.text, "moat"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_empty_spec_is_the_default_sandbox),
		cmocka_unit_test(mounts_are_absolute_and_clean),
		cmocka_unit_test(nothing_is_mounted_into_what_is_ours),
		cmocka_unit_test(a_target_is_mounted_once),
		cmocka_unit_test(unknown_numbers_are_refused),
		cmocka_unit_test(a_string_without_an_end_is_refused),
		cmocka_unit_test(an_id_has_the_form_that_id_make_gives),
		cmocka_unit_test(limits_have_a_least_value),
		cmocka_unit_test(a_host_name_is_one),
		cmocka_unit_test(controls_have_one_word_each),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
