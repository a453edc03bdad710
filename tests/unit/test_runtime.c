/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The domain over a fake backend: each test waits for what it asked for, on a real loop and store.
 */
#include "runtime/runtime.h"

#include "fake_backend.h"
#include "unit.h"

#include "action/executor_actions.h"
#include "action/file_actions.h"
#include "action/session_actions.h"
#include "base/auto.h"
#include "base/bug.h"
#include "base/file.h"
#include "runtime/internal.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>

struct world {
	char dir[64];
	struct loop *loop;
	struct fake_world fake;
	struct backend *backend;
	struct runtime *rt;
	int sandboxes_max;
	/* What the last callback said: */
	struct error err;
	char id[ID_SIZE];
	struct buf text; /* result, or what a follower saw */
	int64_t seq;
	int n, wanted;
};

static void note(struct world *w, const struct error *err)
{
	w->err = err ? *err : (struct error){ 0 };
	loop_stop(w->loop);
}

static void on_done(void *arg, const struct error *err)
{
	note(arg, err);
}

static void on_sandbox(void *arg, struct sandbox *s, const struct error *err)
{
	struct world *w = arg;
	snprintf(w->id, sizeof(w->id), "%s", s ? s->id : "");
	note(w, err);
}

static void start(struct world *w)
{
	struct error err;
	assert_works(loop_new(&w->loop, &err), err);
	w->backend = fake_backend_new(w->loop, &w->fake);
	const struct runtime_config config = {
		.loop = w->loop,
		.backend = w->backend,
		.state_dir = w->dir,
		.sandboxes_max = w->sandboxes_max,
	};
	assert_works(runtime_new(&config, &w->rt, &err), err);
	runtime_start(w->rt, on_done, w);
	loop_run(w->loop);
	assert_int_equal(w->err.code, ERROR_OK);
}

static void stop(struct world *w)
{
	runtime_free(w->rt);
	loop_free(w->loop);
}

static int setup(void **state)
{
	struct world *w = mem_new(struct world);
	snprintf(w->dir, sizeof(w->dir), "/tmp/cay-runtime-XXXXXX");
	assert_non_null(mkdtemp(w->dir));
	buf_init(&w->text, 1 << 24);
	fake_world_init(&w->fake);
	w->sandboxes_max = 3;
	start(w);
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;
	stop(w);
	fake_world_fini(&w->fake);
	buf_fini(&w->text);
	file_remove_tree(AT_FDCWD, w->dir, NULL);
	free(w);
	return 0;
}

static void ask_create(struct world *w, const char *json)
{
	auto_json struct json *body = NULL;
	auto_arena struct arena arena = ARENA_INIT(1 << 20);
	struct create *create = arena_new(&arena, struct create);
	struct error err;
	assert_works(json_parse(str_from(json), &body, &err), err);
	assert_works(create_from_json(body, &arena, create, &err), err);
	runtime_create(w->rt, create, on_sandbox, w);
}

static void create(struct world *w, const char *json)
{
	ask_create(w, json);
	loop_run(w->loop);
}

static struct sandbox *sandbox(struct world *w, const char *key)
{
	struct error err;
	return runtime_find(w->rt, str_from(key), &err);
}

static struct sandbox *made(struct world *w, const char *json)
{
	create(w, json);
	if (w->err.code != ERROR_OK)
		fail_msg("%s", w->err.text);
	return sandbox(w, w->id);
}

static void on_data(void *arg, uint8_t channel, struct str bytes)
{
	struct world *w = arg;
	buf_printf(&w->text, "<%d:%.*s>", channel, STR_ARG(bytes));
}

static void on_event_json(void *arg, struct str json)
{
	struct world *w = arg;
	buf_printf(&w->text, "<%.*s>", STR_ARG(json));
}

static void on_result(void *arg, struct str json)
{
	struct world *w = arg;
	buf_put(&w->text, json);
	note(w, NULL);
}

static const struct call_sink sink = {
	.data = on_data,
	.event = on_event_json,
	.result = on_result,
	.error = on_done,
};

static const char *perform(struct world *w, const struct action *action, const char *params)
{
	buf_reset(&w->text);
	runtime_perform(sandbox(w, w->id), action, str_from(params), &sink, w);
	loop_run(w->loop);
	return w->err.code == ERROR_OK ? w->text.ptr : error_name(w->err.code);
}

