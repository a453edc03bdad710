/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The exchanges of tests/golden/openhands over a core that is played by the same files. A line
 * holds a request, what the face shall ask of the core and what the core answers, and the response,
 * byte for byte. tests/e2e/test_openhands.py sends the same requests to a server with real
 * sandboxes.
 */
#include "unit.h"

#include "action/channel.h"
#include "base/auto.h"
#include "base/bug.h"
#include "base/file.h"
#include "face/openhands/openhands.h"
#include "http/server.h"
#include "runtime/backend.h"
#include "runtime/runtime.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

enum {
	FILE_MAX = 4 << 20,
	CREATES_MAX = 2, /* "oh", and what the bare paths make */
};

static const char *golden_dir;

/* ---- the core: a backend whose executor answers what the script says ---- */

struct script {
	struct json **lines;
	size_t n_lines;
	size_t line, step; /* the next answer */
	struct loop *loop;
	struct runtime *rt;
	int n_creates;
	int n_together;      /* runs of "together" under way */
	struct list hanging; /* executor::link */
};

static void script_init(struct script *s)
{
	*s = (struct script){ 0 };
	list_init(&s->hanging);
}

static void script_load(struct script *s, const char *name)
{
	struct error err;
	auto_free char *path = mem_printf("%s/%s.jsonl", golden_dir, name);
	auto_buf struct buf text = BUF_INIT(FILE_MAX);
	assert_works(file_read(AT_FDCWD, path, &text, &err), err);
	struct str rest = buf_str(&text), line;
	script_init(s);
	while (str_split(&rest, '\n', &line)) {
		if (!line.len)
			continue;
		s->lines = mem_realloc(s->lines, (s->n_lines + 1) * sizeof(*s->lines));
		assert_works(json_parse(line, &s->lines[s->n_lines++], &err), err);
	}
	assert_true(s->n_lines > 0);
}

static const struct json *script_next(struct script *s)
{
	for (; s->line < s->n_lines; s->line++, s->step = 0) {
		const struct json *step = json_at(json_find(s->lines[s->line], "core"), s->step);
		if (step) {
			s->step++;
			return step;
		}
	}
	return NULL;
}

struct executor {
	struct list link; /* script::hanging */
	struct script *script;
	struct channel *channel;
};

static void executor_free(struct executor *e)
{
	list_remove(&e->link);
	loop_undefer(e->script->loop, e);
	channel_close(e->channel);
	free(e);
}

static void send_json(struct executor *e, enum frame_kind kind, const struct json *j)
{
	auto_buf struct buf b = BUF_INIT(FILE_MAX);
	json_write(j, &b);
	channel_send(e->channel, kind, 0, buf_str(&b));
}

static void send_step(struct executor *e, struct str action, const struct json *params)
{
	const struct json *step = script_next(e->script);
	auto_buf struct buf wanted = BUF_INIT(FILE_MAX), got = BUF_INIT(FILE_MAX);
	json_write(json_find(step, "params"), &wanted);
	json_write(params, &got);
	if (!str_eq(action, json_str(json_find(step, "action"))) ||
		!str_eq(buf_str(&wanted), buf_str(&got))) {
		struct error err;
		error_set(&err, ERROR_INTERNAL, "the core is not to be asked for %.*s %.300s",
			STR_ARG(action), got.ptr);
		channel_send_error(e->channel, &err);
	} else if (json_find(step, "error")) {
		send_json(e, FRAME_ERROR, json_find(step, "error"));
	} else {
		send_json(e, FRAME_RESULT, json_find(step, "result"));
	}
}

static void end_together(void *arg)
{
	struct executor *e = arg;
	bool is_alone = e->script->n_together == 1;
	e->script->n_together--;
	channel_send(e->channel, FRAME_RESULT, 0,
		is_alone ? STR("{\"status\":\"exited\",\"exit_code\":0,\"output\":\"alone\"}")
			 : STR("{\"status\":\"exited\",\"exit_code\":1,\"output\":\"not alone\"}"));
}

/* Commands that are in no script. */
static bool run_special(struct executor *e, struct str command)
{
	if (str_is(command, "hang"))
		return true;
	if (!str_is(command, "together"))
		return false;
	e->script->n_together++;
	loop_defer(e->script->loop, end_together, e);
	return true;
}

