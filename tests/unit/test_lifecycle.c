/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/lifecycle.h"

#include "unit.h"

static enum sandbox_state after(enum sandbox_state state, enum life what)
{
	const struct life_step *step = lifecycle_find(state, what);
	assert_non_null(step);
	return step->next;
}

static void a_sandbox_is_made_used_and_ended(void **unused)
{
	enum sandbox_state s = after(SANDBOX_CREATING, LIFE_STARTED);
	assert_int_equal(lifecycle_find(SANDBOX_CREATING, LIFE_STARTED)->deed, DEED_CONFIGURE);
	s = after(s, LIFE_CONFIGURED);
	assert_int_equal(s, SANDBOX_READY);
	assert_int_equal(after(s, LIFE_BUSY), SANDBOX_RUNNING);
	assert_int_equal(after(after(s, LIFE_FROZEN), LIFE_THAWED), SANDBOX_READY);
	assert_int_equal(after(after(s, LIFE_END), LIFE_GONE), SANDBOX_ENDED);
	assert_int_equal(after(after(s, LIFE_STOP), LIFE_GONE), SANDBOX_STOPPED);
}

static void a_sandbox_can_be_ended_in_every_state(void **unused)
{
	for (int state = 0; state < SANDBOX_STATE_MAX; state++) {
		assert_non_null(lifecycle_find((enum sandbox_state)state, LIFE_END));
		assert_non_null(lifecycle_find((enum sandbox_state)state, LIFE_STOP));
	}
}

/* Whatever happens, repeatedly ending and losing a sandbox brings it to a final state. */
static void every_state_leads_to_an_end(void **unused)
{
	for (int start = 0; start < SANDBOX_STATE_MAX; start++) {
		enum sandbox_state s = after((enum sandbox_state)start, LIFE_END);
		const struct life_step *gone = lifecycle_find(s, LIFE_GONE);
		assert_true(sandbox_state_is_final(gone ? gone->next : s));
	}
}

static void nothing_revives_the_ended(void **unused)
{
	for (int state = 0; state < SANDBOX_STATE_MAX; state++)
		for (int life = 0; life < LIFE_MAX; life++) {
			const struct life_step *step = lifecycle_find((enum sandbox_state)state,
				(enum life)life);
			if (step && sandbox_state_is_final((enum sandbox_state)state))
				assert_true(sandbox_state_is_final(step->next));
		}
}

static void every_state_has_a_word_of_its_own(void **unused)
{
	for (int state = 0; state < SANDBOX_STATE_MAX; state++) {
		enum sandbox_state back;
		assert_true(sandbox_state_from_name(
			str_from(sandbox_state_name((enum sandbox_state)state)), &back));
		assert_int_equal(back, state);
	}
	enum sandbox_state none;
	assert_false(sandbox_state_from_name(STR("dreaming"), &none));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_sandbox_is_made_used_and_ended),
		cmocka_unit_test(a_sandbox_can_be_ended_in_every_state),
		cmocka_unit_test(every_state_leads_to_an_end),
		cmocka_unit_test(nothing_revives_the_ended),
		cmocka_unit_test(every_state_has_a_word_of_its_own),
	};
	return cmocka_run_group_tests_name("lifecycle", tests, NULL, NULL);
}