/* The events of a kind, as text. */
static void put_event(void *arg, const struct event *event)
{
	struct world *w = arg;
	struct jsonw jw = JSONW(&w->text);
	event_write(event, &jw);
	buf_putc(&w->text, '\n');
	w->n++;
}

static const char *events(struct world *w)
{
	struct error err;
	buf_reset(&w->text);
	w->n = 0;
	assert_works(event_read(w->rt, NULL, 0, 1000, put_event, w, &err), err);
	return w->text.ptr;
}

static int n_living(struct world *w)
{
	struct runtime_stats stats;
	runtime_stats(w->rt, &stats);
	return (int)stats.sandboxes;
}

/* Life. */

static void a_sandbox_is_found_by_id_name_and_prefix(void **state)
{
	struct world *w = *state;
	struct sandbox *s = made(w, "{\"name\":\"box\",\"labels\":{\"team\":\"a\"}}");
	char prefix[8] = "";
	memcpy(prefix, s->id, 5);
	assert_int_equal(s->state, SANDBOX_READY);
	assert_ptr_equal(sandbox(w, "box"), s);
	assert_ptr_equal(sandbox(w, prefix), s);
	prefix[3] = '\0';
	assert_null(sandbox(w, prefix));
	assert_str(sandbox_label(s, STR("team")), "a");
	assert_null(sandbox_label(s, STR("none")).ptr);
}

static void a_destroyed_sandbox_is_forgotten_and_its_events_stay(void **state)
{
	struct world *w = *state;
	runtime_destroy(made(w, "{}"), on_done, w);
	loop_run(w->loop);
	assert_int_equal(w->err.code, ERROR_OK);
	assert_null(sandbox(w, w->id));
	assert_int_equal(w->fake.n_destroyed, 1);
	assert_true(list_is_empty(&w->fake.living));
	assert_text(events(w), "\"state\":\"creating\"");
	assert_text(w->text.ptr, "\"state\":\"ready\"");
	assert_text(w->text.ptr, "\"state\":\"ended\",\"reason\":\"destroyed\"");
}

static void a_stopped_sandbox_keeps_its_record(void **state)
{
	struct world *w = *state;
	struct sandbox *s = made(w, "{\"name\":\"box\"}");
	runtime_stop(s, on_done, w);
	loop_run(w->loop);
	s = sandbox(w, "box");
	assert_non_null(s);
	assert_int_equal(s->state, SANDBOX_STOPPED);
	assert_int_equal(n_living(w), 0);
	assert_string_equal(perform(w, &run_action, "{\"command\":\"echo x\"}"), "gone");
	runtime_destroy(s, on_done, w);
	loop_run(w->loop);
	assert_null(sandbox(w, "box"));
}

static void a_name_is_unique_among_the_living(void **state)
{
	struct world *w = *state;
	struct sandbox *first = made(w, "{\"name\":\"box\"}");
	create(w, "{\"name\":\"box\"}");
	assert_int_equal(w->err.code, ERROR_EXISTS);
	runtime_stop(first, on_done, w);
	loop_run(w->loop);
	struct sandbox *second = made(w, "{\"name\":\"box\"}");
	assert_ptr_equal(sandbox(w, "box"), second);
}

static void there_is_a_limit_on_the_living(void **state)
{
	struct world *w = *state;
	for (int i = 0; i < 3; i++)
		made(w, "{}");
	create(w, "{}");
	assert_int_equal(w->err.code, ERROR_LIMIT);
	assert_text(w->err.text, "3 sandboxes are alive");
}

static void a_failed_create_says_why_and_leaves_nothing(void **state)
{
	struct world *w = *state;
	error_set(&w->fake.refuse, ERROR_UNSUPPORTED, "mount layer 2: no overlay");
	create(w, "{\"name\":\"box\"}");
	assert_int_equal(w->err.code, ERROR_UNSUPPORTED);
	assert_string_equal(w->err.text, "mount layer 2: no overlay");
	assert_null(sandbox(w, "box"));
	assert_int_equal(n_living(w), 0);
	assert_text(events(w), "no overlay");
}

