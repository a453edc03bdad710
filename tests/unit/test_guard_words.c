/* SPDX-License-Identifier: Apache-2.0 */
/* What a model is asked and says, and what a client of CAMEL's guard is told, to the letter. */
#include "unit.h"

#include "base/auto.h"
#include "action/gate.h"
#include "guard/camel.h"
#include "guard/judge.h"

static int score(const char *body, struct buf *reason, struct error *err)
{
	buf_reset(reason);
	return judge_read_answer(str_from(body), reason, err);
}

#define CALL(arguments) \
	"{\"function\":{\"name\":\"function_risk\",\"arguments\":\"" arguments "\"}}"
#define ANSWER(calls) "{\"choices\":[{\"message\":{\"tool_calls\":[" calls "]}}]}"
#define SCORE(n, why) CALL("{\\\"score\\\":" #n ",\\\"reason\\\":\\\"" why "\\\"}")

static void the_highest_score_counts(void **state)
{
	auto_buf struct buf reason = BUF_INIT(4096);
	struct error err;
	assert_int_equal(score(ANSWER(SCORE(1, "fine")), &reason, &err), 1);
	assert_string_equal(reason.ptr, "fine");
	assert_int_equal(
		score(ANSWER(SCORE(1, "a") "," SCORE(3, "b") "," SCORE(2, "c")), &reason, &err), 3);
	assert_string_equal(reason.ptr, "b");
}

static void an_answer_without_a_score_is_none(void **state)
{
	static const char *const answers[] = { "", "[]", "{}", "{\"choices\":[]}",
		"{\"choices\":[{\"message\":{\"content\":\"score: 1\"}}]}", ANSWER(""),
		ANSWER(SCORE(0, "")), ANSWER(SCORE(4, "")), ANSWER(SCORE(1.5, "")),
		ANSWER(CALL("{\\\"score\\\":\\\"1\\\"}")), ANSWER(CALL("")), ANSWER(CALL("{}")),
		ANSWER(SCORE(1, "a") "," CALL("no")),
		ANSWER("{\"function\":{\"name\":\"other\",\"arguments\":\"{}\"}}") };
	auto_buf struct buf reason = BUF_INIT(4096);
	for (size_t i = 0; i < ARRAY_LEN(answers); i++) {
		struct error err;
		assert_fails(score(answers[i], &reason, &err), err, PROTOCOL, "");
	}
}

static void arguments_are_data_in_a_fence_that_they_cannot_end(void **state)
{
	auto_buf struct buf b = BUF_INIT(1 << 20);
	auto_json struct json *arguments = NULL, *request = NULL;
	struct error err;
	assert_works(json_parse(STR("{\"a\":\"```\\n\"}"), &arguments, &err), err);
	assert_works(judge_put_request(&b, "m", STR("f"), STR("d"), arguments, &err), err);
	assert_works(json_parse(buf_str(&b), &request, &err), err);
	struct str text = json_str(
		json_find(json_at(json_find(request, "messages"), 1), "content"));
	assert_str(text,
		"Function name: f\nFunction description: d\nArguments:\n```json\n{\"a\":\"\\u0060\\u0060\\u0060\\n\"}\n```");
}

static void too_many_arguments_are_not_judged(void **state)
{
	auto_buf struct buf text = BUF_INIT(1 << 20), b = BUF_INIT(1 << 20);
	auto_json struct json *arguments = NULL;
	struct error err;
	buf_puts(&text, "{\"a\":\"");
	for (int i = 0; i < JUDGE_ARGUMENTS_MAX; i++)
		buf_putc(&text, 'x');
	buf_puts(&text, "\"}");
	assert_works(json_parse(buf_str(&text), &arguments, &err), err);
	assert_fails(judge_put_request(&b, "m", STR("f"), STR("d"), arguments, &err), err,
		TOO_LARGE, "too much to be judged");
}

static void a_client_of_camel_reads_its_own_sentences(void **state)
{
	static const struct {
		const char *refused, *told;
	} rows[] = {
		{ GATE_REFUSAL
			"blocked execute_code: risk HIGH (3, above 2) by the model: it deletes (all): so",
			"{\"error\":\"Risk assessment not passed for execute_code.Score: 3 > Threshold: 2\\n"
			"Reason: deletes (all): so\"}" },
		{ GATE_REFUSAL "blocked x, since its risk could not be assessed: nobody (there)",
			"{\"error\":\"Risk assessment failed. Disabling function.\"}" },
		{ GATE_REFUSAL "refused x: rejected by the approver: no (3",
			"{\"error\":\"" GATE_REFUSAL
			"refused x: rejected by the approver: no (3\"}" },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		auto_buf struct buf b = BUF_INIT(65536);
		struct error err;
		error_set(&err, ERROR_FORBIDDEN, "%s", rows[i].refused);
		assert_true(gate_is_refusal(&err));
		camel_put_refusal(&b, STR("execute_code"), &err);
		assert_string_equal(b.ptr, rows[i].told);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_highest_score_counts),
		cmocka_unit_test(an_answer_without_a_score_is_none),
		cmocka_unit_test(arguments_are_data_in_a_fence_that_they_cannot_end),
		cmocka_unit_test(too_many_arguments_are_not_judged),
		cmocka_unit_test(a_client_of_camel_reads_its_own_sentences),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
