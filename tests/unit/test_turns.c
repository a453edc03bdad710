/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests with large bodies take turns: whoever asks for little waits for one of them, and not for
 * all.
 */
#include "unit.h"

#include "base/auto.h"
#include "base/bug.h"
#include "http/server.h"
#include "http/conn.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { N_LARGE = 8, BODY = HTTP_TURN_BYTES + 1000, COST_US = 3000 };

static struct loop *loop;
static struct http_server *server;
static char path[108];
static int n_large, n_large_before_small, large[N_LARGE];

static int64_t processor_us(void)
{
	struct timespec t;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return t.tv_sec * 1000000LL + t.tv_nsec / 1000;
}

static void take_long(struct http_request *r)
{
	int64_t end = processor_us() + COST_US;
	while (processor_us() < end)
		;
	n_large++;
	http_reply(r, 200, "text/plain", STR("large"));
}

static void take_little(struct http_request *r)
{
	n_large++;
	http_reply(r, 200, "text/plain", STR("little"));
}

static void take_no_time(struct http_request *r)
{
	n_large_before_small = n_large;
	http_reply(r, 200, "text/plain", STR("small"));
}

static const struct http_route routes[] = {
	{ "POST", "/large", take_long, HTTP_NO_AUTH },
	{ "POST", "/little", take_little, HTTP_NO_AUTH },
	{ "GET", "/small", take_no_time, HTTP_NO_AUTH },
	{ 0 },
};
static const struct http_face face = { .name = "test", .routes = routes };

static int listening_socket(void)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	snprintf(path, sizeof(path), "/tmp/cay-turns-%d.sock", (int)getpid());
	unlink(path);
	memcpy(a.sun_path, path, strlen(path));
	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(listen(fd, 64), 0);
	return fd;
}

static int setup(void **state)
{
	struct error err;
	int fd = listening_socket();
	const struct http_config config = { .listen_fds = &fd, .n_listen_fds = 1 };
	n_large = 0;
	n_large_before_small = -1;
	assert_int_equal(loop_new(&loop, &err), 0);
	assert_int_equal(http_server_new(loop, &config, &server, &err), 0);
	http_server_add_face(server, &face);
	return 0;
}

static int teardown(void **state)
{
	http_server_free(server);
	loop_free(loop);
	unlink(path);
	return 0;
}

static int ask(struct str head, size_t body)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	auto_free char *bytes = mem_zalloc(head.len + body);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	memcpy(a.sun_path, path, strlen(path));
	assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	memcpy(bytes, head.ptr, head.len);
	assert_int_equal(send(fd, bytes, head.len + body, 0), head.len + body);
	return fd;
}

static void ask_all(const char *what)
{
	auto_free char *head = mem_printf(
		"POST /%s HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n", what, BODY);
	for (int i = 0; i < N_LARGE; i++)
		large[i] = ask(str_from(head), BODY);
}

static void ask_large(void)
{
	ask_all("large");
}

static void turn_until(const int *what, int least)
{
	for (int i = 0; i < 10000 && *what < least; i++)
		loop_turn(loop, true);
	assert_true(*what >= least);
}

static void close_all(int from)
{
	for (int i = from; i < N_LARGE; i++)
		close(large[i]);
}

static void a_small_request_waits_for_one_large_body_and_not_for_all(void **state)
{
	ask_large();
	int fd = ask(STR("GET /small HTTP/1.1\r\nHost: localhost\r\n\r\n"), 0);
	turn_until(&n_large_before_small, 0);
	assert_in_range(n_large_before_small, 0, 2);
	turn_until(&n_large, N_LARGE);
	close(fd);
	close_all(0);
}

static void large_bodies_leave_half_of_the_time_to_others(void **state)
{
	int64_t start, paused_us = 0;
	struct timespec before, after;
	ask_large();
	turn_until(&n_large, 1);
	start = processor_us();
	clock_gettime(CLOCK_MONOTONIC, &before);
	turn_until(&n_large, N_LARGE);
	clock_gettime(CLOCK_MONOTONIC, &after);
	paused_us = (after.tv_sec - before.tv_sec) * 1000000LL +
		(after.tv_nsec - before.tv_nsec) / 1000 - (processor_us() - start);
	assert_true(paused_us >= (N_LARGE - 2) * COST_US);
	close_all(0);
}

/* Nobody waits a millisecond after a body that took a few microseconds. */
static void bodies_that_take_no_time_have_no_pause(void **state)
{
	int n_turns = 0;
	n_large = 0;
	ask_all("little");
	while (n_large < N_LARGE && ++n_turns < 500)
		loop_turn(loop, false);
	assert_int_equal(n_large, N_LARGE);
	close_all(0);
}

static void who_leaves_before_his_turn_is_forgotten(void **state)
{
	ask_large();
	turn_until(&n_large, 1);
	int before = n_large;
	close_all(2);
	for (int i = 0; i < 10000 && (n_large < 2 || !list_is_empty(&server->turns.waiting)); i++)
		loop_turn(loop, true);
	assert_true(list_is_empty(&server->turns.waiting));
	assert_in_range(n_large, 2, before + 2);
	close(large[0]);
	close(large[1]);
}

static void a_server_ends_while_bodies_wait(void **state)
{
	ask_large();
	turn_until(&n_large, 1);
	close_all(0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			a_small_request_waits_for_one_large_body_and_not_for_all, setup, teardown),
		cmocka_unit_test_setup_teardown(large_bodies_leave_half_of_the_time_to_others,
			setup, teardown),
		cmocka_unit_test_setup_teardown(bodies_that_take_no_time_have_no_pause, setup,
			teardown),
		cmocka_unit_test_setup_teardown(who_leaves_before_his_turn_is_forgotten, setup,
			teardown),
		cmocka_unit_test_setup_teardown(a_server_ends_while_bodies_wait, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