static void a_sandbox_that_is_ended_while_it_is_made_does_not_live(void **state)
{
	struct world *w = *state;
	w->fake.holds_creates = true;
	ask_create(w, "{\"name\":\"box\"}");
	runtime_destroy(sandbox(w, "box"), NULL, NULL);
	loop_run(w->loop); /* refused before the backend was asked */
	assert_int_equal(w->err.code, ERROR_GONE);
	assert_int_equal(w->fake.n_created, 0);
}

static void its_environment_is_set_before_it_is_handed_out(void **state)
{
	struct world *w = *state;
	made(w, "{\"env\":{\"KEY\":\"secret-value\"}}");
	assert_text(w->fake.configured, "\"env\":{\"KEY\":\"secret-value\"}");
	assert_null(strstr(events(w), "secret-value"));
	assert_text(w->text.ptr, "\"env\":[\"KEY\"]");
}

static void a_ready_one_keeps_the_id_of_its_caller(void **state)
{
	struct world *w = *state;
	w->fake.gives_other_ids = true;
	struct sandbox *s = made(w, "{}");
	assert_string_not_equal(s->id, s->backend_id);
	assert_string_equal(perform(w, &run_action, "{\"command\":\"echo x\"}"),
		"{\"output\":\"x\"}");
	fake_end(w->backend, s->backend_id, END_EXITED);
	assert_int_equal(s->state, SANDBOX_ENDED);
}

static void on_stop_event(void *arg, const struct event *event)
{
	struct world *w = arg;
	if (str_find(event->data, STR("\"ended\"")) >= 0)
		loop_stop(w->loop);
}

static const char *end_reason_of(struct world *w, const char *json)
{
	made(w, json);
	struct follower *f = event_follow(w->rt, w->id, 0, on_stop_event, w);
	loop_run(w->loop);
	event_follow_stop(f);
	return sandbox(w, w->id)->reason;
}

static void deadlines_end_a_sandbox(void **state)
{
	struct world *w = *state;
	assert_string_equal(end_reason_of(w, "{\"timeout_ms\":20}"), "its time was up after 20 ms");
	assert_string_equal(end_reason_of(w, "{\"idle_timeout_ms\":20}"), "no action for 20 ms");
	assert_true(list_is_empty(&w->fake.living));
}

static void a_sandbox_that_died_fails_its_calls(void **state)
{
	struct world *w = *state;
	struct sandbox *s = made(w, "{}");
	runtime_perform(s, &run_action, STR("{\"command\":\"hang\"}"), &sink, w);
	fake_end(w->backend, s->backend_id, END_OUT_OF_MEMORY);
	loop_run(w->loop);
	assert_int_equal(w->err.code, ERROR_GONE);
	assert_text(w->err.text, "out of memory");
	assert_string_equal(sandbox(w, w->id)->reason, "out of memory");
}

static void a_paused_sandbox_refuses_actions(void **state)
{
	struct world *w = *state;
	struct sandbox *s = made(w, "{}");
	runtime_pause(s, true, on_done, w);
	loop_run(w->loop);
	assert_int_equal(s->state, SANDBOX_PAUSED);
	assert_string_equal(perform(w, &run_action, "{\"command\":\"echo x\"}"), "conflict");
	runtime_pause(s, false, on_done, w);
	loop_run(w->loop);
	assert_string_equal(perform(w, &run_action, "{\"command\":\"echo x\"}"),
		"{\"output\":\"x\"}");
}

/* Actions. */

static void an_action_is_an_event_and_its_observation_another(void **state)
{
	struct world *w = *state;
	made(w, "{}");
	assert_string_equal(perform(w, &run_action, "{\"command\":\"echo hi\"}"),
		"{\"output\":\"hi\"}");
	assert_int_equal(sandbox(w, w->id)->state, SANDBOX_READY);
	assert_text(events(w),
		"\"kind\":\"action\",\"data\":{\"action\":\"run\",\"params\":{\"command\":\"echo hi\"}}");
	assert_text(w->text.ptr, "\"kind\":\"observation\",\"cause\":");
	assert_text(w->text.ptr, "\"result\":{\"output\":\"hi\"}");
}

