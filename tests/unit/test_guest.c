/* SPDX-License-Identifier: Apache-2.0 */
#include "executor/guest.h"

#include "base/auto.h"
#include "executor/guest_internal.h"
#include "unit.h"

#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

/* What the programs below say, in order. */
struct talk {
	struct executor *executor;
	struct guest *guest;
	struct buf said;
	struct guest_request requests[2];
	int n_open;
	struct error exit_reason;
	bool has_exited;
};

static struct talk talk;

static void stop(void)
{
	loop_stop(talk.executor->loop);
}

static void on_event(struct guest_request *r, const struct json *event)
{
	buf_puts(&talk.said, "event ");
	json_write(event, &talk.said);
	buf_puts(&talk.said, "\n");
}

static void on_request_output(struct guest_request *r, uint8_t channel, struct str bytes)
{
	buf_printf(&talk.said, "%d %.*s\n", channel, STR_ARG(bytes));
}

static void on_result(struct guest_request *r, const struct json *result)
{
	buf_puts(&talk.said, "result ");
	json_write(result, &talk.said);
	buf_puts(&talk.said, "\n");
	if (--talk.n_open == 0)
		stop();
}

static void on_error(struct guest_request *r, const struct error *err)
{
	buf_printf(&talk.said, "error %s %s\n", error_name(err->code), err->text);
	if (--talk.n_open == 0)
		stop();
}

static const struct guest_request_ops request_ops = {
	.on_event = on_event,
	.on_output = on_request_output,
	.on_result = on_result,
	.on_error = on_error,
};

static void on_message(void *arg, const struct json *message)
{
	buf_puts(&talk.said, "told ");
	json_write(message, &talk.said);
	buf_puts(&talk.said, "\n");
	stop();
}

static void on_output(void *arg, uint8_t channel, struct str bytes)
{
	buf_printf(&talk.said, "descriptor %d %.*s\n", channel, STR_ARG(bytes));
}

static void on_exit_of_guest(void *arg, const struct error *reason)
{
	talk.exit_reason = *reason;
	talk.has_exited = true;
	stop();
}

static const struct guest_ops ops = { on_message, on_output, on_exit_of_guest };

static int setup(void **state)
{
	int fds[2];
	struct error err;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), 0);
	struct executor_options options = { .control_fd = fds[0],
		.limits = LIMITS_INIT,
		.root_fd = -1,
		.layer_fd = -1,
		.workdir = "/tmp",
		.confine.cgroup_fd = -1 };
	memset(&talk, 0, sizeof(talk));
	buf_init(&talk.said, 1 << 20);
	list_init(&talk.requests[0].link);
	list_init(&talk.requests[1].link);
	assert_int_equal(executor_new(&options, &talk.executor, &err), 0);
	talk.executor->was_called = true;
	close(fds[1]);
	env_set(&talk.executor->env, STR("PATH"), STR("/usr/bin:/bin"), &err);
	return 0;
}

static int teardown(void **state)
{
	guest_free(talk.guest);
	executor_free(talk.executor);
	buf_fini(&talk.said);
	return 0;
}

static void start_with(const char *program, struct str arguments)
{
	struct error err = { 0 };
	struct guest_source sources[] = { { "helper", "def twice(x):\n    return 2 * x\n" },
		{ "program", program } };
	struct guest_plan plan = { .what = "tester",
		.sources = sources,
		.n_sources = 2,
		.arguments = arguments,
		.has_fork = true };
	if (guest_start(talk.executor, &plan, &ops, NULL, &talk.guest, &err) < 0)
		fail_msg("%s", err.text);
}

static void ask(struct guest *g, int i, const char *body)
{
	struct error err = { 0 };
	talk.requests[i].ops = &request_ops;
	if (guest_ask(g, &talk.requests[i], str_from(body), &err) < 0)
		fail_msg("%s", err.text);
	talk.n_open++;
}

static void run_until_stopped(void)
{
	executor_run(talk.executor);
}

#define HEAD "import cay_guest as guest, os, sys\n"

static void a_request_has_events_output_and_one_result(void **state)
{
	start_with(HEAD "import helper\n"
			"for r, m in guest.messages():\n"
			"    r.event({'step': 1})\n"
			"    r.output(2, 'caf\\u00e9'.encode())\n"
			"    r.result({'sum': helper.twice(m['a']) + guest.arguments['b']})\n",
		STR("{\"b\":5}"));
	ask(talk.guest, 0, "{\"a\":4}");
	run_until_stopped();
	assert_string_equal(talk.said.ptr, "event {\"step\":1}\n2 café\nresult {\"sum\":13}\n");
}

static void an_error_keeps_its_code_and_words(void **state)
{
	start_with(HEAD "for r, m in guest.messages():\n"
			"    r.error('not_found', 'no such tool')\n",
		STR_NONE);
	ask(talk.guest, 0, "{}");
	run_until_stopped();
	assert_string_equal(talk.said.ptr, "error not_found no such tool\n");
}

