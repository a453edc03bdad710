/* SPDX-License-Identifier: Apache-2.0 */
/* libcay as a program sees it, over the backend local. CAY_LIBEXEC says where the executor is. */
#include "unit.h"

#include <cay/cay.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct seen {
	struct cay *cay;
	char id[64];
	char data[256], result[4096], statuses[512];
	struct cay_error err;
	int n_ended, n_events;
};

static void on_status(void *arg, const char *id, const char *status, int is_error, const char *text)
{
	struct seen *s = arg;
	snprintf(s->statuses + strlen(s->statuses), sizeof(s->statuses) - strlen(s->statuses),
		"%s ", status);
}

static int setup(void **state)
{
	struct seen *s = calloc(1, sizeof(*s));
	struct cay_options options = { .size = sizeof(options), .on_status = on_status, .arg = s };
	s->cay = cay_open("local", &options, &s->err);
	assert_non_null(s->cay);
	char *id = cay_create(s->cay, "{\"name\":\"demo\"}", &s->err);
	assert_non_null(id);
	snprintf(s->id, sizeof(s->id), "%s", id);
	cay_free(id);
	*state = s;
	return 0;
}

static int teardown(void **state)
{
	struct seen *s = *state;
	cay_close(s->cay);
	free(s);
	return 0;
}

static void on_data(void *arg, int channel, const void *bytes, size_t len)
{
	struct seen *s = arg;
	snprintf(s->data + strlen(s->data), sizeof(s->data) - strlen(s->data), "%d:%.*s", channel,
		(int)len, (const char *)bytes);
}

static void on_result(void *arg, const char *json, size_t len)
{
	struct seen *s = arg;
	snprintf(s->result, sizeof(s->result), "%s", json);
	s->n_ended++;
}

static void on_error(void *arg, const struct cay_error *err)
{
	struct seen *s = arg;
	s->err = *err;
	s->n_ended++;
}

static const struct cay_sink sink = { .data = on_data, .result = on_result, .error = on_error };

static void a_sandbox_is_made_used_and_gone(void **state)
{
	struct seen *s = *state;
	char *result = cay_perform(s->cay, "demo", "exec",
		"{\"argv\":[\"sh\",\"-c\",\"echo hi; exit 3\"],\"capture\":true}", &s->err);
	assert_non_null(result);
	assert_non_null(strstr(result, "\"exit_code\":3"));
	assert_non_null(strstr(result, "\"stdout\":\"hi\\n\""));
	cay_free(result);
	char *list = cay_list(s->cay), *one = cay_describe(s->cay, s->id, &s->err);
	assert_non_null(strstr(list, "\"demo\""));
	assert_non_null(strstr(one, "\"state\":\"ready\""));
	cay_free(list);
	cay_free(one);
	assert_int_equal(cay_destroy(s->cay, s->id, &s->err), 0);
	assert_null(cay_describe(s->cay, s->id, &s->err));
	assert_int_equal(s->err.code, CAY_NOT_FOUND);
	assert_string_equal(s->statuses, "STARTING_RUNTIME RUNTIME_STARTED READY STOPPED ");
}

static void mistakes_are_errors_that_name_them(void **state)
{
	struct seen *s = *state;
	assert_null(cay_open("nonsense", NULL, &s->err));
	assert_int_equal(s->err.code, CAY_INVALID);
	assert_null(cay_create(s->cay, "{\"name\":", &s->err));
	assert_int_equal(s->err.code, CAY_INVALID);
	assert_null(cay_create(s->cay, "{\"nam\":\"x\"}", &s->err));
	assert_int_equal(s->err.code, CAY_INVALID);
	assert_null(cay_create(s->cay, "{\"require\":[\"seccomp\"]}", &s->err));
	assert_int_equal(s->err.code, CAY_UNSUPPORTED);
	assert_null(cay_perform(s->cay, s->id, "fly", NULL, &s->err));
	assert_int_equal(s->err.code, CAY_NOT_FOUND);
	assert_null(cay_perform(s->cay, s->id, "read", "{\"pat\":\"x\"}", &s->err));
	assert_int_equal(s->err.code, CAY_INVALID);
	assert_null(cay_perform(s->cay, s->id, "read", "{\"path\":\"none\"}", &s->err));
	assert_int_equal(s->err.code, CAY_NOT_FOUND);
	assert_null(cay_perform(s->cay, s->id, "read", "{\"path\":\"/etc/passwd\"}", NULL));
	assert_string_equal(cay_code_name(CAY_DISCONNECTED), "disconnected");
	assert_string_equal(cay_code_name(-1), "unknown");
	assert_true(cay_code_is_retryable(CAY_NOT_READY));
}

static void a_far_server_that_is_not_there_is_disconnected(void **state)
{
	struct seen *s = *state;
	assert_null(cay_open("action+http://127.0.0.1:1", NULL, &s->err));
	assert_int_equal(s->err.code, CAY_DISCONNECTED);
}