static void an_action_that_reads_is_no_event(void **state)
{
	struct world *w = *state;
	made(w, "{}");
	events(w);
	int before = w->n;
	assert_string_equal(perform(w, &read_action, "{\"path\":\"/x\"}"), "{\"content\":\"x\"}");
	events(w);
	assert_int_equal(w->n, before);
}

static void a_proxy_that_ends_before_its_sandbox_is_told_of(void **state)
{
	struct world *w = *state;
	made(w, "{\"network\":\"proxy\",\"allow\":[\"example.org\"]}");
	perform(w, &read_action, "{\"path\":\"/x\"}"); /* the other call is answered by then */
	assert_text(events(w), "\"kind\":\"network\",\"data\":{\"decision\":\"closed\"");
}

static void wrong_parameters_never_reach_the_executor(void **state)
{
	struct world *w = *state;
	made(w, "{}");
	assert_string_equal(perform(w, &run_action, "{\"comand\":\"x\"}"), "invalid_argument");
	assert_text(w->err.text, "unknown field 'comand'");
	assert_string_equal(perform(w, &run_action, "{"), "invalid_argument");
	assert_string_equal(perform(w, &read_action, ""), "invalid_argument");
	assert_int_equal(w->fake.n_calls, 0);
}

static void data_and_events_come_in_order(void **state)
{
	struct world *w = *state;
	made(w, "{}");
	assert_string_equal(perform(w, &run_action, "{\"command\":\"stream\"}"),
		"<1:out><{\"n\":1}><2:err>{}");
}

static void input_sent_at_once_arrives_whole(void **state)
{
	struct world *w = *state;
	struct sandbox *s = made(w, "{}");
	auto_free char *bytes = mem_zalloc(300000);
	buf_reset(&w->text);
	struct runtime_call *call = runtime_perform(s, &upload_action, STR("{\"path\":\"/x\"}"),
		&sink, w);
	for (int i = 0; i < 5; i++)
		runtime_call_send(call, 0, str_from_len(bytes, 300000));
	assert_true(runtime_call_is_full(call));
	runtime_call_eof(call, 0);
	loop_run(w->loop);
	assert_string_equal(w->text.ptr, "{\"bytes\":1500000}");
}

static void an_executor_that_misbehaves_is_an_error(void **state)
{
	struct world *w = *state;
	made(w, "{}");
	assert_string_equal(perform(w, &run_action, "{\"command\":\"die\"}"), "unavailable");
	assert_string_equal(perform(w, &run_action, "{\"command\":\"lie\"}"), "protocol");
	assert_null(strstr(events(w), "data: x"));
	assert_int_equal(sandbox(w, w->id)->state, SANDBOX_READY);
}

static void long_contents_are_cut_in_events_only(void **state)
{
	struct world *w = *state;
	made(w, "{}");
	assert_true(strlen(perform(w, &run_action, "{\"command\":\"flood\"}")) > 100000);
	assert_true(strlen(events(w)) < 50000);
	assert_text(w->text.ptr, "more bytes]");
}

static void secrets_are_masked_in_events(void **state)
{
	struct world *w = *state;
	made(w, "{}");
	perform(w, &configure_action, "{\"env\":{\"KEY\":\"hunter2\"},\"workdir\":\"/w\"}");
	assert_null(strstr(events(w), "hunter2"));
	assert_text(w->text.ptr, "\"env\":{\"KEY\":\"***\"},\"workdir\":\"/w\"");
}

static void a_paused_caller_gets_its_result_later(void **state)
{
	struct world *w = *state;
	struct sandbox *s = made(w, "{}");
	buf_reset(&w->text);
	struct runtime_call *call = runtime_perform(s, &run_action, STR("{\"command\":\"stream\"}"),
		&sink, w);
	runtime_call_pause(call, true);
	assert_string_equal(perform(w, &run_action, "{\"command\":\"echo other\"}"),
		"{\"output\":\"other\"}");
	buf_reset(&w->text);
	runtime_call_pause(call, false);
	loop_run(w->loop);
	assert_string_equal(w->text.ptr, "<1:out><{\"n\":1}><2:err>{}");
}