static void two_requests_end_in_any_order(void **state)
{
	start_with(HEAD "both = [r for r, m in (next(g) for g in [guest.messages()] * 2)]\n"
			"both[1].result(1)\n"
			"both[0].result(0)\n"
			"next(guest.messages())\n",
		STR_NONE);
	ask(talk.guest, 0, "{}");
	ask(talk.guest, 1, "{}");
	run_until_stopped();
	assert_string_equal(talk.said.ptr, "result 1\nresult 0\n");
}

static void messages_of_megabytes_arrive_whole(void **state)
{
	start_with(HEAD "for r, m in guest.messages():\n"
			"    r.result({'n': len(m['x']), 'back': m['x'][:700000]})\n",
		STR_NONE);
	auto_buf struct buf body = BUF_INIT(8 << 20);
	buf_puts(&body, "{\"x\":\"");
	for (int i = 0; i < 5000000; i++)
		buf_putc(&body, 'x');
	buf_puts(&body, "\"}");
	ask(talk.guest, 0, body.ptr);
	run_until_stopped();
	assert_true(str_ends(buf_str(&talk.said), STR("x\",\"n\":5000000}\n")) ||
		str_starts(buf_str(&talk.said), STR("result {\"n\":5000000,")));
	assert_int_equal(talk.said.len > 700000, true);
}

static void a_message_above_the_ceiling_is_refused(void **state)
{
	struct error err = { 0 };
	start_with(HEAD "next(guest.messages())\n", STR_NONE);
	auto_buf struct buf body = BUF_INIT(64 << 20);
	for (int i = 0; i < GUEST_MESSAGE_MAX + 1; i++)
		buf_putc(&body, ' ');
	assert_int_equal(guest_ask(talk.guest, &talk.requests[0], buf_str(&body), &err), -1);
	assert_int_equal(err.code, ERROR_TOO_LARGE);
}

static void what_it_prints_on_any_descriptor_is_no_message(void **state)
{
	start_with(HEAD "for r, m in guest.messages():\n"
			"    for fd in range(3, 400):\n"
			"        try: os.write(fd, b'{\"junk\":1}' * 100)\n"
			"        except OSError: pass\n"
			"    os.write(1, b'one')\n"
			"    r.output(1, b'two')\n"
			"    r.result('done')\n",
		STR_NONE);
	ask(talk.guest, 0, "{}");
	run_until_stopped();
	assert_string_equal(talk.said.ptr, "descriptor 1 one\n1 two\nresult \"done\"\n");
}

static void a_killed_guest_ends_its_requests(void **state)
{
	start_with(HEAD "import signal\n"
			"for r, m in guest.messages():\n"
			"    r.event('dying')\n"
			"    os.kill(os.getpid(), signal.SIGKILL)\n",
		STR_NONE);
	ask(talk.guest, 0, "{}");
	run_until_stopped();
	if (!talk.has_exited)
		run_until_stopped();
	assert_string_equal(talk.said.ptr,
		"event \"dying\"\nerror unavailable tester was killed by signal 9 (KILL)\n");
	assert_string_equal(talk.exit_reason.text, "tester was killed by signal 9 (KILL)");
	struct error err = { 0 };
	assert_int_equal(guest_ask(talk.guest, &talk.requests[0], STR("{}"), &err), -1);
	assert_int_equal(err.code, ERROR_UNAVAILABLE);
}

static void its_last_words_are_in_the_reason(void **state)
{
	start_with("import no_such_module\n", STR_NONE);
	run_until_stopped();
	assert_string_equal(talk.exit_reason.text,
		"tester ended with status 1: ModuleNotFoundError: No module named 'no_such_module'");
}

static void one_that_closes_its_channel_is_killed(void **state)
{
	start_with(HEAD "import time\n"
			"for r, m in guest.messages():\n"
			"    os.closerange(3, 1000)\n"
			"    time.sleep(100)\n",
		STR_NONE);
	ask(talk.guest, 0, "{}");
	run_until_stopped();
	if (!talk.has_exited)
		run_until_stopped();
	assert_string_equal(talk.exit_reason.text, "tester was killed by signal 9 (KILL)");
}

static void an_interrupt_reaches_it(void **state)
{
	start_with(HEAD "import time\n"
			"for r, m in guest.messages():\n"
			"    try:\n"
			"        guest.tell('asleep')\n"
			"        time.sleep(100)\n"
			"    except KeyboardInterrupt:\n"
			"        r.result('woken')\n",
		STR_NONE);
	ask(talk.guest, 0, "{}");
	run_until_stopped();
	assert_string_equal(talk.said.ptr, "told \"asleep\"\n");
	assert_int_equal(guest_signal(talk.guest, SIGINT, true, NULL), 0);
	run_until_stopped();
	assert_string_equal(talk.said.ptr, "told \"asleep\"\nresult \"woken\"\n");
}

