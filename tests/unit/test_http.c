/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The HTTP server and its client against each other: a child serves on a Unix socket, the test
 * calls.
 */
#include "unit.h"

#include "base/auto.h"
#include "base/bug.h"
#include "http/client.h"
#include "http/server.h"
#include "http/websocket.h"
#include "wire/sse.h"

#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static struct loop *loop;
static pid_t server_pid;
static char socket_path[108], url[128], tcp_url[64];

/* ---- what the child serves ---- */

static void echo(struct http_request *r)
{
	http_reply_header(r, "X-Method", "echo");
	http_reply(r, 200, "application/json; charset=utf-8", r->body);
}

static void fail_with_conflict(struct http_request *r)
{
	struct error err;
	error_set(&err, ERROR_CONFLICT, "it is '%.*s' already", STR_ARG(http_param(r, "what")));
	http_reply_error(r, &err);
}

static void fail_in_plain_text(struct http_request *r)
{
	http_reply(r, 500, "text/plain", STR("out of sand\n"));
}

static void never(struct http_request *r)
{
}

static void events(struct http_request *r)
{
	auto_buf struct buf b = BUF_INIT(4096);
	http_stream_begin(r, 200, "text/event-stream", -1);
	sse_put(&b, "data", NULL, STR("{\"channel\":1}"));
	sse_put(&b, "result", NULL, STR("two\nlines"));
	/* One byte per chunk: whatever cuts a stream, its events are the same. */
	for (size_t i = 0; i < b.len; i++)
		http_stream_write(r, str_from_len(b.ptr + i, 1));
	http_stream_end(r, true);
}

static void cut_short(struct http_request *r)
{
	http_stream_begin(r, 200, "application/octet-stream", 1000);
	http_stream_write(r, STR("only this"));
	http_stream_end(r, false);
}

struct upload {
	struct http_request *request;
	int64_t sum;
	bool refuses;
};

static void upload_end(void *arg)
{
	struct upload *u = arg;
	auto_free char *text = mem_printf("%lld", (long long)u->sum);
	http_reply(u->request, 200, "text/plain", str_from(text));
	free(u);
}

static void upload_body(void *arg, struct str piece)
{
	struct upload *u = arg;
	struct error err;
	for (size_t i = 0; i < piece.len; i++)
		u->sum += (unsigned char)piece.ptr[i];
	if (!u->refuses)
		return;
	error_set(&err, ERROR_NO_SPACE, "no room for more");
	http_reply_error(u->request, &err);
	free(u);
}

static void upload(struct http_request *r)
{
	static const struct http_ops ops = { .on_body = upload_body,
		.on_body_end = upload_end,
		.on_closed = upload_end };
	struct upload *u = mem_new(struct upload);
	u->request = r;
	u->refuses = http_query(r, "refuse").ptr != NULL;
	http_listen(r, &ops, u);
}

static struct ws *echo_ws;

static void ws_text(void *arg, struct str text)
{
	if (str_is(text, "bye"))
		ws_close(echo_ws, 4001, "farewell");
	else
		ws_send_text(echo_ws, text);
}

static void ws_binary(void *arg, struct str bytes)
{
	ws_send_binary(echo_ws, bytes);
}

static void ws_closed(void *arg, int code)
{
	ws_free(echo_ws);
}

static void ws_open(struct http_request *r)
{
	static const struct ws_ops ops = { ws_text, ws_binary, NULL, ws_closed };
	echo_ws = ws_accept(r, NULL, &ops, NULL);
	ws_send_text(echo_ws, STR("hello"));
}

static const struct http_route routes[] = {
	{ "POST", "/echo", echo },
	{ "DELETE", "/conflict/{what}", fail_with_conflict },
	{ "GET", "/plain", fail_in_plain_text },
	{ "GET", "/never", never },
	{ "GET", "/events", events },
	{ "GET", "/short", cut_short },
	{ "PUT", "/upload", upload, HTTP_STREAMS_BODY, .body_max = 1LL << 30 },
	{ "GET", "/ws", ws_open, HTTP_WEBSOCKET },
	{ "POST", "/prefix/echo", echo },
	{ "GET", "/prefix/ws", ws_open, HTTP_WEBSOCKET },
	{ 0 },
};
static const struct http_face face = { .name = "test", .prefix = "/", .routes = routes };

