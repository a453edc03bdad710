/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lent servers: an HTTP server of its own for each, whose root is the tools of one sandbox. It
 * lives as long as the event stream of who asked for it, so that a client that dies leaves no port
 * taken, and no longer than the sandbox. Ending it cuts its connections; their handlers hear of it
 * and end with them. Only then the stream is told, so that whoever hears of its end finds the port
 * free. With ends_sandbox the sandbox goes when the stream does: nothing is left of a client that
 * was killed.
 */
#include "base/auto.h"
#include "base/bug.h"
#include "face/camel/state.h"

#include <netinet/in.h>
#include <sys/socket.h>

enum { PING_MAX = 256 };

struct server {
	struct list link; /* camel::servers */
	struct camel *camel;
	struct http_request *r; /* the stream; NULL: it has ended */
	struct http_server *http;
	struct http_face face;
	struct camel_view view;
	struct follower *follower; /* of the sandbox's events */
	int port;
	bool ends_sandbox;
};

static void server_free(void *arg)
{
	struct server *s = arg;
	list_remove(&s->link);
	s->camel->n_servers--;
	event_follow_stop(s->follower);
	http_server_free(s->http);
	if (s->r) {
		http_stream_write(s->r, STR("event: ended\ndata: {}\n\n"));
		http_stream_end(s->r, true);
	}
	free(s);
}

/* Not from within a handler of its own. */
static void end_soon(struct server *s)
{
	struct loop *loop = runtime_loop(s->camel->rt);
	loop_undefer(loop, s);
	loop_defer(loop, server_free, s);
}

static void on_destroyed(void *arg, const struct error *err)
{
}

static void on_closed(void *arg)
{
	struct server *s = arg;
	struct runtime *rt = s->camel->rt;
	struct sandbox *sandbox = s->ends_sandbox ? runtime_find(rt, str_from(s->view.id), NULL)
						  : NULL;
	http_stream_end(take_ptr(s->r), false);
	if (sandbox)
		runtime_destroy(sandbox, on_destroyed, NULL);
	end_soon(s);
}

/* The end of the sandbox is the end of the stream. */
static void on_event(void *arg, const struct event *event)
{
	struct server *s = arg;
	struct sandbox *sandbox = runtime_find(s->camel->rt, str_from(s->view.id), NULL);
	if (s->r && (!sandbox || sandbox_state_is_final(sandbox->state)))
		end_soon(s);
}

static void follow(struct server *s)
{
	struct runtime_stats now;
	runtime_stats(s->camel->rt, &now);
	s->follower = event_follow(s->camel->rt, s->view.id, now.events, on_event, s);
	event_follow_only(s->follower, "state"); /* calls have events, too */
}

static int port_of(int fd)
{
	struct sockaddr_in a = { 0 }; /* the port lies at the same place in a sockaddr_in6 */
	socklen_t len = sizeof(a);
	getsockname(fd, (struct sockaddr *)&a, &len);
	return ntohs(a.sin_port);
}

static int start(struct server *s, const char *where, const char *token, struct error *err)
{
	int fd = -1;
	bool is_open;
	if (runtime_listen(where, &fd, &is_open, err) < 0)
		return -1;
	const struct http_config config = {
		.listen_fds = &fd,
		.n_listen_fds = 1,
		.token = token,
	};
	s->port = port_of(fd);
	if (is_open && !token) {
		close_fd(fd);
		return error_set(err, ERROR_INVALID,
			"%s can be reached from other machines: a token is wanted for it", where);
	}
	s->face = (struct http_face){
		.name = "camel",
		.prefix = "/",
		.routes = camel_root_routes,
		.arg = &s->view,
		.authorize = camel_authorize,
		.render_error = fastapi_render_error,
	};
	if (http_server_new(runtime_loop(s->camel->rt), &config, &s->http, err) < 0)
		return -1;
	http_server_add_face(s->http, &s->face);
	return 0;
}

void camel_lend(struct camel *camel, struct http_request *r, const struct sandbox *sandbox,
	const struct camel_lending *lending)
{
	static const struct http_ops ops = { .on_closed = on_closed };
	struct error err;
	if (camel->n_servers >= CAMEL_SERVERS_MAX) {
		error_set(&err, ERROR_LIMIT, "%d tool servers are lent already", CAMEL_SERVERS_MAX);
		http_reply_error(r, &err);
		return;
	}
	struct server *s = mem_new(struct server);
	s->camel = camel;
	s->r = r;
	s->ends_sandbox = lending->ends_sandbox;
	s->view.camel = camel;
	snprintf(s->view.id, sizeof(s->view.id), "%s", sandbox->id);
	if (start(s, lending->where, lending->token, &err) < 0) {
		free(s);
		http_reply_error(r, &err);
		return;
	}
	list_append(&camel->servers, &s->link);
	camel->n_servers++;
	auto_buf struct buf b = BUF_INIT(PING_MAX);
	buf_printf(&b, "event: listening\ndata: {\"port\":%d}\n\n", s->port);
	http_stream_begin(r, 200, "text/event-stream", -1);
	http_stream_write(r, buf_str(&b));
	http_listen(r, &ops, s);
	follow(s);
}

int camel_take_back(struct camel *camel, const struct sandbox *sandbox, int port, struct error *err)
{
	struct server *s;
	list_for_each(s, &camel->servers, link)
		if (s->r && s->port == port && strcmp(s->view.id, sandbox->id) == 0) {
			loop_undefer(runtime_loop(camel->rt), s);
			server_free(s);
			return 0;
		}
	return error_set(err, ERROR_NOT_FOUND, "no tool server of sandbox %s on port %d",
		sandbox->id, port);
}

void camel_lend_free_all(struct camel *camel)
{
	while (!list_is_empty(&camel->servers)) {
		struct server *s = list_get_first(&camel->servers, struct server, link);
		loop_undefer(runtime_loop(camel->rt), s);
		server_free(s);
	}
}