#define FORKING                                                   \
	HEAD "mine = 7\n"                                         \
	     "for r, m in guest.messages():\n"                    \
	     "    if m is guest.FORKED: mine = guest.arguments\n" \
	     "    elif m == 'die': os._exit(3)\n"                 \
	     "    else: r.result([mine, os.getcwd(), os.environ.get('LANG'), os.getsid(0) == os.getpid()])\n"

static struct guest *fork_with(struct str arguments)
{
	struct error err = { 0 };
	struct guest *g;
	struct guest_plan plan = { .what = "copy", .arguments = arguments, .cwd = "/usr" };
	if (guest_fork(talk.guest, &plan, &ops, NULL, &g, &err) < 0)
		fail_msg("%s", err.text);
	return g;
}

static void a_fork_has_its_own_channel_and_arguments(void **state)
{
	start_with(FORKING, STR_NONE);
	struct guest *copy = fork_with(STR("8"));
	ask(copy, 0, "{}");
	run_until_stopped();
	ask(talk.guest, 1, "{}");
	run_until_stopped();
	assert_string_equal(talk.said.ptr,
		"result [8,\"/usr\",\"C.UTF-8\",true]\nresult [7,\"/tmp\",\"C.UTF-8\",true]\n");
	assert_true(guest_pid(copy) > 0 && guest_pid(copy) != guest_pid(talk.guest));
	guest_free(copy);
}

static void a_fork_that_ends_says_how(void **state)
{
	start_with(FORKING, STR_NONE);
	struct guest *copy = fork_with(STR("8"));
	ask(copy, 0, "\"die\"");
	run_until_stopped();
	if (!talk.has_exited)
		run_until_stopped();
	assert_string_equal(talk.exit_reason.text, "copy ended with status 3");
	guest_free(copy);
	talk.has_exited = false;
	ask(talk.guest, 0, "{}");
	run_until_stopped();
	assert_false(talk.has_exited);
}

/* Its parent's word on its end is read before the fork's own first one. */
static void the_end_of_a_fork_may_be_told_before_it_is_heard(void **state)
{
	start_with(FORKING, STR_NONE);
	struct guest *copy = fork_with(STR("8"));
	ask(copy, 0, "\"die\"");
	for (int unread = 0; unread < 2 * (int)sizeof("{\"ready\":1}") + 2 * GUEST_HEAD;) {
		poll(NULL, 0, 1);
		assert_int_equal(ioctl(talk.guest->channel.fd, FIONREAD, &unread), 0);
	}
	while (!talk.has_exited)
		run_until_stopped();
	assert_string_equal(talk.exit_reason.text, "copy ended with status 3");
	guest_free(copy);
}

static void a_fork_outlives_what_it_was_made_of(void **state)
{
	start_with(FORKING, STR_NONE);
	struct guest *copy = fork_with(STR("8"));
	ask(copy, 0, "{}");
	run_until_stopped();
	guest_free(talk.guest);
	talk.guest = copy;
	ask(copy, 0, "{}");
	run_until_stopped();
	assert_false(talk.has_exited);
}

static void without_python_it_says_what_is_missing(void **state)
{
	struct error err = { 0 };
	struct guest_source source = { "program", "" };
	struct guest_plan plan = { .what = "tester", .sources = &source, .n_sources = 1 };
	env_set(&talk.executor->env, STR("PATH"), STR("/nowhere"), &err);
	assert_int_equal(guest_start(talk.executor, &plan, &ops, NULL, &talk.guest, &err), -1);
	assert_int_equal(err.code, ERROR_UNSUPPORTED);
	assert_string_equal(err.text, "start tester: there is no python3 in the sandbox");
}

static void a_paused_guest_loses_nothing(void **state)
{
	start_with(HEAD "for r, m in guest.messages():\n"
			"    for i in range(3000): r.event(i)\n"
			"    r.result('end')\n"
			"    os._exit(0)\n",
		STR_NONE);
	ask(talk.guest, 0, "{}");
	guest_pause(talk.guest, true);
	guest_pause(talk.guest, false);
	run_until_stopped();
	assert_true(str_ends(buf_str(&talk.said), STR("event 2999\nresult \"end\"\n")));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(a_request_has_events_output_and_one_result),
		TEST(an_error_keeps_its_code_and_words),
		TEST(two_requests_end_in_any_order),
		TEST(messages_of_megabytes_arrive_whole),
		TEST(a_message_above_the_ceiling_is_refused),
		TEST(what_it_prints_on_any_descriptor_is_no_message),
		TEST(a_killed_guest_ends_its_requests),
		TEST(its_last_words_are_in_the_reason),
		TEST(one_that_closes_its_channel_is_killed),
		TEST(an_interrupt_reaches_it),
		TEST(a_fork_has_its_own_channel_and_arguments),
		TEST(a_fork_that_ends_says_how),
		TEST(the_end_of_a_fork_may_be_told_before_it_is_heard),
		TEST(a_fork_outlives_what_it_was_made_of),
		TEST(without_python_it_says_what_is_missing),
		TEST(a_paused_guest_loses_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