static void on_frame(void *arg, const struct frame *frame)
{
	struct executor *e = arg;
	auto_json struct json *request = NULL;
	BUG_IF(json_parse(frame->payload, &request, NULL) < 0, "a request is no JSON");
	struct str action = json_str(json_find(request, "action"));
	const struct json *params = json_find(request, "params");
	if (str_is(action, "run") && run_special(e, json_str(json_find(params, "command"))))
		return;
	if (str_is(action, "configure"))
		channel_send(e->channel, FRAME_RESULT, 0, STR("{}"));
	else if (str_is(action, "exec") && /* whether edits are linted: no */
		str_find(frame->payload, STR("ENABLE_AUTO_LINT")) >= 0)
		channel_send(e->channel, FRAME_RESULT, 0, STR("{\"exit_code\":1}"));
	else if (str_is(action, "exec")) /* what prepares a sandbox */
		channel_send(e->channel, FRAME_RESULT, 0, STR("{\"exit_code\":0}"));
	else if (str_is(action, "info"))
		channel_send(e->channel, FRAME_RESULT, 0,
			STR("{\"user\":\"agent\",\"hostname\":\"cay.local\",\"workdir\":\"/workspace\"}"));
	else if (str_is(action, "session_list"))
		channel_send(e->channel, FRAME_RESULT, 0, STR("{\"sessions\":[]}"));
	else
		send_step(e, action, params);
}

static void on_end(void *arg, const struct error *reason)
{
	executor_free(arg);
}

struct fake {
	struct backend base;
	struct script *script;
	struct { /* the one request that waits to be answered */
		backend_fn *done;
		void *arg;
		struct backend_reply reply;
	} answer;
};

static void answer_now(void *arg)
{
	struct fake *f = arg;
	f->answer.done(f->answer.arg, &f->answer.reply);
}

static void fake_start(struct backend *b, backend_fn *done, void *arg)
{
	struct fake *f = (struct fake *)b;
	f->answer.done = done;
	f->answer.arg = arg;
	loop_defer(f->script->loop, answer_now, f);
}

static void fake_create(struct backend *b, const struct sandbox *wish, const struct spec *spec,
	backend_fn *done, void *arg)
{
	struct fake *f = (struct fake *)b;
	memcpy(f->answer.reply.id, spec->id, sizeof(spec->id));
	if (++f->script->n_creates > CREATES_MAX)
		error_set(&f->answer.reply.error, ERROR_CONFLICT, "made twice");
	fake_start(b, done, arg);
}

static int fake_open_call(struct backend *b, const char *id, int *ret_fd, struct error *err)
{
	static const struct channel_ops ops = { .on_frame = on_frame, .on_end = on_end };
	struct fake *f = (struct fake *)b;
	int ends[2];
	BUG_IF(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0, "no socketpair");
	struct executor *e = mem_new(struct executor);
	e->script = f->script;
	list_append(&f->script->hanging, &e->link);
	e->channel = channel_new(f->script->loop, ends[1], &ops, e);
	*ret_fd = ends[0];
	return 0;
}

static void fake_free(struct backend *b)
{
	struct fake *f = (struct fake *)b;
	while (!list_is_empty(&f->script->hanging))
		executor_free(list_first(&f->script->hanging, struct executor, link));
}

static const struct backend_ops fake_ops = {
	.name = "fake",
	.start = fake_start,
	.create = fake_create,
	.open_call = fake_open_call,
	.free = fake_free,
};

/*
 * ---- the server: a child with the face, and a sandbox "oh" whose soft timeout is 2 seconds ----
 */

struct server {
	pid_t pid;
	int ready_fd; /* readable when it serves */
	char dir[64];
	struct sockaddr_un address;
	int listen_fd;
	struct script *script;
	struct http_server *http;
	struct openhands *openhands;
};

static void on_sandbox(void *arg, struct sandbox *s, const struct error *err)
{
	struct server *server = arg;
	struct error e;
	const struct http_config config = { .listen_fds = &server->listen_fd,
		.n_listen_fds = 1,
		.token = "sesame" };
	if (err || http_server_new(server->script->loop, &config, &server->http, &e) < 0)
		_exit(2);
	server->openhands = openhands_new(server->script->rt, 0, true);
	http_server_add_face(server->http, openhands_face(server->openhands));
	if (write(server->ready_fd, "", 1) != 1)
		_exit(3);
}