static void a_cancelled_call_is_heard_of_no_more(void **state)
{
	struct world *w = *state;
	struct sandbox *s = made(w, "{}");
	runtime_call_cancel(
		runtime_perform(s, &run_action, STR("{\"command\":\"echo 1\"}"), &sink, w));
	assert_string_equal(perform(w, &run_action, "{\"command\":\"echo 2\"}"),
		"{\"output\":\"2\"}");
	assert_text(events(w), "its caller went away");
	assert_int_equal(s->state, SANDBOX_READY);
}

static void calls_that_follow_each_other_share_a_socket(void **state)
{
	struct world *w = *state;
	struct sandbox *s = made(w, "{}");
	int before = w->fake.n_sockets;
	for (int i = 0; i < 5; i++)
		assert_string_equal(perform(w, &run_action, "{\"command\":\"echo x\"}"),
			"{\"output\":\"x\"}");
	assert_true(w->fake.n_sockets <= before + 1);
	before = w->fake.n_sockets;

	/* Those at the same time do not, and a socket whose call was left is not used again. */
	struct runtime_call *call = runtime_perform(s, &run_action, STR("{\"command\":\"hang\"}"),
		&sink, w);
	assert_string_equal(perform(w, &run_action, "{\"command\":\"echo y\"}"),
		"{\"output\":\"y\"}");
	runtime_call_cancel(call);
	assert_string_equal(perform(w, &run_action, "{\"command\":\"echo z\"}"),
		"{\"output\":\"z\"}");
	assert_int_equal(w->fake.n_sockets, before + 1);
}

static void a_spare_socket_that_ends_is_not_used(void **state)
{
	struct world *w = *state;
	made(w, "{}");
	perform(w, &run_action, "{\"command\":\"echo x\"}");
	perform(w, &run_action, "{\"command\":\"die\"}");
	assert_string_equal(perform(w, &run_action, "{\"command\":\"echo y\"}"),
		"{\"output\":\"y\"}");
}

/* The store's failures, restarts, followers. */

static void set_disk_full(bool is_full)
{
	static struct rlimit old;
	struct rlimit none = { 0 };
	signal(SIGXFSZ, SIG_IGN);
	if (is_full)
		getrlimit(RLIMIT_FSIZE, &old);
	none.rlim_max = old.rlim_max;
	setrlimit(RLIMIT_FSIZE, is_full ? &none : &old);
}

static void nothing_happens_that_cannot_be_recorded(void **state)
{
	struct world *w = *state;
	struct sandbox *s = made(w, "{}");
	char id[ID_SIZE];
	memcpy(id, w->id, sizeof(id));
	set_disk_full(true);
	create(w, "{}");
	assert_int_not_equal(w->err.code, ERROR_OK);
	assert_int_equal(w->fake.n_created, 1);
	memcpy(w->id, id, sizeof(id));
	assert_string_not_equal(perform(w, &run_action, "{\"command\":\"echo x\"}"),
		"{\"output\":\"x\"}");
	assert_text(w->err.text, "was not performed, since it could not be recorded");
	assert_int_equal(w->fake.n_calls, 0);
	assert_string_equal(perform(w, &read_action, "{\"path\":\"/x\"}"), "{\"content\":\"x\"}");
	set_disk_full(false);
	assert_string_equal(perform(w, &run_action, "{\"command\":\"echo x\"}"),
		"{\"output\":\"x\"}");
	assert_int_equal(s->state, SANDBOX_READY);
	assert_int_equal(n_living(w), 1);
}

static void the_living_are_adopted_after_a_restart(void **state)
{
	struct world *w = *state;
	w->fake.gives_other_ids = true;
	made(w, "{\"name\":\"box\",\"labels\":{\"a\":\"b\"},\"timeout_ms\":3600000}");
	events(w);
	int before = w->n;
	stop(w);
	start(w);
	struct sandbox *s = sandbox(w, "box");
	assert_non_null(s);
	assert_int_equal(s->state, SANDBOX_READY);
	assert_int_equal(s->init_pid, 7);
	assert_str(sandbox_label(s, STR("a")), "b");
	assert_int_equal(s->timeout_ms, 3600000);
	assert_string_equal(perform(w, &run_action, "{\"command\":\"echo x\"}"),
		"{\"output\":\"x\"}");
	events(w);
	assert_int_equal(w->n, before + 2);
}

