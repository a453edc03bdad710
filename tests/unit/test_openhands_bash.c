/* SPDX-License-Identifier: Apache-2.0 */
/* The names of commands and of their events. */
#include "unit.h"

#include "base/auto.h"
#include "face/openhands/bash_id.h"

static void a_name_says_what_it_was_made_of(void **state)
{
	char id[BASH_ID_SIZE], other[BASH_ID_SIZE], event[BASH_ID_SIZE], name[BASH_NAME_SIZE];
	struct bash_id read;
	bash_id_make(300, id);
	bash_id_make(300, other);
	assert_string_not_equal(id, other);
	assert_int_equal(id[12], '4');
	assert_int_equal(id[16], '8');
	bash_id_of_event(id, 0xabcdef, event);
	assert_true(bash_id_parse(str_from(event), &read));
	assert_string_equal(read.command, id);
	assert_int_equal(read.timeout_s, 300);
	assert_int_equal(read.number, 0xabcdef);
	bash_name(id, name);
	assert_true(bash_name_parse(str_from(name), &read));
	assert_string_equal(read.command, id);
	bash_name(event, name);
	assert_false(bash_name_parse(str_from(name), &read));
	assert_false(bash_name_parse(STR("web"), &read));
}

static void a_uuid_is_read_in_its_other_forms(void **state)
{
	struct bash_id read;
	assert_true(bash_id_parse(STR("01234567-89AB-4def-8123-00012c000002"), &read));
	assert_string_equal(read.command, "0123456789ab4def812300012c000000");
	assert_int_equal(read.timeout_s, 300);
	assert_int_equal(read.number, 2);
}

static void what_is_no_uuid_is_refused(void **state)
{
	static const char *const wrong[] = { "", "0", "0123456789ab4def812300012c00000",
		"0123456789ab4def812300012c0000000", "0123456789ab4def812300012c00000g",
		"0123456-789ab-4def-8123-00012c000002", "----------------------------------------",
		"0123456789ab4def812300012c-00002" };
	struct bash_id read;
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
		assert_false(bash_id_parse(str_from(wrong[i]), &read));
	assert_false(bash_id_parse(STR_NONE, &read));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_name_says_what_it_was_made_of),
		cmocka_unit_test(a_uuid_is_read_in_its_other_forms),
		cmocka_unit_test(what_is_no_uuid_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