static _Noreturn void serve(const int *fds)
{
	struct error err;
	struct http_server *server;
	struct http_config config = { .listen_fds = fds, .n_listen_fds = 2, .token = "sesame" };
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (loop_new(&loop, &err) < 0 || http_server_new(loop, &config, &server, &err) < 0)
		_exit(1);
	http_server_add_face(server, &face);
	loop_run(loop);
	_exit(0);
}

static int listen_tcp(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(a);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (bind(fd, (struct sockaddr *)&a, len) < 0 || listen(fd, 16) < 0)
		return -1;
	getsockname(fd, (struct sockaddr *)&a, &len);
	snprintf(tcp_url, sizeof(tcp_url), "http://localhost:%d/prefix/", ntohs(a.sin_port));
	return fd;
}

static int start_server(void **state)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	snprintf(socket_path, sizeof(socket_path), "/tmp/cay-test-http-%d.sock", (int)getpid());
	snprintf(url, sizeof(url), "unix:%s", socket_path);
	snprintf(a.sun_path, sizeof(a.sun_path), "%s", socket_path);
	int fds[] = { socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), listen_tcp() };
	if (bind(fds[0], (struct sockaddr *)&a, sizeof(a)) < 0 || listen(fds[0], 16) < 0)
		return -1;
	server_pid = fork();
	if (server_pid == 0)
		serve(fds);
	close(fds[0]);
	close(fds[1]);
	return server_pid < 0 ? -1 : 0;
}

static int stop_server(void **state)
{
	kill(server_pid, SIGKILL);
	unlink(socket_path);
	return waitpid(server_pid, NULL, 0) == server_pid ? 0 : -1;
}

static struct http_client *connect_with(const char *token)
{
	struct error err;
	struct http_client *c;
	assert_works(http_client_new(url, token, &c, &err), err);
	return c;
}

/* ---- sentences ---- */

static void a_body_comes_back_as_it_was_sent(void **state)
{
	struct error err;
	struct http_client *c = connect_with("sesame");
	auto_buf struct buf reply = BUF_INIT(4 << 20);
	struct http_call call = { .method = "POST",
		.path = "/echo",
		.body = STR("{\"a\":1}"),
		.content_type = "application/json",
		.reply = &reply };
	for (int i = 0; i < 3; i++) {
		buf_reset(&reply);
		assert_works(http_client_call(c, &call, &err), err);
		assert_str(buf_str(&reply), "{\"a\":1}");
	}
	assert_int_equal(call.ret_status, 200);
	assert_string_equal(call.ret_type, "application/json");
	http_client_free(c);
}

static void an_error_of_the_server_keeps_its_code_and_its_words(void **state)
{
	struct error err;
	struct http_client *c = connect_with("sesame");
	auto_buf struct buf reply = BUF_INIT(1000);
	assert_fails(http_client_delete(c, "/conflict/a%20b", &reply, &err), err, CONFLICT,
		"it is 'a b' already");
	assert_fails(http_client_get(c, "/nowhere", &reply, &err), err, NOT_FOUND, "/nowhere");
	assert_fails(http_client_get(c, "/echo", &reply, &err), err, METHOD, "GET");
	assert_fails(http_client_get(c, "/plain", &reply, &err), err, PROTOCOL, "500: out of sand");
	assert_int_equal(reply.len, 0);
	http_client_free(c);
}

static void without_the_token_nothing_is_told(void **state)
{
	struct error err;
	auto_buf struct buf reply = BUF_INIT(1000);
	const char *tokens[] = { NULL, "sesam", "sesame ", "open" };
	for (size_t i = 0; i < ARRAY_LEN(tokens); i++) {
		struct http_client *c = connect_with(tokens[i]);
		bool is_trimmed = i == 2; /* spaces around a header's value are not part of it */
		if (!is_trimmed) {
			assert_fails(http_client_get(c, "/plain", &reply, &err), err, UNAUTHORIZED,
				"token");
			assert_fails(http_client_get(c, "/nowhere", &reply, &err), err,
				UNAUTHORIZED, "token");
		}
		http_client_free(c);
	}
}

static void a_reply_stops_at_its_ceiling(void **state)
{
	struct error err;
	struct http_client *c = connect_with("sesame");
	auto_buf struct buf reply = BUF_INIT(10);
	assert_fails(http_client_post(c, "/echo", STR("\"more than ten\""), &reply, &err), err,
		TOO_LARGE, "10 bytes");
	http_client_free(c);
}