static void what_did_not_outlive_a_restart_is_lost(void **state)
{
	struct world *w = *state;
	made(w, "{\"name\":\"box\"}");
	stop(w);
	fake_world_fini(&w->fake);
	start(w);
	struct sandbox *s = sandbox(w, "box");
	assert_int_equal(s->state, SANDBOX_ENDED);
	assert_text(s->reason, "lost");
	assert_int_equal(n_living(w), 0);
}

static void on_created_at_backend(void *arg)
{
	struct world *w = arg;
	loop_stop(w->loop);
}

static void what_was_handed_out_to_nobody_is_destroyed(void **state)
{
	struct world *w = *state;
	w->fake.holds_creates = true;
	w->fake.created = on_created_at_backend;
	w->fake.created_arg = w;
	ask_create(w, "{\"name\":\"box\"}");
	loop_run(w->loop);
	assert_int_equal(w->fake.n_created, 1);
	stop(w);
	w->fake.holds_creates = false;
	start(w);
	assert_int_equal(w->fake.n_destroyed, 1);
	assert_true(list_is_empty(&w->fake.living));
	assert_null(sandbox(w, "box"));
}

static void on_followed(void *arg, const struct event *event)
{
	struct world *w = arg;
	assert_true(event->seq > w->seq);
	w->seq = event->seq;
	if (str_is(event->kind, "gap"))
		buf_put(&w->text, event->data);
	if (++w->n == w->wanted)
		loop_stop(w->loop);
}

static void a_follower_gets_the_old_then_the_new(void **state)
{
	struct world *w = *state;
	made(w, "{}");
	for (int i = 0; i < 100; i++)
		perform(w, &run_action, "{\"command\":\"echo x\"}");
	int old = (events(w), w->n);
	w->n = 0;
	w->wanted = old;
	struct follower *f = event_follow(w->rt, NULL, 0, on_followed, w);
	assert_int_equal(w->n, 0);
	loop_run(w->loop);
	assert_int_equal(w->n, old);

	event_follow_pause(f, true);
	perform(w, &run_action, "{\"command\":\"echo x\"}");
	assert_int_equal(w->n, old);
	w->wanted = old + 2;
	event_follow_pause(f, false);
	loop_run(w->loop);
	assert_int_equal(w->n, old + 2);
	event_follow_stop(f);
}

static void on_too_late(void *arg)
{
	fail_msg("the follower was not woken");
}

static void on_own(void *arg, const struct event *event)
{
	struct world *w = arg;
	w->n++;
}

static int own_events(struct world *w, const char *id)
{
	w->n = 0;
	assert_works(event_read(w->rt, id, 0, 10000, on_own, w, &w->err), w->err);
	return w->n;
}

static void a_talkative_sandbox_does_not_push_the_events_of_others_out(void **state)
{
	struct world *w = *state;
	auto_free char *quiet = mem_strdup(made(w, "{\"name\":\"quiet\"}")->id);
	for (int i = 0; i < 20; i++)
		perform(w, &run_action, "{\"command\":\"echo x\"}");
	int before = own_events(w, quiet);
	auto_free char *loud = mem_strdup(made(w, "{\"name\":\"loud\"}")->id);
	store_set_limits(w->rt->store, 1000, INT64_MAX);
	for (int i = 0; i < 800; i++)
		perform(w, &run_action, "{\"command\":\"echo x\"}");
	assert_int_equal(own_events(w, quiet), before);
	assert_in_range(own_events(w, loud), 100, 300);

	buf_reset(&w->text);
	w->seq = w->n = 0;
	w->wanted = 1;
	struct follower *f = event_follow(w->rt, loud, 0, on_followed, w);
	loop_run(w->loop);
	event_follow_stop(f);
	assert_true(str_starts(buf_str(&w->text), STR("{\"after\":0,")));
}

static size_t followed_bytes;

static void on_counted(void *arg, const struct event *event)
{
	struct world *w = arg;
	followed_bytes += event->data.len;
	w->n++;
}

