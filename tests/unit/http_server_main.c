/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A small server on the HTTP layer alone, to be attacked by tests/e2e/test_http.py and measured.
 *
 *	http_server_main tcp|PATH [token]      prints "port N" or "unix PATH", serves until standard input ends
 */
#include "base/auto.h"
#include "base/bug.h"
#include "http/server.h"
#include "http/websocket.h"
#include "wire/json.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

static struct loop *loop;
static struct http_server *server;

static void reply_text(struct http_request *r, const char *text)
{
	http_reply(r, 200, "text/plain", str_from(text));
}

static void null_get(struct http_request *r)
{
	reply_text(r, "ok");
}

static void stats_get(struct http_request *r)
{
	struct http_server_stats stats = http_server_stats(server);
	auto_buf struct buf b = BUF_INIT(256);
	struct jsonw w = JSONW(&b);
	jsonw_open(&w);
	jsonw_key_int(&w, "connections", stats.connections);
	jsonw_key_int(&w, "requests", stats.requests);
	jsonw_close(&w);
	http_reply_json(r, 200, &b);
}

/* GET /echo/{a}/{rest*}?q=: what was understood of the path. */
static void path_get(struct http_request *r)
{
	auto_buf struct buf b = BUF_INIT(65536);
	struct jsonw w = JSONW(&b);
	jsonw_open(&w);
	jsonw_key_str(&w, "a", http_param(r, "a"));
	jsonw_key_str(&w, "rest", http_param(r, "rest"));
	struct str q = http_query(r, "q");
	if (q.ptr)
		jsonw_key_str(&w, "q", q);
	jsonw_close(&w);
	http_reply_json(r, 200, &b);
}

static void echo_post(struct http_request *r)
{
	http_reply(r, 200, "application/octet-stream", r->body);
}

/* An answer that comes later, or never: GET /later/{ms}. */
struct later {
	struct http_request *request;
	struct timer *timer;
};

static int n_closed;

static void later_end(struct later *l)
{
	timer_free(l->timer);
	free(l);
}

static void on_later(void *arg)
{
	struct later *l = arg;
	reply_text(l->request, "later");
	later_end(l);
}

static void later_closed(void *arg)
{
	struct later *l = arg;
	n_closed++;
	reply_text(l->request, "nobody hears this");
	later_end(l);
}

static void later_get(struct http_request *r)
{
	static const struct http_ops ops = { .on_closed = later_closed };
	struct later *l = mem_new(struct later);
	l->request = r;
	l->timer = timer_new(loop, on_later, l);
	timer_set(l->timer, strtol(http_param(r, "ms").ptr, NULL, 10));
	http_listen(r, &ops, l);
}

static void closed_get(struct http_request *r)
{
	auto_free char *text = mem_printf("%d", n_closed);
	reply_text(r, text);
}

/* PUT /upload: counts, with a pause after each piece until the next turn of the loop. */
struct upload {
	struct http_request *request;
	int64_t bytes;
	bool is_slow;
};

static void upload_resume(void *arg)
{
	struct upload *u = arg;
	http_pause_body(u->request, false);
}

static void upload_body(void *arg, struct str piece)
{
	struct upload *u = arg;
	u->bytes += (int64_t)piece.len;
	if (u->is_slow) {
		http_pause_body(u->request, true);
		loop_defer(loop, upload_resume, u);
	}
}

static void upload_end(void *arg)
{
	struct upload *u = arg;
	auto_free char *text = mem_printf("%lld", (long long)u->bytes);
	loop_undefer(loop, u);
	reply_text(u->request, text);
	free(u);
}

static void upload_closed(void *arg)
{
	n_closed++;
	upload_end(arg);
}

static void upload_put(struct http_request *r)
{
	static const struct http_ops ops = { .on_body = upload_body,
		.on_body_end = upload_end,
		.on_closed = upload_closed };
	struct upload *u = mem_new(struct upload);
	u->request = r;
	u->is_slow = http_query(r, "slow").ptr != NULL;
	http_listen(r, &ops, u);
}

/* GET /download/{bytes}?length: zeros, as fast as the client takes them. */
struct download {
	struct http_request *request;
	int64_t left;
};

static void download_more(void *arg)
{
	static const char zeros[65536];
	struct download *d = arg;
	while (d->left > 0 && !http_stream_is_full(d->request) && !http_is_closed(d->request)) {
		size_t n = (size_t)MIN(d->left, (int64_t)sizeof(zeros));
		http_stream_write(d->request, str_from_len(zeros, n));
		d->left -= (int64_t)n;
	}
	if (d->left > 0 && !http_is_closed(d->request))
		return;
	http_stream_end(d->request, d->left == 0);
	free(d);
}