static void output_and_input_are_streamed_in_a_loop_of_ones_own(void **state)
{
	struct seen *s = *state;
	struct cay_call *call = cay_start(s->cay, s->id, "exec",
		"{\"argv\":[\"cat\"],\"stdin\":true}", &sink, s, &s->err);
	assert_non_null(call);
	cay_call_send(call, 0, "abc", 3);
	cay_call_eof(call, 0);
	while (!s->n_ended) {
		struct pollfd p = { .fd = cay_fd(s->cay), .events = POLLIN };
		assert_true(poll(&p, 1, cay_timeout_ms(s->cay)) >= 0);
		assert_int_equal(cay_turn(s->cay, 0, &s->err), 0);
	}
	assert_string_equal(s->data, "1:abc");
}

static void wait_inside(void *arg, const char *json, size_t len)
{
	struct seen *s = arg;
	struct cay_error err;
	s->n_ended++;
	assert_null(cay_perform(s->cay, s->id, "info", NULL, &err));
	assert_int_equal(err.code, CAY_CONFLICT);
	assert_null(cay_create(s->cay, "{}", &err));
	assert_int_equal(err.code, CAY_CONFLICT);
	assert_int_equal(cay_turn(s->cay, 1, &err), -1);
	assert_int_equal(err.code, CAY_CONFLICT);
}

static void a_callback_that_waits_is_refused(void **state)
{
	static const struct cay_sink waiting = { .result = wait_inside };
	struct seen *s = *state;
	struct cay_call *call = cay_start(s->cay, s->id, "info", NULL, &waiting, s, &s->err);
	assert_int_equal(cay_call_wait(call, &s->err), 0);
	assert_int_equal(s->n_ended, 1);
}

static void a_cancelled_call_is_told_nothing(void **state)
{
	struct seen *s = *state;
	struct cay_call *call = cay_start(s->cay, s->id, "exec", "{\"argv\":[\"sleep\",\"1000\"]}",
		&sink, s, &s->err);
	cay_call_cancel(call);
	cay_free(cay_perform(s->cay, s->id, "info", NULL, NULL));
	assert_int_equal(s->n_ended, 0);
}

static void on_event(void *arg, const char *json, size_t len)
{
	struct seen *s = arg;
	assert_int_equal(strlen(json), len);
	s->n_events++;
}

static void what_happens_can_be_followed(void **state)
{
	struct seen *s = *state;
	struct cay_follower *f = cay_follow(s->cay, s->id, 0, on_event, s, &s->err);
	assert_non_null(f);
	cay_free(cay_perform(s->cay, s->id, "exec", "{\"argv\":[\"true\"]}", NULL));
	while (s->n_events < 4)
		assert_int_equal(cay_turn(s->cay, 1, &s->err), 0);
	cay_unfollow(f);
}

static void a_paused_sandbox_refuses_and_goes_on(void **state)
{
	struct seen *s = *state;
	assert_int_equal(cay_pause(s->cay, s->id, &s->err), 0);
	assert_null(cay_perform(s->cay, s->id, "exec", "{\"argv\":[\"true\"]}", &s->err));
	assert_int_equal(s->err.code, CAY_CONFLICT);
	assert_int_equal(cay_resume(s->cay, s->id, &s->err), 0);
	char *result = cay_perform(s->cay, s->id, "exec", "{\"argv\":[\"true\"]}", &s->err);
	assert_non_null(result);
	cay_free(result);
}

static void closing_ends_everything(void **state)
{
	struct cay *cay = cay_open("local", NULL, NULL);
	assert_non_null(cay);
	char *id = cay_create(cay, NULL, NULL);
	char *result = cay_perform(cay, id, "exec",
		"{\"argv\":[\"sh\",\"-c\",\"pwd; setsid sleep 1000 >/dev/null 2>&1 & echo $!\"],\"capture\":true}",
		NULL);
	assert_non_null(result);
	const char *dir = strstr(result, "\"stdout\":\"");
	char path[128];
	assert_int_equal(sscanf(dir, "\"stdout\":\"%120[^\\]", path), 1);
	assert_int_equal(access(path, F_OK), 0);
	cay_free(result);
	cay_free(id);
	cay_close(cay);
	assert_int_not_equal(access(path, F_OK), 0);
}

static void the_actions_tell_their_schemas(void **state)
{
	char *text = cay_actions();
	assert_non_null(strstr(text, "\"name\":\"run\""));
	assert_non_null(strstr(text, "\"additionalProperties\":false"));
	cay_free(text);
}

#define WITH(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH(a_sandbox_is_made_used_and_gone),
		WITH(mistakes_are_errors_that_name_them),
		WITH(a_far_server_that_is_not_there_is_disconnected),
		WITH(output_and_input_are_streamed_in_a_loop_of_ones_own),
		WITH(a_callback_that_waits_is_refused),
		WITH(a_cancelled_call_is_told_nothing),
		WITH(what_happens_can_be_followed),
		WITH(a_paused_sandbox_refuses_and_goes_on),
		cmocka_unit_test(closing_ends_everything),
		cmocka_unit_test(the_actions_tell_their_schemas),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