static void an_answer_that_does_not_come_is_a_timeout(void **state)
{
	struct error err;
	struct http_client *c = connect_with("sesame");
	struct http_call call = { .method = "GET", .path = "/never", .timeout_ms = 50 };
	assert_fails(http_client_call(c, &call, &err), err, TIMEOUT, "no answer in time");
	http_client_free(c);
}

static void no_server_is_unavailable(void **state)
{
	struct error err;
	struct http_client *c;
	auto_buf struct buf reply = BUF_INIT(10);
	assert_works(http_client_new("unix:/tmp/cay-test-no-such.sock", NULL, &c, &err), err);
	assert_fails(http_client_get(c, "/", &reply, &err), err, UNAVAILABLE,
		"/tmp/cay-test-no-such.sock");
	http_client_free(c);
	assert_fails(http_client_new("ftp://x", NULL, &c, &err), err, INVALID, "ftp://x");
	assert_fails(http_client_new("unix:relative", NULL, &c, &err), err, INVALID, "absolute");
}

static void a_body_that_is_cut_short_is_no_success(void **state)
{
	struct error err;
	struct http_client *c = connect_with("sesame");
	auto_buf struct buf reply = BUF_INIT(1000);
	assert_fails(http_client_get(c, "/short", &reply, &err), err, UNAVAILABLE, "");
	http_client_free(c);
}

static int collect_event(void *arg, struct str event, struct str data, struct error *err)
{
	buf_printf(arg, "[%.*s|%.*s]", STR_ARG(event), STR_ARG(data));
	return 0;
}

static int stop_at_once(void *arg, struct str event, struct str data, struct error *err)
{
	return error_set(err, ERROR_CANCELLED, "seen enough");
}

static void events_come_one_by_one(void **state)
{
	struct error err;
	struct http_client *c = connect_with("sesame");
	auto_buf struct buf seen = BUF_INIT(1000);
	struct http_call call = { .method = "GET",
		.path = "/events",
		.on_event = collect_event,
		.arg = &seen };
	assert_works(http_client_call(c, &call, &err), err);
	assert_str(buf_str(&seen), "[data|{\"channel\":1}][result|two\nlines]");
	call.on_event = stop_at_once;
	assert_fails(http_client_call(c, &call, &err), err, CANCELLED, "seen enough");
	http_client_free(c);
}

static int file_of_ones(size_t size)
{
	char path[] = "/tmp/cay-test-http-XXXXXX";
	int fd = mkstemp(path);
	unlink(path);
	auto_free char *ones = mem_alloc(size);
	memset(ones, 1, size);
	assert_int_equal(write(fd, ones, size), size);
	lseek(fd, 0, SEEK_SET);
	return fd;
}

static void a_file_is_uploaded_whole_with_or_without_its_size(void **state)
{
	struct error err;
	struct http_client *c = connect_with("sesame");
	const size_t size = 3 * 1000 * 1000;
	for (int is_sized = 0; is_sized < 2; is_sized++) {
		auto_buf struct buf reply = BUF_INIT(100);
		auto_fd int fd = file_of_ones(size);
		struct http_call call = { .method = "PUT",
			.path = "/upload",
			.body_fd = fd,
			.body_size = is_sized ? (int64_t)size : 0,
			.reply = &reply };
		assert_works(http_client_call(c, &call, &err), err);
		assert_str(buf_str(&reply), "3000000");
	}
	http_client_free(c);
}

static void an_upload_can_be_refused_halfway(void **state)
{
	struct error err;
	struct http_client *c = connect_with("sesame");
	auto_fd int fd = file_of_ones(20 * 1000 * 1000);
	struct http_call call = { .method = "PUT", .path = "/upload?refuse", .body_fd = fd };
	assert_fails(http_client_call(c, &call, &err), err, NO_SPACE, "no room for more");
	http_client_free(c);
}

/* ---- WebSocket ---- */

static struct buf ws_seen;
static int ws_code;

static void see_text(void *arg, struct str text)
{
	buf_printf(&ws_seen, "[%.*s]", STR_ARG(text));
}

static void see_binary(void *arg, struct str bytes)
{
	buf_printf(&ws_seen, "(%zu)", bytes.len);
}

static void see_close(void *arg, int code)
{
	ws_code = code;
}

static const struct http_ws_ops ws_see = { see_text, see_binary, see_close };

static void turn_until(struct http_ws *ws, const char *wanted)
{
	struct error err;
	while (!ws_code && !(wanted && strstr(ws_seen.ptr, wanted))) {
		struct pollfd p = { .fd = http_ws_fd(ws), .events = http_ws_poll_events(ws) };
		assert_true(poll(&p, 1, 10000) > 0);
		assert_works(http_ws_turn(ws, &err), err);
	}
}

