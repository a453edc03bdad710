/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cay port: a port of this machine that leads to one inside a sandbox. Each connection that is
 * accepted becomes a WebSocket with the action `connect`; one poll(2) loop moves the bytes of all
 * of them. What one side does not take stops the reading from the other: of the local socket while
 * the WebSocket is full, of the WebSocket while bytes wait for the local socket.
 */
#include "cli/client.h"

#include "base/auto.h"
#include "base/bug.h"
#include "base/file.h"
#include "base/num.h"
#include "cli/options.h"

#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>

enum {
	LINKS_MAX = 256,
	READ_BYTES = 64 * 1024,
	WAITING_HIGH = 256 * 1024,
	WAITING_MAX = HTTP_WS_MESSAGE_MAX + WAITING_HIGH,
};

struct link {
	int fd; /* -1: closed */
	struct http_ws *ws;
	struct buf waiting; /* for fd */
	bool in_ended;      /* fd sends no more */
	bool is_eof;        /* nothing more will come for fd */
	bool is_over;
};

struct forward {
	struct remote *server;
	const char *sandbox;
	int64_t port;
	int listen_fd;
	struct link *links[LINKS_MAX];
	int n_links;
	char *bytes; /* the channel's byte and READ_BYTES */
};

/* ---- from the sandbox ---- */

static void on_binary(void *arg, struct str bytes)
{
	struct link *l = arg;
	if (bytes.len > 1 && buf_put(&l->waiting, str_skip(bytes, 1)) < 0)
		l->is_over = true;
}

static void on_text(void *arg, struct str text)
{
	struct link *l = arg;
	auto_json struct json *message = NULL;
	if (json_parse(text, &message, NULL) < 0)
		return;
	const struct json *error = json_find(message, "error");
	if (str_is(json_str(json_find(json_find(message, "event"), "event")), "eof") ||
		json_find(message, "result"))
		l->is_eof = true;
	if (!error)
		return;
	struct str said = json_str(json_find(error, "message"));
	out_note("port: %.*s", STR_ARG(said));
	l->is_over = true;
}

static void on_close(void *arg, int code)
{
	struct link *l = arg;
	l->is_eof = true;
}

static const struct http_ws_ops ws_ops = { on_text, on_binary, on_close };

/* ---- links ---- */

static void link_free(struct link *l)
{
	http_ws_free(l->ws);
	close_fd(l->fd);
	buf_fini(&l->waiting);
	free(l);
}

static int link_new(struct forward *f, int fd, struct error *err)
{
	struct link *l = mem_new(struct link);
	auto_buf struct buf path = BUF_INIT(8192);
	auto_buf struct buf request = BUF_INIT(256);
	l->fd = fd;
	buf_init(&l->waiting, WAITING_MAX);
	remote_put_path(&path, f->sandbox, "/stream");
	if (fd_set_nonblock(fd, err) < 0 ||
		remote_ws(f->server, path.ptr, &ws_ops, l, &l->ws, err) < 0) {
		link_free(l);
		return -1;
	}
	buf_printf(&request, "{\"action\":\"connect\",\"params\":{\"port\":%lld}}",
		(long long)f->port);
	http_ws_send_text(l->ws, buf_str(&request));
	f->links[f->n_links++] = l;
	return 0;
}

static void take_local(struct forward *f, struct link *l)
{
	ssize_t n = read(l->fd, f->bytes + 1, READ_BYTES);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n > 0) {
		http_ws_send_binary(l->ws, str_from_len(f->bytes, (size_t)n + 1));
		return;
	}
	l->in_ended = true;
	http_ws_send_text(l->ws, STR("{\"eof\":0}"));
	if (n < 0)
		l->is_over = true;
}

static void give_local(struct link *l)
{
	while (l->waiting.len && !l->is_over) {
		ssize_t n = send(l->fd, l->waiting.ptr, l->waiting.len, MSG_NOSIGNAL);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			break;
		if (n < 0)
			l->is_over = true;
		else
			buf_drop_front(&l->waiting, (size_t)n);
	}
	if (l->is_eof && l->waiting.len == 0) {
		shutdown(l->fd, SHUT_WR);
		l->is_over = l->is_over || l->in_ended;
	}
}

static bool takes_more(const struct link *l)
{
	return l->waiting.len < WAITING_HIGH && !l->is_eof;
}

static void poll_link(const struct link *l, struct pollfd *fds)
{
	short local = 0;
	if (!l->in_ended && !http_ws_is_full(l->ws))
		local |= POLLIN;
	if (l->waiting.len)
		local |= POLLOUT;
	fds[0] = (struct pollfd){ local ? l->fd : -1, local, 0 };
	fds[1] = (struct pollfd){ takes_more(l) ? http_ws_fd(l->ws) : -1,
		http_ws_poll_events(l->ws), 0 };
}

static void move_link(struct forward *f, struct link *l, const struct pollfd *fds)
{
	struct error err;
	if (fds[0].revents & (POLLIN | POLLHUP | POLLERR) && !l->in_ended)
		take_local(f, l);
	if (!l->is_over && takes_more(l) && http_ws_turn(l->ws, &err) < 0)
		l->is_eof = true;
	give_local(l);
}

static void drop_ended(struct forward *f)
{
	int kept = 0;
	for (int i = 0; i < f->n_links; i++) {
		if (f->links[i]->is_over)
			link_free(f->links[i]);
		else
			f->links[kept++] = f->links[i];
	}
	f->n_links = kept;
}

/* ---- listening ---- */

