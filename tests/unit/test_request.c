/* SPDX-License-Identifier: Apache-2.0 */
#include "sandbox/request.h"

#include "base/bug.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

static struct monitor_request request, parsed;
static struct error err;

static int setup(void **state)
{
	request = (struct monitor_request){ .version = MONITOR_VERSION,
		.op = MONITOR_CREATE,
		.serial = 1 };
	id_make(request.spec.id);
	id_make(request.id);
	return 0;
}

static struct str bytes(void)
{
	return str_from_len((const char *)&request, sizeof(request));
}

static int check(void)
{
	if (request_parse(bytes(), &parsed, &err) < 0)
		fail_msg("parse: %s", err.text);
	return request_check(&parsed, &err);
}

static void a_create_of_the_default_spec_is_granted(void **state)
{
	if (check() < 0)
		fail_msg("%s", err.text);
}

static void a_message_of_another_size_is_of_no_server_of_ours(void **state)
{
	assert_int_equal(request_parse(str_first(bytes(), sizeof(request) - 1), &parsed, &err), -1);
	assert_int_equal(err.code, ERROR_PROTOCOL);
	assert_int_equal(request_parse(STR_NONE, &parsed, &err), -1);
}

static void another_version_or_operation_is_of_no_server_of_ours(void **state)
{
	request.version++;
	assert_int_equal(request_parse(bytes(), &parsed, &err), -1);
	request.version--;
	static const uint32_t wrong[] = { 0, MONITOR_ENDED, MONITOR_READY + 1, UINT32_MAX };
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		request.op = wrong[i];
		assert_int_equal(request_parse(bytes(), &parsed, &err), -1);
		assert_int_equal(err.code, ERROR_PROTOCOL);
	}
}

static void an_id_that_could_name_a_path_is_refused(void **state)
{
	request.op = MONITOR_DESTROY;
	snprintf(request.id, sizeof(request.id), "../../etc");
	assert_int_equal(check(), -1);
	assert_int_equal(err.code, ERROR_INVALID);
	memset(request.id, 'a', sizeof(request.id)); /* no end */
	assert_int_equal(check(), -1);
	request.op = MONITOR_CREATE;
	memset(request.spec.id, 'a', sizeof(request.spec.id));
	assert_int_equal(check(), -1);
}

static void a_text_without_an_end_is_refused(void **state)
{
	memset(request.spec.hostname, 'h', sizeof(request.spec.hostname));
	assert_int_equal(check(), -1);
	setup(state);
	memset(request.spec.image_path, '/', sizeof(request.spec.image_path));
	assert_int_equal(check(), -1);
	setup(state);
	memset(request.spec.workdir, '/', sizeof(request.spec.workdir));
	assert_int_equal(check(), -1);
	setup(state);
	request.spec.n_mounts = 1;
	memset(request.spec.mounts[0].target, '/', sizeof(request.spec.mounts[0].target));
	assert_int_equal(check(), -1);
}

static void more_mounts_than_there_is_room_for_are_refused(void **state)
{
	request.spec.n_mounts = SPEC_MOUNTS_MAX + 1;
	assert_int_equal(check(), -1);
	request.spec.n_mounts = UINT32_MAX;
	assert_int_equal(check(), -1);
}

static void a_flag_is_zero_or_one(void **state)
{
	request.op = MONITOR_FREEZE;
	request.flag = 2;
	assert_int_equal(check(), -1);
	request.flag = 1;
	assert_int_equal(check(), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(a_create_of_the_default_spec_is_granted, setup),
		cmocka_unit_test_setup(a_message_of_another_size_is_of_no_server_of_ours, setup),
		cmocka_unit_test_setup(another_version_or_operation_is_of_no_server_of_ours, setup),
		cmocka_unit_test_setup(an_id_that_could_name_a_path_is_refused, setup),
		cmocka_unit_test_setup(a_text_without_an_end_is_refused, setup),
		cmocka_unit_test_setup(more_mounts_than_there_is_room_for_are_refused, setup),
		cmocka_unit_test_setup(a_flag_is_zero_or_one, setup),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