static void on_started(void *arg, const struct error *err)
{
	static struct str key = { "NO_CHANGE_TIMEOUT_SECONDS", 25 }, value = { "2", 1 };
	static struct create create;
	struct server *server = arg;
	if (err)
		_exit(4);
	create.name = STR("oh");
	create.labels = (struct field_map){ &key, &value, 1 };
	runtime_create(server->script->rt, &create, on_sandbox, server);
}

static void stop(void *arg)
{
	loop_stop(arg);
}

static _Noreturn void serve(struct server *server)
{
	static struct fake fake = { .base.ops = &fake_ops };
	struct error err;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	fake.script = server->script;
	if (loop_new(&server->script->loop, &err) < 0)
		_exit(5);
	const struct runtime_config config = { .loop = server->script->loop,
		.backend = &fake.base,
		.state_dir = server->dir };
	if (runtime_new(&config, &server->script->rt, &err) < 0)
		_exit(6);
	struct signal_watch *term = signal_new(server->script->loop, SIGTERM, stop,
		server->script->loop);
	runtime_start(server->script->rt, on_started, server);
	loop_run(server->script->loop);
	signal_free(term);
	http_server_free(server->http);
	openhands_free(server->openhands);
	runtime_free(server->script->rt);
	loop_free(server->script->loop);
	exit(0);
}

static void server_start(struct server *s, struct script *script)
{
	int ready[2];
	char byte;
	*s = (struct server){ .dir = "/tmp/cay-test-openhands-XXXXXX",
		.address.sun_family = AF_UNIX,
		.script = script };
	assert_non_null(mkdtemp(s->dir));
	snprintf(s->address.sun_path, sizeof(s->address.sun_path), "%s/http", s->dir);
	s->listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(s->listen_fd, (void *)&s->address, sizeof(s->address)), 0);
	assert_int_equal(listen(s->listen_fd, 16), 0);
	assert_int_equal(pipe(ready), 0);
	s->ready_fd = ready[1];
	s->pid = fork();
	if (s->pid == 0)
		serve(s);
	close(s->listen_fd);
	close(ready[1]);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
}

static void server_stop(struct server *s)
{
	int status;
	kill(s->pid, SIGTERM);
	assert_int_equal(waitpid(s->pid, &status, 0), s->pid);
	assert_int_equal(status, 0);
	file_remove_tree(AT_FDCWD, s->dir, NULL);
}

/* ---- the client ---- */

static int send_request(const struct server *s, const char *method, const char *path,
	struct str key, struct str body)
{
	auto_buf struct buf out = BUF_INIT(FILE_MAX);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	buf_printf(&out, "%s %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n", method,
		path);
	buf_printf(&out, "X-Session-API-Key: %.*s\r\nContent-Length: %zu\r\n\r\n",
		STR_ARG(key.ptr ? key : STR("sesame")), body.len);
	buf_put(&out, body);
	assert_int_equal(connect(fd, (const void *)&s->address, sizeof(s->address)), 0);
	assert_int_equal(file_write_all(fd, buf_str(&out), NULL), 0);
	return fd;
}

/* The whole response as it came; closes. */
static void receive(int fd, struct buf *response)
{
	ssize_t n;
	do {
		n = read(fd, buf_room(response, 65536), 65536);
		assert_true(n >= 0);
		buf_grown(response, (size_t)n);
	} while (n > 0);
	close(fd);
}

/* One request of a file on a connection of its own. */
static void exchange(const struct server *s, const struct json *line, struct buf *response)
{
	const struct json *request = json_find(line, "request");
	auto_buf struct buf body = BUF_INIT(FILE_MAX);
	auto_free char *method = str_dup(json_str(json_find(request, "method")));
	auto_free char *path = str_dup(json_str(json_find(request, "path")));
	if (json_find(request, "body"))
		json_write(json_find(request, "body"), &body);
	receive(send_request(s, method, path, json_str(json_find(line, "key")), buf_str(&body)),
		response);
}

static void assert_exchange(const struct server *s, const struct json *line)
{
	auto_buf struct buf response = BUF_INIT(FILE_MAX), wanted = BUF_INIT(FILE_MAX);
	auto_buf struct buf request = BUF_INIT(FILE_MAX), status = BUF_INIT(32);
	exchange(s, line, &response);
	json_write(json_find(line, "request"), &request);
	json_write(json_find(line, "response"), &wanted);
	buf_printf(&status, "HTTP/1.1 %d ", (int)json_int(json_find(line, "status")));
	ptrdiff_t head = str_find(buf_str(&response), STR("\r\n\r\n"));
	assert_true(head > 0);
	if (!str_starts(buf_str(&response), buf_str(&status)) ||
		!str_eq(str_skip(buf_str(&response), (size_t)head + 4), buf_str(&wanted)))
		fail_msg("%s\nwanted %s%s\ngot %.12s %s", request.ptr, status.ptr, wanted.ptr,
			response.ptr, response.ptr + head + 4);
}