static void accept_one(struct forward *f)
{
	struct error err;
	int fd = accept4(f->listen_fd, NULL, NULL, SOCK_CLOEXEC);
	if (fd >= 0 && link_new(f, fd, &err) < 0)
		out_note("port: %s", err.text);
}

static int turn(struct forward *f, struct error *err)
{
	struct pollfd fds[1 + 2 * LINKS_MAX];
	int n = f->n_links;
	fds[0] = (struct pollfd){ n < LINKS_MAX ? f->listen_fd : -1, POLLIN, 0 };
	for (int i = 0; i < n; i++)
		poll_link(f->links[i], &fds[1 + 2 * i]);
	if (poll(fds, (nfds_t)(1 + 2 * n), -1) < 0)
		return errno == EINTR ? 0 : error_sys(err, errno, "poll");
	for (int i = 0; i < n; i++)
		move_link(f, f->links[i], &fds[1 + 2 * i]);
	drop_ended(f);
	if (fds[0].revents)
		accept_one(f);
	return 0;
}

/* "8080", "127.0.0.1:8080", ":8080" (every address), "[::1]:8080". */
static int parse_address(struct str text, struct sockaddr_storage *ret, socklen_t *ret_len,
	struct error *err)
{
	char host[INET6_ADDRSTRLEN + 2] = "127.0.0.1";
	struct sockaddr_in *in = (struct sockaddr_in *)ret;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)ret;
	struct str port = text;
	int64_t number;
	for (size_t i = text.len; i > 0 && port.len == text.len; i--) {
		if (text.ptr[i - 1] != ':')
			continue;
		struct str name = str_first(text, i - 1);
		port = str_skip(text, i);
		if (str_starts(name, STR("[")) && str_ends(name, STR("]")))
			name = str_first(str_skip(name, 1), name.len - 2);
		if (!name.len)
			name = STR("0.0.0.0");
		snprintf(host, sizeof(host), "%.*s", STR_ARG(str_first(name, sizeof(host) - 1)));
	}
	if (num_parse_i64(port, 0, 65535, &number, NULL) < 0)
		return error_set(err, ERROR_INVALID, "--listen %.*s: the port is no number",
			STR_ARG(text));
	*ret = (struct sockaddr_storage){ 0 };
	if (!strcmp(host, "localhost"))
		snprintf(host, sizeof(host), "127.0.0.1");
	in->sin_port = htons((uint16_t)number); /* at the same place in a sockaddr_in6 */
	if (inet_pton(AF_INET, host, &in->sin_addr) == 1) {
		ret->ss_family = AF_INET;
		*ret_len = sizeof(*in);
	} else if (inet_pton(AF_INET6, host, &in6->sin6_addr) == 1) {
		ret->ss_family = AF_INET6;
		*ret_len = sizeof(*in6);
	} else {
		return error_set(err, ERROR_INVALID, "--listen %.*s: an IP address is wanted",
			STR_ARG(text));
	}
	return 0;
}

static int open_listener(struct str text, int *ret, struct buf *name, struct error *err)
{
	struct sockaddr_storage a;
	socklen_t len;
	char host[INET6_ADDRSTRLEN] = "";
	int on = 1;
	if (parse_address(text, &a, &len, err) < 0)
		return -1;
	auto_fd int fd = socket(a.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return error_sys(err, errno, "socket");
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(fd, (struct sockaddr *)&a, len) < 0 || listen(fd, 64) < 0)
		return error_sys(err, errno, "listen on %.*s", STR_ARG(text));
	getsockname(fd, (struct sockaddr *)&a, &len);
	struct sockaddr_in *in = (struct sockaddr_in *)&a;
	bool is_v4 = a.ss_family == AF_INET;
	inet_ntop(a.ss_family,
		is_v4 ? (void *)&in->sin_addr : (void *)&((struct sockaddr_in6 *)&a)->sin6_addr,
		host, sizeof(host));
	buf_printf(name, is_v4 ? "%s:%d" : "[%s]:%d", host, ntohs(in->sin_port));
	*ret = take_fd(&fd);
	return 0;
}

int port_main(struct invocation *in, struct error *err)
{
	const struct port_options *o = in->values;
	auto_remote struct remote server = REMOTE_INIT;
	auto_json struct json *about = NULL;
	auto_buf struct buf path = BUF_INIT(8192);
	auto_buf struct buf name = BUF_INIT(128);
	auto_free char *bytes = mem_zalloc(1 + READ_BYTES);
	auto_fd int listen_fd = -1;
	struct forward f = { .server = &server, .sandbox = in->args[0], .bytes = bytes };
	if (num_parse_i64(str_from(in->args[1]), 1, 65535, &f.port, NULL) < 0)
		return error_set(err, ERROR_INVALID, "'%s' is no port: 1 to 65535 are",
			in->args[1]);
	remote_put_path(&path, f.sandbox, "/ports/");
	buf_puts(&path, in->args[1]);
	if (remote_open_lasting(in, "way to a port of a sandbox", &server, err) < 0 ||
		remote_get_json(&server, path.ptr, &about, err) < 0)
		return -1;
	const struct json *link = json_find(about, "link");
	if (o->link && !link)
		return error_set(err, ERROR_UNSUPPORTED,
			"the server listens on no TCP port: a browser cannot reach it");
	if (o->link)
		return out_line(json_str(link), err);
	if (open_listener(str_from(o->listen ? o->listen : in->args[1]), &listen_fd, &name, err) <
		0)
		return -1;
	f.listen_fd = listen_fd;
	if (out_line(buf_str(&name), err) < 0)
		return -1;
	while (turn(&f, err) == 0)
		;
	return -1;
}