static void download_closed(void *arg)
{
	n_closed++;
	download_more(arg);
}

static void download_get(struct http_request *r)
{
	static const struct http_ops ops = { .on_drain = download_more,
		.on_closed = download_closed };
	struct download *d = mem_new(struct download);
	d->request = r;
	d->left = strtoll(http_param(r, "bytes").ptr, NULL, 10);
	http_listen(r, &ops, d);
	http_stream_begin(r, 200, "application/octet-stream",
		http_query(r, "length").ptr ? d->left : -1);
	download_more(d);
}

/* GET /ws: an echo. */
struct echo {
	struct ws *ws;
};

static void echo_text(void *arg, struct str text)
{
	struct echo *e = arg;
	if (str_is(text, "close")) {
		ws_close(e->ws, 1000, "as you wish");
		free(e);
	} else if (str_is(text, "cut")) {
		ws_free(e->ws);
		free(e);
	} else {
		ws_send_text(e->ws, text);
	}
}

static void echo_binary(void *arg, struct str bytes)
{
	struct echo *e = arg;
	ws_send_binary(e->ws, bytes);
	if (ws_is_full(e->ws))
		ws_pause(e->ws, true);
}

static void echo_drain(void *arg)
{
	struct echo *e = arg;
	ws_pause(e->ws, false);
}

static void echo_close(void *arg, int code)
{
	struct echo *e = arg;
	n_closed++;
	ws_close(e->ws, 1000, "");
	free(e);
}

static void ws_get(struct http_request *r)
{
	static const struct ws_ops ops = { echo_text, echo_binary, echo_drain, echo_close };
	struct echo *e = mem_new(struct echo);
	e->ws = ws_accept(r, NULL, &ops, e);
}

static const struct http_route routes[] = {
	{ "GET", "/null", null_get, HTTP_NO_AUTH },
	{ "GET", "/stats", stats_get },
	{ "GET", "/closed", closed_get },
	{ "GET", "/path/{a}/{rest*}", path_get },
	{ "POST", "/echo", echo_post, .body_max = 4 << 20 },
	{ "GET", "/later/{ms}", later_get },
	{ "PUT", "/upload", upload_put, HTTP_STREAMS_BODY, .body_max = 1LL << 32 },
	{ "PUT", "/upload/small", upload_put, HTTP_STREAMS_BODY, .body_max = 100000 },
	{ "GET", "/download/{bytes}", download_get },
	{ "GET", "/ws", ws_get, HTTP_WEBSOCKET },
	{ 0 },
};

static const struct http_face face = { .name = "test", .prefix = "/", .routes = routes };

static int listen_tcp(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(a);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	BUG_IF(bind(fd, (struct sockaddr *)&a, len) < 0 || listen(fd, 1024) < 0, "cannot listen");
	getsockname(fd, (struct sockaddr *)&a, &len);
	printf("port %d\n", ntohs(a.sin_port));
	return fd;
}

static int listen_unix(const char *path)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	snprintf(a.sun_path, sizeof(a.sun_path), "%s", path);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	BUG_IF(bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0 || listen(fd, 1024) < 0,
		"cannot listen");
	printf("unix %s\n", path);
	return fd;
}

static void on_input(void *arg, int events)
{
	char byte;
	if (read(STDIN_FILENO, &byte, 1) <= 0)
		loop_stop(loop);
}

int main(int argc, char **argv)
{
	struct error err = { 0 };
	int fd = argc > 1 && strcmp(argv[1], "tcp") ? listen_unix(argv[1]) : listen_tcp();
	struct http_config config = {
		.listen_fds = &fd,
		.n_listen_fds = 1,
		.token = argc > 2 ? argv[2] : NULL,
		.max_connections = 2000,
		.max_per_peer = 2000,
		.max_strangers = 4000,
		.head_ms = 400,
		.idle_ms = 60000,
		.stall_ms = 600,
	};
	if (loop_new(&loop, &err) < 0 || http_server_new(loop, &config, &server, &err) < 0) {
		fprintf(stderr, "http_server_main: %s\n", err.text);
		return 1;
	}
	http_server_add_face(server, &face);
	struct watch *input = watch_new(loop, STDIN_FILENO, LOOP_READ, on_input, NULL);
	fflush(stdout);
	loop_run(loop);
	watch_free(input);
	http_server_free(server);
	loop_free(loop); /* a handle that was forgotten is a bug here */
	return 0;
}