static void many_followers_of_a_long_log_leave_the_loop_to_others(void **state)
{
	enum { FOLLOWERS = 50, WRITES = 60, CONTENT = 3000 };
	struct world *w = *state;
	struct follower *f[FOLLOWERS];
	made(w, "{}");
	auto_buf struct buf params = BUF_INIT(2 * CONTENT);
	buf_puts(&params, "{\"command\":\"echo ");
	for (int i = 0; i < CONTENT; i++)
		buf_putc(&params, 'x');
	buf_puts(&params, "\"}");
	for (int i = 0; i < WRITES; i++)
		perform(w, &run_action, params.ptr);
	int all = own_events(w, w->id);
	w->n = 0;
	followed_bytes = 0;
	for (int i = 0; i < FOLLOWERS; i++)
		f[i] = event_follow(w->rt, NULL, 0, on_counted, w);
	loop_turn(w->loop, false);
	assert_in_range(followed_bytes, 1, 2 << 20);
	for (int i = 0; i < 1000 && w->n < FOLLOWERS * all; i++)
		loop_turn(w->loop, false);
	assert_int_equal(w->n, FOLLOWERS * all);
	assert_true(followed_bytes > 6 << 20);
	for (int i = 0; i < FOLLOWERS; i++)
		event_follow_stop(f[i]);
}

/*
 * Between what wakes a follower and its reading, something more is written that is committed only
 * later.
 */
static void a_follower_misses_nothing_that_comes_while_it_reads(void **state)
{
	struct world *w = *state;
	struct sandbox *s = made(w, "{}");
	auto_buf struct buf data = BUF_INIT(8);
	buf_puts(&data, "{}");
	struct runtime_stats stats;
	runtime_stats(w->rt, &stats);
	w->seq = stats.events;
	w->wanted = 1;
	struct follower *f = event_follow(w->rt, w->id, w->seq, on_followed, w);
	audit_add(s, "state", 0, &data);
	struct timer *guard = timer_new(w->loop, on_too_late, NULL);
	timer_set(guard, 10000);
	loop_run(w->loop);
	assert_int_equal(w->n, 1);
	timer_free(guard);
	event_follow_stop(f);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_sandbox_is_found_by_id_name_and_prefix),
		TEST(a_destroyed_sandbox_is_forgotten_and_its_events_stay),
		TEST(a_stopped_sandbox_keeps_its_record),
		TEST(a_name_is_unique_among_the_living),
		TEST(there_is_a_limit_on_the_living),
		TEST(a_failed_create_says_why_and_leaves_nothing),
		TEST(a_sandbox_that_is_ended_while_it_is_made_does_not_live),
		TEST(its_environment_is_set_before_it_is_handed_out),
		TEST(a_ready_one_keeps_the_id_of_its_caller),
		TEST(deadlines_end_a_sandbox),
		TEST(a_sandbox_that_died_fails_its_calls),
		TEST(a_paused_sandbox_refuses_actions),
		TEST(an_action_is_an_event_and_its_observation_another),
		TEST(an_action_that_reads_is_no_event),
		TEST(a_proxy_that_ends_before_its_sandbox_is_told_of),
		TEST(wrong_parameters_never_reach_the_executor),
		TEST(data_and_events_come_in_order),
		TEST(input_sent_at_once_arrives_whole),
		TEST(an_executor_that_misbehaves_is_an_error),
		TEST(long_contents_are_cut_in_events_only),
		TEST(secrets_are_masked_in_events),
		TEST(a_paused_caller_gets_its_result_later),
		TEST(a_cancelled_call_is_heard_of_no_more),
		TEST(calls_that_follow_each_other_share_a_socket),
		TEST(a_spare_socket_that_ends_is_not_used),
		TEST(nothing_happens_that_cannot_be_recorded),
		TEST(the_living_are_adopted_after_a_restart),
		TEST(what_did_not_outlive_a_restart_is_lost),
		TEST(what_was_handed_out_to_nobody_is_destroyed),
		TEST(a_follower_gets_the_old_then_the_new),
		TEST(a_talkative_sandbox_does_not_push_the_events_of_others_out),
		TEST(many_followers_of_a_long_log_leave_the_loop_to_others),
		TEST(a_follower_misses_nothing_that_comes_while_it_reads),
	};
	return cmocka_run_group_tests_name("runtime", tests, NULL, NULL);
}