static void a_websocket_carries_text_and_bytes_both_ways(void **state)
{
	struct error err;
	struct http_ws *ws;
	struct http_client *c = connect_with("sesame");
	auto_free char *big = mem_zalloc(1000 * 1000);
	buf_init(&ws_seen, 4096);
	ws_code = 0;
	assert_works(http_ws_open(c, "/ws", NULL, &ws_see, NULL, &ws, &err), err);
	turn_until(ws, "[hello]");
	http_ws_send_text(ws, STR("caf\xc3\xa9 \xff"));
	turn_until(ws, "[caf\xc3\xa9 \xef\xbf\xbd]");
	http_ws_send_binary(ws, str_from_len(big, 1000 * 1000));
	turn_until(ws, "(1000000)");
	http_ws_send_text(ws, STR("bye"));
	turn_until(ws, NULL);
	assert_int_equal(ws_code, 4001);
	http_ws_free(ws);
	buf_fini(&ws_seen);
	http_client_free(c);
}

static void a_message_beyond_the_limit_ends_the_websocket(void **state)
{
	struct error err;
	struct http_ws *ws;
	struct http_client *c = connect_with("sesame");
	auto_free char *big = mem_zalloc(WS_MESSAGE_MAX + 1);
	buf_init(&ws_seen, 4096);
	ws_code = 0;
	assert_works(http_ws_open(c, "/ws", NULL, &ws_see, NULL, &ws, &err), err);
	http_ws_send_binary(ws, str_from_len(big, WS_MESSAGE_MAX + 1));
	turn_until(ws, NULL);
	assert_int_equal(ws_code, 1009);
	http_ws_free(ws);
	buf_fini(&ws_seen);
	http_client_free(c);
}

static void an_upgrade_is_refused_like_any_request(void **state)
{
	struct error err;
	struct http_ws *ws;
	struct http_client *c = connect_with("wrong");
	assert_fails(http_ws_open(c, "/ws", NULL, &ws_see, NULL, &ws, &err), err, UNAUTHORIZED,
		"token is wrong");
	http_client_free(c);
	c = connect_with("sesame");
	assert_fails(http_ws_open(c, "/nowhere", NULL, &ws_see, NULL, &ws, &err), err, NOT_FOUND,
		"/nowhere");
	http_client_free(c);
}

static void over_tcp_and_below_a_prefix_it_is_the_same(void **state)
{
	struct error err;
	struct http_ws *ws;
	struct http_client *c;
	auto_buf struct buf reply = BUF_INIT(100);
	assert_works(http_client_new(tcp_url, "sesame", &c, &err), err);
	assert_works(http_client_post(c, "/echo", STR("[]"), &reply, &err), err);
	assert_str(buf_str(&reply), "[]");
	buf_init(&ws_seen, 4096);
	ws_code = 0;
	assert_works(http_ws_open(c, "/ws", NULL, &ws_see, NULL, &ws, &err), err);
	turn_until(ws, "[hello]");
	http_ws_close(ws, 1000);
	turn_until(ws, NULL);
	assert_int_equal(ws_code, 1000);
	http_ws_free(ws);
	buf_fini(&ws_seen);
	http_client_free(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_body_comes_back_as_it_was_sent),
		cmocka_unit_test(an_error_of_the_server_keeps_its_code_and_its_words),
		cmocka_unit_test(without_the_token_nothing_is_told),
		cmocka_unit_test(a_reply_stops_at_its_ceiling),
		cmocka_unit_test(an_answer_that_does_not_come_is_a_timeout),
		cmocka_unit_test(no_server_is_unavailable),
		cmocka_unit_test(a_body_that_is_cut_short_is_no_success),
		cmocka_unit_test(events_come_one_by_one),
		cmocka_unit_test(a_file_is_uploaded_whole_with_or_without_its_size),
		cmocka_unit_test(an_upload_can_be_refused_halfway),
		cmocka_unit_test(a_websocket_carries_text_and_bytes_both_ways),
		cmocka_unit_test(a_message_beyond_the_limit_ends_the_websocket),
		cmocka_unit_test(an_upgrade_is_refused_like_any_request),
		cmocka_unit_test(over_tcp_and_below_a_prefix_it_is_the_same),
	};
	return cmocka_run_group_tests(tests, start_server, stop_server);
}