static void replay(const char *name)
{
	struct script script;
	struct server server;
	script_load(&script, name);
	server_start(&server, &script);
	for (size_t i = 0; i < script.n_lines; i++)
		assert_exchange(&server, script.lines[i]);
	server_stop(&server);
	for (size_t i = 0; i < script.n_lines; i++)
		json_free(script.lines[i]);
	free(script.lines);
}

static int send_run(const struct server *s, const char *path, const char *command)
{
	auto_free char *body = mem_printf(
		"{\"action\":{\"action\":\"run\",\"args\":{\"command\":\"%s\"}}}", command);
	return send_request(s, "POST", path, STR_NONE, str_from(body));
}

/* ---- sentences ---- */

static void a_command_is_reported_when_it_ends(void **state)
{
	replay("run");
}

static void a_command_that_goes_on_takes_input_and_keys(void **state)
{
	replay("run-interactive");
}

static void files_are_read_and_written_by_lines(void **state)
{
	replay("files");
}

static void the_editor_speaks_its_own_words(void **state)
{
	replay("edit");
}

static void a_cell_is_told_as_the_messages_of_its_kernel(void **state)
{
	replay("ipython");
}

static void errors_are_those_of_the_original(void **state)
{
	replay("errors");
}

static void the_bare_paths_make_one_sandbox_and_act_one_at_a_time(void **state)
{
	enum { N = 20 };
	struct script script;
	struct server server;
	int fds[N];
	script_init(&script);
	server_start(&server, &script);
	for (int i = 0; i < N; i++)
		fds[i] = send_run(&server, "/execute_action", "together");
	for (int i = 0; i < N; i++) {
		auto_buf struct buf response = BUF_INIT(FILE_MAX);
		receive(fds[i], &response);
		assert_text(response.ptr, "\"content\":\"alone\"");
	}
	server_stop(&server);
}

static void too_many_actions_are_refused_and_none_outlives_the_server(void **state)
{
	enum { N = 1 + OPENHANDS_QUEUE_MAX };
	struct script script;
	struct server server;
	int fds[N];
	auto_buf struct buf response = BUF_INIT(FILE_MAX);
	script_init(&script);
	server_start(&server, &script);
	for (int i = 0; i < N; i++)
		fds[i] = send_run(&server, "/openhands/oh/execute_action", "hang");
	/* Which of them is one too many is the server's choice; only that one is answered. */
	int extra = send_run(&server, "/openhands/oh/execute_action", "hang");
	struct pollfd polls[N + 1];
	for (int i = 0; i <= N; i++)
		polls[i] = (struct pollfd){ .fd = i < N ? fds[i] : extra, .events = POLLIN };
	assert_int_equal(poll(polls, N + 1, 10000), 1);
	for (int i = 0; i <= N; i++) {
		if (!polls[i].revents)
			continue;
		buf_reset(&response);
		receive(polls[i].fd, &response);
		polls[i].fd = -1;
		assert_text(response.ptr, "HTTP/1.1 429 ");
		assert_text(response.ptr,
			"{\"detail\":\"64 actions wait for their turn; that is the limit\"}");
	}
	server_stop(&server);
	for (int i = 0; i <= N; i++)
		close_fd(polls[i].fd);
}

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_command_is_reported_when_it_ends),
		cmocka_unit_test(a_command_that_goes_on_takes_input_and_keys),
		cmocka_unit_test(files_are_read_and_written_by_lines),
		cmocka_unit_test(the_editor_speaks_its_own_words),
		cmocka_unit_test(a_cell_is_told_as_the_messages_of_its_kernel),
		cmocka_unit_test(errors_are_those_of_the_original),
		cmocka_unit_test(the_bare_paths_make_one_sandbox_and_act_one_at_a_time),
		cmocka_unit_test(too_many_actions_are_refused_and_none_outlives_the_server),
	};
	if (argc != 2) {
		fprintf(stderr, "usage: test_openhands DIRECTORY\n");
		return 2;
	}
	golden_dir = argv[1];
	return cmocka_run_group_tests(tests, NULL, NULL);
}
